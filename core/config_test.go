package core

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

func TestBadConfigurations(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*Config)
		want []string // in the error
	}{
		{"addresses without groups", func(c *Config) { c.Limits.Addresses, c.Limits.Groups = 100, 64 }, []string{"Groups 64", "102"}},
		{"one address", func(c *Config) { c.Limits.Addresses = 1 }, []string{"Addresses 1"}},
		{"fewer paths than neighbours", func(c *Config) { c.Limits.Neighbours, c.Limits.Paths = 100, 50 }, []string{"Paths 50", "Neighbours 100"}},
		{"one queue above all", func(c *Config) { c.Limits.NeighbourQueue, c.Limits.NeighbourQueues = 2000, 1000 }, []string{"NeighbourQueues 1000", "2000"}},
		{"more extension headers than are walked", func(c *Config) { c.Limits.ExtensionHeaders = 17 }, []string{"ExtensionHeaders 17", "16"}},
		{"absurd rate", func(c *Config) { c.Limits.ICMPErrorRate = 2e9 }, []string{"ICMPErrorRate 2000000000"}},
		{"absurd table", func(c *Config) { c.Limits.Destinations = 1 << 30 }, []string{"Destinations 1073741824"}},
		{"TCP limits in the wrong place", func(c *Config) { c.TCP.Limits.Backlog = 1 }, []string{"Config.TCP", "Limits"}},
		{"UDP limits in the wrong place", func(c *Config) { c.UDP.Limits.Endpoints = 1 }, []string{"Config.UDP", "Limits"}},
		{"a hook of TCP's", func(c *Config) { c.TCP.Event = func(*tcp.Conn, string) {} }, []string{"Config.TCP", "Event"}},
		{"a hook of UDP's", func(c *Config) { c.UDP.Dropped = func(*packet.Packet, string) {} }, []string{"Config.UDP", "Dropped"}},
		{"backlog above half-open connections", func(c *Config) { c.Limits.TCP = tcp.Limits{Backlog: 50, HalfOpen: 40} },
			[]string{"Limits.Backlog 50", "Limits.HalfOpen 40"}},
		{"backlog above connections", func(c *Config) { c.Limits.TCP = tcp.Limits{Backlog: 50, Connections: 40} },
			[]string{"Limits.Backlog 50", "Limits.Connections 40"}},
		{"neighbour limits in the wrong place", func(c *Config) { c.Neighbours.MaxEntries = 1 }, []string{"Config.Neighbours"}},
		{"TCP limit negative", func(c *Config) { c.Limits.TCP = tcp.Limits{Backlog: -7} }, []string{"Backlog", "-7"}},
		{"UDP limit negative", func(c *Config) { c.Limits.UDP = udp.Limits{Endpoints: -7} }, []string{"Endpoints", "-7"}},
		{"a raw limit negative", func(c *Config) { c.Limits.Raw = raw.Limits{Endpoints: -7} }, []string{"Limits.Raw", "Endpoints", "-7"}},
		{"a raw buffer above the most", func(c *Config) { c.Limits.Raw = raw.Limits{SendBuffer: 20, MaxBuffer: 10} },
			[]string{"Limits.Raw", "20", "MaxBuffer 10"}},
		{"neighbour times", func(c *Config) { c.Neighbours = neighbour.Config{Retransmit: -time.Second} }, []string{"Retransmit", "-1s"}},
		{"TCP times", func(c *Config) { c.TCP.MinRTO = time.Hour }, []string{"MinRTO 1h"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var config Config
			tc.set(&config)
			_, err := New(epoch, config)
			require.ErrorIs(t, err, ErrConfig)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// TestEveryLimit: each has a default, and none may be negative.
func TestEveryLimit(t *testing.T) {
	s, err := New(epoch, Config{})
	require.NoError(t, err)
	kind := reflect.TypeFor[Limits]()
	for i := range kind.NumField() {
		field := kind.Field(i)
		if field.Type.Kind() != reflect.Int {
			continue
		}
		t.Run(field.Name, func(t *testing.T) {
			require.Positive(t, reflect.ValueOf(s.limits).Field(i).Int(), "a default")
			var config Config
			reflect.ValueOf(&config.Limits).Elem().Field(i).SetInt(-3)
			_, err := New(epoch, config)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, field.Name)
			require.ErrorContains(t, err, "-3")
		})
	}
}

func TestEveryLimitOfRadios(t *testing.T) {
	s, err := New(epoch, Config{})
	require.NoError(t, err)
	kind := reflect.TypeFor[LowpanLimits]()
	for i := range kind.NumField() {
		field := kind.Field(i)
		t.Run(field.Name, func(t *testing.T) {
			require.Positive(t, reflect.ValueOf(s.limits.Lowpan).Field(i).Int(), "a default")
			var config Config
			reflect.ValueOf(&config.Limits.Lowpan).Elem().Field(i).SetInt(-3)
			_, err := New(epoch, config)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, "Lowpan."+field.Name)
			require.ErrorContains(t, err, "-3")
		})
	}
	_, err = New(epoch, Config{Limits: Limits{Neighbours: 10, Lowpan: LowpanLimits{Registrations: 11}}})
	require.ErrorContains(t, err, "Lowpan.Registrations 11 is more than Limits.Neighbours 10", "who has registered is a neighbour")
	_, err = New(epoch, Config{Limits: Limits{Lowpan: LowpanLimits{RPLNeighbours: 1}}})
	require.ErrorContains(t, err, "Lowpan.RPLNeighbours 1")
}

func TestDefaultsFollowOtherLimits(t *testing.T) {
	for _, limits := range []Limits{{Addresses: 1000}, {Neighbours: 10000}, {Neighbours: 10}, {NeighbourQueue: 8 << 20}, {TCP: tcp.Limits{HalfOpen: 9}},
		{TCP: tcp.Limits{Connections: 9}}} {
		_, err := New(epoch, Config{Limits: limits})
		require.NoError(t, err, "what is not said fits what is: %+v", limits)
	}
}

func TestBadInterfaces(t *testing.T) {
	taken := &testDevice{dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}}
	for _, tc := range []struct {
		name string
		caps dev.Capabilities
		ifc  InterfaceConfig
		want []string
	}{
		{"no device", dev.Capabilities{}, InterfaceConfig{Name: "x"}, []string{`"x"`, "no device"}},
		{"device already attached", dev.Capabilities{}, InterfaceConfig{Device: taken}, []string{`already attached to interface "eth0"`}},
		{"duplicate name", ethernet(1500), InterfaceConfig{Name: "eth0"}, []string{`"eth0"`}},
		{"the loopback's name", ethernet(1500), InterfaceConfig{Name: "lo"}, []string{`"lo"`}},
		{"unknown medium", dev.Capabilities{MTU: 1500}, InterfaceConfig{}, []string{"medium 0"}},
		{"medium not spoken", dev.Capabilities{Medium: 9, MTU: 1500}, InterfaceConfig{}, []string{"medium 9"}},
		{"radio with the MTU of Ethernet", radioCaps(2048), InterfaceConfig{}, []string{"MTU 2048", "1280", "2047"}},
		{"radio with less than IPv6 needs", radioCaps(1279), InterfaceConfig{}, []string{"MTU 1279", "1280", "2047"}},
		{"radio without IPv6", radioCaps(1280), InterfaceConfig{NoIPv6: true}, []string{"NoIPv6"}},
		{"radio with an Ethernet address", radioCaps(1280), InterfaceConfig{HardwareAddr: ourHardware}, []string{"02:00:00:00:00:01"}},
		{"radio settings on an Ethernet", ethernet(1500), InterfaceConfig{IEEE802154: &IEEE802154Config{}}, []string{"IEEE802154", "Ethernet"}},
		{"broadcast PAN", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{PAN: 0xffff}}, []string{"PAN 0xffff"}},
		{"group's EUI-64", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{EUI64: [8]byte{1}}}, []string{"EUI-64 01:"}},
		{"short address of nobody", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{ShortAddr: 0xfffe}}, []string{"0xfffe"}},
		{"short address of a group", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{ShortAddr: 0x8001}}, []string{"0x8001"}},
		{"context of IPv4", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{
			Contexts: wire.LowpanContexts{3: {Prefix: prefix("10.0.0.0/8")}}}}, []string{"context 3", "10.0.0.0/8"}},
		{"bound outside Limits", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{
			Reassembly: lowpan.ReassemblyConfig{MaxDatagrams: 5}}}, []string{"Reassembly.MaxDatagrams is 5", "Limits"}},
		{"bound of a part outside Limits", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{
			RPLLeaf: &rpl.LeafConfig{Neighbours: 5}}}, []string{"RPLLeaf.Neighbours is 5", "Limits"}},
		{"root of somebody else's network", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{
			RPLRoot: &rpl.RootConfig{DODAG: addr("2001:db8::1")}}}, []string{"RPLRoot.DODAG 2001:db8::1", "Addresses"}},
		{"segments of less than a frame", radioCaps(1280), InterfaceConfig{IEEE802154: &IEEE802154Config{SegmentFrames: -1}},
			[]string{"SegmentFrames -1"}},
		{"zero MTU", ethernet(0), InterfaceConfig{}, []string{"MTU 0"}},
		{"small MTU", ethernet(67), InterfaceConfig{}, []string{"MTU 67"}},
		{"large MTU", ethernet(65536), InterfaceConfig{}, []string{"MTU 65536", "65535"}},
		{"MTU above the device's", ethernet(1500), InterfaceConfig{MTU: 1501}, []string{"MTU 1501", "1500"}},
		{"negative MTU", ethernet(1500), InterfaceConfig{MTU: -1}, []string{"MTU -1"}},
		{"MTU too small for IPv6", ethernet(1500), addresses(1279, "fdaa:1::1/64"), []string{"fdaa:1::1/64", "1280", "1279"}},
		{"IPv6 off", ethernet(1500), InterfaceConfig{NoIPv6: true, Addresses: []netip.Prefix{prefix("fdaa:1::1/64")}}, []string{"fdaa:1::1/64"}},
		{"group's hardware address", ethernet(1500), InterfaceConfig{HardwareAddr: wire.HardwareAddr{1, 2, 3, 4, 5, 6}}, []string{"01:02:03:04:05:06"}},
		{"device's hardware address a group's", dev.Capabilities{Medium: dev.Ethernet, MTU: 1500, HardwareAddr: [6]byte{1, 2, 3, 4, 5, 6}},
			InterfaceConfig{}, []string{"01:02:03:04:05:06"}},
		{"hardware address without Ethernet", dev.Capabilities{Medium: dev.IP, MTU: 1500},
			InterfaceConfig{HardwareAddr: ourHardware}, []string{"02:00:00:00:00:01"}},
		{"invalid address", ethernet(1500), InterfaceConfig{Addresses: []netip.Prefix{{}}}, []string{"invalid Prefix"}},
		{"unspecified address", ethernet(1500), addresses(0, "0.0.0.0/24"), []string{"0.0.0.0/24"}},
		{"unspecified IPv6 address", ethernet(1500), addresses(0, "::/64"), []string{"::/64"}},
		{"multicast address", ethernet(1500), addresses(0, "224.0.0.7/24"), []string{"224.0.0.7/24"}},
		{"broadcast address", ethernet(1500), addresses(0, "255.255.255.255/32"), []string{"255.255.255.255/32"}},
		{"reserved address", ethernet(1500), addresses(0, "240.0.0.1/8"), []string{"240.0.0.1/8"}},
		{"loopback address", ethernet(1500), addresses(0, "127.0.0.2/8"), []string{"127.0.0.2/8"}},
		{"IPv6 loopback address", ethernet(1500), addresses(0, "::1/128"), []string{"::1/128"}},
		{"network's address", ethernet(1500), addresses(0, "10.0.0.0/24"), []string{"10.0.0.0/24"}},
		{"network's broadcast address", ethernet(1500), addresses(0, "10.0.0.255/24"), []string{"10.0.0.255/24"}},
		{"IPv4-mapped address", ethernet(1500), addresses(0, "::ffff:10.0.0.1/120"), []string{"10.0.0.1/120"}},
		{"address twice", ethernet(1500), addresses(0, "10.0.0.1/24", "10.0.0.1/24"), []string{"10.0.0.1/24", "duplicate"}},
		{"address of another interface", ethernet(1500), addresses(0, "192.168.69.1/32"), []string{"192.168.69.1/32", `"eth0"`}},
		{"same network as another interface", ethernet(1500), addresses(0, "192.168.69.2/24"), []string{"192.168.69.2/24", "192.168.69.1/24", `"eth0"`}},
		{"network around another's", ethernet(1500), addresses(0, "192.168.1.2/16"), []string{"192.168.1.2/16", "192.168.69.1/24"}},
		{"same IPv6 network", ethernet(1500), addresses(0, "fdaa::2/64"), []string{"fdaa::2/64", "fdaa::1/64"}},
		{"too many addresses", ethernet(1500), addresses(0, "10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24", "10.0.0.5/24"), []string{"10.0.0.5/24", "Limits.Addresses, 4"}},
		{"gateway elsewhere", ethernet(1500), routes("0.0.0.0/0", "10.9.0.1"), []string{"10.9.0.1"}},
		{"gateway is the stack", ethernet(1500), routes("0.0.0.0/0", "10.0.0.1"), []string{"10.0.0.1"}},
		{"gateway of the other family", ethernet(1500), routes("::/0", "10.0.0.2"), []string{"10.0.0.2"}},
		{"route with host bits", ethernet(1500), routes("10.3.0.1/16", "10.0.0.2"), []string{"10.3.0.1/16"}},
		{"route by another interface", ethernet(1500), InterfaceConfig{Routes: []Route{{Destination: prefix("10.3.0.0/16"), Link: 2}}}, []string{"10.3.0.0/16", "interface 2"}},
		{"route twice", ethernet(1500), InterfaceConfig{Routes: []Route{{Destination: prefix("10.3.0.0/16")}, {Destination: prefix("10.3.0.0/16")}}}, []string{"10.3.0.0/16", "duplicate"}},
		{"invalid route", ethernet(1500), InterfaceConfig{Routes: []Route{{}}}, []string{"invalid"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := New(epoch, Config{Limits: Limits{Addresses: 4, Groups: 6}, Rand: seeded()})
			require.NoError(t, err)
			_, err = s.AddInterface(epoch, InterfaceConfig{Name: "eth0", Device: taken,
				Addresses: []netip.Prefix{prefix("192.168.69.1/24"), prefix("fdaa::1/64")}})
			require.NoError(t, err)
			routes := s.Routes()
			if tc.ifc.Device == nil && tc.name != "no device" {
				tc.ifc.Device = &testDevice{tc.caps}
			}
			_, err = s.AddInterface(epoch, tc.ifc)
			require.ErrorIs(t, err, ErrConfig)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.Len(t, s.Interfaces(), 2, "nothing has changed")
			require.Equal(t, routes, s.Routes())
			require.False(t, s.Local(0, addr("10.0.0.1")))
			l, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
			require.NoError(t, err)
			require.EqualValues(t, 3, l.Index(), "no index was used up")
			s.Close(epoch)
		})
	}
}

