package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	// TCPHeaderLen is the length of a TCP header without options, in octets.
	TCPHeaderLen = 20
	// TCPMaxHeaderLen is the length of a TCP header with as many options as it can hold.
	TCPMaxHeaderLen = TCPHeaderLen + TCPMaxOptionsLen
	// TCPChecksumField is where the checksum is, in octets from the header's first.
	TCPChecksumField = 16
)

// TCPFlags are the control bits of a TCP header.
type TCPFlags uint16

// The control bits (RFC 9293, section 3.1). TCPNs is the nonce sum of RFC 3540, which is historic; RFC 9768 calls
// the bit AE.
const (
	TCPFin TCPFlags = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
	TCPNs

	tcpFlagsMask = 1<<9 - 1
)

// Has reports whether all of the given flags are set.
func (f TCPFlags) Has(flags TCPFlags) bool { return f&flags == flags }

// String prints the flags as tcpdump would between its brackets, such as "S." for SYN and ACK.
func (f TCPFlags) String() string {
	const letters = "FSRP.UEWe"
	var b [len(letters)]byte
	n := 0
	for i := range letters {
		if f&(1<<i) != 0 {
			b[n] = letters[i]
			n++
		}
	}
	if n == 0 {
		return "none"
	}
	return string(b[:n])
}

// TCPPacket is a segment: the TCP header, its options, and the data (RFC 9293, section 3.1). Made by ParseTCP,
// none of its methods panics.
type TCPPacket []byte

// ParseTCP takes b, which begins with a TCP header, for a segment. The error is ErrTruncated if b is shorter than
// a header without options, and ErrLength if the data offset is less than such a header or more than b.
func ParseTCP(b []byte) (TCPPacket, error) {
	if len(b) < TCPHeaderLen {
		return nil, ErrTruncated
	}
	p := TCPPacket(b)
	if n := p.HeaderLen(); n < TCPHeaderLen || n > len(b) {
		return nil, ErrLength
	}
	return p, nil
}

// SrcPort is the sender's port.
func (p TCPPacket) SrcPort() uint16 { return binary.BigEndian.Uint16(p[0:]) }

// DstPort is the receiver's port.
func (p TCPPacket) DstPort() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Seq is the sequence number of the first octet of data, or of the SYN.
func (p TCPPacket) Seq() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// Ack is the next sequence number that the sender expects. It means something only with TCPAck set.
func (p TCPPacket) Ack() uint32 { return binary.BigEndian.Uint32(p[8:]) }

// HeaderLen is the data offset in octets: the length of the header with its options.
func (p TCPPacket) HeaderLen() int { return int(p[12]>>4) * 4 }

// Flags are the control bits.
func (p TCPPacket) Flags() TCPFlags { return TCPFlags(binary.BigEndian.Uint16(p[12:])) & tcpFlagsMask }

// Window is the window field, not scaled.
func (p TCPPacket) Window() uint16 { return binary.BigEndian.Uint16(p[14:]) }

// Checksum is the checksum field.
func (p TCPPacket) Checksum() uint16 { return binary.BigEndian.Uint16(p[TCPChecksumField:]) }

// Urgent is the urgent pointer. It means something only with TCPUrg set.
func (p TCPPacket) Urgent() uint16 { return binary.BigEndian.Uint16(p[18:]) }

// Options are the octets of the header's options, for TCPOptions.Parse. They share p's octets.
func (p TCPPacket) Options() []byte { return p[TCPHeaderLen:p.HeaderLen()] }

// Payload is the data. It shares p's octets.
func (p TCPPacket) Payload() []byte { return p[p.HeaderLen():] }

// SetSrcPort sets the sender's port.
func (p TCPPacket) SetSrcPort(port uint16) { binary.BigEndian.PutUint16(p[0:], port) }

// SetDstPort sets the receiver's port.
func (p TCPPacket) SetDstPort(port uint16) { binary.BigEndian.PutUint16(p[2:], port) }

// SetSeq sets the sequence number.
func (p TCPPacket) SetSeq(seq uint32) { binary.BigEndian.PutUint32(p[4:], seq) }

// SetAck sets the acknowledgment number.
func (p TCPPacket) SetAck(ack uint32) { binary.BigEndian.PutUint32(p[8:], ack) }

// SetFlags sets the control bits and leaves the data offset as it is.
func (p TCPPacket) SetFlags(flags TCPFlags) {
	rest := binary.BigEndian.Uint16(p[12:]) &^ uint16(tcpFlagsMask)
	binary.BigEndian.PutUint16(p[12:], rest|uint16(flags&tcpFlagsMask))
}

// SetWindow sets the window field, not scaled.
func (p TCPPacket) SetWindow(window uint16) { binary.BigEndian.PutUint16(p[14:], window) }

// SetChecksum sets the checksum field.
func (p TCPPacket) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[TCPChecksumField:], sum) }

// SetUrgent sets the urgent pointer.
func (p TCPPacket) SetUrgent(pointer uint16) { binary.BigEndian.PutUint16(p[18:], pointer) }

// FillChecksum computes the checksum of the whole segment, sent from src to dst, and sets it.
func (p TCPPacket) FillChecksum(src, dst netip.Addr) {
	p.SetChecksum(0)
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolTCP, len(p))
	sum.Add(p)
	p.SetChecksum(sum.Checksum())
}

// VerifyChecksum reports whether the checksum of the segment, sent from src to dst, is right.
func (p TCPPacket) VerifyChecksum(src, dst netip.Addr) bool {
	var sum Sum
	sum.AddPseudoHeader(src, dst, protocolTCP, len(p))
	sum.Add(p)
	return sum.Fold() == 0xffff
}

