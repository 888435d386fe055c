//go:build race

package wire

// raceEnabled: the race detector changes what is inlined and where things live, and allocations cannot be counted.
const raceEnabled = true
