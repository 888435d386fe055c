package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

// numbered is a payload in which every octet tells where it is.
func numbered(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return string(b)
}

// reassembled is what puts fragments together, and holds on to nothing else about them than it has to require.
type reassembled struct {
	t     *testing.T
	parts map[string][]byte // by who sends to whom, the protocol and the identification
	whole []string          // "192.168.69.1.5000 > 192.168.69.100.7: UDP, length 3000", in the order in which they were complete
	most  int               // length of the largest packet
	ids   []uint32
}

// take takes frames, and requires that what they have says is right.
func (r *reassembled) take(frames ...[]byte) {
	for _, frame := range frames {
		if wire.EthernetFrame(frame).EtherType() == wire.EtherTypeARP {
			continue
		}
		b := wire.EthernetFrame(frame).Payload()
		r.most = max(r.most, len(b))
		if b[0]>>4 == 4 {
			r.takev4(b)
		} else {
			r.takev6(b)
		}
	}
}

func (r *reassembled) takev4(b []byte) {
	p, err := wire.ParseIPv4(b)
	require.NoError(r.t, err)
	require.True(r.t, p.VerifyChecksum())
	if !p.IsFragment() {
		r.complete(p.Src(), p.Dst(), p.Protocol(), p.Payload())
		return
	}
	require.False(r.t, p.DontFragment())
	r.part(p.Src(), p.Dst(), p.Protocol(), uint32(p.ID()), p.FragmentOffset(), p.MoreFragments(), p.Payload())
}

func (r *reassembled) takev6(b []byte) {
	p, err := wire.ParseIPv6(b)
	require.NoError(r.t, err)
	if p.NextHeader() != wire.IPv6Fragment {
		r.complete(p.Src(), p.Dst(), p.NextHeader(), p.Payload())
		return
	}
	f, err := wire.ParseIPv6Fragment(p.Payload())
	require.NoError(r.t, err)
	r.part(p.Src(), p.Dst(), f.NextHeader(), f.ID(), f.Offset(), f.More(), f.Payload())
}

// part takes a fragment: they come in order.
func (r *reassembled) part(src, dst netip.Addr, protocol uint8, id uint32, offset int, more bool, payload []byte) {
	if r.parts == nil {
		r.parts = make(map[string][]byte)
	}
	key := fmt.Sprint(src, dst, protocol, id)
	if offset == 0 {
		require.NotContains(r.t, r.parts, key, "the identification is nobody else's")
		r.ids = append(r.ids, id)
	}
	require.Len(r.t, r.parts[key], offset, "no fragment is missing, and none overlaps")
	r.parts[key] = append(r.parts[key], payload...)
	if more {
		require.Zero(r.t, len(payload)%8)
		return
	}
	r.complete(src, dst, protocol, r.parts[key])
	delete(r.parts, key)
}

// complete takes a whole packet.
func (r *reassembled) complete(src, dst netip.Addr, protocol uint8, payload []byte) {
	var sum wire.Sum
	if protocol != ip.ProtocolICMPv4 {
		sum.AddPseudoHeader(src, dst, protocol, len(payload))
	}
	sum.Add(payload)
	require.Zero(r.t, sum.Checksum())
	if protocol == ip.ProtocolUDP {
		require.Equal(r.t, numbered(len(payload)-wire.UDPHeaderLen), string(payload[wire.UDPHeaderLen:]))
		u := wire.UDPPacket(payload)
		r.whole = append(r.whole, fmt.Sprintf("%v > %v, %d", netip.AddrPortFrom(src, u.SrcPort()), netip.AddrPortFrom(dst, u.DstPort()),
			len(payload)-wire.UDPHeaderLen))
		return
	}
	r.whole = append(r.whole, fmt.Sprintf("%v > %v, protocol %d, %d", src, dst, protocol, len(payload)))
}

