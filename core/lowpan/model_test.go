package lowpan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
)

// FuzzReassembly gives a Reassembly whatever fragments of several sources, and holds each answer against a model that keeps
// single fragments and walks over all of them. The input is a sequence of steps of four octets: the first says which datagram the
// fragment is of, which of two contents it has, whether its source is known and whether it goes to the end, the others where it
// begins, how long it is, and how much time passes before.
func FuzzReassembly(f *testing.F) {
	const short, middle, long, tag2, other, content2, known, last = 1, 2, 3, 4, 8, 16, 32, 64
	f.Add([]byte{middle, 0, 96, 0, middle, 12, 96, 0, middle | last, 24, 0, 0})                           // in order
	f.Add([]byte{short | last, 4, 0, 0, short, 2, 16, 0, short, 0, 16, 0})                                // backwards
	f.Add([]byte{short, 0, 32, 0, short, 0, 32, 0, short | last, 4, 0, 0, short | last, 4, 0, 0})         // each twice
	f.Add([]byte{short, 0, 32, 0, short, 2, 16, 0, short, 0, 16, 0, short | last, 4, 0, 0})               // overlapping
	f.Add([]byte{short, 0, 32, 0, short | content2, 0, 32, 0, short | content2 | last, 4, 0, 0})          // restarted
	f.Add([]byte{short, 0, 32, 0, middle, 0, 32, 0, long, 0, 32, 0, short | tag2, 0, 32, 0})              // one source
	f.Add([]byte{short, 0, 32, 0, other | short, 0, 32, 0, other | long, 0, 32, 0, middle, 0, 96, 0})     // several
	f.Add([]byte{short | known, 0, 32, 0, middle | known, 0, 96, 0, long, 0, 32, 0, other, 0, 32, 0})     // known ones
	f.Add([]byte{short, 0, 32, 0, short | last, 4, 0, 99, short, 0, 32, 5, short, 0, 32, 11, 0, 0, 0, 0}) // late
	f.Add([]byte{0, 0, 39, 0, short, 0, 7, 0, short, 8, 8, 0, long, 0xff, 7, 0, long | last, 1, 0, 0})    // none
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newModel(t)
		for ; len(b) >= 4; b = b[4:] {
			m.step([4]byte(b))
		}
		m.after(time.Minute)
		require.Zero(t, m.reassembly.Len())
	})
}

// The same at random, so that every run of the tests has some of it.
func TestAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	whole := 0
	for range 200 {
		m := newModel(t)
		for range 60 {
			which := byte(random.IntN(128))
			size := modelledSizes[which&3]
			from := random.IntN(max(size/32, 1)) * 4 // of few fragments, so that many meet
			m.step([4]byte{which, byte(from), byte(32 * random.IntN(8)), byte(random.IntN(24) / 20 * random.IntN(100))})
		}
		whole += m.whole
	}
	require.Greater(t, whole, 200, "enough of them become whole")
}

var modelledSizes = [4]int{39, 64, 203, longest}

// model is a Reassembly, and what a plain reading of the rules makes of the same fragments.
type model struct {
	*script
	datagrams []*modelled // the one first that has waited longest
	completed []modelledCompleted
	expected  []string // what is given up
	whole     int      // datagrams that have come out
}

type modelled struct {
	key      Key
	known    bool
	pieces   []modelledPiece
	deadline int64
}

type modelledPiece struct {
	from, to int
	content  byte
}

type modelledCompleted struct {
	key   Key
	until int64
}

const maxModelled, maxModelledPerSource = 3, 2

func newModel(t *testing.T) *model {
	return &model{script: newScript(t, func(cfg *ReassemblyConfig) {
		cfg.MaxDatagrams, cfg.MaxPerSource = maxModelled, maxModelledPerSource
	})}
}

// step has time pass and a fragment come, on both sides.
func (m *model) step(b [4]byte) {
	m.after(time.Duration(b[3]) * 100 * time.Millisecond)
	key := keyOf(modelledSizes[b[0]&3], int(b[0]>>2&1))
	if b[0]>>3&1 != 0 {
		key.Src = them2
	}
	piece := modelledPiece{from: int(b[1]) * 8, to: int(b[1])*8 + int(b[2]), content: b[0] >> 4 & 1}
	known := b[0]>>5&1 != 0
	if b[0]>>6&1 != 0 {
		piece.to = max(int(key.Size), piece.from)
	}
	octets := content(4096, piece.content)[piece.from:piece.to]
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	whole, cause := m.reassembly.Add(m.now, &Fragment{Key: key, Offset: piece.from, Known: known}, p)
	p.Release()

	complete, want := m.judge(key, piece, known)
	require.Equal(m.t, want, cause, "%v", cause)
	require.Equal(m.t, complete != nil, whole != nil, "whether the datagram is whole")
	if whole != nil {
		require.Equal(m.t, complete, whole.Head())
		whole.Release()
		m.whole++
	}
	m.check()
}

