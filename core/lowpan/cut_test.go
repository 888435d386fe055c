package lowpan

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// headers is the length of a packet's headers, compressed and without compression.
type headers struct{ compressed, uncompressed int }

// The headers that there are.
var (
	iphc         = headers{3, 40}  // of a packet between link-local addresses, with the next header in it
	iphcLong     = headers{39, 40} // nothing could be left out
	iphcUDP      = headers{8, 48}
	uncompressed = headers{41, 40} // dispatch and header
	dispatch     = headers{1, 0}   // the same, with the header taken for payload
	odd          = headers{10, 43} // of what no IPv6 header has
)

// compress makes a packet of a datagram, with headers in place of its own that are all 0xcc.
func (h headers) compress(datagram []byte) *packet.Packet {
	length := h.compressed + len(datagram) - h.uncompressed
	p := packet.New(length)
	b := p.Append(length)
	for i := range h.compressed {
		b[i] = 0xcc
	}
	copy(b[h.compressed:], datagram[h.uncompressed:])
	return p
}

// parse reads a fragment as a receiver does, with the headers of the first decompressed.
func (h headers) parse(t testing.TB, fragment, datagram []byte) (f Fragment, payload []byte) {
	var header wire.LowpanFragment
	require.NoError(t, header.Parse(fragment))
	f.Key = Key{Src: them, Dst: us, Size: uint16(header.DatagramSize), Tag: header.Tag}
	f.Offset = header.Offset
	fragment = fragment[header.Len():]
	if !header.First() {
		return f, fragment
	}
	require.GreaterOrEqual(t, len(fragment), h.compressed, "RFC 6282: all compressed headers are in the first")
	for _, octet := range fragment[:h.compressed] {
		require.EqualValues(t, 0xcc, octet)
	}
	return f, append(datagram[:h.uncompressed:h.uncompressed], fragment[h.compressed:]...)
}

// Whatever the headers, the length and the room: what is cut becomes whole again, in as many frames as was said.
func TestWhatIsCutBecomesWhole(t *testing.T) {
	for _, h := range []headers{iphc, iphcLong, iphcUDP, uncompressed, dispatch, odd} {
		for _, room := range []int{12, 13, 21, 60, 81, 102, 103, 104, 116, 300} {
			t.Run(fmt.Sprintf("%d octets for %d, room %d", h.compressed, h.uncompressed, room), func(t *testing.T) {
				s := newScript(t, func(cfg *ReassemblyConfig) { cfg.MaxPerSource = 1 })
				most := longest - h.uncompressed
				for payload := max(0, wire.IPv6HeaderLen-h.uncompressed); payload <= most; payload++ {
					if payload < 210 || payload%97 == 0 || payload > most-8 {
						h.cutAndAssemble(s, payload, room)
					}
				}
			})
		}
	}
}

func (h headers) cutAndAssemble(s *script, payload, room int) {
	size := h.uncompressed + payload
	b := content(size, 0)
	p := h.compress(b)
	defer p.Release()
	frames := Frames(room, h.compressed, h.uncompressed, payload)
	if p.Len() <= room {
		require.Equal(s.t, 1, frames)
		return
	}
	cut, ok := NewCut(p, h.compressed, h.uncompressed, uint16(payload))
	require.True(s.t, ok)
	made := 0
	for cut.More() {
		s.wantIdle("not before the last")
		q := cut.Next(p, room)
		if q == nil {
			require.Zero(s.t, frames)
			require.True(s.t, made == 0 || room < wire.LowpanLaterFragmentLen+unit, "it is the headers that do not fit")
			s.reassembly.Close(s.now)
			s.events = nil
			return
		}
		made++
		require.LessOrEqual(s.t, q.Len(), room)
		f, octets := h.parse(s.t, q.Head(), b)
		s.add(f, octets)
		q.Release()
	}
	require.Equal(s.t, frames, made)
	s.want("the last makes it whole", fmt.Sprintf("whole: tag %d, content 0", payload))
	require.LessOrEqual(s.t, payload, Payload(room, h.compressed, h.uncompressed, made))
	require.Greater(s.t, payload, Payload(room, h.compressed, h.uncompressed, made-1))
}

