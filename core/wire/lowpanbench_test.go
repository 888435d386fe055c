package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lowpanBenchmarks are packets as they come by the thousand.
var lowpanBenchmarks = []struct {
	name, src, dst string
	r              IPv6Repr
	payload        string
	headers        int // octets they take, compressed
}{
	{"TCP", lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolTCP, HopLimit: 64}, strings.Repeat("00", 80), 3},
	{"TCP by context", "2001:db8::11:2233:4455:660a", "2001:db8::ff:fe00:beef", IPv6Repr{NextHeader: protocolTCP, HopLimit: 64},
		strings.Repeat("00", 80), 3},
	{"TCP in full", "2001:db9::1", "2001:db9::2", IPv6Repr{NextHeader: protocolTCP, HopLimit: 63, FlowLabel: 1}, strings.Repeat("00", 60), 39},
	{"UDP", lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: protocolUDP, HopLimit: 64}, "f0b1f0b20048abcd" + strings.Repeat("00", 64), 6},
	{"RPL and UDP", lowpanTestSrc, lowpanTestDst, IPv6Repr{NextHeader: IPv6HopByHop, HopLimit: 64},
		"110063041e0000f1 f0b1f0b20048abcd" + strings.Repeat("00", 64), 2 + 8 + 4},
}

func TestLowpanAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	link := lowpanTestLink()
	for _, test := range lowpanBenchmarks {
		packet := lowpanPacketOf(test.src, test.dst, test.r, test.payload)
		compressed := lowpanCompressed(packet, link)
		require.Equal(t, test.headers, len(compressed)-(len(packet)-IPv6HeaderLen-len(lowpanUpperHeaders(test.r, test.payload))), test.name)
		var headers [LowpanMaxDecompressedLen]byte
		require.Zero(t, testing.AllocsPerRun(100, func() {
			CompressIPv6(headers[:], packet, len(packet), link)
			if _, err := DecompressIPv6(headers[:], compressed, 0, link); err != nil {
				panic(err)
			}
		}), test.name)
	}
	elided := unhex("7e33 f7 12 616263")
	var headers [IPv6HeaderLen + UDPHeaderLen]byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h, err := DecompressIPv6(headers[:], elided, 0, link)
		if err != nil || FillLowpanChecksum(headers[:h.Len], elided[h.Consumed:]) != nil {
			panic("not decompressed")
		}
	}))
}

// lowpanUpperHeaders are those of payload's first octets that are compressed along with IPv6's header.
func lowpanUpperHeaders(r IPv6Repr, payload string) []byte {
	switch r.NextHeader {
	case protocolUDP:
		return unhex(payload)[:UDPHeaderLen]
	case IPv6HopByHop:
		return unhex(payload)[:UDPHeaderLen+8]
	}
	return nil
}

func BenchmarkCompressIPv6(b *testing.B) {
	for _, test := range lowpanBenchmarks {
		b.Run(test.name, func(b *testing.B) {
			packet, link := lowpanPacketOf(test.src, test.dst, test.r, test.payload), lowpanTestLink()
			var headers [LowpanMaxHeaderLen]byte
			b.ReportAllocs()
			for b.Loop() {
				CompressIPv6(headers[:], packet, len(packet), link)
			}
		})
	}
}

func BenchmarkDecompressIPv6(b *testing.B) {
	for _, test := range lowpanBenchmarks {
		b.Run(test.name, func(b *testing.B) {
			link := lowpanTestLink()
			compressed := lowpanCompressed(lowpanPacketOf(test.src, test.dst, test.r, test.payload), link)
			var headers [LowpanMaxDecompressedLen]byte
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecompressIPv6(headers[:], compressed, 0, link); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
