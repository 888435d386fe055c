package core

import (
	"cmp"
	"io"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// DuplicateDetection says which of an interface's addresses are looked for on its link before they are used. Where nobody has a
// hardware address, as on a tun, none are. An address that is somebody else's is reported, as Event and in its State, and not used.
//
// On a radio routers register addresses in place of that, and nobody looks for others' but with DetectAll, where no router does.
type DuplicateDetection uint8

const (
	// DetectLearnt looks for all IPv6 addresses, which takes a second or two, and for those IPv4 addresses that nobody has configured:
	// a server's leases, and link-local ones. Configured IPv4 addresses are announced, and used at once: where RFC 5227 section
	// 2.1 wants them probed for, for up to nine seconds, no system in common use does so.
	DetectLearnt DuplicateDetection = iota
	// DetectAll looks for configured IPv4 addresses as well; and on a radio, for those that are not registered with routers, nor made
	// from its EUI-64, which is nobody else's.
	DetectAll
	// DetectNone uses every address at once.
	DetectNone

	numDuplicateDetections
)

// detection is how far the search for others that have an address has come, and the defence of the address later on.
type detection struct {
	due      int64 // when the next step is; timer.Never: there is none
	probes   int   // how many were sent
	wanted   int   // how many are to be
	nonces   [maxProbes][6]byte
	looped   bool  // a probe has come back
	late     bool  // routers have had the time to register the address
	defended int64 // when the address was last defended
	contests int   // how many others' claims there were
}

// Times and numbers of RFC 5227 section 1.1, for IPv4.
const (
	probeWait        = time.Second
	probeNum         = 3
	probeMin         = time.Second
	probeMax         = 2 * time.Second
	announceWait     = 2 * time.Second
	announceInterval = 2 * time.Second
	defendInterval   = 10 * time.Second
)

// Numbers of RFC 4862 section 5.1 and RFC 4861 section 10, for IPv6.
const (
	dupAddrDetectTransmits = 1
	maxMulticastSolicit    = 3
	maxSolicitationDelay   = time.Second
	maxProbes              = maxMulticastSolicit
)

// randomDelay is a random time between 0 and most.
func (s *Stack) randomDelay(most time.Duration) time.Duration {
	return time.Duration(s.random() % uint64(most+1))
}

// searchesFor reports whether others are to be looked for that have the address.
func (l *Interface) searchesFor(a *address) bool {
	switch {
	case l.radio != nil && l.detects == DetectAll:
		octets := a.addr().As16()
		return [8]byte(octets[8:]) != l.linkAddr.InterfaceID()
	case l.medium != dev.Ethernet, l.detects == DetectNone:
		return false
	case a.addr().Is6(), l.detects == DetectAll:
		return true
	}
	return a.origin != route.Static
}

// detect begins to look for others that have a new address, after a delay if it is IPv6, or to use it at once.
func (l *Interface) detect(now int64, a *address, delay time.Duration) {
	if l.register(now, a) && a.origin != route.RPL {
		l.awaitRegistration(now, a)
		return // routers find out
	}
	if !l.searchesFor(a) {
		a.use(now)
		return
	}
	a.detection = detection{due: now + int64(delay), wanted: dupAddrDetectTransmits}
	if a.addr().Is4() {
		// "[...] the host should then wait for a random time interval selected uniformly in the range zero to PROBE_WAIT
		// seconds, and should then send PROBE_NUM probe packets"
		// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.1.1
		a.detection.due, a.detection.wanted = now+int64(l.stack.randomDelay(probeWait)), probeNum
	}
	a.arm(now)
}

// detectNext takes the step that is due.
func (l *Interface) detectNext(now int64, a *address) {
	d := &a.detection
	d.due = timer.Never
	switch v4 := a.addr().Is4(); {
	case a.state != Tentative:
		l.announce(now, a.addr()) // once more
	case l.registrant != nil && l.registrant.reachesRouter():
		if l.awaitRegistration(now, a); !d.late {
			d.late = true
			l.addressEvent(AddressChanged, a) // nobody is to wait for it any longer
		}
	case d.probes < d.wanted && v4:
		d.probes++
		l.probeARP(a.addr())
		// "[...] each of these probe packets spaced randomly and uniformly, PROBE_MIN to PROBE_MAX seconds apart." And
		// "If, by ANNOUNCE_WAIT seconds after the transmission of the last ARP Probe no conflicting ARP Reply or ARP Probe has
		// been received, then the host has successfully determined that the desired address may be used safely."
		// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.1.1
		d.due = now + int64(announceWait)
		if d.probes < d.wanted {
			d.due = now + int64(probeMin+l.stack.randomDelay(probeMax-probeMin))
		}
	case d.probes < d.wanted:
		d.due = now + int64(l.retransmit())
		l.probeND(now, a)
	case d.looped:
		// "If any probe is looped back within RetransTimer milliseconds after having sent DupAddrDetectTransmits NS(DAD)
		// messages, the interface continues with another MAX_MULTICAST_SOLICIT number of NS(DAD) messages transmitted
		// RetransTimer milliseconds apart."
		// https://www.rfc-editor.org/rfc/rfc7527.html#section-4.1
		d.looped, d.probes, d.wanted = false, 0, maxMulticastSolicit
		l.detectNext(now, a)
	default:
		a.use(now)
		if v4 {
			// "[...] the host MUST announce its address [...] by broadcasting ANNOUNCE_NUM ARP Announcements, spaced
			// ANNOUNCE_INTERVAL seconds apart": two, of which use has sent the first.
			// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.3
			d.due = now + int64(announceInterval)
			a.arm(now)
		}
	}
}

// retransmit is the time between solicitations.
func (l *Interface) retransmit() time.Duration {
	if t := cmp.Or(l.params.Retransmit, l.stack.config.Neighbours.Retransmit); t != 0 {
		return t
	}
	return neighbour.DefaultRetransmit
}

// probeARP asks whether anybody has the address.
func (l *Interface) probeARP(addr netip.Addr) {
	l.counters.ARP.OutRequests++
	l.sendARP(wire.BroadcastHardwareAddr, wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: l.hardware, SenderProtocol: netip.IPv4Unspecified(), TargetProtocol: addr,
	})
}

