//go:build !race && !packetdebug

package tcp

const countsAllocations = true