// String prints the segment as tcpdump would, without addresses.
func (p TCPPacket) String() string {
	if len(p) < TCPHeaderLen {
		return "[|tcp]"
	}
	return fmt.Sprintf("%d > %d: %s", p.SrcPort(), p.DstPort(), p.describe())
}

// describe prints what follows addresses and ports. p has at least a header without options.
func (p TCPPacket) describe() string {
	b := fmt.Appendf(nil, "Flags [%v]", p.Flags())
	header := p.HeaderLen()
	if header < TCPHeaderLen {
		return string(fmt.Appendf(b, ", bad header length %d", header))
	}
	length := max(len(p)-header, 0)
	b = appendTCPSequence(b, p.Flags(), p.Seq(), p.Ack(), length)
	b = fmt.Appendf(b, ", win %d", p.Window())
	if p.Flags().Has(TCPUrg) {
		b = fmt.Appendf(b, ", urg %d", p.Urgent())
	}
	if header > len(p) {
		return string(fmt.Appendf(b, " [%d octets missing]", header-len(p)))
	}
	if options := p.Options(); len(options) > 0 {
		b = append(b, ", options ["...)
		b = appendTCPOptions(b, options)
		b = append(b, ']')
	}
	b = fmt.Appendf(b, ", length %d", length)
	if p.SrcPort() == DNSPort || p.DstPort() == DNSPort {
		b = appendDNSStream(b, p[header:])
	}
	return string(b)
}

// appendTCPSequence prints the sequence numbers that mean something, as tcpdump would with -S.
func appendTCPSequence(b []byte, flags TCPFlags, seq, ack uint32, length int) []byte {
	switch {
	case length > 0:
		b = fmt.Appendf(b, ", seq %d:%d", seq, seq+uint32(length))
	case flags&(TCPSyn|TCPFin|TCPRst) != 0:
		b = fmt.Appendf(b, ", seq %d", seq)
	}
	if flags.Has(TCPAck) {
		b = fmt.Appendf(b, ", ack %d", ack)
	}
	return b
}

func formatTCP(src, dst netip.Addr, payload []byte) string {
	p := TCPPacket(payload)
	switch {
	case len(p) < 4:
		return fmt.Sprintf("%v > %v: [|tcp]", src, dst)
	case len(p) < 8:
		return fmt.Sprintf("%v.%d > %v.%d: [|tcp]", src, p.SrcPort(), dst, p.DstPort())
	case len(p) < TCPHeaderLen:
		// What an ICMP error must quote at least.
		return fmt.Sprintf("%v.%d > %v.%d: seq %d [|tcp]", src, p.SrcPort(), dst, p.DstPort(), p.Seq())
	}
	return fmt.Sprintf("%v.%d > %v.%d: %s", src, p.SrcPort(), dst, p.DstPort(), p.describe())
}

// TCPRepr is a TCP header with the options that this package knows. The urgent pointer is not part of it: it is
// neither emitted nor kept, and neither is TCPUrg, so that urgent data is ordinary data.
type TCPRepr struct {
	SrcPort, DstPort uint16 // never 0
	Seq              uint32
	Ack              uint32 // without TCPAck 0
	Flags            TCPFlags
	Window           uint16 // as in the header: not scaled
	Options          TCPOptions
	PayloadLen       int // octets of data
}

// Parse sets r to what p's header says. It does not look at the checksum. The errors are ErrMalformed for a port
// that is 0, which is reserved, and ErrOption.
func (r *TCPRepr) Parse(p TCPPacket) error {
	if p.SrcPort() == 0 || p.DstPort() == 0 {
		return ErrMalformed
	}
	*r = TCPRepr{
		SrcPort:    p.SrcPort(),
		DstPort:    p.DstPort(),
		Seq:        p.Seq(),
		Flags:      p.Flags() &^ TCPUrg,
		Window:     p.Window(),
		PayloadLen: len(p.Payload()),
	}
	if r.Flags.Has(TCPAck) {
		r.Ack = p.Ack()
	}
	return r.Options.Parse(p.Options())
}

// Len is the number of octets that Emit writes: the header with its options.
func (r *TCPRepr) Len() int { return TCPHeaderLen + r.Options.Len() }

// Emit writes the header to the front of b, with a zero checksum for the caller to fill in. It panics if b is
// shorter than Len.
func (r *TCPRepr) Emit(b []byte) {
	n := r.Len()
	b = b[:n]
	p := TCPPacket(b)
	p.SetSrcPort(r.SrcPort)
	p.SetDstPort(r.DstPort)
	p.SetSeq(r.Seq)
	var ack uint32
	if r.Flags.Has(TCPAck) {
		ack = r.Ack
	}
	p.SetAck(ack)
	binary.BigEndian.PutUint16(p[12:], uint16(n/4)<<12|uint16(r.Flags&tcpFlagsMask&^TCPUrg))
	p.SetWindow(r.Window)
	p.SetChecksum(0)
	p.SetUrgent(0)
	r.Options.Emit(b[TCPHeaderLen:])
}

// String prints the header as tcpdump would, without addresses.
func (r *TCPRepr) String() string {
	b := fmt.Appendf(nil, "%d > %d: Flags [%v]", r.SrcPort, r.DstPort, r.Flags)
	b = appendTCPSequence(b, r.Flags, r.Seq, r.Ack, r.PayloadLen)
	b = fmt.Appendf(b, ", win %d", r.Window)
	if options := r.Options.String(); options != "" {
		b = fmt.Appendf(b, ", options [%s]", options)
	}
	return string(fmt.Appendf(b, ", length %d", r.PayloadLen))
}
