package raw

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// IP is an endpoint for whole IP packets, of IPv4 or of IPv6: it receives copies of those that the stack takes in, and sends such.
type IP struct {
	Endpoint
	protocol uint8
	every    bool // all protocols
	included bool
}

// IPConfig says what an IP receives.
type IPConfig struct {
	// Protocol is the protocol that packets carry, behind IPv6's extension headers; and that those sent say they carry.
	Protocol uint8
	// AllProtocols has the endpoint receive all packets. Those that it sends say Protocol.
	AllProtocols bool
	// Local is the address that packets are sent to, and that those that leave come from. The unspecified address of a family stands
	// for all of that family's. It may be a multicast address, or the broadcast address, at which the endpoint then only receives.
	// For a connected endpoint the zero value, or an unspecified address, leaves the choice of an address to the routes.
	Local netip.Addr
	// Remote, if valid, connects the endpoint: it receives packets, and errors, from there only.
	Remote netip.Addr
	// Link is the index of the interface, 0 for any: required for link-local IPv6 addresses.
	Link int32
	// IncludeHeader says that what is sent begins with its IP header, Linux's IP_HDRINCL and IPV6_HDRINCL.
	IncludeHeader bool
	// ReceiveBuffer and SendBuffer bound the endpoint's queues; 0: as the host's Limits say.
	ReceiveBuffer, SendBuffer int
	// Options are what the IP headers have that the stack makes, until they are changed.
	Options Options
	// Owner is told what happens: ip.Readable, ip.Writable, and ip.Closed when the host is closed. nil: nobody.
	Owner ip.Owner
}

// OpenIP opens an endpoint for IP packets; any number may have the same protocol and addresses. The errors are ip.ErrInvalid,
// ip.ErrAddressNotAvailable, ip.ErrNetworkUnreachable if Remote is, ip.ErrNoBufferSpace beyond Limits.Endpoints, and ErrClosed.
func (h *Host) OpenIP(config IPConfig) (*IP, error) {
	if err := h.room(); err != nil {
		return nil, err
	}
	e := &IP{
		Endpoint: Endpoint{host: h, owner: config.Owner, link: config.Link, options: config.Options},
		protocol: config.Protocol, every: config.AllProtocols, included: config.IncludeHeader,
	}
	if err := e.setBuffers(config.ReceiveBuffer, config.SendBuffer); err != nil {
		return nil, err
	}
	if err := e.bind(config.Local, config.Remote); err != nil {
		return nil, err
	}
	key := protocolKey{e.v6, e.protocol}
	lists := h.packets
	if e.every {
		lists, key.protocol = h.everyIP, 0
	}
	lists[key] = append(lists[key], e)
	h.ips++
	e.Endpoint.remove = func() {
		remove(lists, key, e)
		h.ips--
	}
	h.open(&e.Endpoint)
	return e, nil
}

// bind finds out which addresses the endpoint gets.
func (e *Endpoint) bind(local, remote netip.Addr) error {
	local, remote = plain(local), plain(remote)
	if remote.IsValid() {
		if local.IsValid() && local.Is4() != remote.Is4() || remote.IsUnspecified() || needsLink(remote, e.link) {
			return ip.ErrInvalid
		}
		_, source, err := e.host.network.Route(e.link, local, remote)
		e.v6, e.local, e.remote = remote.Is6(), source, remote
		return err
	}
	switch {
	case !local.IsValid() || needsLink(local, e.link):
		return ip.ErrInvalid
	case !local.IsUnspecified() && !group(local) && !e.host.network.Local(e.link, local):
		return ip.ErrAddressNotAvailable
	case !local.IsUnspecified():
		e.local = local
	}
	e.v6 = local.Is6()
	return nil
}

// Protocol is the protocol that the endpoint was opened for. It never changes.
func (e *IP) Protocol() uint8 { return e.protocol }

// SetIncludeHeader says whether what is sent begins with its IP header: see IPConfig.
func (e *IP) SetIncludeHeader(on bool) { e.included = on }

