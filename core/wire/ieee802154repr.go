package wire

import "encoding/binary"

// IEEE802154Repr is the header of a MAC frame of IEEE 802.15.4: all that comes before what the frame carries, which is the part
// of it that may be encrypted. To read or write one allocates nothing.
type IEEE802154Repr struct {
	Type    IEEE802154Type
	Version uint8 // the edition: IEEE802154Version2003, 2006 or 2015

	FramePending bool // the sender has more for the receiver
	AckRequest   bool // the sender wants an acknowledgment

	// PANCompression leaves out a PAN identifier.
	//
	// Before 2015 that is the source's, which then is the destination's; it is emitted so only if there are both addresses, and
	// a frame that has it otherwise is malformed.
	//
	// In 2015's edition it is the source's too, if there are two addresses of which one is short. A frame with two extended
	// addresses has the destination's alone, and none with PANCompression; one with a single address has that address's, and
	// none with PANCompression; one without addresses has none, and the destination's with PANCompression.
	PANCompression bool

	// SeqSuppressed leaves out the sequence number. Only 2015's edition knows it: in others it is emitted as false.
	SeqSuppressed bool
	Seq           uint8 // the sequence number, 0 if there is none

	// DstPAN and SrcPAN are the PAN identifiers. One that is not in the frame is the other if that is and belongs to an
	// address, else 0; HasDstPAN and HasSrcPAN tell. One that is not to be in the frame is not emitted.
	DstPAN, SrcPAN uint16

	// Dst and Src are short, extended or no addresses. One of another length is emitted as none.
	Dst, Src LinkAddr

	// Secured says that there is an auxiliary security header: Security, which is zero otherwise. 2003's edition secured frames
	// in another way, which is not known here: a secured frame of it is refused, and emitted as one of 2006's.
	Secured  bool
	Security IEEE802154Security

	// HeaderIEs are information elements, those that end them included, which must be there if a payload follows. They share
	// the octets of the frame that was read. Only 2015's edition knows them: in others they are not emitted.
	HeaderIEs IEEE802154HeaderIEs
}

// IEEE802154Type is what kind of frame one is.
type IEEE802154Type uint8

// Types of frames. The numbers above these are of frames with other headers, or reserved.
const (
	IEEE802154Beacon  IEEE802154Type = 0
	IEEE802154Data    IEEE802154Type = 1
	IEEE802154Ack     IEEE802154Type = 2
	IEEE802154Command IEEE802154Type = 3
)

// Parse reads the header of f, which need not come from ParseIEEE802154. The errors are those of ParseIEEE802154; ErrVersion for
// a secured frame of 2003's edition; and ErrMalformed for PAN ID compression in an older frame that has not both addresses.
func (r *IEEE802154Repr) Parse(f IEEE802154Frame) error {
	if _, err := r.read(f); err != nil {
		return err
	}
	if r.Secured && r.Version == IEEE802154Version2003 {
		return ErrVersion
	}
	if r.PANCompression && r.Version < IEEE802154Version2015 && (r.Dst.IsZero() || r.Src.IsZero()) {
		return ErrMalformed
	}
	return nil
}

// ieee802154AddrLens are the lengths of addresses by their mode. The mode 1 is reserved.
var ieee802154AddrLens = [4]int{0, -1, ShortAddrLen, ExtendedAddrLen}

// read fills r in as far as b's layout is known, and returns where what the frame carries begins. With an error it has got as far
// as what is wrong.
func (r *IEEE802154Repr) read(b []byte) (n int, err error) {
	*r = IEEE802154Repr{}
	if len(b) < ieee802154ControlLen {
		return n, ErrTruncated
	}
	control := binary.LittleEndian.Uint16(b)
	r.Type = IEEE802154Type(control & ieee802154TypeMask)
	r.Version = uint8(control >> ieee802154VersionShift & ieee802154TwoBits)
	r.Secured = control&ieee802154Secured != 0
	r.FramePending = control&ieee802154Pending != 0
	r.AckRequest = control&ieee802154AckRequest != 0
	r.PANCompression = control&ieee802154PANCompression != 0
	if r.Type > IEEE802154Command || r.Version > IEEE802154Version2015 {
		return n, ErrVersion
	}
	n = ieee802154ControlLen
	r.SeqSuppressed = r.Version == IEEE802154Version2015 && control&ieee802154SeqSuppressed != 0
	if !r.SeqSuppressed {
		if len(b) == n {
			return n, ErrTruncated
		}
		r.Seq = b[n]
		n++
	}
	dst := ieee802154AddrLens[control>>ieee802154DstModeShift&ieee802154TwoBits]
	src := ieee802154AddrLens[control>>ieee802154SrcModeShift&ieee802154TwoBits]
	if dst < 0 || src < 0 {
		return n, ErrMalformed
	}
	if n, err = r.readAddressing(b, n, dst, src); err != nil {
		return n, err
	}
	if r.Secured && r.Version != IEEE802154Version2003 {
		if n, err = r.Security.read(b, n, r.Version); err != nil {
			return n, err
		}
	}
	end := len(b) - r.MICLen()
	if n > end {
		return n, ErrTruncated
	}
	if r.Version == IEEE802154Version2015 && control&ieee802154IEs != 0 {
		length, err := ieee802154HeaderIEsLen(b[n:end])
		if err != nil {
			return n, err
		}
		r.HeaderIEs = IEEE802154HeaderIEs(b[n : n+length : n+length])
		n += length
	}
	return n, nil
}

