// Package dialer connects through a smolnet stack as net.Dialer connects through the operating system: with the same
// fields, the same methods, the same errors.
//
//	d := dialer.Dialer{Stack: stack, Timeout: 5 * time.Second}
//	conn, err := d.DialContext(ctx, "tcp", "192.168.69.100:80")
package dialer

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Stack is what a Dialer needs of a stack. *smolnet.Stack implements it.
//
// Its errors are bare, without operation and addresses: the Dialer puts them into *net.OpError.
type Stack interface {
	// Resolve returns the addresses that address stands for on the network, in the order in which to try them, at least
	// one. The network is one of "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"; address is "host:port". An empty host
	// yields an invalid netip.Addr. An IPv6 address may have a zone.
	Resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error)

	// ConnectTCP opens a connection to remote and returns when it is established, has failed, or ctx is done. An
	// invalid local address, and a local port of 0, are chosen by the stack. An invalid or unspecified remote
	// address is the stack itself.
	ConnectTCP(ctx context.Context, network string, local, remote netip.AddrPort, options Options) (net.Conn, error)

	// ConnectUDP makes a socket that exchanges datagrams with remote alone. The addresses are as for ConnectTCP. The
	// connection also implements net.PacketConn.
	ConnectUDP(ctx context.Context, network string, local, remote netip.AddrPort, options Options) (net.Conn, error)
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

	// Timeout is how long a dial may take at most. If Deadline is set too, it may fail earlier. The default is no
	// timeout; TCP itself gives up after a while.
	//
	// When there are several addresses to try, they share the time.
	Timeout time.Duration

	// Deadline is when dials fail at the latest. If Timeout is set too, they may fail earlier. Zero means no deadline.
	Deadline time.Time

	// LocalAddr is the address to dial from, a *net.TCPAddr or *net.UDPAddr as the network demands. If nil, the stack
	// chooses.
	LocalAddr net.Addr

	// KeepAlive is the time, and the interval, after which an idle TCP connection is probed, unless KeepAliveConfig is
	// enabled. Zero is the default of 15 seconds; a negative value disables keep-alive.
	KeepAlive time.Duration

	// KeepAliveConfig sets keep-alive in detail, if its Enable is set.
	KeepAliveConfig net.KeepAliveConfig

	// ReadBuffer and WriteBuffer are the sizes of the connection's buffers, in octets, from the start; 0: the stack's
	// defaults. Package net has no such fields: there, a Control function would set them.
	ReadBuffer, WriteBuffer int

	// TCP is all else that can be chosen for a TCP connection, such as its congestion control; zero fields are the stack's
	// defaults. Its KeepAlive and buffers hold where they are set, instead of the fields above. Package net has no such field.
	TCP tcp.Options
}

// Dial connects to the address on the network: see net.Dial for their forms. It is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to the address on the network: see net.Dial for their forms; "tcp", "tcp4", "tcp6", "udp",
// "udp4" and "udp6" are known. Once it has returned a connection, ctx no longer affects it.
//
// An error is a *net.OpError, as package net's is: over *os.SyscallError with an error number if the network failed;
// Is context.DeadlineExceeded and a timeout if time ran out; Is context.Canceled if ctx was cancelled;
// net.UnknownNetworkError, *net.AddrError or *net.DNSError if network or address are not usable.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx == nil {
		panic("nil context")
	}
	return d.dial(ctx, network, address, d.options())
}

func (d *Dialer) dial(ctx context.Context, network, address string, options Options) (net.Conn, error) {
	if deadline := d.deadline(ctx, time.Now()); !deadline.IsZero() {
		if sooner, ok := ctx.Deadline(); !ok || deadline.Before(sooner) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			defer cancel()
		}
	}
	addrs, err := d.addresses(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("dial", "", network, nil, nil, err)
	}
	return d.dialSerial(ctx, network, addrs, options)
}

