package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

func TestARPRequestIsAnswered(t *testing.T) {
	s := newScript(t)
	s.recv(arpRequest(us4))
	frames := s.want("who has it says so", "ARP, Reply 192.168.69.1 is-at 02:00:00:00:00:01, length 28")
	require.Equal(t, theirHardware, wire.EthernetFrame(frames[0]).Dst(), "to who asked, alone")
	require.Equal(t, ourHardware, wire.EthernetFrame(frames[0]).Src())
	s.recv(toUs(echo4(them4, us4, "")))
	s.want("and has learnt who it is", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8")
	require.Equal(t, neighbour.Delay, s.link.Neighbours().Lookup(them4).State())
	s.recv(arpRequest(addr("127.0.0.1")))
	s.wantIdle("the loopback's address is not on this link")
	c := s.link.Counters()
	require.EqualValues(t, 2, c.ARP.InRequests)
	require.EqualValues(t, 1, c.ARP.OutReplies)
}

func TestARPProbeIsAnswered(t *testing.T) {
	s := newScript(t)
	s.recv(ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: theirHardware, TargetProtocol: us4})))
	s.want("RFC 5227: the address is defended", "ARP, Reply 192.168.69.1 is-at 02:00:00:00:00:01, length 28")
	require.Zero(t, s.link.Neighbours().Len(), "nothing is learnt from who has no address")
}

func TestAddressesAreAnnounced(t *testing.T) {
	s := newScript(t)
	require.NoError(t, s.link.AddAddress(s.now, prefix("10.1.2.3/8")))
	frames := s.want("a gratuitous ARP", "ARP, Request who-has 10.1.2.3 tell 10.1.2.3, length 28")
	require.True(t, wire.EthernetFrame(frames[0]).Dst().IsBroadcast())
	require.NoError(t, s.link.AddAddress(s.now, prefix("fdbb::3/64")))
	frames = s.want("an unsolicited advertisement that overrides",
		"IP6 fdbb::3 > ff02::1: ICMP6, neighbor advertisement, tgt is fdbb::3, Flags [override], destination link-address 02:00:00:00:00:01, length 32")
	require.EqualValues(t, 255, wire.IPv6Packet(frames[0][14:]).HopLimit())
	require.Equal(t, "33:33:00:00:00:01", wire.EthernetFrame(frames[0]).Dst().String())
}

func TestGratuitousARPIsHonoured(t *testing.T) {
	gratuitous := func(op wire.ARPOperation) []byte {
		return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
			Operation: op, SenderHardware: otherHardware, SenderProtocol: them4, TargetProtocol: them4}))
	}
	for _, op := range []wire.ARPOperation{wire.ARPRequest, wire.ARPReply} {
		t.Run(op.String(), func(t *testing.T) {
			s := newScript(t)
			s.recv(gratuitous(op))
			require.Zero(t, s.link.Neighbours().Len(), "nobody here wants to know")
			s.recv(arpRequest(us4))
			s.skip()
			s.recv(gratuitous(op))
			s.recv(toUs(echo4(them4, us4, "")))
			frames := s.want("the neighbour has moved", "IP 192.168.69.1 > 192.168.69.100: ICMP echo reply, id 1, seq 2, length 8")
			require.Equal(t, otherHardware, wire.EthernetFrame(frames[0]).Dst())
		})
	}
}

func TestARPConflict(t *testing.T) {
	s := newScript(t)
	claim := arp(wire.ARPRepr{Operation: wire.ARPReply, SenderHardware: theirHardware, SenderProtocol: us4, TargetProtocol: us4})
	s.recv(ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, claim))
	require.EqualValues(t, 1, s.link.Counters().ARP.Conflicts)
	s.want("the address is defended", "ARP, Request who-has 192.168.69.1 tell 192.168.69.1, length 28")
	echo := arp(wire.ARPRepr{Operation: wire.ARPRequest, SenderHardware: ourHardware, SenderProtocol: us4, TargetProtocol: us4})
	s.recv(ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, echo))
	require.EqualValues(t, 1, s.link.Counters().ARP.Conflicts, "one's own announcement that comes back is none")
	s.wantIdle("and nothing else happens yet")
}

