package storage

import (
	"math/rand/v2"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
)

// script hands out the decisions of a random run or of a fuzzer's input, one octet each, and zeros once it is used up.
type script []byte

func (s *script) done() bool { return len(*s) == 0 }

// next returns a decision below n.
func (s *script) next(n int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % n
}

// size returns a number of octets up to 65,280, small ones as often as large ones.
func (s *script) size() int {
	return s.next(256) << s.next(9) / (1 + s.next(3))
}

func randomScript(seed uint64, n int) script {
	s := make(script, n)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range s {
		s[i] = byte(random.Uint32())
	}
	return s
}

// stream is an endless stream of octets that tells where in it a piece of it is from.
type stream struct{}

func (stream) at(offset int) byte { return byte(offset*7 + offset>>8*31 + offset>>16*3) }

func (s stream) bytes(offset, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = s.at(offset + i)
	}
	return b
}

func contents(p *packet.Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	return b
}

// payload returns a packet with a buffer for size octets that contains b, as if headers had been trimmed off.
func payload(size int, b []byte) *packet.Packet {
	const headers = 54
	p := packet.New(headers + max(size, len(b)))
	p.Append(headers)
	copy(p.Append(len(b)), b)
	p.TrimFront(headers)
	return p
}

// referenced returns a packet that references b in a chunk of the largest size.
func referenced(b []byte) *packet.Packet {
	c := packet.NewChunk(64 << 10)
	copy(c.Data(), b)
	p := packet.New(0)
	p.Reference(c, c.Data()[:len(b)])
	c.Release()
	return p
}

func skipCountingAllocations(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted under the race detector or in a debug build")
	}
}
