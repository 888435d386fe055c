//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
)

// Device is for Linux. It implements dev.Device.
type Device struct{}

// Open is for Linux. The error wraps errors.ErrUnsupported.
func Open(name string, _ Config) (*Device, error) {
	return nil, fmt.Errorf("rawsock: %s: IEEE 802.15.4 interfaces on %s: %w", name, runtime.GOOS, errors.ErrUnsupported)
}

// Name is for Linux.
func (*Device) Name() string { return "" }

// Capabilities is for Linux.
func (*Device) Capabilities() dev.Capabilities {
	return dev.Capabilities{Medium: dev.IEEE802154, MTU: mtu}
}

// Counters is for Linux.
func (*Device) Counters() Counters { return Counters{} }

// Receive is for Linux.
func (*Device) Receive(time.Time, []*packet.Packet) (int, error) { return 0, net.ErrClosed }

// Send is for Linux.
func (*Device) Send(time.Time, []*packet.Packet) (int, error) { return 0, net.ErrClosed }

// PollAt is for Linux.
func (*Device) PollAt() (time.Time, bool) { return time.Time{}, false }

// WaitReceive is for Linux.
func (*Device) WaitReceive() error { return net.ErrClosed }

// WaitSend is for Linux.
func (*Device) WaitSend() error { return net.ErrClosed }

// Close is for Linux.
func (*Device) Close() error { return nil }
