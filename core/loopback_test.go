package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
)

// Two peers on the loopback that both write and do not read: their windows are closed and probed for, ever more rarely, and an
// acknowledgment is never the answer to an acknowledgment. Once they read, all goes on.
func TestFullPeersDoNotAnswerEachOtherForever(t *testing.T) {
	s := newScript(t)
	settle := func() {
		for round := 0; s.stack.PollLoopback(s.now); round++ {
			require.Less(t, round, 10_000, "the loopback never rests")
		}
	}
	l, err := s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort("127.0.0.1:80")})
	require.NoError(t, err)
	c, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("127.0.0.1:80")})
	require.NoError(t, err)
	settle()
	ends := [2]*tcp.Conn{c, l.Accept()}
	const octets = 8 << 20
	var left, got [2][]byte
	for i := range ends {
		left[i] = make([]byte, octets)
	}
	exchange := func() {
		for i, end := range ends {
			write(s.now, end, &left[i])
		}
		settle()
	}
	for range 100 { // as fast as both write
		exchange()
	}
	before := s.stack.Counters().TCP.InSegs
	for until := s.now.Add(time.Hour); s.now.Before(until); exchange() {
		at, ok := s.stack.PollAt()
		require.True(t, ok, "both wait for room")
		s.after(at.Sub(s.now))
	}
	hour := s.stack.Counters().TCP.InSegs - before
	t.Logf("%d segments in an hour", hour)
	require.Less(t, hour, uint64(400), "each probes once a minute, and is answered")
	for i, end := range ends {
		require.NotEmpty(t, left[i], "both are full")
		require.Zero(t, end.Info().ReceiveWindow)
	}
	for range 1000 {
		exchange()
		for i, end := range ends {
			got[1-i] = append(got[1-i], read(s.now, end)...)
		}
		if at, ok := s.stack.PollAt(); ok && len(got[0])+len(got[1]) < 2*octets {
			s.after(max(at.Sub(s.now), 0))
		}
	}
	require.Len(t, got[0], octets)
	require.Len(t, got[1], octets)
}
