package core

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// any4 and any6 are nobody's, in ranges that newAnyIP answers for.
var any4, any6 = addr("203.0.113.9"), addr("2001:db8::9")

func newAnyIP(t *testing.T, options ...any) *script {
	return newScript(t, append([]any{func(c *InterfaceConfig) {
		c.AnyIP = []netip.Prefix{prefix("203.0.113.0/24"), prefix("2001:db8::/32"), prefix("192.168.69.0/24"), prefix("fdaa::/64")}
	}}, options...)...)
}

func TestAnyIPAnswers(t *testing.T) {
	s := newAnyIP(t).knowing()
	s.recv(toUs(echo4(them4, any4, "")))
	s.recv(toUs(echo6(them6, any6, "")))
	s.want("pings, from the address that was asked", "IP 203.0.113.9 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8",
		"IP6 2001:db8::9 > fdaa::100: ICMP6, echo reply, id 1, seq 2, length 8")
	s.recv(toUs(udpTo(them4, any4, 1000, 7, "")))
	s.want("for a port without an endpoint", "IP 203.0.113.9 > 192.168.69.100: ICMP 203.0.113.9 udp port 7 unreachable, length 36: "+
		"IP 192.168.69.100.1000 > 203.0.113.9.7: UDP, length 0")

	l, err := s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort("0.0.0.0:80")})
	require.NoError(t, err)
	defer func() { l.Close(s.now) }()
	s.recv(toUs(syn(them4, any4, 4242, 80)))
	sent := s.send()
	require.Len(t, sent, 1)
	require.Contains(t, wire.FormatIP(sent[0][14:]), "IP 203.0.113.9.80 > 192.168.69.100.4242: Flags [S.]")
	e := s.bind("[::]:7")
	s.recv(toUs(udpTo(them6, any6, 1000, 7, "hello")))
	require.Equal(t, any6, s.wantDatagram(e, "hello", "[fdaa::100]:1000").Dst)

	s.recv(toUs(udpTo(them4, addr("198.51.100.1"), 1000, 7, "")))
	s.wantIdle("for no other range")
	require.EqualValues(t, 1, s.link.Counters().Drops[DropNotOurs])
	require.NoError(t, s.link.SetAnyIP(nil))
	s.recv(toUs(echo4(them4, any4, "")))
	s.wantIdle("nor any more")
}

func TestAnyIPSends(t *testing.T) {
	s := newAnyIP(t).knowing()
	e := s.bind("203.0.113.9:5000")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(them4, 7), 0))
	s.want("from an address that is bound", "IP 203.0.113.9.5000 > 192.168.69.100.7: UDP, length 1")
	_, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort("198.51.100.1:5000")})
	require.Error(t, err, "of a range that is answered for")

	s.recv(toUs(error4(them4, wire.ICMPv4DestinationUnreachable, 3, 0, nil)))
	require.NoError(t, s.stack.AddRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: them4, Link: 2}))
	o := s.bind("0.0.0.0:6000")
	require.NoError(t, o.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(any4, 7), 0))
	s.want("to the range: it leaves, and from an own address", "IP 192.168.69.1.6000 > 203.0.113.9.7: UDP, length 1")
}

