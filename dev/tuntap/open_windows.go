package tuntap

import (
	"errors"

	"github.com/songgao/water"

	"github.com/smolnet/smolnet/dev"
)

// open attaches to an adapter of OpenVPN's tap-windows6 driver, the first there is if cfg names none.
func open(medium dev.Medium, cfg Config) (*water.Interface, error) {
	config := water.Config{DeviceType: water.TAP}
	config.ComponentID = "tap0901"
	config.InterfaceName = cfg.Name
	if medium == dev.IP {
		if !cfg.Network.Addr().Is4() {
			return nil, errors.New("a tun on Windows needs the IPv4 Network of the system's end")
		}
		config.DeviceType = water.TUN
		config.Network = cfg.Network.String()
	}
	return water.New(config)
}
