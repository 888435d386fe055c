package smolnet_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// A responder is a host at the other end of a link, which knows its name and nothing else of networking.
type responder struct {
	t      testing.TB
	device dev.Device
	own    []netip.Addr // one of each family
	name   string
	addrs  []dnsmessage.ResourceBody // of the name

	toAllOnly bool // it answers no host alone

	mu    sync.Mutex
	heard []string
}

// newLinks returns a stack with as many interfaces as there are responders, without any offload or Ethernet.
func newLinks(t testing.TB, config smolnet.ResolverConfig, responders ...*responder) *smolnet.Stack {
	t.Helper()
	s := newStack(t, smolnet.Config{Resolver: config})
	for i, r := range responders {
		near, far := pipe.New(pipe.Config{Medium: dev.IP})
		addresses := []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("192.168.%d.1/24", i)), netip.MustParsePrefix(fmt.Sprintf("fe80::%d:1/64", i)),
		}
		_, err := s.AddInterface(smolnet.Interface{Name: fmt.Sprintf("link%d", i), Device: near, DuplicateDetection: core.DetectNone, Addresses: addresses})
		require.NoError(t, err)
		r.t, r.device = t, far
		r.own = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.168.%d.2", i)), netip.MustParseAddr(fmt.Sprintf("fe80::%d:2", i))}
		t.Cleanup(func() { far.Close() })
		go r.run()
	}
	return s
}

func (r *responder) run() {
	var batch [16]*packet.Packet
	for r.device.WaitReceive() == nil {
		n, err := r.device.Receive(time.Now(), batch[:])
		if err != nil {
			return
		}
		for _, p := range batch[:n] {
			r.receive(p.Header(p.Len()))
			p.Release()
		}
	}
}

func (r *responder) receive(octets []byte) {
	var src, dst netip.Addr
	var payload []byte
	var hopLimit uint8
	if octets[0]>>4 == 4 {
		header, err := wire.ParseIPv4(octets)
		if err != nil || header.Protocol() != ip.ProtocolUDP {
			return
		}
		src, dst, payload, hopLimit = header.Src(), header.Dst(), header.Payload(), header.TTL()
	} else {
		header, err := wire.ParseIPv6(octets)
		if err != nil || header.NextHeader() != ip.ProtocolUDP {
			return
		}
		src, dst, payload, hopLimit = header.Src(), header.Dst(), header.Payload(), header.HopLimit()
	}
	udp, err := wire.ParseUDP(payload)
	if err != nil || udp.SrcPort() != 5353 || udp.DstPort() != 5353 || hopLimit != 255 || !udp.VerifyChecksum(src, dst) {
		r.t.Errorf("not a datagram of Multicast DNS: %v", err)
		return
	}
	var m dnsmessage.Message
	if err := m.Unpack(udp.Payload()); err != nil {
		r.t.Errorf("not a question: %v", err)
		return
	}
	if m.Response {
		return // of another host
	}
	question := m.Questions[0]
	unicast := question.Class&(1<<15) != 0
	kind := "QM"
	if unicast {
		kind = "QU"
	}
	r.mu.Lock()
	r.heard = append(r.heard, fmt.Sprintf("%v %s %v %s", dst, kind, question.Name, strings.TrimPrefix(question.Type.String(), "Type")))
	r.mu.Unlock()
	if !strings.EqualFold(question.Name.String(), r.name) {
		return
	}
	m.Header, m.Questions = dnsmessage.Header{Response: true, Authoritative: true}, nil
	for _, body := range r.addrs {
		if typeOf(body) == question.Type {
			header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 10}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
		}
	}
	if len(m.Answers) == 0 {
		return
	}
	answer, err := m.Pack()
	if err != nil {
		r.t.Errorf("pack: %v", err)
		return
	}
	switch {
	case unicast && r.toAllOnly:
	case unicast:
		r.send(src, 5353, answer)
	default:
		r.send(dst, 5353, answer)
	}
}

