//go:build !race && !packetdebug

package reassembly

const countsAllocations = true
