//go:build race || packetdebug

package lowpan

// countsAllocations: under the race detector sync.Pool drops what it is given at random, and a debug build keeps a
// trace of every packet.
const countsAllocations = false
