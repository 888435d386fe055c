//go:build !race && !packetdebug

package core

const countsAllocations = true
