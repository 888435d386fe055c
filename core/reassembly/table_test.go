package reassembly

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// Pieces of eight octets each, and a last one of three.
const (
	a, b, c = "aaaaaaaa", "bbbbbbbb", "cccccccc"
	z       = "zzz"
)

func TestFragmentsInAnyOrder(t *testing.T) {
	type piece struct {
		offset  int
		payload string
	}
	pieces := []piece{{0, a + "+"}, {8, b + c + "+"}, {24, c + "+"}, {32, z}}
	inBothVersions(t, func(t *testing.T, key Key) {
		s := newScript(t)
		for _, order := range permutations(len(pieces)) {
			for i, n := range order {
				s.wantIdle("it is not whole before all are there")
				require.Equal(t, min(i, 1), s.table.Len())
				s.recv(key, pieces[n].offset, pieces[n].payload)
			}
			s.want("whatever the order", a+b+c+c+z)
			require.Zero(t, s.table.Len())
			require.Zero(t, s.table.Octets())
		}
		s.after(time.Hour)
		s.wantIdle("no timer is left")
	})
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

func TestDatagramsAreKeptApart(t *testing.T) {
	other := func(change func(*Key)) Key { k := key4; change(&k); return k }
	keys := []Key{
		key4, key6,
		other(func(k *Key) { k.ID = 2 }),
		other(func(k *Key) { k.Src, k.Dst = k.Dst, k.Src }),
		other(func(k *Key) { k.Dst = them4 }),
		other(func(k *Key) { k.Protocol = 6 }),
		other(func(k *Key) { k.Link = 3 }),
	}
	s := newScript(t)
	for i, key := range keys {
		s.recv(key, 0, strings.Repeat(string(rune('A'+i)), 8)+"+")
	}
	require.Equal(t, len(keys), s.table.Len())
	for i, key := range keys {
		s.recv(key, 8, z)
		s.want("each has its own", strings.Repeat(string(rune('A'+i)), 8)+z)
	}
}

func TestWhatIsNoFragment(t *testing.T) {
	inBothVersions(t, func(t *testing.T, key Key) {
		s := newScript(t)
		s.recv(key, 0, "+")
		s.recv(key, 8, "")
		s.want("RFC 791: a fragment has a minimum of eight octets, or is the last", "0 empty", "8 empty")
		s.recv(key, 0, z+"+")
		s.want("all but the last are of whole units", "0 unaligned")
		require.Zero(t, s.table.Len(), "nothing is remembered of such")
		s.recv(key, 65528, a)
		s.want("it ends beyond the longest packet", "65528 too long")
		require.Zero(t, s.table.Len())
	})
}

// The longest packets that there are: an octet more, and they are none.
func TestLongest(t *testing.T) {
	inBothVersions(t, func(t *testing.T, key Key) {
		headers := strings.Repeat("h", 20)
		longest := 65535 - len(headers)
		if key == key6 {
			headers, longest = strings.Repeat("h", 48), 65535
		}
		for _, tc := range []struct {
			name   string
			octets int
			more   int // headers of the first fragment
			want   []string
		}{
			{"the longest", longest, 0, nil},
			{"too long", longest + 1, 0, []string{"65504 too long", "timed out: first 0 32752"}},
			{"too long by the headers of the first", longest, 1, []string{"too long: first 0 32752 65504"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				s := newScript(t)
				s.checksHeaders = false
				var whole *packet.Packet
				data := strings.Repeat("0123456789abcdef", 4096)
				for _, part := range []struct{ from, to, more int }{
					{0, 32752, tc.more}, {32752, 65504, 0}, {65504, tc.octets, 0},
				} {
					p := fragment(headers+strings.Repeat("h", part.more), data[part.from:part.to])
					f := Fragment{Key: key, Offset: part.from, More: part.to < 65505, HeaderLen: len(headers) + part.more}
					var cause Cause
					if whole, cause = s.table.Add(s.now, &f, p); cause != None {
						require.Equal(t, TooLong, cause)
						s.events = append(s.events, "65504 too long")
						p.Release()
					}
				}
				if tc.want == nil {
					require.Equal(t, headers+data[:tc.octets], string(whole.Head()))
					whole.Release()
					return
				}
				require.Nil(t, whole)
				s.after(time.Hour)
				s.want("no buffer could hold it", tc.want...)
			})
		}
	})
}

func TestDuplicatesAreIgnored(t *testing.T) {
	inBothVersions(t, func(t *testing.T, key Key) {
		s := newScript(t)
		for range 2 {
			s.recv(key, 8, b+"+")
		}
		s.want("the network may duplicate", "8 duplicate")
		s.recv(key, 16, z)
		s.recv(key, 16, z)
		s.want("the last one, too", "16 duplicate")
		s.recv(key, 0, a+"+")
		s.want("and the datagram suffers nothing from it", a+b+z)
	})
}

// RFC 8200 section 4.5: overlapping fragments end a datagram, without a word to anybody. Teardrop is one of them.
func TestOverlaps(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offset  int
		payload string
	}{
		{"begins inside another", 16, c + z},
		{"ends inside another", 0, a + b + "+"},
		{"lies in another", 16, c + "+"},
		{"covers another", 0, a + b + c + c + "+"},
		{"begins where another does, but is shorter", 8, b + "+"},
		{"begins where another does, but is longer", 8, b + c + c + "+"},
		{"says something else in the same place", 8, b + b + "+"},
		{"is the same but the last", 8, b + c},
		{"is the last before another", 0, z},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBothVersions(t, func(t *testing.T, key Key) {
				s := newScript(t)
				s.recv(key, 8, b+c+"+")
				s.after(time.Second)
				s.recv(key, tc.offset, tc.payload)
				at := strings.Fields("0 8 16")[tc.offset/8]
				s.want("the whole datagram is gone", "overlap: 8", at+" overlap")
				require.Zero(t, s.table.Octets())

				s.recv(key, 0, a+"+")
				s.recv(key, 8, b+c+"+")
				s.recv(key, 24, z)
				s.want("RFC 5722: and so is what comes later", "0 overlap", "8 overlap", "24 overlap")
				timeout := DefaultTimeout6
				if key == key4 {
					timeout = DefaultTimeout4
				}
				s.after(timeout - time.Second)
				s.wantIdle("it times out without a word")
				require.Zero(t, s.table.Len())
				s.recv(key, 0, a+"+")
				s.recv(key, 8, z)
				s.want("the identification is then free for another", a+z)
			})
		})
	}
}

