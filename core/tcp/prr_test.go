package tcp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9937's first example: of twenty segments the first is lost, and ten are to be in flight in the end.
func TestPRRIsProportional(t *testing.T) {
	var p prr
	p.start(20)
	inFlight, sent := 20-1-3, 0 // three are delivered as recovery begins, one is lost
	window := p.window(3, inFlight, 10, 1, false)
	pattern := ""
	for range 16 {
		n := window - inFlight
		require.LessOrEqual(t, n, 2, "no burst")
		p.sent(n)
		sent, inFlight = sent+n, inFlight+n
		pattern += fmt.Sprint(n)
		inFlight--
		window = p.window(1, inFlight, 10, 1, false)
	}
	require.Equal(t, "2010101010101001", pattern, "one for two, without a pause")
	require.Equal(t, 10, inFlight+window-inFlight)
}

func TestPRRReductionBound(t *testing.T) {
	start := func(p *prr) { p.start(20); p.sent(1) }
	t.Run("below ssthresh no more than was delivered", func(t *testing.T) {
		var p prr
		start(&p)
		require.Equal(t, 4+1, p.window(1, 4, 10, 1, false))
	})
	t.Run("one more if SND.UNA has moved and nothing more was lost", func(t *testing.T) {
		var p prr
		start(&p)
		require.Equal(t, 4+2, p.window(1, 4, 10, 1, true))
	})
	t.Run("what was not sent before may be now", func(t *testing.T) {
		var p prr
		start(&p)
		p.window(5, 12, 10, 1, false)
		require.Equal(t, 4+6-1, p.window(1, 4, 10, 1, false))
	})
	t.Run("not beyond ssthresh", func(t *testing.T) {
		var p prr
		start(&p)
		require.Equal(t, 10, p.window(8, 9, 10, 1, true))
	})
	t.Run("the first segment leaves in any case", func(t *testing.T) {
		var p prr
		p.start(20)
		require.Equal(t, 19+1, p.window(0, 19, 10, 1, false))
	})
	t.Run("the window is never less than a segment", func(t *testing.T) {
		var p prr
		p.start(20)
		p.sent(5)
		require.Equal(t, 1, p.window(0, 0, 10, 1, false))
	})
}

// A burst of losses: what leaves is clocked by what arrives, and the window is ssthresh in the end.
func TestPRRInAConversation(t *testing.T) {
	s := newSender(t, withSACK, func(c *Config) { c.InitialWindow = 20 })
	s.flies(20)
	s.send(20)
	s.after(trip)
	sent := 0
	for i := 4; i < 20; i++ { // the first four are lost
		s.acks(0, [2]int{4, i + 1})
		n := len(s.left())
		require.LessOrEqual(t, n, 2, "segment %d", i)
		sent += n
		require.LessOrEqual(t, s.conn.Info().InFlight, 20*s.mss)
	}
	ssthresh := s.conn.Info().Ssthresh
	require.Equal(t, 20*s.mss/2, ssthresh)
	require.LessOrEqual(t, s.conn.Info().InFlight, ssthresh+s.mss)
	require.GreaterOrEqual(t, sent, 9, "half of what has arrived has been replaced")
	s.after(trip)
	next := distance(s.conn.iss+1, s.conn.sndNxt) / s.mss
	end := distance(s.conn.iss+1, s.conn.recover) / s.mss
	s.acks(end)
	require.Equal(t, RecoveryNone, s.conn.Info().Recovery)
	require.Equal(t, ssthresh, s.conn.Info().Cwnd)
	require.Len(t, s.left(), ssthresh/s.mss-(next-end), "it goes on at ssthresh, at once")
}
