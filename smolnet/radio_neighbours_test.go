package smolnet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// heardOf returns those of the frames in whose text, as they are printed, there is what is asked for.
func heardOf(frames [][]byte, what string) (lines []string) {
	for _, f := range frames {
		if line := wire.IEEE802154Frame(f).String(); strings.Contains(line, what) {
			lines = append(lines, line)
		}
	}
	return lines
}

// known is what a node knows of a neighbour.
func known(t testing.TB, s *smolnet.Stack, addr netip.Addr) neighbour.Neighbour {
	t.Helper()
	for _, n := range s.Links()[1].Neighbours() {
		if n.Addr == addr {
			return n
		}
	}
	require.Fail(t, "no such neighbour", "%v", addr)
	return neighbour.Neighbour{}
}

// stateOf is the state of a node's own address.
func stateOf(t testing.TB, s *smolnet.Stack, addr netip.Addr) core.AddressState {
	t.Helper()
	for _, own := range s.Links()[1].Addresses() {
		if own.Prefix.Addr() == addr {
			return own.State
		}
	}
	require.Fail(t, "no such address", "%v", addr)
	return 0
}

// Addresses that do not follow from link-layer addresses, with a prefix that is on the link, are asked for as on an Ethernet.
func TestRadioNeighbourDiscovery(t *testing.T) {
	one, two, nobody := netip.MustParseAddr("2001:db8:6:0:1::1"), netip.MustParseAddr("2001:db8:6:0:1::2"), netip.MustParseAddr("2001:db8:6:0:1::3")
	for _, kind := range radios {
		for _, loss := range []float64{0, 0.1} {
			t.Run(fmt.Sprintf("%s, %v%% of frames lost", kind.name, loss*100), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := kind.config
					config.Seed, config.Loss = 2, loss
					medium := radio.New(config)
					first := radioNode(t, medium, 1, radio.NodeConfig{EUI64: meshEUI64(1)},
						smolnet.Interface{Addresses: []netip.Prefix{netip.PrefixFrom(one, 64)}})
					second := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)},
						smolnet.Interface{Addresses: []netip.Prefix{netip.PrefixFrom(two, 64)}})
					time.Sleep(10 * time.Second) // virtual: nobody else has their addresses
					sniffer := medium.Node(radio.NodeConfig{})

					testRadioTransfer(t, first, second, netip.AddrPortFrom(two, 7), 5000)
					frames := sniffed(t, sniffer)
					asked := heardOf(frames, "> ff02::1:ff00:2: ICMP6, neighbor solicitation, who has 2001:db8:6:0:1::2")
					require.NotEmpty(t, asked)
					require.Contains(t, asked[0], "02:00:00:00:00:00:00:01 > 0xffff")
					answered := heardOf(frames, "2001:db8:6:0:1::2 > 2001:db8:6:0:1::1: ICMP6, neighbor advertisement, tgt is 2001:db8:6:0:1::2")
					require.NotEmpty(t, answered)
					require.Contains(t, answered[0], "02:00:00:00:00:00:00:02 > 02:00:00:00:00:00:00:01")
					require.Equal(t, wire.ExtendedAddr(meshEUI64(2)), known(t, first, two).LinkAddr)

					time.Sleep(time.Minute) // virtual: what is known is of old
					require.Equal(t, neighbour.Stale, known(t, first, two).State)
					testRadioUDP(t, first, second, two)
					time.Sleep(10 * time.Second) // virtual
					frames = sniffed(t, sniffer)
					require.Empty(t, heardOf(frames, "> ff02::1:ff00:2: ICMP6, neighbor solicitation"), "it is asked where it was")
					require.NotEmpty(t, heardOf(frames, "2001:db8:6:0:1::1 > 2001:db8:6:0:1::2: ICMP6, neighbor solicitation"))
					require.Equal(t, neighbour.Reachable, known(t, first, two).State)

					_, err := first.Dial("tcp", netip.AddrPortFrom(nobody, 7).String())
					require.ErrorIs(t, err, syscall.EHOSTUNREACH)
				})
			})
		}
	}
}

