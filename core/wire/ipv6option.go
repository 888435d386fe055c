package wire

import "fmt"

// IPv6OptionsPacket is a hop-by-hop options or a destination options header; the two are alike (RFC 8200, sections
// 4.2, 4.3 and 4.6).
type IPv6OptionsPacket []byte

// ParseIPv6Options takes b for a header of options. The options are looked at only when walked. The error is
// ErrTruncated if b is shorter than any header, and ErrLength if the header's length is more than b has.
func ParseIPv6Options(b []byte) (IPv6OptionsPacket, error) { return parseIPv6Extension(b) }

// NextHeader is the protocol number of what follows the header.
func (p IPv6OptionsPacket) NextHeader() uint8 { return p[0] }

// Options walks the options.
func (p IPv6OptionsPacket) Options() IPv6OptionIter { return IPv6OptionIter{octets: p, offset: 2} }

// String prints the header's options.
func (p IPv6OptionsPacket) String() string {
	if len(p) < ipv6ExtensionUnit {
		return "[|opts]"
	}
	s := "opts ("
	walk := p.Options()
	for option, ok := walk.Next(); ok; option, ok = walk.Next() {
		var info RPLPacketInfoRepr
		if info.Parse(option) == nil {
			s += "(" + info.String() + ")"
			continue
		}
		s += fmt.Sprintf("(type 0x%02x: len=%d)", option.Type, len(option.Data))
	}
	if walk.Err() != nil {
		s += "[bad opt]"
	}
	return s + ")"
}

// Types of options for hop-by-hop and destination options headers.
const (
	IPv6OptionPad1        = 0x00 // RFC 8200, section 4.2
	IPv6OptionPadN        = 0x01 // RFC 8200, section 4.2
	IPv6OptionRouterAlert = 0x05 // RFC 2711
)

// IPv6Option is one option.
type IPv6Option struct {
	Type   uint8
	Data   []byte
	Offset int // where the type is, in octets from the options header's first
}

// IPv6OptionAction says what a node does with a packet that has an option it does not know.
type IPv6OptionAction uint8

const (
	// IPv6OptionSkip goes on as if the option were not there.
	IPv6OptionSkip IPv6OptionAction = iota
	// IPv6OptionDiscard drops the packet.
	IPv6OptionDiscard
	// IPv6OptionDiscardSend drops the packet and sends an ICMPv6 parameter problem, even for multicast.
	IPv6OptionDiscardSend
	// IPv6OptionDiscardSendUnlessMulticast drops the packet and sends one, unless the destination was multicast.
	IPv6OptionDiscardSendUnlessMulticast
)

// Action is what a node does that does not know the option.
//
// "The Option Type identifiers are internally encoded such that their highest-order 2 bits specify the action that
// must be taken if the processing IPv6 node does not recognize the Option Type"
// https://www.rfc-editor.org/rfc/rfc8200.html#section-4.2
func (o IPv6Option) Action() IPv6OptionAction { return IPv6OptionAction(o.Type >> 6) }

// IPv6OptionIter walks the options of a header, padding left out.
type IPv6OptionIter struct {
	octets []byte
	offset int
	err    error
}

// Next returns the next option that is not padding, or false when there is none, because they have all been walked
// or because of an error; see Err.
func (w *IPv6OptionIter) Next() (IPv6Option, bool) {
	for w.offset < len(w.octets) {
		start, rest := w.offset, w.octets[w.offset:]
		if rest[0] == IPv6OptionPad1 {
			w.offset++
			continue
		}
		if len(rest) < 2 || 2+int(rest[1]) > len(rest) {
			w.err = ErrOption
			w.offset = len(w.octets)
			break
		}
		n := 2 + int(rest[1])
		w.offset += n
		if rest[0] != IPv6OptionPadN {
			return IPv6Option{Type: rest[0], Data: rest[2:n:n], Offset: start}, true
		}
	}
	return IPv6Option{}, false
}

// Err is ErrOption if an option did not end within the header, else nil.
func (w *IPv6OptionIter) Err() error { return w.err }

// AppendIPv6Option appends an option, for an IPv6OptionsRepr. data has at most 255 octets.
func AppendIPv6Option(options []byte, kind uint8, data []byte) []byte {
	return append(append(options, kind, uint8(len(data))), data...)
}

// IPv6OptionsRepr is a hop-by-hop options or a destination options header.
type IPv6OptionsRepr struct {
	NextHeader uint8 // protocol number of what follows
	// Options are the octets of the options, as AppendIPv6Option makes them, without padding at the end; at most
	// 2,046.
	Options []byte
}

// Parse sets r to what p says; Options shares p's octets. The error is ErrOption if an option does not end within
// p.
func (r *IPv6OptionsRepr) Parse(p IPv6OptionsPacket) error {
	end := 2
	walk := p.Options()
	for option, ok := walk.Next(); ok; option, ok = walk.Next() {
		end = option.Offset + 2 + len(option.Data)
	}
	*r = IPv6OptionsRepr{NextHeader: p.NextHeader(), Options: p[2:end:end]}
	return walk.Err()
}

// Len is the number of octets that Emit writes: a multiple of 8.
func (r *IPv6OptionsRepr) Len() int { return roundUp8(2 + len(r.Options)) }

// Emit writes the header to the front of b, padding at the end. It panics if b is shorter than Len.
func (r *IPv6OptionsRepr) Emit(b []byte) {
	b = b[:r.Len()]
	padding := b[2+copy(b[2:], r.Options):]
	b[0], b[1] = r.NextHeader, uint8(len(b)/ipv6ExtensionUnit-1)
	clear(padding) // one octet of it is Pad1
	if n := len(padding); n > 1 {
		padding[0], padding[1] = IPv6OptionPadN, uint8(n-2)
	}
}

// String prints the header's options.
func (r *IPv6OptionsRepr) String() string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return IPv6OptionsPacket(b).String()
}
