//go:build !race && !packetdebug

package ieee802154

const countsAllocations = true
