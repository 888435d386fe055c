package smolnet

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// PingConn is a socket for ICMP messages, of ICMPv4 or of ICMPv6, connected to one peer or not. Bound to an identifier, as Linux's
// unprivileged ping sockets are, it sends echo requests and receives the replies to them. Bound to a port of UDP or TCP, it receives the
// ICMP errors about what was sent from there. What it reads and writes are messages from their ICMP header on; wire.ICMPv4EchoRepr and
// wire.ICMPv6EchoRepr make and parse them, as does golang.org/x/net/icmp, whose PacketConn of "udp4" or "udp6" it stands for.
// It implements net.Conn and net.PacketConn; addresses are *net.IPAddr.
//
// All methods may be called by several goroutines at once.
type PingConn struct {
	rawSocket
	icmp *raw.ICMP
	v6   bool
}

var (
	_ net.Conn       = (*PingConn)(nil)
	_ net.PacketConn = (*PingConn)(nil)
)

// PingConfig says what a PingConn is to receive.
type PingConfig struct {
	// Network is "ip4", "ip6", or "ip" for the family of the addresses, IPv4 if they do not say.
	Network string
	// Local is the address to send from and receive at. nil, or without IP: all of the stack's, of one family.
	Local *net.IPAddr
	// Remote connects the socket: to one peer, whose replies alone it gets, and ICMP errors about requests to whom fail its Reads and
	// Writes. nil: it is not.
	Remote *net.IPAddr
	// Ident is the identifier of its echo requests, whatever they say themselves. 0: one is chosen.
	Ident uint16
	// Errors has ICMP errors about its requests be read like replies, instead of failing Reads and Writes.
	Errors bool
	// Transport, "udp" or "tcp", and Port have the errors about what was sent from that port be read, instead of replies.
	Transport string
	Port      uint16
}

// ListenPing makes a socket that pings whomever it writes to, at laddr unless that is nil. The network is "ip4", "ip6" or "ip": see
// PingConfig, with which OpenPing has more to offer.
func (s *Stack) ListenPing(network string, laddr *net.IPAddr) (*PingConn, error) {
	return s.OpenPing(PingConfig{Network: network, Local: laddr})
}

// DialPing makes a socket that pings raddr alone, from laddr unless that is nil. The network is "ip4", "ip6" or "ip".
func (s *Stack) DialPing(network string, laddr, raddr *net.IPAddr) (*PingConn, error) {
	if raddr == nil {
		return nil, neterr.Op("dial", "", network, laddr, nil, neterr.ErrMissingAddress)
	}
	return s.OpenPing(PingConfig{Network: network, Local: laddr, Remote: raddr})
}

// OpenPing makes a socket for ICMP messages. The errors are package net's, each a *net.OpError: syscall.EADDRINUSE if another has the
// identifier or the port, EADDRNOTAVAIL, ENETUNREACH, EINVAL for what contradicts itself, net.UnknownNetworkError, *net.AddrError.
func (s *Stack) OpenPing(config PingConfig) (*PingConn, error) {
	op, call := "listen", "bind"
	if config.Remote != nil {
		op, call = "dial", "connect"
	}
	fail := func(err error) error {
		if op == "listen" {
			return neterr.Op(op, call, config.Network, nil, config.Local, err)
		}
		return neterr.Op(op, call, config.Network, config.Local, config.Remote, err)
	}
	n, err := inet.ParsePlainNetwork(config.Network)
	if err != nil {
		return nil, fail(err)
	}
	core, err := s.pingConfig(n, &config)
	if err != nil {
		return nil, fail(err)
	}
	c := &PingConn{rawSocket: rawSocket{
		ep: endpoint{stack: s, network: n}, connected: core.Remote.IsValid(), name: config.Network,
	}}
	core.Owner = &c.ep
	s.mu.Lock()
	switch {
	case s.closed:
		err = net.ErrClosed
	default:
		c.icmp, err = s.core.Raw().OpenICMP(core)
	}
	s.unlock()
	if err != nil {
		return nil, fail(err)
	}
	c.raw, c.v6 = &c.icmp.Endpoint, core.Local.Is6() || core.Remote.Is6()
	local := c.icmp.LocalAddr()
	if !local.IsValid() {
		local = core.Local
	}
	c.local = s.shownIP(local, c.icmp.Link())
	if c.connected {
		c.remote = s.shownIP(c.icmp.RemoteAddr(), c.icmp.Link())
	}
	return c, nil
}

