package tcp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp/congestion"
	"github.com/smolnet/smolnet/core/wire"
)

// Host is the TCP of one stack: its connections and listeners, and what they share.
type Host struct {
	config   Config
	network  ip.Network
	counters Counters
	secret   [32]byte // of initial sequence numbers
	hashed   id       // what hash was last asked for, and what it was
	hashOf   [32]byte
	cookies  synCookies
	fastOpen fastOpenSecret
	servers  fastOpenPeers // that have granted a Fast Open cookie

	table       table
	listeners   map[listenKey]*Listener
	sharers     map[listenKey][]*Listener // of a key that several share; the first is in listeners
	listening   int                       // Listeners, each of which may have several keys
	ports       portCounts
	connections int                   // Conns in the table
	halfOpen    int                   // half-open records in the table, and requests that are held
	forwards    map[int32]*forwarding // by the index of the interface
	timeWaits   timeWaitQueue

	memory      memory
	flights     *flight // not in use
	idleFlights int     // how many those are
	idleRanges  int     // what their scoreboards have room for
	nothingRare rare    // what connections without anything rare share

	// What is being taken in: kept here so that it need not be allocated.
	arriving segment
	acking   acknowledgment
	ack      congestion.Ack
}

// NewHost returns a Host without connections, or an error that names the value of the configuration that is wrong.
func NewHost(config Config) (*Host, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{
		config:    config,
		network:   config.Network,
		listeners: make(map[listenKey]*Listener),
		forwards:  make(map[int32]*forwarding),
		ports:     make(portCounts),
		memory:    memory{limit: config.Limits.Memory},
	}
	h.table = newTable()
	h.servers.limit = config.Limits.FastOpenPeers
	var cookieSecret [32]byte
	for _, secret := range []*[32]byte{&h.secret, &cookieSecret, &h.fastOpen.key} {
		if err := h.random(secret[:]); err != nil {
			return nil, err
		}
	}
	h.cookies.start(cookieSecret)
	return h, nil
}

// random fills b with random octets.
func (h *Host) random(b []byte) error {
	if _, err := io.ReadFull(h.config.Rand, b); err != nil {
		return fmt.Errorf("tcp: reading random octets: %w", err)
	}
	return nil
}

// Counters returns a copy of the host's statistics.
func (h *Host) Counters() Counters { return h.counters }

// Connections is how many connections there are, without half-open ones and those in TIME-WAIT.
func (h *Host) Connections() int { return h.connections }

func (h *Host) since(now time.Time) int64 { return int64(now.Sub(h.config.Epoch)) }

// Close aborts every connection and closes every listener and forwarder.
func (h *Host) Close(now time.Time) {
	for _, w := range h.forwards {
		if w.forwarder != nil {
			w.forwarder.Close(now)
		}
	}
	for len(h.listeners) > 0 {
		for _, l := range h.listeners {
			l.Close(now) // and another that shares its address may be in its place
		}
	}
	h.table.all(func(e *entry) {
		switch o := e.occupant.(type) {
		case *Conn:
			o.Abort(now)
		case *halfOpen:
			o.forget(ErrAborted)
		case *timeWait:
			o.forget()
		}
	})
}

// Input takes p, a segment that arrived by path: p.IP says from where and to whom, and its first octet is the TCP header's.
func (h *Host) Input(now int64, path ip.Path, p *packet.Packet) {
	s := &h.arriving
	if !h.parse(path, p, s) {
		p.Release()
		return
	}
	s.packet = p
	i := s.name()
	if e := h.table.lookup(&i); e != nil {
		e.occupant.segment(now, s)
	} else if o := h.opener(s); o != nil {
		o.segment(now, s)
	} else if s.foreign {
		h.dropped(&h.counters.NotForwarded, p, "to another host")
	} else {
		h.refuseNew(now, s)
	}
	s.release()
}

// opener is who has connections be opened by what arrives: a Listener or a Forwarder.
type opener interface {
	segment(now int64, s *segment)
	// admits reports whether there is room for another connection; if not, the SYN is counted as dropped.
	admits(s *segment) bool
	// open takes a SYN. The initial sequence number of ours is to be at least leastISS, if that is not 0.
	open(now int64, s *segment, leastISS uint32)
	// defaults are what the connections begin with.
	defaults() *Options
}

