package tcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// A script is a conversation between a Host and a peer that the test plays: recv is what the peer sends, want what must leave in
// answer, wantIdle that nothing does. Sequence numbers are relative: seq to the initial sequence number of whoever sends the
// segment, ack to that of the other.
type script struct {
	t     *testing.T
	host  *Host
	net   *fakeNetwork
	now   time.Time
	iss   uint32 // the host's, once it was seen
	irs   uint32 // the peer's
	local netip.AddrPort
	peer  netip.AddrPort
	conn  *Conn
	owner *recorder
	read  storage.Queue

	foreign bool // local is not the host's own
}

// seg is a segment of a script. mss, ws and win are compared only if they are set; noWS says that there is no such option.
type seg struct {
	flags    string // as tcpdump prints them: "S", "S.", ".", "P.", "F.", "R", "R."
	seq, ack uint32
	win      int
	data     string
	len      int // instead of data: so many octets of a pattern
	mss, ws  int
	noWS     bool

	// Options, compared only if they are set; no… says that there is no such option. The host's timestamps are relative to its clock's
	// start: milliseconds since the epoch, without the connection's offset.
	sackOK, noSACK bool
	tsval, tsecr   uint32
	ts, noTS       bool        // ts: the option is there, whatever it holds
	sack           [][2]uint32 // relative to the initial sequence number of who sent what they are about
	tfo            string      // a Fast Open cookie
	tfoRequest     bool        // the Fast Open option without a cookie
	noTFO          bool
}

func (s seg) octets() string {
	if s.len > 0 {
		return strings.Repeat("x", s.len)
	}
	return s.data
}

func (s seg) String() string {
	text := fmt.Sprintf("[%s] seq %d ack %d len %d", s.flags, s.seq, s.ack, max(s.len, len(s.data)))
	if s.data != "" && len(s.data) < 32 {
		text += fmt.Sprintf(" %q", s.data)
	}
	if s.win != 0 {
		text += fmt.Sprintf(" win %d", s.win)
	}
	return text
}

var (
	epoch     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	localHost = netip.MustParseAddr("192.0.2.1")
	peerHost  = netip.MustParseAddr("192.0.2.2")
)

// newScript returns a host that nothing has been said to yet. The functions change its configuration.
func newScript(t *testing.T, configure ...func(*Config)) *script {
	s := &script{
		t: t, now: epoch, irs: 4_000_000_000,
		local: netip.AddrPortFrom(localHost, 80), peer: netip.AddrPortFrom(peerHost, 4242),
		owner: &recorder{},
	}
	s.net = &fakeNetwork{mtu: 1500}
	config := Config{
		Network: s.net, Epoch: epoch, Rand: rand.NewChaCha8([32]byte{}), QuickACKs: -1,
		Options: Options{ReceiveBuffer: 1 << 20, SendBuffer: 1 << 20, Congestion: "reno"},
	}
	for _, f := range configure {
		f(&config)
	}
	var err error
	s.host, err = NewHost(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.host.Close(s.now)
		if s.conn != nil {
			s.conn.Close(s.now)
		}
		s.net.discard()
		s.read.Reset()
	})
	return s
}

// listen opens a listener on the script's local port.
func (s *script) listen(configure ...func(*ListenConfig)) *Listener {
	cfg := ListenConfig{Local: s.local}
	for _, f := range configure {
		f(&cfg)
	}
	l, err := s.host.Listen(cfg)
	require.NoError(s.t, err)
	return l
}

// accepted is a connection that the peer opened, its handshake done and nothing yet said. The peer offers a window of 65535 without
// scaling, and an MSS of 1460.
func (s *script) accepted(configure ...func(*ListenConfig)) *Conn {
	s.t.Helper()
	l := s.listen(configure...)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.NotNil(s.t, s.conn)
	s.conn.SetOwner(s.owner)
	s.wantIdle("the handshake is complete")
	return s.conn
}

// dialed is a connection that the host opened, its handshake done and nothing yet said.
func (s *script) dialed(options *Options) *Conn {
	s.t.Helper()
	s.dial(options)
	s.want("it opens", seg{flags: "S"})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1})
	s.wantIdle("and nothing more")
	return s.conn
}

func (s *script) dial(options *Options) *Conn {
	s.t.Helper()
	return s.dialData(options, "")
}

