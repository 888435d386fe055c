package ieee802154

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// listener tells a Duplicates of frames, and holds it to what it recognizes.
type listener struct {
	*testing.T
	*Duplicates
	now int64
}

func newListener(t *testing.T, cfg DuplicatesConfig) *listener {
	d, err := NewDuplicates(cfg)
	require.NoError(t, err)
	return &listener{T: t, Duplicates: d}
}

func (l *listener) hears(from wire.LinkAddr, seq uint8, payload string, repeated bool, why string) {
	l.Helper()
	h := wire.IEEE802154Repr{Type: wire.IEEE802154Data, Src: from, Seq: seq}
	require.Equal(l, repeated, l.Repeated(l.now, &h, []byte(payload)), why)
}

func TestDuplicates(t *testing.T) {
	l := newListener(t, DuplicatesConfig{})
	l.hears(alice, 1, "one", false, "new")
	l.hears(alice, 1, "one", true, "its acknowledgment was lost")
	l.hears(bob, 1, "one", false, "another's")
	l.hears(alice, 2, "two", false, "new")
	l.hears(alice, 1, "one", true, "a copy behind the next frame")
	l.hears(alice, 2, "two", true, "and of that")
	l.hears(alice, 1, "another", false, "the same number for something else: 256 frames later, or after a new start")
	l.hears(alice, 0, "", false, "nothing has this number yet")
	l.hears(alice, 0, "", true, "now it has")

	l.now += int64(DefaultLifetime) - 1
	l.hears(alice, 2, "two", true, "within a second")
	l.now++
	l.hears(alice, 2, "two", false, "a second later it is another that says the same")
}

func TestDuplicatesRemembersEight(t *testing.T) {
	l := newListener(t, DuplicatesConfig{})
	for seq := range uint8(9) {
		l.hears(alice, seq, "x", false, "new")
	}
	l.hears(alice, 1, "x", true, "the last but seven")
	l.hears(alice, 0, "x", false, "one more is too long ago")
}

func TestDuplicatesForgetsTheQuietest(t *testing.T) {
	l := newListener(t, DuplicatesConfig{MaxSources: 2})
	carol := wire.ShortAddr(3)
	l.hears(alice, 1, "x", false, "new")
	l.hears(bob, 1, "x", false, "new")
	l.hears(alice, 1, "x", true, "a copy")
	l.hears(carol, 1, "x", false, "new, in bob's place")
	l.hears(alice, 1, "x", true, "still known")
	l.hears(carol, 1, "x", true, "still known")
	l.hears(bob, 1, "x", false, "forgotten")
	require.Len(t, l.sources.index, 2)
}

func TestDuplicatesWithoutASource(t *testing.T) {
	l := newListener(t, DuplicatesConfig{})
	for range 2 {
		l.hears(wire.LinkAddr{}, 1, "x", false, "who knows whose it is")
		require.False(t, l.Repeated(0, &wire.IEEE802154Repr{Version: 2, SeqSuppressed: true, Src: alice}, nil))
	}
}

func TestDuplicatesConfig(t *testing.T) {
	for _, cfg := range []DuplicatesConfig{{MaxSources: -1}, {Lifetime: -1}, {Lifetime: 25 * time.Hour}} {
		_, err := NewDuplicates(cfg)
		require.ErrorIs(t, err, ErrInvalid, "%+v", cfg)
	}
}

// A flood from made-up sources takes no memory but the table's.
func TestDuplicatesAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	l := newListener(t, DuplicatesConfig{})
	number := uint16(0)
	flood := func() {
		for range 100 {
			h := wire.IEEE802154Repr{Src: wire.ShortAddr(number)}
			if l.Repeated(0, &h, nil) {
				t.Fatal("repeated")
			}
			number++
		}
	}
	for range 10 {
		flood()
	}
	require.Zero(t, testing.AllocsPerRun(100, flood))
	require.Len(t, l.sources.rows, DefaultMaxSources)
}

func BenchmarkDuplicates(b *testing.B) {
	d, _ := NewDuplicates(DuplicatesConfig{})
	h, payload := wire.IEEE802154Repr{Src: alice}, make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		d.Repeated(0, &h, payload)
		h.Seq++
	}
}
