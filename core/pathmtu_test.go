package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// tooBig has a router say that the IP packet is too big for its next link.
func (s *script) tooBig(sent []byte, mtu int) {
	if sent[0]>>4 == 4 {
		s.recv(toUs(error4(router4, wire.ICMPv4DestinationUnreachable, wire.ICMPv4FragmentationNeeded, uint16(mtu), sent[:28])))
	} else {
		s.recv(toUs(error6(them6, wire.ICMPv6PacketTooBig, 0, uint32(mtu), sent[:min(len(sent), 1232)])))
	}
}

// lengths are those of the IP packets that leave.
func (s *script) lengths() (lengths []int) {
	for _, frame := range s.send() {
		lengths = append(lengths, len(frame)-wire.EthernetHeaderLen)
	}
	return lengths
}

// known is what the stack knows of paths.
func (s *script) known() (known []string) {
	for _, k := range s.stack.PathMTUs() {
		known = append(known, fmt.Sprintf("%v %d for %v", k.Addr, k.MTU, k.Expires.Sub(s.now)))
	}
	return known
}

func TestPathMTUIsRemembered(t *testing.T) {
	s := newScript(t).knowing()
	for _, tc := range []struct {
		local, remote string
		lengths       []int
		known         string
		most          int // octets of payload
	}{
		{"0.0.0.0:1", "192.168.69.100:7", []int{1300, 748}, "192.168.69.100 1300 for 10m0s", 1272},
		{"[::]:2", "[fdaa::100]:7", []int{1296, 808}, "fdaa::100 1300 for 10m0s", 1252},
	} {
		t.Run(tc.remote, func(t *testing.T) {
			// Two other than those who hear of it: what is known is the destination's.
			e, other := s.bind(tc.local), s.bind(netip.AddrPortFrom(addrPort(tc.local).Addr(), 9).String())
			defer other.Close()
			s.sendTo(e, tc.remote, 1400)
			sent := s.send()[0][14:]
			s.tooBig(sent, 1300)
			require.Equal(t, tc.known, s.known()[len(s.known())-1])

			s.sendTo(other, tc.remote, 2000)
			require.Equal(t, tc.lengths, s.lengths())
			s.sendTo(other, tc.remote, tc.most)
			require.Equal(t, []int{1300}, s.lengths(), "what fits leaves whole")
			other.SetPathMTUDiscovery(udp.PathMTUDont)
			s.sendTo(other, tc.remote, 1400)
			require.Equal(t, []int{len(sent)}, s.lengths(), "it is for the routers to cut it")
			other.SetPathMTUDiscovery(udp.PathMTUProbe)
			s.sendTo(other, tc.remote, 1400)
			require.Equal(t, []int{len(sent)}, s.lengths(), "it may be that the path carries more by now")
			other.SetPathMTUDiscovery(udp.PathMTUDo)
			s.sendTo(other, tc.remote, tc.most)
			require.Equal(t, []int{1300}, s.lengths())
			require.ErrorIs(t, other.Send(s.now, packetOf(make([]byte, tc.most+1)), addrPort(tc.remote), 0), ip.ErrMessageTooLong)

			s.after(10*time.Minute - 1)
			s.sendTo(e, tc.remote, 1400)
			require.Len(t, s.lengths(), 2)
			s.after(1)
			require.Empty(t, s.known(), "ten minutes later the path may be another")
			s.sendTo(e, tc.remote, 1400)
			require.Equal(t, []int{len(sent)}, s.lengths())
		})
	}
}

func TestPathMTUOfOneDestinationIsNotAnothers(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: them4}}
	}).knowing()
	e := s.bind("0.0.0.0:1")
	s.sendTo(e, "8.8.8.8:7", 1400)
	s.tooBig(s.send()[0][14:], 1000)
	s.sendTo(e, "8.8.4.4:7", 1400)
	require.Len(t, s.send(), 1, "though both are behind one router")
	s.sendTo(e, "8.8.8.8:7", 1400)
	require.Len(t, s.send(), 2)
	require.NoError(t, s.stack.AddRoute(Route{Destination: prefix("7.0.0.0/8"), Gateway: them4, Link: s.link.Index()}))
	s.sendTo(e, "8.8.8.8:7", 1400)
	require.Len(t, s.send(), 2, "routes change, and it is still known")
}

