package ieee802154

import (
	"crypto/aes"
	"encoding/binary"
	"errors"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Security secures the frames that a node sends, and verifies and decrypts those that it receives, with AES-CCM* and keys that are
// configured. It takes frames of 2006's and 2015's editions.
type Security struct {
	address  [8]byte
	level    uint8
	minLevel uint8
	bare     bool // frames that are not secured are accepted too
	counter  uint32
	keys     []*key
	short    map[shortAddr]*Device
	devices  map[[8]byte]*Device
	sources  [2]int // counters of sources that are not configured, by the index into key.least
	max      int
}

// key is a key with what is known of those who use it.
type key struct {
	name keyName
	ccm  ccm

	// least is the least frame counter to accept from a source: of what was authenticated, and of what was only encrypted. They are
	// apart because anyone can make up the latter, and could cut off the real source.
	least [2]map[[8]byte]uint32
}

// keyName is how a frame names a key.
type keyName struct {
	mode   wire.IEEE802154KeyMode
	source [8]byte
	index  uint8
}

// shortAddr is a short address, which is unique in its PAN only.
type shortAddr struct {
	pan    uint16
	number uint16
}

// lastCounter is the frame counter that no frame has: who has reached it needs a new key.
const lastCounter = 0xffffffff

var (
	// ErrCounterExhausted: the frame counter has reached its end, and the key must not be used any more.
	ErrCounterExhausted = errors.New("ieee802154: frame counter exhausted")
	// ErrNoRoom: the packet has no room behind it for the message integrity code.
	ErrNoRoom = errors.New("ieee802154: no room for the message integrity code")
	// ErrUnsecurable: frames of that kind, or with such a payload, cannot be secured.
	ErrUnsecurable = errors.New("ieee802154: frame that cannot be secured")
)

// Cause says why Unprotect refused a frame.
type Cause uint8

const (
	// None: the frame is genuine, or need not be.
	None Cause = iota

	// Unsecured: a data frame is secured less than it has to be, perhaps not at all.
	Unsecured
	// Unsupported: the frame is secured in a way that is not known here: its nonce is made from the number of a time slot, or it
	// does not end where it should.
	Unsupported
	// UnknownDevice: the frame names no source, or a short address of which the extended one is not configured.
	UnknownDevice
	// UnknownKey: the frame is secured with a key that is not configured.
	UnknownKey
	// Replayed: the source has used the frame counter before. The frame is a copy, made by the source itself if it did not hear an
	// acknowledgment, or by somebody else.
	Replayed
	// TooManySources: there is no room to remember the frame counter of another source.
	TooManySources
	// Forged: the message integrity code is not that of the frame.
	Forged

	// Causes is how many causes there are.
	Causes = iota
)

// NewSecurity returns a Security with the keys of cfg. The error wraps ErrInvalid and names the value.
func NewSecurity(cfg SecurityConfig) (*Security, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Security{
		address: cfg.Address, level: cfg.Level, minLevel: cfg.MinLevel, bare: cfg.AcceptUnsecured, counter: cfg.FrameCounter,
		short: make(map[shortAddr]*Device), devices: make(map[[8]byte]*Device), max: cfg.MaxCounters,
	}
	for i := range cfg.Keys {
		block, err := aes.NewCipher(cfg.Keys[i].Secret[:])
		if err != nil {
			return nil, err
		}
		k := &key{name: cfg.Keys[i].name(), ccm: ccm{block: block}}
		for i := range k.least {
			k.least[i] = make(map[[8]byte]uint32)
		}
		s.keys = append(s.keys, k)
	}
	for _, device := range cfg.Devices {
		s.devices[device.Extended] = &device
		if number, ok := device.Short.Short(); ok {
			s.short[shortAddr{device.PAN, number}] = &device
		}
	}
	return s, nil
}

// FrameCounter is the counter of the next frame to be secured. Who keeps a key while the stack is started anew has to keep the
// counter too, and to give it, or a greater one, to the next SecurityConfig.
func (s *Security) FrameCounter() uint32 { return s.counter }

// Overhead is how many octets longer frames of 2006's and 2015's editions are for being secured by Protect.
func (s *Security) Overhead() int {
	h := wire.IEEE802154Repr{Version: wire.IEEE802154Version2006}
	bare := h.Len()
	s.fill(&h)
	return h.Len() - bare + h.MICLen()
}

// fill makes h the header of a frame secured by s.
func (s *Security) fill(h *wire.IEEE802154Repr) {
	name := s.keys[0].name
	h.Version = max(h.Version, wire.IEEE802154Version2006)
	h.Secured = true
	h.Security = wire.IEEE802154Security{
		Level: s.level, KeyMode: name.mode, KeySource: name.source, KeyIndex: name.index, FrameCounter: s.counter,
	}
}

// Protect makes of p, what a frame carries, the whole frame: it secures it with the first key, and puts the header h before and the
// message integrity code behind it. In h it fills in Secured and Security, and the edition of 2006 if it was that of 2003.
//
// A frame that is retransmitted is sent as it is, and not protected again. The errors are ErrCounterExhausted, ErrNoRoom and
// ErrUnsecurable; then p is as it was. Protect panics if p has no headroom for the header.
func (s *Security) Protect(h *wire.IEEE802154Repr, p *packet.Packet) error {
	if s.counter == lastCounter {
		return ErrCounterExhausted
	}
	secured := *h
	s.fill(&secured)
	p.Own()
	open, ok := openLen(&secured, p.Head())
	if !ok {
		return ErrUnsecurable
	}
	if p.Append(secured.MICLen()) == nil {
		return ErrNoRoom
	}
	*h = secured
	s.counter++
	n := h.Len()
	h.Emit(p.Prepend(n))
	nonce := newNonce(s.address, &h.Security)
	s.keys[0].ccm.seal(&nonce, p.Head(), clearLen(h, n+open, p.Len()), h.MICLen())
	return nil
}

// Unprotect is called for each frame received, p, with its header h. If the cause is None, p is the frame decrypted and without its
// message integrity code, in a buffer of its own. With any other, what the frame carries is of no use.
//
// Only data frames have to be secured: beacons, commands and acknowledgments may come without.
func (s *Security) Unprotect(h *wire.IEEE802154Repr, p *packet.Packet) Cause {
	level := uint8(wire.IEEE802154NoSecurity)
	if h.Secured {
		level = h.Security.Level
	}
	switch {
	case h.Type == wire.IEEE802154Data && !s.suffices(level):
		return Unsecured
	case level == wire.IEEE802154NoSecurity:
		return None
	case h.Security.CounterSuppressed || h.Security.ASNInNonce:
		return Unsupported
	}
	source, ok := s.source(h)
	if !ok {
		return UnknownDevice
	}
	k := s.key(&h.Security)
	if k == nil {
		return UnknownKey
	}
	counter := h.Security.FrameCounter
	kind := counterKind(level)
	least, known := s.least(k, kind, source)
	switch {
	case source == s.address || counter < least || counter == lastCounter:
		return Replayed
	case !known && s.sources[kind] >= s.max:
		return TooManySources
	}
	p.Own()
	frame := p.Head()
	open, ok := openLen(h, h.Payload(frame))
	if !ok || h.Len()+open+h.MICLen() > len(frame) {
		return Unsupported
	}
	nonce := newNonce(source, &h.Security)
	if !k.ccm.open(&nonce, frame, clearLen(h, h.Len()+open, len(frame)), h.MICLen()) {
		return Forged
	}
	if !known {
		s.sources[kind]++
	}
	k.least[kind][source] = counter + 1
	p.Truncate(p.Len() - h.MICLen())
	return None
}

// suffices reports whether a data frame may be secured at a level: nothing that the least level does, authenticate and encrypt, may
// be done less. That is not the order of the levels' numbers.
func (s *Security) suffices(level uint8) bool {
	const code, encryption = 0b011, 0b100
	return s.bare || level&code >= s.minLevel&code && level&encryption >= s.minLevel&encryption
}

// source is the extended address of who sent the frame.
func (s *Security) source(h *wire.IEEE802154Repr) (extended [8]byte, ok bool) {
	if extended, ok = h.Src.Extended(); ok {
		return extended, true
	}
	number, ok := h.Src.Short()
	if !ok {
		return extended, false
	}
	device := s.short[shortAddr{h.SrcPAN, number}]
	if device == nil {
		return extended, false
	}
	return device.Extended, true
}

// key finds the key that a frame names, or nil.
func (s *Security) key(security *wire.IEEE802154Security) *key {
	name := keyName{security.KeyMode, security.KeySource, security.KeyIndex}
	for _, k := range s.keys {
		if k.name == name {
			return k
		}
	}
	return nil
}

// counterKind is the index into key.least for frames of a level.
func counterKind(level uint8) int {
	if level == wire.IEEE802154Encryption {
		return 1
	}
	return 0
}

// least is the least frame counter to accept from a source. known says that it takes no room to remember another: it is remembered
// already, or the source is configured.
//
// Nobody is ever forgotten, because an old frame of a source that was would be accepted again. When there is no room, sources not
// heard before are refused instead; only who has a key can take room, levels without a code aside, which have their own.
func (s *Security) least(k *key, kind int, source [8]byte) (least uint32, known bool) {
	if least, known = k.least[kind][source]; known {
		return least, true
	}
	if device := s.devices[source]; device != nil {
		return device.FrameCounter, true
	}
	return 0, false
}

// newNonce is the nonce of a frame: the source's extended address, the frame counter and the level.
func newNonce(source [8]byte, security *wire.IEEE802154Security) (n nonce) {
	copy(n[:], source[:])
	binary.BigEndian.PutUint32(n[8:], security.FrameCounter)
	n[12] = security.Level
	return n
}

// openLen is how many octets of what a frame carries are never encrypted: before 2015 a command's name, and of a beacon what is not
// its owner's. ok is false if they are not all there.
func openLen(h *wire.IEEE802154Repr, payload []byte) (n int, ok bool) {
	switch {
	case h.Version >= wire.IEEE802154Version2015:
		return 0, true
	case h.Type == wire.IEEE802154Command:
		return 1, len(payload) >= 1
	case h.Type == wire.IEEE802154Beacon:
		beacon, err := wire.ParseIEEE802154Beacon(payload)
		if err != nil {
			return 0, false
		}
		return len(payload) - len(beacon.Payload()), true
	}
	return 0, true
}

// clearLen is how many octets of a frame with length octets are not encrypted, its message integrity code aside: the first so many,
// or all of them.
func clearLen(h *wire.IEEE802154Repr, open, length int) int {
	if h.Encrypted() {
		return open
	}
	return length - h.MICLen()
}
