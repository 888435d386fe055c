package smolnet_test

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// What a router advertises can change: hosts that come later hear of what it is then.
func TestSetAdvertised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Seed: 1})
		before, after := netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParsePrefix("2001:db8:2::/64")
		router := radioNode(t, medium, 1, radio.NodeConfig{}, smolnet.Interface{
			Forward: true, IEEE802154: &core.IEEE802154Config{Router: &registration.RouterConfig{
				Prefixes: []registration.Prefix{{Prefix: before}}, Version: 7,
			}},
		})
		version, err := router.Links()[1].SetAdvertised([]registration.Prefix{{Prefix: after}},
			[]wire.NDContextRepr{{ID: 3, Prefix: after, Compress: true, Lifetime: time.Hour}})
		require.NoError(t, err)
		require.EqualValues(t, 8, version)

		host := radioNode(t, medium, 2, radio.NodeConfig{}, smolnet.Interface{Autoconf: true})
		w := host.Watch()
		defer w.Close()
		for e := next(t, w, core.AddressChanged); !after.Contains(e.Address.Prefix.Addr()); e = next(t, w, core.AddressChanged) {
			require.False(t, before.Contains(e.Address.Prefix.Addr()))
		}
		registered := router.Links()[1].Registrations()
		require.True(t, slices.ContainsFunc(registered, func(r registration.Registration) bool { return after.Contains(r.Addr) }))
	})
}

func TestSetAdvertisedRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Seed: 1})
		host := radioNode(t, medium, 1, radio.NodeConfig{}, smolnet.Interface{})
		_, err := host.Links()[1].SetAdvertised(nil, nil)
		require.ErrorIs(t, err, core.ErrConfig)
		require.ErrorContains(t, err, "no router")
		router := radioNode(t, medium, 2, radio.NodeConfig{}, smolnet.Interface{
			Forward: true, IEEE802154: &core.IEEE802154Config{Router: &registration.RouterConfig{}},
		})
		_, err = router.Links()[1].SetAdvertised([]registration.Prefix{{Prefix: netip.MustParsePrefix("2001:db8::/48")}}, nil)
		require.ErrorIs(t, err, core.ErrConfig)
		require.ErrorContains(t, err, "2001:db8::/48")
	})
}
