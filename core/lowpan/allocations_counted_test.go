//go:build !race && !packetdebug

package lowpan

const countsAllocations = true
