package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// The tests named TestKernelErrors have package net, on the kernel, and the stack do the same, each against the other, and
// compare what each says of it: the values, the text of the error, all that is nested in it, and what it is to errors.Is.

// row is something to be done by either side alike.
type row struct {
	name string
	do   func(a *actor)

	// Where the two differ, in the order of the steps.
	but []difference
}

// except is the row with differences.
func (r row) except(but ...difference) row {
	r.but = but
	return r
}

// difference is a step whose outcomes are not the same, both of them, and why.
type difference struct {
	step          string
	kernel, stack string
	why           string
}

// actor does what a row says with package net or with the stack, and notes what comes of it.
type actor struct {
	world
	t          *testing.T
	peerWorld  world
	self, peer *host

	names    []named
	outcomes []said
}

// said is what came of one step.
type said struct {
	step   string
	result string // values and nested errors
	text   string // of the error
	is     string // to errors.Is
	broken error  // a rule of package net's
}

// named is an address that differs from run to run, or from side to side.
type named struct{ address, name string }

// errorRows holds every row, all at once: some wait for seconds until an address that nobody has is given up.
func errorRows(t *testing.T, rows ...[]row) {
	t.Helper()
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	net.DefaultResolver.PreferGo = true // it says the same on every system
	device, kernel := overTap.open(t), newKernel(t)
	c := attach(t, device, kernel, smolnet.Config{}, behind(kernel)...)
	addSilence(t, c.stack)
	for _, limit := range []string{"ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"} {
		require.NoError(t, os.WriteFile("/proc/sys/net/"+limit, []byte("0"), 0))
	}
	for _, r := range slices.Concat(rows...) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			kernel := &actor{world: kernelWorld{}, peerWorld: stackWorld{c.stack.stack}, self: c.kernel, peer: c.stack}
			stack := &actor{world: stackWorld{c.stack.stack}, peerWorld: kernelWorld{}, self: c.stack, peer: c.kernel}
			r.compare(t, kernel.perform(t, r.do), stack.perform(t, r.do))
		})
	}
}

// perform does what a row says.
func (a *actor) perform(t *testing.T, do func(*actor)) []said {
	t.Helper()
	a.t = t
	a.names = []named{
		{a.self.ipv4.String(), "SELF4"}, {a.self.ipv6.String(), "SELF6"}, {a.self.linkLocal.String(), "SELFLL"},
		{a.peer.ipv4.String(), "PEER4"}, {a.peer.ipv6.String(), "PEER6"}, {a.peer.linkLocal.String(), "PEERLL"},
		{"%" + a.self.zone, "%ZONE"},
	}
	do(a)
	for i := range a.outcomes {
		o := &a.outcomes[i]
		o.result, o.text = a.anonymous(o.result), a.anonymous(o.text)
	}
	return a.outcomes
}

// compare requires the same of both sides, but where the row says something else.
func (r *row) compare(t *testing.T, kernel, stack []said) {
	t.Helper()
	require.NotEmpty(t, kernel, "nothing was noted")
	require.Len(t, stack, len(kernel))
	different := r.but
	for i, k := range kernel {
		s := stack[i]
		require.Equal(t, k.step, s.step)
		if len(different) > 0 && different[0].step == k.step {
			require.NotEmpty(t, different[0].why)
			if k.result != different[0].kernel || s.result != different[0].stack {
				t.Errorf("%s:\nkernel %s\nwant   %s\nstack  %s\nwant   %s",
					k.step, k.result, different[0].kernel, s.result, different[0].stack)
			}
			different = different[1:]
			continue
		}
		if k.result != s.result || k.text != s.text || k.is != s.is {
			t.Errorf("%s:\nkernel %s\nstack  %s\nkernel %s\nstack  %s\nkernel is %s\nstack  is %s",
				k.step, k.result, s.result, k.text, s.text, k.is, s.is)
		}
		for side, o := range map[string]said{"kernel": k, "stack": s} {
			if o.broken != nil {
				t.Errorf("%s: a rule is broken by the %s: %v", o.step, side, o.broken)
			}
		}
	}
	require.Empty(t, different, "a step that would differ was not taken")
}

