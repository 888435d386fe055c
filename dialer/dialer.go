// Package dialer connects through a smolnet stack as net.Dialer connects through the operating system: with the same
// fields, the same methods, the same errors.
//
//	d := dialer.Dialer{Stack: stack, Timeout: 5 * time.Second}
//	conn, err := d.DialContext(ctx, "tcp", "server.example:http")
//
// Names are asked of the stack's resolver, or of another in the field Resolver; of several addresses those of two families race
// (Happy Eyeballs). In addition there are the field Control, in place of net.Dialer's, for what a connection is to begin with,
// the fields ReadBuffer, WriteBuffer and TCP for the commonest of that, and DialFastOpen. Who needs none of all this calls the
// methods of smolnet.Stack of these names, which are a Dialer's with nothing but Stack set.
//
// Not there is DialUnix. What demands a *net.Dialer, such as tls.Dialer, cannot have one of these.
package dialer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Stack is what a Dialer needs of a stack. *smolnet.Stack implements it.
//
// Its errors are bare, without operation and addresses: the Dialer puts them into *net.OpError.
type Stack interface {
	// Resolve returns the addresses that address stands for on the network, in the order in which to try them, at least
	// one. The network is one of "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", and address is "host:port"; or it is
	// "ip", "ip4" or "ip6" with a protocol, as "ip4:icmp", and address is the host. An empty host yields an invalid netip.Addr. An IPv6 address may have a zone.
	Resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error)

	// ConnectTCP opens a connection to remote and returns when it is established, has failed, or ctx is done. An
	// invalid local address, and a local port of 0, are chosen by the stack. An invalid or unspecified remote
	// address is the stack itself.
	ConnectTCP(ctx context.Context, network string, local, remote netip.AddrPort, options Options) (net.Conn, error)

	// ConnectUDP makes a socket that exchanges datagrams with remote alone. The addresses are as for ConnectTCP. The
	// connection also implements net.PacketConn.
	ConnectUDP(ctx context.Context, network string, local, remote netip.AddrPort, options Options) (net.Conn, error)

	// ConnectIP makes a socket that exchanges IP packets of the network's protocol with remote alone. The addresses are as for
	// ConnectTCP. The connection also implements net.PacketConn.
	ConnectIP(ctx context.Context, network string, local, remote netip.Addr, options Options) (net.Conn, error)
}

// Resolver turns names into numbers. *smolnet.Resolver is one, and so is *net.Resolver.
type Resolver interface {
	// LookupNetIP returns the addresses of a host, of the network "ip4", "ip6", or "ip" for both, in the order in which to
	// try them.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)

	// LookupPort returns the port of a service, such as "http" on the network "tcp".
	LookupPort(ctx context.Context, network, service string) (int, error)
}

// Options is what a Dialer asks of the connection that a stack makes.
type Options struct {
	// KeepAlive is as in net.TCPConn.SetKeepAliveConfig. TCP only.
	KeepAlive net.KeepAliveConfig

	// ReadBuffer and WriteBuffer are the sizes of the buffers, in octets; 0: the stack's defaults. They are in force
	// before the first packet leaves.
	ReadBuffer, WriteBuffer int

	// TCP is all else that can be chosen for a TCP connection; zero fields are the stack's defaults. Its KeepAlive and buffers hold
	// where they are set, instead of those above.
	TCP tcp.Options

	// UDP is what datagrams, and IP packets, bear in their IP headers; zero fields are the defaults. UDP and IP only.
	UDP udp.Options

	// Data is what to send first. With TCP.FastOpen it may travel in the SYN. It is not kept. TCP only.
	Data []byte
}

