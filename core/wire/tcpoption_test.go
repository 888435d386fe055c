package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTCPOptionsParse(t *testing.T) {
	for _, test := range []struct {
		name, octets string
		want         TCPOptions
		print        string
	}{
		{"none", "", TCPOptions{}, ""},
		{"end of list, and what follows it", "00 020405b4", TCPOptions{}, "eol"},
		{"NOPs", "01010101", TCPOptions{}, "nop,nop,nop,nop"},
		{"maximum segment size", "020405b4", TCPOptions{MSS: 1460, HasMSS: true}, "mss 1460"},
		{"window scale", "01030307", TCPOptions{WindowScale: 7, HasWindowScale: true}, "nop,wscale 7"},
		{"window scale beyond 14", "010303ff", TCPOptions{WindowScale: 255, HasWindowScale: true}, "nop,wscale 255"},
		{"SACK-permitted", "01010402", TCPOptions{SACKPermitted: true}, "nop,nop,sackOK"},
		// The layout of RFC 7323, appendix A.
		{"timestamps", "0101080a 00000001 00000002", TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2},
			"nop,nop,TS val 1 ecr 2"},
		{"timestamps elsewhere", "080a 00000001 00000002 0000", TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2},
			"TS val 1 ecr 2,eol"},
		// RFC 2018, section 4, case 3: the acknowledgment of segment 8000.
		{"SACK", "0101 051a 00001f40 00002134 00001b58 00001d4c 00001770 00001964", TCPOptions{
			SACK: [4]SACKBlock{{8000, 8500}, {7000, 7500}, {6000, 6500}}, NumSACK: 3},
			"nop,nop,sack 3 {8000:8500}{7000:7500}{6000:6500}"},
		{"four SACK blocks", "0522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008",
			TCPOptions{SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}, NumSACK: 4}, "sack 4 {1:2}{3:4}{5:6}{7:8}"},
		{"Fast Open cookie", "0101220a 0011223344556677", TCPOptions{FastOpen: cookie("0011223344556677"), HasFastOpen: true},
			"nop,nop,tfo  cookie 0011223344556677"},
		{"Fast Open request", "01012202", TCPOptions{HasFastOpen: true}, "nop,nop,tfo  cookiereq"},
		{"Fast Open cookie of 2 octets, which none has, before another option", "2204ffff 020405b4",
			TCPOptions{MSS: 1460, HasMSS: true}, "tfo  bad cookie 0xffff,mss 1460"},
		{"of 5 octets", "2207ffffffffff 020405b4", TCPOptions{MSS: 1460, HasMSS: true}, "tfo  bad cookie 0xffffffffff,mss 1460"},
		{"of 18 octets", "2214 000000000000000000000000000000000000", TCPOptions{},
			"tfo  bad cookie 0x000000000000000000000000000000000000"},
		{"unknown kinds", "fe04f989 020405b4 fd02", TCPOptions{MSS: 1460, HasMSS: true},
			"unknown-254 0xf989,mss 1460,unknown-253"},
		{"an option twice: the last counts", "020405b4 02040218", TCPOptions{MSS: 536, HasMSS: true}, "mss 1460,mss 536"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := TCPOptions{NumSACK: 2, HasMSS: true, MSS: 1} // what was there before is gone
			require.NoError(t, o.Parse(unhex(test.octets)))
			require.Equal(t, test.want, o)
			require.Equal(t, test.print, string(appendTCPOptions(nil, unhex(test.octets))))
		})
	}
}

func TestTCPOptionsParseErrors(t *testing.T) {
	for _, test := range []struct{ name, octets string }{
		{"length 0", "020405b4 fe00"},
		{"length 1", "020405b4 fe01"},
		{"kind without a length", "020405b4 fe"},
		{"length beyond the end", "020405b4 fe03"},
		{"maximum segment size of 3 octets", "020405b4 0203ff"},
		{"maximum segment size of 6 octets", "020405b4 020605b40000"},
		{"window scale of 2 octets", "020405b4 0302"},
		{"window scale of 4 octets", "020405b4 03040000"},
		{"SACK-permitted of 3 octets", "020405b4 040300"},
		{"timestamps of 9 octets", "020405b4 0809 00000000000000"},
		{"SACK without a block", "020405b4 0502"},
		{"SACK of a block and a half", "020405b4 050e 000000010000000200000003"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var o TCPOptions
			require.Equal(t, ErrOption, o.Parse(unhex(test.octets)))
			require.Equal(t, TCPOptions{MSS: 1460, HasMSS: true}, o, "what was read stays")
		})
	}
}

