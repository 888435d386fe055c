package core

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// detecting is a script about a stack that looks for duplicates of its addresses, and what it has told of them.
type detecting struct {
	*script
	told []string
}

func newDetecting(t *testing.T, detects DuplicateDetection, addresses ...string) *detecting {
	d := new(detecting)
	d.script = newScript(t, func(c *Config) {
		c.Event = func(e Event) {
			if e.Address.Prefix.IsValid() {
				d.told = append(d.told, strings.TrimSuffix(e.String(), " (link 2)"))
			}
		}
	}, func(c *InterfaceConfig) {
		c.DuplicateDetection, c.Addresses = detects, nil
		for _, a := range addresses {
			c.Addresses = append(c.Addresses, prefix(a))
		}
	})
	d.told = nil
	return d
}

// next lets time pass until something leaves, which it returns, but for the longest of all times.
func (d *detecting) next(longest time.Duration) []byte {
	d.t.Helper()
	for end := d.now.Add(longest); ; {
		if frames := d.send(); len(frames) > 0 {
			require.Len(d.t, frames, 1)
			d.verify(frames[0])
			return frames[0]
		}
		at, ok := d.stack.NextTimer()
		require.True(d.t, ok && !at.After(end), "something leaves within %v", longest)
		d.after(at.Sub(d.now))
	}
}

// state is the state of one of the stack's addresses.
func (d *detecting) state(s string) string {
	for _, a := range d.link.Addresses() {
		if a.Prefix.Addr() == addr(s) {
			return a.State.String()
		}
	}
	return "none"
}

// wantTold requires that exactly this was told since the last time.
func (d *detecting) wantTold(why string, events ...string) {
	d.t.Helper()
	require.Equal(d.t, events, d.told, why)
	d.told = nil
}

const ours6 = "fe80::1"

var (
	onlyLinkLocal = []string{ours6 + "/64"}
	sought        = wire.SolicitedNodeMulticast(addr(ours6))
)

// probe parses what must be a search for the stack's IPv6 address.
func (d *detecting) probe(frame []byte) wire.NDNeighborSolicitationRepr {
	d.t.Helper()
	p, err := wire.ParseIPv6(wire.EthernetFrame(frame).Payload())
	require.NoError(d.t, err)
	require.True(d.t, p.Src().IsUnspecified(), "the address is not used")
	require.Equal(d.t, sought, p.Dst())
	require.EqualValues(d.t, 255, p.HopLimit())
	var r wire.NDNeighborSolicitationRepr
	require.NoError(d.t, r.Parse(wire.ICMPv6Packet(p.Payload())))
	require.Equal(d.t, addr(ours6), r.Target)
	require.Zero(d.t, r.SourceLinkAddr, "RFC 4861 section 4.3 forbids it")
	require.Len(d.t, r.Nonce, 6)
	return r
}

func TestDADFindsNobody(t *testing.T) {
	d := newDetecting(t, DetectLearnt, onlyLinkLocal...)
	require.Equal(t, "tentative", d.state(ours6))
	require.True(t, d.stack.Settling(true))
	d.probe(d.next(time.Second))
	require.Empty(t, d.told)

	d.recv(nd(theirLinkLocal, sought, &wire.NDNeighborSolicitationRepr{Target: addr(ours6), SourceLinkAddr: theirHardware.LinkAddr()}))
	d.wantIdle("a tentative address is not answered for, and who looks for it does not have it")
	d.recv(toUs(echo6(theirLinkLocal, addr(ours6), "")))
	d.wantIdle("nor does it receive anything")
	_, _, err := d.stack.Route(d.link.Index(), addr(ours6), theirLinkLocal)
	require.Error(t, err, "nor is anything sent from it")

	d.after(999 * time.Millisecond)
	require.Equal(t, "tentative", d.state(ours6))
	d.after(time.Millisecond)
	require.Equal(t, "preferred", d.state(ours6))
	require.False(t, d.stack.Settling(true))
	d.want("everybody is told", "IP6 fe80::1 > ff02::1: ICMP6, neighbor advertisement, tgt is fe80::1, Flags [override], "+
		"destination link-address 02:00:00:00:00:01, length 32")
	d.wantTold("once", "address changed: fe80::1/64 preferred")
	d.recv(nd(theirLinkLocal, sought, &wire.NDNeighborSolicitationRepr{Target: addr(ours6), SourceLinkAddr: theirHardware.LinkAddr()}))
	require.Len(t, d.send(), 1, "now it is answered for")
}

