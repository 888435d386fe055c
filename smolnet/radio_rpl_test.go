package smolnet_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// rplRoot makes a stack that joins a mesh, of which it is node 1 and the root, to an Ethernet.
func rplRoot(t testing.TB, medium *radio.Medium, ethernet dev.Device, mode wire.RPLMode) *smolnet.Stack {
	t.Helper()
	s := radioNode(t, medium, 1, radio.NodeConfig{EUI64: meshEUI64(1)}, smolnet.Interface{
		Addresses: []netip.Prefix{netip.PrefixFrom(meshAddr(1), 64)},
		Forward:   true,
		IEEE802154: &core.IEEE802154Config{
			Contexts: meshContexts,
			RPLRoot: &rpl.RootConfig{
				DODAG: meshAddr(1), Mode: mode,
				Prefixes: []wire.RPLPrefixInformationRepr{{
					Prefix: meshPrefix, Autonomous: true, ValidLifetime: wire.NDInfiniteLifetime, PreferredLifetime: wire.NDInfiniteLifetime,
				}},
			},
		},
	})
	_, err := s.AddInterface(smolnet.Interface{Device: ethernet, Addresses: []netip.Prefix{wiredRouter}, Forward: true})
	require.NoError(t, err)
	return s
}

// joined waits until a node has an address of RPL's.
func joined(t testing.TB, s *smolnet.Stack) netip.Addr {
	t.Helper()
	for watch := s.Watch(); ; {
		for _, own := range s.Links()[1].Addresses() {
			if own.Origin == route.RPL && own.State == core.Preferred {
				return own.Prefix.Addr()
			}
		}
		_, err := watch.Next(t.Context())
		require.NoError(t, err)
	}
}

// Leaves of RPL get their addresses from the root, tell it of them, and are reached by hosts behind it and reach these.
func TestRadioRPL(t *testing.T) {
	for _, mode := range []wire.RPLMode{wire.RPLStoring, wire.RPLNonStoring} {
		for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
			t.Run(fmt.Sprintf("%v, %v%% of frames lost", mode, loss*100), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					medium := radio.New(radio.Config{Seed: 1, Loss: loss, Bitrate: radio.Bitrate2450MHz, Acknowledges: true})
					near, far := pipe.New(pipe.Config{Delay: time.Millisecond})
					root, host := rplRoot(t, medium, near, mode), wired(t, far)
					start := time.Now()
					var nodes []*smolnet.Stack
					for number := 2; number <= 4; number++ {
						node := radio.NodeConfig{EUI64: meshEUI64(number)}
						nodes = append(nodes, radioNode(t, medium, byte(number), node, smolnet.Interface{
							IEEE802154: &core.IEEE802154Config{Contexts: meshContexts, RPLLeaf: new(rpl.LeafConfig)},
						}))
					}
					for i, node := range nodes {
						require.Equal(t, meshAddr(i+2), joined(t, node))
					}
					t.Logf("3 nodes have joined after %v", time.Since(start))
					testRadioPing(t, nodes[0], wiredHost.Addr())
					testRadioPing(t, host, meshAddr(2))
					testRadioUDP(t, host, nodes[0], meshAddr(2))
					testRadioTransfer(t, nodes[0], host, netip.AddrPortFrom(wiredHost.Addr(), 7), 100<<10)
					testRadioTransfer(t, host, nodes[0], netip.AddrPortFrom(meshAddr(2), 7), 100<<10)
					testRadioHTTP(t, host, nodes[1], meshAddr(3))
					testRadioTransfer(t, nodes[1], nodes[2], netip.AddrPortFrom(meshAddr(4), 7), 20<<10)
					var targets []netip.Prefix
					for _, target := range root.Links()[1].RPLTargets() {
						targets = append(targets, target.Prefix)
					}
					for i, node := range nodes {
						require.Contains(t, targets, netip.PrefixFrom(meshAddr(i+2), 128))
						state, ok := node.Links()[1].RPL()
						require.True(t, ok)
						require.Equal(t, meshAddr(1), state.DODAG)
						require.Equal(t, mode, state.Mode)
						require.Equal(t, linkLocal(t, root), state.Parent)
					}
				})
			})
		}
	}
}
