//go:build !packetdebug && !race

package tcpsim

const (
	defaultSeeds = 2000
	slow         = false
)
