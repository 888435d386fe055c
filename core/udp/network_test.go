package udp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/stretchr/testify/require"
)

var epoch = time.Unix(1_000_000, 0)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// at parses an address with a port; the empty string is the zero value.
func at(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

// fakePath is a link that leads anywhere.
type fakePath struct {
	link            int32
	mtu, known      int // by the link, and on the way
	fills, verifies bool
}

func (p *fakePath) Link() int32                 { return p.link }
func (p *fakePath) MTU() int                    { return p.mtu }
func (p *fakePath) SegmentsTCP() bool           { return false }
func (p *fakePath) FillsChecksum(uint8) bool    { return p.fills }
func (p *fakePath) PathMTU() int                { return min(p.mtu, p.known) }
func (p *fakePath) MaxSegment() int             { return 0 }
func (p *fakePath) VerifiesChecksum(uint8) bool { return p.verifies }
func (p *fakePath) Confirm(int64)               {}

// script is a host on a fake network of two links: 2 has 192.168.69.1/24, fdaa::1/64 and fe80::1, and is where
// everything else is; 3 has 10.0.0.1/8 and fe80::1.
type script struct {
	testing.TB
	host  *Host
	links map[int32]*fakePath
	lines map[int32][]ip.Sender

	noRoute     netip.Prefix // destinations that cannot be reached
	unreachable []*packet.Packet
	intercepts  map[int32]bool
}

func newScript(t testing.TB, options ...func(*Config)) *script {
	s := &script{TB: t, lines: make(map[int32][]ip.Sender), intercepts: make(map[int32]bool)}
	s.links = map[int32]*fakePath{2: {link: 2, mtu: 1500, known: 1500}, 3: {link: 3, mtu: 65535, known: 65535}}
	config := Config{
		Network: s, Epoch: epoch, Rand: rand.NewChaCha8([32]byte{1}),
		PortUnreachable: func(_ int64, p *packet.Packet) { s.unreachable = append(s.unreachable, p) },
	}
	for _, option := range options {
		option(&config)
	}
	var err error
	s.host, err = NewHost(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.host.Close()
		require.Zero(t, s.host.Endpoints())
		require.Empty(t, s.host.table)
		require.Empty(t, s.host.ports)
		require.Zero(t, s.host.connected)
		require.Zero(t, s.host.linked)
		require.Empty(t, s.host.forwards)
		require.Empty(t, s.unreachable, "the test has not looked at a port unreachable")
	})
	return s
}

var own = map[int32][]netip.Addr{
	2: {addr("192.168.69.1"), addr("fdaa::1"), addr("fe80::1")},
	3: {addr("10.0.0.1"), addr("fe80::1")},
}

func (s *script) Local(link int32, a netip.Addr) bool {
	for l, addrs := range own {
		for _, b := range addrs {
			if a == b && (link == 0 || link == l) {
				return true
			}
		}
	}
	return false
}

func (s *script) Route(link int32, src, dst netip.Addr) (ip.Path, netip.Addr, error) {
	if s.noRoute.IsValid() && s.noRoute.Contains(dst) {
		return nil, netip.Addr{}, ip.ErrNetworkUnreachable
	}
	if link == 0 {
		link = 2
		if netip.MustParsePrefix("10.0.0.0/8").Contains(dst) {
			link = 3
		}
	}
	if src.IsValid() {
		if !s.Local(0, src) {
			return nil, netip.Addr{}, ip.ErrAddressNotAvailable
		}
		return s.links[link], src, nil
	}
	for _, a := range own[link] {
		if a.Is4() == dst.Is4() && a.IsLinkLocalUnicast() == dst.IsLinkLocalUnicast() {
			return s.links[link], a, nil
		}
	}
	return nil, netip.Addr{}, ip.ErrAddressNotAvailable
}

func (s *script) RouteBack(link int32, dst netip.Addr) (ip.Path, error) {
	if s.noRoute.IsValid() && s.noRoute.Contains(dst) {
		return nil, ip.ErrNetworkUnreachable
	}
	return s.links[link], nil
}

