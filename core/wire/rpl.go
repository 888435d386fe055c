package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Codes of RPL's messages, all of type ICMPv6RPL.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6
const (
	RPLSolicitation     = 0x00 // DIS: DODAG information solicitation
	RPLInformation      = 0x01 // DIO: DODAG information object
	RPLAdvertisement    = 0x02 // DAO: destination advertisement object
	RPLAcknowledgment   = 0x03 // DAO-ACK
	RPLConsistencyCheck = 0x8a // CC, which is always secure
	// RPLSecure is the bit by which the codes of the messages' secure forms differ.
	RPLSecure = 0x80
)

// RPLInfiniteRank is the rank that stands for no route to the root at all.
const RPLInfiniteRank = 0xffff

const (
	rplHeaderLen = 4 // type, code, checksum
	// Lengths of the messages without options and without a DODAG ID that may be left out.
	rplSolicitationLen     = rplHeaderLen + 2
	rplInformationLen      = rplHeaderLen + 24
	rplAdvertisementLen    = rplHeaderLen + 4
	rplAcknowledgmentLen   = rplHeaderLen + 4
	rplConsistencyCheckLen = 24 // behind the security section

	rplFlagAck   = 0x80 // K of a DAO
	rplFlagDODAG = 0x40 // D of a DAO; DAO-ACK has it where DAO has K
)

// RPLPacket is a RPL message (RFC 6550, section 6), an ICMPv6 message that may be shorter than others. Made by ParseRPL, none
// of its methods panics.
type RPLPacket []byte

// ParseRPL takes all of b, from the ICMPv6 type on, for a message. The errors are ErrMalformed if it is of another type, and
// ErrTruncated if it is shorter than what every message of its code has; of an unknown code, only type, code and checksum.
func ParseRPL(b []byte) (RPLPacket, error) {
	if len(b) < rplHeaderLen {
		return nil, ErrTruncated
	}
	if b[0] != ICMPv6RPL {
		return nil, ErrMalformed
	}
	p := RPLPacket(b)
	if p.bodyLen() < 0 {
		return nil, ErrTruncated
	}
	return p, nil
}

// Code is which message it is, such as RPLInformation.
func (p RPLPacket) Code() uint8 { return p[1] }

// Secure reports whether the message is one of the secure forms, of which only the security section is understood here.
func (p RPLPacket) Secure() bool { return p[1]&RPLSecure != 0 }

// Checksum is the checksum field.
func (p RPLPacket) Checksum() uint16 { return ICMPv6Packet(p).Checksum() }

// VerifyChecksum reports whether the checksum of the message, sent from src to dst, is right.
func (p RPLPacket) VerifyChecksum(src, dst netip.Addr) bool {
	return ICMPv6Packet(p).VerifyChecksum(src, dst)
}

// Security returns the security section of a secure message; ok is false of others.
func (p RPLPacket) Security() (s RPLSecurity, ok bool) {
	if !p.Secure() {
		return RPLSecurity{}, false
	}
	s.parse(p[rplHeaderLen:])
	return s, true
}

// bodyLen is how many octets the base object has, with the DODAG ID if there is one; negative if p is too short for it. Of
// secure messages that is the security section, for what follows may be encrypted. p has type, code and checksum.
func (p RPLPacket) bodyLen() int {
	n := 0
	switch p.Code() {
	case RPLSolicitation:
		n = rplSolicitationLen
	case RPLInformation:
		n = rplInformationLen
	case RPLAdvertisement, RPLAcknowledgment:
		n = rplAdvertisementLen
		if len(p) >= n && p.hasDODAG() {
			n += 16
		}
	default:
		if !p.Secure() {
			return 0
		}
		var s RPLSecurity
		if len(p) < rplHeaderLen+rplSecurityMinLen {
			return -1
		}
		s.parse(p[rplHeaderLen:])
		n = rplHeaderLen + s.Len()
	}
	if len(p) < n {
		return -1
	}
	return n - rplHeaderLen
}

// hasDODAG reports whether a DAO or DAO-ACK has a DODAG ID.
func (p RPLPacket) hasDODAG() bool {
	if p.Code() == RPLAdvertisement {
		return p[5]&rplFlagDODAG != 0
	}
	return p[5]&rplFlagAck != 0
}

// dodag is the DODAG ID of a DAO or DAO-ACK; zero if there is none.
func (p RPLPacket) dodag() netip.Addr {
	if !p.hasDODAG() {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(p[8:24]))
}

// Options are the options of DIS, DIO, DAO and DAO-ACK, unchecked: see ParseRPLOptions. Other messages have none here. They
// share p's octets.
func (p RPLPacket) Options() RPLOptions {
	if p.Secure() || p.Code() > RPLAcknowledgment {
		return nil
	}
	return RPLOptions(p[rplHeaderLen+p.bodyLen():])
}