// note says what came of a step: values besides the error, and the error.
func (a *actor) note(step string, op operation, err error, values ...any) {
	result := strings.TrimSpace(fmt.Sprintln(values...))
	if result != "" {
		result += ", "
	}
	o := said{step: step, result: result + a.nested(err), broken: op.breaks(err)}
	if err != nil {
		o.text = err.Error()
	}
	var is []string
	for _, known := range knownErrors {
		if errors.Is(err, known) {
			is = append(is, known.Error())
		}
	}
	o.is = strings.Join(is, ", ")
	a.outcomes = append(a.outcomes, o)
}

// knownErrors are those that a program might ask errors.Is for.
var knownErrors = func() []error {
	known := []error{
		net.ErrClosed, os.ErrClosed, os.ErrDeadlineExceeded, context.Canceled, context.DeadlineExceeded, io.EOF,
		io.ErrUnexpectedEOF, io.ErrShortWrite, io.ErrClosedPipe, net.ErrWriteToConnected,
		os.ErrPermission, os.ErrExist, os.ErrNotExist, errors.ErrUnsupported,
	}
	for number := syscall.Errno(1); number < 134; number++ {
		known = append(known, number)
	}
	return known
}()

// nested describes err and all that it wraps, from the outside in.
func (a *actor) nested(err error) string {
	if err == nil {
		return "nil"
	}
	var layers []string
	for ; err != nil; err = errors.Unwrap(err) {
		layer := describe(err)
		if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
			layer += " timeout"
		}
		if e, ok := err.(interface{ Temporary() bool }); ok && e.Temporary() {
			layer += " temporary"
		}
		layers = append(layers, layer)
	}
	return strings.Join(layers, ": ")
}

// describe describes err alone. The types that nobody can name are not told apart, only their texts.
func describe(err error) string {
	switch e := err.(type) {
	case *net.OpError:
		return fmt.Sprintf("OpError{%s %s %s->%s}", e.Op, e.Net, where(e.Source), where(e.Addr))
	case *os.SyscallError:
		return fmt.Sprintf("SyscallError{%s}", e.Syscall)
	case syscall.Errno:
		return unix.ErrnoName(e)
	case *net.AddrError:
		return fmt.Sprintf("AddrError{%s, %s}", e.Err, e.Addr)
	case *net.DNSError:
		return fmt.Sprintf("DNSError{%s, %s, %s, not found %t}", e.Err, e.Name, e.Server, e.IsNotFound)
	case net.UnknownNetworkError:
		return fmt.Sprintf("UnknownNetworkError{%s}", string(e))
	case net.InvalidAddrError:
		return fmt.Sprintf("InvalidAddrError{%s}", string(e))
	case *net.ParseError:
		return fmt.Sprintf("ParseError{%s, %s}", e.Type, e.Text)
	}
	switch err {
	case net.ErrClosed:
		return "net.ErrClosed"
	case os.ErrDeadlineExceeded:
		return "os.ErrDeadlineExceeded"
	case net.ErrWriteToConnected:
		return "net.ErrWriteToConnected"
	case io.EOF:
		return "io.EOF"
	case context.Canceled, context.DeadlineExceeded:
		return "bare " + err.Error()
	}
	return err.Error()
}

// where is an address in an error.
func where(addr net.Addr) string {
	if typedNil(addr) {
		return "typed nil"
	}
	switch addr.(type) {
	case nil:
		return ""
	case *net.TCPAddr, *net.UDPAddr, *net.IPAddr:
		return fmt.Sprintf("%s %s", strings.TrimPrefix(reflect.TypeOf(addr).String(), "*net."), addr)
	}
	return fmt.Sprintf("%s %s", addr.Network(), addr)
}

