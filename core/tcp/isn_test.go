package tcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 6528: a timer of 4 µs, plus a function of the connection's name and a secret.
func TestInitialSequenceNumbers(t *testing.T) {
	seeded := func(seed byte) *Host {
		return newScript(t, func(c *Config) { c.Rand = rand.NewChaCha8([32]byte{seed}) }).host
	}
	h := seeded(0)
	local, remote := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:80")
	name := newID(local, remote, 0)
	first := h.isn(0, &name)

	t.Run("the timer", func(t *testing.T) {
		require.Equal(t, first, h.isn(3999, &name))
		require.Equal(t, first+1, h.isn(4000, &name))
		require.Equal(t, first+250_000, h.isn(1e9, &name))
		require.Equal(t, first, h.isn(4000<<32, &name), "it wraps")
	})
	seen := map[uint32]string{first: "the first"}
	for _, row := range []struct {
		name string
		host *Host
		id   id
	}{
		{"another local address", h, newID(netip.MustParseAddrPort("192.0.2.9:1000"), remote, 0)},
		{"another local port", h, newID(addPort(local, 1), remote, 0)},
		{"another remote address", h, newID(local, netip.MustParseAddrPort("192.0.2.9:80"), 0)},
		{"another remote port", h, newID(local, addPort(remote, 1), 0)},
		{"the other way round", h, newID(remote, local, 0)},
		{"another secret", seeded(1), name},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := row.host.isn(0, &row.id)
			require.Empty(t, seen[n])
			seen[n] = row.name
		})
	}
	require.Equal(t, first, seeded(0).isn(0, &name), "nothing else goes into it")
}

// RFC 6056: ephemeral ports are chosen at random among all there are.
func TestEphemeralPortsAreRandom(t *testing.T) {
	const first, last, draws = 20000, 20999, 500
	choose := func(seed byte) (ports []uint16) {
		s := newScript(t, func(c *Config) {
			c.FirstPort, c.LastPort, c.Rand = first, last, rand.NewChaCha8([32]byte{seed})
		})
		for range draws {
			c, err := s.host.Dial(s.now, DialConfig{Remote: s.peer})
			require.NoError(t, err)
			port := c.LocalAddr().Port()
			require.GreaterOrEqual(t, port, uint16(first))
			require.LessOrEqual(t, port, uint16(last))
			ports = append(ports, port)
			c.Abort(s.now) // so that no choice depends on those before
		}
		s.net.discard()
		return ports
	}
	ports := choose(0)
	var tenths [10]int
	successors := 0
	for i, port := range ports {
		tenths[(port-first)/100]++
		if i > 0 && port == ports[i-1]+1 {
			successors++
		}
	}
	for i, n := range tenths {
		require.InDelta(t, draws/10, n, 35, "in tenth %d of the range", i) // five standard deviations
	}
	require.Less(t, successors, 10, "one says nothing about the next")
	require.NotEqual(t, ports, choose(1), "another secret, other ports")
}