// opener is who takes a segment for which there is no connection; nil if there is nobody.
func (h *Host) opener(s *segment) opener {
	if !s.foreign {
		if l := h.listenerFor(s); l != nil {
			return l
		}
	}
	if f := h.forwarder(s.packet.IP.Link); f != nil {
		return f
	}
	return nil
}

// insert puts what stands under a connection's name into the table.
func (h *Host) insert(e *entry, o occupant) {
	h.table.insert(e, o)
	if e.id.foreign() {
		h.beginForwarded(&e.id)
	} else {
		h.ports.add(e.id.localPort)
	}
}

// remove takes it out of the table; it reports false if it was not there.
func (h *Host) remove(e *entry) bool {
	if !h.table.remove(e) {
		return false
	}
	if e.id.foreign() {
		h.endForwarded(&e.id)
	} else {
		h.ports.remove(e.id.localPort)
	}
	return true
}

// parse reads p's header into s and trims it off; it counts why it could not.
func (h *Host) parse(path ip.Path, p *packet.Packet, s *segment) bool {
	h.counters.InSegs++
	if p.IP.Group {
		// "A TCP implementation MUST silently discard an incoming SYN segment that is addressed to a broadcast or multicast
		// address" and no other segment has business there.
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.9.2.3
		h.dropped(&h.counters.InGroup, p, "sent to a group")
		return false
	}
	header := p.Header(wire.TCPHeaderLen)
	if header == nil {
		return h.malformed(&h.counters.InHeaderErrors, p, "truncated header")
	}
	length := wire.TCPPacket(header).HeaderLen()
	if length < wire.TCPHeaderLen {
		return h.malformed(&h.counters.InHeaderErrors, p, "contradictory header length")
	}
	if header = p.Header(length); header == nil {
		return h.malformed(&h.counters.InHeaderErrors, p, "truncated header")
	}
	if p.Unverified(path.VerifiesChecksum(ip.ProtocolTCP)) && !checksumValid(p) {
		return h.malformed(&h.counters.InChecksumErrors, p, "wrong checksum")
	}
	t := wire.TCPPacket(header)
	s.local = netip.AddrPortFrom(p.IP.Dst, t.DstPort())
	s.remote = netip.AddrPortFrom(p.IP.Src, t.SrcPort())
	if s.remote.Port() == 0 || s.local.Port() == 0 {
		return h.malformed(&h.counters.InHeaderErrors, p, "port zero")
	}
	s.link, s.foreign = 0, p.IP.Foreign
	if s.foreign || p.IP.Src.IsLinkLocalUnicast() || p.IP.Dst.IsLinkLocalUnicast() {
		s.link = p.IP.Link
	}
	s.seq, s.ack = t.Seq(), t.Ack()
	s.flags = t.Flags()
	if s.has(wire.TCPSyn) && s.has(wire.TCPFin|wire.TCPRst) {
		// RFC 9293 does not forbid them, but nobody who means to connect ends or resets with the same segment; they come from
		// port scanners, which tell systems apart by what each makes of them.
		return h.malformed(&h.counters.InFlagErrors, p, "contradictory flags")
	}
	s.window = uint32(t.Window())
	s.options = wire.TCPOptions{}
	if length > wire.TCPHeaderLen {
		if s.options.Parse(t.Options()) != nil {
			h.counters.InOptionErrors++
		}
	}
	p.TrimFront(length)
	s.length = p.Len()
	s.origin, s.opening, s.bare = s.seq, s.has(wire.TCPSyn), s.spans() == 0
	s.size = s.length
	if p.SegmentSize != 0 && s.length > int(p.SegmentSize) {
		s.size = int(p.SegmentSize)
		h.counters.InSegs += uint64((s.length+s.size-1)/s.size - 1)
	}
	return true
}

func (h *Host) malformed(counter *uint64, p *packet.Packet, cause string) bool {
	h.counters.InErrs++
	h.dropped(counter, p, cause)
	return false
}

func checksumValid(p *packet.Packet) bool {
	var sum wire.Sum
	sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolTCP, p.Len())
	for _, piece := range p.Pieces() {
		sum.Add(piece)
	}
	return sum.Checksum() == 0
}

