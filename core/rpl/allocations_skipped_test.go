//go:build race

package rpl

// countsAllocations: the race detector allocates too.
const countsAllocations = false
