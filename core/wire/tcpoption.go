package wire

import (
	"encoding/binary"
	"fmt"
)

// TCPMaxOptionsLen is the most that a TCP header can hold of options, in octets.
const TCPMaxOptionsLen = 40

// Kinds of TCP options.
const (
	TCPOptionEnd           = 0  // RFC 9293, section 3.2
	TCPOptionNOP           = 1  // RFC 9293, section 3.2
	TCPOptionMSS           = 2  // RFC 9293, section 3.2
	TCPOptionWindowScale   = 3  // RFC 7323, section 2.2
	TCPOptionSACKPermitted = 4  // RFC 2018, section 2
	TCPOptionSACK          = 5  // RFC 2018, section 3
	TCPOptionTimestamps    = 8  // RFC 7323, section 3.2
	TCPOptionFastOpen      = 34 // RFC 7413, section 4.1.1
)

// Lengths of options in octets, kind and length included.
const (
	tcpMSSLen           = 4
	tcpWindowScaleLen   = 3
	tcpSACKPermittedLen = 2
	tcpTimestampsLen    = 10
	tcpSACKHeaderLen    = 2
	tcpSACKBlockLen     = 8
	tcpFastOpenLen      = 2 // of a request; the cookie's octets add to it
)

// The bounds of a Fast Open cookie's length, which is even.
const (
	tcpFastOpenMinCookie = 4
	tcpFastOpenMaxCookie = 16
)

// TCPOptions are the options that this package knows. The zero value has none.
type TCPOptions struct {
	MSS            uint16 // largest segment, octets of data, that the sender of the option takes
	HasMSS         bool
	WindowScale    uint8 // shift count as it was received, which may exceed the 14 that RFC 7323 allows
	HasWindowScale bool
	SACKPermitted  bool
	HasTimestamps  bool
	TSVal, TSEcr   uint32
	SACK           [4]SACKBlock // the first NumSACK are there
	NumSACK        int
	FastOpen       FastOpenCookie
	HasFastOpen    bool // without a cookie in FastOpen it asks for one
}

// FastOpenCookie is what a server that knows TCP Fast Open grants a client: an even number of octets from 4 to 16, or none. The zero
// value is none.
type FastOpenCookie struct {
	octets [tcpFastOpenMaxCookie]byte
	length uint8
}

// NewFastOpenCookie returns the cookie that consists of b. It reports false if b has a length that no cookie has.
func NewFastOpenCookie(b []byte) (c FastOpenCookie, ok bool) {
	if len(b) < tcpFastOpenMinCookie || len(b) > tcpFastOpenMaxCookie || len(b)%2 != 0 {
		return c, false
	}
	c.length = uint8(copy(c.octets[:], b))
	return c, true
}

// Len is how many octets the cookie has; 0: it is none.
func (c *FastOpenCookie) Len() int { return int(c.length) }

// Bytes are the cookie's octets. They share c's.
func (c *FastOpenCookie) Bytes() []byte { return c.octets[:c.length] }

// SACKBlock is a range of octets that have arrived out of order: from sequence number Left on, up to but not
// including Right.
type SACKBlock struct{ Left, Right uint32 }

// The layout in which Emit puts timestamps, and in which nearly every segment with options carries them, as
// appendix A of RFC 7323 recommends: two NOPs, then the option, so that its values are aligned.
const tcpTimestampsLayout = TCPOptionNOP<<24 | TCPOptionNOP<<16 | TCPOptionTimestamps<<8 | tcpTimestampsLen

// Parse sets o to the options in b. Options of other kinds are skipped. If an option's length is not what its kind
// has, or runs past b, parsing ends with ErrOption, and o holds what came before.
func (o *TCPOptions) Parse(b []byte) error {
	*o = TCPOptions{}
	if len(b) == 12 && binary.BigEndian.Uint32(b) == tcpTimestampsLayout {
		o.setTimestamps(b[2:])
		return nil
	}
	for len(b) > 0 {
		option, rest, err := nextTCPOption(b)
		if err != nil {
			return err
		}
		switch option[0] {
		case TCPOptionEnd:
			return nil
		case TCPOptionMSS:
			o.MSS, o.HasMSS = binary.BigEndian.Uint16(option[2:]), true
		case TCPOptionWindowScale:
			o.WindowScale, o.HasWindowScale = option[2], true
		case TCPOptionSACKPermitted:
			o.SACKPermitted = true
		case TCPOptionTimestamps:
			o.setTimestamps(option)
		case TCPOptionSACK:
			o.setSACK(option[tcpSACKHeaderLen:])
		case TCPOptionFastOpen:
			o.setFastOpen(option[tcpFastOpenLen:])
		}
		b = rest
	}
	return nil
}

