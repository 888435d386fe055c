package smolnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKernelErrorsOfTCP(t *testing.T) {
	errorRows(t, tcpClosed, tcpEnded, tcpDeadlines, tcpCopies, tcpNothing)
}

// Why the two differ.
const (
	truncated = "whoever reads on would take what was cut off for the whole: the failure is reported to every Read"
	spliced   = "package net has the kernel splice both, and lays everything to the account of who reads from the other"
)

// afterwards notes what every method says of a connection that is over.
func (a *actor) afterwards(c tcpConn) {
	a.read("Read", c, 1)
	a.read("Read of nothing", c, 0)
	a.write("Write", c, 1)
	a.write("Write of nothing", c, 0)
	n, err := c.ReadFrom(strings.NewReader("x"))
	a.note("ReadFrom", free, err, n)
	n, err = c.WriteTo(io.Discard)
	a.note("WriteTo", free, err, n)
	a.note("CloseRead", shuttingDown, c.CloseRead())
	a.note("CloseWrite", shuttingDown, c.CloseWrite())
	for _, set := range setters {
		a.note(set.name, setting, set.do(c))
	}
}

// setters are what can be set of a connection.
var setters = []struct {
	name string
	do   func(c tcpConn) error
}{
	{"SetDeadline", func(c tcpConn) error { return c.SetDeadline(time.Time{}) }},
	{"SetDeadline, past", func(c tcpConn) error { return c.SetReadDeadline(time.Unix(1, 0)) }},
	{"SetReadDeadline", func(c tcpConn) error { return c.SetReadDeadline(time.Time{}) }},
	{"SetWriteDeadline", func(c tcpConn) error { return c.SetWriteDeadline(time.Time{}) }},
	{"SetLinger", func(c tcpConn) error { return c.SetLinger(-1) }},
	{"SetNoDelay", func(c tcpConn) error { return c.SetNoDelay(true) }},
	{"SetKeepAlive", func(c tcpConn) error { return c.SetKeepAlive(true) }},
	{"SetKeepAlivePeriod", func(c tcpConn) error { return c.SetKeepAlivePeriod(time.Minute) }},
	{"SetKeepAliveConfig", func(c tcpConn) error { return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) }},
	{"SetReadBuffer", func(c tcpConn) error { return c.SetReadBuffer(65536) }},
	{"SetWriteBuffer", func(c tcpConn) error { return c.SetWriteBuffer(65536) }},
}

var tcpClosed = []row{
	{name: "close twice", do: func(a *actor) {
		c, _ := a.tcp()
		for _, step := range []string{"first", "second", "third"} {
			a.note(step, operationOf(step), c.Close())
		}
	}},
	{name: "everything after Close", do: func(a *actor) {
		c, _ := a.tcp()
		a.must(c.Close())
		a.afterwards(c)
		a.note("LocalAddr", free, nil, c.LocalAddr())
		a.note("RemoteAddr", free, nil, c.RemoteAddr())
		_, err := c.MultipathTCP()
		a.note("MultipathTCP", setting, err)
	}},
	{name: "close while reading and writing", do: func(a *actor) {
		c, _ := a.tcp()
		wrote := make(chan error, 1)
		go func() {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					wrote <- err
					return
				}
			}
		}()
		timer := time.AfterFunc(10*time.Millisecond, func() { c.Close() })
		defer timer.Stop()
		a.read("Read", c, 1)
		a.note("Write", writing, <-wrote)
	}},
	{name: "setters of a connection", but: []difference{
		{
			step:   "SetKeepAliveConfig too long",
			kernel: "OpError{set tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{setsockopt}: EINVAL",
			stack:  "nil",
			why:    "the kernel counts up to 32767 seconds, the stack in nanoseconds",
		},
	}, do: func(a *actor) {
		c, _ := a.tcp()
		for _, set := range setters {
			a.note(set.name, setting, set.do(c))
		}
		a.must(c.SetDeadline(time.Time{}))
		a.note("SetKeepAliveConfig too long", setting, c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 1 << 62}))
		a.note("SetKeepAliveConfig too often", setting, c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 1 << 20}))
		a.note("SetReadBuffer of 0", setting, c.SetReadBuffer(0))
		a.note("SetReadBuffer of -1", setting, c.SetReadBuffer(-1))
		a.note("SetWriteBuffer of -1", setting, c.SetWriteBuffer(-1))
		a.note("SetLinger of more than there is", setting, c.SetLinger(1<<30))
		a.read("Read of nothing", c, 0)
		a.write("Write of nothing", c, 0)
	}},
}

// operationOf is the first Close, which succeeds, or another.
func operationOf(step string) operation {
	if step == "first" {
		return free
	}
	return closing
}

