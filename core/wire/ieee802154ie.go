package wire

import "encoding/binary"

// IEEE802154HeaderIEs are the information elements in a header of IEEE 802.15.4 of 2015's edition, one after another. The last
// may be one that ends the list and says what comes behind it: IEEE802154HeaderEnd1 or IEEE802154HeaderEnd2.
type IEEE802154HeaderIEs []byte

// IEEE802154PayloadIEs are the information elements at the front of what a frame of 2015's edition carries.
type IEEE802154PayloadIEs []byte

// Elements that end lists of them. They have no content.
const (
	IEEE802154HeaderEnd1 = 0x7e // element: payload information elements follow
	IEEE802154HeaderEnd2 = 0x7f // element: what follows is what the frame carries
	IEEE802154PayloadEnd = 0xf  // group: likewise
)

// The descriptor, of two octets, that each element begins with: in the header a length of 7 bits, an element identifier of 8 and
// a bit that is clear; in the payload a length of 11 bits, a group identifier of 4, and a bit that is set.
const (
	ieee802154IEDescriptorLen = 2
	ieee802154IEPayloadBit    = 1 << 15
	ieee802154HeaderIELenMask = 1<<7 - 1
	ieee802154HeaderIEShift   = 7
	ieee802154HeaderIEMask    = 1<<8 - 1
	ieee802154PayloadIELen    = 1<<11 - 1
	ieee802154PayloadIEShift  = 11
	ieee802154PayloadIEMask   = 1<<4 - 1
)

// Next takes the first element off the front, and returns its identifier and content, which shares the list's octets. ok is
// false if there is none left, or none that is whole.
func (l *IEEE802154HeaderIEs) Next() (id uint8, content []byte, ok bool) {
	id, content, err := nextHeaderIE(*l)
	if err != nil {
		return 0, nil, false
	}
	*l = (*l)[ieee802154IEDescriptorLen+len(content):]
	return id, content, true
}

// PayloadIEsFollow reports whether the list ends with IEEE802154HeaderEnd1.
func (l IEEE802154HeaderIEs) PayloadIEsFollow() bool {
	for id, _, ok := l.Next(); ok; id, _, ok = l.Next() {
		if id == IEEE802154HeaderEnd1 {
			return true
		}
	}
	return false
}

// nextHeaderIE reads the element at the front of b.
func nextHeaderIE(b []byte) (id uint8, content []byte, err error) {
	if len(b) < ieee802154IEDescriptorLen {
		return 0, nil, ErrTruncated
	}
	descriptor := binary.LittleEndian.Uint16(b)
	if descriptor&ieee802154IEPayloadBit != 0 {
		return 0, nil, ErrMalformed
	}
	end := ieee802154IEDescriptorLen + int(descriptor&ieee802154HeaderIELenMask)
	if len(b) < end {
		return 0, nil, ErrTruncated
	}
	id = uint8(descriptor >> ieee802154HeaderIEShift & ieee802154HeaderIEMask)
	return id, b[ieee802154IEDescriptorLen:end:end], nil
}

// ieee802154HeaderIEsLen is the number of octets of the elements that b, which goes to the end of what the frame carries, begins
// with: up to that which ends the list, or all of b if nothing is carried.
func ieee802154HeaderIEsLen(b []byte) (int, error) {
	for n := 0; ; {
		id, content, err := nextHeaderIE(b[n:])
		if err != nil {
			return 0, err
		}
		n += ieee802154IEDescriptorLen + len(content)
		if id == IEEE802154HeaderEnd1 || id == IEEE802154HeaderEnd2 || n == len(b) {
			return n, nil
		}
	}
}

// Next takes the first element off the front, and returns its group and content, which shares the list's octets. ok is false if
// there is none left, or none that is whole.
func (l *IEEE802154PayloadIEs) Next() (group uint8, content []byte, ok bool) {
	group, content, err := nextPayloadIE(*l)
	if err != nil {
		return 0, nil, false
	}
	*l = (*l)[ieee802154IEDescriptorLen+len(content):]
	return group, content, true
}

// nextPayloadIE reads the element at the front of b.
func nextPayloadIE(b []byte) (group uint8, content []byte, err error) {
	if len(b) < ieee802154IEDescriptorLen {
		return 0, nil, ErrTruncated
	}
	descriptor := binary.LittleEndian.Uint16(b)
	if descriptor&ieee802154IEPayloadBit == 0 {
		return 0, nil, ErrMalformed
	}
	end := ieee802154IEDescriptorLen + int(descriptor&ieee802154PayloadIELen)
	if len(b) < end {
		return 0, nil, ErrTruncated
	}
	group = uint8(descriptor >> ieee802154PayloadIEShift & ieee802154PayloadIEMask)
	return group, b[ieee802154IEDescriptorLen:end:end], nil
}

// SplitIEEE802154PayloadIEs splits what a frame whose header ends with IEEE802154HeaderEnd1 carries, decrypted, into the elements
// that it begins with, that which ends them included, and what follows. The errors are ErrTruncated if an element runs past b,
// and ErrMalformed if one is of the header's.
func SplitIEEE802154PayloadIEs(b []byte) (ies IEEE802154PayloadIEs, rest []byte, err error) {
	n := 0
	for n < len(b) {
		group, content, err := nextPayloadIE(b[n:])
		if err != nil {
			return nil, nil, err
		}
		n += ieee802154IEDescriptorLen + len(content)
		if group == IEEE802154PayloadEnd {
			break
		}
	}
	return IEEE802154PayloadIEs(b[:n:n]), b[n:], nil
}
