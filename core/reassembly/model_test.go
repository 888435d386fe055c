package reassembly

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzReassembly gives a table whatever fragments, and holds each answer against a model that looks at single octets. The input
// is a sequence of steps of four octets: the first says which datagram the fragment is of, whether others follow it and which of
// two contents it has, the others where it begins, how long it is, and how much time passes before.
func FuzzReassembly(f *testing.F) {
	const more, otherContent = 4, 8
	f.Add([]byte{more, 0, 8, 0, 0, 1, 3, 0})                                                               // in order
	f.Add([]byte{0, 2, 3, 0, more, 1, 8, 0, more, 0, 8, 0})                                                // backwards
	f.Add([]byte{more, 0, 8, 0, more, 0, 8, 0, 0, 1, 3, 0, 0, 1, 3, 0})                                    // each twice
	f.Add([]byte{more, 0, 16, 0, more, 1, 8, 0, 0, 2, 3, 0})                                               // overlapping
	f.Add([]byte{more, 0, 8, 0, more | otherContent, 0, 8, 0, 0, 1, 3, 0})                                 // contradictory
	f.Add([]byte{0, 1, 3, 0, 0, 2, 3, 0, 1, 1, 3, 0, 1 + more, 2, 8, 0})                                   // several ends
	f.Add([]byte{more, 0, 8, 0, 0, 1, 3, 250, more, 0, 8, 200, 2 + more, 0, 8, 0, 3, 1, 3, 0, 2, 1, 3, 0}) // late
	f.Add([]byte{more, 0, 8, 0, more, 2, 8, 0, more, 4, 8, 0, more, 6, 8, 0, more, 8, 8, 0, 0, 1, 8, 0})   // many
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newModel(t)
		for ; len(b) >= 4; b = b[4:] {
			m.after(time.Duration(b[3]) * 100 * time.Millisecond)
			m.fragment(int(b[0]&3), int(b[1]%12)*8, int(b[2]%33), b[0]&more != 0, b[0]&otherContent>>3)
		}
		m.after(time.Minute)
		require.Zero(t, m.table.Len())
	})
}

// Whatever the cuts, the order and the duplicates, a datagram comes out once, when the last of it comes.
func TestAnyCutsAnyOrder(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		m := newModel(t)
		type cut struct{ from, to int }
		var cuts []cut
		length := 1 + random.IntN(200)
		for from := 0; from < length; {
			to := min(from+8*(1+random.IntN(8)), length)
			cuts = append(cuts, cut{from, to})
			from = to
		}
		random.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		last := cuts[len(cuts)-1]
		early := cuts[:len(cuts)-1]
		if len(early) > 0 {
			for range random.IntN(4) {
				early = slices.Insert(early, random.IntN(len(early)), early[random.IntN(len(early))])
			}
		}
		for _, c := range early {
			m.fragment(0, c.from, c.to-c.from, c.to < length, 0)
		}
		require.Zero(t, m.whole)
		m.fragment(0, last.from, last.to-last.from, last.to < length, 0)
		require.Equal(t, 1, m.whole)
	}
}

// model is a table, and what a plain reading of the rules makes of the same fragments.
type model struct {
	*script
	datagrams [4]*modelled
	whole     int // datagrams that have come out
}

type modelled struct {
	pieces   []modelledPiece
	gone     Cause
	deadline int64
}

type modelledPiece struct {
	from, to int
	more     bool
	content  byte
}

// maxModelled is how many fragments a datagram of the model's may come in.
const maxModelled = 5

func newModel(t *testing.T) *model {
	return &model{script: newScript(t, func(cfg *Config) {
		cfg.Timeout4, cfg.Timeout6, cfg.MaxFragments = 30*time.Second, 60*time.Second, maxModelled
		if t.Name() == "TestAnyCutsAnyOrder" {
			cfg.MaxFragments = 100
		}
	})}
}

// keys are two of each version.
func (m *model) key(which int) Key {
	key := key4
	if which >= 2 {
		key = key6
	}
	key.ID = uint32(which)
	return key
}

