package wire

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// ieee802154Reprs are headers with the frames they are of. Where no source is named, the frame is put together from the fields
// of IEEE 802.15.4, section 7 (5.2 before 2015, 7.2 in 2003 and 2006).
var ieee802154Reprs = []struct {
	name    string
	frame   []byte // without frame check sequence
	repr    IEEE802154Repr
	payload string // hexadecimal, as mic
	mic     string
	want    string
}{
	{
		// A Zolertia RE-Mote's, in the tests of smoltcp (src/wire/ieee802154.rs, zolertia_remote).
		"2006, short destination, extended source", unhex("41d8 01 cdab ffff c7d9b514004b1200 2b000000"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 1, PANCompression: true, Seq: 1, DstPAN: 0xabcd, SrcPAN: 0xabcd,
			Dst: BroadcastShortAddr, Src: LinkAddrFrom(unhex("00124b0014b5d9c7")),
		}, "2b000000", "",
		"IEEE 802.15.4 Data, seq 1, pan 0xabcd, 00:12:4b:00:14:b5:d9:c7 > 0xffff, 6LoWPAN NALP 0x2b, length 4",
	},
	{
		// There too (security).
		"2006, secured, implicit key",
		unhex("69dc 32 cdab bf9b1506004b1200 c7d9b514004b1200 05 31010000 3ee8fb85e4ccf44890fe5666f71c659ef9 93c8342e"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 1, AckRequest: true, PANCompression: true, Seq: 0x32, DstPAN: 0xabcd, SrcPAN: 0xabcd,
			Dst: LinkAddrFrom(unhex("00124b0006159bbf")), Src: LinkAddrFrom(unhex("00124b0014b5d9c7")),
			Secured: true, Security: IEEE802154Security{Level: IEEE802154EncryptMIC32, FrameCounter: 305},
		}, "3ee8fb85e4ccf44890fe5666f71c659ef9", "93c8342e",
		"IEEE 802.15.4 Data, seq 50, pan 0xabcd, 00:12:4b:00:14:b5:d9:c7 > 00:12:4b:00:06:15:9b:bf, ack requested, " +
			"security level 5, counter 305, encrypted, length 17",
	},
	{
		"2003, two PANs", unhex("3188 4d 2300 0200 2400 0100 aabb"),
		IEEE802154Repr{
			Type: IEEE802154Data, FramePending: true, AckRequest: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x24,
			Dst: ShortAddr(2), Src: ShortAddr(1),
		}, "aabb", "",
		"IEEE 802.15.4 Data, seq 77, pan 0x0024 > 0x0023, 0x0001 > 0x0002, ack requested, frame pending, 6LoWPAN [|6lowpan]",
	},
	{
		"2003, to the coordinator", unhex("0180 4d 2400 0100"),
		IEEE802154Repr{Type: IEEE802154Data, Seq: 77, SrcPAN: 0x24, Src: ShortAddr(1)}, "", "",
		"IEEE 802.15.4 Data, seq 77, pan 0x0024, 0x0001 > none, length 0",
	},
	{
		"2003, from the coordinator", unhex("010c 4d 2400 0807060504030201"),
		IEEE802154Repr{
			Type: IEEE802154Data, Seq: 77, DstPAN: 0x24, Dst: ExtendedAddr([8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
		}, "", "",
		"IEEE 802.15.4 Data, seq 77, pan 0x0024, none > 01:02:03:04:05:06:07:08, length 0",
	},
	{
		// RIOT's, as in riot.pcap.
		"acknowledgment", unhex("0200 4d"), IEEE802154Repr{Type: IEEE802154Ack, Seq: 77}, "", "", "IEEE 802.15.4 Ack, seq 77",
	},
	{
		"2015, acknowledgment with an address and an element", unhex("022e 4d 2300 0807060504030201 020f 1027"),
		IEEE802154Repr{
			Type: IEEE802154Ack, Version: 2, Seq: 77, DstPAN: 0x23, Dst: ExtendedAddr([8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
			HeaderIEs: unhex("020f 1027"),
		}, "", "",
		"IEEE 802.15.4 Ack, seq 77, pan 0x0023, none > 01:02:03:04:05:06:07:08, header IEs 0x1e (2)",
	},
	{
		"2015, no sequence number, no PAN", unhex("41ed 0807060504030201 1817161514131211 aa"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 2, PANCompression: true, SeqSuppressed: true,
			Dst: ExtendedAddr([8]byte{1, 2, 3, 4, 5, 6, 7, 8}), Src: ExtendedAddr([8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}),
		}, "aa", "",
		"IEEE 802.15.4 Data, 11:12:13:14:15:16:17:18 > 01:02:03:04:05:06:07:08, 6LoWPAN [|6lowpan]",
	},
	{
		"2015, elements in header and payload", unhex("41aa 4d 2300 0200 0100 8000 003f 0290 beef 00f8 cafe"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 2, PANCompression: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23,
			Dst: ShortAddr(2), Src: ShortAddr(1), HeaderIEs: unhex("8000 003f"),
		}, "0290 beef 00f8 cafe", "",
		"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, header IEs 0x01 (0) 0x7e (0), payload IEs 0x2 (2) 0xf (0), 6LoWPAN unknown 0xca, length 2",
	},
	{
		"2015, elements before the payload", unhex("41aa 4d 2300 0200 0100 803f cafe"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 2, PANCompression: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23,
			Dst: ShortAddr(2), Src: ShortAddr(1), HeaderIEs: unhex("803f"),
		}, "cafe", "",
		"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, header IEs 0x7f (0), 6LoWPAN unknown 0xca, length 2",
	},
	{
		"2015, secured without a counter, element before the code", unhex("49aa 4d 2300 0200 0100 69 07 8000 11223344"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 2, PANCompression: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23,
			Dst: ShortAddr(2), Src: ShortAddr(1), Secured: true, HeaderIEs: unhex("8000"),
			Security: IEEE802154Security{
				Level: IEEE802154MIC32, KeyMode: IEEE802154KeyIndex, KeyIndex: 7, CounterSuppressed: true, ASNInNonce: true,
			},
		}, "", "11223344",
		"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, security level 1, key 7, ASN in nonce, header IEs 0x01 (0), length 0",
	},
	{
		"2006, key source of four octets", unhex("4998 4d 2300 0200 0100 16 05000000 23000100 09 aa 1122334455667788"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 1, PANCompression: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23,
			Dst: ShortAddr(2), Src: ShortAddr(1), Secured: true,
			Security: IEEE802154Security{
				Level: IEEE802154EncryptMIC64, KeyMode: IEEE802154KeySource4, KeySource: [8]byte{0x23, 0, 1, 0}, KeyIndex: 9,
				FrameCounter: 5,
			},
		}, "aa", "1122334455667788",
		"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, security level 6, key 9 of 23000100, counter 5, " +
			"encrypted, length 1",
	},
	{
		"2006, key source of eight octets",
		unhex("4998 4d 2300 0200 0100 1b 05000000 0102030405060708 09 00112233445566778899aabbccddeeff"),
		IEEE802154Repr{
			Type: IEEE802154Data, Version: 1, PANCompression: true, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23,
			Dst: ShortAddr(2), Src: ShortAddr(1), Secured: true,
			Security: IEEE802154Security{
				Level: IEEE802154MIC128, KeyMode: IEEE802154KeySource8, KeySource: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, KeyIndex: 9,
				FrameCounter: 5,
			},
		}, "", "00112233445566778899aabbccddeeff",
		"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, security level 3, key 9 of 0102030405060708, counter 5, length 0",
	},
	{
		// IEEE 802.15.4-2006, annex C.2.1.
		"2006, secured beacon", unhex("08d0 84 2143 01000000 0048deac 02 05000000 55cf 00 00 51525354 223bc1ec841ab553"),
		IEEE802154Repr{
			Type: IEEE802154Beacon, Version: 1, Seq: 0x84, SrcPAN: 0x4321, Src: LinkAddrFrom(unhex("acde480000000001")),
			Secured: true, Security: IEEE802154Security{Level: IEEE802154MIC64, FrameCounter: 5},
		}, "55cf 00 00 51525354", "223bc1ec841ab553",
		"IEEE 802.15.4 Beacon, seq 132, pan 0x4321, ac:de:48:00:00:00:00:01 > none, security level 2, counter 5, " +
			"beacon order 5, superframe order 5, final CAP slot 15, PAN coordinator, association permitted, length 4",
	},
	{
		// IEEE 802.15.4-2006, annex C.2.3.
		"2006, secured command",
		unhex("2bdc 84 2143 0200000000 48deac ffff 01000000 0048deac 06 05000000 01 d8 4fde529061f9c6f1"),
		IEEE802154Repr{
			Type: IEEE802154Command, Version: 1, AckRequest: true, Seq: 0x84, DstPAN: 0x4321, SrcPAN: 0xffff,
			Dst: LinkAddrFrom(unhex("acde480000000002")), Src: LinkAddrFrom(unhex("acde480000000001")),
			Secured: true, Security: IEEE802154Security{Level: IEEE802154EncryptMIC64, FrameCounter: 5},
		}, "01 d8", "4fde529061f9c6f1",
		"IEEE 802.15.4 Command, seq 132, pan 0xffff > 0x4321, ac:de:48:00:00:00:00:01 > ac:de:48:00:00:00:00:02, ack requested, " +
			"security level 6, counter 5, association request, length 2",
	},
	{
		"beacon request", unhex("0308 4d ffff ffff 07"),
		IEEE802154Repr{Type: IEEE802154Command, Seq: 77, DstPAN: BroadcastPAN, Dst: BroadcastShortAddr}, "07", "",
		"IEEE 802.15.4 Command, seq 77, pan 0xffff, none > 0xffff, beacon request, length 1",
	},
	{
		"2015, beacon", unhex("00e2 4d 2300 0807060504030201 003f 0088"),
		IEEE802154Repr{
			Type: IEEE802154Beacon, Version: 2, Seq: 77, SrcPAN: 0x23, Src: ExtendedAddr([8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
			HeaderIEs: unhex("003f"),
		}, "0088", "",
		"IEEE 802.15.4 Beacon, seq 77, pan 0x0023, 01:02:03:04:05:06:07:08 > none, header IEs 0x7e (0), payload IEs 0x1 (0), length 0",
	},
}

func TestIEEE802154Repr(t *testing.T) {
	for _, tt := range ieee802154Reprs {
		t.Run(tt.name, func(t *testing.T) {
			payload, mic := unhex(tt.payload), unhex(tt.mic)
			header := tt.frame[:len(tt.frame)-len(payload)-len(mic)]
			require.Equal(t, header, emitted(t, &tt.repr))

			f, err := ParseIEEE802154(tt.frame)
			require.NoError(t, err)
			require.Equal(t, len(header), f.HeaderLen())
			require.Equal(t, payload, f.Payload())
			require.Equal(t, mic, f.MIC())
			require.Equal(t, tt.want, f.String())
			var got IEEE802154Repr
			require.NoError(t, got.Parse(f))
			require.Equal(t, tt.repr, got)
			require.Equal(t, payload, got.Payload(f))
			require.Equal(t, len(mic), got.MICLen())
		})
	}
}

// pcapFrames reads the frames of a capture that is little-endian and has microseconds.
func pcapFrames(t testing.TB, name string) (frames [][]byte) {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, uint32(0xa1b2c3d4), binary.LittleEndian.Uint32(b))
	for b = b[24:]; len(b) > 0; {
		n := binary.LittleEndian.Uint32(b[8:])
		frames = append(frames, b[16:][:n])
		b = b[16+n:]
	}
	return frames
}

// What RIOT sends: see testdata/6lowpan/README.md.
func TestIEEE802154Capture(t *testing.T) {
	frames := pcapFrames(t, "testdata/6lowpan/riot.pcap")
	require.Len(t, frames, 828)
	kinds := make(map[string]int)
	for i, b := range frames {
		b, err := TrimIEEE802154FCS(b)
		require.NoError(t, err, "frame %d", i+1)
		f, err := ParseIEEE802154(b)
		require.NoError(t, err, "frame %d", i+1)
		var r IEEE802154Repr
		require.NoError(t, r.Parse(f), "frame %d", i+1)
		require.Equal(t, b[:f.HeaderLen()], emitted(t, &r), "frame %d", i+1)
		kind := r.Type.String()
		if r.Type == IEEE802154Data {
			require.Equal(t, uint16(0x23), r.DstPAN)
			kind += map[int]string{2: " to all", 8: " to one"}[r.Dst.Len()]
		}
		kinds[kind]++
	}
	require.Equal(t, map[string]int{"Ack": 373, "Data to all": 60, "Data to one": 395}, kinds)
}

// The table of PAN ID compression, 7-2 in IEEE 802.15.4-2015: what the frame has, by its addresses and the flag; and what older
// editions have instead.
func TestIEEE802154PANCompression(t *testing.T) {
	const (
		none     = 0
		short    = ShortAddrLen
		extended = ExtendedAddrLen
	)
	addr := map[int]LinkAddr{short: ShortAddr(0x1234), extended: ExtendedAddr([8]byte{1, 2, 3, 4, 5, 6, 7, 8})}
	for _, tt := range []struct {
		name                   string
		version                uint8
		dst, src               int
		compressed             bool
		wantDst, wantSrc, fine bool
	}{
		{"2015: no address", 2, none, none, false, false, false, true},
		{"2015: no address, flag", 2, none, none, true, true, false, true},
		{"2015: short destination", 2, short, none, false, true, false, true},
		{"2015: short destination, flag", 2, short, none, true, false, false, true},
		{"2015: extended destination", 2, extended, none, false, true, false, true},
		{"2015: extended destination, flag", 2, extended, none, true, false, false, true},
		{"2015: short source", 2, none, short, false, false, true, true},
		{"2015: short source, flag", 2, none, short, true, false, false, true},
		{"2015: extended source", 2, none, extended, false, false, true, true},
		{"2015: extended source, flag", 2, none, extended, true, false, false, true},
		{"2015: both extended", 2, extended, extended, false, true, false, true},
		{"2015: both extended, flag", 2, extended, extended, true, false, false, true},
		{"2015: both short", 2, short, short, false, true, true, true},
		{"2015: both short, flag", 2, short, short, true, true, false, true},
		{"2015: short to extended", 2, extended, short, false, true, true, true},
		{"2015: short to extended, flag", 2, extended, short, true, true, false, true},
		{"2015: extended to short", 2, short, extended, false, true, true, true},
		{"2015: extended to short, flag", 2, short, extended, true, true, false, true},

		{"2006: no address", 1, none, none, false, false, false, true},
		{"2006: no address, flag", 1, none, none, true, false, false, false},
		{"2006: destination", 1, short, none, false, true, false, true},
		{"2006: destination, flag", 1, short, none, true, true, false, false},
		{"2006: source", 1, none, extended, false, false, true, true},
		{"2006: source, flag", 1, none, extended, true, false, true, false},
		{"2006: both", 1, extended, extended, false, true, true, true},
		{"2006: both, flag", 1, extended, extended, true, true, false, true},
		{"2003: both", 0, short, extended, false, true, true, true},
		{"2003: both, flag", 0, short, extended, true, true, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mode := map[int]uint16{none: 0, short: 2, extended: 3}
			control := 1 | mode[tt.dst]<<10 | uint16(tt.version)<<12 | mode[tt.src]<<14
			if tt.compressed {
				control |= 1 << 6
			}
			want := IEEE802154Repr{
				Type: IEEE802154Data, Version: tt.version, PANCompression: tt.compressed, Seq: 9,
				Dst: addr[tt.dst], Src: addr[tt.src],
			}
			b := append(binary.LittleEndian.AppendUint16(nil, control), 9)
			if tt.wantDst {
				b = append(b, 0x23, 0)
				want.DstPAN = 0x23
			}
			b = append(b, []byte{8, 7, 6, 5, 4, 3, 2, 1}[:max(0, tt.dst-2)/6*8]...)
			if tt.dst == short {
				b = append(b, 0x34, 0x12)
			}
			if tt.src != none {
				want.SrcPAN = want.DstPAN
			}
			if tt.wantSrc {
				b = append(b, 0x24, 0)
				want.SrcPAN = 0x24
			}
			b = append(b, []byte{8, 7, 6, 5, 4, 3, 2, 1}[:max(0, tt.src-2)/6*8]...)
			if tt.src == short {
				b = append(b, 0x34, 0x12)
			}

			f, err := ParseIEEE802154(append(b, 0xaa))
			require.NoError(t, err)
			require.Equal(t, []byte{0xaa}, f.Payload())
			_, hasDst := f.DstPAN()
			_, hasSrc := f.SrcPAN()
			require.Equal(t, [2]bool{tt.wantDst, tt.wantSrc}, [2]bool{hasDst, hasSrc})
			var r IEEE802154Repr
			if !tt.fine {
				require.Equal(t, ErrMalformed, r.Parse(f))
				return
			}
			require.NoError(t, r.Parse(f))
			require.Equal(t, want, r)
			require.Equal(t, b, emitted(t, &r))
		})
	}
}

func TestIEEE802154Accessors(t *testing.T) {
	f, err := ParseIEEE802154(unhex("79aa 4d 2300 0200 0100 0d 05000000 07 803f cafe 11223344"))
	require.NoError(t, err)
	require.Equal(t, IEEE802154Data, f.Type())
	require.Equal(t, uint8(IEEE802154Version2015), f.Version())
	require.True(t, f.Secured())
	require.True(t, f.FramePending())
	require.True(t, f.AckRequest())
	require.True(t, f.PANCompression())
	seq, ok := f.Seq()
	require.Equal(t, uint8(77), seq)
	require.True(t, ok)
	pan, ok := f.DstPAN()
	require.Equal(t, uint16(0x23), pan)
	require.True(t, ok)
	_, ok = f.SrcPAN()
	require.False(t, ok)
	require.Equal(t, ShortAddr(2), f.Dst())
	require.Equal(t, ShortAddr(1), f.Src())
	security, ok := f.Security()
	require.True(t, ok)
	require.Equal(t, IEEE802154Security{
		Level: IEEE802154EncryptMIC32, KeyMode: IEEE802154KeyIndex, KeyIndex: 7, FrameCounter: 5,
	}, security)
	require.Equal(t, IEEE802154HeaderIEs(unhex("803f")), f.HeaderIEs())
	require.Equal(t, unhex("cafe"), f.Payload())
	require.Equal(t, unhex("11223344"), f.MIC())
	_, ok = f.Command()
	require.False(t, ok, "data is no command")

	f, err = ParseIEEE802154(unhex("43ab 2300 0200 0100 003f 0088 00f8 04"))
	require.NoError(t, err)
	_, ok = f.Seq()
	require.False(t, ok)
	id, ok := f.Command()
	require.True(t, ok, "behind the payload's elements")
	require.Equal(t, "data request", id.String())
	require.Equal(t, "command 255", IEEE802154CommandID(255).String())
}

func TestIEEE802154Beacon(t *testing.T) {
	b := unhex("21c7 82 02 3412 35 7856 1a 12 0200 0807 0807060504030211 beef")
	p, err := ParseIEEE802154Beacon(b)
	require.NoError(t, err)
	require.Equal(t, uint8(1), p.BeaconOrder())
	require.Equal(t, uint8(2), p.SuperframeOrder())
	require.Equal(t, uint8(7), p.FinalCAPSlot())
	require.False(t, p.BatteryLifeExtension())
	require.True(t, p.PANCoordinator())
	require.True(t, p.AssociationPermit())
	require.True(t, p.GTSPermit())
	require.Equal(t, 2, p.GTSCount())
	require.Equal(t, IEEE802154GTS{Device: ShortAddr(0x1234), Start: 5, Length: 3}, p.GTS(0))
	require.Equal(t, IEEE802154GTS{Device: ShortAddr(0x5678), Start: 10, Length: 1, Receive: true}, p.GTS(1))
	require.Zero(t, p.GTS(2))
	require.Zero(t, p.GTS(-1))
	require.Equal(t, 3, p.PendingCount())
	require.Equal(t, []LinkAddr{ShortAddr(2), ShortAddr(0x0708), ExtendedAddr([8]byte{0x11, 2, 3, 4, 5, 6, 7, 8})},
		[]LinkAddr{p.Pending(0), p.Pending(1), p.Pending(2)})
	require.Zero(t, p.Pending(3))
	require.Zero(t, p.Pending(-1))
	require.Equal(t, unhex("beef"), p.Payload())
	require.Equal(t, "beacon order 1, superframe order 2, final CAP slot 7, PAN coordinator, association permitted, GTS permitted, "+
		"GTS 0x1234 transmits 5+3, GTS 0x5678 receives 10+1, pending 0x0002, pending 0x0708, "+
		"pending 11:02:03:04:05:06:07:08, length 2", p.String())
	for n := range len(b) - 2 {
		_, err := ParseIEEE802154Beacon(b[:n])
		require.Equal(t, ErrTruncated, err, "%d octets", n)
	}
}

// What cannot be read is refused, and printed all the same.
func TestIEEE802154Refused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		b     []byte
		parse error
		repr  error
		want  string
	}{
		{"nothing", nil, ErrTruncated, ErrTruncated, "IEEE 802.15.4 [|802.15.4]"},
		{"half a frame control field", unhex("41"), ErrTruncated, ErrTruncated, "IEEE 802.15.4 [|802.15.4]"},
		{"no sequence number", unhex("41d8"), ErrTruncated, ErrTruncated, "IEEE 802.15.4 Data, seq 0 [|802.15.4]"},
		{"half an address", unhex("41d8 4d cdab ff"), ErrTruncated, ErrTruncated, "IEEE 802.15.4 Data, seq 77 [|802.15.4]"},
		{
			"no security control", unhex("4998 4d 2300 0200 0100"), ErrTruncated, ErrTruncated,
			"IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"no key index", unhex("4998 4d 2300 0200 0100 0d 05000000"), ErrTruncated, ErrTruncated,
			"IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"no integrity code", unhex("4998 4d 2300 0200 0100 05 05000000 112233"), ErrTruncated, ErrTruncated,
			"IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"no information element", unhex("41aa 4d 2300 0200 0100"), ErrTruncated, ErrTruncated,
			"IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"information element past the end", unhex("41aa 4d 2300 0200 0100 0500 11223344"), ErrTruncated, ErrTruncated,
			"IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"information element into the integrity code", unhex("49aa 4d 2300 0200 0100 01 05000000 0100 11223344"),
			ErrTruncated, ErrTruncated, "IEEE 802.15.4 Data, seq 77 [|802.15.4]",
		},
		{
			"payload's element in the header", unhex("41aa 4d 2300 0200 0100 00f8"), ErrMalformed, ErrMalformed,
			"IEEE 802.15.4 Data, version 2, control 0xaa41, length 11",
		},
		{
			"reserved addressing mode", unhex("4194 4d 2300 0200 0100"), ErrMalformed, ErrMalformed,
			"IEEE 802.15.4 Data, version 1, control 0x9441, length 9",
		},
		{
			"version 3", unhex("41b8 4d 2300 0200 0100"), ErrVersion, ErrVersion,
			"IEEE 802.15.4 Data, version 3, control 0xb841, length 9",
		},
		{
			"multipurpose frame", unhex("0500 4d"), ErrVersion, ErrVersion,
			"IEEE 802.15.4 type 5, version 0, control 0x0005, length 3",
		},
		{
			"security of 2003", unhex("4988 4d 2300 0200 0100 05 05000000 11223344"), nil, ErrVersion,
			"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, secured as in 2003, length 9",
		},
		{
			"one address compressed", unhex("4108 4d 2300 0200 aa"), nil, ErrMalformed,
			"IEEE 802.15.4 Data, seq 77, pan 0x0023, none > 0x0002, 6LoWPAN [|6lowpan]",
		},
		{
			"beacon without its payload", unhex("0080 4d 2300 0200 ff"), nil, nil,
			"IEEE 802.15.4 Beacon, seq 77, pan 0x0023, 0x0002 > none, [|802.15.4 beacon]",
		},
		{
			"command without its name", unhex("0380 4d 2300 0200"), nil, nil,
			"IEEE 802.15.4 Command, seq 77, pan 0x0023, 0x0002 > none, length 0",
		},
		{
			"payload's element past the end", unhex("41aa 4d 2300 0200 0100 003f 0588"), nil, nil,
			"IEEE 802.15.4 Data, seq 77, pan 0x0023, 0x0001 > 0x0002, header IEs 0x7e (0), payload IEs [|802.15.4]",
		},
		{
			"header's element in the payload", unhex("43aa 4d 2300 0200 0100 003f 0000"), nil, nil,
			"IEEE 802.15.4 Command, seq 77, pan 0x0023, 0x0001 > 0x0002, header IEs 0x7e (0), payload IEs [|802.15.4]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, IEEE802154Frame(tt.b).String())
			_, err := ParseIEEE802154(tt.b)
			require.Equal(t, tt.parse, err)
			require.Equal(t, tt.repr, new(IEEE802154Repr).Parse(tt.b))
		})
	}
}

// Whatever is put into a header, what is emitted reads back as what the standard allows of it.
func TestIEEE802154ReprOfWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name       string
		repr, want IEEE802154Repr
	}{
		{
			"an Ethernet's address", IEEE802154Repr{Type: IEEE802154Data, Dst: LinkAddrFrom(make([]byte, 6)), PANCompression: true},
			IEEE802154Repr{Type: IEEE802154Data},
		},
		{
			"what 2015 brought, in 2006",
			IEEE802154Repr{
				Type: IEEE802154Ack, Version: 1, Seq: 3, SeqSuppressed: true, HeaderIEs: unhex("803f"),
				Secured: true, Security: IEEE802154Security{CounterSuppressed: true, ASNInNonce: true, FrameCounter: 6},
			},
			IEEE802154Repr{
				Type: IEEE802154Ack, Version: 1, Seq: 3, Secured: true, Security: IEEE802154Security{FrameCounter: 6},
			},
		},
		{
			"security in 2003", IEEE802154Repr{Type: IEEE802154Data, Secured: true},
			IEEE802154Repr{Type: IEEE802154Data, Version: 1, Secured: true},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got IEEE802154Repr
			require.NoError(t, got.Parse(emitted(t, &tt.repr)))
			require.Equal(t, tt.want, got)
		})
	}
}

