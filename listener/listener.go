// Package listener listens on a smolnet stack as net.ListenConfig listens on the operating system: with the same
// fields, the same methods, the same errors.
//
//	lc := listener.ListenConfig{Stack: stack, Backlog: 128}
//	l, err := lc.Listen(ctx, "tcp", ":80")
//
// In addition there are the field Control, in place of net.ListenConfig's, for what connections or sockets are to begin with, and
// fields for what package net leaves to the operating system: Backlog, ReusePort, ReuseAddr, buffers and the options of TCP. Who
// needs none of all this calls the methods of smolnet.Stack, which are a ListenConfig's with nothing but Stack set.
package listener

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

// Stack is what a ListenConfig needs of a stack. *smolnet.Stack implements it.
//
// Its errors are bare, without operation and addresses: the ListenConfig puts them into *net.OpError.
type Stack interface {
	// Resolve returns the addresses that address stands for on the network, at least one. The network is one of "tcp",
	// "tcp4", "tcp6", "udp", "udp4", "udp6", and address is "host:port", or empty; or it is "ip", "ip4" or "ip6" with a
	// protocol, as "ip4:icmp", and address is the host. An empty host yields an invalid netip.Addr. An IPv6 address may have a zone.
	Resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error)

	// ListenOnTCP begins to listen. An invalid or unspecified address is every address of the stack: of both
	// families for "tcp", of one for "tcp4" and "tcp6". The stack chooses a port in place of 0.
	ListenOnTCP(network string, local netip.AddrPort, options Options) (net.Listener, error)

	// ListenOnUDP makes a socket for datagrams from anybody. The address is as for ListenOnTCP.
	ListenOnUDP(network string, local netip.AddrPort, options Options) (net.PacketConn, error)

	// ListenOnIP makes a socket for IP packets of the network's protocol from anybody. The address is as for ListenOnTCP.
	ListenOnIP(network string, local netip.Addr, options Options) (net.PacketConn, error)
}

// Options is what a ListenConfig asks of what a stack makes.
type Options struct {
	// KeepAlive is what accepted connections begin with, as in net.TCPConn.SetKeepAliveConfig. TCP only.
	KeepAlive net.KeepAliveConfig

	// ReusePort and ReuseAddr are as in ListenConfig; ReuseAddr is for UDP only.
	ReusePort, ReuseAddr bool

	// Backlog is how many connections may wait to be accepted; 0: the stack's default. TCP only.
	Backlog int

	// ReadBuffer and WriteBuffer are the sizes of the buffers, in octets, that accepted connections or the UDP socket
	// begin with; 0: the stack's defaults.
	ReadBuffer, WriteBuffer int

	// TCP is all else that accepted connections begin with; zero fields are the stack's defaults. Its KeepAlive and buffers
	// hold where they are set, instead of those above.
	TCP tcp.Options

	// UDP is what datagrams, and IP packets, bear in their IP headers; zero fields are the defaults. UDP and IP only.
	UDP udp.Options
}

// ListenConfig is net.ListenConfig for a smolnet stack. Stack must be set; the zero value of any other field is the
// same as listening without that option.
type ListenConfig struct {
	// Stack is the stack to listen on.
	Stack Stack

	// KeepAlive is the time after which an idle accepted connection is probed, unless KeepAliveConfig is enabled. Zero is
	// the default of 15 seconds; a negative value disables keep-alive. Either way the probes are 15 seconds apart, and
	// the connection fails when nine have not been answered.
	KeepAlive time.Duration

	// KeepAliveConfig sets keep-alive in detail, if its Enable is set.
	KeepAliveConfig net.KeepAliveConfig

	// Control, if not nil, is called before anything can arrive, and may change what accepted connections, or a UDP socket, begin
	// with: buffers, congestion control, the fields of the IP headers. options holds what the fields below amount to; network
	// has one family, "tcp4" for instance ("tcp6" for both), and address is the one to listen on. An error ends the call with
	// it.
	//
	// It is in place of net.ListenConfig's Control, which sets the options of a file descriptor.
	Control func(network, address string, options *Options) error

	// Backlog is how many connections may wait to be accepted; while so many wait, the attempts of others are
	// dropped, for the peer to repeat, and never refused. 0 is the stack's default, core.Limits.TCP.Backlog, 4,096 unless it is
	// set, which is also the most; less is syscall.EINVAL. Package net takes the number from the operating system's configuration.
	Backlog int

	// ReusePort shares an address and port with others, all of which must have set it, as the socket option SO_REUSEPORT does.
	// Each connection goes to one of the listeners, and all the datagrams from one sender to one of the sockets, by a seeded hash of
	// addresses and ports; what is sent to a multicast or broadcast address goes to all sockets. Package net has no such field.
	ReusePort bool

	// ReuseAddr lets UDP sockets have the same address and port, all of which must have set it, as the socket option SO_REUSEADDR does
	// on Linux: what is sent to a multicast or broadcast address goes to all of them, as a responder for mDNS needs it, and
	// the rest to the one that came last. It means nothing for TCP, whose listeners may follow one another without. Package net has
	// no such field.
	ReuseAddr bool

	// ReadBuffer and WriteBuffer are the sizes of the buffers, in octets, that accepted connections or a UDP socket
	// begin with; 0: the stack's defaults; less is syscall.EINVAL. Package net has no such fields.
	ReadBuffer, WriteBuffer int

	// TCP is all else that accepted TCP connections begin with, such as their congestion control, and FastOpen is whether data in
	// their SYNs is taken; zero fields are the stack's defaults. Its KeepAlive and buffers hold where they are set, instead of
	// the fields above. Package net has no such field.
	TCP tcp.Options
}

