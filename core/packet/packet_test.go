package packet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func contents(p *Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	return b
}

func fill(b []byte, random *rand.Rand) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}

// chunkOf returns a chunk that holds b, and the part of it that is b.
func chunkOf(b []byte) (*Chunk, []byte) {
	c := NewChunk(len(b) + 100)
	at := copy(c.Data()[50:], b)
	return c, c.Data()[50 : 50+at]
}

// TestPacketAgainstModel does at random what layers and devices do with packets, and holds each against plain octets.
func TestPacketAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		type modelled struct {
			p    *Packet
			want []byte
		}
		var all []modelled
		chunks := make(map[*Chunk][]byte)
		for range 400 {
			if len(all) == 0 || random.IntN(20) == 0 {
				all = append(all, modelled{p: New(random.IntN(3000))})
			}
			i := random.IntN(len(all))
			m := &all[i]
			switch random.IntN(12) {
			case 0:
				if n := random.IntN(40); n <= m.p.off {
					b := m.p.Prepend(n)
					fill(b, random)
					m.want = append(bytes.Clone(b), m.want...)
				}
			case 1, 2:
				n := random.IntN(800)
				fits := m.p.ext[0].chunk == nil && n <= m.p.Tailroom()
				b := m.p.Append(n)
				require.Equal(t, fits, b != nil)
				fill(b, random)
				m.want = append(m.want, b...)
			case 3, 4:
				b := make([]byte, 1+random.IntN(800))
				fill(b, random)
				c, data := chunkOf(b)
				chunks[c] = bytes.Clone(c.Data())
				if m.p.Reference(c, data) {
					m.want = append(m.want, b...)
				} else {
					require.NotEmpty(t, m.p.Pieces()[2])
				}
			case 5:
				n := random.IntN(len(m.want)/2 + 1)
				m.p.TrimFront(n)
				m.want = m.want[n:]
			case 6:
				n := random.IntN(len(m.want) + 10)
				m.p.Truncate(n)
				m.want = m.want[:min(n, len(m.want))]
			case 7:
				if len(m.want) < 4000 {
					all = append(all, modelled{m.p.Clone(), bytes.Clone(m.want)})
				}
			case 8:
				m.p.Own()
				require.Empty(t, m.p.Pieces()[1])
				require.True(t, bytes.Equal(m.want, m.p.Head()))
				fill(m.p.Head(), random) // must not show in any other packet
				m.want = bytes.Clone(m.p.Head())
			case 9:
				n := random.IntN(len(m.want) + 10)
				b := m.p.Header(n)
				if n > len(m.want) {
					require.Nil(t, b)
				} else {
					require.True(t, bytes.Equal(m.want[:n], b))
				}
			case 10:
				m.p.Compact()
			case 11:
				if len(m.want) > 4000 || random.IntN(4) == 0 {
					m.p.Release()
					all = append(all[:i], all[i+1:]...)
				}
			}
			for _, m := range all {
				require.Equal(t, len(m.want), m.p.Len())
				require.True(t, bytes.Equal(m.want, contents(m.p)))
			}
		}
		for c, before := range chunks {
			require.True(t, bytes.Equal(before, c.Data()), "what is referenced never changes")
		}
		for _, m := range all {
			m.p.Release()
		}
		for c := range chunks {
			require.False(t, c.Shared(), "every reference has been given back")
			c.Release()
		}
	}
}

func TestPacketFromThePoolIsClean(t *testing.T) {
	p := New(100)
	p.Append(10)
	p.TrimFront(3)
	p.Next = p
	p.IP = IPInfo{Src: netip.IPv6Loopback(), Link: 7, Group: true}
	p.SegmentSize = 1448
	p.SetPartialChecksum(0, 6)
	p.Release()
	for range 10 {
		p := New(100)
		require.Zero(t, p.Len())
		require.Nil(t, p.Next)
		require.Zero(t, p.IP)
		require.Zero(t, p.SegmentSize)
		require.Equal(t, ChecksumFull, p.Checksum)
		require.Len(t, p.Prepend(Headroom), Headroom)
		defer p.Release()
	}
}