// sendTo has the endpoint send a datagram.
func (s *script) sendTo(e *udp.Endpoint, to string, octets int) {
	s.t.Helper()
	var remote netip.AddrPort // the zero value: where the endpoint is connected
	if to != "" {
		remote = addrPort(to)
	}
	require.NoError(s.t, e.Send(s.now, packetOf([]byte(numbered(octets))), remote, 0))
}

func TestLargeDatagramsLeaveInFragments(t *testing.T) {
	for _, tc := range []struct {
		name    string
		to      string
		mtu     int
		octets  int
		frames  int
		largest int // of the packets
	}{
		{"the largest that fits", "192.168.69.100:7", 1500, 1472, 1, 1500},
		{"one octet more", "192.168.69.100:7", 1500, 1473, 2, 1500},
		{"two full ones", "192.168.69.100:7", 1500, 2*1480 - 8, 2, 1500},
		{"the largest of all", "192.168.69.100:7", 1500, 65507, 45, 1500},
		{"an MTU that is no multiple of eight", "192.168.69.100:7", 1001, 3000, 4, 996},
		{"the least MTU", "192.168.69.100:7", 68, 100, 3, 68},
		{"jumbo frames", "192.168.69.100:7", 9000, 65507, 8, 8996},
		{"the largest that fits, IPv6", "[fdaa::100]:7", 1500, 1452, 1, 1500},
		{"one octet more, IPv6", "[fdaa::100]:7", 1500, 1453, 2, 1496},
		{"the largest of all, IPv6", "[fdaa::100]:7", 1500, 65527, 46, 1496},
		{"the least MTU, IPv6", "[fdaa::100]:7", 1280, 1233, 2, 1280},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t, func(c *dev.Capabilities) { c.MTU = 9000 }, func(c *InterfaceConfig) {
				c.MTU = tc.mtu
				if tc.mtu < 1280 {
					c.Addresses = []netip.Prefix{prefix("192.168.69.1/24")}
				}
			})
			require.NoError(t, s.link.Neighbours().Static(0, them4, theirHardware.LinkAddr()))
			require.NoError(t, s.link.Neighbours().Static(0, them6, theirHardware.LinkAddr()))
			local, from := "0.0.0.0:5000", us4
			if addrPort(tc.to).Addr().Is6() {
				local, from = "[::]:5000", us6
			}
			e := s.bind(local)
			s.sendTo(e, tc.to, tc.octets)
			frames := s.send()
			require.Len(t, frames, tc.frames)
			r := reassembled{t: t}
			r.take(frames...)
			require.Equal(t, []string{fmt.Sprintf("%v > %s, %d", netip.AddrPortFrom(from, 5000), tc.to, tc.octets)}, r.whole)
			require.Equal(t, tc.largest, r.most)

			all := s.link.Counters()
			c := all.ip(from.Is6())
			if tc.frames > 1 {
				require.Equal(t, []uint64{1, 1, 0, uint64(tc.frames)},
					[]uint64{c.OutFragReqds, c.OutFragOKs, c.OutFragFails, c.OutFragCreates})
			} else {
				require.Zero(t, c.OutFragReqds)
			}
			s.wantIdle("that was all")
		})
	}
}

func TestFragmentsTakeTurnsWithOthers(t *testing.T) {
	s := newScript(t).knowing()
	large, other, small := s.bind("0.0.0.0:1"), s.bind("[::]:2"), s.bind("0.0.0.0:3")
	s.sendTo(large, "192.168.69.100:7", 10000)
	s.sendTo(large, "192.168.69.100:7", 20)
	s.sendTo(other, "[fdaa::100]:7", 9000)
	for range 3 {
		s.sendTo(small, "192.168.69.100:7", 10)
	}
	r := reassembled{t: t}
	r.take(s.send()...)
	require.Equal(t, []string{
		"192.168.69.1:3 > 192.168.69.100:7, 10",
		"192.168.69.1:3 > 192.168.69.100:7, 10",
		"192.168.69.1:3 > 192.168.69.100:7, 10",
		"192.168.69.1:1 > 192.168.69.100:7, 10000",
		"[fdaa::1]:2 > [fdaa::100]:7, 9000",
		"192.168.69.1:1 > 192.168.69.100:7, 20",
	}, r.whole, "neither of the large ones overwrites the other, and each endpoint's leave in order")
	require.Empty(t, r.parts)
}