// refuseNew refuses a segment for which there is neither connection nor listener, or that a listener has no use for.
func (h *Host) refuseNew(now int64, s *segment) {
	if !s.has(wire.TCPRst) {
		h.dropped(&h.counters.NoListener, s.packet, "nothing is open there")
	}
	h.refuse(now, s)
}

// refuse answers a segment that belongs to nothing.
//
// "An incoming segment containing a RST is discarded. An incoming segment not containing a RST causes a RST to be sent in
// response. [...] If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> If the ACK bit
// is on, <SEQ=SEG.ACK><CTL=RST>"
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.1
func (h *Host) refuse(now int64, s *segment) {
	if s.has(wire.TCPRst) {
		h.ignoreReset(s)
		return
	}
	r := control{
		id: s.name(), hopLimit: h.config.Options.HopLimit, trafficClass: h.config.Options.TrafficClass,
	}
	if s.has(wire.TCPAck) {
		r.seq, r.flags = s.ack, wire.TCPRst
	} else {
		r.ack, r.flags = s.end(), wire.TCPRst|wire.TCPAck
	}
	h.sendControl(now, &r)
}

// ignoreReset counts a reset that ends nothing.
func (h *Host) ignoreReset(s *segment) {
	h.dropped(&h.counters.InRstsIgnored, s.packet, "unacceptable reset")
}

// control is a segment without payload that leaves outside any Conn's turn.
type control struct {
	id           id
	seq, ack     uint32
	flags        wire.TCPFlags
	window       uint16
	options      wire.TCPOptions
	hopLimit     uint8
	trafficClass uint8
	again        bool // it only repeats what was sent before
}

// route finds the way to the peer of a connection of the given name.
func (h *Host) route(i *id) (ip.Path, error) {
	if i.foreign() {
		return h.network.RouteBack(i.link(), i.remoteAddr())
	}
	path, _, err := h.network.Route(i.link(), i.localAddr(), i.remoteAddr())
	return path, err
}

func (h *Host) sendControl(now int64, c *control) {
	p := packet.New(0)
	p.IP = packet.IPInfo{
		Src: c.id.localAddr(), Dst: c.id.remoteAddr(), Link: c.id.link(), Foreign: c.id.foreign(), Protocol: ip.ProtocolTCP,
		HopLimit: c.hopLimit, TrafficClass: c.trafficClass, Fragmentation: packet.DontFragment,
	}
	path, err := h.route(&c.id)
	if err != nil {
		h.dropped(&h.counters.OutNoRoutes, p, "no route for an answer")
		p.Release()
		return
	}
	r := wire.TCPRepr{
		SrcPort: c.id.localPort, DstPort: c.id.remotePort, Seq: c.seq, Ack: c.ack, Flags: c.flags, Window: c.window,
		Options: c.options,
	}
	r.Emit(p.Prepend(r.Len()))
	fillChecksum(path, p)
	if c.again {
		h.counters.RetransSegs++
	} else {
		h.counters.OutSegs++
	}
	if c.flags.Has(wire.TCPRst) {
		h.counters.OutRsts++
	}
	h.network.Send(now, path, p)
}

// fillChecksum fills in the checksum of the segment p, or leaves it to the path's device.
func fillChecksum(path ip.Path, p *packet.Packet) {
	var sum wire.Sum
	sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolTCP, p.Len())
	header := wire.TCPPacket(p.Header(wire.TCPHeaderLen))
	if path.FillsChecksum(ip.ProtocolTCP) {
		header.SetChecksum(sum.Fold())
		p.SetPartialChecksum(0, wire.TCPChecksumField)
		return
	}
	for _, piece := range p.Pieces() {
		sum.Add(piece)
	}
	header.SetChecksum(sum.Checksum())
}

// Error learns of an ICMP error about a segment that the host has sent.
func (h *Host) Error(now int64, e *ip.Error) {
	if len(e.Transport) < 8 {
		return
	}
	local := netip.AddrPortFrom(e.Src, binary.BigEndian.Uint16(e.Transport))
	remote := netip.AddrPortFrom(e.Dst, binary.BigEndian.Uint16(e.Transport[2:]))
	i := newID(local, remote, e.Link)
	if e.Foreign {
		i = foreignID(local, remote, e.Link)
	}
	if found := h.table.lookup(&i); found != nil {
		found.occupant.unreachable(now, e, binary.BigEndian.Uint32(e.Transport[4:]))
	}
}
