package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/dhcpv6"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// dhcpv6Script is a conversation of a stack's with a DHCPv6 server at theirLinkLocal.
type dhcpv6Script struct {
	*script
	events []string
	asked  wire.DHCPv6Repr // the client's last message
}

var (
	dhcpv6Given    = addr("2001:db8::77")
	dhcpv6ServerID = wire.DHCPv6DUID{0, 9, 'S'}
)

func newDHCPv6Script(t *testing.T, config DHCPv6Config, options ...any) *dhcpv6Script {
	s := &dhcpv6Script{}
	s.script = newScript(t, append(options, func(c *InterfaceConfig) { c.DHCPv6 = config },
		func(c *Config) {
			c.Event = func(e Event) {
				if e.Kind != GroupJoined && e.Kind != GroupLeft { // with its addresses
					s.events = append(s.events, e.String())
				}
			}
		})...).knowing()
	s.events = nil
	return s
}

// advance lets time pass in small steps, and returns what DHCPv6 messages leave.
func (s *dhcpv6Script) advance(d time.Duration) (messages []string) {
	s.t.Helper()
	for end := s.now.Add(d); ; {
		s.stack.Advance(s.now)
		for _, frame := range s.send() {
			p := wire.IPv6Packet(wire.EthernetFrame(frame).Payload())
			if wire.EthernetFrame(frame).EtherType() != wire.EtherTypeIPv6 || p.NextHeader() != ip.ProtocolUDP {
				continue
			}
			datagram, err := wire.ParseUDP(p.Payload())
			require.NoError(s.t, err)
			require.True(s.t, datagram.VerifyChecksum(p.Src(), p.Dst()))
			require.Equal(s.t, []any{ourLinkLocal, wire.DHCPv6Servers, uint16(546), uint16(547)},
				[]any{p.Src(), p.Dst(), datagram.SrcPort(), datagram.DstPort()})
			require.Equal(s.t, wire.MulticastHardwareAddr(wire.DHCPv6Servers), wire.EthernetFrame(frame).Dst())
			message := append([]byte(nil), datagram.Payload()...)
			require.NoError(s.t, s.asked.Parse(message))
			messages = append(messages, fmt.Sprint(s.asked.Type))
		}
		next, ok := s.stack.PollAt()
		if !ok || next.After(end) {
			s.now = end
			return messages
		}
		s.now = next
	}
}

// first lets time pass until a message leaves, which is delayed by up to a second, and sent again after almost as long.
func (s *dhcpv6Script) first() (messages []string) {
	s.t.Helper()
	for i := 0; i <= 10 && len(messages) == 0; i++ {
		messages = s.advance(100 * time.Millisecond)
	}
	return messages
}

// answer is a frame with a server's answer to the last message: addresses for an hour.
func (s *dhcpv6Script) answer(kind uint8, addrs ...netip.Addr) []byte {
	r := wire.DHCPv6Repr{Type: kind, TransactionID: s.asked.TransactionID, ClientID: s.asked.ClientID, ServerID: dhcpv6ServerID,
		DNSServers: []netip.Addr{addr("2001:db8::53")}, Preference: 255}
	for _, ia := range s.asked.IAs {
		a := wire.DHCPv6IANA{IAID: ia.IAID}
		for _, addr := range addrs {
			a.Addresses = append(a.Addresses, wire.DHCPv6IAAddr{Addr: addr, Preferred: time.Hour, Valid: time.Hour})
		}
		r.IAs = append(r.IAs, a)
	}
	return s.frame(theirLinkLocal, ourLinkLocal, r.Append(nil))
}

// frame is a frame of a server's.
func (s *dhcpv6Script) frame(src, dst netip.Addr, message []byte) []byte {
	packet := udpTo(src, dst, wire.DHCPv6ServerPort, wire.DHCPv6ClientPort, string(message))
	if dst.IsMulticast() {
		return toGroup(packet)
	}
	return toUs(packet)
}

// bind has the stack get an address.
func (s *dhcpv6Script) bind() {
	s.t.Helper()
	require.Equal(s.t, []string{"1"}, s.first())
	s.recv(s.answer(wire.DHCPv6Advertise, dhcpv6Given))
	require.Equal(s.t, []string{"3"}, s.advance(0))
	s.recv(s.answer(wire.DHCPv6Reply, dhcpv6Given))
}

func (s *dhcpv6Script) state(addr netip.Addr) string {
	if a := s.link.find(addr); a != nil {
		return a.describe().String()
	}
	return "none"
}

