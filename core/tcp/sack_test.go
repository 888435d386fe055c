package tcp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// sacking is a connection that the peer opened with selective acknowledgments, and timestamps if ts.
func sacking(t *testing.T, ts bool, configure ...func(*Config)) *script {
	s := newScript(t, configure...)
	l := s.listen(func(c *ListenConfig) { c.Options = &Options{DelayedACK: -1} })
	syn, ack := seg{flags: "S", win: 65535, mss: 1460, sackOK: true}, seg{flags: ".", seq: 1, ack: 1, win: 65535}
	if ts {
		syn.tsval, ack.tsval = 1000, 1000
	}
	s.recv(syn)
	s.want("the SYN is answered", seg{flags: "S.", ack: 1, sackOK: true})
	s.recv(ack)
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	return s
}

// none is a row's expectation that there is no SACK option.
var none = [][2]uint32{}

// wantSACK takes the next segment that has left, an acknowledgment alone with the blocks.
func (s *script) wantSACK(why string, ack uint32, blocks ...[2]uint32) {
	s.t.Helper()
	s.net.collect(s.since())
	require.NotEmpty(s.t, s.net.sent, "%s: nothing left", why)
	got, _ := s.decode(s.net.sent[0])
	s.net.sent = s.net.sent[1:]
	require.Equal(s.t, ack, got.ack, why)
	require.Equal(s.t, append(none, blocks...), append(none, got.sack...), why)
}

func TestSACKIsNegotiated(t *testing.T) {
	for _, row := range []struct {
		name        string
		peer, noOur bool
	}{{"both", true, false}, {"not the peer", false, false}, {"not we", true, true}} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			s.dial(&Options{NoSACK: row.noOur, DelayedACK: -1})
			s.want("our SYN", seg{flags: "S", sackOK: !row.noOur, noSACK: row.noOur})
			s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460, sackOK: row.peer})
			s.want("the handshake is complete", seg{flags: ".", seq: 1, ack: 1, noSACK: true})
			s.recv(seg{flags: ".", seq: 11, ack: 1, win: 65535, len: 10})
			if row.peer && !row.noOur {
				s.wantSACK("a block", 1, [2]uint32{11, 21})
			} else {
				s.wantSACK("no block", 1)
			}
		})
	}
}

// "The first SACK block [...] MUST specify the contiguous block of data containing the segment which triggered this ACK". "The SACK
// option SHOULD be filled out by repeating the most recently reported SACK blocks".
// https://www.rfc-editor.org/rfc/rfc2018.html#section-4
func TestSACKBlocksAreTheMostRecentFirst(t *testing.T) {
	for _, row := range []struct {
		name string
		ts   bool
		most int
	}{{"four", false, 4}, {"three beside timestamps", true, 3}} {
		t.Run(row.name, func(t *testing.T) {
			s := sacking(t, row.ts)
			recv := func(seq uint32) {
				in := seg{flags: ".", seq: seq, ack: 1, win: 65535, len: 10}
				if row.ts {
					in.tsval = 1000
				}
				s.recv(in)
			}
			a, b, c, d, e := [2]uint32{21, 31}, [2]uint32{81, 91}, [2]uint32{61, 71}, [2]uint32{101, 111}, [2]uint32{41, 51}
			newest := func(why string, ack uint32, blocks ...[2]uint32) {
				t.Helper()
				s.wantSACK(why, ack, blocks[:min(len(blocks), row.most)]...)
			}
			recv(21)
			newest("one hole", 1, a)
			recv(81)
			newest("two", 1, b, a)
			recv(61)
			newest("between them", 1, c, b, a)
			recv(101)
			newest("four", 1, d, c, b, a)
			recv(41)
			newest("the oldest of five is left out", 1, e, d, c, b)
			recv(71)
			newest("two become one, and what was added to comes first", 1, [2]uint32{61, 91}, e, d)
			recv(1)
			newest("a segment in order has no block: the others are repeated", 11, [2]uint32{61, 91}, e, d)
			recv(11)
			newest("a hole is filled, its block is gone", 31, [2]uint32{61, 91}, e, d)
			recv(31)
			newest("and another", 51, [2]uint32{61, 91}, d)
			recv(51)
			newest("and another", 91, d)
			recv(91)
			s.wantSACK("all is there", 111)
			require.Nil(t, s.conn.rcvOoo)
		})
	}
}

