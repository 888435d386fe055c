package core

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSortDestinations(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("10.0.0.0/8"), Gateway: router4}}
	})
	for _, tc := range []struct {
		name string
		link int32 // that link-local addresses are on
		sort []string
		want []string
	}{
		{name: "none"},
		{name: "what there is no way to goes last", sort: []string{"8.8.8.8", "2001:db8::1", "10.1.1.1", "fdaa::9"},
			want: []string{"10.1.1.1", "fdaa::9", "8.8.8.8", "2001:db8::1"}},
		{name: "the stack itself", sort: []string{"127.0.0.9", "192.168.69.1", "::1"}, want: []string{"::1", "127.0.0.9", "192.168.69.1"}},
		{name: "what is equal stays", sort: []string{"10.2.2.2", "10.1.1.1", "10.3.3.3"}, want: []string{"10.2.2.2", "10.1.1.1", "10.3.3.3"}},
		{name: "link-local with a link", link: 2, sort: []string{"fdaa::9", "fe80::9"}, want: []string{"fe80::9", "fdaa::9"}}, // unique local addresses have a low precedence
		{name: "link-local without", sort: []string{"fe80::9", "10.1.1.1"}, want: []string{"10.1.1.1", "fe80::9"}},
		{name: "no addresses", sort: []string{"0.0.0.0", "10.1.1.1", "::"}, want: []string{"10.1.1.1", "0.0.0.0", "::"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var addrs, want []netip.Addr
			for i := range tc.sort {
				addrs, want = append(addrs, addr(tc.sort[i])), append(want, addr(tc.want[i]))
			}
			s.stack.SortDestinations(addrs, func(netip.Addr) int32 { return tc.link })
			require.Equal(t, want, addrs)
		})
	}
	require.Empty(t, s.stack.paths, "nobody has been sent anything, nor looked for")
}
