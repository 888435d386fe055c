package wire

import "fmt"

// formatIEEE802154Payload prints what a data frame from src to dst carries.
func formatIEEE802154Payload(src, dst LinkAddr, b []byte) string {
	if len(b) == 0 {
		return "length 0"
	}
	return LowpanPacket(b).Format(LowpanLink{Src: src, Dst: dst})
}

// String prints the name of t, or its number.
func (t IEEE802154Type) String() string {
	switch t {
	case IEEE802154Beacon:
		return "Beacon"
	case IEEE802154Data:
		return "Data"
	case IEEE802154Ack:
		return "Ack"
	case IEEE802154Command:
		return "Command"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// IEEE802154CommandID says what a MAC command asks or tells.
type IEEE802154CommandID uint8

// ieee802154CommandNames are the names of 2006's commands.
var ieee802154CommandNames = [...]string{
	1: "association request", 2: "association response", 3: "disassociation notification", 4: "data request",
	5: "PAN ID conflict notification", 6: "orphan notification", 7: "beacon request", 8: "coordinator realignment",
	9: "GTS request",
}

// String prints the name of id, or its number.
func (id IEEE802154CommandID) String() string {
	if 0 < id && int(id) < len(ieee802154CommandNames) {
		return ieee802154CommandNames[id]
	}
	return fmt.Sprintf("command %d", uint8(id))
}

func formatIEEE802154(f IEEE802154Frame) string {
	var r IEEE802154Repr
	if _, err := r.read(f); err != nil {
		return formatUnreadIEEE802154(&r, f, err)
	}
	b := r.append(nil)
	if payload := f.Payload(); len(payload) > 0 || r.Type != IEEE802154Ack {
		b = append(b, ", "...)
		b = appendIEEE802154Payload(b, &r, f, payload)
	}
	return string(b)
}

// appendIEEE802154Payload prints what f, whose header is r, carries.
func appendIEEE802154Payload(b []byte, r *IEEE802154Repr, f IEEE802154Frame, payload []byte) []byte {
	switch id, ok := f.Command(); {
	case r.Secured && r.Version == IEEE802154Version2003:
		return fmt.Appendf(b, "secured as in 2003, length %d", len(payload))
	case r.Type == IEEE802154Beacon && r.Version < IEEE802154Version2015:
		return appendIEEE802154Beacon(b, payload)
	case ok:
		return fmt.Appendf(b, "%v, length %d", id, len(payload))
	case r.Encrypted():
		return fmt.Appendf(b, "encrypted, length %d", len(payload))
	}
	if r.HeaderIEs.PayloadIEsFollow() {
		ies, rest, err := SplitIEEE802154PayloadIEs(payload)
		if err != nil {
			return append(b, "payload IEs [|802.15.4]"...)
		}
		b = append(b, "payload IEs"...)
		for group, content, ok := ies.Next(); ok; group, content, ok = ies.Next() {
			b = fmt.Appendf(b, " 0x%x (%d)", group, len(content))
		}
		b = append(b, ", "...)
		payload = rest
	}
	if r.Type == IEEE802154Data {
		return append(b, formatIEEE802154Payload(r.Src, r.Dst, payload)...)
	}
	return fmt.Appendf(b, "length %d", len(payload))
}

// formatUnreadIEEE802154 prints a frame whose header could be read only in part, which is in r.
func formatUnreadIEEE802154(r *IEEE802154Repr, f IEEE802154Frame, err error) string {
	switch {
	case len(f) < ieee802154ControlLen:
		return "IEEE 802.15.4 [|802.15.4]"
	case err == ErrTruncated:
		return fmt.Sprintf("IEEE 802.15.4 %v, seq %d [|802.15.4]", r.Type, r.Seq)
	default:
		return fmt.Sprintf("IEEE 802.15.4 %v, version %d, control 0x%04x, length %d", r.Type, r.Version, f.control(), len(f))
	}
}

// append prints the header.
func (r *IEEE802154Repr) append(b []byte) []byte {
	b = fmt.Appendf(b, "IEEE 802.15.4 %v", r.Type)
	if !r.SeqSuppressed {
		b = fmt.Appendf(b, ", seq %d", r.Seq)
	}
	switch hasDst, hasSrc := r.HasDstPAN(), r.HasSrcPAN(); {
	case hasDst && hasSrc && r.SrcPAN != r.DstPAN:
		b = fmt.Appendf(b, ", pan 0x%04x > 0x%04x", r.SrcPAN, r.DstPAN)
	case hasDst:
		b = fmt.Appendf(b, ", pan 0x%04x", r.DstPAN)
	case hasSrc:
		b = fmt.Appendf(b, ", pan 0x%04x", r.SrcPAN)
	}
	if !r.Src.IsZero() || !r.Dst.IsZero() {
		b = fmt.Appendf(b, ", %v > %v", r.Src, r.Dst)
	}
	if r.AckRequest {
		b = append(b, ", ack requested"...)
	}
	if r.FramePending {
		b = append(b, ", frame pending"...)
	}
	if r.Secured && r.Version != IEEE802154Version2003 {
		b = r.Security.append(b)
	}
	if ies := r.HeaderIEs; len(ies) > 0 {
		b = append(b, ", header IEs"...)
		for id, content, ok := ies.Next(); ok; id, content, ok = ies.Next() {
			b = fmt.Appendf(b, " 0x%02x (%d)", id, len(content))
		}
	}
	return b
}

// append prints the auxiliary security header, behind others.
func (s *IEEE802154Security) append(b []byte) []byte {
	b = fmt.Appendf(b, ", security level %d", s.Level)
	if s.KeyMode != IEEE802154KeyImplicit {
		b = fmt.Appendf(b, ", key %d", s.KeyIndex)
	}
	if n := s.KeyMode.sourceLen(); n > 0 {
		b = fmt.Appendf(b, " of %x", s.KeySource[:n])
	}
	if !s.CounterSuppressed {
		b = fmt.Appendf(b, ", counter %d", s.FrameCounter)
	}
	if s.ASNInNonce {
		b = append(b, ", ASN in nonce"...)
	}
	return b
}

// appendIEEE802154Beacon prints what a beacon carries.
func appendIEEE802154Beacon(b []byte, payload []byte) []byte {
	p, err := ParseIEEE802154Beacon(payload)
	if err != nil {
		return append(b, "[|802.15.4 beacon]"...)
	}
	b = fmt.Appendf(b, "beacon order %d, superframe order %d, final CAP slot %d", p.BeaconOrder(), p.SuperframeOrder(),
		p.FinalCAPSlot())
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{p.BatteryLifeExtension(), "battery life extension"},
		{p.PANCoordinator(), "PAN coordinator"},
		{p.AssociationPermit(), "association permitted"},
		{p.GTSPermit(), "GTS permitted"},
	} {
		if flag.set {
			b = append(append(b, ", "...), flag.name...)
		}
	}
	for i := range p.GTSCount() {
		slot := p.GTS(i)
		direction := "transmits"
		if slot.Receive {
			direction = "receives"
		}
		b = fmt.Appendf(b, ", GTS %v %s %d+%d", slot.Device, direction, slot.Start, slot.Length)
	}
	for i := range p.PendingCount() {
		b = fmt.Appendf(b, ", pending %v", p.Pending(i))
	}
	return fmt.Appendf(b, ", length %d", len(p.Payload()))
}