func (s *script) Intercept(link int32, protocol uint8, on bool) error {
	if s.links[link] == nil || protocol != ip.ProtocolUDP {
		return ip.ErrInvalid
	}
	s.intercepts[link] = on
	return nil
}

func (s *script) Send(int64, ip.Path, *packet.Packet) { s.Fatal("endpoints take turns") }
func (s *script) Timers() *timer.Heap                 { return nil }

func (s *script) Ready(path ip.Path, e ip.Sender) {
	if !e.Turn().Queued {
		e.Turn().Queued = true
		s.lines[path.Link()] = append(s.lines[path.Link()], e)
	}
}

// pull takes the next packet from those who stand in line at link, nil if there is none.
func (s *script) pull(link int32) *packet.Packet {
	for len(s.lines[link]) > 0 {
		e := s.lines[link][0]
		s.lines[link] = s.lines[link][1:]
		e.Turn().Queued = false
		p, path, more := e.Emit(0)
		if more {
			s.Ready(s.links[link], e)
		}
		if p != nil {
			require.Same(s, s.links[link], path, "it leaves where its sender stood in line")
			return p
		}
	}
	return nil
}

// datagram is one as a script writes it down: header fields, if zero, are not looked at or have a default.
type datagram struct {
	from, to string
	link     int32
	payload  string
	hopLimit uint8
	class    uint8
	foreign  bool // to an address that is not the stack's own, or from one
}

// make returns the datagram as it arrives, its checksum filled in.
func (d *datagram) make() *packet.Packet {
	from, to := at(d.from), at(d.to)
	p := packet.New(wire.UDPHeaderLen + len(d.payload))
	repr := wire.UDPRepr{SrcPort: from.Port(), DstPort: to.Port(), PayloadLen: len(d.payload)}
	repr.Emit(p.Append(repr.Len()))
	copy(p.Append(len(d.payload)), d.payload)
	wire.UDPPacket(p.Head()).FillChecksum(from.Addr(), to.Addr())
	p.IP = packet.IPInfo{
		Src: from.Addr(), Dst: to.Addr(), Link: d.link, Protocol: ip.ProtocolUDP, HopLimit: d.hopLimit, TrafficClass: d.class,
		Foreign: d.foreign, Group: to.Addr().IsMulticast() || to.Addr() == netip.MustParseAddr("255.255.255.255"),
	}
	return p
}

// recv has the datagram arrive.
func (s *script) recv(d datagram) {
	fill(&d.link, 2)
	s.input(d.make())
}

func (s *script) input(p *packet.Packet) {
	s.host.Input(0, s.links[p.IP.Link], p)
}

// want requires that the datagram is the next to leave.
func (s *script) want(why string, d datagram) {
	s.Helper()
	fill(&d.link, 2)
	p := s.pull(d.link)
	require.NotNil(s, p, why)
	defer p.Release()
	header, err := wire.ParseUDP(contents(p))
	require.NoError(s, err, why)
	require.Equal(s, p.Len(), header.Length(), why)
	got := datagram{
		from: netip.AddrPortFrom(p.IP.Src, header.SrcPort()).String(), to: netip.AddrPortFrom(p.IP.Dst, header.DstPort()).String(),
		link: d.link, payload: string(header.Payload()), hopLimit: p.IP.HopLimit, class: p.IP.TrafficClass,
		foreign: p.IP.Foreign,
	}
	require.Equal(s, d, got, why)
	require.EqualValues(s, ip.ProtocolUDP, p.IP.Protocol)
	if p.Checksum == packet.ChecksumPartial {
		offset, field := p.PartialChecksum()
		require.Equal(s, []int{0, wire.UDPChecksumField}, []int{offset, field})
		var pseudo wire.Sum
		pseudo.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolUDP, p.Len())
		require.Equal(s, pseudo.Fold(), header.Checksum())
		return
	}
	require.NotZero(s, header.Checksum(), "there is always a checksum")
	require.True(s, header.VerifyChecksum(p.IP.Src, p.IP.Dst), why)
}