// tcpEnded is what is left of a connection of which one side or the other has had enough.
var tcpEnded = []row{
	{name: "after CloseWrite", do: func(a *actor) {
		c, peer := a.tcp()
		a.note("CloseWrite", shuttingDown, c.CloseWrite())
		a.write("Write", c, 1)
		a.write("Write again", c, 1)
		a.write("Write of nothing", c, 0)
		n, err := c.ReadFrom(strings.NewReader("x"))
		a.note("ReadFrom", free, err, n)
		a.note("CloseWrite again", shuttingDown, c.CloseWrite())
		a.must(peer.CloseWrite())
		a.read("Read", c, 1)
		a.settle()
		a.note("CloseWrite at the end", shuttingDown, c.CloseWrite())
		a.note("CloseRead at the end", shuttingDown, c.CloseRead())
		a.note("Close", free, c.Close())
	}},
	{name: "after CloseRead", do: func(a *actor) {
		c, _ := a.tcp()
		a.note("CloseRead", shuttingDown, c.CloseRead())
		a.read("Read", c, 1)
		a.read("Read of nothing", c, 0)
		n, err := c.WriteTo(io.Discard)
		a.note("WriteTo", free, err, n)
		a.write("Write", c, 1)
		a.note("CloseRead again", shuttingDown, c.CloseRead())
		a.must(c.SetReadDeadline(time.Unix(1, 0)))
		a.read("Read past the deadline", c, 1)
	}},
	{name: "after the peer's end", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(peer.CloseWrite())
		a.read("Read", c, 1)
		a.read("Read again", c, 1)
		a.read("Read of nothing", c, 0)
		n, err := c.WriteTo(io.Discard)
		a.note("WriteTo", free, err, n)
		a.write("Write", c, 1)
		a.must(c.SetReadDeadline(time.Unix(1, 0)))
		a.read("Read past the deadline", c, 1)
	}},
	{name: "after the peer's reset: reading", but: []difference{
		{
			step:   "Read again",
			kernel: "0, io.EOF",
			stack:  "0, OpError{read tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{read}: ECONNRESET",
			why:    truncated,
		},
	}, do: func(a *actor) {
		c, peer := a.reset()
		_ = peer
		a.read("Read", c, 1)
		a.read("Read again", c, 1)
		a.write("Write", c, 1)
		a.write("Write again", c, 1)
	}},
	{name: "after the peer's reset: writing", but: []difference{
		{
			step:   "Read",
			kernel: "0, io.EOF",
			stack:  "0, OpError{read tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{read}: ECONNRESET",
			why:    truncated,
		},
		{
			step:   "Read again",
			kernel: "0, io.EOF",
			stack:  "0, OpError{read tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{read}: ECONNRESET",
			why:    truncated,
		},
	}, do: func(a *actor) {
		c, _ := a.reset()
		a.write("Write", c, 1)
		a.write("Write again", c, 1)
		a.read("Read", c, 1)
		a.read("Read again", c, 1)
	}},
	{name: "after the peer's reset: nothing to read and to write", do: func(a *actor) {
		c, _ := a.reset()
		a.read("Read of nothing", c, 0)
		a.write("Write of nothing", c, 0)
		a.write("Write", c, 1)
	}},
	{name: "after the peer's reset: shutting down", do: func(a *actor) {
		c, _ := a.reset()
		a.note("CloseWrite", shuttingDown, c.CloseWrite())
		a.note("CloseRead", shuttingDown, c.CloseRead())
		a.read("Read", c, 1)
		a.note("Close", free, c.Close())
	}},
	{name: "after the peer's reset: setters", do: func(a *actor) {
		c, _ := a.reset()
		for _, set := range setters {
			a.note(set.name, setting, set.do(c))
		}
		a.note("LocalAddr", free, nil, c.LocalAddr())
		a.note("RemoteAddr", free, nil, c.RemoteAddr())
	}},
	{name: "after the peer's reset: copying", do: func(a *actor) {
		c, _ := a.reset()
		n, err := c.WriteTo(io.Discard)
		a.note("WriteTo", free, err, n)
		n, err = c.ReadFrom(strings.NewReader("x"))
		a.note("ReadFrom", free, err, n)
	}},
	{name: "reset while reading and writing", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(peer.SetLinger(0))
		timer := time.AfterFunc(10*time.Millisecond, func() { peer.Close() })
		defer timer.Stop()
		a.read("Read", c, 1)
	}},
	{name: "reset before what was sent is read", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(errors.Join(second(peer.Write([]byte("hello"))), peer.SetLinger(0)))
		a.settle()
		a.must(peer.Close())
		a.settle()
		a.read("Read", c, 5)
		a.read("Read again", c, 5)
	}},
	{name: "write to who has closed", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(peer.Close())
		a.settle()
		a.write("Write", c, 1)
		a.settle()
		a.write("Write again", c, 1)
		a.write("Write a third time", c, 1)
		a.read("Read", c, 1)
	}},
	{name: "write to who has closed, and read", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(peer.Close())
		a.settle()
		a.write("Write", c, 1)
		a.settle()
		a.read("Read", c, 1)
		a.read("Read again", c, 1)
	}},
}

