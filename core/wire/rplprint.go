package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// formatRPL prints the message that emit writes into n octets.
func formatRPL(n int, emit func(b []byte, src, dst netip.Addr)) string {
	b := make([]byte, n)
	emit(b, netip.IPv6Unspecified(), netip.IPv6Unspecified())
	return RPLPacket(b).String()
}

// String prints the message as tcpdump -v would, without addresses.
func (p RPLPacket) String() string {
	if len(p) < rplHeaderLen {
		return "[|icmp6]"
	}
	return fmt.Sprintf("ICMP6, %s, length %d", appendRPLMessage(nil, p), len(p))
}

// appendRPLMessage prints a message, legal or not, that has type, code and checksum.
func appendRPLMessage(b []byte, p RPLPacket) []byte {
	b = append(b, "RPL, "...)
	if p.Secure() {
		b = append(b, "(SEC) "...)
	}
	switch p.Code() &^ RPLSecure {
	case RPLSolicitation:
		b = append(b, "DODAG information solicitation"...)
	case RPLInformation:
		b = append(b, "DODAG information object"...)
	case RPLAdvertisement:
		b = append(b, "destination advertisement object"...)
	case RPLAcknowledgment:
		b = append(b, "destination advertisement object ack"...)
	case RPLConsistencyCheck &^ RPLSecure:
		b = append(b, "consistency check"...)
	default:
		b = fmt.Appendf(b, "unknown code (0x%02x)", p.Code())
	}
	if p.bodyLen() < 0 {
		return append(b, " [|rpl]"...)
	}
	switch s, secure := p.Security(); {
	case secure:
		return s.append(b, p)
	case p.Code() == RPLInformation:
		grounded := ""
		if p[8]&rplFlagGrounded != 0 {
			grounded = "grounded,"
		}
		b = fmt.Appendf(b, " [dodagid:%v,seq:%d,instance:%d,rank:%d,dtsn:%d,%smop:%v,prf:%d]", netip.AddrFrom16([16]byte(p[12:28])),
			p[5], p[4], binary.BigEndian.Uint16(p[6:]), p[9], grounded, RPLMode(p[8]>>3)&rplMaxMode, p[8]&7)
	case p.Code() == RPLAdvertisement:
		b = fmt.Appendf(b, " [%sseq:%d,instance:%d,flags:%02x]", rplDODAGName(p.dodag()), p[7], p[4], p[5])
	case p.Code() == RPLAcknowledgment:
		b = fmt.Appendf(b, " [%sseq:%d,instance:%d,status:%d]", rplDODAGName(p.dodag()), p[6], p[4], p[7])
	}
	if options := appendRPLOptions(nil, p.Options()); len(options) > 0 {
		b = append(append(b, ", "...), options...)
	}
	return b
}

// append prints the security section of p, and of a consistency check that is not encrypted what follows.
func (s *RPLSecurity) append(b []byte, p RPLPacket) []byte {
	b = fmt.Appendf(b, " [algorithm:%d,kim:%d,level:%d,counter:%d", s.Algorithm, s.KeyMode, s.Level, s.Counter)
	if len(s.Key) > 0 {
		b = fmt.Appendf(b, ",key:%x", s.Key)
	}
	if rest := p[rplHeaderLen+s.Len():]; p.Code() == RPLConsistencyCheck && len(rest) >= rplConsistencyCheckLen {
		// Levels 0 and 2 authenticate only.
		if s.Level == 0 || s.Level == 2 {
			b = fmt.Appendf(b, ",dodagid:%v,instance:%d,nonce:%d", netip.AddrFrom16([16]byte(rest[4:20])), rest[0],
				binary.BigEndian.Uint16(rest[2:]))
		}
	}
	return append(b, ']')
}

func rplDODAGName(dodag netip.Addr) string {
	if !dodag.IsValid() {
		return ""
	}
	return fmt.Sprintf("dodagid:%v,", dodag)
}
