package wire

import "encoding/binary"

// lowpanMode is how an address is compressed: of a destination M, DAC and the two bits of DAM, of a source SAC and SAM.
//
// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.1.1
type lowpanMode uint8

const (
	lowpanFull            lowpanMode = 0b0000
	lowpanUnspecified     lowpanMode = 0b0100 // of a source; of a destination reserved
	lowpanContextual      lowpanMode = 0b0100 // SAC or DAC: a context tells the prefix, else it is that of link-local addresses
	lowpanMulticast       lowpanMode = 0b1000 // M
	lowpanMulticast48     lowpanMode = 0b1001 // ffXX::00XX:XXXX:XXXX
	lowpanMulticast32     lowpanMode = 0b1010 // ffXX::00XX:XXXX
	lowpanMulticast8      lowpanMode = 0b1011 // ff02::00XX
	lowpanMulticastPrefix lowpanMode = 0b1100 // ffXX:XXLL:PPPP:PPPP:PPPP:PPPP:XXXX:XXXX
)

// lowpanInline says, for each mode, which octets of the address are sent: some from the second on, and the last ones.
var lowpanInline = [16]struct{ head, tail uint8 }{
	lowpanFull:                   {0, 16},
	0b0001:                       {0, 8},
	0b0010:                       {0, 2},
	0b0011:                       {0, 0},
	lowpanUnspecified:            {0, 0},
	lowpanContextual | 0b0001:    {0, 8},
	lowpanContextual | 0b0010:    {0, 2},
	lowpanContextual | 0b0011:    {0, 0},
	lowpanMulticast | lowpanFull: {0, 16},
	lowpanMulticast48:            {1, 5},
	lowpanMulticast32:            {1, 3},
	lowpanMulticast8:             {0, 1},
	lowpanMulticastPrefix:        {2, 4},
}

// size is the number of octets sent.
func (m lowpanMode) size() int { return int(lowpanInline[m].head + lowpanInline[m].tail) }

// emit writes the octets of addr that are sent to the front of b and returns the rest of b.
func (m lowpanMode) emit(b, addr []byte) []byte {
	inline := lowpanInline[m]
	n := copy(b, addr[1:1+inline.head])
	return b[n+copy(b[n:], addr[16-inline.tail:16]):]
}

// The short form of an interface identifier: 0000:00ff:fe00:XXXX.
const lowpanShortIID = 0x000000fffe000000

// lowpanPrefix is a prefix: an address whose bits beyond the prefix are zero, and which of its lower half belong to it.
type lowpanPrefix struct{ hi, lo, loMask uint64 }

// lowpanLinkLocal is fe80::/64.
var lowpanLinkLocal = lowpanPrefix{hi: 0xfe80 << 48}

// prefix is c as lowpanPrefix, and its length in bits; ok is false if c is not set.
func (c *LowpanContext) prefix() (p lowpanPrefix, bits int, ok bool) {
	addr := c.Prefix.Addr()
	if bits = c.Prefix.Bits(); bits < 0 || !addr.Is6() {
		return p, 0, false
	}
	octets := addr.As16()
	p.hi = binary.BigEndian.Uint64(octets[:])
	if bits <= 64 {
		p.hi &= ^(^uint64(0) >> bits)
	} else {
		p.loMask = ^(^uint64(0) >> (bits - 64))
	}
	p.lo = binary.BigEndian.Uint64(octets[8:]) & p.loMask
	return p, bits, true
}

// lowpanIID is an interface identifier that need not be sent, because it follows from the header around the compressed one: that
// of a frame, or of the IPv6 packet that carries another.
type lowpanIID struct {
	id uint64
	ok bool // there is one
}

func lowpanLinkIID(a LinkAddr) lowpanIID {
	id := a.InterfaceID()
	return lowpanIID{binary.BigEndian.Uint64(id[:]), !a.IsZero()}
}

// lowpanOuterIID is the interface identifier of an IPv6 header's address, for the header that it carries.
func lowpanOuterIID(addr []byte) lowpanIID { return lowpanIID{binary.BigEndian.Uint64(addr[8:]), true} }

// match says which mode's lower bits make the address hi, lo from the prefix, the fewest octets first; ok is false if the prefix
// does not cover it.
func (p *lowpanPrefix) match(hi, lo uint64, iid lowpanIID) (m lowpanMode, ok bool) {
	if hi != p.hi || lo&p.loMask != p.lo {
		return 0, false // also if the bits between a shorter prefix and the interface identifier are not zero
	}
	switch rest := ^p.loMask; {
	case rest == 0 || iid.ok && (lo^iid.id)&rest == 0:
		return 0b11, true
	case (lo^lowpanShortIID)&rest&^0xffff == 0:
		return 0b10, true
	}
	return 0b01, true
}

// expand is the address from the prefix and what stands for its lower half.
//
// "Bits covered by context information are always used. Any IID bits not covered by context information are taken directly from
// the corresponding bits carried in-line. Any remaining bits are zero."
// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.1.1
func (p *lowpanPrefix) expand(addr []byte, iid uint64) {
	binary.BigEndian.PutUint64(addr, p.hi)
	binary.BigEndian.PutUint64(addr[8:], p.lo|iid&^p.loMask)
}

// lowpanAddress is an address as it is going to be compressed.
type lowpanAddress struct {
	mode    lowpanMode
	context uint8
}

// lowpanChoice has the shortest form of an address, and the shortest of those that need no context, or context 0, and so no
// octet that says which.
type lowpanChoice struct{ plain, shortest lowpanAddress }

