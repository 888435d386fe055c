package core

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
)

// marked is a UDP datagram behind hop-by-hop options, in hexadecimal, from within the network.
func marked(t *testing.T, src, dst netip.Addr, options string) []byte {
	t.Helper()
	octets, err := hex.DecodeString(strings.ReplaceAll(options, " ", ""))
	require.NoError(t, err)
	header := append([]byte{ip.ProtocolUDP, 0}, octets...)
	if rest := len(header) % 8; rest > 0 {
		padding := make([]byte, 8-rest)
		if len(padding) > 1 {
			padding[0], padding[1] = 1, uint8(len(padding)-2)
		}
		header = append(header, padding...)
	}
	header[1] = uint8(len(header)/8 - 1)
	return ipv6(src, dst, wire.IPv6HopByHop, append(header, udpTo(src, dst, 1000, 9, "hello")[wire.IPv6HeaderLen:]...))
}

// What a node of the network has marked goes on without the mark if it leaves the network, and with another if it stays.
func TestRPLOptionAtARoot(t *testing.T) {
	for _, tc := range []struct {
		name, options string
		dst           netip.Addr
		want          string // the header that is passed on; empty: none is
		up, down      bool   // where it goes; neither: nowhere
	}{
		{"up and out", "630400000400", outside, "", true, false},
		{"up and out, by RFC 9008", "230400000400", outside, "", true, false},
		{"up and out, from who made it", "630400000000", outside, "", true, false},
		{"up and out, with an option of another kind", "630400000400 1e021234", outside, "1101 630480000001 1e021234 0102 0000", true, false},
		{"up and down again", "630400000400", meshC, "1100 630480000001", false, true},
		{"up and down again, with more in the option", "630a00000400aabbccddeeff", meshC, "1101 630a80000001aabbccddeeff 0100", false, true},
		{"in the wrong direction, once", "630480000400", meshC, "1100 6304c0000001", false, true},
		{"in the wrong direction, twice", "6304c0000400", meshC, "", false, false},
		{"of another instance", "630400070400", meshC, "", false, false},
		{"too short an option", "63020000", outside, "", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRPLRoot(t, wire.RPLStoring).knows()
			s.skip()
			s.hear(marked(t, meshA, tc.dst, tc.options))
			passed, sent := s.uplink(), s.packets(s.send())
			switch {
			case tc.up:
				require.Empty(t, sent)
				require.Len(t, passed, 1)
			case tc.down:
				require.Empty(t, passed)
				require.Len(t, sent, 1)
				passed = sent
			default:
				require.Empty(t, append(passed, sent...))
				require.Equal(t, 1, s.drops(DropRPLOption))
				return
			}
			p := wire.IPv6Packet(passed[0])
			require.Equal(t, uint8(63), p.HopLimit())
			require.Equal(t, len(p)-wire.IPv6HeaderLen, int(binary.BigEndian.Uint16(p[4:])))
			rest := p[wire.IPv6HeaderLen:]
			if tc.want == "" {
				require.EqualValues(t, ip.ProtocolUDP, p.NextHeader())
			} else {
				require.EqualValues(t, wire.IPv6HopByHop, p.NextHeader())
				n := 8 * (1 + int(rest[1]))
				require.Equal(t, strings.ReplaceAll(tc.want, " ", ""), hex.EncodeToString(rest[:n]))
				rest = rest[n:]
			}
			require.Equal(t, hex.EncodeToString(udpTo(meshA, tc.dst, 1000, 9, "hello")[wire.IPv6HeaderLen:]), hex.EncodeToString(rest))
		})
	}
}

// A leaf reads the option and takes what comes down to it; what goes the wrong way it takes once. Who is no part of the network does
// not know the option, whose type has it drop the packet, or skip the option.
func TestRPLOptionAtALeaf(t *testing.T) {
	joined := func(c *IEEE802154Config) { c.RPLLeaf = new(rpl.LeafConfig) }
	for _, tc := range []struct {
		name, options string
		leaf          bool
		dropped       DropCause
	}{
		{name: "down", options: "630480000100", leaf: true},
		{name: "down, by RFC 9008", options: "230480000100", leaf: true},
		{name: "up, once", options: "630400000100", leaf: true},
		{name: "up, twice", options: "630440000100", leaf: true, dropped: DropRPLOption},
		{name: "of another instance", options: "630480070100", leaf: true, dropped: DropRPLOption},
		{name: "to a stranger", options: "630480000100", dropped: DropExtensionOption},
		{name: "to a stranger, by RFC 9008", options: "230480000100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var options []any
			if tc.leaf {
				options = append(options, joined)
			}
			s := newRadioScript(t, append(options, unacknowledged)...)
			s.skip()
			if tc.leaf {
				var parameters wire.RPLOptions
				parameters = parameters.Append(&wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: 256, MaxRankIncrease: 2048})
				s.hearAll(rplPacket(linkA, rpl.AllNodes, &wire.RPLDIORepr{
					Version: 240, Rank: 256, Mode: wire.RPLStoring, DODAG: outside, Options: parameters,
				}))
				state, ok := s.link.RPL()
				require.True(t, ok)
				require.Equal(t, linkA, state.Parent)
			}
			before := s.stack.Counters().UDP.NoPorts
			s.hear(marked(t, meshA, meshB, tc.options))
			if tc.dropped != 0 {
				require.Equal(t, 1, s.drops(tc.dropped))
				return
			}
			require.Equal(t, before+1, s.stack.Counters().UDP.NoPorts, "it has come to who could have it")
		})
	}
}
