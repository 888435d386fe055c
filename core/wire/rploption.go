package wire

import "fmt"

// Types of options of RPL messages.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6.7
const (
	RPLOptionPad1                 = 0
	RPLOptionPadN                 = 1
	RPLOptionMetricContainer      = 2
	RPLOptionRouteInformation     = 3
	RPLOptionDODAGConfiguration   = 4
	RPLOptionTarget               = 5
	RPLOptionTransitInformation   = 6
	RPLOptionSolicitedInformation = 7
	RPLOptionPrefixInformation    = 8
	RPLOptionTargetDescriptor     = 9
)

const (
	rplOptionHeaderLen = 2
	rplMaxOptionLen    = rplOptionHeaderLen + 255
)

// RPLOptions are the octets of a RPL message's options, one after another, padding and those of types that this package does
// not know included. Made by ParseRPLOptions, none of its methods panics.
type RPLOptions []byte

// ParseRPLOptions takes all of b for options. The error is ErrTruncated if one runs past b; then nothing of the message is to be
// used.
func ParseRPLOptions(b []byte) (RPLOptions, error) {
	options := RPLOptions(b)
	for _, ok := options.Next(); ok; _, ok = options.Next() {
	}
	if len(options) > 0 {
		return nil, ErrTruncated
	}
	return b, nil
}

// Next takes the first option off the front and returns it, or false if none is left:
//
//	for option, ok := options.Next(); ok; option, ok = options.Next() {
//		…
//	}
func (o *RPLOptions) Next() (RPLOption, bool) {
	b := *o
	if len(b) == 0 {
		return nil, false
	}
	n := 1 // Pad1 is nothing but its type
	if b[0] != RPLOptionPad1 {
		if len(b) < rplOptionHeaderLen {
			return nil, false
		}
		n = rplOptionHeaderLen + int(b[1])
	}
	if n > len(b) {
		return nil, false
	}
	*o = b[n:]
	return RPLOption(b[:n:n]), true
}

// Find returns the first option of the given type.
func (o RPLOptions) Find(kind uint8) (RPLOption, bool) {
	for option, ok := o.Next(); ok; option, ok = o.Next() {
		if option.Type() == kind {
			return option, true
		}
	}
	return nil, false
}

// Append adds an option behind the others.
func (o RPLOptions) Append(option RPLOptionRepr) RPLOptions {
	n := len(o)
	o = append(o, make([]byte, option.Len())...)
	option.Emit(o[n:])
	return o
}

// String prints the options on one line.
func (o RPLOptions) String() string { return string(appendRPLOptions(nil, o)) }

// RPLOption is one option: type, length in octets, and what the type has; of Pad1 the type alone.
type RPLOption []byte

// Type is what the option is, such as RPLOptionTarget.
func (o RPLOption) Type() uint8 { return o[0] }

// Data is what follows type and length. It shares o's octets.
func (o RPLOption) Data() []byte {
	if len(o) < rplOptionHeaderLen {
		return nil
	}
	return o[rplOptionHeaderLen:]
}

// data returns the option's data if it is of the type and has at least n octets, else nil.
func (o RPLOption) data(kind uint8, n int) []byte {
	if len(o) < rplOptionHeaderLen+n || o.Type() != kind {
		return nil
	}
	return o.Data()
}

// RPLOptionRepr is an option of one of the types known here. Parse's error is always ErrOption: the option is of another type, or
// not as its type should be.
type RPLOptionRepr interface {
	Parse(o RPLOption) error
	Len() int
	Emit(b []byte)
	String() string
}

// newRPLOptionRepr returns an empty representation for options of the type, nil for a type that is not known.
func newRPLOptionRepr(kind uint8) RPLOptionRepr {
	switch kind {
	case RPLOptionPad1, RPLOptionPadN:
		return new(RPLPaddingRepr)
	case RPLOptionMetricContainer:
		return new(RPLMetricContainerRepr)
	case RPLOptionRouteInformation:
		return new(RPLRouteInformationRepr)
	case RPLOptionDODAGConfiguration:
		return new(RPLDODAGConfigurationRepr)
	case RPLOptionTarget:
		return new(RPLTargetRepr)
	case RPLOptionTransitInformation:
		return new(RPLTransitInformationRepr)
	case RPLOptionSolicitedInformation:
		return new(RPLSolicitedInformationRepr)
	case RPLOptionPrefixInformation:
		return new(RPLPrefixInformationRepr)
	case RPLOptionTargetDescriptor:
		return new(RPLTargetDescriptorRepr)
	}
	return nil
}

// putRPLOptionHeader writes type and length of an option that takes all of b.
func putRPLOptionHeader(b []byte, kind uint8) { b[0], b[1] = kind, uint8(len(b)-rplOptionHeaderLen) }

// appendRPLOptions prints options, legal or not, without padding.
func appendRPLOptions(b []byte, options RPLOptions) []byte {
	for first := true; len(options) > 0; {
		option, ok := options.Next()
		if ok && option.Type() <= RPLOptionPadN {
			continue
		}
		if !first {
			b = append(b, "; "...)
		}
		first = false
		if !ok {
			return append(b, "[|rpl opt]"...)
		}
		b = append(b, option.String()...)
	}
	return b
}

// String prints the option.
func (o RPLOption) String() string {
	if len(o) == 0 {
		return "[|rpl opt]"
	}
	switch r := newRPLOptionRepr(o.Type()); {
	case r == nil:
		return fmt.Sprintf("unknown option (%d), length %d", o.Type(), len(o.Data()))
	case r.Parse(o) != nil:
		return fmt.Sprintf("bad option (%d), length %d: %x", o.Type(), len(o.Data()), o.Data())
	default:
		return r.String()
	}
}

// RPLPaddingRepr is octets that mean nothing: Pad1 or PadN.
type RPLPaddingRepr struct {
	Octets int // in all, type and length included: 1 to 257
}

// Parse sets r to what o says. What the octets are is not looked at.
func (r *RPLPaddingRepr) Parse(o RPLOption) error {
	if len(o) == 0 || o.Type() > RPLOptionPadN || o.Type() == RPLOptionPadN && len(o) < rplOptionHeaderLen {
		return ErrOption
	}
	*r = RPLPaddingRepr{Octets: len(o)}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLPaddingRepr) Len() int { return min(max(r.Octets, 1), rplMaxOptionLen) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLPaddingRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b)
	if len(b) > 1 {
		putRPLOptionHeader(b, RPLOptionPadN)
	}
}

// String prints the option.
func (r *RPLPaddingRepr) String() string { return fmt.Sprintf("padding %d", r.Len()) }
