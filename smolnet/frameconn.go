package smolnet

import (
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/internal/neterr"
)

// FrameConn is a socket for the Ethernet frames of one interface, as Linux's AF_PACKET: it reads copies of those that arrive, before the
// stack looks at them, and writes frames as they are. Each Read and Write is one frame, from its Ethernet header on. What the stack
// itself sends it does not read; dev/pcap and dev/trace see that. It implements net.Conn; addresses are FrameAddr.
//
// All methods may be called by several goroutines at once.
type FrameConn struct {
	rawSocket
	frames *raw.Frames
}

var _ net.Conn = (*FrameConn)(nil)

// FrameAddr is the address of a FrameConn: that of its interface.
type FrameAddr struct {
	HardwareAddr wire.HardwareAddr
	Interface    string // its name
}

// Network is "frame".
func (FrameAddr) Network() string { return "frame" }

// String is the hardware address, and the interface's name as a zone.
func (a FrameAddr) String() string { return a.HardwareAddr.String() + "%" + a.Interface }

// ListenFrames makes a socket for the interface's frames of one EtherType, or of all if that is 0, with those that have an IEEE 802.3 length
// in its place. The errors, each a *net.OpError, are syscall.ENODEV if the interface is there no more, EOPNOTSUPP if it is no
// Ethernet, and net.ErrClosed.
func (l *Link) ListenFrames(kind wire.EtherType) (*FrameConn, error) {
	s := l.stack
	c := &FrameConn{rawSocket: rawSocket{
		ep: endpoint{stack: s}, name: "frame", local: FrameAddr{l.ifc.HardwareAddr(), l.ifc.Name()},
	}}
	s.mu.Lock()
	err := error(net.ErrClosed)
	if !s.closed {
		c.frames, err = s.core.Raw().OpenFrames(raw.FrameConfig{Link: l.ifc.Index(), EtherType: kind, Owner: &c.ep})
	}
	s.unlock()
	if err != nil {
		return nil, neterr.Op("listen", "bind", c.name, nil, c.local, err)
	}
	c.raw = &c.frames.Endpoint
	return c, nil
}

func (c *FrameConn) ok() bool { return c != nil && c.rawSocket.ok() }

// Close closes the socket. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close.
func (c *FrameConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.close()
}

// LocalAddr returns the interface's address, a FrameAddr.
func (c *FrameConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.local
}

// RemoteAddr returns nil: each frame says itself where it goes.
func (c *FrameConn) RemoteAddr() net.Addr { return nil }

// Read reads the next frame into b. What does not fit is lost.
func (c *FrameConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	p, err := c.next(c.frames.Receive)
	if err != nil {
		return 0, c.failure("read", "read", err)
	}
	defer p.Release()
	return p.CopyTo(b, 0), nil
}

// Write sends b, a frame with its Ethernet header. The errors, each a *net.OpError, are syscall.EINVAL if b is shorter than the header,
// EMSGSIZE if it carries more than the interface's MTU, and ENODEV if the interface is there no more.
func (c *FrameConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.send(b, func(p *packet.Packet) error { return c.frames.Send(time.Now(), p) })
	return written(b, err), c.failure("write", "write", err)
}
