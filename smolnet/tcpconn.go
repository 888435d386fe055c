package smolnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// TCPConn is a TCP connection: net.TCPConn for a smolnet stack, with its methods but for File and SyscallConn,
// which would need a file descriptor.
//
// All methods may be called by several goroutines at once. Each Write is sent without the octets of another in between.
type TCPConn struct {
	ep  endpoint
	tcp *tcp.Conn

	// held is what was received and detached from tcp, but not yet copied to the user. It belongs to the call whose
	// turn it is to read.
	held storage.Queue

	addresses atomic.Pointer[tcpAddresses] // made when first asked for
}

// tcpAddresses are those of a connection's ends, as its user sees them.
type tcpAddresses struct{ local, remote *net.TCPAddr }

var (
	_ net.Conn      = (*TCPConn)(nil)
	_ io.ReaderFrom = (*TCPConn)(nil)
	_ io.WriterTo   = (*TCPConn)(nil)
)

func (c *TCPConn) ok() bool { return c != nil && c.ep.stack != nil }

// Read reads what has arrived into b, waiting for the first octet of it. It returns io.EOF, bare, once the peer has
// finished sending and all of it was read. Any other error is a *net.OpError.
func (c *TCPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.read(b)
	return n, c.failure("read", "read", err)
}

func (c *TCPConn) read(b []byte) (int, error) {
	c.ep.read.enter()
	defer c.ep.read.leave()
	n, err := c.receive(len(b), false, &c.held)
	if err != nil {
		return 0, err
	}
	return c.held.Read(b[:n]), nil
}

// receive waits until there is something to read and moves it behind what is in the queue already, until that holds n
// octets if there are so many. It returns how many of them the caller is to take, at most n unless the caller takes
// whole packets; the window is opened for those at once. It is the caller's turn.
func (c *TCPConn) receive(n int, whole bool, into *storage.Queue) (int, error) {
	s := c.ep.stack
	s.mu.Lock()
	for {
		switch {
		case !c.ep.open():
			s.unlock()
			return 0, net.ErrClosed
		case n == 0:
			s.unlock()
			return 0, nil
		case c.ep.read.passed():
			s.unlock()
			return 0, os.ErrDeadlineExceeded
		case c.ep.read.shut:
			s.unlock()
			return 0, io.EOF
		}
		if missing := n - into.Octets(); missing > 0 {
			c.tcp.Receive(missing, into)
		}
		if octets := into.Octets(); octets > 0 {
			if !whole {
				octets = min(octets, n)
			}
			c.tcp.Consumed(time.Now(), octets)
			s.release()
			return octets, nil
		}
		if err := c.readEnd(); err != nil {
			s.unlock()
			return 0, err
		}
		c.ep.wait(&c.ep.read)
	}
}

// readEnd says why nothing more will arrive, or nil if something may. A failure is reported to every Read. (A Unix
// system reports it once, be it to a Read or a Write, and from then on the end of the stream, as if nothing had
// been lost.)
func (c *TCPConn) readEnd() error {
	if c.tcp.ReadClosed() {
		return io.EOF
	}
	err := c.tcp.Err()
	c.ep.reported = c.ep.reported || err != nil
	return err
}

// Write writes b, waiting for room in the send buffer as often as it takes. If it returns an error, a *net.OpError,
// then n says how much was written before.
func (c *TCPConn) Write(b []byte) (n int, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	c.ep.write.enter()
	defer c.ep.write.leave()
	n, err = c.write(b)
	return n, c.failure("write", "write", err)
}

// small is how many octets are copied with the mutex held, because that takes less time than to take it again.
const small = 1 << 10

// write is Write, of a caller whose turn it is.
func (c *TCPConn) write(b []byte) (written int, err error) {
	s := c.ep.stack
	var fill storage.Fill
	s.mu.Lock()
	for {
		if err := c.reserve(&fill, len(b)-written); err != nil {
			s.unlock()
			return written, err
		}
		if len(b) == 0 {
			s.unlock()
			return 0, nil
		}
		if fill.Room() <= small {
			written += fill.Write(b[written:])
		} else {
			s.unlock()
			written += fill.Write(b[written:])
			s.mu.Lock()
		}
		c.tcp.Commit(time.Now(), &fill)
		s.release()
		if written == len(b) {
			return written, nil
		}
		s.mu.Lock()
	}
}