// DialFastOpen is DialContext for TCP with what to send first, which goes along with the SYN and so may save a round trip
// (RFC 7413): if the server has granted a cookie to this stack before, and as much as fits. Else, and the rest, follows the
// handshake, and a cookie is asked for. It returns when the connection is established.
//
// What is in a SYN may reach the server twice: data must be such that this does no harm, as an HTTP GET. It must not be larger than
// the send buffer can become (syscall.EINVAL). The networks are "tcp", "tcp4" and "tcp6".
func (d *Dialer) DialFastOpen(ctx context.Context, network, address string, data []byte) (net.Conn, error) {
	if ctx == nil {
		panic("nil context")
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, neterr.Op("dial", "", network, nil, nil, net.UnknownNetworkError(network))
	}
	options := d.options()
	options.TCP.FastOpen, options.Data = true, data
	return d.dial(ctx, network, address, options)
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
func (d *Dialer) addresses(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	if err := known(network); err != nil {
		return nil, err
	}
	if address == "" {
		return nil, neterr.ErrMissingAddress
	}
	addrs, err := d.Stack.Resolve(ctx, network, address)
	if err != nil || d.LocalAddr == nil {
		return addrs, err
	}
	local, ok := localAddr(network, d.LocalAddr)
	if !ok {
		return nil, &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()}
	}
	var suitable []netip.AddrPort
	for _, addr := range addrs {
		if wildcard(local) || wildcard(addr) || local.Addr().Is4() == addr.Addr().Unmap().Is4() {
			suitable = append(suitable, addr)
		}
	}
	if len(suitable) == 0 {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: d.LocalAddr.String()}
	}
	return suitable, nil
}

func known(network string) error {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		return nil
	}
	return net.UnknownNetworkError(network)
}

// localAddr returns addr, of which ok says whether it is of the network's type. A nil pointer is no address.
func localAddr(network string, addr net.Addr) (local netip.AddrPort, ok bool) {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		local, ok = addr.AddrPort(), network[:3] == "tcp"
	case *net.UDPAddr:
		local, ok = addr.AddrPort(), network[:3] == "udp"
	}
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), ok
}

func wildcard(addr netip.AddrPort) bool {
	return !addr.Addr().IsValid() || addr.Addr().IsUnspecified()
}

// dialSerial tries one address after the other. The first error is what the caller gets to see, as the most
// relevant one.
func (d *Dialer) dialSerial(ctx context.Context, network string, addrs []netip.AddrPort, options Options) (net.Conn, error) {
	var first error
	for i, addr := range addrs {
		c, err := d.dialSingle(ctx, network, addr, len(addrs)-i, options)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// dialSingle tries one address, of so many that remain to be tried, and gives it its share of the time.
func (d *Dialer) dialSingle(
	ctx context.Context, network string, addr netip.AddrPort, remaining int, options Options,
) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.failure(network, addr, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if sooner := partialDeadline(time.Now(), deadline, remaining); sooner.Before(deadline) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, sooner)
			defer cancel()
		}
	}
	local, _ := localAddr(network, d.LocalAddr)
	connect := d.Stack.ConnectTCP
	if network[:3] == "udp" {
		connect = d.Stack.ConnectUDP
	}
	c, err := connect(ctx, network, local, addr, options)
	if err != nil {
		return nil, d.failure(network, addr, err)
	}
	return c, nil
}

// leastShare is what an address gets at least of the time that remains, if so much remains.
const leastShare = 2 * time.Second

// partialDeadline returns when to turn to the next of the remaining addresses.
func partialDeadline(now, deadline time.Time, remaining int) time.Time {
	left := deadline.Sub(now)
	return now.Add(min(left, max(leastShare, left/time.Duration(remaining))))
}

func (d *Dialer) options() Options {
	keepAlive := d.KeepAliveConfig
	if !keepAlive.Enable && d.KeepAlive >= 0 {
		keepAlive = net.KeepAliveConfig{Enable: true, Idle: d.KeepAlive}
	}
	return Options{KeepAlive: keepAlive, ReadBuffer: d.ReadBuffer, WriteBuffer: d.WriteBuffer, TCP: d.TCP}
}

func (d *Dialer) failure(network string, addr netip.AddrPort, err error) error {
	var remote net.Addr = net.TCPAddrFromAddrPort(addr)
	if network[:3] == "udp" {
		remote = net.UDPAddrFromAddrPort(addr)
	}
	return neterr.Op("dial", "connect", network, d.LocalAddr, remote, err)
}
