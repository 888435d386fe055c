package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// "RFC 6298 describes exponential backoff of RTO values, including keeping the backed-off value until a subsequent segment with new
// data has been sent and acknowledged without retransmission." Otherwise a round trip that has grown beyond the timeout would
// never be measured again.
func TestBackoffLastsUntilSomethingIsMeasured(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	at := uint32(1)
	for range 3 { // the path now takes 500 ms, the timeout is 200
		s.write("hello")
		s.want("data", seg{flags: "P.", seq: at, ack: 1, data: "hello"})
		s.after(500 * time.Millisecond)
		s.answers()
		at += 5
		s.recv(seg{flags: ".", seq: 1, ack: at, win: 65535})
	}
	retransmitted := s.host.Counters().RetransSegs
	require.Equal(t, 500*time.Millisecond, c.rttSample(), "the third was not sent twice, and measured")
	for range 3 {
		s.write("hello")
		s.want("data", seg{flags: "P.", seq: at, ack: 1, data: "hello"})
		s.after(500 * time.Millisecond)
		at += 5
		s.recv(seg{flags: ".", seq: 1, ack: at, win: 65535})
		s.wantIdle("and nothing is sent in vain any more")
	}
	require.Equal(t, retransmitted, s.host.Counters().RetransSegs)
}

// rttSample is the largest round-trip time that the host has measured.
func (c *Conn) rttSample() time.Duration { return c.host.counters.RTT.Max }

func TestLossAfterALongZeroWindow(t *testing.T) {
	s := newScript(t, func(c *Config) { c.DataRetries = 10 })
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("hello")
	for range 20 {
		s.after(time.Minute)
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	}
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000})
	s.want("the window opens", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	s.after(200 * time.Millisecond)
	s.want("that was lost: twenty probes are not twenty attempts", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	require.NoError(t, c.Err())
}

func TestUserTimeoutDoesNotCountProbing(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{UserTimeout: 5 * time.Second} })
	s.write("first")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "first"})
	s.recv(seg{flags: ".", seq: 1, ack: 6, win: 0})
	s.write(strings.Repeat("x", 2000))
	for range 60 {
		s.after(time.Second)
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 6, win: 0})
	}
	require.NoError(t, c.Err(), "the peer answers every probe")
	s.recv(seg{flags: ".", seq: 1, ack: 6, win: 100})
	s.after(4 * time.Second)
	require.NoError(t, c.Err(), "a hundred octets, sent by the override timeout, are not yet unacknowledged for long")
	s.after(4 * time.Second)
	require.ErrorIs(t, c.Err(), ErrTimeout, "now they are")
	s.answers()
}

func TestUserTimeoutAndUnansweredProbes(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{UserTimeout: 5 * time.Second} })
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.after(time.Hour)
	s.write("x")
	s.after(5 * time.Second)
	require.NoError(t, c.Err(), "the silence before is not counted")
	s.after(5 * time.Second)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	s.answers()
}

func TestUserTimeoutIsChangedWhileInFlight(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write("x")
	s.after(10 * time.Second)
	require.NoError(t, c.Err())
	s.answers()
	require.NoError(t, c.SetUserTimeout(s.now, 11*time.Second))
	s.after(time.Second)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	s.answers()
	require.Error(t, c.SetUserTimeout(s.now, -1))
}

func TestFINBehindAClosedWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	c.CloseWrite(s.now)
	s.want("a FIN takes no room", seg{flags: "F.", seq: 1, ack: 1})
	for i := range 20 {
		s.after(min(200*time.Millisecond<<i, time.Minute))
		s.want("a peer that does not take it is asked again", seg{flags: "F.", seq: 1, ack: 1})
		s.wantIdle("and nothing else is sent")
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	}
	require.NoError(t, c.Err(), "for as long as it answers")
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 0})
	require.Equal(t, FinWait2, c.State())
	s.after(time.Hour)
	s.wantIdle("done")
}

func TestOrphanAfterALongZeroWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("the last words")
	for range 20 {
		s.after(time.Minute)
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	}
	c.Close(s.now)
	for range 9 {
		s.after(5 * time.Second)
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	}
	require.Equal(t, FinWait1, c.State(), "OrphanRetries begins to count as the user goes")
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000})
	s.want("so that a peer that was only slow gets it all", seg{flags: "FP.", seq: 1, ack: 1, data: "the last words"})
}

func TestLingerIsOverOnceAllIsDelivered(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	c.SetLinger(1)
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	s.after(30 * time.Second)
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	s.want("the peer may take its time", seg{flags: ".", seq: 2, ack: 2})
	require.Equal(t, "TIME-WAIT", s.state())
}

func TestKeepAliveBehindAClosedWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) {
		c.Options = &Options{KeepAlive: KeepAlive{Enable: true, Idle: 10 * time.Second, Interval: time.Second, Count: 3}}
	})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.after(10 * time.Second)
	s.want("nothing waits to be sent: the peer is probed for life", seg{flags: ".", seq: 0, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0})
	s.write("x")
	s.after(200 * time.Millisecond)
	s.want("now for its window", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 0})
	s.after(10 * time.Second)
	s.want("and again for life", seg{flags: ".", seq: 1, ack: 1})
	s.after(3 * time.Second)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	s.answers()
}

