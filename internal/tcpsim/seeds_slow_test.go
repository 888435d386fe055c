//go:build packetdebug || race

package tcpsim

// What keeps books of every packet, or of every access to memory, runs fewer seeds and draws no tables.
const (
	defaultSeeds = 50
	slow         = true
)