// send sends a datagram from port 5353.
func (r *responder) send(dst netip.Addr, port uint16, payload []byte) {
	header := wire.UDPRepr{SrcPort: 5353, DstPort: port, PayloadLen: len(payload)}
	datagram := make([]byte, header.Len()+len(payload))
	header.Emit(datagram)
	copy(datagram[header.Len():], payload)
	src := r.own[0]
	if dst.Is6() {
		src = r.own[1]
	}
	wire.UDPPacket(datagram).FillChecksum(src, dst)
	p := packet.New(len(datagram) + wire.IPv6HeaderLen)
	if dst.Is4() {
		header := wire.IPv4Repr{Src: src, Dst: dst, Protocol: ip.ProtocolUDP, TTL: 255, PayloadLen: len(datagram)}
		b := p.Append(header.Len())
		header.Emit(b)
		wire.IPv4Packet(b).FillChecksum()
	} else {
		header := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: ip.ProtocolUDP, HopLimit: 255, PayloadLen: len(datagram)}
		header.Emit(p.Append(header.Len()))
	}
	copy(p.Append(len(datagram)), datagram)
	if _, err := r.device.Send(time.Now(), []*packet.Packet{p}); err != nil {
		r.t.Errorf("send: %v", err)
	}
}

func (r *responder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := r.heard
	r.heard = nil
	return heard
}

func TestMulticastDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &responder{name: "scanner.local."}
		second := &responder{name: "printer.local.", addrs: addresses("192.168.1.2")}
		s := newLinks(t, smolnet.ResolverConfig{}, first, second)

		begun := time.Now()
		found, err := s.LookupHost("Printer.local")
		require.NoError(t, err)
		require.Equal(t, []string{"192.168.1.2"}, found)
		require.Less(t, time.Since(begun), time.Second, "nobody waits long for an AAAA record that will not come")
		for _, r := range []*responder{first, second} {
			require.ElementsMatch(t, []string{
				"224.0.0.251 QU Printer.local. A", "224.0.0.251 QU Printer.local. AAAA",
				"ff02::fb QU Printer.local. A", "ff02::fb QU Printer.local. AAAA",
			}, r.asked(), "all are asked on every link, once")
		}

		v4, err := s.Resolver().LookupNetIP(t.Context(), "ip4", "printer.local")
		require.NoError(t, err)
		require.Len(t, v4, 1)
		require.Empty(t, second.asked(), "what was said is kept")

		begun = time.Now()
		_, err = s.LookupHost("nobody.local")
		require.Equal(t, &net.DNSError{Err: "no such host", Name: "nobody.local", IsNotFound: true}, err)
		require.Equal(t, 4*time.Second, time.Since(begun))
		require.Len(t, first.asked(), 12, "both families for both types, three times")
	})
}

// A link-local address is of use only with the link on which its owner answered. Who has the same name on another link is
// another host.
func TestMulticastDNSOfLinkLocalAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &responder{name: "scanner.local.", addrs: addresses("fe80::0:2")}
		second := &responder{name: "printer.local.", addrs: addresses("fe80::1:2")}
		s := newLinks(t, smolnet.ResolverConfig{}, first, second)
		for name, address := range map[string]string{"scanner.local": "fe80::2%link0", "printer.local": "fe80::1:2%link1"} {
			for range 2 {
				found, err := s.LookupHost(name)
				require.NoError(t, err)
				require.Equal(t, []string{address}, found, "from the link, and as it was kept")
			}
		}

		twice := []*responder{
			{name: "scanner.local.", addrs: addresses("fe80::0:2")},
			{name: "scanner.local.", addrs: addresses("fe80::1:2")},
		}
		found, err := newLinks(t, smolnet.ResolverConfig{}, twice...).LookupHost("scanner.local")
		require.NoError(t, err)
		require.Len(t, found, 1, "%v", found)
	})
}