// Receive returns the packet that has waited longest, and how many octets of IP headers it begins with, extension headers included;
// p.IP says what is in them. It reports false if there is none.
func (e *IP) Receive() (p *packet.Packet, headers int, ok bool) {
	p = e.receiving.Pop()
	if p == nil {
		return nil, 0, false
	}
	return p, int(p.Seq), true
}

// Send queues p to leave for to, or if that is not valid for where the endpoint is connected: what follows the IP header or, with
// IncludeHeader, the whole packet. The stack fills in the checksum of ICMPv6 (RFC 3542 section 3.1) and, of an IPv4 header that is
// included, the length, the checksum, and the source if it is zero; to alone says where the packet goes. p comes from packet.New, so
// that there is room for headers.
//
// It takes p, on error too, unless the error is ErrWouldBlock: then p stays the caller's, unchanged. The other errors
// are ip.ErrMessageTooLong if the packet is longer than IP has it or, with IncludeHeader, than the link's MTU, ip.ErrInvalid for a destination that there cannot be, or an IP
// header, or an ICMPv6 message too short for a checksum, ip.ErrPermission for broadcasts where they are not allowed,
// ip.ErrAddressNotAvailable if h.Source is not the stack's own, those of ip.Network.Route, and ErrClosed.
func (e *IP) Send(_ time.Time, p *packet.Packet, to netip.Addr, h Header) error {
	return e.sent(p, e.send(p, to, h))
}

func (e *IP) send(p *packet.Packet, to netip.Addr, h Header) error {
	headers := e.headerLen()
	if e.included {
		headers = 0
		if !e.validHeader(p) {
			return ip.ErrInvalid
		}
	}
	path, err := e.route(p, to, e.protocol, h, headers)
	switch {
	case err != nil:
		return err
	case e.blocked(p):
		return ErrWouldBlock
	case e.included:
		include(p)
	case e.v6 && e.protocol == ip.ProtocolICMPv6:
		if p.Header(wire.ICMPv6HeaderLen) == nil {
			return ip.ErrInvalid
		}
		fillICMP(path, p)
	}
	e.enqueue(path, p)
	return nil
}

// validHeader reports whether p begins with an IP header of the endpoint's version.
func (e *IP) validHeader(p *packet.Packet) bool {
	b := p.Header(e.headerLen())
	if b == nil {
		return false
	}
	if e.v6 {
		return b[0]>>4 == 6
	}
	length := int(b[0]&0xf) * 4
	return b[0]>>4 == 4 && length >= wire.IPv4HeaderLen && p.Header(length) != nil
}

// include makes p's own IP header what leaves. As on Linux the user has the last word on all but IPv4's length and checksum, the
// latter of which is filled in when the packet leaves.
func include(p *packet.Packet) {
	p.IP.Whole = true
	if p.IP.Dst.Is6() {
		p.IP.Protocol = p.Header(wire.IPv6HeaderLen)[6]
		return
	}
	b := p.Header(wire.IPv4HeaderLen)
	p.IP.Protocol = b[9]
	binary.BigEndian.PutUint16(b[2:], uint16(p.Len()))
	if source := [4]byte(b[12:16]); source == [4]byte{} {
		*(*[4]byte)(b[12:16]) = p.IP.Src.As4()
	}
}

// fillICMP fills in the checksum of the ICMP message p, or leaves it to the path's device.
func fillICMP(path ip.Path, p *packet.Packet) {
	b := p.Header(wire.ICMPv4HeaderLen)
	b[2], b[3] = 0, 0
	if path.FillsChecksum(p.IP.Protocol) {
		return
	}
	var sum wire.Sum
	if p.IP.Dst.Is6() {
		sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolICMPv6, p.Len())
	}
	for _, piece := range p.Pieces() {
		sum.Add(piece)
	}
	binary.BigEndian.PutUint16(b[2:], sum.Checksum())
}
