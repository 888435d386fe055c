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
		_, err := s.AddInterface(smolnet.Interface{Name: fmt.Sprintf("link%d", i), Device: near, Addresses: addresses})
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
	if octets[0]>>4 == 4 {
		header, err := wire.ParseIPv4(octets)
		if err != nil || header.Protocol() != ip.ProtocolUDP {
			return
		}
		src, dst, payload = header.Src(), header.Dst(), header.Payload()
	} else {
		header, err := wire.ParseIPv6(octets)
		if err != nil || header.NextHeader() != ip.ProtocolUDP {
			return
		}
		src, dst, payload = header.Src(), header.Dst(), header.Payload()
	}
	udp, err := wire.ParseUDP(payload)
	if err != nil || udp.DstPort() != 5353 || !udp.VerifyChecksum(src, dst) {
		r.t.Errorf("not a datagram for port 5353: %v", err)
		return
	}
	var m dnsmessage.Message
	if err := m.Unpack(udp.Payload()); err != nil {
		r.t.Errorf("not a question: %v", err)
		return
	}
	question := m.Questions[0]
	r.mu.Lock()
	r.heard = append(r.heard, fmt.Sprintf("%v %v %s", dst, question.Name, strings.TrimPrefix(question.Type.String(), "Type")))
	r.mu.Unlock()
	if !strings.EqualFold(question.Name.String(), r.name) {
		return
	}
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}
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
	r.send(src, udp.SrcPort(), answer)
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
				"224.0.0.251 Printer.local. A", "224.0.0.251 Printer.local. AAAA",
				"ff02::fb Printer.local. A", "ff02::fb Printer.local. AAAA",
			}, r.asked(), "all are asked on every link, once")
		}

		v4, err := s.Resolver().LookupNetIP(t.Context(), "ip4", "printer.local")
		require.NoError(t, err)
		require.Len(t, v4, 1)
		require.Empty(t, second.asked(), "what was said is kept")

		begun = time.Now()
		_, err = s.LookupHost("nobody.local")
		require.Equal(t, &net.DNSError{Err: "no such host", Name: "nobody.local", IsNotFound: true}, err)
		require.Equal(t, 2*time.Second, time.Since(begun))
		require.Len(t, first.asked(), 8, "both families for both types, twice")
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
