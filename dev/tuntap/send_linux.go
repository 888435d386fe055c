package tuntap

import (
	"errors"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/internal/link"
)

// patience is how long WaitSend waits at most. A tap nearly always looks writable, and the kernel need not tell when
// one that was full no longer is.
const patience = 5 * time.Millisecond

// sender is a device's way out. It has one user at a time.
type sender struct {
	// The callback, made once, so that a call to the file allocates nothing.
	onSend func(fd uintptr)

	header  vnetHeader
	vectors [4]unix.Iovec // header and the pieces of a packet

	// What Send is called with, and its results.
	pkts []*packet.Packet
	n    int
	err  error
}

func (s *sender) init(d *Device) {
	s.onSend = d.sendAll
	s.vectors[0] = vector(s.header[:])
}

// Send writes packets, each with one system call. While the interface is down, and when the kernel has no memory, they
// are dropped and counted, as a network card drops them.
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
	clear(s.vectors[1:]) // they would keep what was sent from the garbage collector
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
		vectors, err := s.gather(d, p)
		if err != nil {
			s.err = err
			return
		}
		switch errno := writev(fd, vectors); errno {
		case 0:
		case unix.EIO, unix.EBADFD: // the interface is down, or was deleted
			d.down.Add(1)
		case unix.ENOBUFS, unix.ENOMEM:
			d.noBuffer.Add(1)
		case unix.EAGAIN:
			return
		default:
			s.err = os.NewSyscallError("writev", errno)
			return
		}
		p.Release()
		s.n++
	}
}

// gather points the vectors to what is to be written for p.
func (s *sender) gather(d *Device, p *packet.Packet) ([]unix.Iovec, error) {
	n := 1
	for _, piece := range p.Pieces() {
		if len(piece) > 0 {
			s.vectors[n] = vector(piece)
			n++
		}
	}
	if d.vnet {
		return s.vectors[:n], s.header.write(p, d.caps.Medium)
	}
	if p.Checksum == packet.ChecksumPartial {
		return nil, errNoOffload
	}
	return s.vectors[1:n], nil
}

func writev(fd uintptr, vectors []unix.Iovec) unix.Errno {
	for {
		_, _, errno := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(vectors))),
			uintptr(len(vectors)))
		if errno != unix.EINTR {
			return errno
		}
	}
}

// WaitSend waits until the kernel has memory again, or for a few milliseconds.
func (d *Device) WaitSend() error {
	if err := d.file.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return d.failed(err)
	}
	waited := false
	err := d.raw.Write(func(uintptr) bool {
		done := waited
		waited = true
		return done
	})
	switch {
	case d.closed.Load():
		return net.ErrClosed
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return d.failed(errDeleted)
	}
	return nil
}
