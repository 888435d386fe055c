//go:build !race && !packetdebug

package storage

const countsAllocations = true
