// Package tun attaches a stack to the operating system by a tun: an interface of the system's whose IP packets go to
// and come from this program. See package tuntap for what lies behind it on which system.
package tun

import (
	"net/netip"
	"os"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tuntap"
)

// Config says which tun to attach to.
type Config struct {
	// Name is the interface's. One that exists, made beforehand for this user, is attached to, and stays when the
	// device is closed; otherwise one is made, which takes privileges, and goes with the device. On Linux it may hold
	// %d for a number; empty: the system chooses.
	Name string

	// NoOffload makes it a plain device, without checksum and segmentation offloads.
	NoOffload bool

	// Network is for Windows, whose driver must know the IPv4 address and subnet of the system's end.
	Network netip.Prefix
}

// Open attaches to a tun. Where the system has none the error wraps errors.ErrUnsupported.
func Open(cfg Config) (*tuntap.Device, error) {
	return tuntap.Open(dev.IP, tuntap.Config(cfg))
}

// FromFile makes a device of a file that is attached to a tun already, with IFF_NO_PI, and takes it over. Only
// Linux has such files: elsewhere the error wraps errors.ErrUnsupported.
func FromFile(f *os.File) (*tuntap.Device, error) {
	return tuntap.FromFile(dev.IP, f)
}
