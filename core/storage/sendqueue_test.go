package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/stretchr/testify/require"
)

// sendQueueModel runs a SendQueue beside a plain slice of the octets that should be in it.
type sendQueueModel struct {
	t       *testing.T
	queue   SendQueue
	fill    Fill
	filling bool // between Reserve and Commit
	stale   bool // and the queue was reset meanwhile
	want    []byte
	written int // octets of the stream written since the beginning
	pending []byte

	sent    []*packet.Packet
	content [][]byte

	chunks map[*packet.Chunk]bool // every chunk that the queue ever held; the model has a reference to each
}

// hold takes a reference to c, to see later whether everybody else has let go of it.
func (m *sendQueueModel) hold(c *packet.Chunk) {
	if c != nil && !m.chunks[c] {
		c.Retain()
		m.chunks[c] = true
	}
}

func (m *sendQueueModel) watch() {
	for c := m.queue.head; c != nil; c = c.Next {
		m.hold(c)
		if c.Next == nil {
			require.Same(m.t, m.queue.tail, c)
		}
	}
	require.Equal(m.t, len(m.want), m.queue.Len())
	if len(m.want) == 0 && (!m.filling || m.stale) {
		require.Nil(m.t, m.queue.head, "an empty queue holds no chunk")
	}
}

func (m *sendQueueModel) reserve(n int) {
	if !m.filling {
		m.queue.Reserve(&m.fill, n)
		m.filling = true
		require.Equal(m.t, n, m.fill.Room())
	}
}

func (m *sendQueueModel) write(n int) {
	b := stream{}.bytes(m.written, n)
	n = m.fill.Write(b)
	require.LessOrEqual(m.t, n, len(b))
	m.pending = append(m.pending, b[:n]...)
	m.written += n
}

func (m *sendQueueModel) read(n int) {
	b := m.fill.Buffer()
	m.hold(m.fill.spare)
	require.LessOrEqual(m.t, len(b), m.fill.Room())
	require.Equal(m.t, m.fill.Room() == 0, len(b) == 0, "as long as there is room there is a buffer")
	n = copy(b, stream{}.bytes(m.written, min(n, len(b))))
	m.fill.Advance(n)
	m.pending = append(m.pending, b[:n]...)
	m.written += n
}

func (m *sendQueueModel) commit() {
	require.Equal(m.t, len(m.pending), m.fill.Len())
	n := m.queue.Commit(&m.fill)
	if !m.stale {
		require.Equal(m.t, len(m.pending), n)
		m.want = append(m.want, m.pending...)
	} else {
		require.Zero(m.t, n, "what was filled before the reset does not come after it")
	}
	require.Equal(m.t, Fill{}, m.fill)
	m.pending, m.filling, m.stale = nil, false, false
}

func (m *sendQueueModel) attach(offset, n int) {
	p := packet.New(40)
	offset %= len(m.want) + 1
	got := m.queue.Attach(p, offset, n)
	want := m.want[offset:][:min(n, len(m.want)-offset)]
	if got < len(want) {
		pieces := p.Pieces()
		require.NotEmpty(m.t, pieces[2], "less than asked for only where two pieces are not enough")
		require.Positive(m.t, got)
	}
	require.Equal(m.t, got, p.Len())
	require.True(m.t, bytes.Equal(want[:got], contents(p)))
	m.sent = append(m.sent, p)
	m.content = append(m.content, bytes.Clone(want[:got]))
}

// receive takes the i-th packet on its way and looks whether it has changed since.
func (m *sendQueueModel) receive(i int) {
	if len(m.sent) == 0 {
		return
	}
	i %= len(m.sent)
	require.True(m.t, bytes.Equal(m.content[i], contents(m.sent[i])), "octets once attached never change")
	m.sent[i].Release()
	last := len(m.sent) - 1
	m.sent[i], m.content[i] = m.sent[last], m.content[last]
	m.sent, m.content = m.sent[:last], m.content[:last]
}

func runSendQueue(t *testing.T, s script) {
	m := &sendQueueModel{t: t, chunks: make(map[*packet.Chunk]bool)}
	for !s.done() {
		switch s.next(10) {
		case 0, 1:
			m.reserve(s.size())
		case 2, 3:
			m.write(s.size())
		case 4:
			m.read(s.size())
		case 5:
			m.commit()
		case 6:
			m.attach(s.size(), s.size())
		case 7:
			m.receive(s.next(256))
		case 8:
			n := min(s.size(), len(m.want))
			m.queue.Discard(n)
			m.want = m.want[n:]
		case 9:
			if s.next(8) == 0 {
				m.queue.Reset()
				m.want, m.stale = nil, m.filling
			}
		}
		m.watch()
	}
	m.commit()
	m.queue.Discard(len(m.want))
	m.want = nil
	m.watch()
	for len(m.sent) > 0 {
		m.receive(0)
	}
	for c := range m.chunks {
		require.False(t, c.Shared(), "nobody but the model is left holding the chunk")
		c.Release()
	}
}

func TestSendQueueAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		runSendQueue(t, randomScript(seed, 2000))
	}
}

func FuzzSendQueue(f *testing.F) {
	f.Add([]byte("0\xff\x08\x002\xff\x08\x00566\xff\xff\xff8\xff\xff\x007"))
	for seed := range uint64(4) {
		f.Add([]byte(randomScript(seed, 100)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { runSendQueue(t, script(b[:min(len(b), 2000)])) })
}

// put writes n octets of the stream into q in one fill.
func put(t testing.TB, q *SendQueue, offset, n int) {
	var f Fill
	q.Reserve(&f, n)
	require.Equal(t, n, f.Write(stream{}.bytes(offset, n)))
	require.Equal(t, n, q.Commit(&f))
}

func TestSendQueueOneOctetWritesShareAChunk(t *testing.T) {
	var q SendQueue
	for i := range 1000 {
		put(t, &q, i, 1)
	}
	require.Equal(t, 1000, q.Len())
	require.Same(t, q.head, q.tail, "a thousand octets lie in one chunk")
	require.Less(t, len(q.head.Data()), 4096, "and in a small one")

	p := packet.New(0)
	require.Equal(t, 1000, q.Attach(p, 0, 5000), "one segment carries them all")
	require.Equal(t, stream{}.bytes(0, 1000), contents(p))
	require.Empty(t, p.Pieces()[2], "in one piece")
	p.Release()
	q.Discard(1000)
	require.Nil(t, q.head)
}

func TestSendQueueBulkLeavesInLargePieces(t *testing.T) {
	var q SendQueue
	put(t, &q, 0, 1<<20)
	for c := q.head; c != nil; c = c.Next {
		require.Len(t, c.Data(), 64<<10)
	}
	p := packet.New(0)
	require.Equal(t, 60_000, q.Attach(p, 33_333, 60_000), "a super-segment needs no more than two pieces")
	p.Release()
	q.Reset()
}

func TestSendQueueRepeatingTheFrontLeavesTheCursor(t *testing.T) {
	var q SendQueue
	put(t, &q, 0, 1<<20)
	for _, offset := range []int{900_000, 0, 1000} {
		p := packet.New(0)
		q.Attach(p, offset, 1000)
		require.Equal(t, stream{}.bytes(offset, 1000), contents(p))
		p.Release()
	}
	require.EqualValues(t, 900_000>>16<<16, q.cursorBase)
	q.Reset()
}

func TestSendQueueAcknowledgedWhileFilling(t *testing.T) {
	var q SendQueue
	put(t, &q, 0, 100)
	chunk := q.head
	var f Fill
	q.Reserve(&f, 100)
	require.Equal(t, 50, f.Write(stream{}.bytes(100, 50)))

	q.Discard(100)
	require.Zero(t, q.Len())
	require.Same(t, chunk, q.head, "the writer is still at it")
	require.Equal(t, 50, q.Commit(&f))
	p := packet.New(0)
	require.Equal(t, 50, q.Attach(p, 0, 100))
	require.Equal(t, stream{}.bytes(100, 50), contents(p))
	p.Release()

	q.Reserve(&f, 100)
	q.Discard(50)
	require.Zero(t, q.Commit(&f), "nothing was written after all")
	require.Nil(t, q.head, "and the chunk goes with the fill")
}

func TestSendQueueUnusedBufferIsGivenBack(t *testing.T) {
	var q SendQueue
	var f Fill
	q.Reserve(&f, 1000)
	require.Len(t, f.Buffer(), 1000)
	f.Advance(0)
	require.Zero(t, q.Commit(&f), "the source had nothing")
	require.Nil(t, q.head)
	require.Equal(t, Fill{}, f)
}

func TestFillAdvanceBeyondTheBufferIsTheCallersMistake(t *testing.T) {
	var q SendQueue
	var f Fill
	q.Reserve(&f, 10)
	require.Panics(t, func() { f.Advance(1) }, "no buffer was asked for")
	f.Buffer()
	require.Panics(t, func() { f.Advance(11) })
	f.Advance(10)
	require.Empty(t, f.Buffer())
	require.Panics(t, func() { f.Advance(1) })
	q.Commit(&f)
	q.Reset()
}

// A writer fills while the stack, which holds the mutex, sends and takes acknowledgments, and a receiver elsewhere
// reads and releases what was sent. The race detector looks on.
func TestSendQueueFilledWhileInUse(t *testing.T) {
	const total = 4 << 20
	var (
		mutex  sync.Mutex
		q      SendQueue
		done   sync.WaitGroup
		inward = make(chan *packet.Packet, 16)
		acks   = make(chan int, 16)
		room   = sync.NewCond(&mutex)
	)
	done.Go(func() { // the writer
		random := rand.New(rand.NewPCG(1, 2))
		var f Fill
		for written := 0; written < total; {
			mutex.Lock()
			for q.Len() > 256<<10 {
				room.Wait()
			}
			q.Reserve(&f, min(1+random.IntN(100_000), total-written))
			mutex.Unlock()
			written += f.Write(stream{}.bytes(written, f.Room()))
			mutex.Lock()
			q.Commit(&f)
			room.Broadcast()
			mutex.Unlock()
		}
	})
	done.Go(func() { // the receiver
		received := 0
		for p := range inward {
			b := contents(p)
			if !bytes.Equal(stream{}.bytes(received, len(b)), b) {
				t.Error("what arrived is not what was written")
			}
			received += len(b)
			p.Release()
			acks <- len(b)
		}
		close(acks)
	})
	acknowledged := 0
	done.Go(func() { // the stack, taking acknowledgments
		for n := range acks {
			mutex.Lock()
			q.Discard(n)
			acknowledged += n
			room.Broadcast()
			mutex.Unlock()
		}
	})
	done.Go(func() { // the stack, sending
		random := rand.New(rand.NewPCG(3, 4))
		for sent := 0; sent < total; {
			p := packet.New(0)
			mutex.Lock()
			for q.Len() == sent-acknowledged {
				room.Wait()
			}
			sent += q.Attach(p, sent-acknowledged, 1+random.IntN(65_000))
			mutex.Unlock()
			inward <- p
		}
		close(inward)
	})
	done.Wait()
	require.Zero(t, q.Len())
	require.Nil(t, q.head)
}

func TestSendQueueResetWhileFilling(t *testing.T) {
	var q SendQueue
	put(t, &q, 0, 10)
	var f Fill
	q.Reserve(&f, 100_000)
	var writer sync.WaitGroup
	writer.Go(func() { f.Write(make([]byte, 100_000)) })
	q.Reset() // the connection dies meanwhile
	writer.Wait()
	require.Zero(t, q.Commit(&f))
	require.Nil(t, q.head)
	put(t, &q, 0, 10)
	require.Equal(t, 10, q.Len())
	q.Reset()
}

func TestSendQueueDoesNotAllocate(t *testing.T) {
	skipCountingAllocations(t)
	var q SendQueue
	data := make([]byte, 100_000)
	require.Zero(t, testing.AllocsPerRun(200, func() {
		var f Fill
		q.Reserve(&f, len(data))
		f.Write(data)
		q.Commit(&f)
		for sent := 0; sent < q.Len(); {
			p := packet.New(60)
			sent += q.Attach(p, sent, 1448)
			p.Release()
		}
		q.Discard(len(data))
	}))
}

func BenchmarkSendQueue(b *testing.B) {
	for _, bench := range []struct{ write, segment int }{{1, 1}, {100, 1448}, {32 << 10, 1448}, {32 << 10, 65_000}, {1 << 20, 65_000}} {
		b.Run(fmt.Sprintf("write=%d/segment=%d", bench.write, bench.segment), func(b *testing.B) {
			var q SendQueue
			data := make([]byte, bench.write)
			b.SetBytes(int64(bench.write))
			b.ReportAllocs()
			for b.Loop() {
				var f Fill
				q.Reserve(&f, len(data))
				f.Write(data)
				q.Commit(&f)
				for q.Len() > 0 {
					p := packet.New(60)
					n := q.Attach(p, 0, bench.segment)
					p.Release()
					q.Discard(n)
				}
			}
		})
	}
}

// Sending a long queue without being acknowledged costs the same for each segment, however long the queue is.
func BenchmarkSendQueueLong(b *testing.B) {
	for _, size := range []int{1 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size>>20, "MiB"), func(b *testing.B) {
			var q SendQueue
			put(b, &q, 0, size)
			offset := 0
			for b.Loop() {
				p := packet.New(60)
				offset += q.Attach(p, offset, 1448)
				p.Release()
				if offset == size {
					offset = 0
				}
			}
			q.Reset()
		})
	}
}

func TestSendQueueFillIsDropped(t *testing.T) {
	var q SendQueue
	put(t, &q, 0, 100)
	for _, n := range []int{0, 50, 100_000} {
		var f Fill
		q.Reserve(&f, 200_000)
		f.Write(make([]byte, n))
		f.Buffer()
		q.Drop(&f)
		require.Equal(t, Fill{}, f)
		require.Equal(t, 100, q.Len())
		p := packet.New(0)
		require.Equal(t, 100, q.Attach(p, 0, 1000))
		require.Equal(t, stream{}.bytes(0, 100), contents(p), "what was there is as it was")
		p.Release()
	}
	var f Fill
	q.Reserve(&f, 10)
	q.Discard(100)
	require.NotNil(t, q.head, "a fill is under way")
	q.Drop(&f)
	require.Nil(t, q.head, "and the chunk goes with it")

	q.Reserve(&f, 10)
	f.Write(make([]byte, 10))
	q.Reset()
	put(t, &q, 0, 5)
	q.Drop(&f)
	require.Equal(t, 5, q.Len(), "one from before a reset does not touch what came after")
	q.Reset()
}
