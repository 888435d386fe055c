package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recvMarked has a segment arrive that a router has marked.
func (s *script) recvMarked(sg seg) {
	s.t.Helper()
	p := s.packet(sg)
	p.IP.TrafficClass |= ecnMarked
	s.recvPacket(p)
}

// wantECN takes the next segment that has left, whose traffic class is to end in the codepoint.
func (s *script) wantECN(why string, codepoint uint8, want seg) {
	s.t.Helper()
	s.net.collect(s.since())
	require.NotEmpty(s.t, s.net.sent, "%s: nothing left, want %v", why, want)
	require.Equal(s.t, codepoint, s.net.sent[0].IP.TrafficClass&ecnField, "%s: codepoint of %v", why, want)
	s.want(why, want)
}

// marking is a connection on which both sides have agreed to explicit congestion notification; the host has dialed.
func marking(t *testing.T, o Options) *script {
	s := newScript(t)
	o.ECN = ECNRequest
	s.dial(&o)
	s.wantECN("the SYN asks", 0, seg{flags: "SEW"})
	s.recv(seg{flags: "S.E", ack: 1, win: 65535, mss: 1460})
	s.wantECN("the handshake is complete", 0, seg{flags: ".", seq: 1, ack: 1})
	s.wantIdle("and nothing more")
	return s
}

// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
func TestAskingForECN(t *testing.T) {
	for _, row := range []struct {
		name      string
		option    ECN
		syn       string
		answer    string
		codepoint uint8 // of data
	}{
		{"asked and agreed", ECNRequest, "SEW", "S.E", ecnCapable},
		{"refused", ECNRequest, "SEW", "S.", 0},
		{"reserved bits reflected", ECNRequest, "SEW", "S.EW", 0},
		{"half an echo", ECNRequest, "SEW", "S.W", 0},
		{"not asked by default", ECNAccept, "S", "S.E", 0},
		{"off", ECNOff, "S", "S.E", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.dial(&Options{ECN: row.option})
			s.wantECN("a SYN is never marked itself", 0, seg{flags: row.syn})
			s.recv(seg{flags: row.answer, ack: 1, win: 65535, mss: 1460})
			s.wantECN("nor is an acknowledgment", 0, seg{flags: ".", seq: 1, ack: 1})
			s.write("data")
			s.wantECN("data", row.codepoint, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
		})
	}
}

func TestSYNThatIsNotAnsweredIsRepeatedWithoutECN(t *testing.T) {
	begin := func(t *testing.T) *script {
		s := newScript(t)
		s.dial(&Options{ECN: ECNRequest})
		s.want("asks", seg{flags: "SEW"})
		s.after(time.Second)
		s.want("does not", seg{flags: "S"})
		s.after(2 * time.Second)
		s.want("nor later", seg{flags: "S"})
		return s
	}
	t.Run("answered without", func(t *testing.T) {
		s := begin(t)
		s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
		s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1})
		s.write("data")
		s.wantECN("not capable", 0, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
	})
	t.Run("the first is answered after all", func(t *testing.T) {
		// "If a host has sent at least one ECN-setup SYN [...] packet, and has received no non-ECN-setup SYN or non-ECN-setup SYN-ACK
		// packet, then if that host receives TCP data packets that have ECT and CE codepoints set in the IP header, then that host
		// MUST process these packets as specified for an ECN-capable connection."
		s := begin(t)
		s.recv(seg{flags: "S.E", ack: 1, win: 65535, mss: 1460})
		s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1})
		s.write("data")
		s.wantECN("not capable: a SYN that does not ask has left", 0, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
		s.recvMarked(seg{flags: "P.", seq: 1, ack: 5, win: 65535, data: "marked"})
		s.want("but the peer's marks are echoed", seg{flags: ".E", seq: 5, ack: 7})
	})
}

func TestECNWhenBothOpen(t *testing.T) {
	for _, row := range []struct{ name, syn, answer string }{
		{"both ask", "SEW", "S.E"},
		{"the peer does not", "S", "S."},
		{"reserved bits", "SE", "S."},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.dial(&Options{ECN: ECNRequest})
			s.want("our SYN", seg{flags: "SEW"})
			s.recv(seg{flags: row.syn, win: 65535, mss: 1460})
			s.want("crossed", seg{flags: row.answer, ack: 1})
		})
	}
}

func TestMarksAreEchoedUntilThePeerKnows(t *testing.T) {
	s := marking(t, Options{DelayedACK: 40 * time.Millisecond})
	s.recvMarked(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "ab"})
	s.want("acknowledged at once", seg{flags: ".E", seq: 1, ack: 3})
	require.EqualValues(t, 1, s.host.Counters().InMarked)
	s.recv(seg{flags: ".", seq: 3, ack: 1, win: 65535, data: "cd"})
	s.wantIdle("what is not marked may wait")
	s.after(40 * time.Millisecond)
	s.want("but says so again", seg{flags: ".E", seq: 1, ack: 5})
	s.write("data")
	s.wantECN("so does what else leaves", ecnCapable, seg{flags: "P.E", seq: 1, ack: 5, data: "data"})
	s.recv(seg{flags: ".W", seq: 5, ack: 5, win: 65535, data: "ef"})
	s.after(40 * time.Millisecond)
	s.want("until the peer's window is reduced", seg{flags: ".", seq: 5, ack: 7})
	s.recvMarked(seg{flags: ".W", seq: 7, ack: 5, win: 65535, data: "gh"})
	s.want("a marked segment with CWR begins anew", seg{flags: ".E", seq: 5, ack: 9})
}