// Those with a number are RFC 2883's examples; the acknowledgments that are lost there are sent all the same.
// https://www.rfc-editor.org/rfc/rfc2883.html#section-4
func TestDuplicatesAreReported(t *testing.T) {
	type step struct {
		from, to uint32 // the octets of a segment, the last included
		ack      uint32
		blocks   [][2]uint32
	}
	for _, row := range []struct {
		name  string
		first uint32 // the peer's first octet
		steps []step
	}{
		{"4.1.1: a duplicate below the acknowledgment", 3000, []step{
			{3000, 3499, 3500, none},
			{3500, 3999, 4000, none},
			{3000, 3499, 4000, [][2]uint32{{3000, 3500}}},
			{4000, 4499, 4500, none}, // reported once
		}},
		{"4.1.2: below it, with data out of order", 3000, []step{
			{3000, 3499, 3500, none},
			{4000, 4499, 3500, [][2]uint32{{4000, 4500}}},
			{3000, 3499, 3500, [][2]uint32{{3000, 3500}, {4000, 4500}}},
		}},
		{"4.1.3: of what is out of order", 3500, []step{
			{3500, 3999, 4000, none},
			{4500, 4999, 4000, [][2]uint32{{4500, 5000}}},
			{5000, 5499, 4000, [][2]uint32{{4500, 5500}}},
			{5000, 5499, 4000, [][2]uint32{{5000, 5500}, {4500, 5500}}},
		}},
		{"a part below the acknowledgment", 500, []step{
			{500, 1499, 1500, none},
			{1000, 1999, 2000, [][2]uint32{{1000, 1500}}},
		}},
		{"4.2.2: two parts, that the acknowledgment covers: the first", 500, []step{
			{500, 999, 1000, none},
			{1000, 1499, 1500, none},
			{2000, 2499, 1500, [][2]uint32{{2000, 2500}}},
			{1000, 2499, 2500, [][2]uint32{{1000, 1500}}},
		}},
		{"4.2.3: two parts, that it does not cover: the first", 500, []step{
			{500, 999, 1000, none},
			{1500, 1999, 1000, [][2]uint32{{1500, 2000}}},
			{2500, 2999, 1000, [][2]uint32{{2500, 3000}, {1500, 2000}}},
			{1500, 2999, 1000, [][2]uint32{{1500, 2000}, {1500, 3000}}},
		}},
		{"a part at the end of a segment out of order", 500, []step{
			{1500, 1999, 500, [][2]uint32{{1500, 2000}}},
			{1000, 1749, 500, [][2]uint32{{1500, 1750}, {1000, 2000}}},
		}},
		{"a part in the middle of one in order", 500, []step{
			{1000, 1249, 500, [][2]uint32{{1000, 1250}}},
			{500, 1999, 2000, [][2]uint32{{1000, 1250}}},
		}},
		{"beside as many blocks as fit", 500, []step{
			{600, 609, 500, [][2]uint32{{600, 610}}},
			{700, 709, 500, [][2]uint32{{700, 710}, {600, 610}}},
			{800, 809, 500, [][2]uint32{{800, 810}, {700, 710}, {600, 610}}},
			{900, 909, 500, [][2]uint32{{900, 910}, {800, 810}, {700, 710}, {600, 610}}},
			{700, 704, 500, [][2]uint32{{700, 705}, {700, 710}, {900, 910}, {800, 810}}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := sacking(t, false)
			relative := func(n uint32) uint32 { return n - row.first + 1 }
			for _, step := range row.steps {
				s.recv(seg{flags: ".", seq: relative(step.from), ack: 1, win: 65535, len: int(step.to - step.from + 1)})
				var blocks [][2]uint32
				for _, b := range step.blocks {
					blocks = append(blocks, [2]uint32{relative(b[0]), relative(b[1])})
				}
				s.wantSACK(row.name, relative(step.ack), blocks...)
			}
			s.wantIdle("one acknowledgment for each segment")
		})
	}
}

// Blocks ride on data, whose segments become shorter by them: no packet is larger than the path lets through.
func TestSACKBlocksTakeRoomFromData(t *testing.T) {
	for _, row := range []struct {
		name    string
		ts      bool
		segment bool
		holes   uint32
		options int
	}{
		{"one block", false, false, 1, 12},
		{"four blocks", false, false, 4, 36},
		{"timestamps alone", true, false, 0, 12},
		{"timestamps and one block", true, false, 1, 24},
		{"timestamps and three blocks", true, false, 4, 40},
		{"a super-segment and three blocks", true, true, 4, 40},
		{"a super-segment and four blocks", false, true, 4, 36},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := sacking(t, row.ts)
			s.net.segment = row.segment
			for i := range row.holes {
				in := seg{flags: ".", seq: 101 + 100*i, ack: 1, win: 65535, len: 10}
				if row.ts {
					in.tsval = 1000
				}
				s.recv(in)
			}
			s.answers()
			s.write(strings.Repeat("x", 10*1460))
			total := 0
			for _, p := range s.net.sent {
				header := wire.TCPPacket(p.Header(wire.TCPHeaderLen)).HeaderLen()
				require.Equal(t, wire.TCPHeaderLen+row.options, header)
				payload := p.Len() - header
				total += payload
				size := payload
				if p.SegmentSize != 0 {
					size = int(p.SegmentSize)
				}
				require.LessOrEqual(t, 20+header+size, 1500)
				if total < 10*1460 {
					require.Equal(t, 1500, 20+header+size, "and none smaller than need be")
				}
			}
			require.Equal(t, row.segment, len(s.net.sent) == 1)
			s.answers()
		})
	}
}