func TestDHCPv6GivesAnAddress(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful})
	routes := len(s.stack.Routes())
	s.bind()
	require.Equal(t, "2001:db8::77/128 preferred dhcpv6", s.state(dhcpv6Given))
	require.Len(t, s.stack.Routes(), routes, "the address says nothing about the network")
	require.Equal(t, []string{
		"address added: 2001:db8::77/128 tentative dhcpv6 (link 2)",
		"address changed: 2001:db8::77/128 preferred dhcpv6 (link 2)",
		"servers changed: (link 2)",
		"lease bound: 2001:db8::77 (link 2)",
	}, s.events)
	lease, ok := s.link.DHCPv6Lease()
	require.True(t, ok)
	require.Equal(t, dhcpv6.Assigned, lease.State)
	require.Equal(t, dhcpv6ServerID, lease.Server)
	require.Equal(t, s.now.Add(time.Hour), lease.Addresses[0].ValidUntil)
	require.Equal(t, []netip.Addr{addr("2001:db8::53")}, lease.NameServers)
	require.Equal(t, wire.DHCPv6DUIDLinkAddr(ourHardware), s.asked.ClientID)
	require.EqualValues(t, 2, s.asked.IAs[0].IAID)

	// It is renewed after half of its time.
	s.advance(30*time.Minute - time.Second)
	require.Equal(t, []string{"5"}, s.advance(2*time.Second))
	s.recv(s.answer(wire.DHCPv6Reply, dhcpv6Given))
	lease, _ = s.link.DHCPv6Lease()
	require.Equal(t, s.now.Add(time.Hour), lease.Addresses[0].ValidUntil)

	// And given back in the end.
	s.link.StopDHCPv6(s.now)
	require.Equal(t, "none", s.state(dhcpv6Given))
	require.Equal(t, []string{"8"}, s.advance(0))
	s.recv(s.answer(wire.DHCPv6Reply))
	lease, _ = s.link.DHCPv6Lease()
	require.Equal(t, DHCPv6Lease{State: dhcpv6.Stopped}, lease)
	require.Empty(t, s.advance(time.Hour))
}

func TestDHCPv6AddressExpires(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful})
	s.bind()
	s.advance(time.Hour - time.Second)
	require.Equal(t, "2001:db8::77/128 preferred dhcpv6", s.state(dhcpv6Given))
	s.events = nil
	s.advance(time.Second)
	require.Equal(t, "none", s.state(dhcpv6Given))
	require.Equal(t, []string{
		"address removed: 2001:db8::77/128 preferred dhcpv6 (link 2)",
		"lease lost: (link 2)",
	}, []string{s.events[0], s.events[len(s.events)-2]})
	require.Equal(t, []string{"1"}, s.first(), "servers are looked for again")
}

// Somebody else has the address: the server hears of it, and gives another.
func TestDHCPv6AddressIsDuplicate(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful}, func(c *InterfaceConfig) { c.DuplicateDetection = DetectLearnt })
	s.advance(5 * time.Second) // the link-local address comes first
	s.recv(s.answer(wire.DHCPv6Advertise, dhcpv6Given))
	s.advance(0)
	s.recv(s.answer(wire.DHCPv6Reply, dhcpv6Given))
	require.Equal(t, "2001:db8::77/128 tentative dhcpv6", s.state(dhcpv6Given))
	s.advance(100 * time.Millisecond)
	s.recv(nd(theirLinkLocal, allNodesv6,
		&wire.NDNeighborAdvertisementRepr{Override: true, Target: dhcpv6Given, TargetLinkAddr: otherHardware.LinkAddr()}))
	require.Equal(t, "none", s.state(dhcpv6Given))
	require.Equal(t, []string{"9"}, s.advance(0))
	require.Equal(t, dhcpv6Given, s.asked.IAs[0].Addresses[0].Addr)
	s.recv(s.answer(wire.DHCPv6Reply))
	require.Equal(t, []string{"1"}, s.first())
}

// Nothing leaves before there is an address to send from.
func TestDHCPv6AwaitsTheLinkLocalAddress(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateless}, func(c *InterfaceConfig) { c.DuplicateDetection = DetectLearnt })
	for s.state(ourLinkLocal) != "fe80::ff:fe00:1/64 preferred link-local" {
		require.Empty(t, s.advance(10*time.Millisecond))
	}
	require.Contains(t, s.advance(2*time.Second), "11")
}

func TestDHCPv6AsAdvertised(t *testing.T) {
	for _, test := range []struct {
		name           string
		mode           DHCPv6Mode
		managed, other bool
		want           []string
	}{
		{"neither", DHCPv6AsAdvertised, false, false, nil},
		{"managed", DHCPv6AsAdvertised, true, false, []string{"1"}},
		{"managed and other", DHCPv6AsAdvertised, true, true, []string{"1"}},
		{"other", DHCPv6AsAdvertised, false, true, []string{"11"}},
		{"managed, but off", DHCPv6Off, true, true, nil},
		{"managed, but stateless", DHCPv6Stateless, true, true, []string{"11"}},
		{"other, but stateful", DHCPv6Stateful, false, true, []string{"1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newDHCPv6Script(t, DHCPv6Config{Mode: test.mode})
			s.link.managed(int64(s.now.Sub(epoch)), test.managed, test.other)
			s.link.managed(int64(s.now.Sub(epoch)), test.managed, test.other)
			require.Equal(t, test.want, s.first())
		})
	}
	t.Run("first other, then managed, then neither", func(t *testing.T) {
		s := newDHCPv6Script(t, DHCPv6Config{})
		s.link.managed(0, false, true)
		require.Equal(t, []string{"11"}, s.first())
		s.recv(s.answer(wire.DHCPv6Reply))
		s.link.managed(int64(s.now.Sub(epoch)), true, true)
		s.bind()
		s.link.managed(int64(s.now.Sub(epoch)), false, false)
		require.Equal(t, "2001:db8::77/128 preferred dhcpv6", s.state(dhcpv6Given), "addresses end with their lifetimes")
	})
}

