package wire

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// lowpanFuzzLink has one of the addresses there are at either end.
func lowpanFuzzLink(kind uint8) LowpanLink {
	link := lowpanTestLink()
	addrs := []LinkAddr{link.Src, link.Dst, {}, BroadcastShortAddr}
	link.Src, link.Dst = addrs[kind&3], addrs[kind>>2&3]
	if kind&0x10 != 0 {
		link.Contexts = nil
	}
	return link
}

// What can be decompressed can be compressed again, and is then the same.
func FuzzLowpanDecompress(f *testing.F) {
	for _, seed := range []string{
		"7a33 3a 0102", "7af3 60 3a 00", "6233 6e012345 3a", "7abc 01 3a 3500 00000077", "7e33 f3 12 abcd 61", "7e33 f7 12 61",
		"7e33 e1 06 63041e0000f1 e3 06 0300ff000000 e7 06 1e0401020304 e5 00 00010000002a e9 06 000000000000 f2 b15678 abcd",
		"7e33 e0 3b 04 05020000", "7e33 ee 7a77 3a 01", "41 60000000 0000 3b40 fe800000000000000000000000000001 fe800000000000000000000000000002",
	} {
		f.Add(unhex(seed), uint16(0), uint8(4))
	}
	f.Add(unhex("7e33 e7 00 f3 12 abcd 616161"), uint16(160), uint8(4))
	frames, _ := captureFrames(f)
	for _, frame := range frames[:40] {
		f.Add(frame.payload, uint16(0), uint8(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16, kind uint8) {
		link := lowpanFuzzLink(kind)
		_ = LowpanPacket(b).Format(link)
		var headers [LowpanMaxDecompressedLen]byte
		h, err := DecompressIPv6(headers[:], b, int(size), link)
		if err != nil {
			require.Zero(t, h)
			return
		}
		require.LessOrEqual(t, h.Consumed, len(b))
		packet := append(headers[:h.Len:h.Len], b[h.Consumed:]...)
		length := len(packet)
		if size != 0 {
			require.GreaterOrEqual(t, int(size), length)
			length = int(size)
		}
		if h.Len > 0 {
			require.Equal(t, length-IPv6HeaderLen, IPv6Packet(packet).PayloadLen())
			if h.ElidedChecksum && size == 0 {
				err := FillLowpanChecksum(packet)
				require.True(t, err == nil || err == ErrMalformed || err == ErrLength, "%v", err) // of fragments and routing headers
			}
		}

		var again [LowpanMaxDecompressedLen]byte
		n, consumed := CompressIPv6(again[:], packet, length, link)
		compressed := append(again[:n:n], packet[consumed:]...)
		var out [LowpanMaxDecompressedLen]byte
		h, err = DecompressIPv6(out[:], compressed, int(size), link)
		require.NoError(t, err)
		require.Equal(t, packet, append(out[:h.Len:h.Len], compressed[h.Consumed:]...))
	})
}

// Whatever is sent is received as it was.
func FuzzLowpanCompress(f *testing.F) {
	for _, seed := range []string{
		"60000000 0002 3a40 fe80000000000000 001122334455660a fe80000000000000 000000fffe00beef 0102",
		"6b912345 000b 11ff 20010db800000000 0000000000000001 ff02000000000000 0000000000000001 f0b1f0b2000babcd616263",
		"60000000 0018 0001 20010db800000000 0000000000000001 ff3e004020010db8 0000000012345678 3c000502000001002b00010400000000 2c000300ff000000",
		"60000000 0010 2c40 20010db800000000 0000000000000001 20010db800000000 0000000000000002 11000001 0000002a f0b1f0b20008abcd",
		"60000000 0028 2940 fe80000000000000 001122334455660a fe80000000000000 000000fffe00beef" +
			"60000000 0000 3b40 fe80000000000000 001122334455660a fe80000000000000 000000fffe00beef",
	} {
		f.Add(unhex(seed), uint8(LowpanMaxHeaderLen), uint16(0), uint8(4))
		f.Add(unhex(seed), uint8(60), uint16(7), uint8(4))
	}
	f.Fuzz(func(t *testing.T, packet []byte, room uint8, missing uint16, kind uint8) {
		if len(packet) < IPv6HeaderLen || len(packet) > IPv6HeaderLen+IPv6MaxPayloadLen {
			return
		}
		// Most octets are no packet: make them one of the length they have, and as much longer as is missing of it.
		packet = slices.Clone(packet)
		length := min(len(packet)+int(missing), IPv6HeaderLen+IPv6MaxPayloadLen)
		if kind&0x80 == 0 {
			packet[0] = 0x60 | packet[0]&0xf
			IPv6Packet(packet).SetPayloadLen(length - IPv6HeaderLen)
		}
		link := lowpanFuzzLink(kind)
		headers := make([]byte, max(int(room), IPv6HeaderLen))
		n, consumed := CompressIPv6(headers, packet, length, link)
		require.LessOrEqual(t, consumed, len(packet))
		if consumed == 0 {
			require.Equal(t, []byte{0x41}, headers[:n])
			return
		}
		require.LessOrEqual(t, n, consumed)
		compressed := append(headers[:n:n], packet[consumed:]...)
		var out [LowpanMaxDecompressedLen]byte
		size := length
		if missing == 0 {
			size = 0
		}
		h, err := DecompressIPv6(out[:], compressed, size, link)
		require.NoError(t, err)
		require.Equal(t, n, h.Consumed)
		require.Equal(t, packet, append(out[:h.Len:h.Len], compressed[n:]...))
	})
}

func FuzzLowpanHeaders(f *testing.F) {
	for _, seed := range []string{
		"c4e00003", "e4e000030c", "bf0f00010002 5007 7a33 3a", "85 0200000000000001 0200000000000002", "50", "b1 0001 ffff 5007 c064 0001 7a3b 3b",
	} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = LowpanPacket(b).String()
		var fragment LowpanFragment
		if fragment.Parse(b) == nil {
			emitted := make([]byte, fragment.Len())
			fragment.Emit(emitted)
			require.Equal(t, b[:len(emitted)], emitted)
			require.GreaterOrEqual(t, fragment.DatagramSize, IPv6HeaderLen)
			require.Less(t, fragment.Offset, fragment.DatagramSize)
		}
		var mesh LowpanMeshHeader
		if mesh.Parse(b) == nil {
			emitted := make([]byte, mesh.Len())
			mesh.Emit(emitted)
			var again LowpanMeshHeader
			require.NoError(t, again.Parse(emitted))
			require.Equal(t, mesh, again)
		}
		var link LowpanLink
		if n, err := SkipLowpanMesh(b, &link); err == nil {
			require.LessOrEqual(t, n, len(b))
		}
	})
}