func TestIEEE802154FCS(t *testing.T) {
	// The check value of CRC-16/KERMIT in the catalogue of parametrised CRC algorithms.
	require.Equal(t, uint16(0x2189), IEEE802154FCS([]byte("123456789")))
	// The example of IEEE 802.15.4, in the section on the frame check sequence: an acknowledgment.
	require.Equal(t, unhex("02006a e479"), AppendIEEE802154FCS(unhex("02006a")))
	require.Zero(t, IEEE802154FCS(nil))

	// Bit by bit, as the standard's shift register does it.
	long := make([]byte, 127)
	for i := range long {
		long[i] = byte(i*i + 7)
	}
	for n := range long {
		var crc uint16
		for _, octet := range long[:n] {
			for bit := range 8 {
				if feedback := (crc ^ uint16(octet)>>bit) & 1; feedback != 0 {
					crc = crc>>1 ^ 0x8408
				} else {
					crc >>= 1
				}
			}
		}
		require.Equal(t, crc, IEEE802154FCS(long[:n]), "%d octets", n)
	}

	frame, err := TrimIEEE802154FCS(AppendIEEE802154FCS(unhex("02006a")))
	require.NoError(t, err)
	require.Equal(t, unhex("02006a"), frame)
	_, err = TrimIEEE802154FCS(unhex("02006b e479"))
	require.Equal(t, ErrChecksum, err)
	_, err = TrimIEEE802154FCS(unhex("e4"))
	require.Equal(t, ErrTruncated, err)
}

