// Package raw holds the endpoints below the transports: for whole IP packets, for ICMP messages, and for the frames of a link.
//
//   - [IP] receives copies of all IP packets of one protocol, or of all protocols, byte for byte as they came, and sends such: Linux's
//     SOCK_RAW
//   - [ICMP] sends echo requests and receives the replies, as Linux's unprivileged ping sockets do, or receives the ICMP errors
//     about what a UDP or TCP port has sent
//   - [Frames] receives copies of the frames of one interface and sends frames: Linux's AF_PACKET
//
// A [Host] has those of one stack. What it hands out are copies, so that the stack goes on as if nobody listened, but
// that an IP endpoint's protocol is never refused as unknown. Queues are bounded: an endpoint that nobody reads loses packets, and
// nobody else does.
package raw

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Host has the raw endpoints of one stack.
type Host struct {
	config   Config
	network  ip.Network
	counters Counters

	packets   map[protocolKey][]*IP
	everyIP   map[protocolKey][]*IP // those of all protocols, which is 0 here
	messages  map[portKey]*ICMP
	frames    map[int32][]*Frames // by the index of the interface
	ips       int                 // endpoints in packets and everyIP
	endpoints []*Endpoint         // all, those included that are closed and have packets yet to send
}

// protocolKey is what endpoints for IP packets are found by.
type protocolKey struct {
	v6       bool
	protocol uint8
}

// portKey is what endpoints for ICMP messages are found by: an identifier if the protocol is ICMP, and else the port of a transport.
type portKey struct {
	protocolKey
	port uint16
}

// NewHost returns a Host without endpoints, or an error that names the value of the configuration that is wrong.
func NewHost(config Config) (*Host, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Host{
		config: config, network: config.Network,
		packets: make(map[protocolKey][]*IP), everyIP: make(map[protocolKey][]*IP), messages: make(map[portKey]*ICMP), frames: make(map[int32][]*Frames),
	}, nil
}

// Counters returns a copy of the host's statistics.
func (h *Host) Counters() Counters { return h.counters }

// Endpoints is how many endpoints there are, those included that are closed and have packets yet to send.
func (h *Host) Endpoints() int { return len(h.endpoints) }

// Close closes every endpoint, telling its owner, and drops what they have yet to send. Afterwards nothing can be opened.
func (h *Host) Close() {
	h.config.Limits.Endpoints = -1
	for _, e := range slices.Clone(h.endpoints) {
		e.sending.Reset()
		if e.closed {
			e.forget()
			continue
		}
		e.Close()
		e.notify(ip.Closed)
	}
}

// ReceivesIP reports whether there is an endpoint for IP packets at all, which costs next to nothing.
func (h *Host) ReceivesIP() bool { return h.ips > 0 }

// Wants reports whether Input would have a use for a packet of the protocol.
func (h *Host) Wants(v6 bool, protocol uint8) bool {
	return h.ips > 0 && (len(h.everyIP[protocolKey{v6: v6}]) > 0 || len(h.packets[protocolKey{v6, protocol}]) > 0)
}

// Input gives copies of p, a packet that the stack is to take in, to the IP endpoints that it concerns, and reports whether there are
// such. p remains the caller's: it begins with its IP headers, of which there are so many octets, and its checksums are complete;
// p.IP.Protocol is what follows these headers.
func (h *Host) Input(p *packet.Packet, headers int) bool {
	v6 := p.IP.Dst.Is6()
	key := protocolKey{v6, p.IP.Protocol}
	if key == icmpv6 && !h.validICMPv6(p, headers) {
		h.counters.InChecksumErrors++
		return false
	}
	found := false
	for _, list := range [...][]*IP{h.packets[key], h.everyIP[protocolKey{v6: v6}]} {
		for _, e := range list {
			if e.hears(p) {
				found = true
				e.copied(p, uint32(headers), &h.counters.InPackets)
			}
		}
	}
	return found
}

var (
	icmpv4 = protocolKey{false, ip.ProtocolICMPv4}
	icmpv6 = protocolKey{true, ip.ProtocolICMPv6}
)

// validICMPv6 reports whether the checksum behind the headers is right: RFC 3542 section 3.1 has it that endpoints for ICMPv6 get to see
// nothing else.
func (h *Host) validICMPv6(p *packet.Packet, headers int) bool {
	if p.Checksum == packet.ChecksumVerified {
		return true
	}
	var sum wire.Sum
	sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolICMPv6, p.Len()-headers)
	for _, piece := range p.Pieces() {
		n := min(headers, len(piece))
		sum.Add(piece[n:])
		headers -= n
	}
	return sum.Checksum() == 0
}