func (s *script) dialData(options *Options, data string) *Conn {
	s.t.Helper()
	c, err := s.host.Dial(s.now, DialConfig{
		Local: netip.AddrPortFrom(localHost, 0), Remote: s.peer, Owner: s.owner, Options: options, Data: []byte(data),
	})
	require.NoError(s.t, err)
	s.conn, s.local = c, c.LocalAddr()
	return c
}

// recv has the segment arrive.
func (s *script) recv(sg seg) {
	s.t.Helper()
	s.recvPacket(s.packet(sg))
}

func (s *script) recvPacket(p *packet.Packet) {
	s.host.Input(s.since(), s.net, p)
	s.net.collect(s.since())
}

func (s *script) packet(sg seg) *packet.Packet { return s.packetIn(len(sg.octets()), sg) }

// packetIn is the packet of a segment, in a buffer of the given size.
func (s *script) packetIn(size int, sg seg) *packet.Packet {
	data := sg.octets()
	p := packet.New(size)
	copy(p.Append(len(data)), data)
	r := wire.TCPRepr{
		SrcPort: s.peer.Port(), DstPort: s.local.Port(), Seq: s.irs + sg.seq, Window: uint16(sg.win), Flags: flagsOf(sg.flags),
	}
	if r.Flags.Has(wire.TCPAck) {
		r.Ack = s.iss + sg.ack
	}
	if sg.mss != 0 {
		r.Options.HasMSS, r.Options.MSS = true, uint16(sg.mss)
	}
	if sg.ws != 0 {
		r.Options.HasWindowScale, r.Options.WindowScale = true, uint8(sg.ws)
	}
	s.setOptions(&r.Options, sg)
	r.Emit(p.Prepend(r.Len()))
	p.IP = packet.IPInfo{Src: s.peer.Addr(), Dst: s.local.Addr(), Link: 2, Foreign: s.foreign, Protocol: ip.ProtocolTCP, HopLimit: 64}
	var sum wire.Sum
	sum.AddPseudoHeader(p.IP.Src, p.IP.Dst, ip.ProtocolTCP, p.Len())
	sum.Add(p.Head())
	wire.TCPPacket(p.Head()).SetChecksum(sum.Checksum())
	return p
}

func flagsOf(text string) (f wire.TCPFlags) {
	for _, letter := range text {
		f |= 1 << strings.IndexRune("FSRP.UEWe", letter)
	}
	return f
}

// want takes the next segment that has left and compares it.
func (s *script) want(why string, want seg) {
	s.t.Helper()
	s.net.collect(s.since())
	require.NotEmpty(s.t, s.net.sent, "%s: nothing left, want %v", why, want)
	p := s.net.sent[0]
	s.net.sent = s.net.sent[1:]
	got, data := s.decode(p)
	if want.len > 0 || len(want.data) == 0 {
		require.Equal(s.t, max(want.len, len(want.data)), len(data), "%s: length of %v", why, got)
		got.data, want.data, got.len, want.len = "", "", 0, 0
	}
	if want.win == 0 {
		got.win = 0
	}
	if want.mss == 0 {
		got.mss = 0
	}
	if want.noWS {
		require.Zero(s.t, got.ws, "%s: window scale", why)
		want.noWS = false
	}
	if want.ws == 0 {
		got.ws = 0
	}
	want, got = s.compareOptions(why, want, got)
	require.Equal(s.t, want, got, why)
}

// setOptions fills in the options that the peer sends.
func (s *script) setOptions(o *wire.TCPOptions, sg seg) {
	o.SACKPermitted = sg.sackOK
	if sg.ts || sg.tsval != 0 || sg.tsecr != 0 {
		o.HasTimestamps, o.TSVal, o.TSEcr = true, sg.tsval, sg.tsecr
		if strings.Contains(sg.flags, ".") {
			o.TSEcr += s.tsOffset()
		}
	}
	for _, block := range sg.sack {
		o.SACK[o.NumSACK] = wire.SACKBlock{Left: s.iss + block[0], Right: s.iss + block[1]}
		o.NumSACK++
	}
	if sg.tfo != "" || sg.tfoRequest {
		o.FastOpen, _ = wire.NewFastOpenCookie([]byte(sg.tfo))
		o.HasFastOpen = true
	}
}