// second is an error without what is beside it.
func second[T any](_ T, err error) error { return err }

// reset returns a connection that the peer has reset.
func (a *actor) reset() (c, peer tcpConn) {
	a.t.Helper()
	c, peer = a.tcp()
	a.must(errors.Join(peer.SetLinger(0), peer.Close()))
	a.settle()
	return c, peer
}

var tcpDeadlines = []row{
	{name: "deadlines", do: func(a *actor) {
		c, _ := a.tcp()
		a.must(c.SetDeadline(time.Unix(1, 0)))
		a.read("Read, past", c, 1)
		a.read("Read of nothing, past", c, 0)
		a.write("Write, past", c, 1)
		a.write("Write of nothing, past", c, 0)
		n, err := c.ReadFrom(strings.NewReader("x"))
		a.note("ReadFrom, past", free, err, n)
		n, err = c.WriteTo(io.Discard)
		a.note("WriteTo, past", free, err, n)
		a.must(c.SetDeadline(time.Time{}))
		a.must(c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
		a.read("Read, soon", c, 1)
		a.read("Read, again", c, 1)
		a.write("Write, meanwhile", c, 1)
	}},
	{name: "deadline while reading", do: func(a *actor) {
		c, _ := a.tcp()
		timer := time.AfterFunc(10*time.Millisecond, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		defer timer.Stop()
		a.read("Read", c, 1)
	}},
	{name: "deadline while writing", do: func(a *actor) {
		c, _ := a.tcp()
		a.must(c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)))
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		a.note("Write", writing, err)
		a.must(c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)))
		_, err = c.ReadFrom(strings.NewReader(strings.Repeat("x", 1<<20)))
		a.note("ReadFrom", free, err)
	}},
	{name: "a deadline that is past, after other ends", do: func(a *actor) {
		c, _ := a.tcp()
		a.must(errors.Join(c.CloseWrite(), c.SetDeadline(time.Unix(1, 0))))
		a.write("Write after CloseWrite", c, 1)
		a.note("CloseWrite", shuttingDown, c.CloseWrite())
		c, _ = a.reset()
		a.must(c.SetDeadline(time.Unix(1, 0)))
		a.read("Read after a reset", c, 1)
		a.write("Write after a reset", c, 1)
	}},
}

var errBroken = errors.New("broken")

// broken fails.
type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

// lazy writes nothing, and says so.
type lazy struct{}

func (lazy) Write([]byte) (int, error) { return 0, nil }

