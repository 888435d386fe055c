// Package loopback is a device that receives what it sends. A stack has a loopback interface of its own; this one is
// for measurements, for tests, and for a loopback with another medium or MTU.
package loopback

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// Config says what the device is like. The zero value carries the largest IP packets and needs no checksum.
type Config struct {
	// Medium is what packets begin with. Default: IP.
	Medium dev.Medium

	// MTU is the largest IP packet, in octets. Default: 65,535.
	MTU int

	// Queue and QueueOctets bound what was sent and not yet received: so many packets, and so many octets in them, but
	// always at least one packet. Defaults: 4096 and 4 MiB.
	Queue, QueueOctets int

	// NoOffload makes the stack treat the device as a plain network card: it fills in and verifies every checksum, and
	// segments to the MTU itself. Otherwise no checksum is computed and super-segments pass as they are.
	NoOffload bool
}

// Device is a loopback. It implements dev.Device.
type Device struct {
	caps  dev.Capabilities
	queue *link.Queue
}

var _ dev.Device = (*Device)(nil)

// New returns a loopback.
func New(cfg Config) *Device {
	caps := dev.Capabilities{Medium: cfg.Medium, MTU: cfg.MTU}
	if caps.Medium == 0 {
		caps.Medium = dev.IP
	}
	if caps.MTU == 0 {
		caps.MTU = 65535
	}
	if !cfg.NoOffload {
		caps.Checksum = dev.Checksums{
			IPv4:   dev.ChecksumNone,
			ICMPv4: dev.ChecksumNone,
			ICMPv6: dev.ChecksumNone,
			UDP:    dev.ChecksumNone,
			TCP:    dev.ChecksumNone,
		}
		caps.SegmentTCP4, caps.SegmentTCP6 = true, true
	}
	return &Device{caps: caps, queue: link.NewQueue(0, cfg.Queue, cfg.QueueOctets)}
}

// Capabilities says what the configuration said.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Receive takes packets that were sent.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	return d.queue.Receive(now, pkts)
}

// Send queues packets to be received, as many as there is room for. A frame that is longer than the MTU allows, and no
// super-segment that the configuration allows, is an error.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	n, bad := link.CheckFrames(&d.caps, pkts)
	sent, err := d.queue.Send(now, pkts[:n])
	if err == nil && sent == n && bad != nil {
		err = fmt.Errorf("loopback: %w", bad)
	}
	return sent, err
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return d.queue.PollAt() }

// WaitReceive waits until something was sent.
func (d *Device) WaitReceive() error { return d.queue.WaitReceive() }

// WaitSend waits until the packet that Send had no room for fits.
func (d *Device) WaitSend() error { return d.queue.WaitSend() }

// Close ends the device; what is in it is lost.
func (d *Device) Close() error {
	d.queue.CloseSender()
	d.queue.CloseReceiver()
	return nil
}