func TestPathMTUMessages(t *testing.T) {
	type say struct {
		mtu   int
		known int // afterwards; 0: nothing
	}
	for _, tc := range []struct {
		name   string
		remote string
		octets int // of the datagram that was too big
		says   []say
	}{
		{"lower and lower", "192.168.69.100:7", 1400, []say{{1400, 1400}, {1000, 1000}, {999, 999}}},
		{"never higher", "192.168.69.100:7", 1400, []say{{1000, 1000}, {1001, 1000}, {1427, 1000}}},
		{"as much as the packet had", "192.168.69.100:7", 1000, []say{{1028, 0}, {1027, 1027}}},
		{"as much as the link carries", "192.168.69.100:7", 1472, []say{{1500, 0}, {65535, 0}}},
		{"less than packets may be", "192.168.69.100:7", 1400, []say{{551, 552}, {68, 552}, {0, 552}}},
		{"a router that does not say", "192.168.69.100:7", 1400, []say{{0, 552}}},
		{"lower and lower, IPv6", "[fdaa::100]:7", 1400, []say{{1400, 1400}, {1280, 1280}}},
		{"never higher, IPv6", "[fdaa::100]:7", 1400, []say{{1300, 1300}, {1301, 1300}, {1447, 1300}}},
		{"as much as the packet had, IPv6", "[fdaa::100]:7", 1300, []say{{1348, 0}, {1347, 1347}}},
		{"less than any link of IPv6 carries", "[fdaa::100]:7", 1400, []say{{1279, 0}, {0, 0}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(tc.remote)})
			require.NoError(t, err)
			s.sendTo(e, tc.remote, tc.octets)
			sent := s.send()[0][14:]
			for _, say := range tc.says {
				s.tooBig(sent, say.mtu)
				by, _, err := s.stack.Route(0, netip.Addr{}, addrPort(tc.remote).Addr())
				require.NoError(t, err)
				require.Equal(t, 1500, by.MTU(), "that is the link's")
				if say.known == 0 {
					require.Empty(t, s.known())
					require.Equal(t, 1500, by.PathMTU())
					continue
				}
				require.Equal(t, []string{fmt.Sprintf("%v %d for 10m0s", addrPort(tc.remote).Addr(), say.known)}, s.known())
				require.Equal(t, say.known, by.PathMTU())
			}
		})
	}
}

// Where a link carries less than 552 octets routers cut what is of that size.
func TestPathMTUBelowTheLeast(t *testing.T) {
	s := newScript(t).knowing()
	e := s.bind("0.0.0.0:1")
	s.sendTo(e, "192.168.69.100:7", 1000)
	s.tooBig(s.send()[0][14:], 300)
	for _, octets := range []int{100, 1000} {
		s.sendTo(e, "192.168.69.100:7", octets)
		for _, frame := range s.send() {
			p := wire.IPv4Packet(frame[14:])
			require.False(t, p.DontFragment())
			require.NotZero(t, p.ID())
			require.LessOrEqual(t, p.TotalLen(), 552)
		}
	}
}

func TestPathMTUMessagesAboutNothingOfOurs(t *testing.T) {
	large := numbered(1400)
	open := func(s *script) { s.bind("[::]:5000"); s.bind("0.0.0.0:5000") }
	for _, tc := range []struct {
		name  string
		quote []byte
	}{
		{"a datagram of nobody's", udpTo(us4, them4, 5001, 7, large)},
		{"a datagram of somebody else's", udpTo(router4, them4, 5000, 7, large)},
		{"a segment, which is TCP's", syn(us4, them4, 5000, 7)},
		{"an unknown protocol", ipv4(us4, them4, 99, []byte(large))},
		{"a datagram of nobody's, IPv6", udpTo(us6, them6, 5001, 7, large)},
		{"a datagram of somebody else's, IPv6", udpTo(addr("fdaa::7"), them6, 5000, 7, large)},
		{"an unknown protocol, IPv6", ipv6(us6, them6, 99, []byte(large))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			open(s)
			s.tooBig(tc.quote, 1280)
			require.Empty(t, s.known())
		})
	}
}