func TestContradictoryEnds(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offset  int
		payload string
	}{
		{"a second end behind it", 32, z},
		{"a second end before it", 0, a},
		{"something behind it", 32, c + "+"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			s.recv(key6, 16, z)
			s.recv(key6, tc.offset, tc.payload)
			s.want("it ends at 19", "overlap: 16", map[int]string{0: "0 overlap", 32: "32 overlap"}[tc.offset])
		})
	}
}

func TestTimeouts(t *testing.T) {
	s := newScript(t)
	s.recv(key4, 0, a+"+")
	s.recv(key6, 8, b+"+")
	s.recv(key6, 24, b+"+")
	s.after(29 * time.Second)
	s.recv(key4, 16, c+"+")
	s.wantIdle("the time begins with the first to arrive, and later ones do not put it off")
	s.after(time.Second)
	s.want("IPv4: 30 s", "timed out: first 0 16")
	s.recv(key4, 8, b+"+")
	s.after(30 * time.Second)
	s.want("IPv6: 60 s; and the late one begins anew", "timed out: 8 24", "timed out: 8")

	s = newScript(t, func(cfg *Config) { cfg.Timeout4, cfg.Timeout6 = time.Second, 2*time.Second })
	s.recv(key4, 0, a+"+")
	s.recv(key6, 0, a+"+")
	s.after(time.Second)
	s.want("they can be chosen", "timed out: first 0")
	s.after(time.Second)
	s.want("each", "timed out: first 0")
}

func TestTooManyFragments(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxFragments = 3 })
	s.recv(key4, 0, a+"+")
	s.recv(key4, 8, b+"+")
	s.recv(key4, 8, b+"+")
	s.recv(key4, 24, z)
	s.want("a duplicate is not another", "8 duplicate")
	s.recv(key4, 16, c+"+")
	s.want("the fourth", "too many: first 0 8 24", "16 too many")
	s.recv(key4, 16, c+"+")
	s.want("and all that come", "16 too many")
}

// https://www.rfc-editor.org/rfc/rfc3168.html#section-5.3
func TestECN(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second uint8
		want          []string
	}{
		{"none", 0, 0, []string{a + z}},
		{"ECT(0)", ect0, ect0, []string{a + z + ", ECN 2"}},
		{"ECT(1)", ect1, ect1, []string{a + z + ", ECN 1"}},
		{"congestion all over", ce, ce, []string{a + z + ", ECN 3"}},
		{"congestion in the first", ce, ect0, []string{a + z + ", ECN 3"}},
		{"congestion in another", ect1, ce, []string{a + z + ", ECN 3"}},
		{"ECT(0) and ECT(1)", ect0, ect1, []string{a + z + ", ECN 2"}},
		{"congestion where there is no ECN", 0, ce, []string{"ECN: first 0 8"}},
		{"congestion first", ce, 0, []string{"ECN: first 0 8"}},
		{"ECT(0) in another", 0, ect0, []string{"ECN: first 0 8"}},
		{"ECT(1) in the first", ect1, 0, []string{"ECN: first 0 8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			s.recvMarked(key4, 8, z, tc.second)
			s.recvMarked(key4, 0, a+"+", tc.first)
			s.want("RFC 3168", tc.want...)
		})
	}
}

