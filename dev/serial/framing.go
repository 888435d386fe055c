package serial

import "github.com/smolnet/smolnet/core/wire"

// The octets with a meaning of their own.
//
// https://www.rfc-editor.org/rfc/rfc1662.html#section-4.2
const (
	flag     = 0x7e
	escape   = 0x7d
	xon      = 0x11
	xoff     = 0x13
	inverted = 0x20 // the bit of an escaped octet
)

// Lengths of a MAC frame in octets, without a check sequence. The shortest is a frame control alone.
const (
	minFrame = 2
	maxFrame = wire.IEEE802154MaxFrameLen
)

// maxFramed is the longest frame on the line, in octets: all of it escaped, between flags.
const maxFramed = 2*(maxFrame+fcsLen) + 2

// appendFrame appends the frame whose octets are in the pieces as it is on the line.
func appendFrame(b []byte, pieces ...[]byte) []byte {
	b = append(b, flag)
	fcs := uint16(fcsBegin)
	for _, piece := range pieces {
		for _, octet := range piece {
			fcs = fcsNext(fcs, octet)
			b = appendEscaped(b, octet)
		}
	}
	fcs = ^fcs
	b = appendEscaped(b, byte(fcs))
	b = appendEscaped(b, byte(fcs>>8))
	return append(b, flag)
}

func appendEscaped(b []byte, octet byte) []byte {
	switch octet {
	case flag, escape, xon, xoff:
		return append(b, escape, octet^inverted)
	}
	return append(b, octet)
}

// deframer finds frames among the octets of a line. The zero value is at the beginning of a frame.
type deframer struct {
	octets  [maxFrame + fcsLen]byte // of the frame that is being received, and its FCS
	len     int
	tooLong bool // there was more
	escaped bool // the last octet was an escape
}

// verdict is what an octet has made of the frame that it belongs to.
type verdict uint8

const (
	unfinished verdict = iota
	whole
	badFCS
	tooLong
	tooShort
	aborted
)

// push takes the next octet. At the end of a whole frame it returns its octets, which are good until the next push.
func (d *deframer) push(octet byte) ([]byte, verdict) {
	switch {
	case octet == flag:
		return d.finish()
	case octet == xon, octet == xoff:
	case octet == escape && !d.escaped:
		d.escaped = true
	case d.len == len(d.octets):
		d.tooLong, d.escaped = true, false
	default:
		if d.escaped {
			octet ^= inverted
			d.escaped = false
		}
		d.octets[d.len] = octet
		d.len++
	}
	return nil, unfinished
}

// finish judges what came before a flag.
//
// "Frames which are too short (less than 4 octets when using the 16-bit FCS), or which end with a Control Escape octet
// followed immediately by a closing Flag Sequence, [...] are silently discarded, and not counted as a FCS error."
// Two flags with nothing between them are no frame at all.
// https://www.rfc-editor.org/rfc/rfc1662.html#section-4.3
func (d *deframer) finish() ([]byte, verdict) {
	octets := d.octets[:d.len]
	was := *d
	d.len, d.tooLong, d.escaped = 0, false, false
	switch {
	case was.escaped:
		return nil, aborted
	case was.tooLong:
		return nil, tooLong
	case len(octets) == 0:
		return nil, unfinished
	case len(octets) < minFrame+fcsLen:
		return nil, tooShort
	}
	fcs := uint16(fcsBegin)
	for _, octet := range octets {
		fcs = fcsNext(fcs, octet)
	}
	if fcs != fcsGood {
		return nil, badFCS
	}
	return octets[:len(octets)-fcsLen], whole
}

// The FCS-16, and its length in octets.
//
// https://www.rfc-editor.org/rfc/rfc1662.html#appendix-C.2
const (
	fcsLen        = 2
	fcsPolynomial = 0x8408
	fcsBegin      = 0xffff
	fcsGood       = 0xf0b8 // what a frame and its FCS come to
)

// fcsTable holds what each octet comes to.
var fcsTable = func() (table [256]uint16) {
	for i := range table {
		fcs := uint16(i)
		for range 8 {
			low := fcs & 1
			fcs >>= 1
			if low != 0 {
				fcs ^= fcsPolynomial
			}
		}
		table[i] = fcs
	}
	return table
}()

func fcsNext(fcs uint16, octet byte) uint16 { return fcs>>8 ^ fcsTable[byte(fcs)^octet] }