func TestNeighbourThatDoesNotAnswer(t *testing.T) {
	for _, tc := range []struct{ remote, local, probe string }{
		{"192.168.69.100:7", "0.0.0.0:5000", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28"},
		{"[fdaa::100]:7", "[::]:5000", "IP6 fdaa::1 > ff02::1:ff00:100: ICMP6, neighbor solicitation, who has fdaa::100, source link-address 02:00:00:00:00:01, length 32"},
	} {
		t.Run(tc.remote, func(t *testing.T) {
			s := newScript(t)
			to := addrPort(tc.remote)
			e, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort(tc.local), Remote: to})
			require.NoError(t, err)
			require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), to, 0))
			for range 3 {
				s.want("one probe a second", tc.probe)
				s.after(999 * time.Millisecond)
				s.wantIdle("not yet")
				require.NoError(t, e.Err())
				s.after(time.Millisecond)
			}
			require.ErrorIs(t, e.Err(), ip.ErrHostUnreachable, "its sender learns of it")
			require.EqualValues(t, 1, s.link.Counters().Drops[DropNeighbourFailed])
			s.wantIdle("nothing is left")
		})
	}
}

func TestDeadNeighbourDelaysNobodyElse(t *testing.T) {
	s := newScript(t)
	e := s.bind("0.0.0.0:5000")
	require.NoError(t, e.Send(s.now, packetOf([]byte("lost")), addrPort("192.168.69.200:7"), 0))
	require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort("192.168.69.100:7"), 0))
	s.want("both are looked for at once", "ARP, Request who-has 192.168.69.200 tell 192.168.69.1, length 28",
		"ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	s.want("who is there is served", "IP 192.168.69.1.5000 > 192.168.69.100.7: UDP, length 5")
}

func TestARPAsksFromTheNeighboursNetwork(t *testing.T) {
	s := newScript(t, func(c *InterfaceConfig) {
		c.Addresses = append(c.Addresses, prefix("10.0.0.1/8"))
		c.Routes = []Route{{Destination: prefix("0.0.0.0/0"), Gateway: addr("10.0.0.254")}}
	})
	e := s.bind("192.168.69.1:5000")
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), addrPort("8.8.8.8:7"), 0))
	s.want("many do not answer strangers", "ARP, Request who-has 10.0.0.254 tell 10.0.0.1, length 28")
	s.recv(arpReply(addr("10.0.0.254"), theirHardware))
	s.want("the packet itself keeps its source", "IP 192.168.69.1.5000 > 8.8.8.8.7: UDP, length 1")
}

func TestBurstOfSYNsWaitsForItsNeighbour(t *testing.T) {
	const burst = 256
	s := newScript(t)
	for range burst {
		_, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("192.168.69.100:80")})
		require.NoError(t, err)
	}
	s.want("one question for all", "ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28")
	s.recv(arpReply(them4, theirHardware))
	require.Len(t, s.send(), burst, "none is lost")
	require.Zero(t, s.link.Counters().Drops[DropNeighbourQueue])
}

func TestNeighbourQueueFull(t *testing.T) {
	s := newScript(t)
	to := addrPort("192.168.69.100:7")
	e := s.bind("0.0.0.0:5000")
	sent := 0
	for s.link.Counters().Drops[DropNeighbourQueue] == 0 {
		require.Less(t, sent, 10_000, "what waits for a neighbour is bounded")
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), to, 0))
		s.send()
		sent++
	}
	s.recv(arpReply(them4, theirHardware))
	kept := 0
	for frames := s.send(); len(frames) > 0; frames = s.send() {
		kept += len(frames)
	}
	require.Equal(t, sent-1, kept, "only the oldest was lost, and it was counted")
}
