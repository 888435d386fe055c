package core

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/dev"
)

const (
	// loopbackIndex is the index of the loopback interface.
	loopbackIndex = 1
	loopbackName  = "lo"
)

// addLoopback adds the built-in loopback interface: 127.0.0.1 and ::1, and the way to all of the stack's own
// addresses. What goes through it never leaves memory, so nobody computes a checksum, and TCP's super-segments pass
// as they are.
func (s *Stack) addLoopback() {
	l := &Interface{stack: s, index: loopbackIndex, name: loopbackName, medium: dev.IP, mtu: maxMTU, ipv6: true}
	l.attach(dev.Capabilities{
		Checksum: dev.Checksums{
			IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone,
			UDP: dev.ChecksumNone, TCP: dev.ChecksumNone,
		},
		SegmentTCP4: true, SegmentTCP6: true,
	})
	for _, prefix := range []netip.Prefix{netip.PrefixFrom(loopbackAddrv4, 8), netip.PrefixFrom(loopbackAddrv6, 128)} {
		l.addresses = append(l.addresses, &address{addressConfig: configured(prefix), link: l, state: Preferred, detection: detection{due: timer.Never}})
	}
	l.groups, _ = multicast.New(s.multicastConfig(l)) // New has tried whether it is a configuration
	s.loopback = l
	s.lastIndex = loopbackIndex
	s.interfaces = append(s.interfaces, l)
	s.addressesChanged()
}

// PollLoopback passes packets through the loopback interface, Limits.LoopbackBatch of them at most, and reports
// whether there are more: whoever calls it does so again, but lets others have their turn before.
func (s *Stack) PollLoopback(now time.Time) (more bool) {
	t := s.enter(now)
	l := s.loopback
	turns := anyTurns
	for range s.limits.LoopbackBatch {
		p := l.pull(t, &turns)
		if p == nil {
			break
		}
		turns = min(turns, 2*s.limits.LoopbackBatch)
		l.counters.Link.InFrames++
		l.counters.Link.InOctets += uint64(p.Len())
		if looped(p) {
			s.inputLooped(t, p)
			continue
		}
		p.IP = packet.IPInfo{Link: l.arrivalLink(p)}
		l.inputIP(t, p)
	}
	return l.Pending()
}

// arrivalLink is the link that p, which is about to be received, has come by: for a link-local address the one that
// it is an address of, because the address means nothing without.
func (l *Interface) arrivalLink(p *packet.Packet) int32 {
	if p.IP.Link != 0 && p.IP.Dst.Is6() && (p.IP.Dst.IsLinkLocalUnicast() || p.IP.Src.IsLinkLocalUnicast()) {
		return p.IP.Link
	}
	return l.index
}
