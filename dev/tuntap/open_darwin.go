package tuntap

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/songgao/water"

	"github.com/smolnet/smolnet/dev"
)

// open makes a utun, which the system has, or attaches to a tap or tun of the tuntaposx driver, if that is installed.
func open(medium dev.Medium, cfg Config) (*water.Interface, error) {
	config := water.Config{DeviceType: water.TUN}
	config.Name = cfg.Name
	if medium == dev.Ethernet {
		config.DeviceType = water.TAP
	}
	if medium == dev.Ethernet || strings.HasPrefix(cfg.Name, "tun") {
		config.Driver = water.MacOSDriverTunTapOSX
	}
	if medium == dev.Ethernet && cfg.Name == "" {
		return nil, fmt.Errorf("a tap has to be named: %w", errors.ErrUnsupported)
	}
	ifce, err := water.New(config)
	if config.Driver == water.MacOSDriverTunTapOSX && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the tuntaposx driver is not there: %w: %w", errors.ErrUnsupported, err)
	}
	return ifce, err
}
