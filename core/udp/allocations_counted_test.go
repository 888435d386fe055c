//go:build !race && !packetdebug

package udp

const countsAllocations = true
