package core

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// ServeDHCPv4 has the interface hand out addresses of its network to clients on its link. config.Addr must be one of its own; the
// zero value stands for its first IPv4 address. The error wraps ErrConfig, and names what is wrong with the configuration.
func (l *Interface) ServeDHCPv4(now time.Time, config dhcpv4.ServerConfig) error {
	l.stack.enter(now)
	if err := l.serveDHCPv4(config); err != nil {
		return fmt.Errorf("core: interface %q: %w: %w", l.name, ErrConfig, err)
	}
	return nil
}

func (l *Interface) serveDHCPv4(config dhcpv4.ServerConfig) error {
	if !config.Addr.IsValid() {
		for _, a := range l.addresses {
			if a.addr().Is4() {
				config.Addr = a.prefix
				break
			}
		}
	}
	if l.loopback() || l.find(config.Addr.Addr()) == nil {
		return fmt.Errorf("a DHCP server at %v, which is not the interface's address", config.Addr)
	}
	config.Limits = l.stack.limits.DHCPv4
	server, err := dhcpv4.NewServer(config)
	if err != nil {
		return err
	}
	l.dhcpv4Server, l.dhcpv4ServerAddr = server, config.Addr.Addr()
	return nil
}

// DHCPv4Binding is an address that the interface's DHCP server has given to a client.
type DHCPv4Binding struct {
	Addr         netip.Addr
	HardwareAddr wire.HardwareAddr
	Hostname     string    // what the client says that it is called
	ValidUntil   time.Time // zero: for ever
}

// DHCPv4Bindings returns the leases that the interface's DHCP server has given out, by address; nil if there is no server.
func (l *Interface) DHCPv4Bindings(now time.Time) []DHCPv4Binding {
	t := l.stack.enter(now)
	if l.dhcpv4Server == nil {
		return nil
	}
	var bindings []DHCPv4Binding
	for _, b := range l.dhcpv4Server.Bindings(t) {
		bindings = append(bindings, DHCPv4Binding{b.Addr, b.HardwareAddr, b.Hostname, l.stack.time(b.Expire)})
	}
	return bindings
}

// awaitsDHCPv4 reports whether p, which begins with its IPv4 header of headerLen octets, is a datagram for the interface's DHCP client,
// to an address that it has not got yet.
//
// "A client that can receive unicast IP datagrams before its protocol software has been configured SHOULD clear the BROADCAST bit to 0."
// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.1
func (l *Interface) awaitsDHCPv4(p *packet.Packet) bool {
	if l.dhcpv4 == nil || p.IP.Group || p.IP.Protocol != ip.ProtocolUDP {
		return false
	}
	headerLen := int(p.Header(1)[0]&0xf) * 4
	b := p.Header(headerLen + wire.UDPHeaderLen)
	if b == nil || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 || wire.UDPPacket(b[headerLen:]).DstPort() != wire.DHCPv4ClientPort {
		return false
	}
	switch l.dhcpv4.client.State() {
	case dhcpv4.Selecting, dhcpv4.Requesting, dhcpv4.Rebooting:
		return true
	}
	return false
}

// inputDHCPv4 hands a datagram to the interface's DHCP client or server, and reports whether it is for one of them; then it has taken
// it.
func (l *Interface) inputDHCPv4(now int64, p *packet.Packet) bool {
	b := p.Header(wire.UDPHeaderLen)
	if b == nil || p.IP.Dst.Is6() {
		return false
	}
	switch port := wire.UDPPacket(b).DstPort(); {
	case port == wire.DHCPv4ClientPort && l.dhcpv4 != nil:
	case port == wire.DHCPv4ServerPort && l.dhcpv4Server != nil:
	default:
		return false
	}
	source := l.frameSource(p)
	p.Own()
	datagram, err := wire.ParseUDP(p.Head())
	if err != nil || p.Checksum == packet.ChecksumFull && !l.verifies(ip.ProtocolUDP) && !datagram.VerifyChecksum(p.IP.Src, p.IP.Dst) {
		l.drop(DropDHCPv4, p)
		return true
	}
	if datagram.DstPort() == wire.DHCPv4ServerPort {
		l.serveRequest(now, datagram.Payload())
		p.Release()
		return true
	}
	if d := l.dhcpv4; d.client.Receive(now, datagram.Payload()) {
		d.server = source
		p.Release()
	} else {
		l.drop(DropDHCPv4, p)
	}
	return true
}

// serveRequest has the server answer a message, as long as it has its address.
func (l *Interface) serveRequest(now int64, message []byte) {
	if !l.has(l.dhcpv4ServerAddr) {
		return
	}
	answer, to := l.dhcpv4Server.Receive(now, message)
	if answer != nil {
		from := netip.AddrPortFrom(l.dhcpv4ServerAddr, wire.DHCPv4ServerPort)
		l.sendDHCPv4(now, answer, from, to, wire.HardwareAddr{})
	}
}

// frameSource returns the hardware address that p, a datagram now without its network headers, came from; zero if that is not known: of
// one that came in fragments, or never was on the link, there is no frame.
func (l *Interface) frameSource(p *packet.Packet) wire.HardwareAddr {
	n := l.stack.networkLen
	if l.medium != dev.Ethernet || n < wire.IPv4HeaderLen || p.Checksum == packet.ChecksumAssembled || l.stack.hasAny(p.IP.Src) {
		return wire.HardwareAddr{}
	}
	n += wire.EthernetHeaderLen
	frame := wire.EthernetFrame(p.Prepend(n))
	source := frame.Src()
	p.TrimFront(n)
	return source
}

// datagram is a datagram with the message, which is to leave by the interface.
func (l *Interface) datagram(message []byte, from, to netip.AddrPort) *packet.Packet {
	header := wire.UDPRepr{SrcPort: from.Port(), DstPort: to.Port(), PayloadLen: len(message)}
	p := packet.New(wire.UDPHeaderLen + len(message))
	datagram := wire.UDPPacket(p.Append(wire.UDPHeaderLen + len(message)))
	header.Emit(datagram)
	copy(datagram.Payload(), message)
	datagram.FillChecksum(from.Addr(), to.Addr())
	p.IP = packet.IPInfo{Src: from.Addr(), Dst: to.Addr(), Link: l.index, Protocol: ip.ProtocolUDP}
	return p
}

// sendDHCPv4 sends a message by the interface, whatever routes and addresses it has: to everybody on the link, or to one host there or
// behind a router. A hardware address other than zero says where that host or router is.
func (l *Interface) sendDHCPv4(now int64, message []byte, from, to netip.AddrPort, hw wire.HardwareAddr) {
	s := l.stack
	p := l.datagram(message, from, to)
	by := &path{stack: s, link: l, nextHop: to.Addr(), generation: s.generation, group: hw.LinkAddr()}
	switch {
	case l.medium != dev.Ethernet || !hw.IsZero():
	case to.Addr() == broadcastAddrv4:
		by.group = wire.BroadcastHardwareAddr.LinkAddr()
	default:
		if by = s.pathFor(l.index, from.Addr(), to.Addr()); by == nil || by.link != l {
			l.drop(DropNoRoute, p)
			return
		}
	}
	s.Send(now, by, p)
}
