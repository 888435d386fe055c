package lowpan

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// The capture of RIOT's nodes in package wire's testdata, and what tshark makes of it.
const testdata = "../wire/testdata/6lowpan/"

// foreign is the node in the capture that is none of RIOT's. It makes its first fragments shorter than they could be.
var foreign = wire.ExtendedAddr([8]byte{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01})

// captured is a fragment of the capture.
type captured struct {
	number int // of its frame, from 1, as tshark numbers them
	at     time.Duration
	link   wire.LowpanLink
	octets []byte // from the fragmentation header on
}

func capturedFragments(t *testing.T) (fragments []captured) {
	b, err := os.ReadFile(testdata + "riot.pcap")
	require.NoError(t, err)
	contexts := &wire.LowpanContexts{
		{Prefix: netip.MustParsePrefix("2001:db8::/64"), Compress: true},
		{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Compress: true},
	}
	b = b[24:]
	for number := 1; len(b) > 0; number++ {
		seconds, micros := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		n := 16 + int(binary.LittleEndian.Uint32(b[8:]))
		frame, err := wire.ParseIEEE802154(b[16 : n-2])
		require.NoError(t, err)
		b = b[n:]
		if frame.Type() != wire.IEEE802154Data {
			continue
		}
		switch wire.ParseLowpanDispatch(frame.Payload()) {
		case wire.LowpanFRAG1, wire.LowpanFRAGN:
			fragments = append(fragments, captured{
				number: number, at: time.Duration(seconds)*time.Second + time.Duration(micros)*time.Microsecond,
				link: wire.LowpanLink{Src: frame.Src(), Dst: frame.Dst(), Contexts: contexts}, octets: frame.Payload(),
			})
		}
	}
	return fragments
}

// reassembled is the datagrams that tshark has put together, by the frame that came last.
func reassembled(t *testing.T) map[int]string {
	b, err := os.ReadFile(testdata + "riot.expected.txt")
	require.NoError(t, err)
	datagrams := make(map[int]string)
	for lines := bufio.NewScanner(strings.NewReader(string(b))); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); fields[1] == "reassembled" {
			number, err := strconv.Atoi(fields[0])
			require.NoError(t, err)
			datagrams[number] = fields[2]
		}
	}
	return datagrams
}

// All datagrams of RIOT's nodes become whole, though many frames come five times. With the headers compressed as RIOT did, and
// cut again, they are RIOT's fragments.
func TestCapture(t *testing.T) {
	s := newScript(t)
	expected := reassembled(t)
	fragments := make(map[Key][]string) // without repetitions
	first := make(map[Key]compressed)
	duplicates := 0
	for _, c := range capturedFragments(t) {
		s.after(c.at - time.Duration(s.now))
		var header wire.LowpanFragment
		require.NoError(t, header.Parse(c.octets))
		key := Key{Src: c.link.Src, Dst: c.link.Dst, Size: uint16(header.DatagramSize), Tag: header.Tag}
		octets := c.octets[header.Len():]
		p := packet.New(wire.LowpanMaxDecompressedLen + len(octets))
		if header.First() {
			var headers [wire.LowpanMaxDecompressedLen]byte
			h, err := wire.DecompressIPv6(headers[:], octets, header.DatagramSize, c.link)
			require.NoError(t, err)
			copy(p.Append(h.Len), headers[:])
			first[key] = compressed{octets[:h.Consumed], h.Len}
			octets = octets[h.Consumed:]
		}
		copy(p.Append(len(octets)), octets)
		whole, cause := s.reassembly.Add(s.now, &Fragment{Key: key, Offset: header.Offset}, p)
		p.Release()
		if cause == Duplicate {
			duplicates++
			continue
		}
		require.Equal(t, None, cause, "frame %d: %v", c.number, cause)
		fragments[key] = append(fragments[key], hex.EncodeToString(c.octets))
		if whole == nil {
			continue
		}
		require.Equal(t, expected[c.number], hex.EncodeToString(whole.Head()), "frame %d", c.number)
		delete(expected, c.number)
		again := first[key].cut(t, whole, header.Tag)
		if c.link.Src != foreign {
			require.Equal(t, fragments[key], again, "frame %d", c.number)
		}
		delete(fragments, key)
	}
	require.Empty(t, expected, "datagrams that only tshark has put together")
	require.NotZero(t, duplicates)
}

// compressed is the headers of a packet, which have so many octets without compression.
type compressed struct {
	octets []byte
	len    int
}

// cut is the fragments of a packet with such headers, which it releases, in frames like RIOT's.
func (c compressed) cut(t *testing.T, p *packet.Packet, tag uint16) (fragments []string) {
	p.TrimFront(c.len)
	copy(p.Prepend(len(c.octets)), c.octets)
	cut, ok := NewCut(p, len(c.octets), c.len, tag)
	require.True(t, ok)
	for cut.More() {
		q := cut.Next(p, room)
		fragments = append(fragments, hex.EncodeToString(q.Head()))
		q.Release()
	}
	p.Release()
	return fragments
}
