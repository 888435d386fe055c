// Package tuntap attaches to the operating system's network by a tap (Ethernet frames) or a tun (IP packets). Programs
// use packages tap and tun, which say which of the two; what both share is here.
//
// On Linux it is /dev/net/tun with virtio-net headers: checksums and TCP segmentation are left undone in both
// directions, so that 64 KiB take one system call. Elsewhere it is the interface that github.com/songgao/water makes,
// where it makes one; if there is none for the system, the error wraps errors.ErrUnsupported.
package tuntap

import (
	"net/netip"

	"github.com/smolnet/smolnet/dev"
)

// Config says which interface to attach to.
type Config struct {
	// Name is the interface's. One that exists, made beforehand for this user, is attached to, and stays when the
	// device is closed; otherwise one is made, which takes privileges, and goes with the device. On Linux it may hold
	// %d for a number; empty: the system chooses.
	Name string

	// NoOffload makes it a plain device, without checksum and segmentation offloads.
	NoOffload bool

	// Network is for a tun on Windows, whose driver must know the IPv4 address and subnet of the system's end.
	Network netip.Prefix
}

// Counters say what a device had to drop.
type Counters struct {
	// BadOffload counts packets received whose virtio-net header contradicts what they hold.
	BadOffload uint64

	// Down counts packets sent while the interface was down, or after it was deleted.
	Down uint64

	// NoBuffer counts packets sent for which the system had no memory.
	NoBuffer uint64
}

var _ dev.Device = (*Device)(nil)
