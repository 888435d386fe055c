package ieee802154

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// station is a node that secures its frames.
type station struct {
	testing.TB
	*Security
	addr wire.LinkAddr
	seq  uint8
}

var networkKey = Key{Mode: wire.IEEE802154KeyIndex, Index: 1, Secret: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}}

// newStation returns a node with an extended address, the network's key unless cfg has others, and the rest as in cfg.
func newStation(t testing.TB, addr wire.LinkAddr, cfg SecurityConfig) *station {
	t.Helper()
	cfg.Address, _ = addr.Extended()
	if cfg.Keys == nil {
		cfg.Keys = []Key{networkKey}
	}
	s, err := NewSecurity(cfg)
	require.NoError(t, err)
	return &station{TB: t, Security: s, addr: addr}
}

// packetOf returns a packet with the octets.
func packetOf(b []byte) *packet.Packet {
	p := packet.New(len(b))
	copy(p.Append(len(b)), b)
	return p
}

// header is that of a data frame to everyone.
func (s *station) header() wire.IEEE802154Repr {
	s.seq++
	return wire.IEEE802154Repr{
		Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006, PANCompression: true, Seq: s.seq,
		DstPAN: 0x23, SrcPAN: 0x23, Dst: wire.BroadcastShortAddr, Src: s.addr,
	}
}

// says returns a frame that says the words, secured.
func (s *station) says(words string) []byte { s.Helper(); return s.sends(s.header(), words) }

// sends returns the frame with the header and payload, secured.
func (s *station) sends(h wire.IEEE802154Repr, payload string) []byte {
	s.Helper()
	p := packetOf([]byte(payload))
	defer p.Release()
	require.NoError(s, s.Protect(&h, p))
	return bytes.Clone(p.Head())
}

// hears holds the node to what it takes the frame for.
func (s *station) hears(frame []byte, want string, why string) {
	s.Helper()
	got, cause := s.receives(frame)
	require.Equal(s, None, cause, why)
	require.Equal(s, want, got, why)
}

// refuses holds the node to refusing the frame.
func (s *station) refuses(frame []byte, want Cause, why string) {
	s.Helper()
	_, cause := s.receives(frame)
	require.Equal(s, want, cause, why)
}

func (s *station) receives(frame []byte) (payload string, cause Cause) {
	p := packetOf(frame)
	defer p.Release()
	var h wire.IEEE802154Repr
	require.NoError(s, h.Parse(p.Head()))
	cause = s.Unprotect(&h, p)
	return string(p.Head()[h.Len():]), cause
}