// What is not for the client is an endpoint's, and what is for it but answers nothing is dropped.
func TestDHCPv6Input(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(s *dhcpv6Script, answer []byte) []byte
		taken   bool
		dropped bool
	}{
		{"an answer", func(s *dhcpv6Script, answer []byte) []byte { return answer }, true, false},
		{"a wrong checksum", func(s *dhcpv6Script, answer []byte) []byte { answer[len(answer)-1]++; return answer }, false, true},
		{"no checksum", func(s *dhcpv6Script, answer []byte) []byte {
			wire.UDPPacket(answer[wire.EthernetHeaderLen+wire.IPv6HeaderLen:]).SetChecksum(0)
			return answer
		}, false, true},
		{"another transaction", func(s *dhcpv6Script, answer []byte) []byte {
			s.asked.TransactionID++
			return s.answer(wire.DHCPv6Advertise, dhcpv6Given)
		}, false, true},
		{"octets", func(s *dhcpv6Script, answer []byte) []byte {
			return s.frame(theirLinkLocal, ourLinkLocal, []byte{1, 2})
		}, false, true},
		{"to the global address", func(s *dhcpv6Script, answer []byte) []byte {
			return s.frame(them6, us6, answer[wire.EthernetHeaderLen+wire.IPv6HeaderLen+wire.UDPHeaderLen:])
		}, false, false},
		{"to all nodes", func(s *dhcpv6Script, answer []byte) []byte {
			return s.frame(theirLinkLocal, allNodesv6, answer[wire.EthernetHeaderLen+wire.IPv6HeaderLen+wire.UDPHeaderLen:])
		}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful})
			s.first()
			answer := s.answer(wire.DHCPv6Advertise, dhcpv6Given)
			s.recv(test.change(s, answer))
			taken := []string(nil)
			if test.taken {
				taken = []string{"3"}
			}
			require.Equal(t, taken, s.advance(0))
			require.Equal(t, test.dropped, s.link.Counters().Drops[DropDHCPv6] == 1)
		})
	}
}

func TestDHCPv6Config(t *testing.T) {
	duid := wire.DHCPv6DUIDUUID([16]byte{1})
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful, DUID: duid, IAID: 9, RapidCommit: true})
	s.first()
	require.Equal(t, duid, s.asked.ClientID)
	require.EqualValues(t, 9, s.asked.IAs[0].IAID)
	require.True(t, s.asked.RapidCommit)
	require.True(t, s.link.RenewDHCPv6(s.now))

	s = newDHCPv6Script(t, DHCPv6Config{})
	require.False(t, s.link.RenewDHCPv6(s.now))
	_, ok := s.link.DHCPv6Lease()
	require.False(t, ok)
	require.ErrorContains(t, s.stack.loopback.StartDHCPv6(s.now, true), "loopback")

	for _, test := range []struct {
		name   string
		config InterfaceConfig
		want   string
	}{
		{"unknown mode", InterfaceConfig{DHCPv6: DHCPv6Config{Mode: 9}}, "DHCPv6.Mode 9"},
		{"short DUID", InterfaceConfig{DHCPv6: DHCPv6Config{DUID: wire.DHCPv6DUID{1, 2}}}, "DHCPv6.DUID has 2 octets"},
		{"without IPv6", InterfaceConfig{NoIPv6: true, DHCPv6: DHCPv6Config{Mode: DHCPv6Stateless}}, "needs IPv6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stack, err := New(epoch, Config{Rand: seeded()})
			require.NoError(t, err)
			test.config.Device = &testDevice{dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}}
			_, err = stack.AddInterface(epoch, test.config)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, test.want)
			require.Len(t, stack.Interfaces(), 1)
		})
	}
}

// An address that the interface cannot have is refused, and said so.
func TestDHCPv6AddressOfOnesOwn(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful})
	s.first()
	s.recv(s.answer(wire.DHCPv6Advertise, us6))
	s.advance(0)
	s.recv(s.answer(wire.DHCPv6Reply, us6))
	require.Contains(t, s.events[0], "lease refused: fdaa::1")
	s.link.StopDHCPv6(s.now)
	require.Equal(t, route.Static, s.link.find(us6).origin, "what somebody has configured stays")
}

func TestDHCPv6GoesWithItsInterface(t *testing.T) {
	s := newDHCPv6Script(t, DHCPv6Config{Mode: DHCPv6Stateful})
	s.bind()
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	_, ok := s.stack.NextTimer()
	require.False(t, ok)
}