// Dialer is net.Dialer for a smolnet stack. Stack must be set; the zero value of any other field is the same as dialing
// without that option.
//
// Its methods may be called by several goroutines at once.
type Dialer struct {
	// Stack is the stack to dial through.
	Stack Stack

	// Timeout is how long a dial may take at most, name resolution included. If Deadline is set too, it may fail
	// earlier. The default is no timeout; TCP itself gives up after a while.
	//
	// When there are several addresses to try, they share the time.
	Timeout time.Duration

	// Deadline is when dials fail at the latest. If Timeout is set too, they may fail earlier. Zero means no deadline.
	Deadline time.Time

	// LocalAddr is the address to dial from, a *net.TCPAddr, *net.UDPAddr or *net.IPAddr as the network demands. If nil, the stack
	// chooses.
	LocalAddr net.Addr

	// DualStack does nothing.
	//
	// Deprecated: Two families race by default, as with net.Dialer. A negative FallbackDelay prevents that.
	DualStack bool

	// FallbackDelay is how long a dial of the network "tcp" waits for the addresses of the family that is preferred,
	// before it tries those of the other at the same time: RFC 8305, also called Happy Eyeballs. If the preferred ones
	// fail sooner, it turns to the others at once. Zero is the default of 300 ms; a negative value has all addresses
	// tried one after the other.
	FallbackDelay time.Duration

	// KeepAlive is the time after which an idle TCP connection is probed, unless KeepAliveConfig is enabled. Zero is the
	// default of 15 seconds; a negative value disables keep-alive. Either way the probes are 15 seconds apart, and the
	// connection fails when nine have not been answered.
	KeepAlive time.Duration

	// KeepAliveConfig sets keep-alive in detail, if its Enable is set.
	KeepAliveConfig net.KeepAliveConfig

	// Resolver is asked for the numbers of names. If nil, it is the stack's own. A *net.Resolver fits, but what
	// it asks, it asks through the operating system unless its own fields say otherwise.
	Resolver Resolver

	// Cancel ends dials when it is closed.
	//
	// Deprecated: Use DialContext, as with net.Dialer.
	Cancel <-chan struct{}

	// Control, if not nil, is called for each address before anything is sent to it, and may change what the connection
	// begins with: buffers, congestion control, the fields of the IP headers. options holds what the fields below
	// amount to; network has one family, "tcp4" for instance, and address is the one to connect to. An error ends the
	// attempt with it. When two families race, it may be called twice at the same time.
	//
	// It is in place of net.Dialer's Control and ControlContext, which set the options of a file descriptor.
	Control func(ctx context.Context, network, address string, options *Options) error

	// ReadBuffer and WriteBuffer are the sizes of the connection's buffers, in octets, from the start; 0: the stack's
	// defaults; less is syscall.EINVAL. Package net has no such fields.
	ReadBuffer, WriteBuffer int

	// TCP is all else that can be chosen for a TCP connection, such as its congestion control; zero fields are the stack's
	// defaults. Its KeepAlive and buffers hold where they are set, instead of the fields above. Package net has no such field.
	TCP tcp.Options
}

// errNoStack is what becomes of a net.Dialer whose name alone was changed.
var errNoStack = errors.New("the Dialer's Stack is not set")

// Dial connects to the address on the network: see net.Dial for their forms. It is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to the address on the network: see net.Dial for their forms; "tcp", "tcp4", "tcp6", "udp",
// "udp4", "udp6", and "ip", "ip4" and "ip6" with a protocol are known. Once it has returned a connection, ctx no longer affects it.
//
// An error is a *net.OpError, as package net's is: over *os.SyscallError with an error number if the network failed;
// Is context.DeadlineExceeded and a timeout if time ran out; Is context.Canceled if ctx was cancelled;
// net.UnknownNetworkError, *net.AddrError or *net.DNSError if network or address are not usable. When several addresses
// were tried it is the error of the first.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dial(ctx, network, address, d.options())
}

// DialTCP connects to raddr, from laddr unless that is zero. The network is "tcp", "tcp4" or "tcp6". Of the Dialer's fields
// LocalAddr does not matter. The connection of a smolnet stack is a *smolnet.TCPConn.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (net.Conn, error) {
	return d.dialTo(ctx, "tcp", network, laddr, raddr)
}

// DialUDP makes a socket that exchanges datagrams with raddr alone, at laddr unless that is zero. The network is "udp", "udp4" or
// "udp6". Of the Dialer's fields LocalAddr does not matter. The socket of a smolnet stack is a *smolnet.UDPConn.
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (net.Conn, error) {
	return d.dialTo(ctx, "udp", network, laddr, raddr)
}

// DialIP makes a socket that exchanges IP packets with raddr alone, at laddr unless that is zero. The network is "ip", "ip4" or
// "ip6" with a protocol behind a colon, as a number or by name. Of the Dialer's fields LocalAddr does not matter. The socket of a
// smolnet stack is a *smolnet.IPConn.
func (d *Dialer) DialIP(ctx context.Context, network string, laddr, raddr netip.Addr) (net.Conn, error) {
	return d.dialTo(ctx, "ip", network, netip.AddrPortFrom(laddr, 0), netip.AddrPortFrom(raddr, 0))
}

// DialFastOpen is DialContext for TCP with what to send first, which goes along with the SYN and so may save a round trip
// (RFC 7413): if the server has granted a cookie to this stack before, and as much as fits. Else, and the rest, follows the
// handshake, and a cookie is asked for. It returns when the connection is established.
//
// What is in a SYN may reach the server twice: data must be such that this does no harm, as an HTTP GET. It must not be larger than
// the send buffer can become (syscall.EINVAL). The networks are "tcp", "tcp4" and "tcp6".
func (d *Dialer) DialFastOpen(ctx context.Context, network, address string, data []byte) (net.Conn, error) {
	if _, err := inet.ParseNetworkOf("tcp", network); err != nil {
		return nil, neterr.Op("dial", "", network, nil, nil, err)
	}
	options := d.options()
	options.TCP.FastOpen, options.Data = true, data
	return d.dial(ctx, network, address, options)
}