// pingConfig is the configuration as the core has it.
func (s *Stack) pingConfig(n inet.Network, config *PingConfig) (core raw.ICMPConfig, err error) {
	core = raw.ICMPConfig{Ident: config.Ident, Errors: config.Errors, Port: config.Port}
	switch config.Transport {
	case "":
	case "udp":
		core.Transport = ip.ProtocolUDP
	case "tcp":
		core.Transport = ip.ProtocolTCP
	default:
		return core, net.UnknownNetworkError(config.Transport)
	}
	local, remote := sockaddrOf(n, config.Local), sockaddrOf(n, config.Remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	if remote != nil {
		if err := checkDial(n, local, remote); err != nil {
			return core, err
		}
		var from netip.AddrPort
		if local != nil {
			from = local.addr
		}
		e, err := s.connecting(n, from, remote.addr)
		core.Local, core.Remote, core.Link = e.local.Addr(), e.remote.Addr(), e.link
		return core, err
	}
	if local == nil || local.wildcard() {
		core.Local = netip.IPv4Unspecified()
		if n.Family() == '6' || local != nil && len(local.ip) > 0 && !local.is4() {
			core.Local = netip.IPv6Unspecified()
		}
		return core, nil
	}
	if err := checkListen(n, local); err != nil {
		return core, err
	}
	addr, link, _, err := s.listening(n, local.addr)
	core.Local, core.Link = addr.Addr(), link
	return core, err
}

func (c *PingConn) ok() bool { return c != nil && c.rawSocket.ok() }

// Ident is the identifier of the socket's echo requests, 0 if it is bound to a port.
func (c *PingConn) Ident() uint16 {
	if !c.ok() {
		return 0
	}
	return c.icmp.Ident()
}

// Close closes the socket. Calls under way return net.ErrClosed in a *net.OpError, and so does a second Close.
func (c *PingConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.close()
}

// LocalAddr returns the local address, a *net.IPAddr that must not be changed.
func (c *PingConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.local
}

// RemoteAddr returns the peer's address, a *net.IPAddr that must not be changed, or nil if the socket is not connected.
func (c *PingConn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.remote
}

// Read reads the next message into b. What does not fit is lost.
func (c *PingConn) Read(b []byte) (int, error) {
	n, _, _, _, err := c.readMsg("read", b, nil)
	return n, err
}

// ReadFrom reads the next message into b and returns who sent it, a *net.IPAddr. What does not fit is lost.
func (c *PingConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, _, addr, err := c.readMsg("recvfrom", b, nil)
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadMsg reads the next message into b and returns who sent it. Into oob goes what SetControlMessage has asked for, the hop limit that was
// left for one, for ControlMessage's Parse. flags has MSG_TRUNC if the message did not fit, and MSG_CTRUNC if oob was too short.
func (c *PingConn) ReadMsg(b, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error) {
	return c.readMsg("recvmsg", b, oob)
}

func (c *PingConn) readMsg(call string, b, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	p, err := c.next(c.icmp.Receive)
	if err != nil {
		return 0, 0, 0, nil, c.failure("read", call, err)
	}
	defer p.Release()
	n = p.CopyTo(b, 0)
	oobn, flags = c.ancillary(p, oob)
	if n < p.Len() {
		flags |= msgTrunc
	}
	return n, oobn, flags, c.ep.stack.shownIP(p.IP.Src, p.IP.Link), nil
}

// Write sends b, an echo request, to the peer of a connected socket. The stack fills in identifier and checksum.
func (c *PingConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	err := c.transmit(b, netip.Addr{}, udp.Header{})
	return written(b, err), c.failure("write", "write", err)
}

// WriteTo sends b, an echo request, to addr: a *net.IPAddr, or, as golang.org/x/net/icmp has it, a *net.UDPAddr, whose port does not
// matter. The stack fills in identifier and checksum.
func (c *PingConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	to, err := c.destination(addr)
	if err == nil {
		err = c.transmit(b, to, udp.Header{})
	}
	return written(b, err), c.sendFailure("sendto", addr, err)
}

// WriteMsg is WriteTo, or without an address Write, with what oob, made by ControlMessage's Marshal, says that the request's IP header
// is to have instead of what the socket's do.
func (c *PingConn) WriteMsg(b, oob []byte, addr *net.IPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	var to netip.Addr
	if addr != nil || !c.connected {
		to, err = c.destination(addr)
	}
	var header udp.Header
	if err == nil && len(oob) > 0 {
		like := netip.IPv4Unspecified()
		if c.v6 {
			like = netip.IPv6Unspecified()
		}
		header, err = headerOf(oob, like, false)
	}
	if err == nil {
		err = c.transmit(b, to, header)
	}
	return written(b, err), written(oob, err), c.sendFailure("sendmsg", addr, err)
}

// destination returns where a request to addr goes, its zone still in it.
func (c *PingConn) destination(addr net.Addr) (netip.Addr, error) {
	var to netip.Addr
	switch addr := addr.(type) {
	case *net.IPAddr:
		if addr == nil {
			return to, neterr.ErrMissingAddress
		}
		to = plain(inet.IP, addr).Addr()
	case *net.UDPAddr:
		if addr == nil {
			return to, neterr.ErrMissingAddress
		}
		to = plain(inet.UDP, addr).Addr()
	default:
		return to, syscall.EINVAL
	}
	switch {
	case c.connected:
		return to, net.ErrWriteToConnected
	case !to.IsValid() || to.IsUnspecified():
		if c.v6 {
			return netip.IPv6Loopback(), nil
		}
		return itself(inet.IP4, to, to), nil
	case to.Is4() == c.v6:
		return to, ip.ErrNetworkUnreachable
	}
	return to, nil
}

// transmit sends b; to is for unconnected sockets alone.
func (c *PingConn) transmit(b []byte, to netip.Addr, header udp.Header) error {
	return c.send(b, func(p *packet.Packet) error {
		var h raw.Header
		err := error(neterr.ErrNoDestination)
		if c.connected || to.IsValid() {
			to, h, err = c.headed(to, header)
		}
		if err != nil {
			p.Release()
			return err
		}
		return c.icmp.Send(time.Now(), p, to, h)
	})
}
