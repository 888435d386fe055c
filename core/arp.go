package core

import (
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// inputARP processes what should be an ARP packet, and takes it.
func (l *Interface) inputARP(now int64, p *packet.Packet) {
	p.Own()
	a, err := wire.ParseARP(p.Head())
	var r wire.ARPRepr
	if err == nil {
		err = r.Parse(a)
	}
	if err != nil {
		l.drop(DropARPMalformed, p)
		return
	}
	if r.Operation == wire.ARPRequest {
		l.counters.ARP.InRequests++
	} else {
		l.counters.ARP.InReplies++
	}
	sender := r.SenderProtocol
	switch {
	case r.SenderHardware.IsMulticast(), r.SenderHardware.IsZero(), sender.IsMulticast(), sender.IsLoopback(),
		sender == broadcastAddrv4, l.Broadcasts(sender):
		l.drop(DropARPSource, p)
		return
	case r.SenderHardware == l.hardware:
		// A packet of the stack's own that has come back.
		l.drop(DropARPSource, p)
		return
	}
	if a := l.claimedByARP(&r); a != nil {
		l.counters.ARP.Conflicts++
		l.conflict(now, a)
		l.drop(DropARPSource, p)
		return
	}
	if l.heardARP(now, &r) {
		p.Release()
	} else {
		l.drop(DropARPTarget, p)
	}
}

// heardARP learns from an ARP packet, answers it if it asks for an address of the interface's, and reports whether it
// was of any concern.
//
// "Merge_flag := false. If the pair <protocol type, sender protocol address> is already in my translation table,
// update the sender hardware address field of the entry [...] and set Merge_flag to true. ?Am I the target protocol
// address? Yes: If Merge_flag is false, add the triplet [...] to the translation table."
// https://www.rfc-editor.org/rfc/rfc826.html
// As for a reply, only one that was asked for makes an entry, which exists by then.
func (l *Interface) heardARP(now int64, r *wire.ARPRepr) bool {
	toUs := l.has(r.TargetProtocol) || l.proxiesARP(r)
	probe := r.SenderProtocol.IsUnspecified() // by somebody who has no address yet: RFC 5227
	switch {
	case toUs && r.Operation == wire.ARPRequest:
		if !probe {
			l.neighbours.Heard(now, r.SenderProtocol, r.SenderHardware.LinkAddr())
		}
		l.counters.ARP.OutReplies++
		l.sendARP(r.SenderHardware, wire.ARPRepr{
			Operation:      wire.ARPReply,
			SenderHardware: l.hardware, SenderProtocol: r.TargetProtocol,
			TargetHardware: r.SenderHardware, TargetProtocol: r.SenderProtocol,
		})
	case probe:
		return false
	case toUs:
		l.neighbours.Advertised(now, r.SenderProtocol, r.SenderHardware.LinkAddr(), true, true, false)
	case l.neighbours.Lookup(r.SenderProtocol) != nil:
		l.neighbours.Advertised(now, r.SenderProtocol, r.SenderHardware.LinkAddr(), false, true, false)
	default:
		return r.SenderProtocol == r.TargetProtocol // gratuitous, but about nobody whom the stack knows
	}
	return true
}

// proxiesARP reports whether r asks for an address that the interface answers for though it is not its own. Whoever asks
// whether an address is taken, be it by a probe of RFC 5227 or by a gratuitous request, may have it.
func (l *Interface) proxiesARP(r *wire.ARPRepr) bool {
	return l.anyIP != nil && r.Operation == wire.ARPRequest && !r.SenderProtocol.IsUnspecified() &&
		r.SenderProtocol != r.TargetProtocol && l.answersFor(r.TargetProtocol)
}

// announceARP tells everybody of an address of the interface's own.
//
// "An ARP Announcement is identical to an ARP Probe, except that now the sender and target IP addresses are both set
// to the host's newly selected IPv4 address."
// https://www.rfc-editor.org/rfc/rfc5227.html#section-2.3
func (l *Interface) announceARP(addr netip.Addr) {
	l.counters.ARP.OutRequests++
	l.sendARP(wire.BroadcastHardwareAddr, wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: l.hardware, SenderProtocol: addr, TargetProtocol: addr,
	})
}

// requestARP asks for the neighbour's hardware address: everybody, or if to is not zero, the neighbour alone.
func (l *Interface) requestARP(e *neighbour.Entry, to wire.HardwareAddr) {
	source, ok := l.sourceARP(e)
	if !ok {
		return // without an address of its own there is nothing to be answered
	}
	if to.IsZero() {
		to = wire.BroadcastHardwareAddr
	}
	l.counters.ARP.OutRequests++
	l.sendARP(to, wire.ARPRepr{
		Operation: wire.ARPRequest, SenderHardware: l.hardware, SenderProtocol: source, TargetProtocol: e.Addr(),
	})
}

// sourceARP chooses the address to ask from: the one that the waiting packet has, if the neighbour is in its network,
// because many do not answer strangers; else any that is in the neighbour's network; else any.
func (l *Interface) sourceARP(e *neighbour.Entry) (netip.Addr, bool) {
	near := func(own *address) bool {
		return own.addr().Is4() && own.state.usable() && own.prefix.Contains(e.Addr())
	}
	i := slices.IndexFunc(l.addresses, func(own *address) bool { return own.addr() == e.Source() && near(own) })
	if i < 0 {
		i = slices.IndexFunc(l.addresses, near)
	}
	if i < 0 {
		i = slices.IndexFunc(l.addresses, func(own *address) bool { return own.addr().Is4() && own.state.usable() })
	}
	if i < 0 {
		return netip.Addr{}, false
	}
	return l.addresses[i].addr(), true
}

// sendARP puts an ARP packet into the control queue.
func (l *Interface) sendARP(dst wire.HardwareAddr, r wire.ARPRepr) {
	p := packet.New(wire.ARPLen)
	r.Emit(p.Append(wire.ARPLen))
	frame := wire.EthernetRepr{Dst: dst, Src: l.hardware, EtherType: wire.EtherTypeARP}
	frame.Emit(p.Prepend(wire.EthernetHeaderLen))
	l.enqueue(p)
}
