package route

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func on(link int32, prefix string) Address {
	return Address{Prefix: netip.MustParsePrefix(prefix), Link: link}
}

func deprecated(a Address) Address { a.Deprecated = true; return a }
func temporary(a Address) Address  { a.Temporary = true; return a }
func tentative(a Address) Address  { a.Tentative = true; return a }

// TestSourceExamples holds the examples of RFC 6724, but for the one about home addresses.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-10.1
func TestSourceExamples(t *testing.T) {
	for _, test := range []struct {
		name       string
		dst        string
		candidates []Address
		want       string
	}{
		{"prefer appropriate scope", "2001:db8:1::1",
			[]Address{on(2, "2001:db8:3::1/64"), on(2, "fe80::1/64")}, "2001:db8:3::1"},
		{"prefer appropriate scope of a group", "ff05::1",
			[]Address{on(2, "2001:db8:3::1/64"), on(2, "fe80::1/64")}, "2001:db8:3::1"},
		{"prefer same address", "2001:db8:1::1",
			[]Address{deprecated(on(2, "2001:db8:1::1/64")), on(2, "2001:db8:2::1/64")}, "2001:db8:1::1"},
		{"prefer appropriate scope over what is not deprecated", "fe80::1",
			[]Address{deprecated(on(2, "fe80::2/64")), on(2, "2001:db8:1::1/64")}, "fe80::2"},
		{"longest matching prefix", "2001:db8:1::1",
			[]Address{on(2, "2001:db8:1::2/64"), on(2, "2001:db8:3::2/64")}, "2001:db8:1::2"},
		{"prefer matching label", "2002:c633:6401::1",
			[]Address{temporary(on(2, "2002:c633:6401::d5e3:7953:13eb:22e8/64")), on(2, "2001:db8:1::2/64")},
			"2002:c633:6401::d5e3:7953:13eb:22e8"},
		{"prefer temporary address", "2001:db8:1::d5e3:0:0:1",
			[]Address{on(2, "2001:db8:1::2/64"), temporary(on(2, "2001:db8:1::d5e3:7953:13eb:22e8/64"))},
			"2001:db8:1::d5e3:7953:13eb:22e8"},
	} {
		t.Run(test.name, func(t *testing.T) { wantSource(t, test.candidates, 2, "", test.dst, test.want) })
	}
}

