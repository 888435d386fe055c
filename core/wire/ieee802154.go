package wire

import "encoding/binary"

// IEEE802154Frame is a MAC frame of IEEE 802.15.4 without its preamble and frame check sequence: the header, of the editions of
// 2003, 2006 or 2015, what the frame carries and, if it is secured, the message integrity code. Made by ParseIEEE802154, none
// of its methods panics.
//
// Where a field lies depends on those before it, so that each accessor walks from the front, those of the frame control field
// aside. Who needs several of them reads an IEEE802154Repr once.
type IEEE802154Frame []byte

// Bits of the frame control field, which has the same layout in all editions. The last two flags are of 2015's.
const (
	ieee802154TypeMask       = 0x0007
	ieee802154Secured        = 0x0008
	ieee802154Pending        = 0x0010
	ieee802154AckRequest     = 0x0020
	ieee802154PANCompression = 0x0040
	ieee802154SeqSuppressed  = 0x0100
	ieee802154IEs            = 0x0200
	ieee802154DstModeShift   = 10
	ieee802154VersionShift   = 12
	ieee802154SrcModeShift   = 14
	ieee802154TwoBits        = 0b11

	ieee802154ControlLen = 2 // octets of the frame control field
	ieee802154PANLen     = 2 // octets of a PAN identifier
)

// Frame versions: which edition of the standard a frame's header follows.
const (
	IEEE802154Version2003 = 0
	IEEE802154Version2006 = 1 // 2011's too
	IEEE802154Version2015 = 2 // 2020's too
)

// BroadcastPAN is the PAN identifier that stands for all of them.
const BroadcastPAN = 0xffff

// IEEE802154MaxFrameLen is the length, in octets, of the longest frame without its frame check sequence: "aMaxPHYPacketSize [...] 127"
// less two, IEEE Std 802.15.4-2020, table 11-1.
const IEEE802154MaxFrameLen = 127 - IEEE802154FCSLen

// ParseIEEE802154 takes b for a frame. The errors are ErrTruncated if b ends before its header or its message integrity code
// does; ErrVersion for a frame version, or for a type of frame, whose header is not one of those known here; ErrMalformed for
// an addressing mode that is reserved, behind which nothing can be found, and for information elements that are none of the
// header's.
func ParseIEEE802154(b []byte) (IEEE802154Frame, error) {
	var r IEEE802154Repr
	if _, err := r.read(b); err != nil {
		return nil, err
	}
	return IEEE802154Frame(b), nil
}

// control is the frame control field; 0 of a frame that ends before it does.
func (f IEEE802154Frame) control() uint16 {
	if len(f) < ieee802154ControlLen {
		return 0
	}
	return binary.LittleEndian.Uint16(f)
}

// header is what the header says, whether or not it is as it should be, and where it ends.
func (f IEEE802154Frame) header() (r IEEE802154Repr, length int) {
	length, _ = r.read(f)
	return r, length
}

// Type is what kind of frame it is.
func (f IEEE802154Frame) Type() IEEE802154Type {
	return IEEE802154Type(f.control() & ieee802154TypeMask)
}

// Version is the frame version, such as IEEE802154Version2006.
func (f IEEE802154Frame) Version() uint8 {
	return uint8(f.control() >> ieee802154VersionShift & ieee802154TwoBits)
}

// Secured reports whether the security enabled flag is set.
func (f IEEE802154Frame) Secured() bool { return f.control()&ieee802154Secured != 0 }

// FramePending reports whether the sender has more for the receiver.
func (f IEEE802154Frame) FramePending() bool { return f.control()&ieee802154Pending != 0 }

// AckRequest reports whether the sender wants an acknowledgment.
func (f IEEE802154Frame) AckRequest() bool { return f.control()&ieee802154AckRequest != 0 }

// PANCompression reports whether the PAN ID compression flag is set.
func (f IEEE802154Frame) PANCompression() bool { return f.control()&ieee802154PANCompression != 0 }

// Seq is the sequence number; ok is false if the frame has none.
func (f IEEE802154Frame) Seq() (seq uint8, ok bool) {
	r, _ := f.header()
	return r.Seq, !r.SeqSuppressed
}

// DstPAN is the PAN identifier of the destination; ok is false if the frame has none.
func (f IEEE802154Frame) DstPAN() (pan uint16, ok bool) {
	r, _ := f.header()
	return r.DstPAN, r.HasDstPAN()
}

// SrcPAN is the PAN identifier of the source; ok is false if the frame has none, perhaps because it is the destination's.
func (f IEEE802154Frame) SrcPAN() (pan uint16, ok bool) {
	r, _ := f.header()
	return r.SrcPAN, r.HasSrcPAN()
}

// Dst is whom the frame is for; zero if it does not say.
func (f IEEE802154Frame) Dst() LinkAddr {
	r, _ := f.header()
	return r.Dst
}

// Src is who sent the frame; zero if it does not say.
func (f IEEE802154Frame) Src() LinkAddr {
	r, _ := f.header()
	return r.Src
}

// Security is the auxiliary security header; ok is false if the frame has none. A secured frame of 2003's edition has none.
func (f IEEE802154Frame) Security() (s IEEE802154Security, ok bool) {
	r, _ := f.header()
	return r.Security, r.Secured && r.Version != IEEE802154Version2003
}

// HeaderIEs are the header's information elements, those that end them included. They share f's octets.
func (f IEEE802154Frame) HeaderIEs() IEEE802154HeaderIEs {
	r, _ := f.header()
	return r.HeaderIEs
}

// HeaderLen is where the payload begins.
func (f IEEE802154Frame) HeaderLen() int {
	_, n := f.header()
	return n
}

// Payload is what lies between the header and the message integrity code, payload information elements included, encrypted if
// the frame is. It shares f's octets.
func (f IEEE802154Frame) Payload() []byte {
	r, n := f.header()
	end := max(n, len(f)-r.MICLen())
	return f[n:end:end]
}

// MIC is the message integrity code, of 0, 4, 8 or 16 octets. It shares f's octets.
func (f IEEE802154Frame) MIC() []byte {
	r, _ := f.header()
	return f[max(0, len(f)-r.MICLen()):]
}

// Command says what a frame of type IEEE802154Command is about; ok is false if it is of another type, has no payload, or says so
// where it is encrypted.
func (f IEEE802154Frame) Command() (id IEEE802154CommandID, ok bool) {
	r, _ := f.header()
	if r.Type != IEEE802154Command {
		return 0, false
	}
	payload := f.Payload()
	if r.Version == IEEE802154Version2015 {
		// Since 2015 payload information elements come first, and what comes behind the header is private.
		if r.Encrypted() {
			return 0, false
		}
		if r.HeaderIEs.PayloadIEsFollow() {
			var err error
			if _, payload, err = SplitIEEE802154PayloadIEs(payload); err != nil {
				return 0, false
			}
		}
	}
	if len(payload) == 0 {
		return 0, false
	}
	return IEEE802154CommandID(payload[0]), true
}

// String prints the frame with what it carries.
func (f IEEE802154Frame) String() string { return formatIEEE802154(f) }
