package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// walked is what an iterator gives.
type walked struct {
	types    []uint8
	offsets  []int
	protocol uint8
	offset   int
	pointer  int
	later    bool
	err      error
}

func walk(nextHeader uint8, payload []byte) walked {
	w := WalkIPv6(nextHeader, payload)
	var got walked
	for header, ok := w.Next(); ok; header, ok = w.Next() {
		got.types = append(got.types, header.Type)
		got.offsets = append(got.offsets, header.Offset)
	}
	got.protocol, got.offset, got.pointer, got.later, got.err = w.Protocol(), w.Offset(), w.Pointer(), w.LaterFragment(), w.Err()
	return got
}

func TestWalkIPv6(t *testing.T) {
	const tcp = "005004d2 00000001"
	many := func(n int) string {
		s := ""
		for range n {
			s += "3c00 0104 00000000"
		}
		return s + "3b00 0104 00000000"
	}
	for _, test := range []struct {
		name, octets string
		next         uint8
		want         walked
	}{
		{"no extension headers", tcp, protocolTCP, walked{protocol: protocolTCP, pointer: 6}},
		{"no octets", "", protocolTCP, walked{protocol: protocolTCP, pointer: 6}},
		{"each of them", "2b00 0502 00000100 2c00 0000 00000000 3c00 0001 0000002a 0601 0104 00000000 0106 000000000000" + tcp,
			IPv6HopByHop, walked{
				types:   []uint8{IPv6HopByHop, IPv6Routing, IPv6Fragment, IPv6DestinationOptions},
				offsets: []int{0, 8, 16, 24}, protocol: protocolTCP, offset: 40, pointer: 40 + 24}},
		{"first fragment", "1100 0001 00000001" + tcp, IPv6Fragment,
			walked{types: []uint8{IPv6Fragment}, offsets: []int{0}, protocol: protocolUDP, offset: 8, pointer: 40}},
		{"later fragment: what looks like options is not", "3c00 0008 00000001 06ff 000000000000", IPv6Fragment,
			walked{types: []uint8{IPv6Fragment}, offsets: []int{0}, protocol: IPv6DestinationOptions, offset: 8, pointer: 40, later: true}},
		{"no next header", "3b00 0104 00000000", IPv6DestinationOptions,
			walked{types: []uint8{IPv6DestinationOptions}, offsets: []int{0}, protocol: IPv6NoNextHeader, offset: 8, pointer: 40}},
		{"hop-by-hop options that are not first", "0000 0104 00000000 0600 0104 00000000", IPv6DestinationOptions,
			walked{types: []uint8{IPv6DestinationOptions}, offsets: []int{0}, protocol: IPv6HopByHop, offset: 8, pointer: 40}},
		{"seven octets", "0600 0104 000000", IPv6HopByHop, walked{protocol: IPv6HopByHop, pointer: 6, err: ErrTruncated}},
		{"length beyond the end", "0601 0104 00000000", IPv6Routing, walked{protocol: IPv6Routing, pointer: 6, err: ErrTruncated}},
		{"second header missing", "3c00 0104 00000000", IPv6HopByHop,
			walked{types: []uint8{IPv6HopByHop}, offsets: []int{0}, protocol: IPv6DestinationOptions, offset: 8, pointer: 40, err: ErrTruncated}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, walk(test.next, unhex(test.octets)))
		})
	}

	most := walk(IPv6DestinationOptions, unhex(many(IPv6MaxExtensions-1)))
	require.NoError(t, most.err)
	require.Len(t, most.types, IPv6MaxExtensions)
	require.EqualValues(t, IPv6NoNextHeader, most.protocol)
	tooMany := walk(IPv6DestinationOptions, unhex(many(IPv6MaxExtensions)))
	require.Equal(t, ErrMalformed, tooMany.err)
	require.Len(t, tooMany.types, IPv6MaxExtensions)
}

func TestWalkIPv6StaysEnded(t *testing.T) {
	w := WalkIPv6(IPv6HopByHop, unhex("06"))
	for range 3 {
		_, ok := w.Next()
		require.False(t, ok)
		require.Equal(t, ErrTruncated, w.Err())
	}
}

