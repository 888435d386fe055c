package storage

import (
	"fmt"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/stretchr/testify/require"
)

func TestReceiveQueueAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		var q ReceiveQueue
		var read Queue
		received, detached, seen := 0, 0, 0
		s := randomScript(seed, 1000)
		for !s.done() {
			switch s.next(8) {
			case 0, 1:
				n := s.next(1461)
				q.Append(payload(2000, stream{}.bytes(received, n)))
				received += n
			case 2, 3:
				n := s.next(30)
				q.Append(payload(s.size(), stream{}.bytes(received, n)))
				received += n
			case 4:
				n := s.next(2000)
				q.Append(referenced(stream{}.bytes(received, n)))
				received += n
			case 5:
				n := s.size()
				got := q.Detach(n, &read)
				require.True(t, got >= n || q.Octets() == 0, "as much as asked for, or all there is")
				detached += got
			case 6, 7:
				b := make([]byte, s.size())
				n := read.Read(b)
				require.Equal(t, stream{}.bytes(seen, n), b[:n])
				seen += n
			}
			require.Equal(t, received-detached, q.Octets())
			require.Equal(t, detached-seen, read.Octets())
		}
		q.Reset()
		read.Reset()
		require.Equal(t, ReceiveQueue{}, q)
		require.Equal(t, Queue{}, read)
	}
}

func TestReceiveQueueTinySegmentsPinLittle(t *testing.T) {
	for _, test := range []struct {
		name    string
		segment func(i int) *packet.Packet
	}{
		{"in frames", func(i int) *packet.Packet { return payload(1500, stream{}.bytes(i, 1)) }},
		{"in the largest buffers", func(i int) *packet.Packet { return payload(65_000, stream{}.bytes(i, 1)) }},
		{"in buffers of all sizes", func(i int) *packet.Packet { return payload(i%8*8000, stream{}.bytes(i, 1)) }},
		{"in chunks of the sender's", func(i int) *packet.Packet { return referenced(stream{}.bytes(i, 1)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q ReceiveQueue
			for i := range 10_000 {
				q.Append(test.segment(i))
			}
			require.Equal(t, 10_000, q.Octets())
			require.Less(t, q.Cost(), 3*10_000)
			var read Queue
			require.Equal(t, 10_000, q.Detach(10_000, &read))
			b := make([]byte, 10_000)
			read.Read(b)
			require.Equal(t, stream{}.bytes(0, 10_000), b)
		})
	}
}

func TestReceiveQueueReleasesTheChunkOfATinyPiece(t *testing.T) {
	c := packet.NewChunk(64 << 10)
	p := packet.New(0)
	p.Reference(c, c.Data()[:1])
	var q ReceiveQueue
	q.Append(p)
	require.False(t, c.Shared(), "one unread octet does not pin the sender's 64 KiB")
	c.Release()
	q.Reset()
}

func TestReceiveQueueKeepsFullSegmentsWhereTheyAre(t *testing.T) {
	p, r := payload(1460, make([]byte, 1460)), referenced(make([]byte, 1460))
	var q ReceiveQueue
	q.Append(p)
	q.Append(r)
	require.Same(t, p, q.queue.head)
	require.Same(t, r, q.queue.tail)
	require.NotEmpty(t, r.Pieces()[1], "what is referenced is not copied")
	q.Reset()

	p, r = payload(2000, make([]byte, 100)), referenced(make([]byte, 1460))
	q.Append(p)
	q.Append(r)
	require.Same(t, r, p.Next, "even if there would be room for it")
	q.Reset()
}

func TestReceiveQueueDetachedPacketsAreLeftAlone(t *testing.T) {
	var q ReceiveQueue
	var read Queue
	q.Append(payload(1500, []byte("a")))
	require.Equal(t, 1, q.Detach(1, &read))
	q.Append(payload(1500, []byte("b"))) // the reader is copying meanwhile
	require.Equal(t, 1, read.Octets())
	require.Equal(t, 1, q.Octets())
	q.Append(payload(1500, nil))
	require.Equal(t, 1, q.queue.Len(), "a segment without payload is not kept")
	q.Reset()
	read.Reset()
}

func TestReceiveQueueDoesNotAllocate(t *testing.T) {
	skipCountingAllocations(t)
	var q ReceiveQueue
	var read Queue
	b := make([]byte, 64<<10)
	require.Zero(t, testing.AllocsPerRun(200, func() {
		for i := range 50 {
			p := packet.New(1500)
			p.Append(1 + i%2*1459)
			q.Append(p)
		}
		q.Detach(len(b), &read)
		read.Read(b)
	}))
}

func BenchmarkReceiveQueue(b *testing.B) {
	for _, n := range []int{1, 1460, 65_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var q ReceiveQueue
			var read Queue
			into := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				p := packet.New(n)
				p.Append(n)
				q.Append(p)
				q.Detach(n, &read)
				read.Read(into)
			}
		})
	}
}
