package tcp

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cookieName is 36 octets of addresses and ports.
func cookieName(n uint32) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 32), n)
}

func startedCookies() *cookies {
	c := new(cookies)
	c.start([32]byte{1, 2, 3})
	return c
}

func TestCookieKeepsMSS(t *testing.T) {
	c := startedCookies()
	for _, row := range []struct{ mss, kept int }{
		{0, 536}, {535, 536}, {536, 536}, {1219, 536}, {1220, 1220}, {1299, 1220}, {1300, 1300}, {1400, 1400}, {1440, 1440},
		{1448, 1440}, {1452, 1452}, {1460, 1460}, {8959, 1460}, {8960, 8960}, {65535, 8960},
	} {
		t.Run(strconv.Itoa(row.mss), func(t *testing.T) {
			isn := c.encode(1e12, cookieName(7), 0xdeadbeef, row.mss)
			mss, ok := c.check(1e12, cookieName(7), 0xdeadbeef, isn)
			require.True(t, ok)
			assert.Equal(t, row.kept, mss)
		})
	}
}

func TestCookieLifetime(t *testing.T) {
	c := startedCookies()
	const slot = int64(cookieSlot)
	for _, row := range []struct {
		name    string
		made    int64
		checked int64
		ok      bool
	}{
		{"at once", 5 * slot, 5 * slot, true},
		{"in the next slot", 5 * slot, 7*slot - 1, true},
		{"in the one after", 5 * slot, 7 * slot, false},
		{"just a slot later", 6*slot - 1, 7*slot - 1, true},
		{"256 slots later, where the clock's bits are the same", 5 * slot, 261 * slot, false},
		{"before it was made", 5 * slot, 5*slot - 1, false},
		{"at the epoch", 0, 0, true},
		{"a slot after the epoch", 0, slot, true},
		{"two slots after the epoch", 0, 2 * slot, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, ok := c.check(row.checked, cookieName(7), 99, c.encode(row.made, cookieName(7), 99, 1460))
			assert.Equal(t, row.ok, ok)
		})
	}
}

func TestCookieIsBoundToItsConnection(t *testing.T) {
	c := startedCookies()
	isn := c.encode(1e12, cookieName(7), 99, 1460)
	_, ok := c.check(1e12, cookieName(8), 99, isn)
	assert.False(t, ok, "another name")
	_, ok = c.check(1e12, cookieName(7), 100, isn)
	assert.False(t, ok, "another initial sequence number of the peer")
	other := new(cookies)
	other.start([32]byte{9})
	_, ok = other.check(1e12, cookieName(7), 99, isn)
	assert.False(t, ok, "another secret")
}

func TestCookieRotation(t *testing.T) {
	const slot = int64(cookieSlot)
	c := startedCookies()
	old := c.encode(5*slot, cookieName(7), 99, 1460)
	c.rotate(5*slot, [32]byte{4})
	require.Equal(t, old, c.encode(5*slot, cookieName(7), 99, 1460), "the new secret begins with the next slot")
	c.rotate(5*slot, [32]byte{5}) // again before it was used
	_, ok := c.check(6*slot, cookieName(7), 99, old)
	assert.True(t, ok, "the old one still counts for the slot it was used in")

	isn := c.encode(6*slot, cookieName(7), 99, 1460)
	_, ok = startedCookies().check(6*slot, cookieName(7), 99, isn)
	assert.False(t, ok, "a cookie of the new secret")
	_, ok = c.check(7*slot, cookieName(7), 99, isn)
	assert.True(t, ok)

	c.rotate(7*slot, [32]byte{6})
	_, ok = c.check(7*slot, cookieName(7), 99, isn)
	assert.True(t, ok, "rotating takes nothing back that is of the present or the previous slot")
}

func TestCookieGuesses(t *testing.T) {
	c := startedCookies()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		_, ok := c.check(1e12, cookieName(7), uint32(i), random.Uint32())
		require.False(t, ok)
	}
}

func TestCookieSlotIsChecked(t *testing.T) {
	// Of all values that the eight bits of the slot may have, one is right.
	c := startedCookies()
	isn := c.encode(1e12, cookieName(7), 99, 1460)
	for i := uint32(1); i < 256; i++ {
		_, ok := c.check(1e12, cookieName(7), 99, isn+i<<24)
		require.False(t, ok)
	}
}

func TestCookieSequenceNumbersGrow(t *testing.T) {
	// By 2^24 a slot, give or take what hides the index: a connection of the same name a few slots later begins ahead of the one
	// before, as it does with the clock of other initial sequence numbers.
	c := startedCookies()
	prior := c.encode(0, cookieName(7), 1, 1460)
	for slot := int64(2); slot < 600; slot += 2 {
		isn := c.encode(slot*cookieSlot, cookieName(7), uint32(slot), 1460)
		require.True(t, before(prior, isn))
		prior = isn
	}
}

func TestCookieDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted in this build")
	}
	c, name := startedCookies(), cookieName(7)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.check(1e12, name, 99, c.encode(1e12, name, 99, 1460))
	}))
}

func TestCookieTimestamp(t *testing.T) {
	for _, o := range []cookieOptions{
		{},
		{hasWindowScale: true},
		{windowScale: 7, hasWindowScale: true},
		{windowScale: 14, hasWindowScale: true, sack: true},
		{sack: true},
		{ecn: true},
		{windowScale: 14, hasWindowScale: true, sack: true, ecn: true},
	} {
		for _, clock := range []uint32{0, 1, 63, 64, 1000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 0xcafebabe} {
			ts := o.timestamp(clock)
			assert.Equal(t, o, cookieOptionsIn(ts))
			assert.True(t, beforeEq(ts, clock), "not ahead of the clock: %d at %d", ts, clock)
			assert.Less(t, distance(ts, clock), 64)
		}
	}
	o := cookieOptionsIn(cookieOptions{windowScale: 15, hasWindowScale: true}.timestamp(1000))
	assert.Equal(t, cookieOptions{windowScale: 14, hasWindowScale: true}, o, "no shift is larger")
}

func BenchmarkCookieCheck(b *testing.B) {
	c, name := startedCookies(), cookieName(7)
	for b.Loop() {
		c.check(1e12, name, 99, 1)
	}
}