// What is said while fragments leave does not put their sender in line a second time.
func TestOneOfASendersPacketsIsInFragmentsAtATime(t *testing.T) {
	s := newScript(t).knowing()
	e := s.bind("0.0.0.0:1")
	r := reassembled{t: t}
	for range 50 {
		s.sendTo(e, "192.168.69.100:7", 3000)
		s.sendTo(e, "192.168.69.100:7", 5000)
		var pkts [2]*packet.Packet
		require.Equal(t, len(pkts), s.stack.Output(s.now, s.link, pkts[:]))
		for _, p := range pkts {
			b := make([]byte, p.Len())
			p.CopyTo(b, 0)
			r.take(b)
			p.Release()
		}
		s.sendTo(e, "192.168.69.100:7", 4000)
		require.Equal(t, 1, s.link.fragmented.packets)
		r.take(s.send()...)
	}
	require.Len(t, r.whole, 150)
	require.Zero(t, s.link.fragmented.octets)
}

// While the neighbour is not known a large packet waits as a whole, and leaves as a whole, or not at all.
func TestLargeDatagramsWaitForTheirNeighbour(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.UDP.SendBuffer = 1 << 20 })
	e := s.bind("[::]:1")
	s.sendTo(e, "[fdaa::100]:7", 10)
	for range 6 {
		s.sendTo(e, "[fdaa::100]:7", 60000)
	}
	s.sendTo(e, "[fdaa::100]:7", 20)
	s.want("who is it?",
		"IP6 fdaa::1 > ff02::1:ff00:100: ICMP6, neighbor solicitation, who has fdaa::100, source link-address 02:00:00:00:00:01, length 32")
	s.recv(nd(them6, us6, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}))
	r := reassembled{t: t}
	r.take(s.send()...)
	require.Equal(t, []string{
		"[fdaa::1]:1 > [fdaa::100]:7, 60000",
		"[fdaa::1]:1 > [fdaa::100]:7, 60000",
		"[fdaa::1]:1 > [fdaa::100]:7, 60000",
		"[fdaa::1]:1 > [fdaa::100]:7, 20",
	}, r.whole, "there was room for 256 KiB, and the oldest went")
	require.LessOrEqual(t, r.most, 1500)
	require.Empty(t, r.parts, "as wholes")
	require.EqualValues(t, 4, s.link.Counters().Drops[DropNeighbourQueue])
}

// A sender whose next packet leaves by another link stands in line there, and not here as well.
func TestSenderGoesToAnotherLinkWhileFragmentsLeave(t *testing.T) {
	s := newScript(t).knowing()
	other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	e, another := s.bind("0.0.0.0:1"), s.bind("0.0.0.0:2")
	s.sendTo(e, "192.168.69.100:7", 5000)
	s.sendTo(e, "10.1.1.1:7", 10)
	var pkts [1]*packet.Packet
	require.Equal(t, 1, s.stack.Output(s.now, s.link, pkts[:]))
	pkts[0].Release()
	s.sendTo(another, "10.1.1.1:7", 10)
	require.Len(t, s.send(), 3, "the other fragments")
	require.Len(t, other.send(), 2)
}

