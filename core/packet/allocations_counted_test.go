//go:build !race && !packetdebug

package packet

const countsAllocations = true