func TestDADFindsDuplicate(t *testing.T) {
	for _, tc := range []struct {
		name  string
		claim []byte
	}{
		{"somebody has the address", nd(addr(ours6), allNodesv6,
			&wire.NDNeighborAdvertisementRepr{Override: true, Target: addr(ours6), TargetLinkAddr: theirHardware.LinkAddr()})},
		{"somebody wants it too, without a nonce", nd(netip.IPv6Unspecified(), sought,
			&wire.NDNeighborSolicitationRepr{Target: addr(ours6)})},
		{"somebody wants it too, with a nonce", nd(netip.IPv6Unspecified(), sought,
			&wire.NDNeighborSolicitationRepr{Target: addr(ours6), Nonce: []byte("abcdef")})},
		{"with a longer nonce", nd(netip.IPv6Unspecified(), sought,
			&wire.NDNeighborSolicitationRepr{Target: addr(ours6), Nonce: []byte("abcdefghijklmn")})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDetecting(t, DetectLearnt, onlyLinkLocal...)
			d.next(time.Second)
			d.recv(tc.claim)
			require.Equal(t, "duplicate", d.state(ours6))
			d.wantTold("reported", "address conflict: fe80::1/64 duplicate")
			d.after(time.Hour)
			d.wantIdle("the address is never used")
			require.Equal(t, "duplicate", d.state(ours6))
			d.recv(tc.claim)
			d.wantIdle("and others' is theirs")
			require.Empty(t, d.told)
			require.True(t, d.link.RemoveAddress(d.now, addr(ours6)))
			require.NoError(t, d.link.AddAddress(d.now, prefix(ours6+"/64")), "it may be tried again")
			d.probe(d.next(time.Second))
		})
	}
}

// A probe that comes back, as through a loop in the network, is nobody else's.
func TestDADRecognisesItsOwnProbe(t *testing.T) {
	d := newDetecting(t, DetectLearnt, onlyLinkLocal...)
	back := func(frame []byte) {
		r := d.probe(frame)
		d.recv(nd(netip.IPv6Unspecified(), sought, &r))
		require.Equal(t, "tentative", d.state(ours6))
	}
	first := d.next(time.Second)
	back(first)
	var before = d.probe(first)
	for range maxMulticastSolicit {
		at := d.now
		frame := d.next(time.Second)
		require.Equal(t, time.Second, d.now.Sub(at))
		again := d.probe(frame)
		require.NotEqual(t, before.Nonce, again.Nonce, "each has a number of its own")
		before = again
		back(frame)
	}
	for range maxMulticastSolicit { // while they come back it goes on
		d.probe(d.next(time.Second))
		require.Equal(t, "tentative", d.state(ours6))
	}
	d.after(time.Second)
	require.Equal(t, "preferred", d.state(ours6), "none came back")
}

func TestDADOfSeveralAddressesIsOneByOne(t *testing.T) {
	d := newDetecting(t, DetectLearnt, "fe80::1/64", "fdaa::1/64")
	d.after(time.Second)
	require.Len(t, d.send(), 2)
	d.recv(nd(addr("fdaa::1"), allNodesv6, &wire.NDNeighborAdvertisementRepr{Target: addr("fdaa::1"), TargetLinkAddr: theirHardware.LinkAddr()}))
	d.after(time.Second)
	require.Equal(t, "preferred", d.state("fe80::1"))
	require.Equal(t, "duplicate", d.state("fdaa::1"))
}

func TestNoDetection(t *testing.T) {
	for _, tc := range []struct {
		name    string
		detects DuplicateDetection
		address string
	}{
		{"where it is off", DetectNone, "fe80::1/64"},
		{"of a configured IPv4 address", DetectLearnt, "192.168.69.1/24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDetecting(t, tc.detects, tc.address)
			require.Equal(t, "preferred", d.state(prefix(tc.address).Addr().String()))
		})
	}
}

func probedFor(target string, from wire.HardwareAddr) []byte {
	return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: from, SenderProtocol: netip.IPv4Unspecified(), TargetProtocol: addr(target)}))
}

func claimedBy(sender string, from wire.HardwareAddr) []byte {
	return ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPReply, SenderHardware: from, SenderProtocol: addr(sender), TargetProtocol: addr(sender)}))
}

// The times are those of RFC 5227 section 1.1.
func TestACDFindsNobody(t *testing.T) {
	d := newDetecting(t, DetectAll, "192.168.69.1/24", "fe80::1/64")
	require.True(t, d.link.RemoveAddress(d.now, addr("fe80::1")))
	for i := range probeNum {
		at := d.now
		frame := d.next(2 * time.Second)
		require.Equal(t, "ARP, Request who-has 192.168.69.1 tell 0.0.0.0, length 28", wire.EthernetFrame(frame).String())
		require.True(t, i == 0 || d.now.Sub(at) >= time.Second)
		d.recv(probedFor("192.168.69.1", ourHardware)) // it comes back
	}
	d.recv(arpRequest(us4))
	d.wantIdle("the address is not answered for")
	d.after(2*time.Second - 1)
	require.Equal(t, "tentative", d.state("192.168.69.1"))
	d.after(1)
	require.Equal(t, "preferred", d.state("192.168.69.1"))
	announcement := "ARP, Request who-has 192.168.69.1 tell 192.168.69.1, length 28"
	d.want("announced", announcement)
	d.after(2 * time.Second)
	d.want("and again", announcement)
	d.after(time.Hour)
	d.wantIdle("and no more")
}

