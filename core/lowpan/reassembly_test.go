package lowpan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

func TestFragmentsInAnyOrder(t *testing.T) {
	cuts := [][2]int{{0, 96}, {96, 104}, {104, 200}, {200, 203}}
	for _, order := range permutations(len(cuts)) {
		s := newScript(t)
		for i, n := range order {
			s.wantIdle("it is not whole before all are there")
			require.Equal(t, min(i, 1), s.reassembly.Len())
			s.recv(keyOf(203, 1), cuts[n][0], cuts[n][1])
		}
		s.want("whatever the order", "whole: tag 1, content 0")
		require.Zero(t, s.reassembly.Len())
		require.Zero(t, s.reassembly.Octets())
		s.after(time.Hour)
		s.wantIdle("no timer is left")
	}
}

// permutations are all orders of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			order := append([]int(nil), shorter[:at]...)
			all = append(all, append(append(order, n-1), shorter[at:]...))
		}
	}
	return all
}

func TestOneFragment(t *testing.T) {
	s := newScript(t)
	for i, size := range []int{40, 41, 96, 1280, longest} {
		s.recv(keyOf(size, 0), 0, size)
		s.want("all of it in the first", "whole: tag 0, content 0")
		require.Zero(t, s.reassembly.Len(), i)
	}
}

// Of payload in pieces, too.
func TestFragmentsInPieces(t *testing.T) {
	s := newScript(t)
	b := content(100, 0)
	chunk := packet.NewChunk(100)
	copy(chunk.Data(), b)
	p := packet.New(0)
	copy(p.Append(10), b)
	p.Reference(chunk, chunk.Data()[10:30])
	p.Reference(chunk, chunk.Data()[30:64])
	chunk.Release()
	for range 2 {
		whole, cause := s.reassembly.Add(0, &Fragment{Key: keyOf(100, 1)}, p)
		require.Nil(t, whole)
		s.events = append(s.events, cause.String())
	}
	p.Release()
	s.recv(keyOf(100, 1), 64, 100)
	s.want("the duplicate is recognized", "none", "duplicate", "whole: tag 1, content 0")
}

// RFC 6282 section 4.3.2: only the first fragment says so, and whoever fills the checksum in needs all of them.
func TestElidedChecksum(t *testing.T) {
	s := newScript(t)
	add := func(from, to int, elided bool) (whole, stillElided bool) {
		p := packet.New(to - from)
		p.Append(to - from)
		defer p.Release()
		f := Fragment{Key: keyOf(192, 1), Offset: from, ElidedChecksum: elided}
		q, cause := s.reassembly.Add(s.now, &f, p)
		require.Equal(t, None, cause)
		if q != nil {
			q.Release()
		}
		return q != nil, f.ElidedChecksum
	}
	for _, elided := range []bool{true, false} {
		for _, firstIsLast := range []bool{false, true} {
			order := [][2]int{{0, 96}, {96, 192}}
			if firstIsLast {
				order[0], order[1] = order[1], order[0]
			}
			whole, _ := add(order[0][0], order[0][1], elided && !firstIsLast)
			require.False(t, whole)
			whole, still := add(order[1][0], order[1][1], elided && firstIsLast)
			require.True(t, whole)
			require.Equal(t, elided, still)
			s.after(repeats)
		}
	}
}

// RFC 4944 section 5.3: source, destination, size and tag are what tells datagrams apart.
func TestDatagramsAreKeptApart(t *testing.T) {
	other := func(change func(*Key)) Key { k := keyOf(100, 1); change(&k); return k }
	keys := []Key{
		keyOf(100, 1), keyOf(100, 2), keyOf(101, 1),
		other(func(k *Key) { k.Src, k.Dst = k.Dst, k.Src }),
		other(func(k *Key) { k.Dst = wire.BroadcastShortAddr }),
		other(func(k *Key) { k.Src = them2 }),
	}
	s := newScript(t)
	for i, key := range keys {
		s.recvContent(key, 0, 64, byte(i%3))
	}
	require.Equal(t, len(keys), s.reassembly.Len())
	for i, key := range keys {
		s.recvContent(key, 64, int(key.Size), byte(i%3))
	}
	s.want("each has its own", "whole: tag 1, content 0", "whole: tag 2, content 1", "whole: tag 1, content 2",
		"whole: tag 1, content 0", "whole: tag 1, content 1", "whole: tag 1, content 2")
}