func TestIPv6ExtensionGolden(t *testing.T) {
	t.Run("router alert", func(t *testing.T) {
		w := IPv6Packet(goldenListenerReport6).Extensions()
		header, ok := w.Next()
		require.True(t, ok)
		options, err := ParseIPv6Options(header.Octets)
		require.NoError(t, err)
		require.EqualValues(t, protocolICMPv6, options.NextHeader())
		require.Equal(t, "opts ((type 0x05: len=2))", options.String())
		walk := options.Options()
		option, ok := walk.Next()
		require.True(t, ok)
		require.Equal(t, IPv6Option{Type: IPv6OptionRouterAlert, Data: []byte{0, 0}, Offset: 2}, option)
		require.Equal(t, IPv6OptionSkip, option.Action())
		_, ok = walk.Next()
		require.False(t, ok)
		require.NoError(t, walk.Err())

		// Emitted, it is the kernel's, octet by octet.
		r := IPv6OptionsRepr{NextHeader: protocolICMPv6, Options: AppendIPv6Option(nil, IPv6OptionRouterAlert, []byte{0, 0})}
		require.Equal(t, header.Octets, emitted(t, &r))
		var parsed IPv6OptionsRepr
		require.NoError(t, parsed.Parse(options))
		require.Equal(t, r, parsed)
		require.Equal(t, options.String(), r.String())
	})
	t.Run("destination option", func(t *testing.T) {
		w := IPv6Packet(goldenDestinationOptions6).Extensions()
		header, ok := w.Next()
		require.True(t, ok)
		r := IPv6OptionsRepr{NextHeader: protocolUDP, Options: AppendIPv6Option(nil, 0x1e, []byte{1, 2, 3, 4})}
		require.Equal(t, header.Octets, emitted(t, &r))
	})
	t.Run("fragments", func(t *testing.T) {
		for _, test := range []struct {
			packet []byte
			want   IPv6FragmentRepr
			print  string
		}{
			{goldenFirstFragment6, IPv6FragmentRepr{NextHeader: protocolUDP, More: true, ID: 0xfe17ed2b}, "frag (0xfe17ed2b:0+)"},
			{goldenLastFragment6, IPv6FragmentRepr{NextHeader: protocolUDP, Offset: 1352, ID: 0xfe17ed2b}, "frag (0xfe17ed2b:1352)"},
		} {
			p, err := ParseIPv6Fragment(test.packet[IPv6HeaderLen:])
			require.NoError(t, err)
			require.Len(t, p.Payload(), 16)
			require.Equal(t, test.print, p.String())
			var r IPv6FragmentRepr
			require.NoError(t, r.Parse(p))
			require.Equal(t, test.want, r)
			require.Equal(t, test.print, r.String())
			require.Equal(t, []byte(p[:IPv6FragmentLen]), emitted(t, &r))
		}
	})
}

func TestIPv6Routing(t *testing.T) {
	// RFC 6554, section 3: a source route of one address, nothing compressed.
	octets := unhex("3a02 0301 00000000 fdaa0000000000000000000000000002")
	p, err := ParseIPv6Routing(octets)
	require.NoError(t, err)
	require.EqualValues(t, protocolICMPv6, p.NextHeader())
	require.EqualValues(t, 3, p.Type())
	require.EqualValues(t, 1, p.SegmentsLeft())
	require.Len(t, p.Data(), 20)
	require.Equal(t, "srcrt (len=2, type=3, segleft=1, cmpri=0, cmpre=0, pad=0, [0]fdaa0000000000000000000000000002)", p.String())
	var r IPv6RoutingRepr
	require.NoError(t, r.Parse(p))
	require.Equal(t, octets, emitted(t, &r))
	require.Equal(t, p.String(), r.String())

	short := IPv6RoutingRepr{NextHeader: protocolICMPv6, Data: []byte{1}}
	require.Equal(t, unhex("3a00 0000 01000000"), emitted(t, &short))
}

func TestIPv6OptionsReprPads(t *testing.T) {
	for n := range 17 {
		r := IPv6OptionsRepr{NextHeader: 6, Options: AppendIPv6Option(nil, 0x1e, make([]byte, n))}
		b := emitted(t, &r)
		require.Zero(t, len(b)%8)
		p, err := ParseIPv6Options(b)
		require.NoError(t, err)
		require.Len(t, p, len(b))
		var parsed IPv6OptionsRepr
		require.NoError(t, parsed.Parse(p))
		require.Equal(t, r, parsed)
	}
}