func TestMarksOfWhatIsNotDataAreIgnored(t *testing.T) {
	s := marking(t, Options{DelayedACK: -1})
	s.recvMarked(seg{flags: ".", seq: 1, ack: 1, win: 60000})
	s.recvMarked(seg{flags: ".", seq: 1 << 28, ack: 1, win: 65535, data: "outside the window"})
	s.want("the answer", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "ab"})
	s.want("no mark", seg{flags: ".", seq: 1, ack: 3})
	require.Zero(t, s.host.Counters().InMarked)
}

func TestMarksAreIgnoredWithoutAgreement(t *testing.T) {
	s := newScript(t)
	s.accepted(func(c *ListenConfig) { c.Options = &Options{DelayedACK: -1} })
	s.recvMarked(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "ab"})
	s.want("no echo", seg{flags: ".", seq: 1, ack: 3})
	s.write("data")
	s.wantECN("nothing may be marked", 0, seg{flags: "P.", seq: 1, ack: 3, data: "data"})
	cwnd := s.conn.Info().Cwnd
	s.recv(seg{flags: ".E", seq: 3, ack: 5, win: 65535})
	require.GreaterOrEqual(t, s.conn.Info().Cwnd, cwnd)
}

// "TCP should not react to congestion indications more than once every window of data".
func TestWindowIsReducedOnceForTheMarksOfAWindow(t *testing.T) {
	s := marking(t, Options{})
	const mss = 1460
	s.write(strings.Repeat("x", 30*mss))
	s.answers()
	require.Equal(t, 10*mss, s.conn.Info().InFlight)
	cwnd := s.conn.Info().Cwnd
	for i := range uint32(9) {
		s.recv(seg{flags: ".E", seq: 1, ack: 1 + (i+1)*mss, win: 65535})
		require.EqualValues(t, 1, s.host.Counters().CongestionMarks, "acknowledgment %d", i)
	}
	require.Less(t, s.conn.Info().Cwnd, cwnd)
	s.want("the first new data says that the peer has been heard", seg{flags: ".W", seq: 1 + 10*mss, ack: 1, len: mss})
	for _, p := range s.net.sent {
		require.Equal(t, uint8(ecnCapable), p.IP.TrafficClass&ecnField)
	}
	s.want("and only that", seg{flags: ".", seq: 1 + 11*mss, ack: 1, len: mss})
	s.answers()
	s.recv(seg{flags: ".E", seq: 1, ack: 1 + 10*mss, win: 65535})
	s.recv(seg{flags: ".E", seq: 1, ack: 1 + 10*mss, win: 65000})
	require.EqualValues(t, 1, s.host.Counters().CongestionMarks, "the last of the window, and what repeats it")
	require.InDelta(t, cwnd/2, s.conn.Info().Cwnd, 2*mss, "halved")
	s.recv(seg{flags: ".E", seq: 1, ack: 1 + 11*mss, win: 65535})
	require.EqualValues(t, 2, s.host.Counters().CongestionMarks, "the next window's")
	require.Zero(t, s.conn.Info().Retransmits)
}

func TestWhatIsSentAgainMayNotBeMarked(t *testing.T) {
	s := marking(t, Options{})
	s.write("data")
	s.wantECN("new data", ecnCapable, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
	s.after(s.conn.Info().RTO)
	s.wantECN("sent again", 0, seg{flags: "P.", seq: 1, ack: 1, data: "data"})
	s.recv(seg{flags: ".", seq: 1, ack: 5, win: 0})
	s.write("more")
	s.after(s.conn.Info().RTO)
	s.wantECN("a probe of the window", 0, seg{flags: ".", seq: 5, ack: 1, data: "m"})
	s.recv(seg{flags: ".", seq: 1, ack: 6, win: 1000})
	s.wantECN("new data again, which says that the window was reduced", ecnCapable, seg{flags: "P.W", seq: 6, ack: 1, data: "ore"})
	s.recv(seg{flags: ".", seq: 1, ack: 9, win: 1000})
	s.conn.CloseWrite(s.now)
	s.wantECN("a FIN alone", 0, seg{flags: "F.", seq: 9, ack: 1})
}

// A router that marks instead of dropping: nothing has to be sent again. With ECN off the same path drops.
func TestMarksTakeThePlaceOfDrops(t *testing.T) {
	transfer := func(o ECN) *world {
		w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond, bandwidth: 10 << 20, queue: 600 << 10, mark: 192 << 10})
		client, server := w.connect(&Options{ECN: o, Congestion: "reno"})
		took := w.transfer(client, server, 8<<20)
		t.Logf("ECN %d: %v, %d marked, %d dropped, %d sent again", o, took, w.marked, w.dropped, client.Info().Retransmits)
		w.closeBoth(client, server)
		return w
	}
	w := transfer(ECNRequest)
	require.NotZero(t, w.marked)
	require.Zero(t, w.dropped)
	require.Zero(t, w.hosts[0].Counters().RetransSegs)
	require.NotZero(t, w.hosts[0].Counters().CongestionMarks)
	require.EqualValues(t, w.marked, w.hosts[1].Counters().InMarked)
	w = transfer(ECNOff)
	require.Zero(t, w.marked)
	require.NotZero(t, w.dropped)
	require.NotZero(t, w.hosts[0].Counters().RetransSegs)
}
