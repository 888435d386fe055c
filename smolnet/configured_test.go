package smolnet_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// inAllWays has an interface configure itself in all ways that there are.
func inAllWays(device dev.Device) smolnet.Interface {
	return smolnet.Interface{
		Device: device, DHCPv4: &dhcpv4.Config{}, LinkLocalv4: true, Autoconf: true, TemporaryAddresses: true,
		DHCPv6: core.DHCPv6Config{Mode: core.DHCPv6Stateful},
	}
}

// newServing returns a stack that hands out IPv4 addresses, and advertises a prefix of IPv6 and itself as a name server once, three seconds from now.
func newServing(t *testing.T, device dev.Device) (*smolnet.Stack, *smolnet.Link) {
	t.Helper()
	s := newStack(t, smolnet.Config{})
	link, err := s.AddInterface(smolnet.Interface{
		Device: device, DuplicateDetection: core.DetectNone, Addresses: mustPrefixes("10.0.0.1/24"), DHCPv4Server: &dhcpv4.ServerConfig{},
	})
	require.NoError(t, err)
	c, err := s.ListenIP("ip6:ipv6-icmp", nil)
	require.NoError(t, err)
	require.NoError(t, c.SetMulticastHopLimit(255))
	advertisement := wire.NDRouterAdvertisementRepr{RouterLifetime: time.Hour}
	advertisement.Options = advertisement.Options.Append(&wire.NDPrefixInformationRepr{
		Prefix: netip.MustParsePrefix("2001:db8::/64"), OnLink: true, Autonomous: true, ValidLifetime: time.Hour, PreferredLifetime: time.Hour,
	})
	advertisement.Options = advertisement.Options.Append(&wire.NDRDNSSRepr{Lifetime: time.Hour, Servers: []netip.Addr{linkLocal(t, s)}})
	advertisement.Options = advertisement.Options.Append(&wire.NDDNSSLRepr{Lifetime: time.Hour, Domains: []string{"example"}})
	b := make([]byte, advertisement.Len())
	advertisement.Emit(b, linkLocal(t, s), netip.IPv6LinkLocalAllNodes())
	time.AfterFunc(3*time.Second, func() {
		_, err := c.WriteToIP(b, &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: link.Name()})
		require.NoError(t, err)
		c.Close()
	})
	return s, link
}

// A stack that has configured itself tells all about it, and ends at once and altogether; its lease is free again.
func TestConfiguredStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		_, server := newServing(t, a)
		s := newStack(t, smolnet.Config{})
		link, err := s.AddInterface(inAllWays(b))
		require.NoError(t, err)
		time.Sleep(time.Minute)

		origins := make(map[core.Origin]int)
		for _, a := range link.Addresses() {
			require.Equal(t, core.Preferred, a.State, "%v", a)
			if a.Origin != route.LinkLocal {
				require.False(t, a.ValidUntil.IsZero(), "%v", a)
			}
			origins[a.Origin]++
		}
		require.Equal(t, map[core.Origin]int{route.DHCPv4: 1, route.Autoconf: 2, route.LinkLocal: 1}, origins)
		lease, ok := link.DHCPv4Lease()
		require.True(t, ok)
		require.Equal(t, dhcpv4.Bound, lease.State)
		_, ok = link.DHCPv6Lease()
		require.True(t, ok, "it is still asking")
		require.Len(t, link.Routers(), 1)
		require.Len(t, link.Prefixes(), 1)
		require.True(t, slices.ContainsFunc(s.Routes(), func(r core.Route) bool { return r.Destination.Bits() == 0 }))
		require.Len(t, server.DHCPv4Bindings(), 1)

		start := time.Now()
		require.NoError(t, s.Close())
		require.Zero(t, time.Since(start))
		synctest.Wait()
		require.Empty(t, server.DHCPv4Bindings(), "the lease was given back")
	})
}

// Names are looked up by the servers and in the domains that routers tell of, for as long as these say.
func TestNamesByServersThatWereLearnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		serving, _ := newServing(t, a)
		serveNames(t, serving, small)
		s := newStack(t, smolnet.Config{})
		link, err := s.AddInterface(inAllWays(b))
		require.NoError(t, err)
		_, err = s.LookupHost("www")
		require.Error(t, err, "there is nobody to ask")
		time.Sleep(time.Minute)
		require.Len(t, link.NameServers(), 1)
		require.Len(t, link.SearchDomains(), 1)
		found, err := s.LookupHost("www")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.1"}, found)
		time.Sleep(time.Hour)
		require.Empty(t, link.NameServers())
		require.Empty(t, s.Resolver().Servers())
		_, err = s.LookupHost("www.example")
		require.Error(t, err, "any more")
	})
}

// A server may lower the interface's MTU, while somebody asks for it.
func TestMTUFollowsDHCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		server, s := newStack(t, smolnet.Config{}), newStack(t, smolnet.Config{})
		_, err := server.AddInterface(smolnet.Interface{
			Device: a, Addresses: mustPrefixes("10.0.0.1/24"), DHCPv4Server: &dhcpv4.ServerConfig{MTU: 1400}})
		require.NoError(t, err)
		link, err := s.AddInterface(smolnet.Interface{Device: b, DHCPv4: &dhcpv4.Config{}})
		require.NoError(t, err)
		require.Equal(t, 1500, link.MTU())
		for start := time.Now(); link.MTU() == 1500 && time.Since(start) < time.Minute; {
			time.Sleep(time.Millisecond)
		}
		require.Equal(t, 1400, link.MTU())
		ifi, err := s.InterfaceByIndex(link.Index())
		require.NoError(t, err)
		require.Equal(t, 1400, ifi.MTU)
		link.StopDHCPv4()
		require.Equal(t, 1500, link.MTU())
	})
}