func TestWhatIsNoFragment(t *testing.T) {
	for _, tc := range []struct {
		name           string
		size, from, to int
		want           string
	}{
		{"of a datagram of no octets", 0, 0, 8, "0 too short"},
		{"of a datagram shorter than an IPv6 header", 39, 0, 39, "0 too short"},
		{"without octets", 100, 8, 8, "8 empty"},
		{"without octets at the end", 104, 104, 104, "104 empty"},
		{"not the last, and not of whole units", 100, 0, 99, "0 unaligned"},
		{"not at a unit", 100, 4, 100, "4 unaligned"},
		{"the last, but longer than the datagram", 100, 96, 101, "96 too long"},
		{"the only one, but longer than the datagram", 100, 0, 104, "0 too long"},
		{"behind the end", 100, 104, 112, "104 too long"},
		{"as far behind the end as can be", 40, 2040, 2048, "2040 too long"},
		{"of a datagram longer than there are", 2048, 0, 8, "0 too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			s.recv(keyOf(tc.size, 1), tc.from, tc.to)
			s.want("refused", tc.want)
			require.Zero(t, s.reassembly.Len(), "nothing is remembered of such")
			if tc.size != 100 {
				return
			}
			s.recv(keyOf(tc.size, 1), 0, 64)
			s.recv(keyOf(tc.size, 1), tc.from, tc.to)
			s.recv(keyOf(tc.size, 1), 64, 100)
			s.want("and the datagram suffers nothing from it", tc.want, "whole: tag 1, content 0")
		})
	}
}

func TestDuplicatesAreIgnored(t *testing.T) {
	s := newScript(t)
	key := keyOf(200, 1)
	for _, cut := range [][2]int{{96, 192}, {192, 200}} {
		s.recv(key, cut[0], cut[1])
		s.recv(key, cut[0], cut[1])
	}
	s.want("senders repeat what was not acknowledged", "96 duplicate", "192 duplicate")
	s.recv(key, 0, 96)
	s.want("and the datagram suffers nothing from it", "whole: tag 1, content 0")
}

// A duplicate of the last fragment must not begin a datagram that waits for the others in vain.
func TestDuplicatesOfWholeDatagrams(t *testing.T) {
	s := newScript(t)
	key := keyOf(200, 1)
	s.recv(key, 0, 96)
	s.recv(key, 96, 200)
	s.want("whole", "whole: tag 1, content 0")
	s.recv(key, 96, 200)
	s.after(repeats - 1)
	s.recv(key, 0, 96)
	s.want("come again", "96 duplicate", "0 duplicate")
	require.Zero(t, s.reassembly.Len())
	s.after(1)
	s.recvContent(key, 0, 96, 1)
	s.recvContent(key, 96, 200, 1)
	s.want("the tag is then free for another", "whole: tag 1, content 1")

	for tag := range 17 {
		s.recv(keyOf(80, 100+tag), 0, 80)
	}
	s.events = nil
	s.recv(keyOf(80, 101), 0, 64)
	s.want("of the last sixteen", "0 duplicate")
	s.recv(keyOf(80, 100), 0, 64)
	s.wantIdle("those before are forgotten")
	require.Equal(t, 1, s.reassembly.Len())
}

// RFC 4944 section 5.3: a fragment that overlaps another, and is not the same, ends the datagram and begins a fresh one.
func TestOverlaps(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to int
		content  byte
	}{
		{"begins inside another", 96, 160, 0},
		{"ends inside another", 0, 72, 0},
		{"lies in another", 72, 80, 0},
		{"covers another", 56, 200, 0},
		{"begins where another does, but is shorter", 64, 72, 0},
		{"begins where another does, but is longer", 64, 136, 0},
		{"ends where another does, but is shorter", 72, 128, 0},
		{"covers two exactly", 64, 144, 0},
		{"begins inside one, and ends where the next does", 72, 144, 0},
		{"is the same but for what it says", 64, 128, 1},
		{"is the same but for what it says, one of two that meet", 128, 144, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			key := keyOf(203, 1)
			s.recv(key, 64, 128)
			s.recv(key, 128, 144)
			s.recv(key, 64, 128)
			s.recv(key, 128, 144)
			s.want("the same", "64 duplicate", "128 duplicate")
			s.after(time.Second)
			s.recvContent(key, tc.from, tc.to, tc.content)
			s.want("what was there is gone", "overlap: tag 1")
			require.Equal(t, 1, s.reassembly.Len())

			s.after(DefaultTimeout - 1)
			s.wantIdle("the fresh one has all of its time")
			if tc.from > 0 {
				s.recvContent(key, 0, tc.from, tc.content)
			}
			s.recvContent(key, tc.to, 203, tc.content)
			s.want("and becomes whole without anything of the first", "whole: tag 1, content "+string(rune('0'+tc.content)))
		})
	}
}

