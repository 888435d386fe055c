package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveFold is RFC 1071's definition, word by word.
func naiveFold(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		sum += word
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func randomOctets(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func TestChecksum(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		fold uint16
	}{
		{"nothing", nil, 0},
		{"RFC 1071 section 3's example", unhex("0001 f203 f4f5 f6f7"), 0xddf2},
		{"an odd octet is a word's first", []byte{0x12}, 0x1200},
		{"zeros", make([]byte, 1500), 0},
		{"ones stay minus zero", bytes.Repeat([]byte{0xff}, 65535-1), 0xffff},
		{"carry out of the last word", unhex("ffffffffffffffff 0000000000000001"), 0x0001},
		{"carry out of the last carry", append(bytes.Repeat([]byte{0xff}, 64), 0, 1), 0x0001},
		{"an IPv4 header with its checksum", goldenEchoReply[14:34], 0xffff},
		{"an ICMP message with its checksum", goldenEchoReply[34:], 0xffff},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sum Sum
			sum.Add(tt.b)
			require.Equal(t, tt.fold, sum.Fold())
			require.Equal(t, ^tt.fold, sum.Checksum())
			require.Equal(t, ^tt.fold, Checksum(tt.b))
			require.Equal(t, tt.fold, naiveFold(tt.b), "the reference of the other tests")
		})
	}
}

func TestChecksumOfEveryLength(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	buf := randomOctets(random, 400)
	for i := range 100 {
		buf[i] = 0xff // many carries
	}
	for start := range 9 {
		for end := start; end <= len(buf); end++ {
			require.Equal(t, ^naiveFold(buf[start:end]), Checksum(buf[start:end]), "[%d:%d]", start, end)
		}
	}
	for range 20 {
		b := randomOctets(random, random.IntN(70000))
		require.Equal(t, ^naiveFold(b), Checksum(b), "%d octets", len(b))
	}
}

func TestSumOfPieces(t *testing.T) {
	buf := randomOctets(rand.New(rand.NewPCG(3, 4)), 150)
	want := naiveFold(buf)
	for i := range len(buf) + 1 {
		for j := i; j <= len(buf); j++ {
			var sum Sum
			sum.Add(buf[:i])
			sum.Add(buf[i:j])
			sum.Add(buf[j:])
			require.Equal(t, want, sum.Fold(), "cut at %d and %d", i, j)
		}
	}
	var sum Sum
	for i := range buf {
		sum.Add(buf[i : i+1])
	}
	require.Equal(t, want, sum.Fold(), "octet by octet")
}

func TestSumForks(t *testing.T) {
	var header Sum
	header.Add([]byte{1, 2, 3})
	first, second := header, header
	first.Add([]byte{4})
	second.Add([]byte{5, 6})
	require.Equal(t, naiveFold([]byte{1, 2, 3, 4}), first.Fold())
	require.Equal(t, naiveFold([]byte{1, 2, 3, 5, 6}), second.Fold())
}

func TestSumAddUint16(t *testing.T) {
	var sum Sum
	sum.AddUint16(0x1234)
	require.Equal(t, uint16(0x1234), sum.Fold())
	sum.Add([]byte{0x56})
	sum.AddUint16(0xf000) // a word of its own, although a piece has ended in the middle of one
	sum.Add([]byte{0x78})
	require.Equal(t, naiveFold(unhex("1234 5678 f000")), sum.Fold())

	// The sum of a part may be added to that of another.
	buf := randomOctets(rand.New(rand.NewPCG(5, 6)), 100)
	var part, whole Sum
	part.Add(buf[:60])
	whole.AddUint16(part.Fold())
	whole.Add(buf[60:])
	require.Equal(t, naiveFold(buf), whole.Fold())
}

func TestSumAddPseudoHeader(t *testing.T) {
	src4, dst4 := netip.MustParseAddr("192.168.69.1"), netip.MustParseAddr("192.168.69.100")
	src6, dst6 := netip.MustParseAddr("fe80::ff:fe00:1"), netip.MustParseAddr("ff02::2")

	t.Run("left to the device", func(t *testing.T) {
		var sum Sum
		sum.AddPseudoHeader(src4, dst4, protocolUDP, 13)
		require.Equal(t, binary.BigEndian.Uint16(goldenUDP[40:]), sum.Fold())
	})
	t.Run("IPv4", func(t *testing.T) {
		var sum Sum
		sum.AddPseudoHeader(dst4, src4, protocolTCP, 20)
		sum.Add(goldenTCPReset[34:])
		require.Zero(t, sum.Checksum())
	})
	t.Run("after the octets", func(t *testing.T) {
		segment := append(bytes.Clone(goldenTCPReset[34:]), 7) // the odd octet counts from the checksum
		binary.BigEndian.PutUint16(segment[16:], 0)
		var before, after Sum
		before.AddPseudoHeader(dst4, src4, protocolTCP, len(segment))
		before.Add(segment)
		after.Add(segment)
		after.AddPseudoHeader(dst4, src4, protocolTCP, len(segment))
		require.Equal(t, before.Fold(), after.Fold())
	})
	t.Run("IPv6", func(t *testing.T) {
		// RFC 8200, section 8.1: source, destination, 32 bits of length, three zero octets, next header.
		header := append(src6.AsSlice(), dst6.AsSlice()...)
		header = binary.BigEndian.AppendUint32(header, 0x0001_2345)
		header = append(header, 0, 0, 0, protocolICMPv6)
		var sum Sum
		sum.AddPseudoHeader(src6, dst6, protocolICMPv6, 0x0001_2345)
		require.Equal(t, naiveFold(header), sum.Fold())
	})
	t.Run("the zone does not count", func(t *testing.T) {
		var zoned, bare Sum
		zoned.AddPseudoHeader(src6.WithZone("eth0"), dst6, protocolICMPv6, 8)
		bare.AddPseudoHeader(src6, dst6, protocolICMPv6, 8)
		require.Equal(t, bare, zoned)
	})
}

