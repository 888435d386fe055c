package core

import (
	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// input processes a frame.
func (r *radio) input(now int64, p *packet.Packet) {
	p.Own()
	var h wire.IEEE802154Repr
	err := h.Parse(p.Head())
	switch {
	case err != nil:
		r.drop(DropRadioMalformed, p)
		return
	case !r.node.Accepts(&h):
		if h.HasDstPAN() && h.DstPAN != r.node.PAN {
			r.drop(DropRadioPAN, p)
		} else {
			r.drop(DropOtherHost, p)
		}
		return
	case h.Type == wire.IEEE802154Ack:
		r.acknowledged(now, h.Seq)
		p.Release()
		return
	case h.Type != wire.IEEE802154Data:
		r.drop(DropRadioType, p)
		return
	case h.Src.IsZero() || h.Src.IsMulticast() || h.Src == r.linkAddr:
		r.drop(DropFrameSource, p)
		return
	}
	if r.acks && r.node.Acknowledges(&h) {
		r.acknowledge(&h)
	}
	p.IP.Group = h.Dst.IsMulticast()
	if r.security != nil {
		if why := r.security.Unprotect(&h, p); why != ieee802154.None {
			r.drop(securityCauses[why], p)
			return
		}
	} else if h.Secured {
		r.drop(DropRadioKey, p)
		return
	}
	p.TrimFront(h.Len())
	if r.duplicates.Repeated(now, &h, p.Head()) {
		r.drop(DropRadioDuplicate, p)
		return
	}
	r.from = h.Src
	r.authentic = h.Secured && h.MICLen() > 0
	r.inputLowpan(now, p, wire.LowpanLink{Src: h.Src, Dst: h.Dst, Contexts: &r.contexts})
}

// inputLowpan processes what a frame carries. link has its addresses.
func (r *radio) inputLowpan(now int64, p *packet.Packet, link wire.LowpanLink) {
	b := p.Head()
	switch wire.ParseLowpanDispatch(b) {
	case wire.LowpanMesh, wire.LowpanBC0:
		if !r.inputMesh(p, &link) {
			return
		}
		b = p.Head()
	}
	switch wire.ParseLowpanDispatch(b) {
	case wire.LowpanFRAG1, wire.LowpanFRAGN:
		r.inputFragment(now, p, link)
	default:
		elided, ok := r.decompress(p, 0, link)
		if ok && (!elided || r.fillChecksum(p)) {
			r.inputIPv6(now, p)
		}
	}
}

// inputMesh takes the headers off p that are for those who forward frames below IP, which nobody does here, and has link be about the
// nodes between which the packet goes.
func (r *radio) inputMesh(p *packet.Packet, link *wire.LowpanLink) bool {
	n, err := wire.SkipLowpanMesh(p.Head(), link)
	switch {
	case err != nil:
		r.dropLowpan(err, p)
		return false
	case link.Src.IsZero() || link.Src.IsMulticast():
		r.drop(DropFrameSource, p)
		return false
	case !r.node.Is(link.Dst) && !link.Dst.IsMulticast():
		r.drop(DropOtherHost, p)
		return false
	}
	p.IP.Group = link.Dst.IsMulticast()
	p.TrimFront(n)
	return true
}

// knows reports whether there is a node with the address for certain: it has the key, or has answered lately.
func (r *radio) knows(src wire.LinkAddr) bool {
	if r.authentic {
		return true
	}
	e := r.neighbours.Lookup(src.LinkLocal())
	return e != nil && e.State() >= neighbour.Reachable
}

// inputFragment processes part of a packet.
func (r *radio) inputFragment(now int64, p *packet.Packet, link wire.LowpanLink) {
	var h wire.LowpanFragment
	if err := h.Parse(p.Head()); err != nil {
		r.dropLowpan(err, p)
		return
	}
	p.TrimFront(h.Len())
	f := lowpan.Fragment{
		Key:    lowpan.Key{Src: link.Src, Dst: link.Dst, Size: uint16(h.DatagramSize), Tag: h.Tag},
		Offset: h.Offset,
		Known:  r.knows(link.Src),
	}
	if h.First() {
		var ok bool
		if f.ElidedChecksum, ok = r.decompress(p, h.DatagramSize, link); !ok {
			return
		}
	}
	whole, cause := r.reassembly.Add(now, &f, p)
	if cause != lowpan.None {
		r.drop(lowpanCauses[cause], p)
		return
	}
	p.Release()
	if whole != nil && (!f.ElidedChecksum || r.fillChecksum(whole)) {
		r.inputIPv6(now, whole)
	}
}

// decompress has p, which begins with a dispatch, begin with an IPv6 header. elided says that UDP's checksum is to be filled in when the
// packet is whole.
func (r *radio) decompress(p *packet.Packet, size int, link wire.LowpanLink) (elided, ok bool) {
	h, err := wire.DecompressIPv6(r.scratch[:], p.Head(), size, link)
	if err != nil {
		r.dropLowpan(err, p)
		return false, false
	}
	if h.ElidedChecksum && !r.authentic && !r.config.ElidedChecksums {
		r.drop(DropLowpanChecksum, p)
		return false, false
	}
	p.TrimFront(h.Consumed)
	copy(p.Prepend(h.Len), r.scratch[:h.Len])
	return h.ElidedChecksum, true
}

// fillChecksum fills in the checksum that the sender of p, which is whole, has left out.
func (r *radio) fillChecksum(p *packet.Packet) bool {
	p.Own()
	if err := wire.FillLowpanChecksum(p.Head()); err != nil {
		r.drop(DropLowpanHeader, p)
		return false
	}
	return true
}

// dropLowpan drops a frame because of what is wrong with its 6LoWPAN headers.
func (r *radio) dropLowpan(err error, p *packet.Packet) {
	cause := DropLowpanTruncated
	switch err {
	case wire.ErrLowpanDispatch:
		cause = DropLowpanDispatch
	case wire.ErrVersion:
		cause = DropVersion
	case wire.ErrLowpanContext:
		cause = DropLowpanContext
	case wire.ErrLowpanReserved, wire.ErrLowpanNextHeader, wire.ErrLowpanAddress, wire.ErrLength:
		cause = DropLowpanHeader
	case wire.ErrLowpanHeaders:
		cause = DropLowpanHeaders
	case wire.ErrLowpanSize, wire.ErrLowpanOffset:
		cause = DropLowpanFragment
	}
	r.drop(cause, p)
}

// securityCauses are the causes for which secured frames, or such as should be, are not taken.
var securityCauses = [...]DropCause{
	ieee802154.Unsecured:      DropRadioUnsecured,
	ieee802154.Unsupported:    DropRadioSecurity,
	ieee802154.UnknownDevice:  DropRadioKey,
	ieee802154.UnknownKey:     DropRadioKey,
	ieee802154.Replayed:       DropRadioReplay,
	ieee802154.TooManySources: DropRadioSources,
	ieee802154.Forged:         DropRadioForged,
}

// lowpanCauses are the causes for which fragments are not taken, or datagrams given up.
var lowpanCauses = [...]DropCause{
	lowpan.TooShort:  DropLowpanFragment,
	lowpan.Empty:     DropLowpanFragment,
	lowpan.Unaligned: DropLowpanFragment,
	lowpan.TooLong:   DropLowpanFragment,
	lowpan.Duplicate: DropLowpanDuplicate,
	lowpan.Full:      DropLowpanFull,
	lowpan.Overlap:   DropLowpanOverlap,
	lowpan.Evicted:   DropLowpanEvicted,
	lowpan.TimedOut:  DropLowpanTimeout,
	lowpan.Closed:    DropInterfaceRemoved,
}
