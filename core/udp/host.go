// Package udp is the User Datagram Protocol, RFC 768, over IPv4 and IPv6: endpoints, and the demultiplexing of what
// arrives for them.
//
// A [Host] is the UDP of one stack. What is bound in it is an [Endpoint]: connected or not, alone at its port or not
// (BindConfig.ReusePort, BindConfig.ReuseAddr), with a queue each way and an [Options] of its own; a [Header] is for a single
// datagram. A [Forwarder] makes endpoints of what is sent to others.
//
// A datagram that does not fit the path in one packet leaves in fragments, unless its endpoint asks for something else: see
// PathMTUDiscovery.
package udp

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Host is the UDP of one stack: its endpoints, and what they share.
type Host struct {
	config   Config
	network  ip.Network
	counters Counters

	table     map[key]*Endpoint    // by what they receive; of those that share that, the last
	sharers   map[key]*sharers     // of a key that several share
	seed      maphash.Seed         // of the hash that tells who of them is meant
	ports     map[uint16]*Endpoint // by local port, linked through their portNext
	connected int                  // endpoints in the table that are connected
	linked    int                  // endpoints in the table that are bound to a link

	forwards map[int32]*forwarding // by the index of the interface

	// All endpoints, linked through their next: those closed and with datagrams yet to send are in no table.
	first     *Endpoint
	endpoints int

	random [4]byte
	now    int64 // the latest time that anybody has told
}

// key is what an endpoint is found by: the local address and port and, if it is connected, the remote ones. As fixed
// octets it is hashed and compared at once; the map has a seed of its own, so that nobody outside can choose keys that
// fall together. IPv4 addresses are in their IPv4-mapped form, which never occurs on the wire.
type key struct {
	local, remote         [16]byte
	localPort, remotePort uint16
	link                  int32
}

func keyOf(local, remote netip.AddrPort, link int32) key {
	k := key{local: local.Addr().As16(), localPort: local.Port(), link: link}
	if remote.IsValid() {
		k.remote, k.remotePort = remote.Addr().As16(), remote.Port()
	}
	return k
}

// NewHost returns a Host without endpoints, or an error that names the value of the configuration that is wrong.
func NewHost(config Config) (*Host, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Host{
		config:  config,
		network: config.Network,
		table:   make(map[key]*Endpoint),
		seed:    maphash.MakeSeed(),
		ports:   make(map[uint16]*Endpoint),

		forwards: make(map[int32]*forwarding),
	}, nil
}

// Counters returns a copy of the host's statistics.
func (h *Host) Counters() Counters { return h.counters }

// Endpoints is how many endpoints there are, those included that are closed and have datagrams yet to send.
func (h *Host) Endpoints() int { return h.endpoints }

// Close closes every forwarder and endpoint, telling its owner, and drops what they have yet to send. Afterwards nothing
// can be bound.
func (h *Host) Close() {
	for _, w := range h.forwards {
		if w.forwarder != nil {
			w.forwarder.Close()
		}
	}
	h.config.Limits.Endpoints = -1
	for e := h.first; e != nil; e = h.first {
		e.sending.Reset()
		if e.closed {
			e.forget()
			continue
		}
		e.Close()
		e.notify(ip.Closed)
	}
}

// Input takes p, a datagram that arrived by path: p.IP says from where and to whom, and its first octet is the UDP
// header's.
func (h *Host) Input(now int64, path ip.Path, p *packet.Packet) {
	h.now = now
	b := p.Header(wire.UDPHeaderLen)
	if b == nil {
		h.drop(p, &h.counters.InHeaderErrors, "truncated header")
		return
	}
	header := wire.UDPPacket(b)
	length := header.Length()
	switch {
	case length < wire.UDPHeaderLen || length > p.Len():
		h.drop(p, &h.counters.InLengthErrors, "contradictory length")
		return
	case header.DstPort() == 0:
		h.drop(p, &h.counters.InHeaderErrors, "port zero")
		return
	}
	p.Truncate(length) // what is behind belongs to nobody
	if counter, cause := h.verify(path, p, header); counter != nil {
		h.drop(p, counter, cause)
		return
	}
	local := netip.AddrPortFrom(p.IP.Dst, header.DstPort())
	remote := netip.AddrPortFrom(p.IP.Src, header.SrcPort())
	if p.IP.Group || group(p.IP.Dst) {
		if h.deliverToGroup(p, local, remote) {
			return
		}
	} else if e := h.lookup(local, remote, p.IP.Link, p.IP.Foreign); e != nil {
		e.take(p, remote)
		return
	} else if h.forward(p, local, remote) {
		return
	}
	h.noPort(now, p)
}