func (o *TCPOptions) setTimestamps(option []byte) {
	o.HasTimestamps = true
	o.TSVal = binary.BigEndian.Uint32(option[2:])
	o.TSEcr = binary.BigEndian.Uint32(option[6:])
}

func (o *TCPOptions) setSACK(blocks []byte) {
	o.NumSACK = 0
	for len(blocks) >= tcpSACKBlockLen && o.NumSACK < len(o.SACK) {
		o.SACK[o.NumSACK] = SACKBlock{binary.BigEndian.Uint32(blocks), binary.BigEndian.Uint32(blocks[4:])}
		o.NumSACK++
		blocks = blocks[tcpSACKBlockLen:]
	}
}

// setFastOpen takes a cookie, or the request for one. RFC 7413 section 4.1.1 has the option ignored if it has another length, rather than
// what follows it.
func (o *TCPOptions) setFastOpen(cookie []byte) {
	c, ok := NewFastOpenCookie(cookie)
	if ok || len(cookie) == 0 {
		o.FastOpen, o.HasFastOpen = c, true
	}
}

// nextTCPOption splits b, which is not empty, after its first option, whose length is right for its kind.
func nextTCPOption(b []byte) (option, rest []byte, err error) {
	if b[0] == TCPOptionEnd || b[0] == TCPOptionNOP {
		return b[:1], b[1:], nil
	}
	if len(b) < 2 {
		return nil, nil, ErrOption
	}
	n := int(b[1])
	// "TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)"
	// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.1
	if n < 2 || n > len(b) {
		return nil, nil, ErrOption
	}
	bad := false
	switch b[0] {
	case TCPOptionMSS:
		bad = n != tcpMSSLen
	case TCPOptionWindowScale:
		bad = n != tcpWindowScaleLen
	case TCPOptionSACKPermitted:
		bad = n != tcpSACKPermittedLen
	case TCPOptionTimestamps:
		bad = n != tcpTimestampsLen
	case TCPOptionSACK:
		bad = n < tcpSACKHeaderLen+tcpSACKBlockLen || (n-tcpSACKHeaderLen)%tcpSACKBlockLen != 0
	}
	if bad {
		return nil, nil, ErrOption
	}
	return b[:n], b[n:], nil
}

// Len is the number of octets that Emit writes: a multiple of 4, at most TCPMaxOptionsLen.
func (o *TCPOptions) Len() int {
	n := o.lenWithoutSACK()
	if blocks := o.fittingSACK(n); blocks > 0 {
		n += 2 + tcpSACKHeaderLen + blocks*tcpSACKBlockLen
	}
	return n
}

func (o *TCPOptions) lenWithoutSACK() int {
	n := 0
	if o.HasMSS {
		n += tcpMSSLen
	}
	switch {
	case o.HasTimestamps:
		n += 2 + tcpTimestampsLen // SACK-permitted takes the place of the NOPs
	case o.SACKPermitted:
		n += 2 + tcpSACKPermittedLen
	}
	if o.HasWindowScale {
		n += 1 + tcpWindowScaleLen
	}
	if o.HasFastOpen {
		n += o.fastOpenPadding() + tcpFastOpenLen + o.FastOpen.Len()
	}
	return n
}

// fastOpenPadding is how many NOPs go before the Fast Open option.
func (o *TCPOptions) fastOpenPadding() int { return (tcpFastOpenLen + o.FastOpen.Len()) % 4 }

// fittingSACK is how many SACK blocks there is room for behind other octets of options.
func (o *TCPOptions) fittingSACK(other int) int {
	room := (TCPMaxOptionsLen - other - 2 - tcpSACKHeaderLen) / tcpSACKBlockLen
	return max(min(o.NumSACK, len(o.SACK), room), 0)
}