func TestAnyIPTellsTheNeighbours(t *testing.T) {
	solicitation := func(src, target netip.Addr) []byte {
		r := &wire.NDNeighborSolicitationRepr{Target: target}
		if !src.IsUnspecified() {
			r.SourceLinkAddr = theirHardware.LinkAddr()
		}
		return nd(src, wire.SolicitedNodeMulticast(target), r)
	}
	request := func(r wire.ARPRepr) []byte {
		r.Operation, r.SenderHardware = wire.ARPRequest, theirHardware
		return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(r))
	}
	nobody4, nobody6 := addr("192.168.69.77"), addr("fdaa::77")
	for _, tc := range []struct {
		name  string
		frame []byte
		want  []string
	}{
		{"who has it", arpRequest(nobody4), []string{"ARP, Reply 192.168.69.77 is-at 02:00:00:00:00:01, length 28"}},
		{"who has it, outside of any network", arpRequest(any4), []string{"ARP, Reply 203.0.113.9 is-at 02:00:00:00:00:01, length 28"}},
		{"who has it, in no range", arpRequest(addr("198.51.100.1")), nil},
		{"a probe for it", request(wire.ARPRepr{SenderProtocol: addr("0.0.0.0"), TargetProtocol: nobody4}), nil},
		{"somebody who has it", request(wire.ARPRepr{SenderProtocol: nobody4, TargetProtocol: nobody4}), nil},
		{"everybody's", arpRequest(addr("192.168.69.255")), nil},
		{"who has it, IPv6", solicitation(them6, nobody6), []string{
			"IP6 fdaa::1 > fdaa::100: ICMP6, neighbor advertisement, tgt is fdaa::77, Flags [solicited], destination link-address 02:00:00:00:00:01, length 32"}},
		{"who has it, IPv6, outside of any network", solicitation(theirLinkLocal, any6), []string{
			"IP6 fe80::ff:fe00:1 > fe80::64: ICMP6, neighbor advertisement, tgt is 2001:db8::9, Flags [solicited], destination link-address 02:00:00:00:00:01, length 32"}},
		{"who has it, IPv6, in no range", solicitation(them6, addr("fdcc::1")), nil},
		{"who has it, link-local", solicitation(them6, addr("fe80::77")), nil},
		{"a probe for it, IPv6", solicitation(addr("::"), nobody6), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newAnyIP(t)
			s.recv(tc.frame)
			s.want("", tc.want...)
		})
	}
}

func TestAnyIPRanges(t *testing.T) {
	for _, tc := range []struct{ name, prefix, err string }{
		{"everything", "0.0.0.0/0", ""},
		{"everything, IPv6", "::/0", ""},
		{"one", "203.0.113.9/32", ""},
		{"host bits", "203.0.113.9/24", "host bits"},
		{"multicast", "224.0.0.0/4", "beyond"},
		{"loopback", "127.0.0.0/8", "beyond"},
		{"link-local", "fe80::/10", "beyond"},
		{"IPv4-mapped", "::ffff:1.2.3.4/128", "no range"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			err := s.link.SetAnyIP([]netip.Prefix{prefix(tc.prefix)})
			if tc.err != "" {
				require.ErrorIs(t, err, ErrConfig)
				require.ErrorContains(t, err, tc.err)
				require.Empty(t, s.link.AnyIP())
				return
			}
			require.NoError(t, err)
			require.Len(t, s.link.AnyIP(), 1)
			s.knowing()
			s.recv(toGroup(udpTo(them4, addr("239.1.1.1"), 1, 7, "")))
			s.recv(toUs(udpTo(them6, addr("fe80::77"), 1, 7, "")))
			s.wantIdle("whatever it is, groups and others' link-local addresses are not in it")
		})
	}
}

// While an address of the stack's own may be somebody else's, nobody answers for it, whatever range it is in.
func TestAnyIPLeavesTentativeAddressesAlone(t *testing.T) {
	s := newAnyIP(t, func(c *InterfaceConfig) { c.DuplicateDetection = 0 })
	require.Equal(t, Tentative, s.link.find(us6).state)
	s.recv(toUs(echo6(them6, us6, "")))
	require.EqualValues(t, 1, s.link.Counters().Drops[DropNotOurs])
}

// On a medium without neighbours there is nobody to be told.
func TestAnyIPWithoutNeighbours(t *testing.T) {
	s := newAnyIP(t, func(c *dev.Capabilities) { c.Medium = dev.IP })
	s.recv(echo4(them4, any4, ""))
	s.want("it answers", "IP 203.0.113.9 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8")
}