// noPort ends a datagram that there is no endpoint for.
func (h *Host) noPort(now int64, p *packet.Packet) {
	h.counters.NoPorts++
	h.dropped(p, "nothing is open there")
	// "If a datagram arrives addressed to a UDP port for which there is no pending LISTEN call, UDP SHOULD send an ICMP
	// Port Unreachable message."
	// https://www.rfc-editor.org/rfc/rfc1122.html#section-4.1.3.1
	//
	// "An ICMP error message MUST NOT be sent as the result of receiving: [...] a datagram destined to an IP broadcast
	// or IP multicast address, or [...] a datagram sent as a link-layer broadcast"
	// https://www.rfc-editor.org/rfc/rfc1122.html#section-3.2.2
	if p.IP.Group || group(p.IP.Dst) {
		h.counters.NoPortsGroup++
		p.Release()
		return
	}
	if h.config.PortUnreachable == nil {
		p.Release()
		return
	}
	h.config.PortUnreachable(now, p)
}

// drop ends a datagram, counts why, and tells who listens.
func (h *Host) drop(p *packet.Packet, counter *uint64, cause string) {
	h.counters.InErrors++
	*counter++
	h.dropped(p, cause)
	p.Release()
}

// dropped tells who listens of a datagram that goes no further.
func (h *Host) dropped(p *packet.Packet, cause string) {
	if h.config.Dropped != nil {
		h.config.Dropped(p, cause)
	}
}

// verify returns nil if the checksum of the datagram p is right or needs no looking at, and else the counter of
// what is wrong, and its name.
func (h *Host) verify(path ip.Path, p *packet.Packet, header wire.UDPPacket) (counter *uint64, cause string) {
	if p.Checksum == packet.ChecksumPartial {
		return nil, "" // it never left memory
	}
	if header.Checksum() == 0 {
		if p.IP.Dst.Is4() {
			return nil, "" // "the transmitter generated no checksum" (RFC 768)
		}
		// "IPv6 receivers must discard UDP packets containing a zero checksum and should log the error."
		// https://www.rfc-editor.org/rfc/rfc8200.html#section-8.1
		return &h.counters.InNoChecksum, "no checksum"
	}
	if p.Unverified(path.VerifiesChecksum(ip.ProtocolUDP)) && sum(p).Checksum() != 0 {
		return &h.counters.InChecksumErrors, "wrong checksum"
	}
	return nil, ""
}

// sum adds up pseudo-header and datagram.
func sum(p *packet.Packet) wire.Sum {
	var s wire.Sum
	s.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolUDP, p.Len())
	for _, piece := range p.Pieces() {
		s.Add(piece)
	}
	return s
}

// lookup finds the endpoint for a datagram to local from remote: the most particular there is. What goes to others'
// addresses, which foreign says, is for flows alone.
func (h *Host) lookup(local, remote netip.AddrPort, link int32, foreign bool) *Endpoint {
	if h.connected > 0 {
		if e := h.find(keyOf(local, remote, 0), remote, link); e != nil {
			return e
		}
	}
	if foreign {
		return nil
	}
	if e := h.find(keyOf(local, netip.AddrPort{}, 0), remote, link); e != nil {
		return e
	}
	wildcard := netip.IPv6Unspecified()
	if local.Addr().Is4() {
		wildcard = netip.IPv4Unspecified()
	}
	return h.find(keyOf(netip.AddrPortFrom(wildcard, local.Port()), netip.AddrPort{}, 0), remote, link)
}

// find looks for an endpoint bound to link, and then for one bound to none.
func (h *Host) find(k key, remote netip.AddrPort, link int32) *Endpoint {
	if h.linked > 0 && link != 0 {
		k.link = link
		if e := h.table[k]; e != nil {
			return h.chosen(k, e, remote)
		}
		k.link = 0
	}
	if e := h.table[k]; e != nil {
		return h.chosen(k, e, remote)
	}
	return nil
}

// Sends reports whether a datagram from local to remote by the link can have come from an endpoint: an ICMP error about it is not
// simply made up. foreign is whether local is no address of the stack's own.
func (h *Host) Sends(local, remote netip.AddrPort, link int32, foreign bool) bool {
	return h.lookup(local, remote, link, foreign) != nil
}

