package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// everything is an interface with all that configures it, answers for others, and tells routers of its groups.
func everything(c *InterfaceConfig) {
	c.Autoconf, c.TemporaryAddresses, c.DuplicateDetection, c.NoGroupReports = true, true, DetectAll, false
	c.DHCPv4, c.LinkLocalv4, c.DHCPv6 = &dhcpv4.Config{}, true, DHCPv6Config{Mode: DHCPv6Stateful}
	c.AnyIP = []netip.Prefix{prefix("10.9.0.0/16"), prefix("2001:db8:9::/48")}
	c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: router4}, {Destination: prefix("::/0"), Gateway: gateway6}}
}

// busy has a stack be in the midst of all that there is to be in the midst of.
func (s *script) busy() {
	s.t.Helper()
	redirect := func(dst netip.Addr) {
		s.recv(nd(gateway6, us6, &wire.NDRedirectRepr{Target: better6, Destination: dst, Quote: udpTo(us6, dst, 1000, 7, "")}))
	}
	redirect(away6)
	s.recv(redirect4(router4, better4, away4, 1))
	s.advertise(theirLinkLocal, advertisement(time.Hour, prefixOption(time.Hour), sourceOption(theirHardware)))
	s.recv(toUs(inFragments(udpTo(them4, us4, 7, 7, numbered(3000)), 7, 1000)[0]))
	s.recv(toUs(fragment6(8, 0, true, ip.ProtocolUDP, udpTo(them6, us6, 7, 7, numbered(1000))[40:40+808])))
	e := s.bind("0.0.0.0:0")
	s.t.Cleanup(e.Close)
	s.join(e, addr("239.1.2.3"))
	_ = e.Send(s.now, packetOf([]byte(numbered(5000))), netip.AddrPortFrom(them4, 9), 0)
	_ = e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(addr("192.168.69.77"), 9), 0)
	_ = e.Send(s.now, packetOf([]byte("x")), addrPort("239.1.2.3:9"), s.link.Index())
	l, err := s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort("0.0.0.0:0")})
	require.NoError(s.t, err)
	s.recv(toUs(syn(them4, us4, 1000, l.Addr().Port())))
	s.recv(igmp(them4, allSystemsv4, query4(anyv4)))
}

func TestNothingIsLeftOfAnInterface(t *testing.T) {
	for _, at := range []time.Duration{0, 50 * time.Millisecond, time.Second, 3 * time.Second, 12 * time.Second, time.Minute, time.Hour, 1000 * time.Hour} {
		for _, ending := range []string{"removed", "closed"} {
			for _, sending := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s after %v, sending %v", ending, at, sending), func(t *testing.T) {
					s := newScript(t, everything)
					for range 10 {
						s.after(at / 10)
						if sending {
							s.skip()
						}
					}
					s.busy()
					if sending {
						s.skip()
					}
					if ending == "removed" {
						require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
						require.False(t, s.link.Pending(), "nothing waits to leave")
						require.Empty(t, s.stack.Routes())
						require.Empty(t, s.link.Addresses())
						require.Empty(t, s.link.Groups())
						s.after(24 * time.Hour)
						require.False(t, s.link.Pending(), "nor does anything begin to")
					}
					s.stack.Close(s.now)
					require.Equal(t, timer.Never, s.stack.timers.Next(), "no timer runs")
				})
			}
		}
	}
}

func TestRemovedInterfaceIsNoWay(t *testing.T) {
	s := newScript(t)
	device := dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}
	bare, err := s.stack.AddInterface(s.now, InterfaceConfig{Device: &testDevice{device}, NoIPv6: true})
	require.NoError(t, err)
	e := s.bind("192.168.69.1:9")
	defer e.Close()
	send := func() error {
		return e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(broadcastAddrv4, 9), bare.Index())
	}
	e.SetBroadcast(true)
	require.NoError(t, send())
	pkts := make([]*packet.Packet, 8)
	for _, p := range pkts[:s.stack.Output(s.now, bare, pkts)] {
		p.Release()
	}
	require.NoError(t, s.stack.RemoveInterface(s.now, bare))
	require.Error(t, send(), "an interface without addresses and routes is forgotten, too")
	require.False(t, bare.Pending())
}

func TestServerWithoutItsAddress(t *testing.T) {
	s := newLessor(t, fullServer())
	require.True(t, s.server.RemoveAddress(s.now, addr("10.0.0.1")))
	s.run(time.Minute)
	require.Equal(t, dhcpv4.Selecting, s.state(), "the server does not speak in the name of nobody")
	require.NoError(t, s.server.AddAddress(s.now, prefix("10.0.0.1/24")))
	s.run(2 * time.Minute)
	require.Equal(t, dhcpv4.Bound, s.state())
}