// A sender that has been restarted begins with the same tags.
func TestRestartedSender(t *testing.T) {
	s := newScript(t)
	key := keyOf(200, 1)
	s.recvContent(key, 0, 96, 0)
	s.after(time.Second)
	s.recvContent(key, 0, 96, 1)
	s.recvContent(key, 96, 200, 1)
	s.want("nothing of the old gets into the new", "overlap: tag 1", "whole: tag 1, content 1")
}

func TestTimeouts(t *testing.T) {
	s := newScript(t)
	s.recv(keyOf(200, 1), 0, 64)
	s.after(9 * time.Second)
	s.recv(keyOf(200, 1), 128, 192)
	s.recv(keyOf(200, 2), 0, 64)
	s.wantIdle("the time begins with the first to arrive, and later ones do not put it off")
	s.after(time.Second)
	s.want("10 s", "timed out: tag 1")
	require.Equal(t, 1, s.reassembly.Len())
	s.recv(keyOf(200, 1), 64, 128)
	s.after(9 * time.Second)
	s.want("and the other", "timed out: tag 2")
	s.after(time.Second)
	s.want("a late one begins anew", "timed out: tag 1")
	require.Zero(t, s.reassembly.Octets())

	s = newScript(t, func(cfg *ReassemblyConfig) { cfg.Timeout = 3 * time.Second })
	s.recv(keyOf(200, 1), 0, 64)
	s.after(3 * time.Second)
	s.want("it can be chosen", "timed out: tag 1")
}

func TestClose(t *testing.T) {
	s := newScript(t)
	s.recv(keyOf(200, 1), 0, 64)
	s.recv(keyOf(200, 2), 0, 64)
	s.recv(keyOf(64, 3), 0, 64)
	s.events = nil
	s.reassembly.Close(s.now)
	s.want("all is given up", "closed: tag 1", "closed: tag 2")
	require.Equal(t, timer.Never, s.timers.Next())
}

func TestCauses(t *testing.T) {
	for cause := range Cause(Causes) {
		require.NotEmpty(t, cause.String())
	}
	require.Equal(t, "too long", TooLong.String())
	require.Equal(t, "Cause(200)", Cause(200).String())
}

func TestReassemblyConfig(t *testing.T) {
	var timers timer.Heap
	good := ReassemblyConfig{Timers: &timers, Owner: &script{}}
	for _, tc := range []struct {
		name   string
		change func(*ReassemblyConfig)
		want   string
	}{
		{"no timers", func(c *ReassemblyConfig) { c.Timers = nil }, "Timers and Owner are required"},
		{"no owner", func(c *ReassemblyConfig) { c.Owner = nil }, "Timers and Owner are required"},
		{"negative datagrams", func(c *ReassemblyConfig) { c.MaxDatagrams = -1 }, "MaxDatagrams -1 is negative"},
		{"negative per source", func(c *ReassemblyConfig) { c.MaxPerSource = -1 }, "MaxPerSource -1 is negative"},
		{"negative timeout", func(c *ReassemblyConfig) { c.Timeout = -1 }, "Timeout -1ns is not between 0 and 1m0s"},
		{"longer than RFC 4944 allows", func(c *ReassemblyConfig) { c.Timeout = time.Minute + 1 }, "Timeout 1m0.000000001s is not"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := good
			tc.change(&cfg)
			_, err := NewReassembly(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, tc.want)
		})
	}
	good.Timeout = time.Minute
	_, err := NewReassembly(good)
	require.NoError(t, err)
}
