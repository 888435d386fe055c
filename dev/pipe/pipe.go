// Package pipe is a link in memory: two devices, each of which receives what the other sends. Nothing is ever lost on
// it; when its queue is full, the sender waits.
//
// Two stacks joined by a pipe work inside a testing/synctest bubble, in virtual time: whoever waits for a pipe blocks
// on a channel and holds no lock.
package pipe

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// Config says what the link is like. The zero value is an Ethernet cable: MTU 1500, no delay, no offloads.
type Config struct {
	// Medium is what packets begin with. Default: Ethernet.
	Medium dev.Medium

	// MTU is the largest IP packet, in octets. Default: 1500.
	MTU int

	// Delay is how long packets take to pass, each way. Time is what the callers of Send and Receive say it is.
	Delay time.Duration

	// DelayBack, if not 0, takes the place of Delay on the way from the second device to the first; negative: none.
	DelayBack time.Duration

	// Queue and QueueOctets bound what is on its way, for each direction: so many packets, and so many octets in them,
	// but always at least one packet. Defaults: 4096 and 4 MiB. A delayed link carries at most a queue in the time of
	// a delay.
	Queue, QueueOctets int

	// Checksum, SegmentTCP4 and SegmentTCP6 are the offloads both devices claim to do. They do nothing: a partial
	// checksum and a super-segment reach the other end as they are, which is right, since nothing is damaged in
	// memory.
	Checksum                 dev.Checksums
	SegmentTCP4, SegmentTCP6 bool
}

// Device is one end of a pipe. It implements dev.Device.
type Device struct {
	caps    dev.Capabilities
	in, out *link.Queue
}

var _ dev.Device = (*Device)(nil)

// New returns the two ends of a pipe.
func New(cfg Config) (a, b *Device) {
	if cfg.Medium == 0 {
		cfg.Medium = dev.Ethernet
	}
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	if cfg.DelayBack == 0 {
		cfg.DelayBack = cfg.Delay
	}
	caps := dev.Capabilities{
		Medium:      cfg.Medium,
		MTU:         cfg.MTU,
		Checksum:    cfg.Checksum,
		SegmentTCP4: cfg.SegmentTCP4,
		SegmentTCP6: cfg.SegmentTCP6,
	}
	there := link.NewQueue(cfg.Delay, cfg.Queue, cfg.QueueOctets)
	back := link.NewQueue(cfg.DelayBack, cfg.Queue, cfg.QueueOctets)
	return &Device{caps: caps, in: back, out: there}, &Device{caps: caps, in: there, out: back}
}

// Capabilities says what the configuration said.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Receive takes packets that the other end sent a delay ago or earlier.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	return d.in.Receive(now, pkts)
}

// Send puts packets on their way, as many as the queue has room for. A frame that is longer than the MTU allows, and no
// super-segment that the configuration allows, is an error. Once the other end is closed, packets are taken and lost.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	n, bad := link.CheckFrames(&d.caps, pkts)
	sent, err := d.out.Send(now, pkts[:n])
	if err == nil && sent == n && bad != nil {
		err = fmt.Errorf("pipe: %w", bad)
	}
	return sent, err
}

// PollAt is when the first packet on its way to this end becomes due, if there is a delay.
func (d *Device) PollAt() (time.Time, bool) { return d.in.PollAt() }

// WaitReceive waits until Receive has something, or, if there is a delay, until a packet was sent to this end while
// none was on its way, which makes PollAt move. It does not return because a packet becomes due: that is for a timer
// set by PollAt.
func (d *Device) WaitReceive() error { return d.in.WaitReceive() }

// WaitSend waits until the packet that Send had no room for fits.
func (d *Device) WaitSend() error { return d.out.WaitSend() }

// Close ends this device. What it has sent still reaches the other end, which stays open but hears nothing more.
func (d *Device) Close() error {
	d.out.CloseSender()
	d.in.CloseReceiver()
	return nil
}
