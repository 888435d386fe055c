// Package listener listens on a smolnet stack as net.ListenConfig listens on the operating system: with the same
// fields, the same methods, the same errors.
//
//	lc := listener.ListenConfig{Stack: stack, Backlog: 128}
//	l, err := lc.Listen(ctx, "tcp", ":80")
package listener

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/internal/neterr"
)

// Stack is what a ListenConfig needs of a stack. *smolnet.Stack implements it.
//
// Its errors are bare, without operation and addresses: the ListenConfig puts them into *net.OpError.
type Stack interface {
	// Resolve returns the addresses that address stands for on the network, at least one. The network is one of "tcp",
	// "tcp4", "tcp6", "udp", "udp4", "udp6"; address is "host:port", or empty. An empty host yields an invalid
	// netip.Addr. An IPv6 address may have a zone.
	Resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error)

	// ListenOnTCP begins to listen. An invalid or unspecified address is every address of the stack: of both
	// families for "tcp", of one for "tcp4" and "tcp6". The stack chooses a port in place of 0.
	ListenOnTCP(network string, local netip.AddrPort, options Options) (net.Listener, error)

	// ListenOnUDP makes a socket for datagrams from anybody. The address is as for ListenOnTCP.
	ListenOnUDP(network string, local netip.AddrPort, options Options) (net.PacketConn, error)
}

// Options is what a ListenConfig asks of what a stack makes.
type Options struct {
	// KeepAlive is what accepted connections begin with, as in net.TCPConn.SetKeepAliveConfig. TCP only.
	KeepAlive net.KeepAliveConfig

	// Backlog is how many connections may wait to be accepted; 0: the stack's default. TCP only.
	Backlog int

	// ReadBuffer and WriteBuffer are the sizes of the buffers, in octets, that accepted connections or the UDP socket
	// begin with; 0: the stack's defaults.
	ReadBuffer, WriteBuffer int

	// TCP is all else that accepted connections begin with; zero fields are the stack's defaults. Its KeepAlive and buffers
	// hold where they are set, instead of those above.
	TCP tcp.Options
}

// ListenConfig is net.ListenConfig for a smolnet stack. Stack must be set; the zero value of any other field is the
// same as listening without that option.
type ListenConfig struct {
	// Stack is the stack to listen on.
	Stack Stack

	// KeepAlive is the time, and the interval, after which an idle accepted connection is probed, unless
	// KeepAliveConfig is enabled. Zero is the default of 15 seconds; a negative value disables keep-alive.
	KeepAlive time.Duration

	// KeepAliveConfig sets keep-alive in detail, if its Enable is set.
	KeepAliveConfig net.KeepAliveConfig

	// Backlog is how many connections may wait to be accepted; while so many wait, the attempts of others are
	// dropped, for the peer to repeat, and never refused. 0 is the stack's default. Package net takes the number
	// from the operating system's configuration.
	Backlog int

	// ReadBuffer and WriteBuffer are the sizes of the buffers, in octets, that accepted connections or a UDP socket
	// begin with; 0: the stack's defaults. Package net has no such fields: there, a Control function would set them.
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
	local, err := lc.resolve(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, nil, err)
	}
	if network[:3] != "tcp" {
		return nil, neterr.Op("listen", "", network, nil, net.UDPAddrFromAddrPort(local), unexpected(address))
	}
	l, err := lc.Stack.ListenOnTCP(network, local, lc.options())
	if err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, net.TCPAddrFromAddrPort(local), err)
	}
	return l, nil
}

// ListenPacket announces on the local address: see net.ListenPacket. The networks are "udp", "udp4" and "udp6". ctx
// and errors are as for Listen.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	local, err := lc.resolve(ctx, network, address)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, nil, err)
	}
	if network[:3] != "udp" {
		return nil, neterr.Op("listen", "", network, nil, net.TCPAddrFromAddrPort(local), unexpected(address))
	}
	c, err := lc.Stack.ListenOnUDP(network, local, lc.options())
	if err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, net.UDPAddrFromAddrPort(local), err)
	}
	return c, nil
}

func unexpected(address string) error {
	return &net.AddrError{Err: "unexpected address type", Addr: address}
}

// resolve returns the one address to listen on: the first of IPv4, as package net has it, or else the first.
func (lc *ListenConfig) resolve(ctx context.Context, network, address string) (local netip.AddrPort, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return local, net.UnknownNetworkError(network)
	}
	addrs, err := lc.Stack.Resolve(ctx, network, address)
	if err != nil {
		return local, err
	}
	for _, addr := range addrs {
		if addr.Addr().Unmap().Is4() {
			return addr, nil
		}
	}
	return addrs[0], nil
}

func (lc *ListenConfig) options() Options {
	keepAlive := lc.KeepAliveConfig
	if !keepAlive.Enable && lc.KeepAlive >= 0 {
		keepAlive = net.KeepAliveConfig{Enable: true, Idle: lc.KeepAlive}
	}
	return Options{
		KeepAlive:   keepAlive,
		Backlog:     lc.Backlog,
		ReadBuffer:  lc.ReadBuffer,
		WriteBuffer: lc.WriteBuffer,
		TCP:         lc.TCP,
	}
}
