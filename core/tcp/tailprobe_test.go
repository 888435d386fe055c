package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const multiPTO = 2*trip + 2*time.Millisecond

// "If SRTT is available: PTO = 2 * SRTT. If FlightSize is one segment: PTO += TLP.max_ack_delay [...] If Now() + PTO >
// TCP_RTO_expiration(): PTO = TCP_RTO_expiration() - Now()"
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.2
func TestProbeTimeout(t *testing.T) {
	for _, row := range []struct {
		name     string
		segments int
		rto      time.Duration
		wait     time.Duration
	}{
		{"several segments: two round trips", 2, time.Second, multiPTO},
		{"one, whose acknowledgment may be delayed", 1, time.Second, 2*trip + 200*time.Millisecond},
		{"no later than the retransmission timeout", 1, 3 * trip, 3 * trip},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSender(t, withSACK)
			s.conn.rtt.rto = int64(row.rto)
			s.flies(row.segments)
			s.after(row.wait - 1)
			s.leaves("not before", 0, 0)
			s.after(1)
			s.leaves("the last again", row.segments-1, row.segments)
			require.EqualValues(t, 1, s.host.Counters().TailLossProbes)
			require.Zero(t, s.host.Counters().RetransTimeouts)
			s.after(row.rto - 1)
			s.leaves("one probe", 0, 0)
			s.after(1)
			s.leaves("the retransmission timer was started anew with the probe", 0, 1)
			require.EqualValues(t, 1, s.host.Counters().RetransTimeouts)
		})
	}
}

// RFC 8985, section 7.3: which segment the probe is.
func TestProbe(t *testing.T) {
	t.Run("is new if there is something, whatever the congestion window says", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(10)
		s.send(3)
		s.leaves("cwnd is used up", 0, 0)
		s.after(multiPTO)
		s.leaves("one segment beyond it", 10, 11)
		s.after(trip)
		s.acks(11)
		require.Zero(t, s.host.Counters().RetransSegs)
		require.Equal(t, 21*s.mss, s.conn.Info().Cwnd, "it was late, and nothing was lost")
	})
	t.Run("is the last again if the peer's window is full", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.win = 2 * s.mss
		s.acks(0)
		s.send(3)
		s.leaves("what there is room for", 0, 2)
		s.after(multiPTO)
		s.leaves("the last", 1, 2)
	})
	t.Run("is one segment, of a super-segment too, and with SACK blocks of our own in it", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.net.segment = true
		s.recv(seg{flags: ".", seq: 5, ack: 1, win: 65535, data: "ahead"})
		s.want("out of order", seg{flags: ".", seq: 1, ack: 1})
		s.send(4)
		s.net.discard()
		s.after(multiPTO)
		require.Len(t, s.net.sent, 1)
		require.Zero(t, s.net.sent[0].SegmentSize)
		s.net.discard()
		s.wantConsistent()
	})
	t.Run("is the FIN if that is last", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(2)
		s.conn.CloseWrite(s.now)
		s.want("the FIN", seg{flags: "F.", seq: s.at(2), ack: 1})
		s.after(multiPTO)
		s.want("again, with the segment before it", seg{flags: "FP.", seq: s.at(1), ack: 1, len: s.mss})
		s.wantConsistent()
		s.recv(seg{flags: ".", seq: 1, ack: s.at(2) + 1, win: 65535})
		require.Equal(t, FinWait2, s.conn.State())
	})
	t.Run("is none without SACK", func(t *testing.T) {
		s := newSender(t, withNone)
		s.flies(3)
		s.after(3*trip - 1)
		s.leaves("nothing", 0, 0)
		s.after(1)
		s.leaves("the timeout", 0, 1)
	})
	t.Run("is none once something has arrived out of order", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.conn.reordering = reordering{seen: true, mult: 200} // so that RACK waits for long
		s.flies(3)
		s.after(trip)
		s.acks(0, [2]int{2, 3})
		s.after(trip)
		s.answers()
		require.Zero(t, s.host.Counters().TailLossProbes)
	})
	t.Run("is none into a closed window", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(2)
		s.win = 0
		s.acks(1)
		s.after(multiPTO)
		s.after(2 * s.conn.Info().RTO)
		require.Zero(t, s.host.Counters().TailLossProbes)
		s.want("the window is probed for instead", seg{flags: ".", seq: s.at(1), ack: 1, data: "x"})
	})
	t.Run("waits for a round trip to be measured since the last", func(t *testing.T) {
		s := newSender(t, withSACK)
		s.flies(2)
		s.after(multiPTO)
		s.leaves("a probe", 1, 2)
		s.after(trip)
		s.acks(2)
		s.acks(2)
		s.flies(2)
		s.after(s.conn.Info().RTO)
		s.leaves("the second flight's first, by the timeout", 2, 3)
		require.EqualValues(t, 1, s.host.Counters().TailLossProbes, "what was sent twice has measured nothing")
		s.after(trip)
		s.acks(4)
		s.flies(2)
		s.after(trip)
		s.acks(6)
		s.flies(2)
		s.after(3 * trip)
		require.EqualValues(t, 2, s.host.Counters().TailLossProbes, "once was enough")
		s.left()
	})
}