// reserve waits until some of the n octets may be written and begins to fill them in. The mutex is held.
func (c *TCPConn) reserve(fill *storage.Fill, n int) error {
	for {
		switch {
		case !c.ep.open():
			return net.ErrClosed
		case c.ep.write.passed():
			return os.ErrDeadlineExceeded
		case c.ep.write.shut:
			return tcp.ErrWriteClosed
		}
		if room, err := c.tcp.Reserve(fill, n); err != nil {
			return c.writeEnd(err)
		} else if room > 0 || n == 0 {
			return nil
		}
		c.ep.wait(&c.ep.write)
	}
}

// writeEnd returns why nothing more can be written: what the connection failed of, the first time, and from then on
// that it is over, as a Unix system has it.
func (c *TCPConn) writeEnd(err error) error {
	if c.ep.reported {
		return tcp.ErrWriteClosed
	}
	c.ep.reported = c.tcp.Err() != nil
	return err
}

// Close closes the connection. What was written is still delivered, in the background, unless SetLinger(0) says
// otherwise or the peer has sent what was not read: then the connection is reset. Calls under way return
// net.ErrClosed in a *net.OpError, and so does a second Close.
func (c *TCPConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	s := c.ep.stack
	s.mu.Lock()
	if c.ep.closed {
		s.unlock()
		return c.failure("close", "close", net.ErrClosed)
	}
	c.ep.close()
	s.unlock()

	// Calls under way are about to return. What one is just filling in comes before the FIN, and what one has
	// detached is not to be touched.
	c.ep.write.enter()
	c.ep.read.enter()
	s.mu.Lock()
	c.tcp.Close(time.Now())
	s.release()
	c.held.Reset()
	c.ep.read.leave()
	c.ep.write.leave()
	return nil
}

// CloseRead ends reading: what was not read is dropped, and what still comes will be; Read returns io.EOF, one
// under way included. Most callers should use Close.
func (c *TCPConn) CloseRead() error {
	return c.control("close", "shutdown", func(now time.Time) error {
		if err := c.connected(); err != nil {
			return err
		}
		c.ep.read.shut = true
		c.tcp.CloseRead(now)
		c.ep.Notify(ip.Readable)
		return nil
	})
}

// CloseWrite ends writing: the peer reads io.EOF behind everything written before. A Write under way fails. Most
// callers should use Close.
func (c *TCPConn) CloseWrite() error {
	err := c.control("close", "shutdown", func(time.Time) error {
		if err := c.connected(); err != nil {
			return err
		}
		c.ep.write.shut = true
		c.ep.Notify(ip.Writable)
		return nil
	})
	if err != nil {
		return err
	}
	c.ep.write.enter()
	defer c.ep.write.leave()
	return c.control("close", "shutdown", func(now time.Time) error {
		c.tcp.CloseWrite(now)
		return nil
	})
}

// connected returns an error if the connection has failed, or both sides have ended it.
func (c *TCPConn) connected() error {
	if state := c.tcp.State(); c.tcp.Err() != nil || state == tcp.TimeWait || state == tcp.Closed {
		return neterr.ErrNotConnected
	}
	return nil
}

// LocalAddr returns the local address, a *net.TCPAddr that must not be changed.
func (c *TCPConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.ends().local
}

// RemoteAddr returns the peer's address, a *net.TCPAddr that must not be changed.
func (c *TCPConn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.ends().remote
}

// failure puts err into a *net.OpError of this connection's.
func (c *TCPConn) failure(op, call string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return neterr.Op(op, call, c.ep.network.String(), c.LocalAddr(), c.RemoteAddr(), err)
}

// ends returns the addresses of the connection's ends, which are made when one is first asked for.
func (c *TCPConn) ends() *tcpAddresses {
	if made := c.addresses.Load(); made != nil {
		return made
	}
	shown := func(addr netip.AddrPort) *net.TCPAddr {
		return net.TCPAddrFromAddrPort(c.ep.stack.shown(addr, c.tcp.Link(), c.ep.mapped))
	}
	c.addresses.CompareAndSwap(nil, &tcpAddresses{shown(c.tcp.LocalAddr()), shown(c.tcp.RemoteAddr())})
	return c.addresses.Load()
}

// control does something to the connection, unless it is closed, with the mutex held.
func (c *TCPConn) control(op, call string, do func(now time.Time) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	s := c.ep.stack
	s.mu.Lock()
	var err error = net.ErrClosed
	if c.ep.open() {
		err = do(time.Now())
	}
	s.release()
	return c.failure(op, call, err)
}