// options returns the options, checked, of a message that must have the given code.
func (p RPLPacket) options(code uint8) (RPLOptions, error) {
	if len(p) < rplHeaderLen {
		return nil, ErrTruncated
	}
	if p[0] != ICMPv6RPL || p.Code() != code {
		return nil, ErrMalformed
	}
	if p.bodyLen() < 0 {
		return nil, ErrTruncated
	}
	return ParseRPLOptions(p.Options())
}

// RPLMode is how a DODAG keeps downward routes: its mode of operation.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6.3.1
type RPLMode uint8

const (
	RPLNoDownward       RPLMode = 0 // none
	RPLNonStoring       RPLMode = 1 // the root has them all, and source-routes
	RPLStoring          RPLMode = 2 // each router has those to its descendants
	RPLStoringMulticast RPLMode = 3 // and of groups
	rplMaxMode          RPLMode = 7
)

// String names the mode: "non-storing".
func (m RPLMode) String() string {
	switch m {
	case RPLNoDownward:
		return "no-downward"
	case RPLNonStoring:
		return "non-storing"
	case RPLStoring:
		return "storing"
	case RPLStoringMulticast:
		return "storing-multicast"
	}
	return fmt.Sprintf("unknown-%d", uint8(m))
}

// RPLDISRepr asks for DIOs (RFC 6550, section 6.2).
type RPLDISRepr struct {
	// Options are all the options, as they came, unknown ones included. RPLOptions.Append adds one. Without any the message
	// is shorter than the eight octets that other ICMPv6 messages have at least; padding makes it safe.
	Options RPLOptions
}

// Parse sets r to what p says; Options shares p's octets. What the options contain is not looked at. The errors are
// ErrTruncated and ErrMalformed.
func (r *RPLDISRepr) Parse(p RPLPacket) error {
	options, err := p.options(RPLSolicitation)
	if err != nil {
		return err
	}
	*r = RPLDISRepr{Options: options}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLDISRepr) Len() int { return rplSolicitationLen + len(r.Options) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *RPLDISRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[rplSolicitationLen:], r.Options)
	b[4], b[5] = 0, 0
	sealRPL(b, RPLSolicitation, src, dst)
}

// String prints the message as tcpdump -v would.
func (r *RPLDISRepr) String() string { return formatRPL(r.Len(), r.Emit) }

// RPLDIORepr is how a node tells of the DODAG that it is in (RFC 6550, section 6.3).
type RPLDIORepr struct {
	Instance   uint8 // RPLInstanceID; from 128 on, local to the DODAG ID
	Version    uint8 // DODAGVersionNumber, a lollipop counter
	Rank       uint16
	Grounded   bool // the DODAG leads to where its applications want to go
	Mode       RPLMode
	Preference uint8 // of the DODAG by its root, 0 to 7, higher is more preferred
	DTSN       uint8 // counts the requests for DAOs
	DODAG      netip.Addr
	Options    RPLOptions // as they came; RPLOptions.Append adds one
}

const rplFlagGrounded = 0x80

// Parse sets r to what p says; Options shares p's octets. What the options contain is not looked at. The errors are
// ErrTruncated and ErrMalformed.
func (r *RPLDIORepr) Parse(p RPLPacket) error {
	options, err := p.options(RPLInformation)
	if err != nil {
		return err
	}
	*r = RPLDIORepr{
		Instance:   p[4],
		Version:    p[5],
		Rank:       binary.BigEndian.Uint16(p[6:]),
		Grounded:   p[8]&rplFlagGrounded != 0,
		Mode:       RPLMode(p[8]>>3) & rplMaxMode,
		Preference: p[8] & 7,
		DTSN:       p[9],
		DODAG:      netip.AddrFrom16([16]byte(p[12:28])),
		Options:    options,
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLDIORepr) Len() int { return rplInformationLen + len(r.Options) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *RPLDIORepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[rplInformationLen:], r.Options)
	b[4], b[5] = r.Instance, r.Version
	binary.BigEndian.PutUint16(b[6:], r.Rank)
	b[8] = uint8(r.Mode&rplMaxMode)<<3 | r.Preference&7
	if r.Grounded {
		b[8] |= rplFlagGrounded
	}
	b[9], b[10], b[11] = r.DTSN, 0, 0
	putAddr16(b[12:], r.DODAG)
	sealRPL(b, RPLInformation, src, dst)
}

// String prints the message as tcpdump -v would.
func (r *RPLDIORepr) String() string { return formatRPL(r.Len(), r.Emit) }

// RPLDAORepr is how a node tells of destinations that can be reached by it (RFC 6550, section 6.4).
type RPLDAORepr struct {
	Instance uint8
	Ack      bool  // a DAO-ACK is asked for
	Sequence uint8 // by which the DAO-ACK is recognised, a lollipop counter
	// DODAG is the DODAG ID, which only a local instance must have. Zero: not said.
	DODAG   netip.Addr
	Options RPLOptions // as they came; RPLOptions.Append adds one
}

