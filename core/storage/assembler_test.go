package storage

import (
	"math/rand/v2"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/stretchr/testify/require"
)

// assemblerModel runs an Assembler beside a table of the octets that should be in it.
type assemblerModel struct {
	t         *testing.T
	assembler Assembler
	start     uint32       // sequence number of the stream's first octet
	held      map[int]byte // by offset in the stream
	version   byte         // makes one insertion's octets differ from another's
}

// insert offers n octets at offset as a packet made by form.
func (m *assemblerModel) insert(offset, n int, form func([]byte) *packet.Packet) {
	m.version++
	b := make([]byte, n)
	for i := range b {
		b[i] = m.version
	}
	p := form(b)
	p.Seq = m.start + uint32(offset)
	before := m.assembler.Octets()
	if err := m.assembler.Insert(p); err != nil {
		require.ErrorIs(m.t, err, ErrAssemblerFull)
		// What was kept is the front of the packet; the rest is the caller's.
		n = int(p.Seq - m.start - uint32(offset))
		require.Positive(m.t, p.Len())
		p.Release()
	}
	added := 0
	for i := range n {
		if _, ok := m.held[offset+i]; !ok {
			m.held[offset+i] = b[0]
			added++
		}
	}
	require.Equal(m.t, before+added, m.assembler.Octets())
}

func (m *assemblerModel) pop(next int) {
	p := m.assembler.Pop(m.start + uint32(next))
	for offset := range m.held {
		if offset < next {
			delete(m.held, offset)
		}
	}
	if _, ok := m.held[next]; !ok {
		require.Nil(m.t, p, "what is missing has not come")
		return
	}
	require.NotNil(m.t, p)
	require.Nil(m.t, p.Next)
	require.Equal(m.t, m.start+uint32(next), p.Seq)
	for i, b := range contents(p) {
		if m.held[next+i] != b {
			require.Fail(m.t, "what came first does not win", "at %d", next+i)
		}
		delete(m.held, next+i)
	}
	p.Release()
}

func (m *assemblerModel) check() {
	a := &m.assembler
	require.Equal(m.t, len(m.held), a.Octets())
	packets, octets, cost := 0, 0, 0
	for i, r := range a.ranges {
		require.True(m.t, before(r.left, r.right))
		if i > 0 {
			require.True(m.t, before(a.ranges[i-1].right, r.left), "ranges are in order, with gaps between them")
		}
		seq := r.left
		for p := r.first; p != nil; p = p.Next {
			require.Equal(m.t, seq, p.Seq, "packets are contiguous")
			for _, b := range contents(p) {
				if m.held[int(seq-m.start)] != b {
					require.Fail(m.t, "what is held is not what came first", "at %d", seq)
				}
				seq++
			}
			packets++
			octets += p.Len()
			cost += p.Cost()
			if p.Next == nil {
				require.Same(m.t, r.last, p)
			}
		}
		require.Equal(m.t, r.right, seq)
	}
	require.Equal(m.t, packets, a.Len())
	require.Equal(m.t, octets, a.Octets())
	require.Equal(m.t, cost, a.Cost())
	if a.MaxCost > 0 {
		require.LessOrEqual(m.t, cost, a.MaxCost)
	}
	if a.MaxPackets > 0 {
		require.LessOrEqual(m.t, packets, a.MaxPackets)
	}
}

func runAssembler(t *testing.T, s script) {
	m := &assemblerModel{t: t, held: make(map[int]byte)}
	m.start = -uint32(s.next(256)) // so that numbers wrap in most runs
	m.assembler.MaxCost = s.next(8) * 6000
	m.assembler.MaxPackets = s.next(6) * 4
	forms := []func([]byte) *packet.Packet{
		func(b []byte) *packet.Packet { return payload(1500, b) },
		func(b []byte) *packet.Packet { return payload(65_000, b) },
		func(b []byte) *packet.Packet { return payload(0, b) },
		referenced,
	}
	next := 0
	for !s.done() {
		switch s.next(8) {
		case 0, 1, 2:
			m.insert(next+s.next(256), s.next(64), forms[s.next(4)])
		case 3, 4:
			m.insert(next+s.next(256), 1, forms[s.next(4)])
		case 5:
			m.insert(next+s.next(64), s.next(256), forms[s.next(4)])
		case 6:
			m.pop(next)
		case 7:
			next += s.next(40)
		}
		m.check()
	}
	m.assembler.Reset()
	limits := Assembler{MaxCost: m.assembler.MaxCost, MaxPackets: m.assembler.MaxPackets}
	require.Equal(t, limits, m.assembler, "after a reset nothing is held")
}

func TestAssemblerAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		runAssembler(t, randomScript(seed, 600))
	}
}

func FuzzAssembler(f *testing.F) {
	for seed := range uint64(8) {
		f.Add([]byte(randomScript(seed, 100)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { runAssembler(t, script(b[:min(len(b), 1000)])) })
}

// FuzzAssemblerAnywhere inserts at any sequence number, as no sensible receiver would.
func FuzzAssemblerAnywhere(f *testing.F) {
	f.Add([]byte("aaaa\x01bbbb\x02cccc\x03dddd\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Assembler
		for ; len(b) >= 6; b = b[6:] {
			p := payload(0, make([]byte, b[4]))
			p.Seq = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			if b[5]%4 == 0 {
				if q := a.Pop(p.Seq); q != nil {
					q.Release()
				}
			}
			if a.Insert(p) != nil {
				p.Release()
			}
			octets := 0
			for left, right := range a.Ranges {
				require.True(t, before(left, right))
				octets += int(right - left)
			}
			require.Equal(t, octets, a.Octets())
		}
		a.Reset()
		require.Zero(t, a.Cost())
	})
}

// segment returns a segment in a frame's buffer.
func segment(seq uint32, s string) *packet.Packet {
	p := payload(1500, []byte(s))
	p.Seq = seq
	return p
}

func ranges(a *Assembler) [][2]uint32 {
	var all [][2]uint32
	for left, right := range a.Ranges {
		all = append(all, [2]uint32{left, right})
	}
	return all
}

func TestAssemblerStory(t *testing.T) {
	start := uint32(0xffff_fffa) // 6 octets before the wrap
	var a Assembler
	require.Nil(t, a.Pop(start))

	require.NoError(t, a.Insert(segment(start+4, "efgh")), "the second segment came first")
	require.NoError(t, a.Insert(segment(start+12, "mn")))
	require.Equal(t, [][2]uint32{{start + 4, 2}, {6, 8}}, ranges(&a))
	require.Nil(t, a.Pop(start), "the first is still missing")

	left, right, ok := a.Find(start + 7)
	require.True(t, ok)
	require.Equal(t, [2]uint32{start + 4, 2}, [2]uint32{left, right})
	_, _, ok = a.Find(start + 8)
	require.False(t, ok)
	left, right, ok = a.Next(start + 8)
	require.True(t, ok)
	require.Equal(t, [2]uint32{6, 8}, [2]uint32{left, right}, "the range behind the gap")
	_, _, ok = a.Next(8)
	require.False(t, ok, "nothing ends behind the last")

	require.NoError(t, a.Insert(segment(start+2, "CDEFGHIJKLMNO")), "a repetition reaches across both")
	require.Equal(t, [][2]uint32{{start + 2, 9}}, ranges(&a))
	l, r := a.Range(0)
	require.Equal(t, []uint32{start + 2, 9}, []uint32{l, r})

	// "ab" has been received by now, and "c" twice.
	var text []byte
	for next := start + 3; ; {
		p := a.Pop(next)
		if p == nil {
			break
		}
		require.Equal(t, next, p.Seq)
		text = append(text, contents(p)...)
		next += uint32(p.Len())
		p.Release()
	}
	require.Equal(t, "DefghIJKLmnO", string(text), "what was held is not overwritten")
	require.Zero(t, a.Len())
}

func TestAssemblerRefusesBeyondItsBounds(t *testing.T) {
	t.Run("packets", func(t *testing.T) {
		a := Assembler{MaxPackets: 2}
		require.NoError(t, a.Insert(segment(10, "a")))
		require.NoError(t, a.Insert(segment(20, "b")))
		p := segment(30, "c")
		require.ErrorIs(t, a.Insert(p), ErrAssemblerFull)
		require.Equal(t, "c", string(contents(p)), "the caller still owns it")
		p.Release()
		require.NoError(t, a.Insert(segment(11, "x")), "what can be merged needs no packet")
		require.NoError(t, a.Insert(segment(20, "b")), "nor does what is held already")
		require.Equal(t, [][2]uint32{{10, 12}, {20, 21}}, ranges(&a))
		a.Reset()
	})
	t.Run("cost", func(t *testing.T) {
		p := segment(10, "a")
		a := Assembler{MaxCost: 2*p.Cost() - 1}
		require.NoError(t, a.Insert(p))
		p = segment(20, "b")
		require.ErrorIs(t, a.Insert(p), ErrAssemblerFull)
		p.Release()
		a.Reset()
	})
	t.Run("span", func(t *testing.T) {
		var a Assembler
		require.NoError(t, a.Insert(segment(0, "a")))
		for _, seq := range []uint32{1 << 30, 1<<31 - 1, 1 << 31, 1<<31 + 1, 3 << 30} {
			p := segment(seq, "b")
			require.ErrorIs(t, a.Insert(p), ErrAssemblerFull, "%#x", seq)
			p.Release()
		}
		require.NoError(t, a.Insert(segment(1<<30-1, "b")))
		a.Reset()
	})
}

func TestAssemblerTinySegmentsPinLittle(t *testing.T) {
	const n = 5000
	orders := map[string]func(i int) int{
		"ascending":  func(i int) int { return i },
		"descending": func(i int) int { return n - 1 - i },
	}
	buffers := map[string]func([]byte) *packet.Packet{
		"in frames":                 func(b []byte) *packet.Packet { return payload(1500, b) },
		"in the largest buffers":    func(b []byte) *packet.Packet { return payload(65_000, b) },
		"in chunks of the sender's": referenced,
	}
	for order, index := range orders {
		for buffer, form := range buffers {
			t.Run(order+" "+buffer, func(t *testing.T) {
				var a Assembler
				for i := range n {
					p := form(stream{}.bytes(index(i), 1))
					p.Seq = 1000 + uint32(index(i))
					require.NoError(t, a.Insert(p))
				}
				require.Equal(t, 1, a.NumRanges())
				require.Less(t, a.Cost(), 6*n)
				a.Reset()
			})
		}
	}
	t.Run("with gaps, in the largest buffers", func(t *testing.T) {
		var a Assembler
		for i := range n {
			p := payload(65_000, []byte{1})
			p.Seq = uint32(2 * i)
			require.NoError(t, a.Insert(p))
		}
		require.Equal(t, n, a.NumRanges())
		require.Equal(t, 256*n, a.Cost(), "each costs the smallest buffer")
		a.Reset()
	})
}

func TestAssemblerReleasesAllReferences(t *testing.T) {
	c := packet.NewChunk(64 << 10)
	var a Assembler
	random := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		from := random.IntN(60_000)
		p := packet.New(0)
		p.Reference(c, c.Data()[from:from+1+random.IntN(4000)])
		p.Seq = uint32(from)
		require.NoError(t, a.Insert(p))
	}
	for next := uint32(0); next < 64<<10; next += 777 {
		if p := a.Pop(next); p != nil {
			p.Release()
		}
	}
	a.Reset()
	require.False(t, c.Shared())
	c.Release()
}

func TestAssemblerForgetsALargeTable(t *testing.T) {
	var a Assembler
	for i := range uint32(100) {
		require.NoError(t, a.Insert(segment(2*i, "x")))
	}
	require.Nil(t, a.Pop(1000), "all of it is old")
	require.Equal(t, Assembler{}, a)
}

func TestAssemblerDoesNotAllocate(t *testing.T) {
	skipCountingAllocations(t)
	var a Assembler
	require.Zero(t, testing.AllocsPerRun(200, func() {
		for i := range uint32(20) {
			p := packet.New(1460)
			p.Append(1460)
			p.Seq = i * 7 % 20 * 1460
			if a.Insert(p) != nil {
				panic("refused")
			}
		}
		for next := uint32(0); ; {
			p := a.Pop(next)
			if p == nil {
				break
			}
			next += uint32(p.Len())
			p.Release()
		}
	}))
}

func BenchmarkAssembler(b *testing.B) {
	const segments = 4096
	shuffled := rand.New(rand.NewPCG(7, 8)).Perm(segments)
	for _, bench := range []struct {
		name  string
		order func(i int) int
	}{
		{"behind one hole", func(i int) int { return i }},
		{"every other first", func(i int) int { return i*2%segments + i*2/segments }},
		{"descending", func(i int) int { return segments - 1 - i }},
		{"shuffled", func(i int) int { return shuffled[i] }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var a Assembler
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				i := n % segments
				p := packet.New(1460)
				p.Append(1460)
				p.Seq = uint32(bench.order(i)) * 1460
				if a.Insert(p) != nil {
					b.Fatal("refused")
				}
				if i != segments-1 {
					continue
				}
				for next := uint32(0); ; {
					p := a.Pop(next)
					if p == nil {
						break
					}
					next += uint32(p.Len())
					p.Release()
				}
			}
			a.Reset()
		})
	}
}