func TestPathMTUOfEchoes(t *testing.T) {
	s := newScript(t).knowing()
	s.recv(toUs(echo4(them4, us4, numbered(1400))))
	s.tooBig(s.send()[0][14:], 1000)
	s.recv(toUs(echo6(them6, us6, numbered(1400))))
	s.tooBig(s.send()[0][14:], 1280)
	require.Equal(t, []string{"192.168.69.100 1000 for 10m0s", "fdaa::100 1280 for 10m0s"}, s.known())
	require.Zero(t, s.stack.Counters().ICMPv4.InErrors+s.stack.Counters().ICMPv6.InErrors)
	s.recv(toUs(echo4(them4, us4, numbered(1400))))
	require.Equal(t, []int{996, 452}, s.lengths())
	s.recv(toUs(echo6(them6, us6, numbered(1400))))
	require.Equal(t, []int{1280, 224}, s.lengths())
}

// The first fragment of what was cut already tells enough.
func TestPathMTUOfFragments(t *testing.T) {
	s := newScript(t).knowing()
	e := s.bind("[::]:1")
	s.sendTo(e, "[fdaa::100]:7", 5000)
	s.tooBig(s.send()[0][14:], 1400)
	require.Equal(t, []string{"fdaa::100 1400 for 10m0s"}, s.known())
	s.sendTo(e, "[fdaa::100]:7", 5000)
	s.tooBig(s.send()[0][14:], 1280)
	s.sendTo(e, "[fdaa::100]:7", 2000)
	require.Equal(t, []int{1280, 40 + 8 + 2008 - 1232}, s.lengths())
}

// TCP has a memory of its own, and its segments are not cut.
func TestPathMTUOfDatagramsIsNotTCPs(t *testing.T) {
	s := newScript(t).knowing()
	e := s.bind("0.0.0.0:1")
	s.sendTo(e, "192.168.69.100:7", 1400)
	s.tooBig(s.send()[0][14:], 600)
	_, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("192.168.69.100:80")})
	require.NoError(t, err)
	p := wire.IPv4Packet(s.send()[0][14:])
	require.True(t, p.DontFragment())
	by, source, err := s.stack.Route(0, netip.Addr{}, them4)
	require.NoError(t, err)
	segment := packetOf(make([]byte, 1400))
	segment.IP = packet.IPInfo{Src: source, Dst: them4, Protocol: ip.ProtocolTCP, Fragmentation: packet.DontFragment}
	s.stack.Send(0, by, segment)
	require.Equal(t, []int{1420}, s.lengths())
}

func TestPathMTUsAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.PathMTUs = 3 }, func(c *InterfaceConfig) {
		c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: them4}}
	}).knowing()
	s.bind("0.0.0.0:1")
	quote := func(last byte) []byte {
		return udpTo(us4, netip.AddrFrom4([4]byte{8, 8, 8, last}), 1, 7, numbered(1400))
	}
	before, _, err := s.stack.Route(0, netip.Addr{}, addr("8.8.8.2"))
	require.NoError(t, err)
	for last := range byte(4) {
		s.tooBig(quote(last+1), 1000)
		s.after(time.Second)
		if last == 2 {
			s.tooBig(quote(1), 1000) // which makes it the latest
			before, _, err = s.stack.Route(0, netip.Addr{}, addr("8.8.8.2"))
			require.NoError(t, err)
			require.Equal(t, 1000, before.PathMTU())
		}
	}
	require.Equal(t, []string{"8.8.8.3 1000 for 9m58s", "8.8.8.1 1000 for 9m59s", "8.8.8.4 1000 for 9m59s"}, s.known())
	require.Equal(t, 1500, before.PathMTU(), "whoever holds on to the path of one that is forgotten has the link's again")
	s.after(10 * time.Minute)
	s.tooBig(quote(9), 1000)
	require.Len(t, s.stack.pathMTUs.all, 1, "those too old make room")
}