// Listen announces on the local address: see net.Listen. The networks are "tcp", "tcp4" and "tcp6". ctx matters
// while the address is resolved, not later.
//
// An error is a *net.OpError, as package net's is: over *os.SyscallError with an error number if the address is not
// available or in use; net.UnknownNetworkError, *net.AddrError or *net.DNSError if network or address are not usable.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	n, local, err := lc.resolve(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, nil, err)
	}
	if n.Protocol() != "tcp" {
		return nil, neterr.Op("listen", "", network, nil, n.Addr(local), unexpected(address))
	}
	options, err := lc.options(n, local)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, n.Addr(local), err)
	}
	l, err := lc.Stack.ListenOnTCP(network, local, options)
	if err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, n.Addr(local), err)
	}
	return l, nil
}

// ListenPacket announces on the local address: see net.ListenPacket. The networks are "udp", "udp4" and "udp6", and
// "ip", "ip4" and "ip6" with a protocol, as "ip4:icmp". ctx and errors are as for Listen.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	n, local, err := lc.resolve(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, nil, err)
	}
	if n.Protocol() == "tcp" {
		return nil, neterr.Op("listen", "", network, nil, n.Addr(local), unexpected(address))
	}
	options, err := lc.options(n, local)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, n.Addr(local), err)
	}
	var c net.PacketConn
	if n.Protocol() == "udp" {
		c, err = lc.Stack.ListenOnUDP(network, local, options)
	} else {
		c, err = lc.Stack.ListenOnIP(network, local.Addr(), options)
	}
	if err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, n.Addr(local), err)
	}
	return c, nil
}

// MultipathTCP reports whether Multipath TCP is used: it is not.
func (lc *ListenConfig) MultipathTCP() bool { return false }

// SetMultipathTCP does nothing, as package net's does where the system has no Multipath TCP.
func (lc *ListenConfig) SetMultipathTCP(bool) {}

// errNoStack is what becomes of a net.ListenConfig whose name alone was changed.
var errNoStack = errors.New("the ListenConfig's Stack is not set")

func unexpected(address string) error {
	return &net.AddrError{Err: "unexpected address type", Addr: address}
}

// resolve returns the one address to listen on: the first of IPv4, as package net has it, or else the first.
func (lc *ListenConfig) resolve(ctx context.Context, network, address string) (n inet.Network, local netip.AddrPort, err error) {
	n, err = inet.ParseNetwork(network)
	if err != nil {
		return n, local, err
	}
	if lc.Stack == nil {
		return n, local, errNoStack
	}
	addrs, err := lc.Stack.Resolve(ctx, network, address)
	if err != nil {
		return n, local, err
	}
	for _, addr := range addrs {
		if addr.Addr().Unmap().Is4() {
			return n, addr, nil
		}
	}
	return n, addrs[0], nil
}

// options returns what the configuration and its Control ask for.
func (lc *ListenConfig) options(n inet.Network, local netip.AddrPort) (Options, error) {
	options := Options{
		KeepAlive:   inet.KeepAlive(lc.KeepAliveConfig, lc.KeepAlive),
		ReusePort:   lc.ReusePort,
		ReuseAddr:   lc.ReuseAddr,
		Backlog:     lc.Backlog,
		ReadBuffer:  lc.ReadBuffer,
		WriteBuffer: lc.WriteBuffer,
		TCP:         lc.TCP,
	}
	if lc.Control == nil {
		return options, nil
	}
	if n.Family() != '4' && (!local.Addr().IsValid() || local.Addr().IsUnspecified()) {
		n = n.Of(netip.IPv6Unspecified())
	} else {
		n = n.Of(local.Addr())
	}
	err := lc.Control(n.String(), n.Addr(local).String(), &options)
	return options, err
}
