//go:build race && !packetdebug

package packet

// countsAllocations: under the race detector sync.Pool drops what it is given at random.
const countsAllocations = false