func TestHeaderAcrossPieces(t *testing.T) {
	c, data := chunkOf([]byte("cdef"))
	defer c.Release()
	p := New(10)
	defer p.Release()
	copy(p.Append(2), "ab")
	p.Reference(c, data)
	require.Equal(t, "ab", string(p.Header(2)))
	require.True(t, c.Shared(), "what lies in the contained part is there already")
	require.Equal(t, "abcd", string(p.Header(4)))
	require.False(t, c.Shared(), "what straddles is copied together")
	require.Nil(t, p.Header(7))
	require.Equal(t, "abcdef", string(contents(p)))
}

func TestHeadersArePrependedToReferencedPayload(t *testing.T) {
	c, data := chunkOf([]byte("payload"))
	defer c.Release()
	p := New(0)
	defer p.Release()
	require.True(t, p.Reference(c, data))
	copy(p.Prepend(4), "tcp ")
	copy(p.Prepend(3), "ip ")
	require.Equal(t, "ip tcp payload", string(contents(p)))
	require.Equal(t, "ip tcp ", string(p.Head()))
	p.TrimFront(7)
	require.Empty(t, p.Head())
	p.TrimFront(3)
	require.Equal(t, "load", string(contents(p)))
	p.TrimFront(4)
	require.False(t, c.Shared(), "with its last octet a piece is let go")
	require.NotNil(t, p.Append(1), "and the contained part can grow again")
}

func TestTruncateLetsGoOfPieces(t *testing.T) {
	c, data := chunkOf([]byte("0123456789"))
	defer c.Release()
	for n := range 15 {
		p := New(4)
		copy(p.Append(2), "ab")
		p.Reference(c, data[:5])
		p.Reference(c, data[5:])
		require.False(t, p.Reference(c, data), "no more than two pieces")
		p.Truncate(n)
		require.Equal(t, "ab0123456789"[:min(n, 12)], string(contents(p)))
		if n <= 2 {
			require.False(t, c.Shared())
		}
		p.Release()
		require.False(t, c.Shared())
	}
}

func TestPartialChecksumStaysInPlace(t *testing.T) {
	c, data := chunkOf(make([]byte, 60_000))
	defer c.Release()
	for _, step := range []struct {
		name string
		do   func(p *Packet) *Packet
	}{
		{"nothing", func(p *Packet) *Packet { return p }},
		{"clone", func(p *Packet) *Packet { defer p.Release(); return p.Clone() }},
		{"own", func(p *Packet) *Packet { p.Own(); return p }},
		{"compact", func(p *Packet) *Packet { p.Truncate(20); p.Compact(); return p }},
		{"own in another place", func(p *Packet) *Packet {
			p.TrimFront(0)
			p.Reference(c, data)
			p.Own()
			return p
		}},
	} {
		for _, trimmed := range []int{0, 50, 10_000} {
			t.Run(fmt.Sprint(step.name, " after ", trimmed), func(t *testing.T) {
				p := New(20_000)
				p.Append(trimmed)
				p.TrimFront(trimmed)
				copy(p.Append(8), "udp head")
				p.SetPartialChecksum(0, 6)
				p = step.do(p)
				defer p.Release()
				copy(p.Prepend(20), "ip")
				offset, field := p.PartialChecksum()
				require.Equal(t, 20, offset)
				require.Equal(t, 6, field)
				require.Equal(t, ChecksumPartial, p.Checksum)
				require.Equal(t, "udp head", string(p.Header(28)[20:]))
			})
		}
	}
}

func TestCloneSharesOnlyWhatIsReferenced(t *testing.T) {
	c, data := chunkOf([]byte("shared"))
	defer c.Release()
	p := New(100)
	copy(p.Append(5), "mine ")
	p.Reference(c, data)
	p.IP = IPInfo{Dst: netip.IPv6Loopback(), HopLimit: 3}
	p.Seq, p.SegmentSize = 5, 6
	q := p.Clone()
	require.Equal(t, p.IP, q.IP)
	require.Equal(t, p.Seq, q.Seq)
	require.Equal(t, p.SegmentSize, q.SegmentSize)
	copy(p.Header(4), "MINE")
	require.Equal(t, "mine shared", string(contents(q)))
	require.Same(t, &p.Pieces()[1][0], &q.Pieces()[1][0])
	p.Release()
	require.Equal(t, "mine shared", string(contents(q)))
	q.Release()
	require.False(t, c.Shared())
}

