package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
)

// selective is a connection, its SYN answered after 100 ms, with a peer that acknowledges selectively.
func selective(t *testing.T, options *Options) *script {
	s := newScript(t)
	s.dial(options)
	s.want("our SYN", seg{flags: "S", sackOK: true})
	s.after(100 * time.Millisecond)
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460, sackOK: true})
	s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1})
	return s
}

func TestInfoOfALoss(t *testing.T) {
	s := selective(t, nil)
	c := s.conn
	i := c.Info()
	require.True(t, i.SACK)
	require.False(t, i.Timestamps || i.ECN || i.FastOpen || i.Reordering)
	require.Equal(t, RecoveryNone, i.Recovery)
	require.Zero(t, i.DeliveryRate, "nothing was measured yet")

	s.write(strings.Repeat("x", 10*1460))
	s.answers()
	require.Equal(t, 14600, c.Info().InFlight)
	require.Zero(t, c.Info().OctetsAcked)

	s.after(100 * time.Millisecond)
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	i = c.Info()
	require.EqualValues(t, 1460, i.OctetsAcked)
	require.EqualValues(t, 14600, i.DeliveryRate, "1460 octets in 100 ms")
	require.False(t, i.DeliveryLimited, "the congestion window was full")
	require.Equal(t, 25*time.Millisecond, i.ReorderWindow, "RACK.reo_wnd is a quarter of the round trip at first")

	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535, sack: [][2]uint32{{2921, 7301}}})
	s.after(time.Millisecond)
	i = c.Info()
	require.Equal(t, 3*1460, i.Sacked)
	require.Equal(t, RecoveryFast, i.Recovery)
	require.EqualValues(t, 1, i.Retransmits)
	require.EqualValues(t, 1460, i.OctetsRetransmitted)
	require.Zero(t, i.Lost, "it is on its way again")
	require.Equal(t, 6*1460, i.InFlight)
	require.Zero(t, i.ReorderWindow, "three have overtaken it, and none ever came late")
	s.answers()

	s.recv(seg{flags: ".", seq: 1, ack: 14601, win: 65535, sack: [][2]uint32{{1461, 2921}}})
	i = c.Info()
	require.EqualValues(t, 1, i.DSACKs)
	require.EqualValues(t, 14600, i.OctetsAcked)
	require.Zero(t, i.InFlight+i.Sacked+i.Lost)
	require.Equal(t, RecoveryNone, i.Recovery)
	require.NotZero(t, i.DeliveryRate, "it is remembered while nothing is on its way")

	s.write("hello, world")
	s.answers()
	s.after(100 * time.Millisecond)
	s.recv(seg{flags: ".", seq: 1, ack: 14613, win: 65535})
	require.EqualValues(t, 120, c.Info().DeliveryRate)
	require.True(t, c.Info().DeliveryLimited, "there was no more to send")
}

func TestInfoOfATimeout(t *testing.T) {
	s := selective(t, nil)
	s.write(strings.Repeat("x", 1460))
	s.answers()
	s.after(s.conn.Info().RTO + 50*time.Millisecond) // and the tail loss probe before
	s.after(s.conn.Info().RTO)
	i := s.conn.Info()
	require.Positive(t, i.Timeouts)
	require.Equal(t, i.Timeouts, i.Backoff)
	require.Equal(t, RecoveryTimeout, i.Recovery)
	require.Greater(t, int(i.Retransmits), i.Timeouts-1)
	s.answers()
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
	require.Zero(t, s.conn.Info().Timeouts)
}

func TestInfoCountsWhatIsAcknowledged(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(s *script)
		want uint64
	}{
		{"nothing was sent", func(*script) {}, 0},
		{"a SYN and a FIN count for nothing", func(s *script) { s.conn.CloseWrite(s.now); s.recv(seg{flags: ".", seq: 1, ack: 2, win: 9}) }, 0},
		{"the FIN is on its way", func(s *script) {
			s.write("hello")
			s.conn.CloseWrite(s.now)
			s.recv(seg{flags: ".", seq: 1, ack: 4, win: 9})
		}, 3},
		{"the data, and not the FIN", func(s *script) {
			s.write("hello")
			s.conn.CloseWrite(s.now)
			s.recv(seg{flags: ".", seq: 1, ack: 6, win: 9})
		}, 5},
		{"the FIN as well", func(s *script) {
			s.write("hello")
			s.conn.CloseWrite(s.now)
			s.net.collect(s.since())
			s.recv(seg{flags: ".", seq: 1, ack: 7, win: 9})
		}, 5},
		{"it has failed meanwhile", func(s *script) {
			s.write("hello")
			s.recv(seg{flags: ".", seq: 1, ack: 3, win: 9})
			s.recv(seg{flags: "R", seq: 1})
		}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.dialed(nil)
			row.do(s)
			s.answers()
			require.Equal(t, row.want, s.conn.Info().OctetsAcked)
		})
	}
}

func TestInfoOfThePath(t *testing.T) {
	s := newScript(t)
	c := s.accepted()
	require.Equal(t, 1500, c.Info().PathMTU)
	s.write(strings.Repeat("x", 1460))
	s.answers()
	s.icmp(ip.PacketTooBig, 1000, 1)
	s.answers()
	i := c.Info()
	require.Equal(t, 1000, i.PathMTU)
	require.Equal(t, 960, i.SendMSS)
}

func TestInfoOfBuffers(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Options.ReceiveBuffer, c.Options.SendBuffer = 0, 0; c.Limits.SendBuffer = 1 << 20 })
	c := s.accepted()
	i := c.Info()
	require.Equal(t, initialBuffer, i.ReceiveBuffer)
	require.Equal(t, 6<<20, i.LargestReceiveBuffer, "Limits.ReceiveBuffer's default")
	require.Equal(t, 1<<20, i.LargestSendBuffer)
	require.NoError(t, c.SetReadBuffer(4096))
	i = c.Info()
	require.Equal(t, 4096, i.ReceiveBuffer)
	require.Equal(t, 4096, i.LargestReceiveBuffer, "who sets it gets no other")
}

// What is written while the link is busy with others leaves together: a segment is made when the connection's turn has come, not
// when something is written. So many small writes need no option like Linux's TCP_CORK.
func TestWritesBeforeTheTurnLeaveTogether(t *testing.T) {
	for _, row := range []struct {
		name  string
		nagle bool
	}{{"with Nagle off", false}, {"with Nagle", true}} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.dialed(&Options{Nagle: row.nagle})
			commit := func(text string) {
				var f storage.Fill
				_, err := c.Reserve(&f, len(text))
				require.NoError(t, err)
				f.Write([]byte(text))
				c.Commit(s.now, &f)
			}
			for range 20 {
				commit(strings.Repeat("x", 73))
			}
			s.want("twenty writes, one segment: it is full, and the last there is", seg{flags: "P.", seq: 1, ack: 1, len: 1460})
			s.wantIdle("and nothing more")

			for range 21 {
				commit(strings.Repeat("x", 73))
			}
			s.want("a full segment, with more behind it", seg{flags: ".", seq: 1461, ack: 1, len: 1460})
			if row.nagle {
				s.wantIdle("the rest waits for an acknowledgment")
				s.recv(seg{flags: ".", seq: 1, ack: 2921, win: 65535})
			}
			s.want("the rest is the last", seg{flags: "P.", seq: 2921, ack: 1, len: 73})
			s.wantIdle("and nothing more")
		})
	}
}
