package tcp

import (
	"github.com/stretchr/testify/require"
)

// wantConsistent checks what must hold of a host at any moment.
func (s *script) wantConsistent() {
	s.t.Helper()
	wantConsistent(s.t, s.host)
}

func wantConsistent(t require.TestingT, h *Host) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	var held int64
	var connections, unfinished, finished, entries, established int
	foreign := map[int32]int{}
	h.table.all(func(e *entry) {
		entries++
		if e.id.foreign() {
			foreign[e.id.link()]++
		}
		switch o := e.occupant.(type) {
		case *Conn:
			connections++
			if o.state == Established || o.state == CloseWait {
				established++
			}
			o.wantConsistent(t)
			held += int64(o.charged)
		case *halfOpen:
			unfinished++
			require.True(t, o.timer.Armed(), "a half-open record ends by itself")
		case *Request:
			unfinished++
			require.True(t, o.timer.Armed(), "a request ends by itself")
		case *timeWait:
			finished++
			require.True(t, o.timer.Armed(), "TIME-WAIT ends by itself")
		}
	})
	require.GreaterOrEqual(t, h.memory.used, held, "what is charged, and what closed connections have not read")
	require.Equal(t, h.table.len, entries)
	require.Equal(t, h.connections, connections)
	require.Equal(t, h.halfOpen, unfinished)
	for link, w := range h.forwards {
		require.Equal(t, w.occupants, foreign[link])
		require.True(t, w.forwarder != nil || w.occupants > 0, "nothing remains of a forwarder")
	}
	require.Equal(t, h.timeWaits.len, finished)
	require.EqualValues(t, established, h.counters.CurrEstab)
	counted := 0
	for k, first := range h.listeners {
		sharers := h.sharers[k]
		if sharers == nil {
			sharers = []*Listener{first}
		}
		for _, l := range sharers {
			if k != l.keys[0] {
				continue
			}
			counted += l.halfOpen
			require.LessOrEqual(t, l.halfOpen, l.synQueue)
			require.LessOrEqual(t, l.young, l.halfOpen)
			require.GreaterOrEqual(t, l.young, 0)
			require.GreaterOrEqual(t, l.fastOpen.count, 0)
			require.LessOrEqual(t, len(l.accepted), l.backlog)
		}
	}
	for _, w := range h.forwards {
		if f := w.forwarder; f != nil {
			counted += f.InFlight()
			require.LessOrEqual(t, f.InFlight(), f.inFlight)
			require.LessOrEqual(t, f.Pending(), f.listener.backlog)
		}
	}
	users := h.listening
	for _, w := range h.forwards {
		if w.forwarder != nil {
			users-- // it has no port
		}
	}
	h.table.all(func(e *entry) {
		if e.id.foreign() {
			return
		}
		users++
		require.Positive(t, h.ports.count(e.id.localPort))
	})
	for _, n := range h.ports {
		users -= int(n)
	}
	require.Zero(t, users, "each user of a port is counted at it")
	require.Equal(t, unfinished, counted, "each half-open record, or request, counts for one listener or forwarder")
}

func (c *Conn) wantConsistent(t require.TestingT) {
	require.NotEqual(t, Closed, c.state)
	require.NotEqual(t, TimeWait, c.state)
	require.True(t, beforeEq(c.sndUna, c.sndNxt), "SND.UNA ≤ SND.NXT")
	end := distance(c.sndBase, c.sndNxt) - c.sndQ.Len()
	if c.sndClosed {
		end--
	}
	require.LessOrEqual(t, end, 0, "nothing was sent that was not written")
	require.LessOrEqual(t, c.sndQ.Len(), maxBuffer)
	if c.state.synchronized() {
		require.True(t, beforeEq(c.sndBase, c.sndUna) || c.sndQ.Len() == 0)
	}
	if c.state != SynSent {
		require.True(t, beforeEq(c.rcvNxt, c.rcvEdge), "RCV.NXT ≤ RCV.NXT+RCV.WND")
		require.True(t, beforeEq(c.rcvAcked, c.rcvNxt))
	}
	require.GreaterOrEqual(t, c.rcvUnread, int32(0))
	require.Positive(t, c.window.Cwnd+1)
	c.wantScoreboard(t)
	require.EqualValues(t, c.holds(), c.charged, "the host's memory is charged for what is held")
	flying := c.sndNxt != c.sndUna && c.sndWnd != 0
	if (flying || !c.state.synchronized()) && !c.turn.Queued {
		require.True(t, c.timers.heap.Armed(), "%v: what is in flight has a timer", c.state)
	}
	if c.state.sends() && c.sndUna != c.sndBase+uint32(c.sndQ.Len()) && !c.turn.Queued {
		require.True(t, c.timers.heap.Armed(), "%v: what waits to be sent has a timer", c.state)
	}
	require.False(t, c.wantsTurn() && !c.turn.Queued, "what can be sent stands in line")
}

// holds is how many octets the connection holds.
func (c *Conn) holds() int {
	n := c.sndQ.Len() + int(c.rcvUnread)
	if c.rcvOoo != nil {
		n += c.rcvOoo.Octets()
	}
	return n
}

// wantScoreboard checks that the scoreboard has each octet in flight once, and that its sums are right.
func (c *Conn) wantScoreboard(t require.TestingT) {
	f := c.flight
	if f == nil {
		require.True(t, c.sndUna == c.sndNxt || !c.state.synchronized(), "what is in flight is on the scoreboard")
		return
	}
	sacked, lost, next := 0, 0, c.sndUna
	for _, r := range f.sent.all() {
		require.Equal(t, next, r.seq, "the ranges follow each other")
		require.True(t, before(r.seq, r.end), "no range is empty")
		require.False(t, r.is(sentSacked) && r.is(sentLost), "what has arrived is not lost")
		next = r.end
		if r.is(sentSacked) {
			sacked += r.len()
		}
		if r.is(sentLost) {
			lost += r.len()
		}
		if r.is(sentAgain) && !r.is(sentSacked) {
			require.True(t, f.sent.resends && !before(f.sent.resentTo, r.end))
		}
	}
	require.Equal(t, next, c.sndNxt, "the scoreboard ends where what was sent does")
	require.Equal(t, sacked, f.sent.sacked)
	require.Equal(t, lost, f.sent.lost)
	require.LessOrEqual(t, len(f.sent.all()), maxSentRanges)
}
