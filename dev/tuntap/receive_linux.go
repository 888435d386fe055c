package tuntap

import (
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
)

// Where a frame is read to: the octets of a packet, then two chunks. A frame references only the chunks that it
// reaches, so that a small one pins no more than its packet.
const (
	headSize   = 2 << 10
	middleSize = 16 << 10
	lastSize   = 64 << 10 // with what is before it, room for any frame
)

// receiver is a device's way in. Receive and WaitReceive share it.
type receiver struct {
	// The callbacks, made once, so that a call to the file allocates nothing.
	onReceive func(fd uintptr)
	onReady   func(fd uintptr) bool

	waitErr error // WaitReceive's own

	mu       sync.Mutex
	released bool
	header   vnetHeader
	next     *packet.Packet // what the next frame is read to
	head     []byte         // its room
	chunks   [2]*packet.Chunk
	vectors  [4]unix.Iovec // header, head and chunks
	skip     int           // 1 if there is no header
	ahead    *packet.Packet

	// What Receive is called with, and its results.
	pkts []*packet.Packet
	n    int
	err  error
}

func (r *receiver) init(d *Device) {
	r.onReceive = d.receiveAll
	r.onReady = d.readAhead
	r.vectors[0] = vector(r.header[:])
	if !d.vnet {
		r.skip = 1
	}
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
	return n, nil // an error after packets will be there next time
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

// WaitReceive waits until there is a frame, and reads it. A wait that did not read would lose the edge on which the
// poller wakes it.
func (d *Device) WaitReceive() error {
	d.rx.waitErr = nil
	err := d.raw.Read(d.rx.onReady)
	switch {
	case d.closed.Load():
		return net.ErrClosed
	case d.rx.waitErr != nil:
		return d.failed(d.rx.waitErr)
	case err != nil:
		// The file is in error: there is no interface behind it any more.
		return d.failed(errDeleted)
	}
	return nil
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
		return false
	}
	r.ahead, r.waitErr = p, err
	return true
}

// read reads one frame. Its errors are EAGAIN if there is none, errDeleted, or unheard of.
func (d *Device) read(fd uintptr) (*packet.Packet, error) {
	r := &d.rx
	for {
		r.prepare()
		vectors := r.vectors[r.skip:]
		n, _, errno := unix.Syscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return nil, unix.EAGAIN
		case unix.EBADFD:
			return nil, errDeleted
		default:
			return nil, os.NewSyscallError("readv", errno)
		}
		if d.vnet && n < vnetHeaderLen {
			d.badOffload.Add(1)
			continue
		}
		if !d.vnet {
			return r.take(int(n)), nil
		}
		p := r.take(int(n) - vnetHeaderLen)
		if r.header.read(p, d.caps.Medium) {
			return p, nil
		}
		d.badOffload.Add(1)
		p.Release()
	}
}

// prepare provides the buffers that the last frame took with it.
func (r *receiver) prepare() {
	if r.next == nil {
		r.next = packet.New(headSize)
		r.head = r.next.Append(r.next.Tailroom())
		r.vectors[1] = vector(r.head)
	}
	for i, size := range [...]int{middleSize, lastSize} {
		if r.chunks[i] == nil {
			r.chunks[i] = packet.NewChunk(size)
			r.vectors[2+i] = vector(r.chunks[i].Data())
		}
	}
}

// take makes a packet of the n octets that were read.
func (r *receiver) take(n int) *packet.Packet {
	p := r.next
	r.next = nil
	p.Truncate(n)
	n -= p.Len()
	for i := 0; n > 0 && i < len(r.chunks); i++ {
		chunk := r.chunks[i]
		data := chunk.Data()[:min(n, len(chunk.Data()))]
		p.Reference(chunk, data)
		chunk.Release() // the packet has a reference of its own
		r.chunks[i] = nil
		n -= len(data)
	}
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
	for _, c := range r.chunks {
		if c != nil {
			c.Release()
		}
	}
	r.next, r.ahead, r.head, r.chunks, r.vectors = nil, nil, nil, [2]*packet.Chunk{}, [4]unix.Iovec{}
}

func vector(b []byte) unix.Iovec {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	return v
}
