package smolnet_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// The network behind the border router, and who is there.
var (
	wiredRouter = netip.MustParsePrefix("2001:db8:e::1/64")
	wiredHost   = netip.MustParsePrefix("2001:db8:e::2/64")
)

// borderRouter makes a stack that joins a mesh, of which it is node 1, to an Ethernet.
func borderRouter(t testing.TB, medium *radio.Medium, ethernet dev.Device) *smolnet.Stack {
	t.Helper()
	s := radioNode(t, medium, 1, radio.NodeConfig{EUI64: meshEUI64(1)}, smolnet.Interface{
		Addresses: []netip.Prefix{netip.PrefixFrom(meshAddr(1), 64)},
		Forward:   true,
		IEEE802154: &core.IEEE802154Config{
			Contexts: meshContexts,
			Router: &registration.RouterConfig{
				Prefixes:     []registration.Prefix{{Prefix: meshPrefix}},
				Contexts:     []wire.NDContextRepr{{ID: 0, Prefix: meshPrefix, Compress: true, Lifetime: 24 * time.Hour}},
				BorderRouter: meshAddr(1),
				Version:      1,
			},
		},
	})
	_, err := s.AddInterface(smolnet.Interface{Device: ethernet, Addresses: []netip.Prefix{wiredRouter}, Forward: true})
	require.NoError(t, err)
	return s
}

// wired makes a stack of a host on the border router's Ethernet.
func wired(t testing.TB, ethernet dev.Device) *smolnet.Stack {
	t.Helper()
	s := newStack(t, smolnet.Config{})
	_, err := s.AddInterface(smolnet.Interface{
		Device: ethernet, Addresses: []netip.Prefix{wiredHost},
		Routes: []core.Route{{Destination: meshPrefix, Gateway: wiredRouter.Addr()}},
	})
	require.NoError(t, err)
	return s
}

// configured waits until a node has an address that it has registered.
func configured(t testing.TB, s *smolnet.Stack) netip.Addr {
	t.Helper()
	for watch := s.Watch(); ; {
		for _, own := range s.Links()[1].Addresses() {
			if own.Origin == route.Autoconf && own.State == core.Preferred {
				return own.Prefix.Addr()
			}
		}
		_, err := watch.Next(t.Context())
		require.NoError(t, err)
	}
}

// Nodes get their addresses from a border router, register them with it, and are reached by hosts behind it and reach these.
func TestRadioBorderRouter(t *testing.T) {
	for _, kind := range radios {
		for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
			t.Run(fmt.Sprintf("%s, %v%% of frames lost", kind.name, loss*100), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := kind.config
					config.Seed, config.Loss = 1, loss
					medium := radio.New(config)
					near, far := pipe.New(pipe.Config{Delay: time.Millisecond})
					router, host := borderRouter(t, medium, near), wired(t, far)
					start := time.Now()
					var nodes []*smolnet.Stack
					for number := 2; number <= 4; number++ {
						node := radio.NodeConfig{EUI64: meshEUI64(number)}
						nodes = append(nodes, radioNode(t, medium, byte(number), node, smolnet.Interface{Autoconf: true}))
					}
					for i, node := range nodes {
						require.Equal(t, meshAddr(i+2), configured(t, node))
					}
					t.Logf("3 nodes have registered after %v", time.Since(start))
					var registered []netip.Addr
					for _, r := range router.Links()[1].Registrations() {
						registered = append(registered, r.Addr)
					}
					require.Subset(t, registered, []netip.Addr{meshAddr(2), meshAddr(3), meshAddr(4)})

					testRadioPing(t, nodes[0], wiredHost.Addr())
					testRadioPing(t, host, meshAddr(2))
					testRadioUDP(t, nodes[0], host, wiredHost.Addr())
					testRadioUDP(t, host, nodes[0], meshAddr(2))
					testRadioTransfer(t, nodes[0], host, netip.AddrPortFrom(wiredHost.Addr(), 7), 100<<10)
					testRadioTransfer(t, host, nodes[0], netip.AddrPortFrom(meshAddr(2), 7), 100<<10)
					testRadioHTTP(t, nodes[1], host, wiredHost.Addr())
					testRadioHTTP(t, host, nodes[1], meshAddr(3))
					testRadioTransfer(t, nodes[1], nodes[2], netip.AddrPortFrom(meshAddr(4), 7), 20<<10) // by the router, or not
				})
			})
		}
	}
}

// What a border router tells holds as long as it is told again: addresses are registered again before they are forgotten.
func TestRadioRegistrationsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Seed: 1, Loss: 0.05, Bitrate: radio.Bitrate2450MHz})
		near, far := pipe.New(pipe.Config{})
		_, host := borderRouter(t, medium, near), wired(t, far)
		node := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, smolnet.Interface{Autoconf: true})
		addr := configured(t, node)
		for range 7 {
			testRadioTransfer(t, host, node, netip.AddrPortFrom(addr, 7), 1000)
			time.Sleep(24 * time.Hour) // virtual
		}
		require.Equal(t, addr, configured(t, node))
	})
}
