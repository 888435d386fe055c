package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// Some peers leave the timestamp out of the one segment that completes the handshake.
func TestFinalAckWithoutTimestamps(t *testing.T) {
	s := newScript(t)
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460, tsval: 100})
	s.want("both sides have timestamps", seg{flags: "S.", ack: 1, ts: true, tsecr: 100})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.NotNil(t, s.conn, "the final ACK has none, and counts")
	require.Zero(t, s.host.Counters().TimestampMissing)
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "a", tsval: 101, tsecr: 0})
	s.wantRead("what follows has them", "a")
	s.recv(seg{flags: "P.", seq: 2, ack: 1, win: 65535, data: "b"})
	s.wantRead("and what has not is dropped", "")
	require.EqualValues(t, 1, s.host.Counters().TimestampMissing)
	s.wantConsistent()
}

func TestHalfOpenRefusesOldTimestamps(t *testing.T) {
	s := newScript(t)
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460, tsval: 100})
	s.want("half open", seg{flags: "S.", ack: 1, tsecr: 100})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, tsval: 99, tsecr: 1})
	s.want("PAWS: an ACK that is older than the SYN is not the final one", seg{flags: "S.", ack: 1, tsecr: 100})
	require.Nil(t, l.Accept())
	require.EqualValues(t, 1, s.host.Counters().TimestampOld)
	s.recv(seg{flags: "R", seq: 1, tsval: 99})
	require.Equal(t, "CLOSED", s.state(), "a reset is not asked for its timestamp")
}

func TestRepeatedSYNRenewsTSRecent(t *testing.T) {
	s := newScript(t)
	s.after(time.Second)
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460, tsval: 100})
	s.want("its timestamp is echoed", seg{flags: "S.", ack: 1, tsval: 1000, tsecr: 100})
	s.after(900 * time.Millisecond)
	s.recv(seg{flags: "S", win: 65535, mss: 1460, tsval: 1000})
	s.want("that of the SYN when it comes again too", seg{flags: "S.", ack: 1, tsval: 1900, tsecr: 1000})
	s.after(10 * time.Millisecond)
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "x", tsval: 1010, tsecr: 1900})
	s.conn = l.Accept()
	s.wantRead("data comes with the final ACK", "x")
	s.after(time.Second)
	s.want("whose timestamp is echoed then", seg{flags: ".", seq: 1, ack: 2, tsecr: 1010})
}

func TestHandshakeMeasuresTheRoundTrip(t *testing.T) {
	for _, row := range []struct {
		name    string
		repeats time.Duration // until the final ACK
		ts      bool
		echo    uint32
		rtt     time.Duration
		rto     time.Duration
	}{
		{"answered at once, exactly", 7500 * time.Microsecond, false, 0, 7500 * time.Microsecond, 200 * time.Millisecond},
		{"with timestamps, no less exactly", 7500 * time.Microsecond, true, 1000, 7500 * time.Microsecond, 200 * time.Millisecond},
		{"repeated: not without timestamps", 1020 * time.Millisecond, false, 0, 0, 3 * time.Second},
		{"repeated: the repetition was answered", 1020 * time.Millisecond, true, 2000, 20 * time.Millisecond, 200 * time.Millisecond},
		{"repeated: the first was answered late", 1020 * time.Millisecond, true, 1000, 1020 * time.Millisecond, 3060 * time.Millisecond},
		{"repeated: the echo is none of ours", 1020 * time.Millisecond, true, 900, 0, 3 * time.Second},
		{"repeated: the echo is of the future", 1020 * time.Millisecond, true, 9000, 0, 3 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.after(time.Second)
			l := s.listen()
			syn := seg{flags: "S", win: 65535, mss: 1460}
			ack := seg{flags: ".", seq: 1, ack: 1, win: 65535}
			if row.ts {
				syn.tsval = 7
				ack.tsval, ack.tsecr = 8, row.echo
			}
			s.recv(syn)
			s.after(row.repeats)
			s.answers()
			s.recv(ack)
			i := l.Accept().Info()
			require.Equal(t, row.rtt, i.RTT)
			require.Equal(t, row.rto, i.RTO)
		})
	}
}