// call has an address known by a name.
func (a *actor) call(addr net.Addr, name string) {
	if addr != nil {
		a.names = append(a.names, named{addr.String(), name})
	}
}

var portOf = regexp.MustCompile(`:[0-9]{5}\b`)

// anonymous puts names in place of addresses, and of the ports that nobody has chosen.
func (a *actor) anonymous(text string) string {
	slices.SortStableFunc(a.names, func(x, y named) int { return len(y.address) - len(x.address) })
	for _, n := range a.names {
		text = strings.ReplaceAll(text, n.address, n.name)
	}
	return portOf.ReplaceAllStringFunc(text, func(port string) string {
		if n, err := strconv.Atoi(port[1:]); err == nil && n >= 32768 && n < 65500 {
			return ":CHOSEN"
		}
		return port
	})
}

// something tells nil from what is only called so.
func something(v any) string {
	switch value := reflect.ValueOf(v); {
	case v == nil:
		return "nil"
	case value.Kind() == reflect.Pointer && value.IsNil():
		return "typed nil"
	}
	return "something"
}

// opened notes how an attempt to open something ended; what was opened is closed with the row.
func (a *actor) opened(step string, opened io.Closer, err error) {
	what := something(opened)
	if e, ok := err.(*net.OpError); ok && e.Net == "" {
		a.note(step, free, err, what) // package net, too, repeats the empty name
		return
	}
	if what == "something" {
		a.t.Cleanup(func() { opened.Close() })
	}
	a.note(step, opening, err, what)
}

