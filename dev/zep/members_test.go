package zep

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMembersThatSayNothingAreForgotten(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	address := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port) }
	m := members{most: 2, expiry: time.Minute}
	require.True(t, m.hear(start, address(1)))
	require.True(t, m.hear(start, address(2)))
	require.False(t, m.hear(start.Add(30*time.Second), address(3)), "there is no room")
	require.True(t, m.hear(start.Add(30*time.Second), address(1)))
	require.False(t, m.hear(start.Add(time.Minute), address(3)), "the second was heard a minute ago, and no more")
	require.True(t, m.hear(start.Add(time.Minute+1), address(3)))
	require.Equal(t, []member{{address(1), start.Add(30 * time.Second)}, {address(3), start.Add(time.Minute + 1)}}, m.all)
}