// What a SYN asks for is explicit congestion notification, or else its flags do not matter.
func TestSYNFlags(t *testing.T) {
	for _, row := range []struct {
		name, syn, answer string
		ecn               ECN
	}{
		{"none", "S", "S.", ECNAccept},
		{"ECE and CWR: it is accepted", "SEW", "S.E", ECNAccept},
		{"and where it is asked for as well", "SEW", "S.E", ECNRequest},
		{"and refused", "SEW", "S.", ECNOff},
		{"ECE alone asks for nothing", "SE", "S.", ECNAccept},
		{"CWR alone asks for nothing", "SW", "S.", ECNAccept},
		{"AE as well: an accurate one, which gets what we have", "SEWe", "S.E", ECNAccept},
		{"AE alone", "Se", "S.", ECNAccept},
		{"PSH", "SP", "S.", ECNAccept},
		{"URG", "SU", "S.", ECNAccept},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			l := s.listen(func(c *ListenConfig) { c.Options = &Options{ECN: row.ecn} })
			s.recv(seg{flags: row.syn, win: 65535, mss: 1460})
			require.Len(t, s.net.sent, 1)
			require.Zero(t, s.net.sent[0].IP.TrafficClass, "A host MUST NOT set ECT on SYN or SYN-ACK packets")
			s.want("answered", seg{flags: row.answer, ack: 1})
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			require.Equal(t, row.answer == "S.E", l.Accept().ecn.on)
		})
	}
	t.Run("the reserved bits", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		p := s.packet(seg{flags: "S", win: 65535, mss: 1460})
		p.Head()[12] |= 0x0e
		wire.TCPPacket(p.Head()).FillChecksum(p.IP.Src, p.IP.Dst)
		s.recvPacket(p)
		s.want("answered", seg{flags: "S.", ack: 1})
	})
}

// "If a host has received at least one non-ECN-setup SYN [...], then it SHOULD NOT set ECT on data packets."
// https://www.rfc-editor.org/rfc/rfc3168.html#section-6.1.1
func TestSYNRepeatedWithoutECN(t *testing.T) {
	s := newScript(t)
	l := s.listen()
	s.recv(seg{flags: "SEW", win: 65535, mss: 1460})
	s.want("it is accepted", seg{flags: "S.E", ack: 1})
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("and taken back", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	require.False(t, l.Accept().ecn.on)
}

// A listener under a flood of SYNs gives up those early that were repeated and not answered, until its queue is half empty.
func TestStaleHalfOpenConnectionsExpire(t *testing.T) {
	s := newScript(t, func(c *Config) { c.SYNRetries = 7 })
	l := s.listen(func(c *ListenConfig) { c.Backlog = 10 })
	for range 8 {
		s.peer = addPort(s.peer, 1)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
	}
	s.after(7*time.Second - 1)
	require.Equal(t, 8, l.halfOpen, "two repetitions each")
	require.Zero(t, l.young)
	s.after(1)
	require.Equal(t, 5, l.halfOpen, "they have to do for so many that the queue is not more than half full")
	require.EqualValues(t, 3, s.host.Counters().HalfOpenStale)
	s.wantConsistent()
	s.after(10 * time.Minute)
	require.Zero(t, l.halfOpen)
	require.EqualValues(t, 3, s.host.Counters().HalfOpenStale, "the others had all of theirs")
	require.EqualValues(t, 8, s.host.Counters().HalfOpenTimeouts)
}

// While most are young, as when many connect at once over a long path, nobody is given up early.
func TestYoungHalfOpenConnectionsAreKept(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 10 })
	for range 10 {
		s.peer = addPort(s.peer, 1)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
	}
	require.Equal(t, 10, l.young)
	require.Equal(t, 7, l.synRetries())
	for _, row := range []struct{ young, want int }{{6, 7}, {5, 6}, {3, 6}, {2, 5}, {1, 4}, {0, 2}} {
		l.young = row.young
		require.Equal(t, row.want, l.synRetries(), "%d of 10 are young", row.young)
	}
	l.young = 10
}

