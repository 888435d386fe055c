package smolnet_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// meshPrefix is the network of the nodes of a mesh, and context 0 of each.
var meshPrefix = netip.MustParsePrefix("2001:db8:6::/64")

// meshContexts has the mesh's addresses be compressed.
var meshContexts = wire.LowpanContexts{0: {Prefix: meshPrefix, Compress: true}}

// meshAddr is the address in the mesh of a node whose extended address ends with its number.
func meshAddr(number int) netip.Addr {
	a := meshPrefix.Addr().As16()
	a[15] = byte(number)
	return netip.AddrFrom16(a)
}

// meshEUI64 is the extended address of the node with the number, which its address follows from.
func meshEUI64(number int) [8]byte { return [8]byte{0: 2, 7: byte(number)} }

// meshNode makes a node of a mesh, whose others are not on the link: it reaches them by the routes.
func meshNode(t *testing.T, medium *radio.Medium, number int, node radio.NodeConfig, routes ...core.Route) *smolnet.Stack {
	node.EUI64 = meshEUI64(number)
	return radioNode(t, medium, byte(number), node, smolnet.Interface{
		IEEE802154: &core.IEEE802154Config{PAN: 0x23, Contexts: meshContexts},
		Addresses:  []netip.Prefix{netip.PrefixFrom(meshAddr(number), 128)},
		Routes:     routes,
		Forward:    len(routes) > 1,
	})
}

// meshRoute leads to the nodes of an address range by a neighbour.
func meshRoute(destination netip.Prefix, neighbour int) core.Route {
	gateway := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(neighbour)})
	return core.Route{Destination: destination, Gateway: gateway}
}

// A node in the middle, and around it some that all hear it and do not hear each other.
func TestRadioStar(t *testing.T) {
	for _, kind := range radios {
		for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
			t.Run(fmt.Sprintf("%s, %v%% of frames lost", kind.name, loss*100), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := kind.config
					config.Seed, config.Loss, config.Range = 1, loss, 1
					medium := radio.New(config)
					middle := radioNode(t, medium, 0, radio.NodeConfig{}, smolnet.Interface{})
					const clients = 4
					done := make(chan error, clients)
					to := radioAddr(t, middle)
					for i, at := range [clients]radio.NodeConfig{{X: 1}, {Y: 1}, {X: -1}, {Y: -1}} {
						node := radioNode(t, medium, byte(i+1), at, smolnet.Interface{})
						port := uint16(i + 1)
						go func() { done <- radioTransfer(node, middle, netip.AddrPortFrom(to, port), 20<<10) }()
					}
					start := time.Now()
					for range clients {
						require.NoError(t, <-done)
					}
					t.Logf("4 times 20 KiB in %v; drops %v", time.Since(start), middle.Counters().Drops)
				})
			})
		}
	}
}

// Nodes in a row, each of which hears its neighbours: those in between route.
func TestRadioChain(t *testing.T) {
	const length = 5
	for _, kind := range radios {
		for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
			t.Run(fmt.Sprintf("%s, %v%% of frames lost", kind.name, loss*100), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := kind.config
					config.Seed, config.Loss, config.Range = 1, loss, 1
					medium := radio.New(config)
					var nodes []*smolnet.Stack
					for number := 1; number <= length; number++ {
						var routes []core.Route
						for other := 1; other <= length; other++ {
							switch to := netip.PrefixFrom(meshAddr(other), 128); {
							case other < number:
								routes = append(routes, meshRoute(to, number-1))
							case other > number:
								routes = append(routes, meshRoute(to, number+1))
							}
						}
						nodes = append(nodes, meshNode(t, medium, number, radio.NodeConfig{X: float64(number)}, routes...))
					}
					first, last := nodes[0], nodes[length-1]
					testRadioPing(t, first, meshAddr(length))
					testRadioTransfer(t, first, last, netip.AddrPortFrom(meshAddr(length), 7), 20<<10)
					testRadioTransfer(t, last, first, netip.AddrPortFrom(meshAddr(1), 7), 20<<10)
					for _, between := range nodes[1 : length-1] {
						require.NotZero(t, between.Links()[1].Counters().IPv6.OutForwDatagrams)
					}
				})
			})
		}
	}
}