// consider takes note of a form, which it prefers to longer ones that it has seen before.
func (c *lowpanChoice) consider(mode lowpanMode, context int) {
	a := lowpanAddress{mode, uint8(context)}
	if mode.size() < c.shortest.mode.size() {
		c.shortest = a
	}
	if context == 0 && mode.size() < c.plain.mode.size() {
		c.plain = a
	}
}

// lowpanChooseAddresses says how the addresses of an IPv6 header, which ip begins with, take the fewest octets. Of forms with as
// many it takes the first of: what follows from the link, context 0, other contexts.
func lowpanChooseAddresses(ip []byte, from, to lowpanIID, contexts *LowpanContexts) (src, dst lowpanAddress) {
	source, destination := lowpanChooseSource(ip[8:24], from, contexts), lowpanChooseDestination(ip[24:40], to, contexts)
	plain := source.plain.mode.size() + destination.plain.mode.size()
	if source.shortest.mode.size()+destination.shortest.mode.size()+1 < plain {
		return source.shortest, destination.shortest
	}
	return source.plain, destination.plain
}

func lowpanChooseSource(addr []byte, iid lowpanIID, contexts *LowpanContexts) (c lowpanChoice) {
	hi, lo := binary.BigEndian.Uint64(addr), binary.BigEndian.Uint64(addr[8:])
	if hi == 0 && lo == 0 {
		c.consider(lowpanUnspecified, 0)
		return c
	}
	c.considerUnicast(hi, lo, iid, contexts)
	return c
}

func lowpanChooseDestination(addr []byte, iid lowpanIID, contexts *LowpanContexts) (c lowpanChoice) {
	hi, lo := binary.BigEndian.Uint64(addr), binary.BigEndian.Uint64(addr[8:])
	if addr[0] != 0xff {
		c.considerUnicast(hi, lo, iid, contexts)
		return c
	}
	all := lowpanAddress{mode: lowpanMulticast | lowpanFull}
	c = lowpanChoice{all, all}
	if hi<<16 == 0 {
		switch {
		case hi == 0xff02<<48 && lo>>8 == 0:
			c.consider(lowpanMulticast8, 0)
		case lo>>24 == 0:
			c.consider(lowpanMulticast32, 0)
		case lo>>40 == 0:
			c.consider(lowpanMulticast48, 0)
		}
	}
	if c.shortest.mode.size() <= lowpanMulticastPrefix.size() || contexts == nil {
		return c
	}
	for i := range contexts {
		if context := &contexts[i]; context.Compress {
			p, bits, ok := context.prefix()
			if ok && bits <= 64 && int(addr[3]) == bits && binary.BigEndian.Uint64(addr[4:]) == p.hi {
				c.consider(lowpanMulticastPrefix, i)
			}
		}
	}
	return c
}

func (c *lowpanChoice) considerUnicast(hi, lo uint64, iid lowpanIID, contexts *LowpanContexts) {
	if m, ok := lowpanLinkLocal.match(hi, lo, iid); ok {
		c.consider(m, 0)
	}
	if contexts == nil {
		return
	}
	for i := range contexts {
		if c.plain.mode.size() == 0 {
			return // it gets no shorter
		}
		if context := &contexts[i]; context.Compress {
			if p, _, ok := context.prefix(); ok {
				if m, ok := p.match(hi, lo, iid); ok {
					c.consider(lowpanContextual|m, i)
				}
			}
		}
	}
}

// lowpanReadAddress writes to addr, of 16 octets, the address that was compressed to inline, the octets that the mode has. The
// error is ErrLowpanContext if the mode needs a context and there is none of that number, or none of that kind, and
// ErrLowpanAddress if it needs an interface identifier and there is none. The mode is not a reserved one.
func lowpanReadAddress(addr, inline []byte, mode lowpanMode, iid lowpanIID, contexts *LowpanContexts, number uint8) error {
	octets := lowpanInline[mode]
	head, tail := inline[:octets.head], inline[octets.head:]
	switch mode {
	case lowpanFull, lowpanMulticast | lowpanFull:
		copy(addr, inline)
		return nil
	case lowpanMulticast48, lowpanMulticast32, lowpanMulticast8:
		clear(addr)
		addr[0], addr[1] = 0xff, 0x02
		copy(addr[1:], head)
		copy(addr[16-octets.tail:], tail)
		return nil
	}

	prefix := lowpanLinkLocal
	if mode&lowpanContextual != 0 {
		bits, ok := 0, contexts != nil
		if ok {
			prefix, bits, ok = contexts[number].prefix()
		}
		if mode == lowpanMulticastPrefix {
			// "The prefix information P and L is taken from the specified context." There is room for 64 bits of it.
			// https://www.rfc-editor.org/rfc/rfc6282.html#section-3.1.1
			if !ok || bits > 64 {
				return ErrLowpanContext
			}
			addr[0], addr[1], addr[2], addr[3] = 0xff, head[0], head[1], uint8(bits)
			binary.BigEndian.PutUint64(addr[4:], prefix.hi)
			copy(addr[12:], tail)
			return nil
		}
		if !ok {
			return ErrLowpanContext
		}
	}

	var id uint64
	switch len(tail) {
	case 8:
		id = binary.BigEndian.Uint64(tail)
	case 2:
		id = lowpanShortIID | uint64(binary.BigEndian.Uint16(tail))
	default:
		if !iid.ok && ^prefix.loMask != 0 {
			return ErrLowpanAddress
		}
		id = iid.id
	}
	prefix.expand(addr, id)
	return nil
}