func TestACDFindsDuplicate(t *testing.T) {
	for _, tc := range []struct {
		name  string
		claim []byte
	}{
		{"somebody has the address", claimedBy("192.168.69.1", theirHardware)},
		{"somebody probes for it too", probedFor("192.168.69.1", theirHardware)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDetecting(t, DetectAll, "192.168.69.1/24", "fe80::1/64")
			d.link.RemoveAddress(d.now, addr("fe80::1"))
			d.told = nil
			d.next(2 * time.Second)
			d.recv(tc.claim)
			require.Equal(t, "duplicate", d.state("192.168.69.1"))
			d.wantTold("reported", "address conflict: 192.168.69.1/24 duplicate")
			d.after(time.Hour)
			d.wantIdle("and never used")
		})
	}
}

func TestConfiguredAddressIsDefended(t *testing.T) {
	d := newDetecting(t, DetectLearnt, "192.168.69.1/24", "fe80::1/64")
	d.after(2 * time.Second)
	d.after(2 * time.Second)
	d.skip()
	d.told = nil
	claim := claimedBy("192.168.69.1", theirHardware)
	d.recv(claim)
	d.want("defended", "ARP, Request who-has 192.168.69.1 tell 192.168.69.1, length 28")
	d.wantTold("and reported", "address conflict: 192.168.69.1/24 preferred")
	d.recv(claim)
	d.wantIdle("not more than once in ten seconds, lest two fight")
	d.after(10 * time.Second)
	d.recv(claim)
	d.want("but for good", "ARP, Request who-has 192.168.69.1 tell 192.168.69.1, length 28")
	require.Equal(t, "preferred", d.state("192.168.69.1"))
}

func TestLearntAddressIsGivenUp(t *testing.T) {
	d := newDetecting(t, DetectLearnt, "fe80::1/64")
	leased := configured(prefix("192.168.69.1/24"))
	leased.origin = route.DHCPv4 // a server's
	require.NoError(t, d.link.setAddress(d.stack.now, leased))
	require.Equal(t, "tentative", d.state("192.168.69.1"))
	for range 12 {
		d.after(time.Second)
	}
	d.skip()
	require.Equal(t, "preferred", d.state("192.168.69.1"))
	claim := claimedBy("192.168.69.1", theirHardware)
	d.recv(claim)
	require.Len(t, d.send(), 1, "defended once")
	d.after(9 * time.Second)
	d.recv(claim)
	d.wantIdle("and no more")
	require.Equal(t, "none", d.state("192.168.69.1"), "the other insists")
	require.Empty(t, d.stack.Routes(), "nor is its network on the link any more")
}

func TestLifetimes(t *testing.T) {
	d := newDetecting(t, DetectNone, "fe80::1/64")
	at := func(after time.Duration) int64 {
		if after < 0 {
			return timer.Never
		}
		return d.stack.now + int64(after)
	}
	set := func(preferred, valid time.Duration) {
		require.NoError(t, d.link.setAddress(d.stack.now, addressConfig{
			prefix: prefix("fdaa::1/64"), origin: route.DHCPv6, preferredUntil: at(preferred), validUntil: at(valid)}))
	}
	set(time.Minute, time.Hour)
	d.wantTold("it is there", "address added: fdaa::1/64 tentative dhcpv6", "address changed: fdaa::1/64 preferred dhcpv6")
	d.after(time.Minute - 1)
	require.Equal(t, "preferred", d.state("fdaa::1"))
	d.after(1)
	d.wantTold("not for anything new", "address changed: fdaa::1/64 deprecated dhcpv6")
	_, source, err := d.stack.Route(0, netip.Addr{}, addr("fdaa::2"))
	require.NoError(t, err)
	require.Equal(t, addr("fdaa::1"), source, "but better than one of another scope")
	set(time.Minute, time.Hour)
	d.wantTold("as good as new", "address changed: fdaa::1/64 preferred dhcpv6")
	set(-1, -1)
	d.after(1000 * time.Hour)
	require.Equal(t, "preferred", d.state("fdaa::1"), "for ever")
	set(0, time.Second)
	require.Equal(t, "deprecated", d.state("fdaa::1"))
	d.told = nil
	d.after(time.Second)
	d.wantTold("over", "address removed: fdaa::1/64 deprecated dhcpv6")
	require.Equal(t, "none", d.state("fdaa::1"))
	require.Empty(t, d.stack.Routes())
}

func TestConfiguredAddressStaysAsItIs(t *testing.T) {
	d := newDetecting(t, DetectNone, "fdaa::1/64")
	err := d.link.setAddress(d.stack.now, addressConfig{prefix: prefix("fdaa::1/64"), origin: route.DHCPv6, validUntil: 1})
	require.ErrorContains(t, err, "address fdaa::1/64 is a duplicate of fdaa::1/64 preferred")
	d.after(time.Hour)
	require.Equal(t, "preferred", d.state("fdaa::1"))
}