func TestTCPOptionsEmit(t *testing.T) {
	blocks := [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}
	for _, test := range []struct {
		name, octets string
		o            TCPOptions
	}{
		{"none", "", TCPOptions{}},
		{"as in Linux's SYN", "020405b4 0402080a 00000001 00000000 0103030a", TCPOptions{
			MSS: 1460, HasMSS: true, SACKPermitted: true, HasTimestamps: true, TSVal: 1, WindowScale: 10, HasWindowScale: true}},
		{"without timestamps", "020405b4 01010402 01030307", TCPOptions{
			MSS: 1460, HasMSS: true, SACKPermitted: true, WindowScale: 7, HasWindowScale: true}},
		{"timestamps", "0101080a 00000001 00000002", TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2}},
		{"one SACK block", "0101050a 00000001 00000002", TCPOptions{SACK: blocks, NumSACK: 1}},
		{"four SACK blocks", "01010522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008",
			TCPOptions{SACK: blocks, NumSACK: 4}},
		// "[...] thus a maximum of 3 SACK blocks will be allowed in this case."
		// https://www.rfc-editor.org/rfc/rfc2018.html#section-3
		{"four SACK blocks and timestamps: three fit",
			"0101080a 00000001 00000002 0101051a 00000001 00000002 00000003 00000004 00000005 00000006",
			TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2, SACK: blocks, NumSACK: 4}},
		{"a Fast Open request", "01012202", TCPOptions{HasFastOpen: true}},
		{"a Fast Open cookie of 6 octets", "2208 112233445566", TCPOptions{HasFastOpen: true, FastOpen: cookie("112233445566")}},
		{"as much as a SYN can hold",
			"020405b4 0402080a 00000001 00000000 0103030a 01012212 00112233445566778899aabbccddeeff", TCPOptions{
				MSS: 1460, HasMSS: true, SACKPermitted: true, HasTimestamps: true, TSVal: 1, WindowScale: 10, HasWindowScale: true,
				HasFastOpen: true, FastOpen: cookie("00112233445566778899aabbccddeeff")}},
		{"zero values that are there", "02040000 0101080a 00000000 00000000 01030300",
			TCPOptions{HasMSS: true, HasTimestamps: true, HasWindowScale: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := emitted(t, &test.o)
			require.Equal(t, unhex(test.octets), b)
			require.LessOrEqual(t, len(b), TCPMaxOptionsLen)
			var parsed TCPOptions
			require.NoError(t, parsed.Parse(b))
			fitSACK(&test.o)
			require.Equal(t, test.o, parsed)
		})
	}
}

func cookie(octets string) FastOpenCookie {
	c, ok := NewFastOpenCookie(unhex(octets))
	if !ok {
		panic("no cookie has this length")
	}
	return c
}

func TestFastOpenCookieLengths(t *testing.T) {
	for n := range 20 {
		c, ok := NewFastOpenCookie(make([]byte, n))
		require.Equal(t, n == 4 || n == 6 || n == 8 || n == 10 || n == 12 || n == 14 || n == 16, ok, "%d octets", n)
		if ok {
			require.Equal(t, n, c.Len())
		} else {
			require.Zero(t, c.Len())
		}
	}
}

// fitSACK forgets the blocks of o that Emit has no room for.
func fitSACK(o *TCPOptions) {
	o.NumSACK = o.fittingSACK(o.lenWithoutSACK())
	clear(o.SACK[o.NumSACK:])
}

func TestTCPOptionsString(t *testing.T) {
	require.Empty(t, (&TCPOptions{}).String())
	o := TCPOptions{MSS: 1460, HasMSS: true, SACK: [4]SACKBlock{{1, 2}}, NumSACK: 1}
	require.Equal(t, "mss 1460,nop,nop,sack 1 {1:2}", o.String())
}

func TestTCPOptionsAllocateNothing(t *testing.T) {
	o := TCPOptions{HasTimestamps: true, TSVal: 1, SACK: [4]SACKBlock{{1, 2}, {3, 4}}, NumSACK: 2}
	var b [TCPMaxOptionsLen]byte
	requireNoAllocs(t, func() {
		o.Emit(b[:])
		if o.Parse(b[:o.Len()]) != nil {
			panic("refused")
		}
	})
}

func FuzzTCPOptions(f *testing.F) {
	for _, seed := range []string{
		"020405b4 0402080a 00000001 00000000 0103030a", "0101080a 00000001 00000002",
		"01010522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008", "fe00", "0203ff00",
		"0101220a 0011223344556677", "2203ff",
	} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = appendTCPOptions(nil, b)
		var o TCPOptions
		if err := o.Parse(b); err != nil {
			require.Equal(t, ErrOption, err)
		}
		// What was read, be it before an error, is emitted and parses back to the same.
		_ = o.String()
		require.LessOrEqual(t, o.Len(), TCPMaxOptionsLen)
		require.Zero(t, o.Len()%4)
		again := make([]byte, o.Len())
		o.Emit(again)
		var parsed TCPOptions
		require.NoError(t, parsed.Parse(again))
		fitSACK(&o)
		require.Equal(t, o, parsed)
	})
}