// A neighbour that is lost while fragments leave is no reason to tell their sender of ports that are none.
func TestNeighbourIsLostWhileFragmentsLeave(t *testing.T) {
	for _, remote := range []string{"192.168.69.100:7", "[fdaa::100]:7"} {
		t.Run(remote, func(t *testing.T) {
			s := newScript(t)
			e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(remote)})
			require.NoError(t, err)
			s.sendTo(e, "", 10)
			s.skip()
			s.recv(arpReply(them4, theirHardware))
			s.recv(nd(them6, us6, &wire.NDNeighborAdvertisementRepr{Solicited: true, Override: true, Target: them6, TargetLinkAddr: theirHardware.LinkAddr()}))
			s.skip()
			s.sendTo(e, "", 5000)
			var pkts [1]*packet.Packet
			require.Equal(t, 1, s.stack.Output(s.now, s.link, pkts[:]))
			pkts[0].Release()
			for range 4 {
				s.after(24 * time.Hour)
			}
			for range 10 {
				s.skip()
				s.after(time.Second)
			}
			require.EqualValues(t, 3, s.link.Counters().Drops[DropNeighbourFailed])
			require.Zero(t, s.stack.Counters().UDP.ErrorsDelivered+s.stack.Counters().UDP.ErrorsIgnored)
		})
	}
}

func TestLargeDatagramToNobody(t *testing.T) {
	s := newScript(t)
	e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort("192.168.69.100:7")})
	require.NoError(t, err)
	s.sendTo(e, "192.168.69.100:7", 60000)
	for range 10 {
		s.skip()
		s.after(time.Second)
	}
	require.ErrorIs(t, e.Err(), ip.ErrHostUnreachable)
}

func TestFragmentingIsBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Fragmenting = 200 << 10 }).knowing()
	var all []*udp.Endpoint
	for range 5 {
		e := s.bind("0.0.0.0:0")
		s.sendTo(e, "192.168.69.100:7", 65000)
		s.sendTo(e, "192.168.69.100:7", 10)
		all = append(all, e)
	}
	r := reassembled{t: t}
	r.take(s.send()...)
	require.Len(t, r.whole, 3+len(all), "three packets in buffers of 64 KiB, and the small ones of all")
	c := s.link.Counters()
	require.EqualValues(t, 2, c.Drops[DropFragmenting])
	require.EqualValues(t, 2, c.IPv4.OutFragFails)
	require.EqualValues(t, 2, c.IPv4.OutDiscards)

	s = newScript(t, func(c *Config) { c.Limits.Fragmenting = 1 }).knowing()
	s.sendTo(s.bind("0.0.0.0:0"), "192.168.69.100:7", 65000)
	r = reassembled{t: t}
	r.take(s.send()...)
	require.Len(t, r.whole, 1, "one is sent, whatever the limit")
}

// A device that completes checksums cannot do so over several packets.
func TestFragmentsHaveTheWholeChecksum(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) {
		c.Checksum = dev.Checksums{UDP: dev.ChecksumNone}
	}).knowing()
	for _, to := range []string{"192.168.69.100:7", "[fdaa::100]:7"} {
		e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(to)})
		require.NoError(t, err)
		s.sendTo(e, to, 4000)
		var pkts [4]*packet.Packet
		require.Equal(t, 3, s.stack.Output(s.now, s.link, pkts[:]))
		r := reassembled{t: t}
		for _, p := range pkts[:3] {
			require.Equal(t, packet.ChecksumFull, p.Checksum)
			b := make([]byte, p.Len())
			p.CopyTo(b, 0)
			r.take(b)
			p.Release()
		}
		require.Len(t, r.whole, 1)
	}
}

// An echo reply is as long as its request, which a device may have received whole.
func TestLargeEchoReply(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) { c.MTU = 9000 }, func(c *InterfaceConfig) { c.MTU = 1500 }).knowing()
	s.recv(toUs(echo4(them4, us4, numbered(5000))))
	s.recv(toUs(echo6(them6, us6, numbered(5000))))
	r := reassembled{t: t}
	r.take(s.send()...)
	require.Equal(t, []string{
		"192.168.69.1 > 192.168.69.100, protocol 1, 5008",
		"fdaa::1 > fdaa::100, protocol 58, 5008",
	}, r.whole)
	require.Equal(t, 1500, r.most)
}