// readAddressing reads PAN identifiers and addresses, of so many octets, from b[n:] and returns where they end.
func (r *IEEE802154Repr) readAddressing(b []byte, n, dst, src int) (end int, err error) {
	hasDst, hasSrc := ieee802154PANs(r.Version, r.PANCompression, dst, src)
	end = n + dst + src
	if hasDst {
		end += ieee802154PANLen
	}
	if hasSrc {
		end += ieee802154PANLen
	}
	if len(b) < end {
		return n, ErrTruncated
	}
	if hasDst {
		r.DstPAN = binary.LittleEndian.Uint16(b[n:])
		n += ieee802154PANLen
	}
	r.Dst = linkAddrFromAir(b[n : n+dst])
	n += dst
	switch {
	case hasSrc:
		r.SrcPAN = binary.LittleEndian.Uint16(b[n:])
		n += ieee802154PANLen
	case src > 0:
		r.SrcPAN = r.DstPAN
	}
	r.Src = linkAddrFromAir(b[n : n+src])
	return end, nil
}

// ieee802154PANs reports which PAN identifiers a frame has whose addresses have so many octets.
//
// For 2015's edition that is the table of PAN ID compression in its section 7.2.2.6; for older ones, the PAN identifier goes with
// the address, but the flag says that the source's is the destination's.
func ieee802154PANs(version uint8, compressed bool, dst, src int) (hasDst, hasSrc bool) {
	switch {
	case version < IEEE802154Version2015:
		return dst > 0, src > 0 && !(compressed && dst > 0)
	case dst == 0 && src == 0:
		return compressed, false
	case dst == 0:
		return false, !compressed
	case src == 0, dst == ExtendedAddrLen && src == ExtendedAddrLen:
		return !compressed, false
	default:
		return true, !compressed
	}
}

// linkAddrFromAir is the address of b's 0, 2 or 8 octets, the last of which comes first on the air.
func linkAddrFromAir(b []byte) LinkAddr {
	switch len(b) {
	case ShortAddrLen:
		return ShortAddr(binary.LittleEndian.Uint16(b))
	case ExtendedAddrLen:
		return LinkAddr{binary.LittleEndian.Uint64(b), ExtendedAddrLen}
	}
	return LinkAddr{}
}

// putLinkAddrOnAir writes a, of 0, 2 or 8 octets, to b and returns how many they are.
func putLinkAddrOnAir(b []byte, a LinkAddr) int {
	switch a.len {
	case ShortAddrLen:
		binary.LittleEndian.PutUint16(b, uint16(a.octets>>48))
	case ExtendedAddrLen:
		binary.LittleEndian.PutUint64(b, a.octets)
	}
	return int(a.len)
}

// HasDstPAN reports whether the destination's PAN identifier is in the frame.
func (r *IEEE802154Repr) HasDstPAN() bool {
	_, dst := ieee802154AddrMode(r.Dst)
	_, src := ieee802154AddrMode(r.Src)
	has, _ := ieee802154PANs(r.Version, r.PANCompression, dst, src)
	return has
}

// HasSrcPAN reports whether the source's PAN identifier is in the frame.
func (r *IEEE802154Repr) HasSrcPAN() bool {
	_, dst := ieee802154AddrMode(r.Dst)
	_, src := ieee802154AddrMode(r.Src)
	_, has := ieee802154PANs(r.Version, r.PANCompression, dst, src)
	return has
}