// after lets time pass on both sides.
func (m *model) after(d time.Duration) {
	m.script.after(d)
	m.datagrams = slices.DeleteFunc(m.datagrams, func(g *modelled) bool {
		if g.deadline > m.now {
			return false
		}
		m.gone(TimedOut, g)
		return true
	})
	m.check()
}

func (m *model) gone(cause Cause, g *modelled) {
	m.expected = append(m.expected, fmt.Sprintf("%v: tag %d", cause, g.key.Tag))
}

func (m *model) remove(g *modelled) {
	m.datagrams = slices.DeleteFunc(m.datagrams, func(other *modelled) bool { return other == g })
}

// judge is what the rules say of a piece. It returns the datagram if that is then whole.
func (m *model) judge(key Key, p modelledPiece, known bool) (complete []byte, cause Cause) {
	size := int(key.Size)
	switch {
	case size < 40:
		return nil, TooShort
	case p.from == p.to:
		return nil, Empty
	case p.to > size:
		return nil, TooLong
	case p.to%8 != 0 && p.to != size:
		return nil, Unaligned
	}
	var g *modelled
	for _, other := range m.datagrams {
		if other.key == key {
			g = other
		}
	}
	if g != nil {
		if slices.Contains(g.pieces, p) {
			return nil, Duplicate
		}
		if slices.ContainsFunc(g.pieces, func(q modelledPiece) bool { return q.from < p.to && p.from < q.to }) {
			m.remove(g)
			m.gone(Overlap, g)
			g = nil
		}
	} else {
		for _, c := range m.completed[max(0, len(m.completed)-16):] {
			if c.key == key && m.now < c.until {
				return nil, Duplicate
			}
		}
		if !m.room(key, known) {
			return nil, Full
		}
	}
	if g == nil {
		g = &modelled{key: key, deadline: m.now + int64(DefaultTimeout)}
	}
	m.remove(g)
	m.datagrams = append(m.datagrams, g)
	g.pieces = append(g.pieces, p)
	g.known = g.known || known
	here := 0
	for _, piece := range g.pieces {
		here += piece.to - piece.from
	}
	if here < size {
		return nil, None
	}
	m.remove(g)
	m.completed = append(m.completed, modelledCompleted{key, m.now + int64(time.Second)})
	complete = make([]byte, size)
	for _, piece := range g.pieces {
		copy(complete[piece.from:], content(4096, piece.content)[piece.from:piece.to])
	}
	return complete, None
}

// room makes room for another datagram of a source.
func (m *model) room(key Key, known bool) bool {
	foreign := func(g *modelled) bool { return g.key.Src != key.Src }
	candidates := slices.DeleteFunc(slices.Clone(m.datagrams), foreign)
	if len(candidates) < maxModelledPerSource {
		candidates = m.datagrams
		if len(candidates) < maxModelled {
			return true
		}
	}
	at := slices.IndexFunc(candidates, func(g *modelled) bool { return !g.known })
	if at < 0 {
		if !known {
			return false
		}
		at = 0
	}
	victim := candidates[at]
	m.remove(victim)
	m.gone(Evicted, victim)
	return true
}

// check holds what the Reassembly says of itself against the model, and its parts against each other.
func (m *model) check() {
	slices.Sort(m.expected) // of those that time out together, any may be the first
	slices.Sort(m.events)
	require.Equal(m.t, m.expected, m.events)
	m.expected, m.events = nil, nil

	r := m.reassembly
	require.Equal(m.t, len(m.datagrams), r.Len())
	require.LessOrEqual(m.t, r.Len(), maxModelled)
	require.LessOrEqual(m.t, r.Octets(), maxModelled*2304)
	octets, i := 0, 0
	var prev *datagram
	for d := r.oldest; d != nil; prev, d, i = d, d.next, i+1 {
		require.Same(m.t, d, r.datagrams[d.key])
		require.Same(m.t, prev, d.prev)
		require.Equal(m.t, m.datagrams[i].key, d.key)
		require.Equal(m.t, m.datagrams[i].known, d.known)
		require.Equal(m.t, m.datagrams[i].deadline, d.timer.Deadline())
		octets += d.whole.Cost()
	}
	require.Same(m.t, prev, r.newest)
	require.Len(m.t, m.datagrams, i)
	require.Equal(m.t, octets, r.Octets())
}
