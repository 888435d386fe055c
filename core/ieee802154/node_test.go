package ieee802154

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// unhex reads hexadecimal digits with blanks between them.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// emit returns the octets of a frame that carries nothing.
func emit(h wire.IEEE802154Repr) []byte {
	b := make([]byte, h.Len())
	h.Emit(b)
	return b
}

var (
	alice = wire.LinkAddrFrom(unhex("02000000000000a1"))
	bob   = wire.LinkAddrFrom(unhex("02000000000000b0"))
)

func TestNode(t *testing.T) {
	node := Node{PAN: 0x23, Extended: alice, Short: wire.ShortAddr(0xa1)}
	for _, tt := range []struct {
		name          string
		h             wire.IEEE802154Repr
		accepted, ack bool
	}{
		{"to the extended address", wire.IEEE802154Repr{DstPAN: 0x23, Dst: alice}, true, true},
		{"to the short address", wire.IEEE802154Repr{DstPAN: 0x23, Dst: wire.ShortAddr(0xa1)}, true, true},
		{"to the node in any network", wire.IEEE802154Repr{DstPAN: wire.BroadcastPAN, Dst: alice}, true, true},
		{"to all", wire.IEEE802154Repr{DstPAN: 0x23, Dst: wire.BroadcastShortAddr}, true, false},
		{"to all in any network", wire.IEEE802154Repr{DstPAN: 0xffff, Dst: wire.BroadcastShortAddr}, true, false},
		{"to a group of RFC 4944", wire.IEEE802154Repr{DstPAN: 0x23, Dst: wire.ShortAddr(0x8001)}, true, false},
		{"to another node", wire.IEEE802154Repr{DstPAN: 0x23, Dst: bob}, false, false},
		{"in another network", wire.IEEE802154Repr{DstPAN: 0x24, Dst: alice}, false, false},
		{"to all in another network", wire.IEEE802154Repr{DstPAN: 0x24, Dst: wire.BroadcastShortAddr}, false, false},
		{"to the coordinator", wire.IEEE802154Repr{SrcPAN: 0x23, Src: bob}, false, false},
		{"2015, no network named", wire.IEEE802154Repr{Version: 2, PANCompression: true, Dst: alice, Src: bob}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.h.Type = wire.IEEE802154Data
			require.Equal(t, tt.accepted, node.Accepts(&tt.h))
			require.False(t, node.Acknowledges(&tt.h), "the sender does not ask for it")
			tt.h.AckRequest = true
			require.Equal(t, tt.ack, node.Acknowledges(&tt.h))
			tt.h.Type = wire.IEEE802154Command
			require.Equal(t, tt.ack, node.Acknowledges(&tt.h))
			tt.h.Type = wire.IEEE802154Ack
			require.False(t, node.Acknowledges(&tt.h))
		})
	}
	require.True(t, node.Accepts(&wire.IEEE802154Repr{Type: wire.IEEE802154Ack}))
	require.True(t, node.Accepts(&wire.IEEE802154Repr{Type: wire.IEEE802154Beacon, SrcPAN: 0x24, Src: bob}))

	anonymous := Node{PAN: 0x23, Extended: alice}
	require.False(t, anonymous.Accepts(&wire.IEEE802154Repr{Type: wire.IEEE802154Data, SrcPAN: 0x23, Src: bob}),
		"no address is not the short address that the node has not")
}

func TestAcknowledgment(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    wire.IEEE802154Repr
		want string
	}{
		// As RIOT does: its README in the captures, "ack 02 00 seq".
		{"2003", wire.IEEE802154Repr{Seq: 77, Dst: alice, Src: bob}, "0200 4d"},
		{"2006", wire.IEEE802154Repr{Version: 1, Seq: 77, Dst: alice, Src: bob}, "0200 4d"},
		{
			"2015, one network", wire.IEEE802154Repr{Version: 2, Seq: 77, DstPAN: 0x23, SrcPAN: 0x23, Dst: alice, Src: bob},
			"022c 4d 2300 b000000000000002",
		},
		{
			"2015, no network named", wire.IEEE802154Repr{Version: 2, Seq: 77, PANCompression: true, Dst: alice, Src: bob},
			"422c 4d b000000000000002",
		},
		{"2015, no source", wire.IEEE802154Repr{Version: 2, Seq: 77, DstPAN: 0x23, Dst: alice}, "0220 4d"},
		{
			"2015, no sequence number",
			wire.IEEE802154Repr{Version: 2, SeqSuppressed: true, DstPAN: 0x23, SrcPAN: 0x24, Dst: alice, Src: wire.ShortAddr(5)},
			"0229 2400 0500",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.h.Type, tt.h.AckRequest = wire.IEEE802154Data, true
			require.Equal(t, unhex(tt.want), emit(Acknowledgment(&tt.h)))
		})
	}
}