// tenSACKed is a connection that selective acknowledgments are used on, and ten segments on their way.
func tenSACKed(t *testing.T) *script {
	s := sacking(t, false)
	s.write(strings.Repeat("x", 14600))
	s.answers()
	require.Equal(t, 14600, s.conn.Info().InFlight)
	return s
}

func TestBlocksThatCannotBeAreIgnored(t *testing.T) {
	const end = 14601
	for _, row := range []struct {
		name string
		ack  uint32
		sack [][2]uint32
		left int // octets in flight afterwards
	}{
		{"the last segment", 1, [][2]uint32{{13141, end}}, 13140},
		{"all but the first", 1, [][2]uint32{{1461, end}}, 1460},
		{"beyond SND.NXT", 1, [][2]uint32{{13141, end + 1}}, 14600},
		{"all of it beyond", 1, [][2]uint32{{end, end + 1460}}, 14600},
		{"far beyond", 1, [][2]uint32{{1 << 30, 1<<30 + 1460}}, 14600},
		{"before SND.UNA", 1, [][2]uint32{{0, 1461}}, 14600},
		{"old, as a duplicate that the acknowledgment covers", 2921, [][2]uint32{{1, 1461}}, 11680},
		{"reversed", 1, [][2]uint32{{end, 13141}}, 14600},
		{"empty", 1, [][2]uint32{{1461, 1461}}, 14600},
		{"half the sequence space", 1, [][2]uint32{{1461, 1461 + 1<<31}}, 14600},
		{"nearly all of it", 1, [][2]uint32{{1461, 1}}, 14600},
		{"a good one behind a bad one", 1, [][2]uint32{{end, end + 1}, {13141, end}}, 13140},
		{"the same twice", 1, [][2]uint32{{13141, end}, {13141, end}}, 13140},
		{"overlapping", 1, [][2]uint32{{11681, end}, {10221, 13141}}, 10220},
		{"single octets", 1, [][2]uint32{{1462, 1463}, {1464, 1465}, {1466, 1467}}, 14597},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := tenSACKed(t)
			s.recv(seg{flags: ".", seq: 1, ack: row.ack, win: 65535, sack: row.sack})
			f := s.conn.flight
			require.Equal(t, row.left, distance(s.conn.sndUna, s.conn.sndNxt)-f.sent.sacked)
			s.answers()
			s.wantConsistent()
			s.recv(seg{flags: ".", seq: 1, ack: s.conn.sndNxt - s.iss, win: 65535})
			require.Zero(t, s.conn.Info().InFlight, "it goes on")
		})
	}
}

func TestBlocksAreIgnoredWithoutAgreement(t *testing.T) {
	s := flightOfTen(t)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, sack: [][2]uint32{{1461, 14601}}})
	require.Zero(t, s.conn.flight.sent.sacked)
	s.answers()
}

// A peer may throw away what it has acknowledged selectively, and shows it by not moving on. After a timeout all is sent again.
func TestPeerThatReneges(t *testing.T) {
	s := tenSACKed(t)
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, sack: [][2]uint32{{1461, 14601}}})
	s.answers()
	s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535}) // the hole is filled, and yet no more is acknowledged
	for i := 0; s.conn.sndUna != s.conn.sndNxt; i++ {
		require.Less(t, i, 100, "all arrives in the end")
		s.after(time.Second)
		s.wantConsistent()
		una := s.conn.sndUna - s.iss
		s.answers()
		s.recv(seg{flags: ".", seq: 1, ack: min(una+1460, 14601), win: 65535})
	}
	require.NotZero(t, s.host.Counters().RetransTimeouts)
}
