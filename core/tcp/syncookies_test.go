package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func cookiesAlways(c *Config) { c.SYNCookies = CookiesAlways }

// The options of a SYN that nobody remembers come back with the final ACK, if there are timestamps to hold them.
func TestCookieKeepsWhatTheSYNOffered(t *testing.T) {
	type kept struct {
		mss, scale, ownScale int
		sack, ecn, ts        bool
	}
	for _, row := range []struct {
		name        string
		syn, answer seg
		want        kept
	}{
		{
			"all of it",
			seg{flags: "SEW", win: 65535, mss: 1460, ws: 9, sackOK: true, tsval: 100},
			seg{flags: "S.E", ack: 1, mss: 1460, ws: 5, sackOK: true, tsecr: 100},
			kept{1448, 9, 5, true, true, true},
		},
		{
			"an MSS between two that a cookie can hold",
			seg{flags: "S", win: 65535, mss: 1430, ws: 9, tsval: 100},
			seg{flags: "S.", ack: 1, ws: 5, noSACK: true, tsecr: 100},
			kept{1388, 9, 5, false, false, true},
		},
		{
			"timestamps, and no window scale",
			seg{flags: "S", win: 65535, mss: 536, sackOK: true, tsval: 100},
			seg{flags: "S.", ack: 1, noWS: true, sackOK: true, tsecr: 100},
			kept{524, 0, 0, true, false, true},
		},
		{
			"no timestamps: the MSS alone",
			seg{flags: "SEW", win: 65535, mss: 1460, ws: 9, sackOK: true},
			seg{flags: "S.", ack: 1, mss: 1460, noWS: true, noSACK: true, noTS: true},
			kept{1460, 0, 0, false, false, false},
		},
		{
			"nothing at all",
			seg{flags: "S", win: 65535},
			seg{flags: "S.", ack: 1, mss: 1460, noWS: true, noSACK: true, noTS: true},
			kept{536, 0, 0, false, false, false},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, cookiesAlways)
			s.after(1234 * time.Millisecond)
			l := s.listen()
			s.recv(row.syn)
			require.Zero(t, s.host.table.len, "nothing is remembered")
			require.Len(t, s.net.sent, 1)
			echo := s.sentTimestamp()
			s.want("answered", row.answer)
			ack := seg{flags: "P.", seq: 1, ack: 1, win: 1000, data: "hello"}
			if row.want.ts {
				require.LessOrEqual(t, echo, uint32(1234), "no timestamp is of the future")
				require.Less(t, uint32(1234)-echo, uint32(64))
				ack.tsval, ack.tsecr, ack.ts = 110, echo, true
			}
			s.recv(ack)
			c := l.Accept()
			require.NotNil(t, c)
			s.conn = c
			require.Equal(t, row.want, kept{
				int(c.sndMSS), int(c.sndShift), int(c.rcvShift), c.sackOK, c.ecn.on, c.ts.on,
			})
			require.Equal(t, 1000<<row.want.scale, c.Info().SendWindow)
			s.wantRead("data that came with the ACK", "hello")
			s.after(time.Second)
			s.want("is acknowledged", seg{flags: ".", seq: 1, ack: 6})
			require.EqualValues(t, 110*map[bool]int{true: 1}[row.want.ts], c.ts.recent)
			got := s.host.Counters()
			require.EqualValues(t, 1, got.CookiesSent)
			require.EqualValues(t, 1, got.CookiesReceived)
			require.EqualValues(t, 1, got.PassiveOpens)
			s.wantConsistent()
		})
	}
}

// sentTimestamp is the timestamp of the segment that want would take, relative to the clock's start.
func (s *script) sentTimestamp() uint32 {
	got, _ := s.decode(s.net.sent[0].Clone())
	return got.tsval
}

func TestCookiesOnlyWhenTheQueueIsFull(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 1 })
	first := s.peer
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("remembered", seg{flags: "S.", ack: 1})
	firstISS := s.iss
	require.Equal(t, 1, l.halfOpen)
	s.peer = addPort(first, 1)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("not remembered, and answered all the same", seg{flags: "S.", ack: 1})
	require.Equal(t, 1, l.halfOpen)
	require.EqualValues(t, 1, s.host.Counters().CookiesSent)
	require.Zero(t, s.host.Counters().SynQueueFull)
	s.after(time.Second)
	s.peer, s.iss = first, firstISS
	s.want("only what is remembered is repeated", seg{flags: "S.", ack: 1})
	s.wantIdle("the other is not")
}