// The examples of IEEE 802.15.4-2006, annex C.2: a beacon, a data frame and a command.
func TestSecurityStandardsExamples(t *testing.T) {
	from, to := wire.LinkAddrFrom(unhex("acde480000000001")), wire.LinkAddrFrom(unhex("acde480000000002"))
	keys := []Key{{Secret: [16]byte(unhex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"))}}
	for _, tt := range []struct {
		name    string
		h       wire.IEEE802154Repr
		level   uint8
		payload string
		frame   string
	}{
		{
			"beacon, level 2", wire.IEEE802154Repr{Type: wire.IEEE802154Beacon, SrcPAN: 0x4321, Src: from},
			wire.IEEE802154MIC64, "55cf 00 00 51525354",
			"08d0 84 2143 0100000000 48deac 02 05000000 55cf 00 00 51525354 223bc1ec841ab553",
		},
		{
			"data, level 4",
			wire.IEEE802154Repr{
				Type: wire.IEEE802154Data, AckRequest: true, PANCompression: true, DstPAN: 0x4321, SrcPAN: 0x4321, Dst: to, Src: from,
			},
			wire.IEEE802154Encryption, "61626364",
			"69dc 84 2143 0200000000 48deac 0100000000 48deac 04 05000000 d43e022b",
		},
		{
			"command, level 6",
			wire.IEEE802154Repr{
				Type: wire.IEEE802154Command, AckRequest: true, DstPAN: 0x4321, SrcPAN: 0xffff, Dst: to, Src: from,
			},
			wire.IEEE802154EncryptMIC64, "01 ce",
			"2bdc 84 2143 0200000000 48deac ffff 0100000000 48deac 06 05000000 01 d8 4fde529061f9c6f1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sender := newStation(t, from, SecurityConfig{Keys: keys, Level: tt.level, FrameCounter: 5})
			tt.h.Seq = 0x84
			require.Equal(t, unhex(tt.frame), sender.sends(tt.h, string(unhex(tt.payload))))
			require.Equal(t, uint32(6), sender.FrameCounter())

			receiver := newStation(t, to, SecurityConfig{Keys: keys, Level: tt.level})
			receiver.hears(unhex(tt.frame), string(unhex(tt.payload)), "as in the standard")
			receiver.refuses(unhex(tt.frame), Replayed, "once is enough")
		})
	}
}

// A frame that a Zolertia RE-Mote sent, in the tests of smoltcp (src/wire/ieee802154.rs, decryption).
func TestSecurityFrameOfContiki(t *testing.T) {
	receiver := newStation(t, wire.LinkAddrFrom(unhex("00124b0006159bbf")), SecurityConfig{
		Keys: []Key{{Secret: [16]byte(unhex("101112131415161718191a1b1c1d1e1f"))}},
	})
	receiver.hears(unhex(`
		69dc 2a cdab bf9b1506004b1200 c7d9b514004b1200 05 59000000
		3f3be8cdcbbbcc3400c526b94b5962b95bdaf98df1e42c86 b0b5`),
		"~3\xf0\x16.\x16.\t\xc9Hello to Rust", "what it said, behind compressed headers")
}

func TestSecurityOfAllLevelsAndKeyModes(t *testing.T) {
	for level := uint8(1); level <= 7; level++ {
		for mode := range wire.IEEE802154KeyMode(4) {
			for _, version := range []uint8{wire.IEEE802154Version2003, wire.IEEE802154Version2006, wire.IEEE802154Version2015} {
				t.Run(fmt.Sprintf("level %d, key mode %d, version %d", level, mode, version), func(t *testing.T) {
					cfg := SecurityConfig{Level: level, Keys: []Key{
						{Mode: mode, Source: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Index: 3, Secret: [16]byte{9}},
					}}
					a, b := newStation(t, alice, cfg), newStation(t, bob, cfg)
					for _, words := range []string{"", "x", "hello, bob", string(make([]byte, 80))} {
						h := a.header()
						h.Version = version
						bare := h.Len()
						frame := a.sends(h, words)
						require.Len(t, frame, bare+len(words)+a.Overhead())
						if len(words) > 7 {
							require.Equal(t, level < 4, bytes.Contains(frame, []byte(words)), "in clear")
						}
						b.hears(frame, words, "as it was said")
						b.refuses(frame, Replayed, "said once")
					}
				})
			}
		}
	}
}

func TestSecurityReplays(t *testing.T) {
	a, b := newStation(t, alice, SecurityConfig{}), newStation(t, bob, SecurityConfig{})
	one, two, three := a.says("one"), a.says("two"), a.says("three")
	b.hears(one, "one", "the first")
	b.refuses(one, Replayed, "again")
	b.hears(three, "three", "two was lost")
	b.refuses(two, Replayed, "and is too late")

	reply := b.says("yes")
	a.hears(reply, "yes", "bob has a counter of his own")
	b.refuses(reply, Replayed, "bob's own words come back to him")
}

func TestSecurityForgeries(t *testing.T) {
	a, b := newStation(t, alice, SecurityConfig{}), newStation(t, bob, SecurityConfig{})
	frame := a.says("hello")
	header := len(frame) - len("hello") - 4
	for _, i := range []int{2, 5, header, header + 4, len(frame) - 1} {
		forged := bytes.Clone(frame)
		forged[i] ^= 1
		b.refuses(forged, Forged, fmt.Sprintf("octet %d is another", i))
	}
	far := bytes.Clone(frame)
	far[header-2] = 0x7f // of the frame counter, the highest octet
	b.refuses(far, Forged, "a counter that alice has not reached")
	b.hears(frame, "hello", "which does not cut her off")

	stranger := newStation(t, alice, SecurityConfig{Keys: []Key{{Mode: wire.IEEE802154KeyIndex, Index: 1}}, FrameCounter: 9})
	b.refuses(stranger.says("hello"), Forged, "another's key of that name")
	b.refuses(newStation(t, alice, SecurityConfig{Keys: []Key{{}}}).says("hello"), UnknownKey, "a key of no known name")
}

func TestSecurityLevels(t *testing.T) {
	for _, tt := range []struct {
		name     string
		min      uint8
		accepted [8]bool // by level
	}{
		{"code of 4 octets", 1, [8]bool{1: true, 2: true, 3: true, 5: true, 6: true, 7: true}},
		{"code of 8 octets", 2, [8]bool{2: true, 3: true, 6: true, 7: true}},
		{"code of 16 octets", 3, [8]bool{3: true, 7: true}},
		{"encryption", 4, [8]bool{4: true, 5: true, 6: true, 7: true}},
		{"both, 4 octets", 5, [8]bool{5: true, 6: true, 7: true}},
		{"both, 8 octets", 6, [8]bool{6: true, 7: true}},
		{"both, 16 octets", 7, [8]bool{7: true}},
		{"the node's own, which is 5", 0, [8]bool{5: true, 6: true, 7: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newStation(t, bob, SecurityConfig{MinLevel: tt.min})
			lenient := newStation(t, bob, SecurityConfig{MinLevel: tt.min, AcceptUnsecured: true})
			for level := uint8(1); level <= 7; level++ {
				a := newStation(t, alice, SecurityConfig{Level: level, FrameCounter: uint32(level)})
				frame := a.says("hello")
				if tt.accepted[level] {
					b.hears(frame, "hello", "good enough")
				} else {
					b.refuses(frame, Unsecured, "not good enough")
				}
				lenient.hears(frame, "hello", "all are good enough")
			}
			h := b.header()
			bare := append(emit(h), "hello"...)
			b.refuses(bare, Unsecured, "not secured at all")
			lenient.hears(bare, "hello", "all the same")
			h.Secured = true
			bare = append(emit(h), "hello"...)
			b.refuses(bare, Unsecured, "secured at level 0")
			lenient.hears(bare, "hello", "all the same")
		})
	}
	b := newStation(t, bob, SecurityConfig{})
	b.hears(unhex("0200 4d"), "", "acknowledgments need no security")
	b.hears(unhex("0308 4d ffff ffff 07"), "\x07", "nor does the search for a network")
}

func TestSecurityShortAddresses(t *testing.T) {
	extended, _ := alice.Extended()
	a := newStation(t, alice, SecurityConfig{})
	b := newStation(t, bob, SecurityConfig{Devices: []Device{
		{Extended: extended, PAN: 0x23, Short: wire.ShortAddr(0xa1), FrameCounter: 2},
	}})
	h := a.header()
	h.Src = wire.ShortAddr(0xa1)
	b.refuses(a.sends(h, "zero"), Replayed, "before what is known of her counter")
	b.refuses(a.sends(h, "one"), Replayed, "likewise")
	b.hears(a.sends(h, "two"), "two", "then she is known by her short address")
	b.hears(a.says("three"), "three", "and by the other")

	h.Src = wire.ShortAddr(0xa2)
	b.refuses(a.sends(h, "four"), UnknownDevice, "a short address that nobody is known to have")
	h.Src, h.DstPAN, h.SrcPAN = wire.ShortAddr(0xa1), 0x24, 0x24
	b.refuses(a.sends(h, "five"), UnknownDevice, "hers, but in another network")
	h.Src, h.PANCompression = wire.LinkAddr{}, false
	b.refuses(a.sends(h, "six"), UnknownDevice, "no source at all")
}

// No source is forgotten to make room for another, or its frames could be replayed.
func TestSecurityManySources(t *testing.T) {
	carol := wire.LinkAddrFrom(unhex("02000000000000c0"))
	known, _ := carol.Extended()
	b := newStation(t, bob, SecurityConfig{MaxCounters: 2, AcceptUnsecured: true, Devices: []Device{{Extended: known}}})
	first := newStation(t, wire.ExtendedAddr([8]byte{1}), SecurityConfig{})
	old := first.says("hello")
	b.hears(old, "hello", "the first source")
	b.hears(newStation(t, wire.ExtendedAddr([8]byte{2}), SecurityConfig{}).says("hello"), "hello", "the second")
	b.refuses(newStation(t, wire.ExtendedAddr([8]byte{3}), SecurityConfig{}).says("hello"), TooManySources, "the third")
	b.refuses(old, Replayed, "the first is still known")
	b.hears(first.says("again"), "again", "and heard")
	b.hears(newStation(t, carol, SecurityConfig{}).says("hello"), "hello", "a configured one has its room")

	// Who has no key cannot take that room: at level 4 nothing shows that a frame is made up.
	anyone := newStation(t, bob, SecurityConfig{MaxCounters: 2, AcceptUnsecured: true})
	for i := range byte(4) {
		_, cause := anyone.receives(newStation(t, wire.ExtendedAddr([8]byte{9, i}), SecurityConfig{Level: 4}).says("made up"))
		require.Equal(t, map[bool]Cause{true: None, false: TooManySources}[i < 2], cause)
	}
	anyone.hears(old, "hello", "there is room for what is genuine")
}

func TestSecurityCounterExhausted(t *testing.T) {
	a := newStation(t, alice, SecurityConfig{FrameCounter: 0xfffffffe})
	b := newStation(t, bob, SecurityConfig{})
	last := a.says("goodbye")
	b.hears(last, "goodbye", "the last counter")
	b.refuses(last, Replayed, "it stays the last")

	h, p := a.header(), packetOf([]byte("more"))
	defer p.Release()
	before := h
	require.ErrorIs(t, a.Protect(&h, p), ErrCounterExhausted)
	require.Equal(t, before, h)
	require.Equal(t, "more", string(p.Head()))
	require.Equal(t, uint32(0xffffffff), a.FrameCounter())

	h.Secured = true
	h.Security = wire.IEEE802154Security{Level: 5, KeyMode: wire.IEEE802154KeyIndex, KeyIndex: 1, FrameCounter: 0xffffffff}
	newStation(t, bob, SecurityConfig{}).refuses(append(emit(h), "12345678"...), Replayed, "nobody may use that counter")
}

func TestSecurityUnsupported(t *testing.T) {
	b := newStation(t, bob, SecurityConfig{})
	h := newStation(t, alice, SecurityConfig{}).header()
	h.Version, h.Secured = wire.IEEE802154Version2015, true
	h.Security = wire.IEEE802154Security{
		Level: 5, KeyMode: wire.IEEE802154KeyIndex, KeyIndex: 1, CounterSuppressed: true, ASNInNonce: true,
	}
	b.refuses(append(emit(h), "12345678"...), Unsupported, "time slots")

	h.Version, h.Type = wire.IEEE802154Version2006, wire.IEEE802154Command
	b.refuses(append(emit(h), "1234"...), Unsupported, "a command that says nothing")
	h.Type = wire.IEEE802154Beacon
	b.refuses(append(emit(h), "\x00\x00\x071234"...), Unsupported, "a beacon that ends too early")

	a := newStation(t, alice, SecurityConfig{})
	p := packetOf(nil)
	defer p.Release()
	command := wire.IEEE802154Repr{Type: wire.IEEE802154Command, Src: alice}
	require.ErrorIs(t, a.Protect(&command, p), ErrUnsecurable)
	full := packet.New(0)
	defer full.Release()
	full.Append(full.Tailroom())
	h = a.header()
	require.ErrorIs(t, a.Protect(&h, full), ErrNoRoom)
	require.Zero(t, a.FrameCounter(), "no counter was used")
}

// What a packet only references belongs to others too, and is not written to.
func TestSecurityOwnsWhatItChanges(t *testing.T) {
	chunk := packet.NewChunk(16)
	defer chunk.Release()
	shared := chunk.Data()[:5]
	copy(shared, "hello")
	a, b := newStation(t, alice, SecurityConfig{}), newStation(t, bob, SecurityConfig{})
	p := packet.New(0)
	defer p.Release()
	p.Reference(chunk, shared)
	h := a.header()
	require.NoError(t, a.Protect(&h, p))
	require.Equal(t, "hello", string(shared))
	b.hears(p.Head(), "hello", "protected")
}

func TestSecurityConfig(t *testing.T) {
	address := [8]byte{1}
	for _, tt := range []struct {
		name string
		cfg  SecurityConfig
	}{
		{"no keys", SecurityConfig{Address: address}},
		{"no address", SecurityConfig{Keys: []Key{{}}}},
		{"level 8", SecurityConfig{Address: address, Keys: []Key{{}}, Level: 8}},
		{"least level 8", SecurityConfig{Address: address, Keys: []Key{{}}, MinLevel: 8}},
		{"less than no counters", SecurityConfig{Address: address, Keys: []Key{{}}, MaxCounters: -1}},
		{"key mode 4", SecurityConfig{Address: address, Keys: []Key{{Mode: 4}}}},
		{"two implicit keys", SecurityConfig{Address: address, Keys: []Key{{Index: 1}, {Index: 2}}}},
		{"two keys of one index", SecurityConfig{Address: address, Keys: []Key{{Mode: 1, Source: address}, {Mode: 1}}}},
		{"a device twice", SecurityConfig{Address: address, Keys: []Key{{}}, Devices: []Device{{}, {}}}},
		{"an extended address for a short one", SecurityConfig{Address: address, Keys: []Key{{}}, Devices: []Device{{Short: alice}}}},
		{
			"a short address twice", SecurityConfig{Address: address, Keys: []Key{{}}, Devices: []Device{
				{Short: wire.ShortAddr(0)}, {Short: wire.ShortAddr(0), Extended: address},
			}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewSecurity(tt.cfg)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
	_, err := NewSecurity(SecurityConfig{
		Address: address, Keys: []Key{{}, {Mode: 1, Index: 1}, {Mode: 1, Index: 2}},
		Devices: []Device{{Short: wire.ShortAddr(0)}, {Extended: address}, {Extended: [8]byte{2}, Short: wire.ShortAddr(0), PAN: 1}},
	})
	require.NoError(t, err)
}

// roundTrip has a frame go from a to b, once for each call.
func roundTrip(t testing.TB) func() {
	a, b := newStation(t, alice, SecurityConfig{}), newStation(t, bob, SecurityConfig{})
	return func() {
		p := packet.New(80)
		p.Append(80)
		h := a.header()
		if err := a.Protect(&h, p); err != nil {
			t.Fatal(err)
		}
		var got wire.IEEE802154Repr
		if err := got.Parse(p.Head()); err != nil {
			t.Fatal(err)
		}
		if cause := b.Unprotect(&got, p); cause != None {
			t.Fatal(cause)
		}
		p.Release()
	}
}

func TestSecurityAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	f := roundTrip(t)
	f()
	require.Zero(t, testing.AllocsPerRun(100, f))
}

func BenchmarkSecurity(b *testing.B) {
	f := roundTrip(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// Whatever comes, nothing panics, and nothing is taken for genuine but the one frame that was made with the key.
func FuzzUnprotect(f *testing.F) {
	genuine := newStation(f, alice, SecurityConfig{}).says("hello")
	f.Add(genuine)
	f.Add(unhex("2bdc 84 2143 0200000000 48deac ffff 0100000000 48deac 06 05000000 01 d8 4fde529061f9c6f1"))
	f.Add(unhex("08d0 84 2143 0100000000 48deac 02 05000000 55cf 00 00 51525354 223bc1ec841ab553"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var h wire.IEEE802154Repr
		if len(frame) > 127 || h.Parse(frame) != nil {
			return
		}
		b := newStation(t, bob, SecurityConfig{Keys: []Key{networkKey, {Secret: [16]byte{7}}}})
		payload, cause := b.receives(frame)
		switch {
		case cause != None:
		case h.MICLen() > 0:
			require.Equal(t, genuine, frame)
			require.Equal(t, "hello", payload)
		default:
			require.NotEqual(t, wire.IEEE802154Data, h.Type)
		}
	})
}
