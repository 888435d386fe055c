package smolnet

import (
	"context"
	"math"
	"net"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
	"github.com/smolnet/smolnet/listener"
)

// DialIP makes a socket that exchanges IP packets with raddr alone, at laddr unless that is nil. The network is "ip", "ip4" or "ip6" with
// a protocol behind a colon, as a number or by name: "ip4:icmp". An address without IP is the stack itself.
func (s *Stack) DialIP(network string, laddr, raddr *net.IPAddr) (*IPConn, error) {
	if raddr == nil {
		return nil, neterr.Op("dial", "", network, laddr, nil, neterr.ErrMissingAddress)
	}
	n, protocol, err := inet.ParseIPNetwork(network, true)
	if err != nil {
		return nil, neterr.Op("dial", "", network, laddr, raddr, err)
	}
	c, err := s.connectIP(n, protocol, sockaddrOf(n, laddr), sockaddrOf(n, raddr), dialer.Options{})
	return c, neterr.Op("dial", "connect", network, laddr, raddr, err)
}

// ListenIP makes a socket for IP packets to laddr. The network is as DialIP's. An address that is nil, or without IP, is all of the stack's,
// but of one family: IPv6's for "ip", as package net has it on Linux.
func (s *Stack) ListenIP(network string, laddr *net.IPAddr) (*IPConn, error) {
	if laddr == nil {
		laddr = &net.IPAddr{}
	}
	n, protocol, err := inet.ParseIPNetwork(network, true)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, laddr, err)
	}
	c, err := s.listenIP(n, protocol, sockaddrOf(n, laddr), listener.Options{})
	return c, neterr.Op("listen", "bind", network, nil, laddr, err)
}

// ListenAllIP is ListenIP for the packets of all protocols; it has no counterpart in package net. The network is "ip4" or "ip6".
// What is written to the socket must bring its IP header, as on protocol 255.
func (s *Stack) ListenAllIP(network string, laddr *net.IPAddr) (*IPConn, error) {
	if laddr == nil {
		laddr = &net.IPAddr{}
	}
	n, err := inet.ParsePlainNetwork(network)
	if err == nil && n == inet.IP {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, laddr, err)
	}
	c, err := s.listenIP(n, allProtocols, sockaddrOf(n, laddr), listener.Options{})
	return c, neterr.Op("listen", "bind", network, nil, laddr, err)
}

// ConnectIP is what dialer.Dialer calls, with one of the addresses that Resolve returned. The socket is an *IPConn.
// Errors are bare: core's, or the context's.
func (s *Stack) ConnectIP(ctx context.Context, network string, local, remote netip.Addr, options dialer.Options) (net.Conn, error) {
	n, protocol, err := inet.ParseIPNetwork(network, true)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	var from *sockaddr
	if local.IsValid() {
		from = sockaddrAt(netip.AddrPortFrom(local, 0))
	}
	c, err := s.connectIP(n, protocol, from, sockaddrAt(netip.AddrPortFrom(remote, 0)), options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ListenOnIP is what listener.ListenConfig calls, with an address that Resolve returned. The socket is an *IPConn.
// Errors are bare: core's, or net.ErrClosed.
func (s *Stack) ListenOnIP(network string, local netip.Addr, options listener.Options) (net.PacketConn, error) {
	n, protocol, err := inet.ParseIPNetwork(network, true)
	if err != nil {
		return nil, err
	}
	c, err := s.listenIP(n, protocol, sockaddrAt(netip.AddrPortFrom(local, 0)), options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// protocolRaw is the protocol of sockets that only send, and whole packets: Linux's IPPROTO_RAW. allProtocols is none.
const (
	protocolRaw  = 255
	allProtocols = -1
)

// checkProtocol returns what Linux says of a socket for a protocol that there is none of.
func checkProtocol(protocol int) error {
	switch {
	case protocol == 0:
		return neterr.Map("socket", neterr.ErrNoProtocol)
	case protocol > math.MaxUint8:
		return neterr.Map("socket", ip.ErrInvalid)
	}
	return nil
}

func (s *Stack) connectIP(n inet.Network, protocol int, local, remote *sockaddr, options dialer.Options) (*IPConn, error) {
	if err := checkProtocol(protocol); err != nil {
		return nil, err
	}
	if err := checkDial(n, local, remote); err != nil {
		return nil, err
	}
	var from netip.AddrPort
	if local != nil {
		from = local.addr
	}
	s.mu.Lock()
	e, err := s.connecting(n, from, remote.addr)
	var c *IPConn
	if err == nil {
		c, err = s.openIP(n, raw.IPConfig{
			Protocol: uint8(protocol), Local: e.local.Addr(), Remote: e.remote.Addr(), Link: e.link, Options: rawOptions(options.UDP),
			ReceiveBuffer: options.ReadBuffer, SendBuffer: options.WriteBuffer,
		})
	}
	s.unlock()
	if err != nil {
		return nil, connectError(from, err)
	}
	c.addressed()
	if remote.wildcard() {
		c.remote = s.shownIP(c.unspecified(), 0) // as Linux has it of these sockets alone
	}
	return c, nil
}

func (s *Stack) listenIP(n inet.Network, protocol int, local *sockaddr, options listener.Options) (*IPConn, error) {
	if err := checkProtocol(protocol); err != nil {
		return nil, err
	}
	if err := checkListen(n, local); err != nil {
		return nil, err
	}
	s.mu.Lock()
	addr, link, _, err := s.listening(n, local.addr)
	var c *IPConn
	if err == nil {
		c, err = s.openIP(n, raw.IPConfig{
			Protocol: uint8(protocol), AllProtocols: protocol == allProtocols, Local: addr.Addr(), Link: link, Options: rawOptions(options.UDP),
			ReceiveBuffer: options.ReadBuffer, SendBuffer: options.WriteBuffer,
		})
	}
	s.unlock()
	if err != nil {
		return nil, err
	}
	c.v6 = addr.Addr().Is6()
	c.addressed()
	return c, nil
}

// openIP makes a socket. The mutex is held.
func (s *Stack) openIP(n inet.Network, config raw.IPConfig) (*IPConn, error) {
	if s.closed {
		return nil, net.ErrClosed
	}
	c := &IPConn{rawSocket: rawSocket{
		ep: endpoint{stack: s, network: n}, connected: config.Remote.IsValid(), name: n.String(),
	}}
	config.Owner, config.IncludeHeader = &c.ep, config.Protocol == protocolRaw
	var err error
	if c.ip, err = s.core.Raw().OpenIP(config); err != nil {
		return nil, err
	}
	c.raw, c.v6 = &c.ip.Endpoint, config.Remote.Is6()
	return c, nil
}

// unspecified is the unspecified address of the socket's family.
func (c *IPConn) unspecified() netip.Addr {
	if c.v6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// addressed makes the addresses that the socket shows.
func (c *IPConn) addressed() {
	s, local := c.ep.stack, c.ip.LocalAddr()
	if !local.IsValid() {
		local = c.unspecified()
	}
	c.local = s.shownIP(local, c.ip.Link())
	if c.connected {
		c.remote = s.shownIP(c.ip.RemoteAddr(), c.ip.Link())
	}
}

// rawOptions are the options that sockets for IP packets have of those for datagrams.
func rawOptions(o udp.Options) raw.Options {
	return raw.Options{
		HopLimit: o.HopLimit, MulticastHopLimit: o.MulticastHopLimit, TrafficClass: o.TrafficClass, NoBroadcast: o.NoBroadcast,
	}
}
