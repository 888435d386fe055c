package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

func TestLinkAddr(t *testing.T) {
	tests := []struct {
		name      string
		addr      wire.LinkAddr
		len       int
		multicast bool
		id        [8]byte
		text      string
	}{
		{name: "none", text: "none"},
		{name: "Ethernet station", addr: wire.HardwareAddr{2, 0, 0, 0, 0, 1}.LinkAddr(), len: 6,
			id: [8]byte{0, 0, 0, 0xff, 0xfe, 0, 0, 1}, text: "02:00:00:00:00:01"},
		{name: "Ethernet group", addr: wire.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}.LinkAddr(), len: 6, multicast: true,
			id: [8]byte{0x31, 0x33, 0, 0xff, 0xfe, 0, 0, 1}, text: "33:33:00:00:00:01"},
		{name: "extended", addr: wire.ExtendedAddr([8]byte{0x1a, 0x0b, 0x42, 0, 0, 0, 0, 7}), len: 8,
			id: [8]byte{0x18, 0x0b, 0x42, 0, 0, 0, 0, 7}, text: "1a:0b:42:00:00:00:00:07"},
		{name: "short", addr: wire.ShortAddr(0x1234), len: 2, id: [8]byte{0, 0, 0, 0xff, 0xfe, 0, 0x12, 0x34}, text: "0x1234"},
		{name: "short broadcast", addr: wire.BroadcastShortAddr, len: 2, multicast: true,
			id: [8]byte{0, 0, 0, 0xff, 0xfe, 0, 0xff, 0xff}, text: "0xffff"},
		{name: "short group", addr: wire.ShortAddr(0x8001), len: 2, multicast: true,
			id: [8]byte{0, 0, 0, 0xff, 0xfe, 0, 0x80, 0x01}, text: "0x8001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.len, tt.addr.Len())
			require.Equal(t, tt.len == 0, tt.addr.IsZero())
			require.Equal(t, tt.multicast, tt.addr.IsMulticast())
			require.Equal(t, tt.id, tt.addr.InterfaceID())
			require.Equal(t, tt.text, tt.addr.String())
			require.Equal(t, tt.addr, wire.LinkAddrFrom(tt.addr.AppendTo(nil)))
			linkLocal := tt.addr.LinkLocal().As16()
			require.True(t, tt.addr.LinkLocal().IsLinkLocalUnicast())
			require.Equal(t, tt.id[:], linkLocal[8:])
		})
	}
}

func TestLinkAddrIsOfOneMedium(t *testing.T) {
	ethernet, extended, short := wire.HardwareAddr{2, 0, 0, 0, 0, 1}.LinkAddr(), wire.ExtendedAddr([8]byte{1}), wire.ShortAddr(1)
	require.Equal(t, wire.HardwareAddr{2, 0, 0, 0, 0, 1}, ethernet.Ethernet())
	require.Zero(t, extended.Ethernet())
	eui64, ok := extended.Extended()
	require.True(t, ok)
	require.Equal(t, [8]byte{1}, eui64)
	_, ok = ethernet.Extended()
	require.False(t, ok)
	number, ok := short.Short()
	require.True(t, ok)
	require.EqualValues(t, 1, number)
	_, ok = extended.Short()
	require.False(t, ok)
	require.True(t, wire.HardwareAddr{}.LinkAddr().IsZero(), "no address of one medium is one of another")
}