func TestIdentifications(t *testing.T) {
	s := newScript(t).knowing()
	ids := func(to string) []uint32 {
		e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(to)})
		require.NoError(t, err)
		r := reassembled{t: t}
		for range 3 {
			s.sendTo(e, to, 2000)
			r.take(s.send()...)
		}
		require.Len(t, r.ids, 3)
		return r.ids
	}
	six := ids("[fdaa::100]:7")
	require.Equal(t, []uint32{six[0], six[0] + 1, six[0] + 2}, six, "one after the other to one destination")
	require.Equal(t, six[0]+3, ids("[fdaa::100]:8")[0])
	four := ids("192.168.69.100:7")
	require.Equal(t, (four[0]+1)&0xffff, four[1])
	require.NoError(t, s.link.Neighbours().Static(0, addr("fdaa::101"), theirHardware.LinkAddr()))
	other := ids("[fdaa::101]:7")
	require.Greater(t, other[0]-six[0]+1000, uint32(2000), "those to another destination tell nothing about it")

	// Of IPv4 each protocol has its own, of IPv6 all share one.
	number := func(src, dst netip.Addr, protocol uint8) uint32 {
		return s.stack.identification(&packet.IPInfo{Src: src, Dst: dst, Protocol: protocol})
	}
	require.NotEqual(t, number(us4, them4, ip.ProtocolUDP)+1, number(us4, them4, ip.ProtocolICMPv4))
	require.Equal(t, number(us6, them6, ip.ProtocolUDP)+1, number(us6, them6, ip.ProtocolICMPv6))
}

func TestWhoMayFragment(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mode   udp.PathMTUDiscovery
		octets int
		df     bool
		err    error
	}{
		{"wanted, and it fits", udp.PathMTUWant, 1000, true, nil},
		{"wanted, and it does not fit", udp.PathMTUWant, 2000, false, nil},
		{"not wanted", udp.PathMTUDont, 1000, false, nil},
		{"not wanted, and it does not fit", udp.PathMTUDont, 2000, false, nil},
		{"done", udp.PathMTUDo, 1000, true, nil},
		{"done, and it does not fit", udp.PathMTUDo, 2000, true, ip.ErrMessageTooLong},
		{"probed", udp.PathMTUProbe, 1472, true, nil},
		{"probed, and it does not fit", udp.PathMTUProbe, 1473, true, ip.ErrMessageTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			e := s.bind("0.0.0.0:1")
			e.SetPathMTUDiscovery(tc.mode)
			require.Equal(t, tc.err, e.Send(s.now, packetOf([]byte(numbered(tc.octets))), addrPort("192.168.69.100:7"), 0))
			frames := s.send()
			require.Equal(t, tc.err == nil, len(frames) > 0)
			for _, frame := range frames {
				p := wire.IPv4Packet(wire.EthernetFrame(frame).Payload())
				require.Equal(t, tc.df, p.DontFragment())
				require.Equal(t, tc.df, p.ID() == 0, "what may be cut has an identification")
			}
		})
	}
}

// The interface is removed while fragments are leaving, or the stack closed: nothing is left behind, which the test of leaks holds.
func TestRemovedWhileFragmentsLeave(t *testing.T) {
	s := newScript(t).knowing()
	other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	e := s.bind("0.0.0.0:1")
	s.sendTo(e, "192.168.69.100:7", 5000)
	s.sendTo(e, "10.1.1.1:7", 10)
	var pkts [2]*packet.Packet
	require.Equal(t, 2, s.stack.Output(s.now, s.link, pkts[:]))
	pkts[0].Release()
	pkts[1].Release()
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	require.EqualValues(t, 1, s.stack.Counters().Drops[DropInterfaceRemoved])
	s.stack.PollLoopback(s.now)
	require.Len(t, other.send(), 1, "what its sender has for others leaves")
	s.sendTo(e, "10.1.1.1:7", 5000)
	require.Equal(t, 1, s.stack.Output(s.now, other.link, pkts[:1]))
	pkts[0].Release()
}