// expired notes that a dial has run out of time. Package net has the context and the socket's deadline expire at the same time, and
// returns what it hears of first: two errors that read the same.
func (a *actor) expired(step string, opened io.Closer, err error) {
	a.opened(step, opened, err)
	last := &a.outcomes[len(a.outcomes)-1]
	last.result = strings.ReplaceAll(last.result, "os.ErrDeadlineExceeded", "i/o timeout")
	require.True(a.t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
	last.is = "out of time"
}

// read notes a Read of up to n octets.
func (a *actor) read(step string, r io.Reader, n int) {
	n, err := r.Read(make([]byte, n))
	a.note(step, reading, err, n)
}

// readFrom notes a ReadFrom.
func (a *actor) readFrom(step string, c net.PacketConn, n int) {
	n, addr, err := c.ReadFrom(make([]byte, n))
	a.note(step, reading, err, n, something(addr))
}

// write notes a Write of n octets.
func (a *actor) write(step string, w io.Writer, n int) {
	n, err := w.Write(make([]byte, n))
	a.note(step, writing, err, n)
}

// writeTo notes a WriteTo of n octets.
func (a *actor) writeTo(step string, c net.PacketConn, n int, addr net.Addr) {
	n, err := c.WriteTo(make([]byte, n), addr)
	a.note(step, writing, err, n)
}

// accept notes an Accept.
func (a *actor) accept(step string, l net.Listener) {
	c, err := l.Accept()
	a.note(step, accepting, err, something(c))
	if err == nil {
		c.Close()
	}
}

// try notes what a function that may panic returns.
func (a *actor) try(step string, do func() (value any, err error)) {
	defer func() {
		if recover() != nil {
			a.note(step, free, nil, "panic")
		}
	}()
	value, err := do()
	if value == nil {
		a.note(step, free, err)
		return
	}
	a.note(step, free, err, value)
}

// must is for what is no step of the row's.
func (a *actor) must(err error) {
	a.t.Helper()
	require.NoError(a.t, err)
}

// port is an address of the peer's.
func (a *actor) port(port int) string { return netip.AddrPortFrom(a.peer.ipv4, uint16(port)).String() }

// tcp returns both ends of a connection that the actor has opened.
func (a *actor) tcp() (c, peer tcpConn) {
	a.t.Helper()
	l, err := a.peerWorld.Listen("tcp", a.port(0))
	a.must(err)
	defer l.Close()
	dialed, err := a.Dial("tcp", l.Addr().String())
	a.must(err)
	a.t.Cleanup(func() { dialed.Close() })
	a.call(dialed.LocalAddr(), "LOCAL")
	a.call(dialed.RemoteAddr(), "REMOTE")
	accepted, err := l.Accept()
	a.must(err)
	a.t.Cleanup(func() { accepted.Close() })
	a.must(dialed.SetDeadline(time.Now().Add(patience)))
	return dialed.(tcpConn), accepted.(tcpConn)
}

// listener returns a listener of the actor's.
func (a *actor) listener() tcpListener {
	a.t.Helper()
	l, err := a.Listen("tcp", netip.AddrPortFrom(a.self.ipv4, 0).String())
	a.must(err)
	a.t.Cleanup(func() { l.Close() })
	a.call(l.Addr(), "LISTENER")
	return l.(tcpListener)
}

// connectedUDP returns a socket connected to one of the peer's.
func (a *actor) connectedUDP() (c, peer udpConn) {
	a.t.Helper()
	peer = a.bound(a.peerWorld, netip.AddrPortFrom(a.peer.ipv4, 0).String())
	dialed, err := a.Dial("udp", peer.LocalAddr().String())
	a.must(err)
	a.t.Cleanup(func() { dialed.Close() })
	a.must(dialed.SetDeadline(time.Now().Add(patience)))
	a.call(dialed.LocalAddr(), "LOCAL")
	a.call(dialed.RemoteAddr(), "REMOTE")
	return dialed.(udpConn), peer
}

// udp returns a socket of the actor's that is bound to all addresses of the network.
func (a *actor) udp(network string) udpConn {
	a.t.Helper()
	c, err := a.ListenUDP(network, nil)
	a.must(err)
	a.t.Cleanup(func() { c.Close() })
	a.must(c.SetDeadline(time.Now().Add(patience)))
	a.call(c.LocalAddr(), "LOCAL")
	return c
}

// bound returns a UDP socket of somebody's.
func (a *actor) bound(w world, address string) udpConn {
	a.t.Helper()
	c, err := w.ListenPacket("udp", address)
	a.must(err)
	a.t.Cleanup(func() { c.Close() })
	a.must(c.SetDeadline(time.Now().Add(patience)))
	return c.(udpConn)
}

// settle returns when all that the peer has sent before has arrived: what comes after has.
func (a *actor) settle() {
	a.t.Helper()
	for range 2 { // the first may be sent together with what the peer is still about to send
		mine, err := a.Listen("tcp", netip.AddrPortFrom(a.self.ipv4, 0).String())
		a.must(err)
		c, err := a.peerWorld.Dial("tcp", mine.Addr().String())
		a.must(err)
		accepted, err := mine.Accept()
		a.must(err)
		a.must(errors.Join(c.Close(), mine.Close()))
		_, err = accepted.Read(make([]byte, 1))
		require.Equal(a.t, io.EOF, err)
		a.must(accepted.Close())
	}
}

// unused is a port of the peer's that nobody listens on.
const unused = 9

// Networks behind a router that forwards nothing and says nothing of it: the other side.
var silentNetworks = []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16"), netip.MustParsePrefix("fdcc::/64")}

// Addresses in them.
const (
	silent4 = "10.99.0.1:80"
	silent6 = "[fdcc::1]:80"
)

// behind is how the stack gets there: by the kernel.
func behind(kernel *host) (routes []core.Route) {
	for _, network := range silentNetworks {
		routes = append(routes, core.Route{Destination: network, Gateway: kernel.in(network)})
	}
	return routes
}

// addSilence is how the kernel gets there: by the stack.
func addSilence(t *testing.T, stack *host) {
	t.Helper()
	for _, network := range silentNetworks {
		require.NoError(t, netns.AddRoute(network, stack.in(network), kernelInterface))
	}
}

// in is the host's address of the network's family.
func (h *host) in(network netip.Prefix) netip.Addr {
	if network.Addr().Is4() {
		return h.ipv4
	}
	return h.ipv6
}