// after lets time pass on both sides.
func (m *model) after(d time.Duration) {
	m.script.after(d)
	m.events = nil
	for i, g := range m.datagrams {
		if g != nil && g.deadline <= m.now {
			m.datagrams[i] = nil
		}
	}
	m.check()
}

// fragment has a fragment come, on both sides.
func (m *model) fragment(which, from, length int, more bool, content byte) {
	octets := make([]byte, length)
	for i := range octets {
		octets[i] = byte(from+i)*7 + content
	}
	p := fragment(headers, string(octets))
	f := Fragment{Key: m.key(which), Offset: from, More: more, HeaderLen: len(headers)}
	whole, cause := m.table.Add(m.now, &f, p)
	if cause != None {
		p.Release()
	}
	m.events = nil

	complete, want := m.judge(which, modelledPiece{from, from + length, more, content}, m.table.cfg.MaxFragments)
	require.Equal(m.t, causeNames[want], causeNames[cause])
	require.Equal(m.t, complete != nil, whole != nil, "whether the datagram is whole")
	if whole != nil {
		require.Equal(m.t, headers+string(complete), string(whole.Head()))
		whole.Release()
		m.whole++
	}
	m.check()
}

// judge is what the rules say of a piece. It returns the datagram if that is then whole.
func (m *model) judge(which int, p modelledPiece, limit int) (complete []byte, cause Cause) {
	switch {
	case p.from == p.to:
		return nil, Empty
	case p.more && (p.to-p.from)%8 != 0:
		return nil, Unaligned
	}
	g := m.datagrams[which]
	if g == nil {
		timeout := 30 * time.Second
		if which >= 2 {
			timeout = 60 * time.Second
		}
		g = &modelled{deadline: m.now + int64(timeout)}
		m.datagrams[which] = g
	}
	if g.gone != None {
		return nil, g.gone
	}
	if slices.Contains(g.pieces, p) {
		return nil, Duplicate
	}
	covered := make(map[int]byte) // the content by its place
	ends := -1
	for _, other := range append(slices.Clone(g.pieces), p) {
		for i := other.from; i < other.to; i++ {
			if _, taken := covered[i]; taken {
				g.gone = Overlap
			}
			covered[i] = byte(i)*7 + other.content
		}
		if !other.more {
			if ends >= 0 {
				g.gone = Overlap
			}
			ends = other.to
		}
	}
	for i := range covered {
		if ends >= 0 && i >= ends {
			g.gone = Overlap
		}
	}
	if g.gone == None && len(g.pieces) == limit {
		g.gone = TooMany
	}
	if g.gone != None {
		g.pieces = nil
		return nil, g.gone
	}
	g.pieces = append(g.pieces, p)
	if ends < 0 || len(covered) < ends {
		return nil, None
	}
	m.datagrams[which] = nil
	for i := range ends {
		complete = append(complete, covered[i])
	}
	return complete, None
}

// check holds what the table says of itself against the model, and its lists against each other.
func (m *model) check() {
	count, fragments := 0, 0
	for _, g := range m.datagrams {
		if g != nil {
			count++
			fragments += len(g.pieces)
		}
	}
	require.Equal(m.t, count, m.table.Len())
	octets := 0
	var prev *datagram
	for d := m.table.oldest; d != nil; prev, d = d, d.next {
		require.Same(m.t, d, m.table.datagrams[d.key])
		require.Equal(m.t, prev, d.prev)
		require.True(m.t, d.timer.Armed())
		before := -1
		for p := d.first; p != nil; p = p.Next {
			require.Greater(m.t, int(p.Seq), before)
			before = int(p.Seq)
			octets += p.Cost()
			fragments--
		}
		count--
	}
	require.Equal(m.t, prev, m.table.newest)
	require.Zero(m.t, count)
	require.Zero(m.t, fragments, "no fragment is lost")
	require.Equal(m.t, octets, m.table.Octets())
}
