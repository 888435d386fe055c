package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sender is a script in which the host sends full segments and the peer acknowledges them. Segments go by their numbers, from 0 on. The
// round trip of the handshake, which is what the host knows of the path, is 100 ms.
type sender struct {
	*script
	mss  int
	win  int
	echo time.Duration // what the peer echoes: the host's time when the segment left that moved the left edge, since the handshake
	done time.Time     // when the handshake was
}

const trip = 100 * time.Millisecond

// newSender returns a sender on a connection with what the peer's SYN, opening, has asked for.
func newSender(t *testing.T, opening seg, configure ...func(*Config)) *sender {
	s := &sender{script: newScript(t, configure...), mss: 1460, win: 65535}
	s.now = s.now.Add(time.Hour)
	l := s.listen()
	opening.flags, opening.win, opening.mss = "S", 65535, 1460
	s.recv(opening)
	s.want("the SYN is answered", seg{flags: "S.", ack: 1})
	s.after(trip)
	s.recv(s.opened(opening, seg{flags: ".", seq: 1, ack: 1, win: s.win}))
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	s.conn.SetOwner(s.owner)
	s.mss, s.done = int(s.conn.sndMSS), s.now
	require.Equal(t, trip, s.conn.Info().RTT)
	return s
}

// opened adds the peer's timestamp to a segment, if there are any.
func (s *sender) opened(opening, sg seg) seg {
	if opening.ts {
		sg.ts, sg.tsval = true, s.clock()
		sg.tsecr = uint32(s.since() / tsTick)
	}
	return sg
}

func (s *sender) clock() uint32 { return uint32(s.since()/tsTick) + 7 }

var (
	withSACK  = seg{sackOK: true}
	withStamp = seg{ts: true}
	withBoth  = seg{sackOK: true, ts: true}
	withNone  = seg{}
)

// send writes n segments.
func (s *sender) send(n int) {
	s.t.Helper()
	s.write(strings.Repeat("x", n*s.mss))
}

// flies writes n segments, all of which leave.
func (s *sender) flies(n int) {
	s.t.Helper()
	first := distance(s.conn.iss+1, s.conn.sndNxt) / s.mss
	s.send(n)
	s.leaves("all leave", first, first+n)
}

// leaves takes what has left, which are the segments from first up to but not including end.
func (s *sender) leaves(why string, first, end int) {
	s.t.Helper()
	var want []int
	for i := first; i < end; i++ {
		want = append(want, i)
	}
	require.Equal(s.t, fmt.Sprint(want), fmt.Sprint(s.left()), why)
}

// left takes what has left: the numbers of segments, a FIN counting as -1, and what is not a whole segment as -2.
func (s *sender) left() (numbers []int) {
	s.t.Helper()
	s.net.collect(s.since())
	for _, p := range s.net.sent {
		got, data := s.decode(p)
		switch {
		case len(data) == s.mss && (int(got.seq)-1)%s.mss == 0:
			numbers = append(numbers, (int(got.seq)-1)/s.mss)
		case strings.Contains(got.flags, "F"):
			numbers = append(numbers, -1)
		default:
			numbers = append(numbers, -2)
		}
	}
	s.net.sent = nil
	s.wantConsistent()
	return numbers
}

// acks has the peer acknowledge all segments before the one with number n, and of those behind it the blocks [from, to).
func (s *sender) acks(n int, blocks ...[2]int) {
	s.t.Helper()
	sg := seg{flags: ".", seq: 1, ack: s.at(n), win: s.win}
	for _, b := range blocks {
		sg.sack = append(sg.sack, [2]uint32{s.at(b[0]), s.at(b[1])})
	}
	if s.conn.ts.on {
		sg.ts, sg.tsval = true, s.clock()
		sg.tsecr = uint32((s.done.Sub(epoch) + s.echo) / time.Millisecond)
	}
	s.recv(sg)
}

func (s *sender) at(n int) uint32 { return 1 + uint32(n*s.mss) }