// Nobody answers: a stack that asks all the time ends no less.
func TestUnconfiguredStackEnds(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 20 * time.Second, time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pipe.New(pipe.Config{})
				defer b.Close()
				s := newStack(t, smolnet.Config{})
				_, err := s.AddInterface(inAllWays(a))
				require.NoError(t, err)
				time.Sleep(after)
				start := time.Now()
				require.NoError(t, s.Close())
				require.Zero(t, time.Since(start))
			})
		})
	}
}

// stuck is a device that takes nothing any more, from a time on: its Send says that it is full, or waits; both until Close.
type stuck struct {
	dev.Device
	waits  bool
	begun  chan struct{} // closed: it is stuck
	closed chan struct{}
	close  sync.Once
}

func (d *stuck) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	select {
	case <-d.begun:
	default:
		return d.Device.Send(now, pkts)
	}
	if !d.waits {
		return 0, nil
	}
	<-d.closed
	return 0, net.ErrClosed
}

func (d *stuck) WaitSend() error {
	<-d.closed
	return net.ErrClosed
}

func (d *stuck) Close() error {
	d.close.Do(func() { close(d.closed) })
	return d.Device.Close()
}

// Leases are given back, and peers told, as far as the device takes it: one that does not holds nobody up for long.
func TestStuckDeviceDoesNotHoldUpClose(t *testing.T) {
	for _, tc := range []struct {
		name  string
		waits bool
		most  time.Duration
	}{{"full", false, 0}, {"Send does not return", true, time.Second}} {
		for _, sending := range []bool{false, true} {
			t.Run(tc.name+strings.Repeat(", and somebody is sending", map[bool]int{true: 1}[sending]), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := pipe.New(pipe.Config{})
					_, server := newServing(t, a)
					s := newStack(t, smolnet.Config{})
					device := &stuck{Device: b, waits: tc.waits, begun: make(chan struct{}), closed: make(chan struct{})}
					_, err := s.AddInterface(inAllWays(device))
					require.NoError(t, err)
					time.Sleep(time.Minute)
					require.Len(t, server.DHCPv4Bindings(), 1)
					c, err := s.Dial("udp", "10.0.0.1:7")
					require.NoError(t, err)
					close(device.begun)
					if sending {
						go c.Write([]byte("x"))
						synctest.Wait()
					}
					start := time.Now()
					require.NoError(t, s.Close())
					require.LessOrEqual(t, time.Since(start), tc.most)
				})
			})
		}
	}
}

// Once the stack is closed, nothing is begun any more, and nothing is left to be listed.
func TestClosedLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Config{})
		newServing(t, a)
		s := newStack(t, smolnet.Config{})
		link, err := s.AddInterface(inAllWays(b))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, s.Close())
		for name, call := range map[string]func() error{
			"AddAddress":   func() error { return link.AddAddress(netip.MustParsePrefix("10.0.0.9/24")) },
			"StartDHCPv4":  func() error { return link.StartDHCPv4(dhcpv4.Config{}) },
			"ServeDHCPv4":  func() error { return link.ServeDHCPv4(dhcpv4.ServerConfig{}) },
			"StartDHCPv6":  func() error { return link.StartDHCPv6(true) },
			"SetForward":   func() error { return link.SetForward(true) },
			"SetAnyIP":     func() error { return link.SetAnyIP(mustPrefixes("10.1.0.0/16")) },
			"AddRoute":     func() error { return s.AddRoute(core.Route{}) },
			"ReplaceRoute": func() error { return s.ReplaceRoute(core.Route{}) },
			"RemoveRoute":  func() error { return s.RemoveRoute(core.Route{}) },
		} {
			require.Equal(t, net.ErrClosed, call(), name)
		}
		require.False(t, link.RemoveAddress(netip.MustParseAddr("10.0.0.1")))
		require.False(t, link.RenewDHCPv4())
		require.False(t, link.RenewDHCPv6())
		link.StopDHCPv4()
		link.StopDHCPv6()
		_, ok := link.DHCPv4Lease()
		require.False(t, ok)
		_, ok = link.DHCPv6Lease()
		require.False(t, ok)
		for name, length := range map[string]int{
			"Addresses": len(link.Addresses()), "Neighbours": len(link.Neighbours()), "Groups": len(link.Groups()),
			"Routers": len(link.Routers()), "Prefixes": len(link.Prefixes()), "NameServers": len(link.NameServers()),
			"SearchDomains": len(link.SearchDomains()), "DHCPv4Bindings": len(link.DHCPv4Bindings()), "Routes": len(s.Routes()),
			"PathMTUs": len(s.PathMTUs()),
		} {
			require.Zero(t, length, name)
		}
		require.NotZero(t, link.Counters())
		time.Sleep(time.Hour) // no timer of its brings it back
	})
}