// wantIdle requires that nothing leaves.
func (s *script) wantIdle(why string) {
	s.Helper()
	for link := range s.links {
		require.Nil(s, s.pull(link), why)
	}
	require.Empty(s, s.unreachable, why)
}

// wantUnreachable requires that the datagram is to be answered with a port unreachable.
func (s *script) wantUnreachable(why string, d datagram) {
	s.Helper()
	require.Len(s, s.unreachable, 1, why)
	p := s.unreachable[0]
	s.unreachable = nil
	want := d.make()
	require.Equal(s, contents(want), contents(p), "the error can quote it from its UDP header on")
	require.Equal(s, want.IP.Src, p.IP.Src)
	want.Release()
	p.Release()
}

func contents(p *packet.Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	return b
}

// endpoint is an Endpoint with an owner that takes note, and methods that read well.
type endpoint struct {
	*Endpoint
	s      *script
	events ip.Event
}

func (e *endpoint) Notify(events ip.Event) { e.events |= events }

func (s *script) bind(config BindConfig) *endpoint {
	s.Helper()
	e := &endpoint{s: s}
	config.Owner = e
	var err error
	e.Endpoint, err = s.host.Bind(config)
	require.NoError(s, err)
	return e
}

func (s *script) listen(local string) *endpoint {
	s.Helper()
	return s.bind(BindConfig{Local: at(local)})
}

func (s *script) dial(local, remote string) *endpoint {
	s.Helper()
	return s.bind(BindConfig{Local: at(local), Remote: at(remote)})
}

func (s *script) wantBindError(why string, config BindConfig, want error) {
	s.Helper()
	e, err := s.host.Bind(config)
	require.ErrorIs(s, err, want, why)
	require.Nil(s, e)
}

func text(s string) *packet.Packet {
	p := packet.New(len(s))
	copy(p.Append(len(s)), s)
	return p
}

// send sends payload; to may be empty.
func (e *endpoint) send(payload, to string) {
	e.s.Helper()
	require.NoError(e.s, e.Send(epoch, text(payload), at(to), 0))
}

func (e *endpoint) wantSendError(why, payload, to string, want error) {
	e.s.Helper()
	p := text(payload)
	err := e.Send(epoch, p, at(to), 0)
	require.ErrorIs(e.s, err, want, why)
	if err == ErrWouldBlock {
		require.Equal(e.s, payload, string(contents(p)), "it stays the caller's, unchanged")
		p.Release()
	}
}

// want requires that the payload is what is read next, and from whom.
func (e *endpoint) want(why, payload, from string) packet.IPInfo {
	e.s.Helper()
	p, sender, ok := e.Receive()
	require.True(e.s, ok, why)
	defer p.Release()
	require.Equal(e.s, payload, string(contents(p)), why)
	require.Equal(e.s, at(from), sender, why)
	return p.IP
}

func (e *endpoint) wantNothing(why string) {
	e.s.Helper()
	_, _, ok := e.Receive()
	require.False(e.s, ok, why)
}

func (e *endpoint) wantEvents(why string, want ip.Event) {
	e.s.Helper()
	require.Equal(e.s, want, e.events, why)
	e.events = 0
}

// quote is what an ICMP error quotes of a datagram.
func quote(from, to string) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, at(from).Port())
	binary.BigEndian.PutUint16(b[2:], at(to).Port())
	return b
}

// error has an ICMP error arrive about a datagram.
func (s *script) error(kind ip.ErrorKind, from, to string) {
	s.host.Error(0, &ip.Error{
		Kind: kind, Src: at(from).Addr(), Dst: at(to).Addr(), Link: 2, From: addr("192.168.69.254"), Transport: quote(from, to),
	})
}

func (s *script) wantCounters(why string, change func(c *Counters), do func()) {
	s.Helper()
	want := s.host.Counters()
	change(&want)
	do()
	require.Equal(s, want, s.host.Counters(), why)
}
