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
	var connections, unfinished, finished, entries, established int
	h.table.all(func(e *entry) {
		entries++
		switch o := e.occupant.(type) {
		case *Conn:
			connections++
			if o.state == Established || o.state == CloseWait {
				established++
			}
			o.wantConsistent(t)
		case *halfOpen:
			unfinished++
			require.True(t, o.timer.Armed(), "a half-open record ends by itself")
		case *timeWait:
			finished++
			require.True(t, o.timer.Armed(), "TIME-WAIT ends by itself")
		}
	})
	require.Equal(t, h.table.len, entries)
	require.Equal(t, h.connections, connections)
	require.Equal(t, h.halfOpen, unfinished)
	require.Equal(t, h.timeWaits.len, finished)
	require.EqualValues(t, established, h.counters.CurrEstab)
	counted := 0
	for k, l := range h.listeners {
		if k == l.keys[0] {
			counted += l.halfOpen
			require.LessOrEqual(t, l.halfOpen, l.backlog)
			require.LessOrEqual(t, len(l.accepted), l.backlog)
		}
	}
	require.Equal(t, unfinished, counted, "each half-open record counts for one listener")
}

func (c *Conn) wantConsistent(t require.TestingT) {
	require.NotEqual(t, Closed, c.state)
	require.NotEqual(t, TimeWait, c.state)
	require.True(t, beforeEq(c.sndUna, c.sndNxt), "SND.UNA ≤ SND.NXT")
	require.True(t, beforeEq(c.sndNxt, c.sndMax), "SND.NXT ≤ SND.MAX")
	end := distance(c.sndBase, c.sndMax) - c.sndQ.Len()
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
	flying := c.sndMax != c.sndUna && c.sndWnd != 0
	if (flying || !c.state.synchronized()) && !c.turn.Queued {
		require.True(t, c.timers.heap.Armed(), "%v: what is in flight has a timer", c.state)
	}
	if c.state.sends() && c.sndUna != c.sndBase+uint32(c.sndQ.Len()) && !c.turn.Queued {
		require.True(t, c.timers.heap.Armed(), "%v: what waits to be sent has a timer", c.state)
	}
	require.False(t, c.wantsTurn() && !c.turn.Queued, "what can be sent stands in line")
}