// ieee802154AddrMode returns the mode in which a is emitted, and how many octets it then takes.
func ieee802154AddrMode(a LinkAddr) (mode uint16, length int) {
	switch a.len {
	case ShortAddrLen:
		return 2, ShortAddrLen
	case ExtendedAddrLen:
		return 3, ExtendedAddrLen
	}
	return 0, 0
}

// version is the edition that r is emitted in.
func (r *IEEE802154Repr) version() uint8 {
	if r.Secured {
		return max(r.Version, IEEE802154Version2006)
	}
	return r.Version
}

// MICLen is the number of octets of the message integrity code, behind what the frame carries: 0, 4, 8 or 16.
func (r *IEEE802154Repr) MICLen() int {
	if !r.Secured {
		return 0
	}
	return r.Security.MICLen()
}

// Encrypted reports whether what the frame carries is encrypted.
func (r *IEEE802154Repr) Encrypted() bool {
	return r.Secured && r.Security.Level >= IEEE802154Encryption
}

// Payload is what the frame that r was read from carries: f without header and message integrity code. It shares f's octets.
func (r *IEEE802154Repr) Payload(f IEEE802154Frame) []byte {
	n, end := r.Len(), len(f)-r.MICLen()
	if n > end {
		return nil
	}
	return f[n:end:end]
}

// Len is the number of octets that Emit writes: of a frame that was read, where what it carries begins.
func (r *IEEE802154Repr) Len() int {
	_, dst := ieee802154AddrMode(r.Dst)
	_, src := ieee802154AddrMode(r.Src)
	version := r.version()
	n := ieee802154ControlLen + 1 + dst + src
	hasDst, hasSrc := ieee802154PANs(version, r.PANCompression, dst, src)
	if hasDst {
		n += ieee802154PANLen
	}
	if hasSrc {
		n += ieee802154PANLen
	}
	if version == IEEE802154Version2015 {
		n += len(r.HeaderIEs)
		if r.SeqSuppressed {
			n--
		}
	}
	if r.Secured {
		n += r.Security.len(version)
	}
	return n
}

// Emit writes the header to the front of b.
func (r *IEEE802154Repr) Emit(b []byte) {
	b = b[:r.Len()]
	version := r.version()
	dstMode, dst := ieee802154AddrMode(r.Dst)
	srcMode, src := ieee802154AddrMode(r.Src)
	control := uint16(r.Type)&ieee802154TypeMask | dstMode<<ieee802154DstModeShift |
		uint16(version)&ieee802154TwoBits<<ieee802154VersionShift | srcMode<<ieee802154SrcModeShift
	if r.Secured {
		control |= ieee802154Secured
	}
	if r.FramePending {
		control |= ieee802154Pending
	}
	if r.AckRequest {
		control |= ieee802154AckRequest
	}
	if r.PANCompression && (version == IEEE802154Version2015 || dst > 0 && src > 0) {
		control |= ieee802154PANCompression
	}
	if version == IEEE802154Version2015 {
		if r.SeqSuppressed {
			control |= ieee802154SeqSuppressed
		}
		if len(r.HeaderIEs) > 0 {
			control |= ieee802154IEs
		}
	}
	binary.LittleEndian.PutUint16(b, control)
	n := ieee802154ControlLen
	if control&ieee802154SeqSuppressed == 0 {
		b[n] = r.Seq
		n++
	}
	hasDst, hasSrc := ieee802154PANs(version, r.PANCompression, dst, src)
	if hasDst {
		binary.LittleEndian.PutUint16(b[n:], r.DstPAN)
		n += ieee802154PANLen
	}
	if dst > 0 {
		n += putLinkAddrOnAir(b[n:], r.Dst)
	}
	if hasSrc {
		binary.LittleEndian.PutUint16(b[n:], r.SrcPAN)
		n += ieee802154PANLen
	}
	if src > 0 {
		n += putLinkAddrOnAir(b[n:], r.Src)
	}
	if r.Secured {
		n += r.Security.emit(b[n:], version)
	}
	if control&ieee802154IEs != 0 {
		copy(b[n:], r.HeaderIEs)
	}
}

// String prints the header as "IEEE 802.15.4 Data, seq 77, pan 0x0023, 02:00:00:00:00:00:00:01 > 0xffff".
func (r *IEEE802154Repr) String() string { return string(r.append(nil)) }
