package ieee802154

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

func wantETX(t *testing.T, l *Links, addr wire.LinkAddr, least, most uint16, why string) {
	t.Helper()
	etx, ok := l.ETX(addr)
	require.True(t, ok, why)
	require.GreaterOrEqual(t, etx, least, why)
	require.LessOrEqual(t, etx, most, why)
}

func TestLinks(t *testing.T) {
	l := NewLinks(0)
	_, ok := l.ETX(alice)
	require.False(t, ok, "nothing is known")

	l.Transmitted(alice, 1, true)
	wantETX(t, l, alice, ETXUnit, ETXUnit, "as good as it gets")
	for range 100 {
		l.Transmitted(alice, 2, true)
	}
	wantETX(t, l, alice, 2*ETXUnit-1, 2*ETXUnit, "each frame twice")
	for range 100 {
		l.Transmitted(alice, 1, true)
	}
	wantETX(t, l, alice, ETXUnit, ETXUnit+1, "it has recovered")

	l.Transmitted(bob, 4, false)
	wantETX(t, l, bob, ETXUnit+1, 2*ETXUnit, "one frame lost does not make a bad link")
	for range 10 {
		l.Transmitted(bob, 4, false)
	}
	wantETX(t, l, bob, 8*ETXUnit, 0xffff, "ten do")
	for range 1000 {
		l.Transmitted(bob, 4, false)
	}
	wantETX(t, l, bob, 0xffff, 0xffff, "nothing gets through")
	for range 40 {
		l.Transmitted(bob, 1, true)
	}
	wantETX(t, l, bob, ETXUnit, ETXUnit+4, "it is back")

	before, _ := l.ETX(bob)
	l.Transmitted(bob, 0, true)
	wantETX(t, l, bob, before, before, "what was not sent says nothing")
	l.Transmitted(bob, 1<<30, true)
	wantETX(t, l, bob, 100*ETXUnit, 0xffff, "so often is as often as can be")
}

// A link that loses three frames in four, with four attempts each, is a link of ETX 4.
func TestLinksOfALossyLink(t *testing.T) {
	l := NewLinks(1)
	random := uint32(1)
	sum, n := 0, 0
	for i := range 10_000 {
		attempts, acked := 0, false
		for ; attempts < 4 && !acked; attempts++ {
			random = random*1664525 + 1013904223
			acked = random>>30 == 0
		}
		l.Transmitted(alice, attempts, acked)
		if i > 100 {
			etx, _ := l.ETX(alice)
			sum, n = sum+int(min(etx, 16*ETXUnit)), n+1
		}
	}
	require.InDelta(t, 4*ETXUnit, sum/n, ETXUnit, "on average")
}

func TestLinksForgetsTheQuietest(t *testing.T) {
	l := NewLinks(2)
	l.Transmitted(alice, 1, true)
	l.Transmitted(bob, 1, true)
	l.Transmitted(alice, 1, true)
	l.Transmitted(wire.ShortAddr(3), 1, true)
	_, ok := l.ETX(alice)
	require.True(t, ok)
	_, ok = l.ETX(bob)
	require.False(t, ok)
}