func TestMulticastDNSByTheServers(t *testing.T) {
	resolving(t, func(t *testing.T, asking *smolnet.Stack, server *nameServer) {
		server.zone = map[string][]dnsmessage.ResourceBody{"printer.local.": addresses("192.0.2.7")}
		r := newResolver(t, asking, smolnet.ResolverConfig{Servers: nameServers, NoMulticastDNS: true})
		found, err := r.LookupHost(t.Context(), "printer.local")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.7"}, found)
	})
}

func TestMulticastDNSWithoutALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := newStack(t, smolnet.Config{}).LookupHost("printer.local")
		require.EqualError(t, err, "lookup printer.local: no such host")
		require.Zero(t, time.Since(begun))
	})
}

// groupsOf returns the groups that the stack's first link is a member of.
func groupsOf(t testing.TB, s *smolnet.Stack) string {
	all, err := s.Interfaces()
	require.NoError(t, err)
	groups, err := all[1].MulticastAddrs()
	require.NoError(t, err)
	return fmt.Sprint(groups)
}

// The sockets are there when they are needed, and for a while.
func TestMulticastDNSListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printer := &responder{name: "printer.local.", addrs: addresses("192.168.0.2"), toAllOnly: true}
		s := newLinks(t, smolnet.ResolverConfig{}, printer)
		require.NotContains(t, groupsOf(t, s), "224.0.0.251")
		found, err := s.Resolver().LookupNetIP(t.Context(), "ip4", "printer.local")
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, []string{
			"224.0.0.251 QU printer.local. A", "ff02::fb QU printer.local. A",
			"224.0.0.251 QM printer.local. A", "ff02::fb QM printer.local. A",
		}, printer.asked())
		require.Contains(t, groupsOf(t, s), "224.0.0.251")
		require.Contains(t, groupsOf(t, s), "ff02::fb")

		printer.tell(t, "192.168.0.2", 0)
		_, err = s.Resolver().LookupNetIP(t.Context(), "ip4", "printer.local")
		require.NoError(t, err)
		require.NotEmpty(t, printer.asked(), "it had said goodbye")
		time.Sleep(2*time.Minute + time.Second)
		require.NotContains(t, groupsOf(t, s), "224.0.0.251")
		require.NotContains(t, groupsOf(t, s), "ff02::fb")
	})
}

// What comes to this host alone must be from the link's network. What comes to all is, whoever says to have sent it.
func TestMulticastDNSFromElsewhere(t *testing.T) {
	rows := []struct {
		name string
		own  []netip.Addr
		took time.Duration
	}{
		{"from the link", []netip.Addr{netip.MustParseAddr("192.168.0.99"), netip.MustParseAddr("fe80::99")}, 150 * time.Millisecond},
		{"from elsewhere", []netip.Addr{netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8::2")}, 1150 * time.Millisecond},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				printer := &responder{name: "printer.local.", addrs: addresses("192.168.0.2")}
				s := newLinks(t, smolnet.ResolverConfig{}, printer)
				printer.own = row.own
				begun := time.Now()
				_, err := s.Resolver().LookupNetIP(t.Context(), "ip4", "printer.local")
				require.NoError(t, err)
				require.Equal(t, row.took, time.Since(begun))
			})
		})
	}
}

func TestMulticastDNSNamesOfLinkLocalAddresses(t *testing.T) {
	rows := map[string]string{
		"169.254.3.4": "4.3.254.169.in-addr.arpa.",
		"fe80::2":     "2." + strings.Repeat("0.", 28) + "8.e.f.ip6.arpa.",
	}
	for addr, name := range rows {
		t.Run(addr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ptr := &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("printer.local.")}
				s := newLinks(t, smolnet.ResolverConfig{}, &responder{name: name, addrs: []dnsmessage.ResourceBody{ptr}})
				names, err := s.LookupAddr(addr)
				require.NoError(t, err)
				require.Equal(t, []string{"printer.local."}, names)
			})
		})
	}
}