// Error learns of an ICMP error about a datagram that the host has sent. It reaches the endpoint connected to where the
// datagram went. One that is not connected sends to many, and must not suffer from what befalls one of them.
//
//	"UDP MUST pass to the application layer all ICMP error messages that it receives from the IP layer."
//
// https://www.rfc-editor.org/rfc/rfc1122.html#section-4.1.3.3
func (h *Host) Error(_ int64, e *ip.Error) {
	if len(e.Transport) >= 4 && h.connected > 0 {
		local := netip.AddrPortFrom(e.Src, binary.BigEndian.Uint16(e.Transport))
		remote := netip.AddrPortFrom(e.Dst, binary.BigEndian.Uint16(e.Transport[2:]))
		if endpoint := h.find(keyOf(local, remote, 0), remote, e.Link); endpoint != nil && endpoint.learns(e) {
			h.counters.ErrorsDelivered++
			endpoint.fail(e.Kind.Err())
			return
		}
	}
	h.counters.ErrorsIgnored++
}

// learns reports whether an endpoint is told of an error. As on Linux, where a socket must ask for them, it is not told of those that
// may pass, unless it is the stack itself that knows that there is nobody; nor of what its datagrams are too big for, if it leaves
// that to the routers.
func (e *Endpoint) learns(of *ip.Error) bool {
	if of.Kind == ip.PacketTooBig && e.options.PathMTUDiscovery == PathMTUDont {
		return false
	}
	return of.Kind.Err() != nil && !(of.Kind.Transient() && of.From.IsValid())
}

// Bind opens an endpoint. The errors are ip.ErrInvalid, ip.ErrAddressNotAvailable, ip.ErrAddressInUse (also if every
// ephemeral port is), ip.ErrNetworkUnreachable if Remote is, ip.ErrNoBufferSpace beyond Limits.Endpoints, and
// ErrClosed.
func (h *Host) Bind(config BindConfig) (*Endpoint, error) {
	switch limit := h.config.Limits.Endpoints; {
	case limit < 0:
		return nil, ErrClosed
	case h.endpoints >= limit:
		return nil, fmt.Errorf("%d endpoints: %w", h.endpoints, ip.ErrNoBufferSpace)
	}
	e := &Endpoint{
		host: h, owner: config.Owner, link: config.Link, options: config.Options,
		reusePort: config.ReusePort, reuseAddr: config.ReuseAddr,
	}
	if err := e.setBuffers(config.ReceiveBuffer, config.SendBuffer); err != nil {
		return nil, err
	}
	local, err := h.resolve(&config, e)
	if err != nil {
		return nil, err
	}
	e.local = local
	if local.Port() == 0 {
		port, err := h.choosePort(e)
		if err != nil {
			return nil, err
		}
		e.local = netip.AddrPortFrom(local.Addr(), port)
	} else if b := claimOf(&config, e); !h.free(&b) || h.flowing(e, local.Port()) {
		return nil, ip.ErrAddressInUse
	}
	h.add(e)
	return e, nil
}

// resolve sets the endpoint's remote address, and finds out which local address it gets.
func (h *Host) resolve(config *BindConfig, e *Endpoint) (netip.AddrPort, error) {
	local, remote := plain(config.Local), plain(config.Remote)
	addr := local.Addr()
	if remote.Addr().IsValid() {
		otherFamily := addr.IsValid() && addr.Is4() != remote.Addr().Is4()
		if remote.Port() == 0 || otherFamily && !(config.DualStack && isWildcard(addr)) {
			return local, fmt.Errorf("from %v to %v: %w", config.Local, config.Remote, ip.ErrInvalid)
		}
		if needsLink(remote.Addr(), config.Link) {
			return local, fmt.Errorf("%v without a link: %w", config.Remote, ip.ErrInvalid)
		}
		if isWildcard(addr) {
			addr = netip.Addr{}
		}
		_, source, err := h.network.Route(config.Link, addr, remote.Addr())
		e.remote, e.source = remote, source
		return netip.AddrPortFrom(source, local.Port()), err
	}
	switch {
	case !addr.IsValid() || needsLink(addr, config.Link):
		return local, fmt.Errorf("local address %v on link %d: %w", config.Local, config.Link, ip.ErrInvalid)
	case isWildcard(addr):
		e.dualStack = config.DualStack && addr.Is6()
	case group(addr):
	case !h.network.Local(config.Link, addr):
		return local, ip.ErrAddressNotAvailable
	default:
		e.source = addr
	}
	return local, nil
}

// plain is a without zone, and as an IPv4 address if it is one in IPv6's clothes.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func isWildcard(addr netip.Addr) bool { return addr.IsValid() && addr.IsUnspecified() }

// needsLink reports whether addr means nothing without a link.
func needsLink(addr netip.Addr, link int32) bool {
	return link == 0 && addr.Is6() && addr.IsLinkLocalUnicast()
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// group reports whether addr is a multicast address or the limited broadcast address.
func group(addr netip.Addr) bool { return addr.IsMulticast() || addr == broadcast }