// TLP_process_ack of RFC 8985.
// https://www.rfc-editor.org/rfc/rfc8985.html#section-7.4.2
func TestProbeIsAcknowledged(t *testing.T) {
	probed := func(t *testing.T) *sender {
		s := newSender(t, withSACK)
		s.flies(4)
		s.after(multiPTO)
		s.leaves("a probe", 3, 4)
		s.after(trip)
		return s
	}
	t.Run("beyond it, without a word of both copies: it has repaired a loss", func(t *testing.T) {
		s := probed(t)
		s.acks(4)
		s.flies(4)
		s.after(trip)
		s.acks(8)
		require.EqualValues(t, 1, s.host.Counters().TailLossRecoveries)
		require.Equal(t, 2*s.mss, s.conn.Info().Ssthresh, "congestion control learns of it: half of the four in flight")
		require.Equal(t, 2*s.mss, s.conn.Info().Cwnd)
	})
	for _, row := range []struct {
		name string
		ack  func(s *sender)
	}{
		{"a DSACK of it: both copies have arrived", func(s *sender) { s.acks(4, [2]int{3, 4}) }},
		{"a duplicate without SACK, from a peer that knows no DSACK", func(s *sender) { s.acks(4) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := probed(t)
			s.acks(4)
			row.ack(s)
			s.flies(4)
			s.after(trip)
			s.acks(8)
			require.Zero(t, s.host.Counters().TailLossRecoveries)
			require.Greater(t, s.conn.Info().Ssthresh, 1<<20)
		})
	}
	t.Run("a DSACK of something else says nothing", func(t *testing.T) {
		s := probed(t)
		s.acks(4)
		s.acks(4, [2]int{0, 1})
		s.flies(1)
		s.after(trip)
		s.acks(5)
		require.EqualValues(t, 1, s.host.Counters().TailLossRecoveries)
	})
	t.Run("fast recovery takes over", func(t *testing.T) {
		s := probed(t)
		s.acks(2, [2]int{3, 4})
		s.leaves("the third is lost", 2, 3)
		s.after(trip)
		s.acks(4)
		s.flies(1)
		s.after(trip)
		s.acks(5)
		require.Zero(t, s.host.Counters().TailLossRecoveries)
		require.EqualValues(t, 1, s.host.Counters().FastRetransmits)
	})
}

// The retransmission timer starts with the first segment in flight, and new ones behind it neither put off the probe, which comes no
// later, nor the end of the user's patience.
func TestSteadyWritesDoNotPutOffTheTimers(t *testing.T) {
	t.Run("the probe", func(t *testing.T) {
		s := newSender(t, withSACK)
		for range 10 {
			s.write("tick")
			s.after(trip / 2)
		}
		require.NotZero(t, s.host.Counters().TailLossProbes)
		for range 10 {
			s.write("tick")
			s.after(trip / 2)
		}
		require.NotZero(t, s.host.Counters().RetransTimeouts)
		s.answers()
	})
	t.Run("the user timeout", func(t *testing.T) {
		s := newSender(t, withSACK, func(c *Config) { c.Options.UserTimeout = time.Second })
		for range 20 {
			require.NoError(t, s.conn.Err())
			s.write("tick")
			s.after(time.Second / 20)
		}
		require.ErrorIs(t, s.conn.Err(), ErrTimeout)
		s.answers()
	})
	t.Run("nor do selective acknowledgments", func(t *testing.T) {
		s := newSender(t, withSACK, func(c *Config) { c.Options.UserTimeout = 200 * time.Millisecond })
		s.flies(5)
		s.after(trip)
		s.acks(0, [2]int{4, 5})
		s.after(trip - 1)
		require.NoError(t, s.conn.Err())
		s.after(1)
		require.ErrorIs(t, s.conn.Err(), ErrTimeout)
		s.answers()
	})
}

func TestKeepAliveAfterAProbe(t *testing.T) {
	s := newSender(t, withSACK, func(c *Config) { c.Options.KeepAlive = KeepAlive{Enable: true, Idle: time.Minute} })
	s.flies(2)
	s.after(multiPTO)
	s.leaves("a probe", 1, 2)
	s.acks(2)
	s.after(time.Minute - 1)
	s.wantIdle("all has arrived")
	s.after(1)
	s.want("is anybody there", seg{flags: ".", seq: s.at(2) - 1, ack: 1})
}