func TestKeepAliveWithUserTimeout(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) {
		c.Options = &Options{
			UserTimeout: 5 * time.Second,
			KeepAlive:   KeepAlive{Enable: true, Idle: 10 * time.Second, Interval: time.Second, Count: 2},
		}
	})
	s.after(10 * time.Second)
	for range 5 {
		s.want("one lost probe proves nothing (MUST-29)", seg{flags: ".", seq: 0, ack: 1})
		require.NoError(t, c.Err())
		s.after(time.Second)
	}
	s.want("the user's patience counts, not the probes", seg{flags: "R.", seq: 1, ack: 1})
	require.ErrorIs(t, c.Err(), ErrTimeout)
}

func TestKeepAliveIsChanged(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	keep := KeepAlive{Enable: true, Idle: 10 * time.Second, Interval: time.Second, Count: 2}
	require.NoError(t, c.SetKeepAlive(s.now, keep))
	require.Equal(t, keep, c.KeepAlive())
	s.after(10 * time.Second)
	s.want("a probe", seg{flags: ".", seq: 0, ack: 1})
	require.NoError(t, c.SetKeepAlive(s.now, KeepAlive{}))
	s.after(time.Hour)
	s.wantIdle("off")
	require.NoError(t, c.SetKeepAlive(s.now, keep))
	s.want("on again: long idle by now", s.probeAfter(0))
	s.after(2 * time.Second)
	require.ErrorIs(t, c.Err(), ErrTimeout, "two more probes, not one, ended it")
	s.answers()
	require.Error(t, c.SetKeepAlive(s.now, KeepAlive{Count: 256}))
}

// probeAfter lets time pass and returns what a keep-alive probe looks like.
func (s *script) probeAfter(d time.Duration) seg {
	s.after(d)
	return seg{flags: ".", seq: 0, ack: 1}
}

func TestSoftErrorIsForgottenWithProgress(t *testing.T) {
	s := newScript(t, func(c *Config) { c.DataRetries = 1 })
	c := s.accepted()
	s.write("x")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "x"})
	s.icmp(ip.HostUnreachable, 0, 1)
	s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
	s.write("y")
	s.after(time.Minute)
	require.ErrorIs(t, c.Err(), ErrTimeout, "the host was reachable since")
	s.answers()
}

// One lost SYN may be no loss at all, but a round trip longer than the first timeout: RFC 6928, section 2.
func TestInitialWindowAfterLostSYNs(t *testing.T) {
	for _, row := range []struct {
		name string
		lost int
		want int
	}{{"none lost", 0, 14600}, {"one lost", 1, 14600}, {"two lost", 2, 1460}} {
		t.Run(row.name+", dialing", func(t *testing.T) {
			s := newScript(t)
			c := s.dial(nil)
			s.after(time.Second * time.Duration(1<<row.lost-1))
			s.answers()
			s.iss = c.iss
			s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
			s.want("at last", seg{flags: ".", seq: 1, ack: 1})
			require.Equal(t, row.want, c.Info().Cwnd)
		})
		t.Run(row.name+", listening", func(t *testing.T) {
			s := newScript(t)
			l := s.listen()
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			s.after(time.Second * time.Duration(1<<row.lost-1))
			s.answers()
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			require.Equal(t, row.want, l.Accept().Info().Cwnd)
		})
	}
}

// "a TCP SHOULD set cwnd to no more than RW before beginning transmission if the TCP has not sent data in an interval exceeding the
// retransmission timeout": acknowledgments are not data.
// RFC 7661: a window that is not used is kept for five minutes, and half of it is given up then. That takes the place of RFC 5681's
// restart window.
func TestIdleWindowIsKeptForFiveMinutes(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write(strings.Repeat("x", 14600))
	s.answers()
	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535})
	require.Equal(t, 29200, c.Info().Cwnd)
	for i := range uint32(20) {
		s.after(100 * time.Millisecond)
		s.recv(seg{flags: ".", seq: 1 + 2920*i, ack: 14601, win: 65535, len: 1460})
		s.recv(seg{flags: ".", seq: 1461 + 2920*i, ack: 14601, win: 65535, len: 1460})
		s.want("a long request is acknowledged", seg{flags: ".", seq: 14601, ack: 1 + 2920*(i+1)})
	}
	s.write("x")
	s.answers()
	require.Equal(t, 29200, c.Info().Cwnd, "a sender that pauses is not one that congests")
	s.recv(seg{flags: ".", seq: 1 + 2920*20, ack: 14602, win: 65535})
	s.after(6 * time.Minute)
	s.write("x")
	s.answers()
	require.Equal(t, 14600, c.Info().Cwnd, "what was not used for so long is worth half")
	require.Equal(t, 29200/4*3, min(c.Info().Ssthresh, 29200/4*3), "slow start finds the rest")
}

func TestSYNTakesThreeMinutesToFail(t *testing.T) {
	s := newScript(t)
	c := s.dial(nil)
	s.after(3 * time.Minute)
	require.NoError(t, c.Err(), "RFC 9293, 3.8.3: R2 for a SYN is at least three minutes")
	s.after(time.Minute)
	require.ErrorIs(t, c.Err(), ErrTimeout)
	s.answers()
}

func TestPacketTooBigShrinksTheCongestionWindow(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	s.write(strings.Repeat("x", 14600))
	s.answers()
	s.icmp(ip.PacketTooBig, 770, 1)
	require.Equal(t, 730, c.Info().SendMSS)
	require.Equal(t, 7300, c.Info().Cwnd, "ten segments stay ten segments")
	s.answers()
	s.icmp(ip.PacketTooBig, 0, 1)
	require.Equal(t, 512, c.Info().SendMSS, "a router that does not say how much")
	s.answers()
}
