package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv4"
)

func TestLinkLocalv4WithoutDHCP(t *testing.T) {
	s := newLessor(t, fullServer(), func(c *InterfaceConfig) { c.DHCPv4, c.LinkLocalv4 = nil, true })
	s.run(10 * time.Second)
	first := s.client.Addresses()[0]
	require.Equal(t, Preferred, first.State)
	s.client.conflict(int64(s.now.Sub(epoch)), s.client.find(first.Prefix.Addr()))
	s.client.conflict(int64(s.now.Sub(epoch)), s.client.find(first.Prefix.Addr()))
	s.run(10 * time.Second)
	require.Len(t, s.client.Addresses(), 1)
	require.NotEqual(t, first.Prefix, s.client.Addresses()[0].Prefix)
}

// "a host SHOULD NOT have both an operable routable address and an IPv4 Link-Local address configured on the same interface."
// https://www.rfc-editor.org/rfc/rfc3927.html#section-1.9
func TestLinkLocalv4GivesWay(t *testing.T) {
	has := func(s *script) (addresses []string) {
		for _, a := range s.link.Addresses() {
			if a.Prefix.Addr().Is4() {
				addresses = append(addresses, a.Prefix.Masked().String())
			}
		}
		return addresses
	}
	const own, other = "169.254.0.0/16", "10.1.0.0/16"
	add := func(s *script) { require.NoError(s.t, s.link.AddAddress(s.now, prefix("10.1.0.1/16"))) }
	remove := func(s *script) { require.True(s.t, s.link.RemoveAddress(s.now, addr("10.1.0.1"))) }
	stop := func(s *script) { s.link.StopDHCPv4(s.now) }
	wait := func(s *script) { s.settled() }
	for _, tc := range []struct {
		name  string
		dhcp  bool
		steps []func(*script)
		want  []string
	}{
		{"to an address that is added", false, []func(*script){wait, add}, []string{other}},
		{"to one that is added while it is looked for", false, []func(*script){add, wait}, []string{other}},
		{"until that is gone", false, []func(*script){wait, add, remove, wait}, []string{own}},
		{"not while DHCP may find something better", true, []func(*script){wait, add, remove, wait}, nil},
		{"until DHCP ends", true, []func(*script){wait, stop, wait}, []string{own}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t, func(c *InterfaceConfig) {
				c.Addresses, c.LinkLocalv4, c.DuplicateDetection = nil, true, DetectLearnt
				if tc.dhcp {
					c.DHCPv4 = &dhcpv4.Config{}
				}
			})
			for _, step := range tc.steps {
				step(s)
			}
			require.Equal(t, tc.want, has(s))
		})
	}
}