func TestIPv6OptionActions(t *testing.T) {
	// RFC 8200, section 4.2: 00, 01, 10 and 11.
	for kind, want := range map[uint8]IPv6OptionAction{
		0x1e: IPv6OptionSkip, 0x5e: IPv6OptionDiscard, 0x9e: IPv6OptionDiscardSend, 0xde: IPv6OptionDiscardSendUnlessMulticast,
	} {
		require.Equal(t, want, IPv6Option{Type: kind}.Action())
	}
}

func TestIPv6ExtensionErrors(t *testing.T) {
	for _, test := range []struct {
		name, octets                string
		options, fragment, optionIn error
	}{
		{"seven octets", "0600 0104 000000", ErrTruncated, ErrTruncated, nil},
		{"length beyond the end", "0601 0104 00000000", ErrLength, nil, nil},
		{"option beyond the end", "0600 1e05 00000000", nil, nil, ErrOption},
		{"padding beyond the end", "0600 0105 00000000", nil, nil, ErrOption},
		{"option without a length", "0600 0103 0000001e", nil, nil, ErrOption},
		{"padding alone", "0600 0000 01020000", nil, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := ParseIPv6Options(unhex(test.octets))
			require.Equal(t, test.options, err)
			_, err = ParseIPv6Routing(unhex(test.octets))
			require.Equal(t, test.options, err)
			_, err = ParseIPv6Fragment(unhex(test.octets))
			require.Equal(t, test.fragment, err)
			if p != nil {
				var r IPv6OptionsRepr
				require.Equal(t, test.optionIn, r.Parse(p))
			}
		})
	}
	require.Equal(t, "opts ([bad opt])", IPv6OptionsPacket(unhex("0600 1e05 00000000")).String())
	require.Equal(t, "[|opts]", IPv6OptionsPacket(nil).String())
	require.Equal(t, "[|srcrt]", IPv6RoutingPacket(nil).String())
	require.Equal(t, "[|frag]", IPv6FragmentPacket(nil).String())
	require.Equal(t, "ip-proto-51", IPv6Extension{Type: 51}.String())
	require.Equal(t, "ip-proto-44", IPv6Extension{Type: IPv6Fragment}.String())
}

func FuzzIPv6Extension(f *testing.F) {
	for _, packet := range goldenPackets6 {
		f.Add(packet[6], packet[IPv6HeaderLen:])
	}
	f.Add(uint8(IPv6HopByHop), unhex("2b00 0502 00000100 2c00 0000 00000000 3c00 0001 0000002a 0601 0104 00000000 0106 000000000000"))
	f.Fuzz(func(t *testing.T, next uint8, payload []byte) {
		w := WalkIPv6(next, payload)
		total, n := 0, 0
		for header, ok := w.Next(); ok; header, ok = w.Next() {
			require.Equal(t, total, header.Offset)
			total += len(header.Octets)
			n++
			_ = header.String()
			fuzzIPv6Extension(t, header)
		}
		require.LessOrEqual(t, n, IPv6MaxExtensions)
		require.Equal(t, total, w.Offset())
		require.Len(t, w.Payload(), len(payload)-total)
	})
}

// fuzzIPv6Extension checks that the header parses, and that its representation is emitted as it came.
func fuzzIPv6Extension(t *testing.T, header IPv6Extension) {
	switch header.Type {
	case IPv6HopByHop, IPv6DestinationOptions:
		p, err := ParseIPv6Options(header.Octets)
		require.NoError(t, err)
		_ = p.String()
		var r, parsed IPv6OptionsRepr
		if r.Parse(p) == nil {
			require.NoError(t, parsed.Parse(emitted(t, &r)))
			require.Equal(t, r, parsed)
		}
	case IPv6Routing:
		p, err := ParseIPv6Routing(header.Octets)
		require.NoError(t, err)
		var r IPv6RoutingRepr
		require.NoError(t, r.Parse(p))
		require.Equal(t, header.Octets, emitted(t, &r))
	case IPv6Fragment:
		p, err := ParseIPv6Fragment(header.Octets)
		require.NoError(t, err)
		var r, parsed IPv6FragmentRepr
		require.NoError(t, r.Parse(p))
		require.NoError(t, parsed.Parse(emitted(t, &r)))
		require.Equal(t, r, parsed)
	}
}
