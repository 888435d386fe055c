package storage

import (
	"testing"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/stretchr/testify/require"
)

func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		var q Queue
		var want []*packet.Packet
		s := randomScript(seed, 1000)
		for !s.done() {
			switch s.next(6) {
			case 0, 1:
				p := payload(s.size(), stream{}.bytes(0, s.next(100)))
				q.Push(p)
				want = append(want, p)
			case 2:
				p := referenced(stream{}.bytes(0, s.next(100)))
				q.PushFront(p)
				want = append([]*packet.Packet{p}, want...)
			case 3, 4:
				p := q.Pop()
				if len(want) == 0 {
					require.Nil(t, p)
					break
				}
				require.Same(t, want[0], p)
				require.Nil(t, p.Next, "a packet changes hands without a link")
				p.Release()
				want = want[1:]
			case 5:
				if s.next(20) == 0 {
					q.Reset()
					want = nil
				}
			}
			octets, cost := 0, 0
			for _, p := range want {
				octets += p.Len()
				cost += p.Cost()
			}
			require.Equal(t, len(want), q.Len())
			require.Equal(t, octets, q.Octets())
			require.Equal(t, cost, q.Cost())
			if len(want) > 0 {
				require.Same(t, want[0], q.Peek())
			} else {
				require.Nil(t, q.Peek())
			}
		}
		q.Reset()
		require.Equal(t, Queue{}, q)
	}
}

func TestQueueReadsAcrossPackets(t *testing.T) {
	var q Queue
	q.Push(payload(100, []byte("one ")))
	q.Push(referenced([]byte("two ")))
	q.Push(payload(100, []byte("three")))
	b := make([]byte, 6)
	require.Equal(t, 6, q.Read(b))
	require.Equal(t, "one tw", string(b))
	require.Equal(t, 2, q.Len())
	require.Equal(t, 7, q.Octets(), "what was read of a packet is no longer counted")
	require.Zero(t, q.Read(nil))
	b = make([]byte, 10)
	require.Equal(t, 7, q.Read(b))
	require.Equal(t, "o three", string(b[:7]))
	require.Zero(t, q.Read(b))
	require.Equal(t, Queue{}, q, "an empty queue holds nothing and is charged for nothing")
}

func TestQueueDoesNotAllocate(t *testing.T) {
	skipCountingAllocations(t)
	var q Queue
	b := make([]byte, 700)
	require.Zero(t, testing.AllocsPerRun(200, func() {
		for range 10 {
			p := packet.New(1460)
			p.Append(1460)
			q.Push(p)
		}
		for q.Read(b) > 0 {
		}
	}))
}
