package rawsock

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// maxFrame is the longest frame, in octets, with its frame check sequence.
const maxFrame = wire.IEEE802154MaxFrameLen + wire.IEEE802154FCSLen

// whileDown is how often WaitReceive looks for an interface that is down. The socket says that it went down, but not that it
// was deleted then.
const whileDown = 200 * time.Millisecond

// receiver is a device's way in. Receive and WaitReceive share it.
type receiver struct {
	// The callbacks, made once, so that a call to the socket allocates nothing.
	onReceive func(fd uintptr)
	onReady   func(fd uintptr) bool
	onDown    func(fd uintptr)

	// WaitReceive's own.
	waitErr error
	timed   bool // there is a deadline
	untimed bool // the interface has gone down, and there must be one

	mu       sync.Mutex
	released bool
	down     bool           // the interface was, when last heard of
	deleted  bool           // for good
	next     *packet.Packet // what the next frame is read to
	room     []byte         // its room
	ahead    *packet.Packet

	// What Receive is called with, and its results.
	pkts []*packet.Packet
	n    int
	err  error
}

func (r *receiver) init(d *Device) {
	r.onReceive = d.receiveAll
	r.onReady = d.readAhead
	r.onDown = d.lookAgain
}

// Receive reads frames until there are no more, or pkts is full.
func (d *Device) Receive(_ time.Time, pkts []*packet.Packet) (int, error) {
	r := &d.rx
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.released || d.closed.Load() {
		return 0, net.ErrClosed
	}
	r.pkts, r.n, r.err = pkts, 0, nil
	if r.ahead != nil && len(pkts) > 0 {
		pkts[0], r.ahead = r.ahead, nil
		r.n = 1
	}
	if r.n < len(pkts) {
		if err := d.raw.Control(r.onReceive); err != nil {
			r.err = err
		}
	}
	n, err := r.n, r.err
	r.pkts, r.err = nil, nil
	if err != nil && n == 0 {
		return 0, d.failed(err)
	}
	return n, nil // what is wrong with the interface WaitReceive finds out too
}

func (d *Device) receiveAll(fd uintptr) {
	r := &d.rx
	for r.n < len(r.pkts) {
		p, err := d.read(fd)
		if err == unix.EAGAIN {
			return
		}
		if err != nil {
			r.err = err
			return
		}
		r.pkts[r.n] = p
		r.n++
	}
}

// WaitReceive waits until there is a frame, and reads it. A wait that did not read would lose the edge on which the poller
// wakes it.
func (d *Device) WaitReceive() error {
	r := &d.rx
	for {
		r.waitErr, r.untimed = nil, false
		if err := d.setDeadline(); err != nil {
			return d.failed(err)
		}
		err := d.raw.Read(r.onReady)
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if late {
			err = d.raw.Control(r.onDown)
		}
		switch {
		case d.closed.Load():
			return net.ErrClosed
		case r.waitErr != nil:
			return d.failed(r.waitErr)
		case err != nil:
			return d.failed(err)
		case late, r.untimed:
			continue
		}
		return nil
	}
}

// setDeadline has the next wait end in time to look for an interface that is down.
func (d *Device) setDeadline() error {
	r := &d.rx
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if !down && !r.timed {
		return nil
	}
	r.timed = down
	if !down {
		return d.file.SetReadDeadline(time.Time{})
	}
	return d.file.SetReadDeadline(time.Now().Add(whileDown))
}

// readAhead reads one frame for the Receive to come and reports false if there is none.
func (d *Device) readAhead(fd uintptr) bool {
	r := &d.rx
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.released || r.ahead != nil {
		return true
	}
	p, err := d.read(fd)
	if err == unix.EAGAIN {
		r.untimed = r.down && !r.timed
		return r.untimed
	}
	r.ahead, r.waitErr = p, err
	return true
}

// lookAgain looks for an interface that was down.
func (d *Device) lookAgain(fd uintptr) {
	r := &d.rx
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waitErr = d.look(fd)
}

// look finds out what has become of the interface. The error is that it was deleted, or unheard of.
func (d *Device) look(fd uintptr) error {
	up, err := d.isUp(fd)
	d.rx.down, d.rx.deleted = !up, err == errDeleted
	return err
}

// read reads one frame. Its errors are EAGAIN if there is none, errDeleted, or unheard of.
func (d *Device) read(fd uintptr) (*packet.Packet, error) {
	r := &d.rx
	for !r.deleted {
		if r.next == nil {
			r.next = packet.New(maxFrame)
			r.room = r.next.Append(maxFrame)
		}
		// MSG_TRUNC has the result be the frame's length, however much there is room for.
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.room))),
			uintptr(len(r.room)), unix.MSG_TRUNC, 0, 0)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return nil, unix.EAGAIN
		case unix.ENETDOWN:
			// It says so once, and is in order again then.
			if err := d.look(fd); err != nil {
				return nil, err
			}
			continue
		default:
			return nil, gone("recvfrom", errno)
		}
		r.down = false
		if p := d.take(int(n)); p != nil {
			return p, nil
		}
	}
	return nil, errDeleted
}

// take returns the frame of n octets that was read, without its frame check sequence, or nil if there is something wrong with
// it.
func (d *Device) take(n int) *packet.Packet {
	r := &d.rx
	if d.monitor {
		if n > maxFrame {
			d.tooLong.Add(1)
			return nil
		}
		frame, err := wire.TrimIEEE802154FCS(r.room[:n])
		if err != nil {
			d.badFCS.Add(1)
			return nil
		}
		n = len(frame)
	}
	if n > wire.IEEE802154MaxFrameLen {
		d.tooLong.Add(1)
		return nil
	}
	p := r.next
	r.next, r.room = nil, nil
	p.Truncate(n)
	return p
}

// release gives the buffers back, for good.
func (r *receiver) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = true
	for _, p := range []*packet.Packet{r.next, r.ahead} {
		if p != nil {
			p.Release()
		}
	}
	r.next, r.ahead, r.room = nil, nil, nil
}