// The octets of RFC 4944's figures 4 and 5.
func TestFragmentHeaders(t *testing.T) {
	p := iphc.compress(content(1280, 0))
	defer p.Release()
	cut, _ := NewCut(p, iphc.compressed, iphc.uncompressed, 0xbeef)
	for _, tc := range []struct {
		room   int
		header string
		length int
	}{
		{102, "c500beef", 4 + 3 + 88}, // 40 and 88 octets are 16 units
		{102, "e500beef10", 5 + 96},   // the 17th unit on
		{13, "e500beef1c", 5 + 8},     // room may change
		{12, "", 0},
		{5, "", 0},
		{0, "", 0},
		{2000, "e500beef1d", 5 + 1280 - 0x1d*8},
	} {
		q := cut.Next(p, tc.room)
		if tc.length == 0 {
			require.Nil(t, q)
			continue
		}
		require.Equal(t, tc.header, hex.EncodeToString(q.Head()[:len(tc.header)/2]))
		require.Equal(t, tc.length, q.Len())
		q.Release()
	}
	require.False(t, cut.More())
}

// What the capture of a RIOT node shows of a ping of 1200 octets: first fragments of 95 or 96 octets, and others of 101.
func TestFragmentsAsRIOTs(t *testing.T) {
	p := iphc.compress(content(1248, 0))
	defer p.Release()
	cut, _ := NewCut(p, iphc.compressed, iphc.uncompressed, 1)
	var lengths []int
	for cut.More() {
		q := cut.Next(p, 102)
		lengths = append(lengths, q.Len())
		q.Release()
	}
	require.Equal(t, []int{95, 101, 101, 101, 101, 101, 101, 101, 101, 101, 101, 101, 69}, lengths)
}

func TestTooLongToCut(t *testing.T) {
	for _, h := range []headers{iphc, uncompressed} {
		for size, want := range map[int]bool{longest: true, longest + 1: false} {
			p := h.compress(content(size, 0))
			_, ok := NewCut(p, h.compressed, h.uncompressed, 0)
			require.Equal(t, want, ok, size)
			p.Release()
		}
	}
	require.Zero(t, Frames(102, 3, 40, longest-39))
	require.Equal(t, 21, Frames(102, 3, 40, longest-40))
}

// RFC 6282 section 2: then fewer headers must be compressed.
func TestHeadersThatDoNotFit(t *testing.T) {
	long := headers{90, 160}
	p := long.compress(content(1000, 0))
	defer p.Release()
	for room, want := range map[int]int{93: 0, 94: 94, 101: 94, 102: 102} {
		cut, ok := NewCut(p, long.compressed, long.uncompressed, 0)
		require.True(t, ok)
		q := cut.Next(p, room)
		if want == 0 {
			require.Nil(t, q)
			require.True(t, cut.More())
			require.Zero(t, Frames(room, long.compressed, long.uncompressed, 840))
			require.Equal(t, 3, Payload(room, long.compressed, long.uncompressed, 10), "what fits behind them in one frame")
			continue
		}
		require.Equal(t, want, q.Len())
		q.Release()
	}
	require.Negative(t, Payload(80, 90, 160, 3))
}

func TestPacketsInPieces(t *testing.T) {
	s := newScript(t)
	b := content(400, 0)
	chunk := packet.NewChunk(400)
	copy(chunk.Data(), b)
	p := packet.New(iphcUDP.compressed)
	copy(p.Append(iphcUDP.compressed), "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc")
	p.Reference(chunk, chunk.Data()[48:100])
	p.Reference(chunk, chunk.Data()[100:400])
	chunk.Release()
	p.IP = packet.IPInfo{Dst: netip.MustParseAddr("fe80::1"), TrafficClass: 3, Link: 5}
	cut, ok := NewCut(p, iphcUDP.compressed, iphcUDP.uncompressed, 9)
	require.True(t, ok)
	for cut.More() {
		q := cut.Next(p, 102)
		require.Equal(t, p.IP, q.IP)
		require.Equal(t, [3][]byte{q.Head(), nil, nil}, q.Pieces())
		require.NotPanics(t, func() { q.Prepend(packet.Headroom) })
		q.TrimFront(packet.Headroom)
		f, octets := iphcUDP.parse(t, q.Head(), b)
		s.add(f, octets)
		q.Release()
	}
	s.want("whole", "whole: tag 9, content 0")
	p.Release()
}

// Segments of TCP with compressed addresses, and 20 octets of its own header, in frames of 102.
func TestPayloadOfFrames(t *testing.T) {
	for _, tc := range []struct {
		frames, want int
	}{
		{1, 99}, {2, 88 + 97}, {3, 88 + 96 + 97}, {13, 88 + 11*96 + 97}, {21, longest - 40}, {100, longest - 40},
	} {
		require.Equal(t, tc.want, Payload(102, 3, 40, tc.frames), tc.frames)
	}
}
