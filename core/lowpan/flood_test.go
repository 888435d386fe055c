package lowpan

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// flood is somebody who sends fragments that nobody needs.
type flood struct {
	*script
	sent   int
	octets [longest + unit]byte
}

// madeUp is the n-th of as many addresses as one likes.
func madeUp(n int) wire.LinkAddr {
	var eui64 [8]byte
	binary.BigEndian.PutUint64(eui64[:], uint64(n)+1<<56)
	return wire.ExtendedAddr(eui64)
}

func (f *flood) send(src wire.LinkAddr, size, tag, from, to int) {
	p := packet.New(to - from)
	copy(p.Append(to-from), f.octets[from:])
	fragment := Fragment{Key: Key{Src: src, Dst: us, Size: uint16(size), Tag: uint16(tag)}, Offset: from}
	whole, _ := f.reassembly.Add(f.now, &fragment, p)
	p.Release()
	if whole != nil {
		whole.Release()
	}
	f.sent++
}

// Whatever comes between the fragments of two neighbours, memory is bounded and all of their datagrams become whole.
func TestFloods(t *testing.T) {
	for _, tc := range []struct {
		name    string
		known   bool // the neighbours are
		between int  // fragments of the flood between two of theirs
		send    func(f *flood, n int)
	}{
		{"one source begins datagrams", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, n, 0, 96)
		}},
		{"one source sends all but the last", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, n/20, n%20*96, n%20*96+96)
		}},
		{"one source sends the last", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, n, 2040, 2047)
		}},
		{"tiny fragments of one datagram", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, 0, n%128*16, n%128*16+8)
		}},
		{"overlaps", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, n%2, n%3*8, n%3*8+80)
		}},
		{"the same again", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), longest, n%4, 0, 96)
		}},
		{"whole datagrams, and again", false, 200, func(f *flood, n int) {
			f.send(madeUp(0), 80, n/2, 0, 80)
		}},
		{"what is no fragment", false, 200, func(f *flood, n int) {
			size := []int{0, 39, 40, 2047, 100, 100, 100}[n%7]
			from := []int{0, 0, 40, 2040, 104, 0, 4}[n%7]
			to := []int{8, 39, 40, 2048, 112, 4, 12}[n%7]
			f.send(madeUp(n), size, n, from, to)
		}},
		{"seven sources", false, 200, func(f *flood, n int) {
			f.send(madeUp(n%7), longest, n/7, 0, 96)
		}},
		{"made up sources, as fast as over a radio", false, 60, func(f *flood, n int) {
			f.send(madeUp(n), longest, n, 0, 8)
		}},
		{"made up sources, as fast as over a wire", true, 200, func(f *flood, n int) {
			f.send(madeUp(n), longest, n, 0, 8)
		}},
		{"made up sources that send more than one", true, 200, func(f *flood, n int) {
			f.send(madeUp(n/20%100), longest, n/2000, n%20*96, n%20*96+96)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			f := &flood{script: s}
			meanwhile := func() {
				for range tc.between {
					tc.send(f, f.sent)
					if r := s.reassembly; r.Octets() > DefaultMaxDatagrams*2304 || r.Len() > DefaultMaxDatagrams {
						t.Fatalf("%d octets of %d datagrams", r.Octets(), r.Len())
					}
				}
				s.after(5 * time.Millisecond)
			}
			for range 8 {
				meanwhile()
			}
			for tag := range 3 {
				for from := 0; from < 1280; from += 96 {
					for _, src := range []wire.LinkAddr{them, them2} {
						key := Key{Src: src, Dst: us, Size: 1280, Tag: uint16(tag)}
						s.events = nil
						s.add(Fragment{Key: key, Offset: from, Known: tc.known}, content(1280, 1)[from:min(from+96, 1280)])
						if from+96 >= 1280 {
							s.want("legitimate traffic gets through", fmt.Sprintf("whole: tag %d, content 1", tag))
						}
					}
					meanwhile()
				}
			}
			s.after(DefaultTimeout)
			require.Zero(t, s.reassembly.Len(), "and nothing of the flood remains")
			require.Zero(t, s.reassembly.Octets())
		})
	}
}

func TestOwnOldestIsEvicted(t *testing.T) {
	s := newScript(t, func(cfg *ReassemblyConfig) { cfg.MaxPerSource = 3 })
	other := keyOf(200, 9)
	other.Src = them2
	s.recv(other, 0, 96)
	for tag := range 3 {
		s.recv(keyOf(200, tag), 0, 64)
	}
	s.recv(keyOf(200, 0), 64, 128)
	s.recv(keyOf(200, 3), 0, 64)
	s.want("the one of its own that has waited longest", "evicted: tag 1")
	s.recv(keyOf(200, 0), 128, 200)
	s.recv(other, 96, 200)
	s.want("the others are there", "whole: tag 0, content 0", "whole: tag 9, content 0")
	s.recv(keyOf(200, 4), 0, 64)
	s.wantIdle("what is whole has made room")
}

func TestOldestIsEvicted(t *testing.T) {
	from := func(n, tag int) Key { k := keyOf(200, tag); k.Src = madeUp(n); return k }
	s := newScript(t, func(cfg *ReassemblyConfig) { cfg.MaxDatagrams = 3 })
	for n := range 3 {
		s.recv(from(n, n), 0, 64)
	}
	s.recv(from(0, 0), 64, 128)
	s.recv(from(3, 3), 0, 64)
	s.want("whosever it is", "evicted: tag 1")
	require.Equal(t, 3, s.reassembly.Len())
	s.recv(from(0, 0), 128, 200)
	s.want("those that go on are safe", "whole: tag 0, content 0")
}

func TestKnownSourcesAreSafeFromUnknown(t *testing.T) {
	s := newScript(t, func(cfg *ReassemblyConfig) { cfg.MaxDatagrams, cfg.MaxPerSource = 3, 2 })
	send := func(n, tag int, known bool) {
		key := keyOf(200, tag)
		key.Src = madeUp(n)
		s.add(Fragment{Key: key, Known: known}, content(200, 0)[:64])
	}
	send(0, 0, true)
	send(1, 1, true)
	send(2, 2, false)
	send(3, 3, false)
	s.want("an unknown one makes room", "evicted: tag 2")
	send(4, 4, true)
	s.want("for a known one, too", "evicted: tag 3")
	send(5, 5, false)
	s.want("if all are known an unknown one has no room", "0 full")
	send(5, 6, true)
	s.want("but another known one has", "evicted: tag 0")
	send(4, 7, true)
	s.want("and all are treated alike", "evicted: tag 1")
	send(4, 8, false)
	s.want("whoever says that he is one of them, but is not known to be, has none of its room either", "0 full")
}