// readOptions fills in the options that the host has sent.
func (s *script) readOptions(got *seg, o *wire.TCPOptions) {
	got.sackOK = o.SACKPermitted
	if o.HasTimestamps {
		got.ts, got.tsval, got.tsecr = true, o.TSVal-s.tsOffset(), o.TSEcr
	}
	for _, block := range o.SACK[:o.NumSACK] {
		got.sack = append(got.sack, [2]uint32{block.Left - s.irs, block.Right - s.irs})
	}
	if o.HasFastOpen {
		got.tfo, got.tfoRequest = string(o.FastOpen.Bytes()), o.FastOpen.Len() == 0
	}
}

// compareOptions checks the absence of what must not be there, and clears what want says nothing about.
func (s *script) compareOptions(why string, want, got seg) (seg, seg) {
	s.t.Helper()
	require.False(s.t, want.noSACK && got.sackOK, "%s: SACK-permitted", why)
	require.False(s.t, want.noTS && got.ts, "%s: timestamps", why)
	require.False(s.t, want.noTFO && (got.tfo != "" || got.tfoRequest), "%s: Fast Open", why)
	if want.ts || want.tsval != 0 || want.tsecr != 0 {
		require.True(s.t, got.ts, "%s: no timestamps", why)
	}
	want.noSACK, want.noTS, want.noTFO = false, false, false
	want.ts, got.ts = false, false
	if !want.sackOK {
		got.sackOK = false
	}
	if want.tsval == 0 {
		got.tsval = 0
	}
	if want.tsecr == 0 {
		got.tsecr = 0
	}
	if want.sack == nil {
		got.sack = nil
	}
	if want.tfo == "" {
		got.tfo = ""
	}
	if !want.tfoRequest {
		got.tfoRequest = false
	}
	return want, got
}

// tsOffset is what the host adds to its timestamp clock on the script's connection.
func (s *script) tsOffset() uint32 {
	i := s.name()
	return s.host.tsOffset(&i)
}

// name is that of the script's connection.
func (s *script) name() id {
	if s.foreign {
		return foreignID(s.local, s.peer, intercepted)
	}
	return newID(s.local, s.peer, 0)
}

// decode reads a segment that has left, and releases its packet.
func (s *script) decode(p *packet.Packet) (seg, []byte) {
	s.t.Helper()
	defer p.Release()
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	require.NotEqual(s.t, packet.ChecksumPartial, p.Checksum)
	require.True(s.t, wire.TCPPacket(b).VerifyChecksum(p.IP.Src, p.IP.Dst), "checksum of what left")
	t, err := wire.ParseTCP(b)
	require.NoError(s.t, err)
	var r wire.TCPRepr
	require.NoError(s.t, r.Parse(t))
	require.Equal(s.t, s.foreign, p.IP.Foreign, "whether it is from somebody else's address")
	require.Equal(s.t, s.local.Port(), r.SrcPort)
	require.Equal(s.t, s.peer.Port(), r.DstPort)
	if r.Flags.Has(wire.TCPSyn) {
		s.iss = r.Seq
	}
	got := seg{flags: r.Flags.String(), seq: r.Seq - s.iss, win: int(r.Window), data: string(t.Payload())}
	if r.Flags.Has(wire.TCPAck) {
		got.ack = r.Ack - s.irs
	}
	if r.Flags.Has(wire.TCPRst) && !r.Flags.Has(wire.TCPAck) && s.iss == 0 {
		got.seq = r.Seq
	}
	if r.Options.HasMSS {
		got.mss = int(r.Options.MSS)
	}
	if r.Options.HasWindowScale {
		got.ws = int(r.Options.WindowScale)
	}
	s.readOptions(&got, &r.Options)
	return got, t.Payload()
}

// wantIdle checks that nothing else has left.
func (s *script) wantIdle(why string) {
	s.t.Helper()
	s.net.collect(s.since())
	if len(s.net.sent) > 0 {
		got, _ := s.decode(s.net.sent[0])
		require.Fail(s.t, why, "%d segments left, the first is %v", len(s.net.sent), got)
	}
}

// after lets time pass: every timer that comes up on the way expires at its time.
func (s *script) after(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := s.net.timers.Next()
		if next == timer.Never || epoch.Add(time.Duration(next)).After(end) {
			break
		}
		if at := epoch.Add(time.Duration(next)); at.After(s.now) {
			s.now = at
		}
		s.net.timers.Expire(s.since(), 1)
		s.net.collect(s.since())
	}
	s.now = end
}

func (s *script) since() int64 { return int64(s.now.Sub(epoch)) }

