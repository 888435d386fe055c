package smolnet

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
	"github.com/smolnet/smolnet/listener"
)

// The functions of package net that open something, as methods.

// Dial connects to the address on the network: see net.Dial for their forms, and dialer.Dialer for options and errors.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.dialer.Dial(network, address)
}

// DialContext is Dial with a context, which matters until it returns.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return s.dialer.DialContext(ctx, network, address)
}

// DialTimeout is Dial with a timeout, which includes looking up a name.
func (s *Stack) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (&dialer.Dialer{Stack: s, Timeout: timeout}).Dial(network, address)
}

// DialFastOpen is DialContext for TCP with what to send first, which may go along with the SYN: see dialer.Dialer's.
func (s *Stack) DialFastOpen(ctx context.Context, network, address string, data []byte) (net.Conn, error) {
	return s.dialer.DialFastOpen(ctx, network, address, data)
}

// DialTCP connects to raddr, from laddr unless that is nil. The network is "tcp", "tcp4" or "tcp6". An address without IP is the
// stack itself.
func (s *Stack) DialTCP(network string, laddr, raddr *net.TCPAddr) (*TCPConn, error) {
	n, err := inet.ParseNetworkOf("tcp", network)
	if err == nil && raddr == nil {
		err = neterr.ErrMissingAddress
	}
	if err != nil {
		return nil, neterr.Op("dial", "", network, laddr, raddr, err)
	}
	if err := checkDial(n, sockaddrOf(n, laddr), sockaddrOf(n, raddr)); err != nil {
		return nil, neterr.Op("dial", "connect", network, laddr, raddr, err)
	}
	c, err := s.connectTCP(context.Background(), n, plain(n, laddr), plain(n, raddr), dialer.Options{KeepAlive: net.KeepAliveConfig{Enable: true}})
	return c, neterr.Op("dial", "connect", network, laddr, raddr, err)
}

// DialUDP makes a socket that exchanges datagrams with raddr alone, at laddr unless that is nil. The network is "udp", "udp4" or
// "udp6". An address without IP is the stack itself.
func (s *Stack) DialUDP(network string, laddr, raddr *net.UDPAddr) (*UDPConn, error) {
	n, err := inet.ParseNetworkOf("udp", network)
	if err == nil && raddr == nil {
		err = neterr.ErrMissingAddress
	}
	if err != nil {
		return nil, neterr.Op("dial", "", network, laddr, raddr, err)
	}
	if err := checkDial(n, sockaddrOf(n, laddr), sockaddrOf(n, raddr)); err != nil {
		return nil, neterr.Op("dial", "connect", network, laddr, raddr, err)
	}
	c, err := s.connectUDP(context.Background(), n, plain(n, laddr), plain(n, raddr), dialer.Options{})
	return c, neterr.Op("dial", "connect", network, laddr, raddr, err)
}

// Listen listens for connections: see net.Listen for the forms of the address, and listener.ListenConfig for
// options and errors. The listener is a *TCPListener.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	return (&listener.ListenConfig{Stack: s}).Listen(context.Background(), network, address)
}

// ListenPacket makes a socket for datagrams: see net.ListenPacket for the forms of the address, and
// listener.ListenConfig for options and errors. The socket is a *UDPConn.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	return (&listener.ListenConfig{Stack: s}).ListenPacket(context.Background(), network, address)
}

// ListenTCP listens for connections to laddr. The network is "tcp", "tcp4" or "tcp6". An address that is nil, or without IP, is all of
// the stack's, and a port of 0 is chosen.
func (s *Stack) ListenTCP(network string, laddr *net.TCPAddr) (*TCPListener, error) {
	n, err := inet.ParseNetworkOf("tcp", network)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, laddr, err)
	}
	if laddr == nil {
		laddr = &net.TCPAddr{}
	}
	if err := checkListen(n, sockaddrOf(n, laddr)); err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, laddr, err)
	}
	l, err := s.listenTCP(n, plain(n, laddr), listener.Options{KeepAlive: net.KeepAliveConfig{Enable: true}})
	return l, neterr.Op("listen", "bind", network, nil, laddr, err)
}

// ListenUDP makes a socket for datagrams to laddr. The network is "udp", "udp4" or "udp6". An address that is nil, or without IP, is all
// of the stack's, and a port of 0 is chosen.
func (s *Stack) ListenUDP(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	n, err := inet.ParseNetworkOf("udp", network)
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, laddr, err)
	}
	if laddr == nil {
		laddr = &net.UDPAddr{}
	}
	if err := checkListen(n, sockaddrOf(n, laddr)); err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, laddr, err)
	}
	c, err := s.listenUDP(n, plain(n, laddr), listener.Options{})
	return c, neterr.Op("listen", "bind", network, nil, laddr, err)
}

// ListenMulticastUDP makes a socket for datagrams to the multicast group gaddr at gaddr's port: see net.ListenMulticastUDP. The
// network is "udp", "udp4" or "udp6". The group is joined on the interface ifi, one of the stack's by its Index; nil: the one by which
// datagrams to the group leave.
//
// As package net's on Linux the socket is bound to all addresses, so that it hears whatever comes to the port; others may be bound to
// the port likewise. What it sends to groups leaves by ifi and does not come back: see UDPConn.SetMulticastLoopback.
func (s *Stack) ListenMulticastUDP(network string, ifi *net.Interface, gaddr *net.UDPAddr) (*UDPConn, error) {
	n, err := inet.ParseNetworkOf("udp", network)
	if err == nil && (gaddr == nil || gaddr.IP == nil) {
		err = neterr.ErrMissingAddress
	}
	if err != nil {
		return nil, neterr.Op("listen", "", network, nil, gaddr, err)
	}
	if err := checkListen(n, sockaddrOf(n, gaddr)); err != nil {
		return nil, neterr.Op("listen", "bind", network, nil, gaddr, err)
	}
	c, err := s.listenGroup(n, ifi, plain(n, gaddr))
	return c, neterr.Op("listen", "setsockopt", network, nil, gaddr, err)
}

// plain is an address of package net's as the stack has it.
func plain(n inet.Network, addr net.Addr) netip.AddrPort {
	plain, _ := n.AddrPort(addr)
	return plain
}
