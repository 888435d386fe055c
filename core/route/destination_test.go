package route

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSortDestinations holds the examples of RFC 6724, but for the one about home addresses, and a few more.
// https://www.rfc-editor.org/rfc/rfc6724.html#section-10.2
func TestSortDestinations(t *testing.T) {
	for _, test := range []struct {
		name         string
		candidates   []Address
		destinations []string
		want         []string // destination and source
	}{
		{"prefer matching scope",
			[]Address{on(2, "2001:db8:1::2/64"), on(2, "fe80::1/64"), on(2, "169.254.13.78/16")},
			[]string{"2001:db8:1::1", "198.51.100.121"},
			[]string{"2001:db8:1::1", "2001:db8:1::2", "198.51.100.121", "169.254.13.78"}},
		{"prefer matching scope, the other way round",
			[]Address{on(2, "fe80::1/64"), on(2, "198.51.100.117/24")},
			[]string{"2001:db8:1::1", "198.51.100.121"},
			[]string{"198.51.100.121", "198.51.100.117", "2001:db8:1::1", "fe80::1"}},
		{"prefer higher precedence",
			[]Address{on(2, "2001:db8:1::2/64"), on(2, "fe80::1/64"), on(2, "10.1.2.4/24")},
			[]string{"10.1.2.3", "2001:db8:1::1"},
			[]string{"2001:db8:1::1", "2001:db8:1::2", "10.1.2.3", "10.1.2.4"}},
		{"prefer smaller scope",
			[]Address{on(2, "2001:db8:1::2/64"), on(2, "fe80::2/64")},
			[]string{"2001:db8:1::1", "fe80::1"},
			[]string{"fe80::1", "fe80::2", "2001:db8:1::1", "2001:db8:1::2"}},
		{"avoid deprecated addresses",
			[]Address{on(2, "2001:db8:1::2/64"), deprecated(on(2, "fe80::2/64"))},
			[]string{"fe80::1", "2001:db8:1::1"},
			[]string{"2001:db8:1::1", "2001:db8:1::2", "fe80::1", "fe80::2"}},
		{"longest matching prefix",
			[]Address{on(2, "2001:db8:1::2/64"), on(2, "2001:db8:3f44::2/64"), on(2, "fe80::2/64")},
			[]string{"2001:db8:3ffe::1", "2001:db8:1::1"},
			[]string{"2001:db8:1::1", "2001:db8:1::2", "2001:db8:3ffe::1", "2001:db8:3f44::2"}},
		{"prefer matching label",
			[]Address{on(2, "2002:c633:6401::2/64"), on(2, "fe80::2/64")},
			[]string{"2001:db8:1::1", "2002:c633:6401::1"},
			[]string{"2002:c633:6401::1", "2002:c633:6401::2", "2001:db8:1::1", "2002:c633:6401::2"}},
		{"prefer higher precedence among matching labels",
			[]Address{on(2, "2002:c633:6401::2/64"), on(2, "2001:db8:1::2/64"), on(2, "fe80::2/64")},
			[]string{"2002:c633:6401::1", "2001:db8:1::1"},
			[]string{"2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2002:c633:6401::2"}},
		{"avoid unusable destinations",
			[]Address{on(2, "192.0.2.1/24")},
			[]string{"2001:db8:1::1", "198.51.100.1", "2001:db8:1::2"},
			[]string{"198.51.100.1", "192.0.2.1", "2001:db8:1::1", "", "2001:db8:1::2", ""}},
		{"the order of IPv4 addresses is the server's",
			[]Address{on(2, "192.0.2.1/24")},
			[]string{"198.51.100.1", "192.0.2.7", "8.8.8.8"},
			[]string{"198.51.100.1", "192.0.2.1", "192.0.2.7", "192.0.2.1", "8.8.8.8", "192.0.2.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var destinations []Destination
			for _, dst := range test.destinations {
				source, _ := Source(test.candidates, 2, netip.Addr{}, addr(dst))
				destinations = append(destinations, Destination{addr(dst), source})
			}
			SortDestinations(destinations)
			var got []string
			for _, d := range destinations {
				source := ""
				if d.Source.Prefix.IsValid() {
					source = d.Source.Prefix.Addr().String()
				}
				got = append(got, d.Addr.String(), source)
			}
			require.Equal(t, test.want, got)
		})
	}
}
