package route

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func via(destination, gateway string, metric int, link int32) Route {
	return Route{Destination: netip.MustParsePrefix(destination), Gateway: addr(gateway), Metric: metric, Link: link}
}

func TestLookup(t *testing.T) {
	var table Table
	for _, r := range []Route{
		via("0.0.0.0/0", "192.168.69.100", 10, 2),
		via("0.0.0.0/0", "10.0.0.1", 5, 3),
		via("192.168.69.0/24", "", 0, 2),
		via("10.0.0.0/8", "", 0, 3),
		via("10.1.0.0/16", "10.0.0.2", 0, 3),
		via("10.1.2.3/32", "10.0.0.3", 7, 3),
		via("127.0.0.0/8", "", 0, 1),
		via("fe80::/64", "", 0, 2),
		via("fe80::/64", "", 0, 3),
		via("fdaa::/64", "", 0, 2),
		via("::1/128", "", 0, 1),
		via("::/0", "fe80::1", 0, 2),
	} {
		require.NoError(t, table.Add(r))
	}
	for _, test := range []struct {
		name    string
		link    int32
		dst     string
		gateway string
		want    int32 // 0: no route
	}{
		{"on the link", 0, "192.168.69.100", "", 2},
		{"longest prefix of three", 0, "10.1.2.3", "10.0.0.3", 3},
		{"longest prefix of two", 0, "10.1.2.4", "10.0.0.2", 3},
		{"shortest prefix that has it", 0, "10.200.0.1", "", 3},
		{"default route of the lowest metric", 0, "198.51.100.1", "10.0.0.1", 3},
		{"metric gives way to the interface asked for", 2, "198.51.100.1", "192.168.69.100", 2},
		{"prefix gives way to the interface asked for", 2, "10.1.2.3", "192.168.69.100", 2},
		{"no route by that interface", 1, "198.51.100.1", "", 0},
		{"loopback", 0, "127.255.0.1", "", 1},
		{"IPv6 on the link", 0, "fdaa::100", "", 2},
		{"IPv6 by default", 0, "2001:db8::1", "fe80::1", 2},
		{"IPv6 loopback", 0, "::1", "", 1},
		{"link-local, the first of equals", 0, "fe80::5", "", 2},
		{"link-local, on the interface asked for", 3, "fe80::5", "", 3},
		{"a zone does not matter", 3, "fe80::5%eth0", "", 3},
		{"an IPv4-mapped address is an IPv6 address", 0, "::ffff:10.1.2.3", "fe80::1", 2},
		{"the zero address", 0, "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, ok := table.Lookup(test.link, addr(test.dst))
			require.Equal(t, test.want != 0, ok)
			require.Equal(t, test.want, r.Link)
			require.Equal(t, addr(test.gateway), r.Gateway)
		})
	}
}

func TestLookupFindsTheOldestAmongEquals(t *testing.T) {
	var table Table
	require.NoError(t, table.Add(via("::/0", "fe80::2", 0, 2)))
	require.NoError(t, table.Add(via("::/0", "fe80::1", 0, 2)))
	r, _ := table.Lookup(0, addr("2001:db8::1"))
	require.Equal(t, addr("fe80::2"), r.Gateway)
	require.NoError(t, table.Remove(via("::/0", "fe80::2", 0, 2)))
	r, _ = table.Lookup(0, addr("2001:db8::1"))
	require.Equal(t, addr("fe80::1"), r.Gateway)
}

func TestAddRefuses(t *testing.T) {
	table := Table{Limit: 1}
	require.NoError(t, table.Add(via("10.0.0.0/8", "", 0, 2)))
	generation := table.Generation()
	for _, test := range []struct {
		name  string
		route Route
		err   error
		text  string
	}{
		{"no prefix", Route{Link: 2}, ErrInvalid, "no prefix"},
		{"a prefix that is too long", Route{Destination: netip.PrefixFrom(addr("10.0.0.0"), 33), Link: 2}, ErrInvalid, "no prefix"},
		{"host bits", via("192.168.69.1/24", "", 0, 2), ErrInvalid, "192.168.69.1/24 link 2 metric 0: the destination has host bits set; its range is 192.168.69.0/24"},
		{"IPv6 host bits", via("fdaa::1/64", "", 0, 2), ErrInvalid, "its range is fdaa::/64"},
		{"IPv4 in IPv6", Route{Destination: netip.PrefixFrom(addr("::ffff:10.0.0.0"), 104), Link: 2}, ErrInvalid, "IPv4-mapped"},
		{"IPv6 gateway of an IPv4 range", via("10.1.0.0/16", "fe80::1", 0, 2), ErrInvalid, "10.1.0.0/16 via fe80::1 link 2 metric 0: the gateway is not of the destination's address family"},
		{"IPv4 gateway of an IPv6 range", via("::/0", "10.0.0.1", 0, 2), ErrInvalid, "address family"},
		{"IPv4-mapped gateway", via("::/0", "::ffff:10.0.0.1", 0, 2), ErrInvalid, "address family"},
		{"gateway with a zone", via("::/0", "fe80::1%eth0", 0, 2), ErrInvalid, "zone"},
		{"unspecified gateway", via("0.0.0.0/0", "0.0.0.0", 0, 2), ErrInvalid, "unicast"},
		{"multicast gateway", via("::/0", "ff02::1", 0, 2), ErrInvalid, "unicast"},
		{"broadcast gateway", via("0.0.0.0/0", "255.255.255.255", 0, 2), ErrInvalid, "unicast"},
		{"negative metric", via("10.1.0.0/16", "", -1, 2), ErrInvalid, "metric -1"},
		{"no interface", via("10.1.0.0/16", "", 0, 0), ErrInvalid, "link 0"},
		{"duplicate", via("10.0.0.0/8", "", 0, 2), ErrDuplicate, "10.0.0.0/8 link 2"},
		{"duplicate but for the metric", via("10.0.0.0/8", "", 9, 2), ErrDuplicate, "10.0.0.0/8 link 2"},
		{"one too many", via("10.0.0.0/8", "", 0, 3), ErrLimit, "10.0.0.0/8 link 3 metric 0 would exceed the limit of 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := table.Add(test.route)
			require.ErrorIs(t, err, test.err)
			require.ErrorContains(t, err, test.text)
			require.Equal(t, 1, table.Len())
			require.Equal(t, generation, table.Generation(), "nothing has changed")
		})
	}
}