// write queues text on the script's connection.
func (s *script) write(text string) {
	s.t.Helper()
	require.Equal(s.t, len(text), s.writeSome(text), "the send buffer has room")
}

func (s *script) writeSome(text string) int {
	s.t.Helper()
	var f storage.Fill
	n, err := s.conn.Reserve(&f, len(text))
	require.NoError(s.t, err)
	if n > 0 {
		require.Equal(s.t, n, f.Write([]byte(text[:n])))
		s.conn.Commit(s.now, &f)
	}
	s.net.collect(s.since())
	return n
}

// wantRead reads what has arrived on the script's connection.
func (s *script) wantRead(why, want string) {
	s.t.Helper()
	s.conn.Receive(1<<30, &s.read)
	b := make([]byte, s.read.Octets())
	n := s.read.Read(b)
	require.Equal(s.t, want, string(b[:n]), why)
	s.conn.Consumed(s.now, n)
	s.net.collect(s.since())
}

// recorder is an owner that remembers what it was told.
type recorder struct{ events ip.Event }

func (r *recorder) Notify(e ip.Event) { r.events |= e }

// take returns what happened since it was last called.
func (r *recorder) take() ip.Event {
	e := r.events
	r.events = 0
	return e
}

// fakeNetwork is a network layer whose every destination lies on one link, whose packets the test looks at.
type fakeNetwork struct {
	timers  timer.Heap
	ready   []ip.Sender
	sent    []*packet.Packet
	mtu     int
	segment bool // super-segments
	offload bool // checksums
	err     error
	foreign bool // no address is the host's own
	confirm int

	maxSegment int // on a link of short frames
	intercepts bool
}

func (n *fakeNetwork) Route(link int32, src, dst netip.Addr) (ip.Path, netip.Addr, error) {
	if n.err != nil {
		return nil, netip.Addr{}, n.err
	}
	if !src.IsValid() {
		src = localHost
		if dst.Is6() {
			src = netip.MustParseAddr("2001:db8::1")
		}
	}
	return n, src, nil
}

// intercepted is the interface by which the scripts' forwarders take connections.
const intercepted = 2

func (n *fakeNetwork) Intercept(link int32, protocol uint8, on bool) error {
	if link != intercepted || protocol != ip.ProtocolTCP {
		return ip.ErrInvalid
	}
	n.intercepts = on
	return nil
}

func (n *fakeNetwork) RouteBack(link int32, _ netip.Addr) (ip.Path, error) {
	if n.err == nil && link != intercepted {
		return nil, ip.ErrNetworkUnreachable
	}
	return n, n.err
}

func (n *fakeNetwork) Local(int32, netip.Addr) bool { return !n.foreign }

func (n *fakeNetwork) Send(_ int64, _ ip.Path, p *packet.Packet) { n.sent = append(n.sent, p) }

func (n *fakeNetwork) Ready(_ ip.Path, s ip.Sender) {
	if !s.Turn().Queued {
		s.Turn().Queued = true
		n.ready = append(n.ready, s)
	}
}

// collect gives every sender in line its turns.
func (n *fakeNetwork) collect(now int64) {
	for i := 0; i < len(n.ready); i++ {
		s := n.ready[i]
		s.Turn().Queued = false
		p, _, more := s.Emit(now)
		if p != nil {
			n.sent = append(n.sent, p)
		}
		if more {
			n.Ready(n, s)
		}
	}
	n.ready = n.ready[:0]
}

// discard releases what has left and nobody looks at.
func (n *fakeNetwork) discard() {
	for _, p := range n.sent {
		p.Release()
	}
	n.sent = n.sent[:0]
}

func (n *fakeNetwork) Timers() *timer.Heap         { return &n.timers }
func (n *fakeNetwork) Link() int32                 { return 2 }
func (n *fakeNetwork) MTU() int                    { return n.mtu }
func (n *fakeNetwork) SegmentsTCP() bool           { return n.segment }
func (n *fakeNetwork) FillsChecksum(uint8) bool    { return n.offload }
func (n *fakeNetwork) PathMTU() int                { return n.MTU() }
func (n *fakeNetwork) MaxSegment() int             { return n.maxSegment }
func (n *fakeNetwork) VerifiesChecksum(uint8) bool { return n.offload }
func (n *fakeNetwork) Confirm(int64)               { n.confirm++ }

func addPort(a netip.AddrPort, n uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), a.Port()+n)
}