func ethernet(mtu int) dev.Capabilities { return dev.Capabilities{Medium: dev.Ethernet, MTU: mtu} }

func addresses(mtu int, prefixes ...string) (c InterfaceConfig) {
	c.MTU = mtu
	for _, p := range prefixes {
		c.Addresses = append(c.Addresses, prefix(p))
	}
	return c
}

func routes(destination, gateway string) InterfaceConfig {
	c := addresses(0, "10.0.0.1/24")
	c.Routes = []Route{{Destination: prefix(destination), Gateway: addr(gateway)}}
	return c
}

func TestInterfaceLimit(t *testing.T) {
	s, err := New(epoch, Config{Limits: Limits{Interfaces: 1}})
	require.NoError(t, err)
	defer s.Close(epoch)
	_, err = s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}})
	require.NoError(t, err)
	_, err = s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "Limits.Interfaces, 1")
}

func TestRouteLimit(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Routes = 3 })
	require.NoError(t, s.stack.AddRoute(Route{Destination: prefix("10.0.0.0/8"), Gateway: them4, Link: 2}))
	err := s.stack.AddRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: them4, Link: 2})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "0.0.0.0/0")
	err = s.stack.AddRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: them4, Link: 9})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "interface 9")
}

func TestInterfaceDefaults(t *testing.T) {
	s, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	defer s.Close(epoch)
	a, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(9000)}})
	require.NoError(t, err)
	require.Equal(t, "if2", a.Name())
	require.Equal(t, 9000, a.MTU(), "the device's")
	require.EqualValues(t, 2, a.HardwareAddr()[0]&3, "individual and locally administered")
	hw := a.HardwareAddr()
	linkLocal := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: hw[0] ^ 2, 9: hw[1], 10: hw[2], 11: 0xff, 12: 0xfe, 13: hw[3], 14: hw[4], 15: hw[5]})
	require.Equal(t, netip.PrefixFrom(linkLocal, 64), prefixes(a)[0], "a link-local address of its own")
	b, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}})
	require.NoError(t, err)
	require.NotEqual(t, a.HardwareAddr(), b.HardwareAddr())

	caps := ethernet(1500)
	caps.HardwareAddr = [6]byte{0, 0x1b, 0x21, 1, 2, 3}
	c, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{caps}, Name: "c"})
	require.NoError(t, err)
	require.Equal(t, wire.HardwareAddr(caps.HardwareAddr), c.HardwareAddr(), "the device's own")
	require.Equal(t, []string{"fe80::21b:21ff:fe01:203/64"}, texts(prefixes(c)), "RFC 4291 appendix A")

	own, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}, Addresses: []netip.Prefix{prefix("fe80::1/64")}})
	require.NoError(t, err)
	require.Equal(t, []string{"fe80::1/64"}, texts(prefixes(own)), "one link-local address is enough")
	small, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1279)}})
	require.NoError(t, err)
	require.Empty(t, prefixes(small), "no IPv6 with such an MTU")
	off, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}, NoIPv6: true})
	require.NoError(t, err)
	require.Empty(t, prefixes(off))
	require.Equal(t, s.Interfaces()[1], a)
	require.Nil(t, s.Interface(99))
}