// Whether a datagram may be answered depends on all of its fragments.
func TestGroups(t *testing.T) {
	s := newScript(t)
	for _, group := range []bool{false, true} {
		p := fragment(headers, a)
		p.IP.Group, p.IP.Link = group, 7
		f := Fragment{Key: key4, HeaderLen: len(headers), More: true}
		_, cause := s.table.Add(s.now, &f, p)
		require.Equal(t, None, cause)
		p = fragment(headers, z)
		p.IP.Group, p.IP.Link, p.IP.Foreign = !group, 8, true
		f.Offset, f.More = 8, false
		whole, cause := s.table.Add(s.now, &f, p)
		require.Equal(t, None, cause)
		require.True(t, whole.IP.Group)
		require.EqualValues(t, 8, whole.IP.Link, "it came by where the last of it came by")
		require.True(t, whole.IP.Foreign)
		whole.Release()
	}
}

func TestOldestIsEvicted(t *testing.T) {
	id := func(n uint32) Key { k := key4; k.ID = n; return k }
	s := newScript(t, func(cfg *Config) { cfg.MaxDatagrams = 3 })
	for n := range uint32(3) {
		s.recv(id(n), 0, a+"+")
	}
	s.recv(id(0), 8, b+"+")
	s.recv(id(3), 0, a+"+")
	s.want("the first to have come", "evicted: first 0 8")
	s.recv(id(1), 0, b+"+")
	s.want("one that is only remembered", "overlap: first 0", "0 overlap")
	s.recv(id(4), 0, a+"+")
	s.wantIdle("goes without a word")
	require.Equal(t, 3, s.table.Len())

	p := fragment(headers, a)
	cost := p.Cost()
	p.Release()
	s = newScript(t, func(cfg *Config) { cfg.MaxOctets = 3*cost + 1 })
	s.recv(id(0), 0, a+"+")
	s.recv(id(1), 0, a+"+")
	s.recv(id(0), 8, a+"+")
	require.Equal(t, 3*cost, s.table.Octets())
	s.recv(id(1), 8, z)
	s.want("memory, not the number, is what is short", "evicted: first 0 8", a+z)
	for i := range 3 {
		s.recv(id(2), 8*i, a+"+")
	}
	s.recv(id(2), 32, a+"+")
	s.want("a datagram makes room for itself by going", "evicted: first 0 8 16", "32 evicted")
	require.Zero(t, s.table.Len())
	require.Zero(t, s.table.Octets())

	p = packet.New(60_000)
	p.Append(60_000)
	s.add(Fragment{Key: id(5), HeaderLen: 20, Offset: 8}, p)
	s.want("what is larger than the table", "8 evicted")
	require.Zero(t, s.table.Len())
}

// Few octets do not hold much memory.
func TestSmallFragmentsInLargeBuffers(t *testing.T) {
	s := newScript(t)
	p := packet.New(60_000)
	copy(p.Append(28), strings.Repeat("h", 20)+a)
	whole, cause := s.table.Add(0, &Fragment{Key: key4, HeaderLen: 20, More: true}, p)
	require.Equal(t, None, cause)
	require.Nil(t, whole)
	require.LessOrEqual(t, s.table.Octets(), 256)
	s.checksHeaders = false
}

func TestClose(t *testing.T) {
	s := newScript(t)
	s.recv(key4, 0, a+"+")
	s.recv(key6, 8, a+"+")
	s.recv(key6, 8, b+"+")
	s.events = nil
	s.table.Close(s.now)
	s.want("all is handed back", "closed: first 0")
	require.Equal(t, timer.Never, s.timers.Next())
}

func TestConfig(t *testing.T) {
	var timers timer.Heap
	good := Config{Timers: &timers, Owner: &script{}}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no timers", func(c *Config) { c.Timers = nil }, "Timers and Owner are required"},
		{"no owner", func(c *Config) { c.Owner = nil }, "Timers and Owner are required"},
		{"negative octets", func(c *Config) { c.MaxOctets = -1 }, "MaxOctets -1 is negative"},
		{"negative datagrams", func(c *Config) { c.MaxDatagrams = -1 }, "MaxDatagrams -1 is negative"},
		{"negative fragments", func(c *Config) { c.MaxFragments = -1 }, "MaxFragments -1 is negative"},
		{"negative timeout", func(c *Config) { c.Timeout4 = -1 }, "Timeout4 -1ns is not between"},
		{"endless timeout", func(c *Config) { c.Timeout6 = 1 << 62 }, "Timeout6 1281023h53m38.427387904s is not between"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := good
			tc.change(&cfg)
			_, err := New(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, err := New(good)
	require.NoError(t, err)
}