// MultipathTCP reports whether Multipath TCP is used: it is not.
func (d *Dialer) MultipathTCP() bool { return false }

// SetMultipathTCP does nothing, as package net's does where the system has no Multipath TCP.
func (d *Dialer) SetMultipathTCP(bool) {}

// dial finds out what the address means and connects there.
func (d *Dialer) dial(ctx context.Context, network, address string, options Options) (net.Conn, error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	n, addrs, err := d.addresses(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("dial", "", network, nil, nil, err)
	}
	a := attempt{Dialer: d, network: n, name: network, local: d.LocalAddr, options: options}
	if d.FallbackDelay >= 0 && n.String() == "tcp" {
		if primaries, fallbacks := partition(addrs); len(fallbacks) > 0 {
			return a.race(ctx, primaries, fallbacks)
		}
	}
	return a.serial(ctx, addrs)
}

// dialTo connects to an address that needs no looking up.
func (d *Dialer) dialTo(ctx context.Context, protocol, network string, laddr, raddr netip.AddrPort) (net.Conn, error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	n, err := inet.ParseNetworkOf(protocol, network)
	if err == nil && d.Stack == nil {
		err = errNoStack
	}
	if err != nil {
		n = inet.ProtocolNetwork(protocol)
		return nil, neterr.Op("dial", "", network, n.Addr(laddr), n.Addr(raddr), err)
	}
	a := attempt{Dialer: d, network: n, name: network, local: n.Addr(laddr), options: d.options()}
	return a.serial(ctx, []netip.AddrPort{raddr})
}

// bounded returns a context that ends when the dial must: with ctx, at the deadline, or with Cancel.
func (d *Dialer) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == nil {
		panic("nil context")
	}
	cancelDeadline := func() {}
	if deadline := d.deadline(ctx, time.Now()); !deadline.IsZero() {
		if sooner, ok := ctx.Deadline(); !ok || deadline.Before(sooner) {
			ctx, cancelDeadline = context.WithDeadline(ctx, deadline)
		}
	}
	if d.Cancel == nil {
		return ctx, cancelDeadline
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-d.Cancel:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		cancelDeadline()
	}
}

// deadline is the earliest of the three that may be set, or zero. A negative Timeout counts, as it does in package net.
func (d *Dialer) deadline(ctx context.Context, now time.Time) time.Time {
	earliest := d.Deadline
	if d.Timeout != 0 {
		earliest = earlier(earliest, now.Add(d.Timeout))
	}
	if deadline, ok := ctx.Deadline(); ok {
		earliest = earlier(earliest, deadline)
	}
	return earliest
}

// earlier returns the earlier of two times, where zero is no time at all.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// addresses returns what the dial may try: those of the address's that LocalAddr can reach.
func (d *Dialer) addresses(ctx context.Context, network, address string) (inet.Network, []netip.AddrPort, error) {
	n, err := inet.ParseNetwork(network)
	if err != nil {
		return n, nil, err
	}
	if d.Stack == nil {
		return n, nil, errNoStack
	}
	if address == "" {
		return n, nil, neterr.ErrMissingAddress
	}
	var addrs []netip.AddrPort
	if d.Resolver != nil {
		addrs, err = inet.Resolve(ctx, d.Resolver, n, address)
	} else {
		addrs, err = d.Stack.Resolve(ctx, network, address)
	}
	if err != nil || d.LocalAddr == nil {
		return n, addrs, err
	}
	local, ok := n.AddrPort(d.LocalAddr)
	if !ok {
		return n, nil, &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()}
	}
	var suitable []netip.AddrPort
	for _, addr := range addrs {
		if wildcard(local) || wildcard(addr) || local.Addr().Is4() == addr.Addr().Unmap().Is4() {
			suitable = append(suitable, addr)
		}
	}
	if len(suitable) == 0 {
		return n, nil, &net.AddrError{Err: "no suitable address found", Addr: d.LocalAddr.String()}
	}
	return n, suitable, nil
}

func wildcard(addr netip.AddrPort) bool {
	return !addr.Addr().IsValid() || addr.Addr().IsUnspecified()
}

func (d *Dialer) options() Options {
	return Options{
		KeepAlive:  inet.KeepAlive(d.KeepAliveConfig, d.KeepAlive),
		ReadBuffer: d.ReadBuffer, WriteBuffer: d.WriteBuffer, TCP: d.TCP,
	}
}