// Parse sets r to what p says; Options shares p's octets. What the options contain is not looked at. The errors are
// ErrTruncated and ErrMalformed.
func (r *RPLDAORepr) Parse(p RPLPacket) error {
	options, err := p.options(RPLAdvertisement)
	if err != nil {
		return err
	}
	*r = RPLDAORepr{Instance: p[4], Ack: p[5]&rplFlagAck != 0, Sequence: p[7], DODAG: p.dodag(), Options: options}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLDAORepr) Len() int { return rplAdvertisementLen + rplDODAGLen(r.DODAG) + len(r.Options) }

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *RPLDAORepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[rplAdvertisementLen+rplDODAGLen(r.DODAG):], r.Options)
	b[4], b[5], b[6], b[7] = r.Instance, 0, 0, r.Sequence
	if r.Ack {
		b[5] |= rplFlagAck
	}
	if r.DODAG.IsValid() {
		b[5] |= rplFlagDODAG
		putAddr16(b[8:], r.DODAG)
	}
	sealRPL(b, RPLAdvertisement, src, dst)
}

// String prints the message as tcpdump -v would.
func (r *RPLDAORepr) String() string { return formatRPL(r.Len(), r.Emit) }

// RPLDAOAckRepr is the answer to a DAO (RFC 6550, section 6.5).
type RPLDAOAckRepr struct {
	Instance uint8
	Sequence uint8 // the DAO's
	// Status is 0 for acceptance, up to 127 for acceptance by one that would rather see another parent used, and from 128 on
	// for refusal.
	Status  uint8
	DODAG   netip.Addr // as in a DAO
	Options RPLOptions // as they came; none are defined
}

// Parse sets r to what p says; Options shares p's octets. The errors are ErrTruncated and ErrMalformed.
func (r *RPLDAOAckRepr) Parse(p RPLPacket) error {
	options, err := p.options(RPLAcknowledgment)
	if err != nil {
		return err
	}
	*r = RPLDAOAckRepr{Instance: p[4], Sequence: p[6], Status: p[7], DODAG: p.dodag(), Options: options}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLDAOAckRepr) Len() int {
	return rplAcknowledgmentLen + rplDODAGLen(r.DODAG) + len(r.Options)
}

// Emit writes the message, sent from src to dst, to the front of b. It panics if b is shorter than Len.
func (r *RPLDAOAckRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	copy(b[rplAcknowledgmentLen+rplDODAGLen(r.DODAG):], r.Options)
	b[4], b[5], b[6], b[7] = r.Instance, 0, r.Sequence, r.Status
	if r.DODAG.IsValid() {
		b[5] |= rplFlagAck // D is where DAO has K
		putAddr16(b[8:], r.DODAG)
	}
	sealRPL(b, RPLAcknowledgment, src, dst)
}

// String prints the message as tcpdump -v would.
func (r *RPLDAOAckRepr) String() string { return formatRPL(r.Len(), r.Emit) }

// rplDODAGLen is what an optional DODAG ID takes.
func rplDODAGLen(dodag netip.Addr) int {
	if dodag.IsValid() {
		return 16
	}
	return 0
}

// sealRPL writes type, code and checksum of a message whose body is there already.
func sealRPL(b []byte, code uint8, src, dst netip.Addr) {
	b[0], b[1] = ICMPv6RPL, code
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// RPLSecurity is the security section that secure messages begin with.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6.1
type RPLSecurity struct {
	CounterIsTime bool   // T: the counter is a time
	Algorithm     uint8  // 0: CCM with AES-128
	KeyMode       uint8  // KIM, 0 to 3: how the key is named
	Level         uint8  // LVL, 0 to 7
	Flags         uint8  // reserved
	Counter       uint32 // grows with every message
	// Key is the key identifier: of mode 0 its index, of mode 2 source and index, else nothing. Mode 3 has source and index
	// if the level is one that encrypts or authenticates by them. It shares the packet's octets.
	Key []byte
}

const rplSecurityMinLen = 8

// Len is the number of octets that the section has.
func (s *RPLSecurity) Len() int { return rplSecurityMinLen + s.keyLen() }

// keyLen is the length of the key identifier by mode. Mode 3 signs with the sender's own key; the levels that encrypt besides,
// 1 and 3, name the key for that.
func (s *RPLSecurity) keyLen() int {
	switch {
	case s.KeyMode == 0:
		return 1
	case s.KeyMode == 2, s.KeyMode == 3 && (s.Level == 1 || s.Level == 3):
		return 9
	}
	return 0
}

// parse reads the section that b begins with, of which there are 8 octets at least; of the key, what there is.
func (s *RPLSecurity) parse(b []byte) {
	*s = RPLSecurity{
		CounterIsTime: b[0]&0x80 != 0, Algorithm: b[1], KeyMode: b[2] >> 6, Level: b[2] & 7, Flags: b[3],
		Counter: binary.BigEndian.Uint32(b[4:]),
	}
	b = b[rplSecurityMinLen:]
	n := min(s.keyLen(), len(b))
	s.Key = b[:n:n]
}