// InputEcho takes p, an echo reply that begins with its ICMP header, if an endpoint with its identifier is there, and reports that.
func (h *Host) InputEcho(p *packet.Packet) bool {
	if len(h.messages) == 0 {
		return false
	}
	b := p.Header(wire.ICMPv4HeaderLen)
	if b == nil {
		return false
	}
	key := portKey{icmpv4, binary.BigEndian.Uint16(b[4:])}
	if p.IP.Dst.Is6() {
		key.protocolKey = icmpv6
	}
	e := h.messages[key]
	if e == nil || !e.hears(p) {
		return false
	}
	e.deliver(p, &h.counters.InMessages)
	return true
}

// InputFrame gives copies of p, a frame that has arrived by the link that p.IP names, to the endpoints that it concerns, and reports
// whether there are such. p remains the caller's.
func (h *Host) InputFrame(p *packet.Packet, kind wire.EtherType) bool {
	found := false
	for _, e := range h.frames[p.IP.Link] {
		if e.kind == 0 || e.kind == kind {
			found = true
			e.copied(p, 0, &h.counters.InFrames)
		}
	}
	return found
}

// Error learns of an ICMP error about a packet of the protocol that the stack has sent, and reports whether that concerns any endpoint.
// message is the error as it came, from its ICMP header on, and stays the caller's; nil if the stack itself has found it out.
func (h *Host) Error(protocol uint8, e *ip.Error, message *packet.Packet) bool {
	if len(h.endpoints) == 0 || e.Foreign || len(e.Transport) < quoted {
		return false
	}
	key := protocolKey{e.Src.Is6(), protocol}
	found := h.errorOfIP(h.packets[key], e)
	found = h.errorOfIP(h.everyIP[protocolKey{v6: key.v6}], e) || found
	port := portKey{key, binary.BigEndian.Uint16(e.Transport)}
	if key == icmpv4 || key == icmpv6 {
		port.port = binary.BigEndian.Uint16(e.Transport[4:])
		if e.Transport[0] != requestOf(key.v6) {
			return found
		}
	}
	endpoint := h.messages[port]
	if endpoint == nil || endpoint.local.IsValid() && endpoint.local != e.Src || endpoint.link != 0 && endpoint.link != e.Link {
		return found
	}
	return endpoint.learn(e, message) || found
}

// quoted is how much of a packet an error must quote beyond the IP header: RFC 792's 64 bits.
const quoted = 8

func (h *Host) errorOfIP(list []*IP, e *ip.Error) bool {
	found := false
	for _, endpoint := range list {
		if endpoint.remote == e.Dst && endpoint.local == e.Src && tells(e) {
			endpoint.fail(e.Kind.Err())
			found = true
		}
	}
	return found
}

// tells reports whether an endpoint that is connected is told of an error: as UDP's.
func tells(e *ip.Error) bool {
	return e.Kind.Err() != nil && !(e.Kind.Transient() && e.From.IsValid())
}

// LinkRemoved ends the endpoints for frames of an interface that is there no more: they have ip.ErrNoDevice for their owners.
func (h *Host) LinkRemoved(link int32) {
	for _, e := range h.frames[link] {
		e.gone = true
		e.fail(ip.ErrNoDevice)
	}
}

// room returns an error if there cannot be another endpoint.
func (h *Host) room() error {
	switch limit := h.config.Limits.Endpoints; {
	case limit < 0:
		return ErrClosed
	case len(h.endpoints) >= limit:
		return fmt.Errorf("%d raw endpoints: %w", len(h.endpoints), ip.ErrNoBufferSpace)
	}
	return nil
}

// choose returns an identifier that no endpoint has yet, at random: RFC 6056's Algorithm 1, as UDP chooses ports.
func (h *Host) choose(key protocolKey) (uint16, error) {
	var random [2]byte
	if _, err := io.ReadFull(h.config.Rand, random[:]); err != nil {
		return 0, fmt.Errorf("raw: reading random octets: %w", err)
	}
	ident := binary.NativeEndian.Uint16(random[:])
	for range 1 << 16 {
		if _, taken := h.messages[portKey{key, ident}]; !taken && ident != 0 {
			return ident, nil
		}
		ident++
	}
	return 0, ip.ErrAddressInUse
}

// remove takes e out of a list.
func remove[K comparable, E comparable](lists map[K][]E, key K, e E) {
	list := slices.DeleteFunc(lists[key], func(other E) bool { return other == e })
	if len(list) == 0 {
		delete(lists, key)
	} else {
		lists[key] = list
	}
}

// plain is addr without zone, and as an IPv4 address if it is one in IPv6's clothes.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// group reports whether addr is a multicast address or the limited broadcast address.
func group(addr netip.Addr) bool { return addr.IsMulticast() || addr == broadcast }

// needsLink reports whether addr means nothing without a link.
func needsLink(addr netip.Addr, link int32) bool {
	return link == 0 && addr.Is6() && addr.IsLinkLocalUnicast()
}