func TestUpdateChecksum(t *testing.T) {
	// The example of RFC 1624, section 4, where the equation of RFC 1141 would have 0xffff.
	require.Equal(t, uint16(0x0000), UpdateChecksum(0xdd2f, 0x5555, 0x3285))

	header := bytes.Clone(goldenEchoRequest[14:34])
	for ttl := 64; ttl >= 0; ttl-- { // a router counting down
		old := binary.BigEndian.Uint16(header[8:])
		header[8] = byte(ttl)
		sum := UpdateChecksum(binary.BigEndian.Uint16(header[10:]), old, binary.BigEndian.Uint16(header[8:]))
		binary.BigEndian.PutUint16(header[10:], sum)
		require.Zero(t, Checksum(header), "TTL %d", ttl)
	}
}

func TestChecksumAllocs(t *testing.T) {
	src, dst := netip.MustParseAddr("fdaa::1"), netip.MustParseAddr("fdaa::100")
	b := make([]byte, 1460)
	requireNoAllocs(t, func() {
		var sum Sum
		sum.AddPseudoHeader(src, dst, protocolTCP, len(b))
		sum.Add(b)
		checksumSink = sum.Checksum()
	})
}

var checksumSink uint16

func FuzzChecksum(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint16(0))
	f.Add(unhex("0001 f203 f4f5 f6f7"), []byte{1, 1, 2}, uint16(0x3285))
	f.Add(bytes.Repeat([]byte{0xff}, 131), []byte{63, 0, 64}, uint16(0xffff))
	f.Add(make([]byte, 200), []byte{64, 65}, uint16(0))
	// b is cut into pieces of as many octets as cuts says, and its first word replaced by another.
	f.Fuzz(func(t *testing.T, b, cuts []byte, to uint16) {
		want := naiveFold(b)
		if got := ^Checksum(b); got != want {
			t.Fatalf("sum %04x, the reference has %04x", got, want)
		}
		var sum Sum
		rest := b
		for _, cut := range cuts {
			n := min(int(cut), len(rest))
			sum.Add(rest[:n])
			rest = rest[n:]
		}
		sum.Add(rest)
		if got := sum.Fold(); got != want {
			t.Fatalf("sum %04x in pieces %d, the reference has %04x", got, cuts, want)
		}
		if len(b) < 2 {
			return
		}
		changed := bytes.Clone(b)
		binary.BigEndian.PutUint16(changed, to)
		got, want := UpdateChecksum(^want, binary.BigEndian.Uint16(b), to), ^naiveFold(changed)
		// The two zeros of one's complement are equal. Which one it is cannot be told from a checksum alone if
		// there was nothing but zeros before or is now; no header is.
		if got != want && got^want != 0xffff {
			t.Fatalf("checksum %04x updated, %04x of the changed octets", got, want)
		}
	})
}

func BenchmarkChecksum(b *testing.B) {
	for _, n := range []int{20, 40, 576, 1460, 9000, 65535} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			buf := randomOctets(rand.New(rand.NewPCG(1, 2)), n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				checksumSink = Checksum(buf)
			}
		})
	}
}

func BenchmarkSumSegment(b *testing.B) {
	for _, family := range []struct{ name, src, dst string }{
		{"IPv4", "192.168.69.1", "192.168.69.100"},
		{"IPv6", "fdaa::1", "fdaa::100"},
	} {
		b.Run(family.name, func(b *testing.B) {
			src, dst := netip.MustParseAddr(family.src), netip.MustParseAddr(family.dst)
			header, first, second := make([]byte, 32), make([]byte, 701), make([]byte, 747)
			b.SetBytes(int64(len(header) + len(first) + len(second)))
			b.ReportAllocs()
			for b.Loop() {
				var sum Sum
				sum.AddPseudoHeader(src, dst, protocolTCP, 1480)
				sum.Add(header)
				sum.Add(first)
				sum.Add(second)
				checksumSink = sum.Checksum()
			}
		})
	}
}
