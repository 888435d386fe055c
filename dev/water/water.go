// Package water makes a device of an interface that the program has opened with github.com/songgao/water. Who has no
// such interface yet opens a tap or tun by packages tap and tun, which on Linux do much better.
package water

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/songgao/water"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// maxFrame is room for any frame, in octets: the largest IP packet behind an Ethernet header with a tag.
const maxFrame = 65535 + 18

// Device is a device over a water interface. It implements dev.Device.
//
// Water can only wait for packets, one at a time. So it is WaitReceive that reads, one packet ahead, and Receive only
// hands it out: without somebody in WaitReceive nothing is received.
type Device struct {
	ifce    *water.Interface
	caps    dev.Capabilities
	closed  atomic.Bool
	close   sync.Once
	dropped atomic.Uint64

	in, out []byte // of who waits to receive, and of who sends

	mu    sync.Mutex
	ahead *packet.Packet // was read and not yet received
}

var _ dev.Device = (*Device)(nil)

// New makes a device of ifce and takes it over. The MTU is what the system says of the interface, or 1500 if it says
// nothing. On Linux, a persistent interface that was opened without water's Persist was made to vanish by that already.
func New(ifce *water.Interface) *Device {
	caps := dev.Capabilities{Medium: dev.IP, MTU: 1500}
	if ifce.IsTAP() {
		caps.Medium = dev.Ethernet
	}
	if system, err := net.InterfaceByName(ifce.Name()); err == nil && system.MTU > 0 {
		caps.MTU = min(system.MTU, 65535)
	}
	return &Device{ifce: ifce, caps: caps, in: make([]byte, maxFrame), out: make([]byte, maxFrame)}
}

// Name is the interface's name.
func (d *Device) Name() string { return d.ifce.Name() }

// Capabilities says what the interface is. It has no offloads.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Dropped is how many packets were dropped because the interface was down or the system out of buffers.
func (d *Device) Dropped() uint64 { return d.dropped.Load() }

// Receive hands out the packet that WaitReceive has read.
func (d *Device) Receive(_ time.Time, pkts []*packet.Packet) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed.Load():
		return 0, net.ErrClosed
	case d.ahead == nil || len(pkts) == 0:
		return 0, nil
	}
	pkts[0], d.ahead = d.ahead, nil
	return 1, nil
}

// Send writes packets one by one. Water has no way to write without waiting; systems take a frame at once.
func (d *Device) Send(_ time.Time, pkts []*packet.Packet) (int, error) {
	for i, p := range pkts {
		if d.closed.Load() {
			return i, net.ErrClosed
		}
		if err := link.CheckFrame(&d.caps, p); err != nil {
			return i, fmt.Errorf("%s: %w", d.Name(), err)
		}
		frame := p.Head()
		if len(frame) < p.Len() {
			frame = d.out[:p.CopyTo(d.out, 0)]
		}
		switch _, err := d.ifce.Write(frame); {
		case err == nil:
		case d.closed.Load():
			return i, net.ErrClosed
		case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENOBUFS): // down, or out of buffers
			d.dropped.Add(1)
		default:
			return i, fmt.Errorf("%s: %w", d.Name(), err)
		}
		p.Release()
	}
	return len(pkts), nil
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return time.Time{}, false }

// WaitReceive reads a packet, waiting for it, unless the last one has not been received yet.
func (d *Device) WaitReceive() error {
	for {
		d.mu.Lock()
		ready := d.ahead != nil
		d.mu.Unlock()
		switch {
		case d.closed.Load():
			return net.ErrClosed
		case ready:
			return nil
		}
		n, err := d.ifce.Read(d.in)
		if err != nil {
			if d.closed.Load() {
				return net.ErrClosed
			}
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
		d.keep(d.in[:max(n, 0)])
	}
}

// keep keeps a frame for the Receive to come, in a packet of its size, so that a small one pins little.
func (d *Device) keep(frame []byte) {
	if len(frame) == 0 {
		return
	}
	p := packet.New(len(frame))
	copy(p.Append(len(frame)), frame)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed.Load() {
		p.Release()
		return
	}
	d.ahead = p
}

// WaitSend returns at once: Send always takes all.
func (d *Device) WaitSend() error {
	if d.closed.Load() {
		return net.ErrClosed
	}
	return nil
}

// Close closes the interface.
func (d *Device) Close() error {
	d.close.Do(func() {
		d.closed.Store(true)
		_ = d.ifce.Close() // nothing was buffered that could be lost
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ahead != nil {
			d.ahead.Release()
			d.ahead = nil
		}
	})
	return nil
}