// An ACK that belongs to nothing is a cookie only if it may be one: else it gets its reset, and costs nothing.
func TestCookiesThatAreNone(t *testing.T) {
	syn := seg{flags: "S", win: 65535, mss: 1460}
	ack := seg{flags: ".", seq: 1, ack: 1, win: 65535}
	for _, row := range []struct {
		name   string
		spoil  func(s *script)
		failed uint64
	}{
		{"a wrong acknowledgment number", func(s *script) { s.iss += 8 }, 1},
		{"a wrong sequence number", func(s *script) { s.irs++ }, 1},
		{"another port", func(s *script) { s.peer = addPort(s.peer, 1) }, 1},
		{"two slots later", func(s *script) { s.after(2*cookieSlot - 1) }, 1},
		{"so late that none is out any more", func(s *script) { s.after(2 * cookieSlot) }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, cookiesAlways)
			l := s.listen()
			s.after(time.Second)
			s.recv(syn)
			s.want("answered", seg{flags: "S.", ack: 1})
			row.spoil(s)
			s.recv(ack)
			s.want("refused", seg{flags: "R", seq: 1})
			require.Nil(t, l.Accept())
			require.Equal(t, row.failed, s.host.Counters().CookiesFailed)
		})
	}
	t.Run("where none was ever sent", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		s.recv(ack)
		s.wantRST("refused")
		require.Zero(t, s.host.Counters().CookiesFailed)
	})
	t.Run("a SYN|ACK", func(t *testing.T) {
		s := newScript(t, cookiesAlways)
		s.listen()
		s.recv(syn)
		s.want("answered", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: "S.", seq: 1, ack: 1, win: 65535})
		s.want("refused", seg{flags: "R", seq: 1})
	})
}

func (s *script) wantRST(why string) {
	s.t.Helper()
	require.Len(s.t, s.net.sent, 1, why)
	got, _ := s.decode(s.net.sent[0])
	s.net.sent = nil
	require.Equal(s.t, "R", got.flags, why)
}

// A cookie holds while the next slot lasts, and over a change of the secret.
func TestCookieOutlivesItsSlot(t *testing.T) {
	s := newScript(t, cookiesAlways)
	l := s.listen()
	first := s.peer
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("answered", seg{flags: "S.", ack: 1})
	for s.since() < 2*cookieRotation {
		s.after(100 * time.Second)
		s.peer = addPort(first, 1)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("answered", seg{flags: "S.", ack: 1})
		s.after(cookieSlot - time.Nanosecond)
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		c := l.Accept()
		require.NotNil(t, c, "%v", s.now)
		c.Abort(s.now)
		c.Close(s.now)
		s.net.discard()
	}
}

// Who finds no room is not told so: the ACK is dropped, and so is what follows it, which holds no cookie.
func TestCookieFindsTheAcceptQueueFull(t *testing.T) {
	s := newScript(t, cookiesAlways)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 1 })
	first, iss := s.peer, [2]uint32{}
	for i := range iss {
		s.peer = addPort(first, uint16(i))
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("answered", seg{flags: "S.", ack: 1})
		iss[i] = s.iss
	}
	for i := range iss {
		s.peer, s.iss = addPort(first, uint16(i)), iss[i]
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	}
	require.Equal(t, 1, l.Pending())
	s.recv(seg{flags: "P.", seq: 3, ack: 1, win: 65535, data: "more"})
	s.wantIdle("no reset")
	require.EqualValues(t, 2, s.host.Counters().AcceptQueueFull)
	require.NotNil(t, l.Accept())
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hi"})
	s.conn = l.Accept()
	require.NotNil(t, s.conn, "the peer sends again, and there is room")
	s.wantConsistent()
}

// What TIME-WAIT has to know is not given up for a cookie.
func TestTimeWaitGetsNoCookie(t *testing.T) {
	s := inTimeWait(t, true)
	l := s.host.listener(s.local, 0)
	l.backlog = 0
	s.recv(seg{flags: "S", seq: 3, win: 65535, mss: 1460, tsval: 111})
	s.wantIdle("dropped")
	require.Equal(t, "TIME-WAIT", s.state())
}
