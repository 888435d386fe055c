//go:build !linux

package tuntap

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/water"
)

// Device is a tap or tun. It implements dev.Device.
type Device struct {
	water *water.Device
}

// Open attaches to the interface that cfg names, a tap for the medium dev.Ethernet or a tun for dev.IP. If the system
// has none the error wraps errors.ErrUnsupported.
func Open(medium dev.Medium, cfg Config) (*Device, error) {
	if medium != dev.Ethernet && medium != dev.IP {
		return nil, fmt.Errorf("tuntap: there is no interface for %v", medium)
	}
	ifce, err := open(medium, cfg)
	if err != nil {
		return nil, fmt.Errorf("attaching to %q: %w", cfg.Name, err)
	}
	return &Device{water.New(ifce)}, nil
}

// FromFile is for Linux. The error wraps errors.ErrUnsupported.
func FromFile(dev.Medium, *os.File) (*Device, error) {
	return nil, fmt.Errorf("a tap or tun from a file on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Name is the interface's name.
func (d *Device) Name() string { return d.water.Name() }

// Capabilities says what the device can do.
func (d *Device) Capabilities() dev.Capabilities { return d.water.Capabilities() }

// Counters returns what had to be dropped so far. Why a packet was dropped when sent is not told apart.
func (d *Device) Counters() Counters { return Counters{Down: d.water.Dropped()} }

// Receive hands out the packet that WaitReceive has read.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	return d.water.Receive(now, pkts)
}

// Send writes packets one by one.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	return d.water.Send(now, pkts)
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return d.water.PollAt() }

// WaitReceive reads a packet, waiting for it, unless the last one has not been received yet.
func (d *Device) WaitReceive() error { return d.water.WaitReceive() }

// WaitSend returns at once: Send always takes all.
func (d *Device) WaitSend() error { return d.water.WaitSend() }

// Close detaches from the interface.
func (d *Device) Close() error { return d.water.Close() }