func TestOptionsOfFragments(t *testing.T) {
	options := []byte{
		7, 4, 4, 0, // record route: in the first fragment alone
		1,            // no operation
		148, 4, 0, 0, // router alert: in all
		68, 3, 5, // timestamp
	}
	blankOptions(options)
	require.Equal(t, []byte{1, 1, 1, 1, 1, 148, 4, 0, 0, 1, 1, 1}, options)
	for _, broken := range [][]byte{{}, {7}, {7, 0}, {7, 255, 1}, {148}, {0, 7, 9}, {1, 1, 148, 99}} {
		require.NotPanics(t, func() { blankOptions(broken) })
	}
}

func TestPerFragmentHeaders(t *testing.T) {
	header := func(next byte) []byte { return append([]byte{next}, make([]byte, 7)...) }
	for _, tc := range []struct {
		name       string
		first      byte
		headers    [][]byte
		length     int
		nextHeader int
	}{
		{"none", 17, nil, 40, 6},
		{"hop-by-hop options", 0, [][]byte{header(17)}, 48, 40},
		{"destination options", 60, [][]byte{header(17)}, 40, 6},
		{"all up to a routing header", 0, [][]byte{header(60), header(43), header(60), header(17)}, 64, 56},
		{"a routing header", 43, [][]byte{header(17)}, 48, 40},
		{"cut off", 0, [][]byte{{17, 0, 0}}, 40, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := ipv6(us6, them6, tc.first, nil)
			for _, h := range tc.headers {
				b = append(b, h...)
			}
			length, nextHeader := perFragmentHeaders(b)
			require.Equal(t, []int{tc.length, tc.nextHeader}, []int{length, nextHeader})
		})
	}
}

// Two stacks, one of which has small frames: what arrives is for reassembly, which counts it.
func TestFragmentsOverAPipe(t *testing.T) {
	s := newPair(t, pipe.Config{MTU: 1280})
	for _, remote := range []string{"192.168.69.100:7", "[fdaa::100]:7"} {
		e, err := s.stacks[0].UDP().Bind(udp.BindConfig{Remote: addrPort(remote)})
		require.NoError(t, err)
		require.NoError(t, e.Send(s.now, packetOf([]byte(numbered(65507))), netip.AddrPort{}, 0))
	}
	s.until(func() bool { return false })
	c, sent := s.stacks[1].Counters(), s.stacks[0].Counters()
	require.Equal(t, sent.IPv4.OutFragCreates, c.IPv4.ReasmReqds)
	require.Equal(t, sent.IPv6.OutFragCreates, c.IPv6.ReasmReqds)
	require.NotZero(t, c.IPv4.ReasmReqds)
}

func TestFragmentingDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	s := newScript(t).knowing()
	e := s.bind("0.0.0.0:1")
	payload := []byte(numbered(65507))
	var pkts [64]*packet.Packet
	once := func() {
		p := packet.New(len(payload))
		copy(p.Append(len(payload)), payload)
		if err := e.Send(s.now, p, netip.AddrPortFrom(them4, 7), 0); err != nil {
			t.Fatal(err)
		}
		n := s.stack.Output(s.now, s.link, pkts[:])
		if n != 45 {
			t.Fatal(n)
		}
		for _, p := range pkts[:n] {
			p.Release()
		}
	}
	for range 100 {
		once()
	}
	require.Zero(t, testing.AllocsPerRun(200, once))
}

func BenchmarkFragments(b *testing.B) {
	w := newWired(b, dev.Capabilities{Medium: dev.Ethernet, MTU: 1500})
	e, err := w.stacks[0].UDP().Bind(udp.BindConfig{Local: addrPort("192.168.69.1:1")})
	require.NoError(b, err)
	require.NoError(b, w.links[0].Neighbours().Static(0, them4, theirHardware.LinkAddr()))
	payload := []byte(numbered(65507))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		p := packet.New(len(payload))
		copy(p.Append(len(payload)), payload)
		if err := e.Send(w.now, p, netip.AddrPortFrom(them4, 7), 0); err != nil {
			b.Fatal(err)
		}
		n := w.stacks[0].Output(w.now, w.links[0], w.batch[:])
		for _, p := range w.batch[:n] {
			p.Release()
		}
	}
}
