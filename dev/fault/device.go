package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// batch is how many packets go into the inner device, or come from it, at once, and rounds how many batches one Receive
// takes, all of which may be dropped, before it lets others have their turn.
const (
	batch  = 64
	rounds = 64
)

// Device is the wrapper. It implements dev.Device.
//
// Frames that time holds back on their way out leave when a caller of Send or Receive says that they are due; PollAt says
// when that is. The mutex is held across no call out.
type Device struct {
	inner dev.Device
	caps  dev.Capabilities

	receiving, roomy wait // the inner device's own waits

	readable, writable chan struct{} // one slot each: something has changed for who waits
	done               chan struct{} // closed with the device

	// Receive's own.
	incoming [batch]*packet.Packet

	mu      sync.Mutex
	now     time.Time // the latest time that a caller has told
	out, in way
	closed  bool

	// Frames that are due to leave go through outgoing[first:last]. They are those of whoever has set sending, which is
	// one of the callers of Send and Receive.
	sending     bool
	outgoing    [batch]*packet.Packet
	first, last int
	full        bool // the inner device took fewer frames than it was given

	told    time.Time // when PollAt has said that the next frame leaves; zero: never
	moved   bool      // that has become earlier since WaitReceive last looked
	stirred bool      // the last Receive has sent something into the inner device, or has not finished
	stalled bool      // the last Receive left frames in the inner device for want of room
}

var _ dev.Device = (*Device)(nil)

// New returns a device that does to what passes inner both ways what config says. The error names the value that is
// wrong.
func New(inner dev.Device, config Config) (*Device, error) {
	if inner == nil {
		return nil, errors.New("fault: there is no inner device")
	}
	d := &Device{
		inner:    inner,
		caps:     inner.Capabilities(),
		readable: make(chan struct{}, 1),
		writable: make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	d.receiving.call, d.roomy.call = inner.WaitReceive, inner.WaitSend
	d.out.rand = rand.New(rand.NewPCG(config.Seed, 0))
	d.in.rand = rand.New(rand.NewPCG(config.Seed, 1))
	d.out.finisher = finisher{d.caps.Medium, claimed(d.caps.Checksum, dev.ChecksumTx)}
	d.in.finisher = finisher{d.caps.Medium, claimed(d.caps.Checksum, dev.ChecksumRx)}
	d.caps.Checksum = claimed(d.caps.Checksum, dev.ChecksumTx)
	if err := d.SetConfig(config); err != nil {
		return nil, err
	}
	return d, nil
}

// claimed returns what checksums say of one direction.
func claimed(checksums dev.Checksums, direction dev.Checksum) dev.Checksums {
	return dev.Checksums{
		IPv4:   checksums.IPv4 & direction,
		ICMPv4: checksums.ICMPv4 & direction,
		ICMPv6: checksums.ICMPv6 & direction,
		UDP:    checksums.UDP & direction,
		TCP:    checksums.TCP & direction,
	}
}

// SetConfig changes what becomes of frames from now on; those on their way stay as they are. The random source goes on as
// it was, whatever the seed. The error names the value that is wrong; nothing has changed then.
func (d *Device) SetConfig(config Config) error {
	out, err := config.Out.withDefaults("Out")
	if err != nil {
		return err
	}
	in, err := config.In.withDefaults("In")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out.config, d.in.config = out, in
	signal(d.writable)
	return nil
}

// Counters returns what has become of frames until now.
func (d *Device) Counters() (out, in Counters) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.counters, d.in.counters
}

// Capabilities are the inner device's, but that every received checksum is to be verified.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// enter begins Send and Receive: it takes note of the time and returns it, or that of a caller who was told a later one.
// The mutex is held.
func (d *Device) enter(now time.Time) (time.Time, error) {
	if d.closed {
		return now, net.ErrClosed
	}
	if now.After(d.now) {
		d.now = now
	}
	return d.now, nil
}

// Send takes packets and does to them what the configuration says. It takes fewer than all while the inner device has no
// room for frames that are due, and while frames of 64 MiB are on their way. A frame that is longer than the MTU allows,
// and no super-segment that the device takes, is an error.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	d.mu.Lock()
	now, err := d.enter(now)
	if err != nil {
		d.mu.Unlock()
		return 0, err
	}
	if d.out.straight() && d.first == d.last && !d.sending {
		d.sending = true
		d.mu.Unlock()
		n, err := d.inner.Send(now, pkts)
		d.mu.Lock()
		d.sending = false
		d.full = err == nil && n < len(pkts)
		d.out.counters.Frames += uint64(n)
		d.out.counters.Passed += uint64(n)
		d.mu.Unlock()
		return n, err
	}
	d.mu.Unlock()
	return d.send(now, pkts)
}

// send is Send when something is done to packets, or others are before them.
func (d *Device) send(now time.Time, pkts []*packet.Packet) (int, error) {
	n, bad := link.CheckFrames(&d.caps, pkts)
	sent, err := 0, d.flush()
	for err == nil && sent < n && d.takes() {
		d.pass(&d.out, now, pkts[sent])
		sent++
	}
	if sent > 0 {
		err = d.flush()
	}
	if err == nil && sent == n && bad != nil {
		err = fmt.Errorf("fault: %w", bad)
	}
	return sent, err
}

// takes reports whether Send takes a packet.
func (d *Device) takes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.out.held.full() && !d.stuck()
}

// pending reports whether frames are due to leave, and stuck whether the inner device has no room for them. The mutex is
// held.
func (d *Device) pending() bool { return d.first < d.last || d.out.held.due(d.now) }