// Where no router registers addresses, who takes one that a neighbour has learns of it before it uses it, if it is asked to look.
func TestRadioDuplicateDetection(t *testing.T) {
	taken := netip.MustParsePrefix("2001:db8:6:0:1::1/64")
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz})
		ifc := smolnet.Interface{Addresses: []netip.Prefix{taken}, DuplicateDetection: core.DetectAll}
		first := radioNode(t, medium, 1, radio.NodeConfig{}, ifc)
		time.Sleep(10 * time.Second) // virtual
		sniffer := medium.Node(radio.NodeConfig{})
		second := radioNode(t, medium, 2, radio.NodeConfig{}, ifc)
		time.Sleep(10 * time.Second) // virtual
		require.Equal(t, core.Preferred, stateOf(t, first, taken.Addr()))
		require.Equal(t, core.Duplicate, stateOf(t, second, taken.Addr()))
		require.Equal(t, core.Preferred, stateOf(t, second, linkLocal(t, second)))
		require.Len(t, heardOf(sniffed(t, sniffer), "neighbor solicitation"), 1, "what is made from the EUI-64 is not looked for")
	})
}

// Of two hosts that register the same address with a border router the one that comes later does without.
func TestRadioDuplicateRegistration(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second []netip.Prefix // configured
		addr          netip.Addr     // of both
	}{
		{"configured by both", mustPrefixes("2001:db8:6::77/64"), mustPrefixes("2001:db8:6::77/64"), netip.MustParseAddr("2001:db8:6::77")},
		{"that follows from the other's EUI-64", mustPrefixes("2001:db8:6::3/64"), nil, meshAddr(3)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				medium := radio.New(radio.Config{Seed: 1, Loss: 0.05, Bitrate: radio.Bitrate2450MHz})
				near, far := pipe.New(pipe.Config{})
				router, host := borderRouter(t, medium, near), wired(t, far)
				first := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, smolnet.Interface{Autoconf: true, Addresses: tc.first})
				require.Equal(t, meshAddr(2), configured(t, first))
				time.Sleep(time.Minute) // virtual
				require.Equal(t, core.Preferred, stateOf(t, first, tc.addr))

				second := radioNode(t, medium, 3, radio.NodeConfig{EUI64: meshEUI64(3)}, smolnet.Interface{Autoconf: true, Addresses: tc.second})
				time.Sleep(time.Minute) // virtual
				for _, own := range second.Links()[1].Addresses() {
					require.False(t, own.Prefix.Addr() == tc.addr && own.State != core.Duplicate)
				}
				require.Equal(t, core.Preferred, stateOf(t, first, tc.addr))
				for _, r := range router.Links()[1].Registrations() {
					if r.Addr == tc.addr {
						require.Equal(t, wire.ExtendedAddr(meshEUI64(2)), r.LinkAddr)
					}
				}
				testRadioTransfer(t, host, first, netip.AddrPortFrom(tc.addr, 7), 1000)

				// The address is for the other once it is given up.
				require.NoError(t, first.Close())
				time.Sleep(2 * time.Hour) // virtual: whatever was registered is over
				third := radioNode(t, medium, 4, radio.NodeConfig{EUI64: meshEUI64(4)}, smolnet.Interface{
					Autoconf: true, Addresses: []netip.Prefix{netip.PrefixFrom(tc.addr, 64)},
				})
				time.Sleep(time.Minute) // virtual
				require.Equal(t, core.Preferred, stateOf(t, third, tc.addr))
			})
		})
	}
}

// An address is registered anew before its registration ends, over and over, so that there is always one.
func TestRadioReregistration(t *testing.T) {
	for _, loss := range []float64{0, 0.1} {
		t.Run(fmt.Sprintf("%v%% of frames lost", loss*100), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				medium := radio.New(radio.Config{Seed: 1, Loss: loss, Bitrate: radio.Bitrate2450MHz})
				near, far := pipe.New(pipe.Config{})
				router := borderRouter(t, medium, near)
				wired(t, far)
				node := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, smolnet.Interface{
					Autoconf: true, IEEE802154: &core.IEEE802154Config{Registration: registration.HostConfig{Lifetime: 10 * time.Minute}},
				})
				addr := configured(t, node)
				sniffer := medium.Node(radio.NodeConfig{})
				requests := 0
				for range 24 * 60 {
					time.Sleep(time.Minute) // virtual
					require.True(t, slices.ContainsFunc(router.Links()[1].Registrations(), func(r registration.Registration) bool {
						return r.Addr == addr && r.Owner == wire.EUI64ROVR(meshEUI64(2))
					}))
					requests += len(heardOf(sniffed(t, sniffer), "address registration"))
				}
				require.GreaterOrEqual(t, requests, 24*6, "with a lifetime of ten minutes")
			})
		})
	}
}
