package linklocal

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a claimer and its link.
type script struct {
	now       int64
	timers    timer.Heap
	claimer   *Claimer
	probed    []netip.Addr
	times     []time.Duration
	withdrawn []netip.Addr
}

func (s *script) Probe(now int64, addr netip.Addr) {
	s.probed = append(s.probed, addr)
	s.times = append(s.times, time.Duration(now))
}

func (s *script) Withdraw(now int64, addr netip.Addr) { s.withdrawn = append(s.withdrawn, addr) }

func (s *script) advance(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

func newScript(t *testing.T, hw wire.HardwareAddr, previous netip.Addr) *script {
	s := new(script)
	var err error
	s.claimer, err = New(Config{Timers: &s.timers, Link: s, HardwareAddr: hw, Previous: previous})
	require.NoError(t, err)
	return s
}

var hardware = wire.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestClaim(t *testing.T) {
	s := newScript(t, hardware, netip.Addr{})
	require.False(t, s.claimer.Running())
	s.claimer.Start(0)
	s.claimer.Start(0)
	require.Len(t, s.probed, 1)
	require.True(t, usable(s.probed[0]))
	require.False(t, s.claimer.Addr().IsValid(), "not before it is known to be free")
	s.claimer.Probed(0, false)
	require.Equal(t, s.probed[0], s.claimer.Addr())

	s.claimer.Stop(0)
	require.Equal(t, s.probed, s.withdrawn)
	require.False(t, s.claimer.Running())
	s.claimer.Probed(0, true)
	s.claimer.Probed(0, false)
	require.False(t, s.claimer.Addr().IsValid(), "late news are of no concern")

	s.claimer.Start(0)
	require.Equal(t, s.probed[0], s.probed[1], "the address of before")
}

func TestConflict(t *testing.T) {
	for _, claimed := range []bool{false, true} {
		s := newScript(t, hardware, netip.Addr{})
		s.claimer.Start(0)
		if claimed {
			s.claimer.Probed(0, false)
		}
		s.claimer.Probed(0, true)
		require.Equal(t, s.probed, s.withdrawn)
		s.advance(0)
		require.Len(t, s.probed, 2)
		require.NotEqual(t, s.probed[0], s.probed[1])
	}
}

// "[...] no more than one new address per RATE_LIMIT_INTERVAL."
func TestConflictsAreLimited(t *testing.T) {
	s := newScript(t, hardware, netip.Addr{})
	s.claimer.Start(0)
	for range 20 {
		s.claimer.Probed(s.now, true)
		for n := len(s.probed); len(s.probed) == n; {
			s.advance(time.Second)
		}
	}
	require.Less(t, s.times[10], time.Minute)
	for i := 11; i < len(s.times); i++ {
		require.GreaterOrEqual(t, s.times[i]-s.times[i-1], time.Minute, "address %d", i)
	}
	s.claimer.Probed(s.now, true)
	s.claimer.Stop(s.now)
	n := len(s.probed)
	s.advance(time.Hour)
	require.Len(t, s.probed, n, "nothing more after the end")
}

func TestChoice(t *testing.T) {
	first := func(hw wire.HardwareAddr, previous string) netip.Addr {
		var addr netip.Addr
		if previous != "" {
			addr = netip.MustParseAddr(previous)
		}
		s := newScript(t, hw, addr)
		s.claimer.Start(0)
		return s.probed[0]
	}
	require.Equal(t, first(hardware, ""), first(hardware, ""), "the same host chooses the same")
	require.NotEqual(t, first(hardware, ""), first(wire.HardwareAddr{2, 0, 0, 0, 0, 2}, ""))
	require.Equal(t, netip.MustParseAddr("169.254.7.8"), first(hardware, "169.254.7.8"))
	for _, wrong := range []string{"10.0.0.1", "169.254.0.5", "169.254.255.5", "fe80::1"} {
		require.Equal(t, first(hardware, ""), first(hardware, wrong))
	}
	seen := make(map[byte]bool)
	s := newScript(t, hardware, netip.Addr{})
	for range 10000 {
		addr := s.claimer.choose()
		require.True(t, usable(addr))
		seen[addr.As4()[2]] = true
	}
	require.Len(t, seen, 254)
}

func TestConfig(t *testing.T) {
	_, err := New(Config{})
	require.ErrorIs(t, err, ErrInvalid)
}
