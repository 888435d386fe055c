package rawsock

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/internal/link"
)

// sender is a device's way out. It has one user at a time.
type sender struct {
	// The callbacks, made once, so that a call to the socket allocates nothing.
	onSend  func(fd uintptr)
	onRoomy func(fd uintptr) bool

	frame [maxFrame]byte // put together of its pieces

	// What Send is called with, and its results.
	pkts []*packet.Packet
	n    int
	err  error
}

func (s *sender) init(d *Device) {
	s.onSend = d.sendAll
	s.onRoomy = roomy
}

// Send sends frames, each with one system call. While the interface is down, and when its queue is full, they are dropped and
// counted, as a network card drops them. A frame of more than 125 octets is an error.
func (d *Device) Send(_ time.Time, pkts []*packet.Packet) (int, error) {
	if d.closed.Load() {
		return 0, net.ErrClosed
	}
	s := &d.tx
	s.pkts, s.n, s.err = pkts, 0, nil
	if err := d.raw.Control(s.onSend); err != nil {
		s.err = err
	}
	n, err := s.n, s.err
	s.pkts, s.err = nil, nil
	if err != nil {
		return n, d.failed(err)
	}
	return n, nil
}

func (d *Device) sendAll(fd uintptr) {
	s := &d.tx
	for _, p := range s.pkts {
		if s.err = link.CheckFrame(&d.caps, p); s.err != nil {
			return
		}
		switch err := write(fd, s.frame[:p.CopyTo(s.frame[:], 0)]); err {
		case nil:
		case unix.ENETDOWN:
			d.down.Add(1)
		case unix.ENOBUFS, unix.ENOMEM:
			d.noBuffer.Add(1)
		case unix.EAGAIN:
			return
		default:
			s.err = gone("write", err)
			return
		}
		p.Release()
		s.n++
	}
}

func write(fd uintptr, frame []byte) error {
	for {
		if _, err := unix.Write(int(fd), frame); err != unix.EINTR {
			return err
		}
	}
}

// WaitSend waits until the socket has room again, because the interface has sent frames that wait there.
func (d *Device) WaitSend() error {
	err := d.raw.Write(d.tx.onRoomy)
	switch {
	case d.closed.Load():
		return net.ErrClosed
	case err != nil:
		return d.failed(err)
	}
	return nil
}

// roomy reports whether the socket has room. It looks by itself, since the poller may have told of it before WaitSend.
func roomy(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds[:], 0)
	return n > 0 || err != nil && err != unix.EINTR && err != unix.EAGAIN
}