func TestThreeConnectAtOnce(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 3 })
	first, iss := s.peer, [3]uint32{}
	for i := range iss {
		s.peer = addPort(first, uint16(i))
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("each SYN is answered", seg{flags: "S.", ack: 1})
		iss[i] = s.iss
	}
	for i := range iss {
		s.peer, s.iss = addPort(first, uint16(i)), iss[i]
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	for i := range iss {
		c := l.Accept()
		require.NotNil(t, c, "connection %d", i)
		require.Equal(t, addPort(first, uint16(i)), c.RemoteAddr(), "in the order of their final ACKs")
	}
	s.wantIdle("and no reset")
	s.wantConsistent()
}

// Whatever the backlog, a burst of connects loses nobody: who finds no room is not told so, and tries again.
func TestBurstOfConnectsSeesNoReset(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 100 })
	first := s.peer
	iss, done := [1000]uint32{}, [1000]bool{}
	for accepted, round := 0, 0; accepted < 1000; round++ {
		require.Less(t, round, 100)
		for i := range done {
			if done[i] {
				continue
			}
			s.peer = addPort(first, uint16(i))
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			for _, p := range s.net.sent {
				got, _ := s.decode(p)
				require.Contains(t, got.flags, "S.", "never a reset")
				iss[i] = s.iss
			}
			s.net.sent = s.net.sent[:0]
		}
		for i := range done {
			if done[i] || iss[i] == 0 {
				continue
			}
			s.peer, s.iss = addPort(first, uint16(i)), iss[i]
			before := l.Pending()
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			s.wantIdle("nor here")
			done[i] = l.Pending() > before
		}
		for c := l.Accept(); c != nil; c = l.Accept() {
			accepted++
		}
		s.wantConsistent()
	}
	require.Zero(t, s.host.Counters().OutRsts)
}

func TestGoodClientAmongSYNsThatNobodyCompletes(t *testing.T) {
	for _, row := range []struct {
		name    string
		cookies SYNCookies
		wait    time.Duration
	}{
		{"with cookies at once", CookiesWhenFull, 0},
		{"without, once the queue is cleared", CookiesNever, 5 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, func(c *Config) { c.SYNCookies = row.cookies })
			l := s.listen(func(c *ListenConfig) { c.Backlog = 50 })
			for range 500 {
				s.peer = addPort(s.peer, 1)
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
			}
			require.Equal(t, 50, l.halfOpen)
			s.after(row.wait)
			s.net.discard()
			s.peer = addPort(s.peer, 1)
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			s.want("answered", seg{flags: "S.", ack: 1})
			s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
			s.conn = l.Accept()
			require.NotNil(t, s.conn)
			s.wantRead("and served", "hello")
			s.wantConsistent()
		})
	}
}

func TestListenersAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Listeners = 2 })
	l := s.listen()
	dual := s.listen(func(c *ListenConfig) { c.Local, c.DualStack = addPort(anyIPv6, 81), true })
	_, err := s.host.Listen(ListenConfig{Local: addPort(s.local, 2)})
	require.ErrorIs(t, err, ErrTooManyListeners)
	l.Close(s.now)
	l.Close(s.now)
	dual.Close(s.now)
	for range 2 {
		s.local = addPort(s.local, 1)
		s.listen()
	}
	_, err = s.host.Listen(ListenConfig{Local: addPort(s.local, 2)})
	require.ErrorIs(t, err, ErrTooManyListeners)
}
