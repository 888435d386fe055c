package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RFC 4022 defines these counters by transitions between states.
func TestTransitionsAreCounted(t *testing.T) {
	type counted struct{ AttemptFails, EstabResets, CurrEstab uint64 }
	for _, row := range []struct {
		name  string
		state string
		end   func(s situation)
		want  counted
	}{
		{"a reset", "ESTABLISHED", func(s situation) { s.recv(seg{flags: "R", seq: 1}) }, counted{EstabResets: 1}},
		{"a reset", "CLOSE-WAIT", func(s situation) { s.recv(seg{flags: "R", seq: 2}) }, counted{EstabResets: 1}},
		{"a reset", "FIN-WAIT-1", func(s situation) { s.recv(seg{flags: "R", seq: 1}) }, counted{}},
		{"a reset", "LAST-ACK", func(s situation) { s.recv(seg{flags: "R", seq: 2}) }, counted{}},
		{"a reset", "SYN-RECEIVED", func(s situation) { s.recv(seg{flags: "R", seq: 1}) }, counted{AttemptFails: 1}},
		{"a reset", "half-open", func(s situation) { s.recv(seg{flags: "R", seq: 1}) }, counted{AttemptFails: 1}},
		{"a refusal", "SYN-SENT", func(s situation) { s.recv(seg{flags: "R.", ack: 1}) }, counted{AttemptFails: 1}},
		{"Abort", "ESTABLISHED", func(s situation) { s.conn.Abort(s.now) }, counted{EstabResets: 1}},
		{"Abort", "FIN-WAIT-2", func(s situation) { s.conn.Abort(s.now) }, counted{}},
		{"Abort", "SYN-SENT", func(s situation) { s.conn.Abort(s.now) }, counted{AttemptFails: 1}},
		{"Close", "SYN-SENT", func(s situation) { s.conn.Close(s.now) }, counted{AttemptFails: 1}},
		{"Close", "ESTABLISHED", func(s situation) { s.conn.Close(s.now) }, counted{}},
		{"a timeout", "SYN-SENT", func(s situation) { s.after(time.Hour) }, counted{AttemptFails: 1}},
		{"a timeout", "half-open", func(s situation) { s.after(time.Hour) }, counted{AttemptFails: 1}},
		{"a timeout", "ESTABLISHED", func(s situation) { s.write("x"); s.after(time.Hour) }, counted{EstabResets: 1}},
		{"nothing", "ESTABLISHED", func(s situation) {}, counted{CurrEstab: 1}},
		{"nothing", "CLOSE-WAIT", func(s situation) {}, counted{CurrEstab: 1}},
	} {
		t.Run(row.name+" in "+row.state, func(t *testing.T) {
			for _, column := range situations {
				if column.state != row.state {
					continue
				}
				s := column.begin(t)
				row.end(s)
				s.answers()
				c := s.host.Counters()
				require.Equal(t, row.want, counted{c.AttemptFails, c.EstabResets, c.CurrEstab})
				s.wantConsistent()
			}
		})
	}
}

func TestRepetitionsAreCountedAsSuch(t *testing.T) {
	t.Run("a SYN|ACK", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.after(time.Second)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.answers()
		c := s.host.Counters()
		require.EqualValues(t, 1, c.OutSegs)
		require.EqualValues(t, 2, c.RetransSegs)
	})
	t.Run("a SYN", func(t *testing.T) {
		s := newScript(t)
		s.dial(nil)
		s.answers()
		s.after(time.Second)
		s.answers()
		c := s.host.Counters()
		require.EqualValues(t, 1, c.OutSegs)
		require.EqualValues(t, 1, c.RetransSegs)
	})
	t.Run("data, with more that is new", func(t *testing.T) {
		s := newScript(t)
		c := s.accepted()
		s.write("hello, ")
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		s.after(200*time.Millisecond - 1)
		s.write("world")
		s.answers()
		s.after(1)
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 3, win: 65535})
		s.answers()
		i := c.Info()
		require.EqualValues(t, 12, i.OctetsSent, "each octet is sent for the first time once")
		require.EqualValues(t, 12, s.host.Counters().OutOctets)
		require.Positive(t, i.OctetsRetransmitted)
		require.EqualValues(t, s.host.Counters().RetransSegs, i.Retransmits)
	})
}

func TestInfo(t *testing.T) {
	s := newScript(t)
	s.after(10 * time.Millisecond)
	c := s.dial(nil)
	s.want("our SYN", seg{flags: "S"})
	s.after(30 * time.Millisecond)
	s.recv(seg{flags: "S.", ack: 1, win: 100, mss: 1400, ws: 3})
	s.answers()
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 10, data: "later"})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 10, data: "ab"})
	s.write("unsent and sent: the window holds eighty octets, and this text has eighty-seven of them")
	s.answers()
	i := c.Info()
	require.Equal(t, Info{
		State: Established, Options: *c.options, CongestionControl: "reno",
		RTT: 30 * time.Millisecond, RTTVar: 15 * time.Millisecond, MinRTT: 30 * time.Millisecond, RTO: 200 * time.Millisecond,
		SendMSS: 1400, ReceiveMSS: 536, PathMTU: 1500, Cwnd: 14000, Ssthresh: 1 << 30, SendWindow: 80, InFlight: 80,
		SendWindowScale: 3, ReceiveWindowScale: 5,
		Unsent: 7, Unread: 2, OutOfOrder: 5, ReceiveWindow: i.ReceiveWindow,
		ReceiveBuffer: 1 << 20, SendBuffer: 1 << 20, LargestReceiveBuffer: 1 << 20, LargestSendBuffer: 1 << 20,
		OctetsSent: 80, OctetsReceived: 2, LastSent: epoch.Add(40 * time.Millisecond), LastReceived: epoch.Add(40 * time.Millisecond),
	}, i)
	require.EqualValues(t, 1, s.host.Counters().RTT.Samples)
}