// probeND does, with a number by which it is recognised if it comes back.
func (l *Interface) probeND(now int64, a *address) {
	d := &a.detection
	nonce := &d.nonces[d.probes]
	d.probes++
	if _, err := io.ReadFull(l.stack.rand, nonce[:]); err != nil {
		*nonce = [6]byte{byte(now >> 40), byte(now >> 32), byte(now >> 24), byte(now >> 16), byte(now >> 8), byte(now)}
	}
	l.sendND(now, netip.IPv6Unspecified(), wire.SolicitedNodeMulticast(a.addr()), wire.LinkAddr{},
		&wire.NDNeighborSolicitationRepr{Target: a.addr(), Nonce: nonce[:]})
}

// sent reports whether the nonce is of one of the probes.
func (d *detection) sent(nonce []byte) bool {
	for i := range min(d.probes, maxProbes) {
		if string(nonce) == string(d.nonces[i][:]) {
			return true
		}
	}
	return false
}

// probed takes note of somebody else's search for a tentative address, or one's own that has come back.
//
// "On receipt of a valid Neighbor Solicitation message on an interface [...] If the source address of the Neighbor Solicitation is
// the unspecified address, the solicitation is from a node performing Duplicate Address Detection. If the solicitation is from
// another node, the tentative address is a duplicate and should not be used (by either node)."
// https://www.rfc-editor.org/rfc/rfc4862.html#section-5.4.3
func (l *Interface) probed(now int64, a *address, nonce []byte) {
	if a.detection.sent(nonce) {
		a.detection.looped = true
		return
	}
	l.duplicate(now, a)
}

// claimedByARP returns the address of the interface's own that a packet from another station claims; nil if there is none. While an
// address is being looked for, a search of somebody else's for it is a claim too.
//
// "[...] if during this period the host receives any ARP Probe where the packet's 'target IP address' is the address being probed
// for, and the packet's 'sender hardware address' is not the hardware address of any of the host's interfaces, then the host SHOULD
// similarly treat this as an address conflict"
// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.1.1
func (l *Interface) claimedByARP(r *wire.ARPRepr) *address {
	claimed := l.find(r.SenderProtocol)
	if r.SenderProtocol.IsUnspecified() && r.Operation == wire.ARPRequest {
		if claimed = l.find(r.TargetProtocol); claimed != nil && claimed.state != Tentative {
			return nil
		}
	}
	if claimed == nil || claimed.state == Duplicate {
		return nil
	}
	return claimed
}

// conflict is told that another station uses the address, which is told to others at most every 10 seconds.
func (l *Interface) conflict(now int64, a *address) {
	d := &a.detection
	if a.state == Tentative {
		l.duplicate(now, a)
		return
	}
	recent := d.contests > 0 && now-d.defended < int64(defendInterval)
	d.contests++
	if recent && a.addr().Is4() && a.origin != route.Static {
		// "However, if this is not the first conflicting ARP packet the host has seen, and the time recorded for the previous
		// conflicting ARP packet is recent, within DEFEND_INTERVAL seconds, then the host MUST immediately cease using this
		// address"
		// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.4
		l.duplicate(now, a)
		return
	}
	if recent {
		// A configured address is defended for good, as the section has it "(c) [...] to defend its address indefinitely", but not
		// more often: else two hosts that do the same would fight. For IPv6 no RFC has an address that is in use given up.
		return
	}
	d.defended = now
	if a.addr().Is4() {
		l.announce(now, a.addr())
	}
	l.addressEvent(AddressConflict, a)
}

// duplicate ends the use of an address, or the wish to use it: it is somebody else's. One that was configured, or is the interface's
// link-local one, is still shown.
func (l *Interface) duplicate(now int64, a *address) {
	a.state, a.detection.due = Duplicate, timer.Never
	a.arm(now)
	l.stack.addressesChanged()
	l.addressEvent(AddressConflict, a)
	if a.origin == route.Static || a.origin == route.LinkLocal && a.addr().Is6() && !l.otherLinkLocal() {
		return
	}
	l.dropAddress(now, a.addr())
	l.addressDuplicate(now, a)
}