func (d *Device) stuck() bool { return d.full && d.pending() }

// flush sends what is due, and tells WaitReceive if a frame is due to leave before what PollAt has said.
func (d *Device) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.pump()
	if due, ok := d.out.held.next(); ok && (d.told.IsZero() || due.Before(d.told)) {
		d.moved = true
	}
	if d.moved {
		signal(d.readable)
	}
	return err
}

// pass puts a packet on its way, or each of the frames that it stands for.
func (d *Device) pass(w *way, now time.Time, p *packet.Packet) {
	for p = w.frames(p); p != nil; {
		next := p.Next
		p.Next = nil
		d.mu.Lock()
		script, n := w.config.Script, w.counters.Frames
		d.mu.Unlock()
		action := Pass
		if script != nil {
			action = script(w.frame(n, now, p))
		}
		d.mu.Lock()
		if d.closed {
			p.Release()
		} else {
			w.enter(now, p, action)
		}
		d.mu.Unlock()
		p = next
	}
}

// pump sends the frames that are due into the inner device, and returns how many it sent. If another goroutine is at it,
// that one sees to them. The error is net.ErrClosed. The mutex is held, but released in between.
func (d *Device) pump() (sent int, err error) {
	if d.sending {
		return 0, nil
	}
	d.sending = true
	for !d.closed {
		if d.first == d.last {
			d.first, d.last = 0, d.out.take(d.now, d.outgoing[:])
			if d.last == 0 {
				break
			}
			signal(d.writable)
		}
		now, first, last := d.now, d.first, d.last
		d.mu.Unlock()
		n, failure := d.inner.Send(now, d.outgoing[first:last])
		d.mu.Lock()
		clear(d.outgoing[first : first+n])
		d.first += n
		d.out.counters.Passed += uint64(n)
		sent += n
		d.full = failure == nil && d.first < d.last
		if d.full {
			break
		}
		if failure == nil || d.first == d.last && !errors.Is(failure, net.ErrClosed) {
			continue
		}
		if errors.Is(failure, net.ErrClosed) {
			err = net.ErrClosed
			d.discard()
			break
		}
		drop(&d.out.counters.Dropped.Device, d.outgoing[d.first])
		d.outgoing[d.first] = nil
		d.first++
	}
	d.sending = false
	if d.closed {
		d.discard()
	}
	if d.full {
		signal(d.readable) // WaitReceive now waits for room as well
	}
	return sent, err
}

// discard drops what is on its way out. The mutex is held, and nobody is sending.
func (d *Device) discard() {
	for ; d.first < d.last; d.first++ {
		drop(&d.out.counters.Dropped.Device, d.outgoing[d.first])
		d.outgoing[d.first] = nil
	}
	d.out.counters.Dropped.Device += uint64(d.out.held.release())
}

// Receive takes frames that have come through, or come through now.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, err := d.enter(now)
	if err != nil {
		return 0, err
	}
	sent, _ := d.pump() // who sends, and the inner device's own Receive, will hear of an error too
	d.stirred = sent > 0
	if d.stalled {
		d.stalled = false
		signal(d.readable) // WaitReceive now waits for the inner device again
	}
	n := 0
	for round := 0; err == nil && !d.closed; round++ {
		n += d.in.deliver(now, pkts[n:])
		if n == len(pkts) {
			break
		}
		if d.in.held.full() {
			d.stalled = true
			break
		}
		if round == rounds {
			d.stirred = true
			break
		}
		var k, most int
		if d.in.straight() {
			most = len(pkts) - n
			d.mu.Unlock()
			k, err = d.inner.Receive(now, pkts[n:])
			d.untouched(pkts[n : n+k])
			d.mu.Lock()
			d.in.counters.Frames += uint64(k)
			d.in.counters.Passed += uint64(k)
			n += k
		} else {
			most = len(d.incoming)
			d.mu.Unlock()
			k, err = d.inner.Receive(now, d.incoming[:])
			for i, p := range d.incoming[:k] {
				d.incoming[i] = nil
				d.pass(&d.in, now, p)
			}
			d.mu.Lock()
		}
		if k < most {
			n += d.in.deliver(now, pkts[n:])
			break
		}
	}
	return n, err
}

// untouched finishes frames that pass as they are.
func (d *Device) untouched(pkts []*packet.Packet) {
	if !d.in.finishes() {
		return
	}
	for _, p := range pkts {
		d.in.untouched(p)
	}
}

// PollAt is when the next frame comes through, either way, or when time makes a difference to the inner device. It is not
// after now if the last Receive has done more than its result tells, or less than it could: it has sent something, so
// that there is something at the other end, or dropped as much as is good for one call.
func (d *Device) PollAt() (time.Time, bool) {
	at, ok := d.inner.PollAt()
	d.mu.Lock()
	defer d.mu.Unlock()
	earlier := func(other time.Time) {
		if !ok || other.Before(at) {
			at, ok = other, true
		}
	}
	if d.stirred {
		earlier(d.now)
	}
	d.told = time.Time{}
	if due, some := d.out.held.next(); some && !d.stuck() {
		d.told = due
		earlier(due)
	}
	if due, some := d.in.held.next(); some {
		earlier(due)
	}
	return at, ok
}

// Close closes the inner device, and releases what is on its way. Closing again does nothing.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.in.counters.Dropped.Device += uint64(d.in.held.release())
	if !d.sending {
		d.discard()
	}
	close(d.done)
	d.mu.Unlock()
	return d.inner.Close()
}