// tell has the responder tell everybody of an address, or take it back if it lasts for 0 seconds.
func (r *responder) tell(t testing.TB, addr string, ttl uint32) {
	t.Helper()
	header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(r.name), Class: dnsmessage.ClassINET | 1<<15, TTL: ttl}
	m := dnsmessage.Message{
		Header:  dnsmessage.Header{Response: true, Authoritative: true},
		Answers: []dnsmessage.Resource{{Header: header, Body: addresses(addr)[0]}},
	}
	octets, err := m.Pack()
	require.NoError(t, err)
	r.send(netip.MustParseAddr("224.0.0.251"), 5353, octets)
	synctest.Wait()
}

func TestMulticastDNSSharesItsPort(t *testing.T) {
	t.Run("with a responder of the same stack", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newLinks(t, smolnet.ResolverConfig{}, &responder{name: "printer.local."})
			own, err := s.ListenMulticastUDP("udp4", interfaceOf(t, s), udpAddr(t, "224.0.0.251:5353"))
			require.NoError(t, err)
			require.NoError(t, own.SetMulticastLoopback(true))
			require.NoError(t, own.SetMulticastHopLimit(255))
			go answerOne(t, own, "self.local.")
			found, err := s.Resolver().LookupNetIP(t.Context(), "ip4", "self.local")
			require.NoError(t, err)
			require.Equal(t, "[192.0.2.1]", fmt.Sprint(found))
		})
	})
	t.Run("with another resolver", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			printer := &responder{name: "printer.local.", addrs: addresses("192.168.0.2")}
			s := newLinks(t, smolnet.ResolverConfig{}, printer)
			for _, r := range []*smolnet.Resolver{s.Resolver(), newResolver(t, s, smolnet.ResolverConfig{})} {
				_, err := r.LookupNetIP(t.Context(), "ip4", "printer.local")
				require.NoError(t, err)
			}
			require.Equal(t, []string{
				"224.0.0.251 QU printer.local. A", "ff02::fb QU printer.local. A",
				"224.0.0.251 QM printer.local. A", "ff02::fb QM printer.local. A",
			}, printer.asked(), "the second asks for an answer to all, which both hear")
		})
	})
	t.Run("not with one who shares it with nobody", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newLinks(t, smolnet.ResolverConfig{}, &responder{name: "printer.local."})
			_, err := s.ListenUDP("udp", udpAddr(t, "[::]:5353"))
			require.NoError(t, err)
			_, err = s.LookupHost("printer.local")
			require.ErrorContains(t, err, "address already in use")
		})
	})
}

// answerOne answers the first question for an address of the name, to all.
func answerOne(t testing.TB, c *smolnet.UDPConn, name string) {
	buffer := make([]byte, 9000)
	for {
		n, _, err := c.ReadFrom(buffer)
		if err != nil {
			t.Errorf("it hears no question: %v", err)
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || m.Response || m.Questions[0].Name.String() != name {
			continue
		}
		header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET | 1<<15, TTL: 120}
		m = dnsmessage.Message{
			Header:  dnsmessage.Header{Response: true, Authoritative: true},
			Answers: []dnsmessage.Resource{{Header: header, Body: addresses("192.0.2.1")[0]}},
		}
		octets, err := m.Pack()
		if err == nil {
			_, err = c.WriteTo(octets, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("224.0.0.251:5353")))
		}
		if err != nil {
			t.Errorf("answer: %v", err)
		}
		return
	}
}

// A stack is closed while it listens, and while it asks.
func TestMulticastDNSEndsWithTheStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLinks(t, smolnet.ResolverConfig{}, &responder{name: "printer.local.", addrs: addresses("192.168.0.2")})
		_, err := s.LookupHost("printer.local")
		require.NoError(t, err)
		failed := make(chan error)
		go func() {
			_, err := s.LookupHost("nobody.local")
			failed <- err
		}()
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		require.Zero(t, time.Since(begun))
	})
}
