package smolnet_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

func TestSetSearch(t *testing.T) {
	stack := newStack(t, smolnet.Config{Resolver: smolnet.ResolverConfig{Search: []string{"a.example"}}})
	r := stack.Resolver()
	require.Equal(t, []string{"a.example."}, r.Search())
	require.NoError(t, r.SetSearch([]string{"b.example", "c.example."}))
	require.Equal(t, []string{"b.example.", "c.example."}, r.Search())
	err := r.SetSearch([]string{"-"})
	require.ErrorIs(t, err, core.ErrConfig)
	require.Equal(t, []string{"b.example.", "c.example."}, r.Search(), "they stay")
}

// leased is a stack's resolver, with what a DHCP server of another stack's has told it, and what ends the lease.
func leased(t *testing.T, config smolnet.ResolverConfig, test func(r *smolnet.Resolver, link *smolnet.Link)) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		server := newStack(t, smolnet.Config{})
		_, err := server.AddInterface(smolnet.Interface{
			Device: a, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
			DHCPv4Server: &dhcpv4.ServerConfig{
				DNSServers: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, DomainSearch: []string{"a.example", "b.example"},
			},
		})
		require.NoError(t, err)
		stack := newStack(t, smolnet.Config{Resolver: config})
		watch := stack.Watch()
		link, err := stack.AddInterface(smolnet.Interface{Device: b, DHCPv4: &dhcpv4.Config{}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		for e := (core.Event{}); e.Kind != core.ServersChanged; {
			e, err = watch.Next(ctx)
			require.NoError(t, err)
		}
		test(stack.Resolver(), link)
		require.NoError(t, stack.Close())
		require.NoError(t, server.Close())
	})
}

func TestResolverFollowsDHCP(t *testing.T) {
	learnt, own := netip.MustParseAddrPort("10.0.0.53:53"), netip.MustParseAddrPort("10.0.0.99:53")
	t.Run("with nothing of its own", func(t *testing.T) {
		leased(t, smolnet.ResolverConfig{}, func(r *smolnet.Resolver, link *smolnet.Link) {
			require.Equal(t, []netip.AddrPort{learnt}, r.Servers())
			require.Equal(t, []string{"a.example.", "b.example."}, r.Search())
			link.StopDHCPv4()
			require.Empty(t, r.Servers())
			require.Empty(t, r.Search())
			_, ok := link.DHCPv4Lease()
			require.False(t, ok)
			require.False(t, link.RenewDHCPv4())
			require.NoError(t, link.StartDHCPv4(dhcpv4.Config{}))
			require.True(t, link.RenewDHCPv4())
		})
	})
	t.Run("configured ones count for more", func(t *testing.T) {
		config := smolnet.ResolverConfig{Servers: []netip.AddrPort{own}, Search: []string{"own.example"}}
		leased(t, config, func(r *smolnet.Resolver, link *smolnet.Link) {
			require.Equal(t, []netip.AddrPort{own}, r.Servers())
			require.Equal(t, []string{"own.example."}, r.Search())
		})
	})
	t.Run("and so do those set later", func(t *testing.T) {
		leased(t, smolnet.ResolverConfig{}, func(r *smolnet.Resolver, link *smolnet.Link) {
			require.NoError(t, r.SetServers([]netip.AddrPort{own}))
			require.Equal(t, []netip.AddrPort{own}, r.Servers())
			require.Equal(t, []string{"a.example.", "b.example."}, r.Search(), "of which nothing was said")
			link.StopDHCPv4()
			require.Equal(t, []netip.AddrPort{own}, r.Servers())
		})
	})
}