func TestAddressesThatMayShare(t *testing.T) {
	s, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	defer s.Close(epoch)
	for _, addrs := range [][]string{
		{"10.0.0.1/24", "10.0.0.2/24", "fe80::1/64", "192.168.0.1/31"},
		{"10.0.0.3/32", "fe80::1/64", "192.168.0.3/31", "10.0.1.0/31"},
	} {
		config := addresses(0, addrs...)
		config.Device = &testDevice{ethernet(1500)}
		_, err := s.AddInterface(epoch, config)
		require.NoError(t, err)
	}
}

func TestLoopbackStays(t *testing.T) {
	s, err := New(epoch, Config{})
	require.NoError(t, err)
	lo := s.Interfaces()[0]
	require.EqualValues(t, 1, lo.Index())
	require.Equal(t, "lo", lo.Name())
	require.Nil(t, lo.Device())
	require.Equal(t, 65535, lo.MTU())
	require.Equal(t, []string{"127.0.0.1/8", "::1/128"}, texts(prefixes(lo)))
	require.ErrorIs(t, s.RemoveInterface(epoch, lo), ErrConfig)
	require.False(t, lo.RemoveAddress(epoch, addr("127.0.0.1")))
	require.ErrorIs(t, s.AddRoute(Route{Destination: prefix("10.0.0.0/8"), Link: 1}), ErrConfig)
	s.Close(epoch)
	s.Close(epoch)
	_, err = s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}})
	require.Error(t, err)
}

// brokenReader is a source of randomness that has run dry.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("dry") }

func TestRandomnessThatFails(t *testing.T) {
	_, err := New(epoch, Config{Rand: brokenReader{}})
	require.ErrorContains(t, err, "dry")
}

func TestAddressThatWouldExceedTheRoutes(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Routes = 2 })
	groups := s.link.Groups()
	err := s.link.AddAddress(s.now, prefix("fdbb::77:1/64"))
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "fdbb::77:1/64")
	require.Equal(t, groups, s.link.Groups(), "nothing is left behind")
	require.False(t, s.stack.Local(0, addr("fdbb::77:1")))
}

// radioCaps are those of a radio without an address of its own.
func radioCaps(mtu int) dev.Capabilities { return dev.Capabilities{Medium: dev.IEEE802154, MTU: mtu} }