var tcpCopies = []row{
	{name: "copy from what is broken", do: func(a *actor) {
		c, _ := a.tcp()
		n, err := c.ReadFrom(broken{})
		a.note("ReadFrom", free, err, n)
		n, err = io.Copy(c, broken{})
		a.note("io.Copy", free, err, n)
		n, err = c.ReadFrom(io.LimitReader(broken{}, 5))
		a.note("ReadFrom, limited", free, err, n)
		n, err = c.ReadFrom(io.MultiReader(strings.NewReader("x"), broken{}))
		a.note("ReadFrom, later", free, err, n)
	}},
	{name: "copy to what is broken", do: func(a *actor) {
		c, peer := a.tcp()
		a.must(second(peer.Write([]byte("hello"))))
		n, err := c.WriteTo(broken{})
		a.note("WriteTo", free, err, n)
		a.must(second(peer.Write([]byte("hello"))))
		n, err = io.Copy(lazy{}, c)
		a.note("io.Copy to who writes nothing", free, err, n)
	}},
	{name: "copy a file", but: []difference{
		{
			step:   "after CloseWrite",
			kernel: "0, OpError{readfrom tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{sendfile}: EPIPE",
			stack:  "0, OpError{readfrom tcp TCPAddr LOCAL->TCPAddr REMOTE}: OpError{write tcp TCPAddr LOCAL->TCPAddr REMOTE}: SyscallError{write}: EPIPE",
			why:    "package net has the kernel send the file, and here it is written",
		},
	}, do: func(a *actor) {
		name := filepath.Join(a.t.TempDir(), "file")
		a.names = append(a.names, named{name, "FILE"})
		rewind := func(f *os.File) { a.must(second(f.Seek(0, io.SeekStart))) }
		a.must(os.WriteFile(name, []byte("hello"), 0o600))
		file, err := os.Open(name)
		a.must(err)
		c, _ := a.tcp()
		n, err := c.ReadFrom(file)
		a.note("whole", free, err, n)
		n, err = c.ReadFrom(file)
		a.note("its end", free, err, n)
		rewind(file)
		a.must(c.SetWriteDeadline(time.Unix(1, 0)))
		n, err = c.ReadFrom(file)
		a.note("past the deadline", free, err, n)
		a.must(c.SetWriteDeadline(time.Time{}))
		a.must(c.CloseWrite())
		rewind(file)
		n, err = c.ReadFrom(file)
		a.note("after CloseWrite", free, err, n)
		a.must(c.Close())
		rewind(file)
		n, err = c.ReadFrom(file)
		a.note("after Close", free, err, n)
		a.must(file.Close())
		c, _ = a.tcp()
		n, err = c.ReadFrom(file)
		a.note("a closed one", free, err, n)
	}},
	{name: "copy from one connection to another", but: []difference{
		{
			step:   "that is closed",
			kernel: "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE}: OpError{readfrom tcp TCPAddr LOCAL->TCPAddr REMOTE}: net.ErrClosed",
			stack:  "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE}: OpError{write tcp TCPAddr LOCAL->TCPAddr REMOTE}: net.ErrClosed",
			why:    spliced,
		},
		{
			step:   "past the deadline",
			kernel: "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE} timeout temporary: OpError{readfrom tcp TCPAddr LOCAL->TCPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			stack:  "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE} timeout temporary: OpError{read tcp TCPAddr LOCAL->TCPAddr REMOTE} timeout temporary: os.ErrDeadlineExceeded timeout temporary",
			why:    spliced,
		},
		{
			step:   "from one that is closed",
			kernel: "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE}: OpError{readfrom tcp TCPAddr LOCAL->TCPAddr REMOTE}: net.ErrClosed",
			stack:  "0, OpError{writeto tcp TCPAddr LOCAL->TCPAddr REMOTE}: OpError{read tcp TCPAddr LOCAL->TCPAddr REMOTE}: net.ErrClosed",
			why:    spliced,
		},
	}, do: func(a *actor) {
		from, fromPeer := a.tcp()
		to, _ := a.tcp()
		a.must(second(fromPeer.Write([]byte("hello"))))
		a.must(to.Close())
		n, err := io.Copy(to, from)
		a.note("that is closed", free, err, n)
		to, _ = a.tcp()
		a.must(from.SetReadDeadline(time.Unix(1, 0)))
		n, err = io.Copy(to, from)
		a.note("past the deadline", free, err, n)
		a.must(from.Close())
		n, err = io.Copy(to, from)
		a.note("from one that is closed", free, err, n)
	}},
}

// tcpNothing are the methods of nil pointers and zero values.
var tcpNothing = []row{
	{name: "TCP methods of a nil pointer", but: []difference{
		{
			step:   "listener's Addr",
			kernel: "panic, nil",
			stack:  "nil, nil",
			why:    "nothing panics here",
		},
	}, do: func(a *actor) {
		c, _, l := a.nothing()
		a.methods(c)
		a.listenerMethods(l)
	}},
	{name: "TCP methods of the zero value", but: []difference{
		{
			step:   "listener's Addr",
			kernel: "panic, nil",
			stack:  "nil, nil",
			why:    "nothing panics here",
		},
	}, do: func(a *actor) {
		c, _, l := a.zero()
		a.methods(c)
		a.listenerMethods(l)
	}},
}

func (a *actor) methods(c tcpConn) {
	for _, method := range []struct {
		name string
		do   func() (any, error)
	}{
		{"Read", func() (any, error) { return c.Read(make([]byte, 1)) }},
		{"Write", func() (any, error) { return c.Write(make([]byte, 1)) }},
		{"ReadFrom", func() (any, error) { return c.ReadFrom(strings.NewReader("x")) }},
		{"WriteTo", func() (any, error) { return c.WriteTo(io.Discard) }},
		{"LocalAddr", func() (any, error) { return something(c.LocalAddr()), nil }},
		{"RemoteAddr", func() (any, error) { return something(c.RemoteAddr()), nil }},
		{"CloseRead", func() (any, error) { return nil, c.CloseRead() }},
		{"CloseWrite", func() (any, error) { return nil, c.CloseWrite() }},
		{"MultipathTCP", func() (any, error) { return c.MultipathTCP() }},
		{"Close", func() (any, error) { return nil, c.Close() }},
	} {
		a.try(method.name, method.do)
	}
	for _, set := range setters {
		a.try(set.name, func() (any, error) { return nil, set.do(c) })
	}
}

func (a *actor) listenerMethods(l tcpListener) {
	a.try("Accept", func() (any, error) {
		c, err := l.Accept()
		return something(c), err
	})
	a.try("listener's SetDeadline", func() (any, error) { return nil, l.SetDeadline(time.Time{}) })
	a.try("listener's Addr", func() (any, error) { return something(l.Addr()), nil })
	a.try("listener's Close", func() (any, error) { return nil, l.Close() })
}