func TestIEEE802154AllocatesNothing(t *testing.T) {
	frame := bytes.Clone(ieee802154Reprs[1].frame)
	requireNoAllocs(t, func() {
		var r IEEE802154Repr
		if r.Parse(frame) != nil || r.Len() != 26 {
			panic("not as it was")
		}
		r.Emit(frame)
		_ = IEEE802154FCS(frame)
	})
}

func BenchmarkIEEE802154Parse(b *testing.B) {
	frame := ieee802154Reprs[0].frame
	b.ReportAllocs()
	for b.Loop() {
		var r IEEE802154Repr
		if err := r.Parse(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIEEE802154Emit(b *testing.B) {
	frame := make([]byte, 125)
	b.ReportAllocs()
	for b.Loop() {
		ieee802154Reprs[0].repr.Emit(frame)
	}
}

func BenchmarkIEEE802154FCS(b *testing.B) {
	frame := make([]byte, 125)
	b.SetBytes(125)
	for b.Loop() {
		IEEE802154FCS(frame)
	}
}

func FuzzIEEE802154(f *testing.F) {
	for _, tt := range ieee802154Reprs {
		f.Add(tt.frame)
	}
	f.Add(unhex("0080 4d 2300 0200 21c7 82 02 3412 35 7856 1a 12 0200 0807 0807060504030211 beef"))
	f.Add(unhex("43ab 2300 0200 0100 003f 0088 00f8 04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		unchecked := IEEE802154Frame(b)
		_, _, _, _, _ = unchecked.String(), unchecked.HeaderLen(), unchecked.Payload(), unchecked.MIC(), unchecked.HeaderIEs()
		_, _ = unchecked.Command()
		frame, err := ParseIEEE802154(b)
		var r, again IEEE802154Repr
		if err != nil {
			require.Equal(t, err, r.Parse(b))
			return
		}
		require.Len(t, b, frame.HeaderLen()+len(frame.Payload())+len(frame.MIC()))
		_, _ = frame.Command()
		_, _, _ = SplitIEEE802154PayloadIEs(frame.Payload())
		if p, err := ParseIEEE802154Beacon(frame.Payload()); err == nil {
			_ = p.String()
		}
		if r.Parse(frame) != nil {
			return
		}
		_ = r.String()
		require.Equal(t, frame.HeaderLen(), r.Len())
		out := append(emitted(t, &r), b[r.Len():]...)
		require.NoError(t, again.Parse(out))
		require.Equal(t, r, again)
	})
}