func TestRemove(t *testing.T) {
	var table Table
	first := via("10.0.0.0/8", "", 3, 2)
	second := via("10.0.0.0/8", "192.168.0.1", 4, 2)
	third := via("::/0", "fe80::1", 0, 3)
	for _, r := range []Route{second, first, third} {
		before := table.Generation()
		require.NoError(t, table.Add(r))
		require.NotEqual(t, before, table.Generation())
	}
	require.Equal(t, []Route{first, second, third}, table.Routes())

	require.ErrorIs(t, table.Remove(via("10.0.0.0/8", "192.168.0.2", 4, 2)), ErrNotFound)
	before := table.Generation()
	require.NoError(t, table.Remove(via("10.0.0.0/8", "", 0, 2)), "the metric does not matter")
	require.NotEqual(t, before, table.Generation())
	require.Equal(t, []Route{second, third}, table.Routes())

	before = table.Generation()
	require.Zero(t, table.RemoveLink(7))
	require.Equal(t, before, table.Generation())
	require.Equal(t, 1, table.RemoveLink(3))
	require.NotEqual(t, before, table.Generation())
	require.Equal(t, 1, table.RemoveLink(2))
	require.Empty(t, table.Routes())
	_, ok := table.Lookup(0, addr("10.0.0.1"))
	require.False(t, ok)
}

// TestLookupAgainstModel compares the table with a walk over an unsorted list.
func TestLookupAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table Table
	var model []Route
	randomAddr := func() netip.Addr {
		// Few values, so that prefixes overlap.
		v := byte(random.IntN(8)) << 5
		if random.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, v, byte(random.IntN(4)) << 6, byte(random.IntN(4))})
		}
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: v, 8: byte(random.IntN(4)) << 6, 15: byte(random.IntN(4))})
	}
	for range 20000 {
		switch dst := randomAddr(); random.IntN(4) {
		case 0:
			prefix := netip.PrefixFrom(dst, random.IntN(dst.BitLen()+1)).Masked()
			r := Route{Destination: prefix, Metric: random.IntN(3), Link: 1 + random.Int32N(3)}
			duplicate := slices.ContainsFunc(model, r.same)
			require.Equal(t, duplicate, table.Add(r) != nil)
			if !duplicate {
				model = append(model, r)
			}
		case 1:
			if len(model) > 50 || len(model) > 0 && random.IntN(4) == 0 {
				i := random.IntN(len(model))
				require.NoError(t, table.Remove(model[i]))
				model = slices.Delete(model, i, i+1)
			}
		default:
			link := random.Int32N(4)
			var want *Route
			for i, r := range model {
				if !r.Destination.Contains(dst) || link != 0 && r.Link != link {
					continue
				}
				if want == nil || r.Destination.Bits() > want.Destination.Bits() ||
					r.Destination.Bits() == want.Destination.Bits() && r.Metric < want.Metric {
					want = &model[i]
				}
			}
			got, ok := table.Lookup(link, dst)
			require.Equal(t, want != nil, ok)
			if ok {
				require.Equal(t, *want, got)
			}
		}
		require.Equal(t, len(model), table.Len())
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var table Table
	require.NoError(t, table.Add(via("::/0", "fe80::1", 0, 2)))
	require.NoError(t, table.Add(via("fdaa::/64", "", 0, 2)))
	dst := addr("2001:db8::1")
	require.Zero(t, testing.AllocsPerRun(100, func() { table.Lookup(0, dst) }))
}

func BenchmarkLookup(b *testing.B) {
	var table Table
	for _, r := range []Route{
		via("0.0.0.0/0", "192.168.69.100", 0, 2), via("192.168.69.0/24", "", 0, 2), via("127.0.0.0/8", "", 0, 1),
		via("192.168.69.1/32", "", 0, 1), via("127.0.0.1/32", "", 0, 1),
	} {
		require.NoError(b, table.Add(r))
	}
	dst := addr("198.51.100.1")
	b.ReportAllocs()
	for b.Loop() {
		table.Lookup(0, dst)
	}
}