func TestCompactMovesOnlyWhatWastesMuch(t *testing.T) {
	for _, test := range []struct {
		name         string
		size, octets int
		cost         int
	}{
		{"a frame of any length", 1500, 1, classes[1]},
		{"a frame in a jumbo buffer", 9000, 1500, classes[1]},
		{"half a jumbo buffer", 9000, 5000, classes[2]},
		{"an octet in the largest buffer", 65_000, 1, classes[0]},
		{"a frame in the largest buffer", 65_000, 1500, classes[1]},
		{"a quarter of the largest buffer", 65_000, 10_000, classes[3]},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := New(test.size)
			defer p.Release()
			fill(p.Append(test.octets), rand.New(rand.NewPCG(1, 1)))
			want := contents(p)
			p.Compact()
			require.Equal(t, want, contents(p))
			require.Equal(t, test.cost, p.Cost())
			require.Len(t, p.Prepend(Headroom), Headroom, "the room for headers is kept")
		})
	}
	t.Run("few octets of a chunk", func(t *testing.T) {
		c, data := chunkOf(make([]byte, 64))
		p := New(0)
		p.Reference(c, data)
		p.Compact()
		require.False(t, c.Shared())
		c.Release()
		p.Release()
	})
	t.Run("a segment of a chunk", func(t *testing.T) {
		c, data := chunkOf(make([]byte, 1448))
		p := New(0)
		p.Reference(c, data)
		p.Compact()
		require.True(t, c.Shared(), "is left where its neighbours are")
		require.Equal(t, classes[0]+1448, p.Cost())
		p.Release()
		c.Release()
	})
}

// The longest payload behind the longest contained part that was trimmed: what Own needs must not depend on how much
// is in front.
func TestOwnOfTheLargest(t *testing.T) {
	c := NewChunk(64 << 10)
	p := New(65_000)
	p.Append(65_000)
	p.TrimFront(65_000)
	p.Reference(c, c.Data()[:65_000])
	require.NotPanics(t, p.Own)
	require.Equal(t, 65_000, p.Len())
	require.False(t, c.Shared())
	p.Release()
	c.Release()
}

func TestMisuseOfPackets(t *testing.T) {
	p := New(10)
	p.Append(5)
	require.Panics(t, func() { p.Prepend(Headroom + 1) })
	require.Panics(t, func() { p.TrimFront(6) })
	require.Panics(t, func() { New(MaxSize) })
	p = New(10)
	require.Nil(t, p.Append(MaxSize))
	p.Release()
	c := NewChunk(1)
	c.Release()
	require.Panics(t, c.Release, "a chunk released twice")
}

func TestSizes(t *testing.T) {
	for _, size := range []int{0, 1, 128, 129, 1514, 9014, 65_507, 65_535, 65_549, MaxSize - Headroom} {
		p := New(size)
		require.GreaterOrEqual(t, p.Tailroom(), size)
		require.Equal(t, p.Tailroom()+Headroom, p.Cost())
		p.Release()
		c := NewChunk(size)
		require.GreaterOrEqual(t, len(c.Data()), size)
		c.Release()
	}
}

func TestPoolDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted under the race detector or in a debug build")
	}
	c := NewChunk(64 << 10)
	defer c.Release()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p := New(1500)
		p.Append(40)
		p.Reference(c, c.Data()[:1000])
		q := p.Clone()
		q.Own()
		p.Release()
		q.Release()
		NewChunk(2 << 10).Release()
	}))
}

func BenchmarkPacket(b *testing.B) {
	for _, size := range []int{0, 1500, 9000, 65_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(size).Release()
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				New(1500).Release()
			}
		})
	})
}

func BenchmarkReference(b *testing.B) {
	c := NewChunk(64 << 10)
	defer c.Release()
	for b.Loop() {
		p := New(0)
		p.Reference(c, c.Data()[:1448])
		p.Prepend(54)
		p.Release()
	}
}
