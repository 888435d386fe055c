//go:build !race

package rpl

const countsAllocations = true
