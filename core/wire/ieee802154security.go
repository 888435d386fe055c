package wire

import "encoding/binary"

// IEEE802154Security is the auxiliary security header of a MAC frame of IEEE 802.15.4: how the frame is secured, and with which
// key.
type IEEE802154Security struct {
	Level   uint8             // 0 to 7
	KeyMode IEEE802154KeyMode // how the key is named

	// KeySource is who gave the key out, in the order of transmission: 4 octets with IEEE802154KeySource4, 8 with
	// IEEE802154KeySource8, else none. It is zero where there are none.
	KeySource [8]byte
	KeyIndex  uint8 // which of its keys; 0 with IEEE802154KeyImplicit

	FrameCounter uint32 // 0 if it is suppressed

	// CounterSuppressed leaves out the frame counter, and ASNInNonce says that the number of the time slot takes its place in
	// the nonce. Only 2015's edition knows them: in others they are emitted as false.
	CounterSuppressed, ASNInNonce bool
}

// Levels of security. The two lower bits say how long the message integrity code is, the third that the frame is encrypted.
const (
	IEEE802154NoSecurity    = 0
	IEEE802154MIC32         = 1
	IEEE802154MIC64         = 2
	IEEE802154MIC128        = 3
	IEEE802154Encryption    = 4 // without a code, and so of little use; reserved since 2015
	IEEE802154EncryptMIC32  = 5
	IEEE802154EncryptMIC64  = 6
	IEEE802154EncryptMIC128 = 7
)

// IEEE802154KeyMode is how a secured frame names its key.
type IEEE802154KeyMode uint8

// Key identifier modes.
const (
	IEEE802154KeyImplicit IEEE802154KeyMode = 0 // not at all: who knows sender and receiver knows the key
	IEEE802154KeyIndex    IEEE802154KeyMode = 1 // by its index among the keys of the network
	IEEE802154KeySource4  IEEE802154KeyMode = 2 // by its index and four octets of source: a PAN identifier and a short address
	IEEE802154KeySource8  IEEE802154KeyMode = 3 // by its index and an extended address as source
)

// The security control field, and the lengths of what may follow it.
const (
	ieee802154LevelMask         = 0b111
	ieee802154KeyModeShift      = 3
	ieee802154KeyModeMask       = 0b11
	ieee802154CounterSuppressed = 1 << 5
	ieee802154ASNInNonce        = 1 << 6

	ieee802154CounterLen  = 4
	ieee802154KeyIndexLen = 1
)

// sourceLen is the number of octets of the key source.
func (m IEEE802154KeyMode) sourceLen() int {
	switch m {
	case IEEE802154KeySource4:
		return 4
	case IEEE802154KeySource8:
		return 8
	}
	return 0
}

// MICLen is the number of octets of the message integrity code: 0, 4, 8 or 16.
func (s *IEEE802154Security) MICLen() int {
	if s.Level&0b11 == 0 {
		return 0
	}
	return 2 << (s.Level & 0b11)
}

// read reads the header from b[n:] and returns where it ends.
func (s *IEEE802154Security) read(b []byte, n int, version uint8) (end int, err error) {
	if len(b) <= n {
		return n, ErrTruncated
	}
	control := b[n]
	r := IEEE802154Security{
		Level:   control & ieee802154LevelMask,
		KeyMode: IEEE802154KeyMode(control >> ieee802154KeyModeShift & ieee802154KeyModeMask),
	}
	if version == IEEE802154Version2015 {
		r.CounterSuppressed = control&ieee802154CounterSuppressed != 0
		r.ASNInNonce = control&ieee802154ASNInNonce != 0
	}
	end = n + r.len(version)
	if len(b) < end {
		return n, ErrTruncated
	}
	b = b[n+1 : end]
	if !r.CounterSuppressed {
		r.FrameCounter = binary.LittleEndian.Uint32(b)
		b = b[ieee802154CounterLen:]
	}
	if r.KeyMode != IEEE802154KeyImplicit {
		b = b[copy(r.KeySource[:r.KeyMode.sourceLen()], b):]
		r.KeyIndex = b[0]
	}
	*s = r
	return end, nil
}

// len is the number of octets that the header takes in a frame of that version.
func (s *IEEE802154Security) len(version uint8) int {
	n := 1
	if !s.CounterSuppressed || version != IEEE802154Version2015 {
		n += ieee802154CounterLen
	}
	if mode := s.KeyMode & ieee802154KeyModeMask; mode != IEEE802154KeyImplicit {
		n += mode.sourceLen() + ieee802154KeyIndexLen
	}
	return n
}

// emit writes the header to the front of b, and returns how many octets it takes.
func (s *IEEE802154Security) emit(b []byte, version uint8) int {
	mode := s.KeyMode & ieee802154KeyModeMask
	b[0] = s.Level&ieee802154LevelMask | uint8(mode)<<ieee802154KeyModeShift
	suppressed := false
	if version == IEEE802154Version2015 {
		if suppressed = s.CounterSuppressed; suppressed {
			b[0] |= ieee802154CounterSuppressed
		}
		if s.ASNInNonce {
			b[0] |= ieee802154ASNInNonce
		}
	}
	n := 1
	if !suppressed {
		binary.LittleEndian.PutUint32(b[n:], s.FrameCounter)
		n += ieee802154CounterLen
	}
	if mode != IEEE802154KeyImplicit {
		n += copy(b[n:], s.KeySource[:mode.sourceLen()])
		b[n] = s.KeyIndex
		n += ieee802154KeyIndexLen
	}
	return n
}