// Emit writes the options to the front of b, each padded with NOPs before it so that values are aligned. Where not
// all SACK blocks fit, as with four of them and timestamps, the last ones are left out. It panics if b is shorter
// than Len.
func (o *TCPOptions) Emit(b []byte) {
	if o.HasMSS {
		binary.BigEndian.PutUint32(b, TCPOptionMSS<<24|tcpMSSLen<<16|uint32(o.MSS))
		b = b[4:]
	}
	const sackPermitted = TCPOptionSACKPermitted<<8 | tcpSACKPermittedLen
	switch {
	case o.HasTimestamps && o.SACKPermitted:
		binary.BigEndian.PutUint32(b, sackPermitted<<16|TCPOptionTimestamps<<8|tcpTimestampsLen)
	case o.HasTimestamps:
		binary.BigEndian.PutUint32(b, tcpTimestampsLayout)
	case o.SACKPermitted:
		binary.BigEndian.PutUint32(b, TCPOptionNOP<<24|TCPOptionNOP<<16|sackPermitted)
		b = b[4:]
	}
	if o.HasTimestamps {
		binary.BigEndian.PutUint32(b[4:], o.TSVal)
		binary.BigEndian.PutUint32(b[8:], o.TSEcr)
		b = b[12:]
	}
	if o.HasWindowScale {
		binary.BigEndian.PutUint32(b, TCPOptionNOP<<24|TCPOptionWindowScale<<16|tcpWindowScaleLen<<8|uint32(o.WindowScale))
		b = b[4:]
	}
	if o.HasFastOpen {
		for range o.fastOpenPadding() {
			b[0] = TCPOptionNOP
			b = b[1:]
		}
		option := b[:tcpFastOpenLen+o.FastOpen.Len()]
		option[0], option[1] = TCPOptionFastOpen, uint8(len(option))
		copy(option[tcpFastOpenLen:], o.FastOpen.Bytes())
		b = b[len(option):]
	}
	if o.NumSACK == 0 {
		return
	}
	if n := o.fittingSACK(o.lenWithoutSACK()); n > 0 {
		length := uint32(tcpSACKHeaderLen + n*tcpSACKBlockLen)
		binary.BigEndian.PutUint32(b, TCPOptionNOP<<24|TCPOptionNOP<<16|TCPOptionSACK<<8|length)
		for i, block := range o.SACK[:n] {
			binary.BigEndian.PutUint32(b[4+8*i:], block.Left)
			binary.BigEndian.PutUint32(b[8+8*i:], block.Right)
		}
	}
}

// String prints the options, as Emit would write them, in tcpdump's way.
func (o *TCPOptions) String() string {
	var b [TCPMaxOptionsLen]byte
	o.Emit(b[:])
	return string(appendTCPOptions(nil, b[:o.Len()]))
}

// appendTCPOptions prints the options in options, legal or not.
func appendTCPOptions(b, options []byte) []byte {
	for i := 0; len(options) > 0; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		option, rest, err := nextTCPOption(options)
		if err != nil {
			return fmt.Appendf(b, "bad opt %#x", options)
		}
		switch option[0] {
		case TCPOptionEnd:
			return append(b, "eol"...)
		case TCPOptionNOP:
			b = append(b, "nop"...)
		case TCPOptionMSS:
			b = fmt.Appendf(b, "mss %d", binary.BigEndian.Uint16(option[2:]))
		case TCPOptionWindowScale:
			b = fmt.Appendf(b, "wscale %d", option[2])
		case TCPOptionSACKPermitted:
			b = append(b, "sackOK"...)
		case TCPOptionTimestamps:
			b = fmt.Appendf(b, "TS val %d ecr %d", binary.BigEndian.Uint32(option[2:]), binary.BigEndian.Uint32(option[6:]))
		case TCPOptionSACK:
			blocks := option[tcpSACKHeaderLen:]
			b = fmt.Appendf(b, "sack %d ", len(blocks)/tcpSACKBlockLen)
			for ; len(blocks) > 0; blocks = blocks[tcpSACKBlockLen:] {
				b = fmt.Appendf(b, "{%d:%d}", binary.BigEndian.Uint32(blocks), binary.BigEndian.Uint32(blocks[4:]))
			}
		case TCPOptionFastOpen:
			switch cookie, ok := NewFastOpenCookie(option[tcpFastOpenLen:]); {
			case ok:
				b = fmt.Appendf(b, "tfo  cookie %x", cookie.Bytes())
			case len(option) == tcpFastOpenLen:
				b = append(b, "tfo  cookiereq"...)
			default:
				b = fmt.Appendf(b, "tfo  bad cookie %#x", option[tcpFastOpenLen:])
			}
		default:
			b = fmt.Appendf(b, "unknown-%d", option[0])
			if len(option) > 2 {
				b = fmt.Appendf(b, " %#x", option[2:])
			}
		}
		options = rest
	}
	return b
}