func TestSource(t *testing.T) {
	for _, test := range []struct {
		name         string
		candidates   []Address
		link         int32
		nextHop, dst string
		want         string
	}{
		{"no destination", []Address{on(2, "2001:db8::2/64")}, 2, "", "", ""},
		{"no candidate", nil, 2, "", "2001:db8::1", ""},
		{"none of the family", []Address{on(2, "192.0.2.1/24")}, 2, "", "2001:db8::1", ""},
		{"a tentative address is none", []Address{tentative(on(2, "2001:db8::2/64"))}, 2, "", "2001:db8::1", ""},
		{"not even for itself", []Address{tentative(on(2, "2001:db8::2/64"))}, 2, "", "2001:db8::2", ""},
		{"a deprecated one is better than none", []Address{deprecated(on(2, "2001:db8::2/64"))}, 2, "", "2001:db8::1", "2001:db8::2"},
		{"rule 3: a valid one is better than a deprecated one",
			[]Address{deprecated(on(2, "2001:db8:1::2/64")), on(2, "2001:db8:f::2/64")}, 2, "", "2001:db8:1::1", "2001:db8:f::2"},
		{"rule 2: a larger scope than needed is better than one too small",
			[]Address{on(2, "fe80::2/64"), on(3, "2001:db8::2/64")}, 2, "", "2001:db8:1::1", "2001:db8::2"},
		{"rule 2: site-local for site-local",
			[]Address{on(2, "2001:db8::2/64"), on(2, "fec0::2/64")}, 2, "", "fec0::9", "fec0::2"},
		{"rule 2: a scope too small is better than none", []Address{on(2, "fe80::2/64")}, 2, "", "2001:db8:1::1", "fe80::2"},
		{"rule 2: link-local for a link-local group",
			[]Address{on(2, "2001:db8::2/64"), on(2, "fe80::2/64")}, 2, "", "ff02::fb", "fe80::2"},
		{"rule 5: the outgoing interface before the longer match",
			[]Address{on(3, "2001:db8:1::3/64"), on(2, "2001:db8:f::2/64")}, 2, "fe80::1", "2001:db8:1::1", "2001:db8:f::2"},
		{"rule 6: a unique local address for a unique local one",
			[]Address{on(2, "2001:db8::2/64"), on(2, "fdaa::2/64")}, 2, "", "fdbb::1", "fdaa::2"},
		{"rule 6: a global address for a global one",
			[]Address{on(2, "fdaa::2/64"), on(2, "2001:db8::2/64")}, 2, "", "2600::1", "2001:db8::2"},
		{"rule 8: not beyond the subnet's prefix, so that the first wins",
			[]Address{on(2, "2001:db8::1:0:0:1/64"), on(2, "2001:db8::2:0:0:1/64")}, 2, "", "2001:db8::2:0:0:9", "2001:db8::1:0:0:1"},
		{"section 4: link-local destinations from their own link only",
			[]Address{on(3, "fe80::3/64"), on(3, "2001:db8::3/64"), on(2, "2001:db8:2::2/64")}, 2, "", "fe80::9", "2001:db8:2::2"},
		{"section 4: none on that link", []Address{on(3, "fe80::3/64")}, 2, "", "fe80::9", ""},
		{"section 4: groups from their own link only",
			[]Address{on(3, "2001:db8::3/64"), on(2, "fe80::2/64")}, 2, "", "ff0e::1", "fe80::2"},
		{"a link-local source means nothing on another link", []Address{on(3, "fe80::3/64")}, 2, "", "2001:db8::1", ""},
		{"the same link-local address on two links",
			[]Address{on(2, "fe80::1/64"), on(3, "fe80::1/64")}, 3, "", "fe80::1", "fe80::1"},
		{"loopback to itself", []Address{on(2, "2001:db8::2/64"), on(1, "::1/128")}, 1, "", "::1", "::1"},
		{"loopback never to the outside", []Address{on(1, "::1/128")}, 2, "", "2001:db8::1", ""},
		{"an own address by way of loopback",
			[]Address{on(1, "::1/128"), on(2, "2001:db8::2/64"), on(2, "2001:db8::3/64")}, 1, "", "2001:db8::3", "2001:db8::3"},
		{"a zone does not matter", []Address{on(2, "fe80::2/64"), on(2, "fe80::1/64")}, 2, "", "fe80::1%eth0", "fe80::1"},
		{"an IPv4-mapped destination is an IPv4 one", []Address{on(2, "192.0.2.1/24")}, 2, "", "::ffff:192.0.2.7", "192.0.2.1"},

		{"IPv4: same address", []Address{on(2, "10.0.0.1/8"), on(2, "10.0.0.2/8")}, 1, "", "10.0.0.2", "10.0.0.2"},
		{"IPv4: same subnet", []Address{on(2, "10.0.0.1/8"), on(2, "192.168.69.1/24")}, 2, "", "192.168.69.100", "192.168.69.1"},
		{"IPv4: same subnet before more bits in common",
			[]Address{on(2, "192.168.4.1/24"), on(2, "192.168.0.1/16")}, 2, "", "192.168.5.9", "192.168.0.1"},
		{"IPv4: the smaller of two subnets",
			[]Address{on(2, "10.0.0.1/8"), on(2, "10.1.2.1/24")}, 2, "10.1.2.9", "10.1.2.9", "10.1.2.1"},
		{"IPv4: the gateway's subnet",
			[]Address{on(2, "10.0.0.1/8"), on(2, "192.168.69.1/24")}, 2, "192.168.69.254", "11.0.0.1", "192.168.69.1"},
		{"IPv4: the outgoing interface before the subnet",
			[]Address{on(3, "10.0.0.1/8"), on(2, "192.168.69.1/24")}, 2, "", "10.0.0.9", "192.168.69.1"},
		{"IPv4: another interface's address is better than none",
			[]Address{on(3, "192.168.69.1/24")}, 2, "", "198.51.100.1", "192.168.69.1"},
		{"IPv4: not link-local for global",
			[]Address{on(2, "169.254.9.9/16"), on(2, "10.0.0.1/8")}, 2, "", "198.51.100.1", "10.0.0.1"},
		{"IPv4: link-local for link-local",
			[]Address{on(2, "10.0.0.1/8"), on(2, "169.254.9.9/16")}, 2, "", "169.254.1.1", "169.254.9.9"},
		{"IPv4: link-local destinations from their own link only",
			[]Address{on(3, "169.254.9.9/16"), on(2, "10.0.0.1/8")}, 2, "", "169.254.1.1", "10.0.0.1"},
		{"IPv4: private addresses are as good as public ones",
			[]Address{on(2, "10.0.0.1/8"), on(2, "203.0.113.1/24")}, 2, "", "8.8.8.8", "10.0.0.1"},
		{"IPv4: groups not from link-local",
			[]Address{on(2, "169.254.9.9/16"), on(2, "10.0.0.1/8")}, 2, "", "224.0.0.251", "10.0.0.1"},
		{"IPv4: broadcasts from their own link only",
			[]Address{on(3, "192.168.69.1/24"), on(2, "10.0.0.1/8")}, 2, "", "255.255.255.255", "10.0.0.1"},
		{"IPv4: broadcasts not from another link", []Address{on(3, "192.168.69.1/24")}, 2, "", "255.255.255.255", ""},
		{"IPv4: loopback to loopback", []Address{on(2, "10.0.0.1/8"), on(1, "127.0.0.1/8")}, 1, "", "127.0.0.5", "127.0.0.1"},
		{"IPv4: loopback never to the outside", []Address{on(1, "127.0.0.1/8")}, 2, "", "8.8.8.8", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantSource(t, test.candidates, test.link, test.nextHop, test.dst, test.want)
		})
	}
}

func TestSourceSaysOnWhichLink(t *testing.T) {
	source, ok := Source([]Address{on(2, "fe80::1/64"), on(3, "fe80::1/64")}, 3, netip.Addr{}, addr("fe80::2"))
	require.True(t, ok)
	require.Equal(t, int32(3), source.Link)
}

func TestSourceAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	candidates := []Address{on(2, "fe80::1/64"), on(2, "fdaa::1/64"), on(2, "2001:db8::1/64")}
	dst := addr("2001:db8:1::1")
	require.Zero(t, testing.AllocsPerRun(100, func() { Source(candidates, 2, netip.Addr{}, dst) }))
}

func wantSource(t *testing.T, candidates []Address, link int32, nextHop, dst, want string) {
	t.Helper()
	source, ok := Source(candidates, link, addr(nextHop), addr(dst))
	require.Equal(t, want != "", ok)
	require.Equal(t, addr(want), source.Prefix.Addr())
}
