package core

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// fuzzedRadios are what a stack on a radio may be.
var fuzzedRadios = []func(c *InterfaceConfig){
	func(c *InterfaceConfig) { c.Addresses = []netip.Prefix{netip.PrefixFrom(globalB, 64)} },
	func(c *InterfaceConfig) { c.Autoconf = true },
	func(c *InterfaceConfig) {
		c.Addresses, c.Forward = []netip.Prefix{netip.PrefixFrom(globalB, 64)}, true
		c.IEEE802154.Router = &registration.RouterConfig{BorderRouter: globalB, Interval: time.Minute,
			Prefixes: []registration.Prefix{{Prefix: prefix("2001:db8::/64")}},
			Contexts: []wire.NDContextRepr{{Prefix: prefix("2001:db8::/64"), Lifetime: time.Hour}}}
	},
	func(c *InterfaceConfig) {
		// Encrypted without a code, so that what somebody makes up is read.
		c.IEEE802154.Security = &ieee802154.SecurityConfig{Keys: []ieee802154.Key{radioKey}, Level: 4, AcceptUnsecured: true}
		c.IEEE802154.ElidedChecksums = true
	},
	func(c *InterfaceConfig) {
		c.Autoconf = true
		c.IEEE802154.NoAcknowledgments, c.IEEE802154.ShortAddr = true, 0x660b
		c.IEEE802154.Pacing = lowpan.Pacing{Gap: 2 * time.Millisecond, Octet: lowpan.OctetTime}
	},
}

// FuzzRadio gives a stack on a radio, a host or a router, secured or not, whatever frames: nothing panics, nothing leaks, nothing
// grows beyond its bounds, and what leaves is sound. The octets are a sequence of frames, each behind two octets of length, whose
// two topmost bits say how long it is before it arrives, and the next whether what left last is acknowledged before.
func FuzzRadio(f *testing.F) {
	var conversation []byte
	frames := radioCapture(f)
	for i, c := range frames {
		conversation = append(binary.BigEndian.AppendUint16(conversation, uint16(len(c.frame))|0x2000), c.frame...)
		if i%50 == 49 || i == len(frames)-1 {
			for kind := range fuzzedRadios {
				f.Add(uint8(kind), conversation)
			}
			conversation = nil
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		live := livePackets()
		r := newFuzzedRadio(t, fuzzedRadios[int(kind)%len(fuzzedRadios)])
		pauses := [...]time.Duration{0, 2 * time.Millisecond, 11 * time.Second, time.Hour}
		for frames := 0; len(b) >= 2 && frames < 64; frames++ {
			control := binary.BigEndian.Uint16(b)
			n := min(int(control&0x1ff), len(b)-2)
			r.pause(pauses[control>>14])
			if control&0x2000 != 0 && r.last != nil {
				r.give(radioFrame(wire.IEEE802154Repr{Type: wire.IEEE802154Ack, Seq: r.last[2]}, nil))
			}
			r.give(b[2 : 2+n])
			b = b[2+n:]
		}
		r.pause(time.Minute)
		if octets := r.link.radio.reassembly.Octets(); octets != 0 {
			t.Fatalf("%d octets wait for fragments that nobody sends", octets)
		}
		r.stack.Close(r.now)
		if leaked := livePackets() - live; leaked != 0 {
			t.Fatalf("%d packets leaked", leaked)
		}
	})
}

// fuzzedRadio is a stack under fire, and an endpoint that answers.
type fuzzedRadio struct {
	*script
	e    *udp.Endpoint
	last []byte // the frame that has left last
}

func newFuzzedRadio(t *testing.T, change func(*InterfaceConfig)) *fuzzedRadio {
	r := &fuzzedRadio{script: &script{t: t, now: epoch}}
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.stack, err = New(epoch, Config{Rand: seeded(), Limits: radioLimits, Event: func(e Event) { _ = e.String() }})
	fail(err)
	config := InterfaceConfig{Device: &testDevice{radioCaps(1280)}, IEEE802154: &IEEE802154Config{PAN: radioPAN, EUI64: euiB}}
	change(&config)
	r.link, err = r.stack.AddInterface(epoch, config)
	fail(err)
	r.e, err = r.stack.UDP().Bind(udp.BindConfig{Local: addrPort("[::]:7")})
	fail(err)
	r.pause(time.Second)
	return r
}

// pause lets time pass, in some steps.
func (r *fuzzedRadio) pause(d time.Duration) {
	end := r.now.Add(d)
	for range 100 {
		r.collect()
		at, ok := r.stack.PollAt()
		if !ok || at.After(end) {
			break
		}
		if at.After(r.now) {
			r.now = at
		}
		r.stack.Advance(r.now)
	}
	r.now = end
	r.stack.Advance(r.now)
	r.collect()
}

func (r *fuzzedRadio) give(b []byte) {
	p := packetOf(b)
	p.Checksum = packet.ChecksumVerified // so that what is behind checksums is reached
	r.recvPackets(p)
	for p, from, ok := r.e.Receive(); ok; p, from, ok = r.e.Receive() {
		info := p.IP
		if err := r.e.Send(r.now, p, from, info.Link); err == udp.ErrWouldBlock {
			p.Release()
		}
	}
	r.collect()
	l, limits := r.link, &r.stack.limits
	for _, table := range []struct {
		name     string
		len, max int
	}{
		{"datagrams under way", l.radio.reassembly.Len(), lowpan.DefaultMaxDatagrams},
		{"octets of them", l.radio.reassembly.Octets(), lowpan.DefaultMaxDatagrams * 2304},
		{"acknowledgments", l.radio.answers.Len(), 0},
		{"packets", l.control.Len(), limits.ControlQueue},
		{"neighbours", l.Neighbours().Len(), limits.Neighbours + len(l.Registrations())},
		{"registrations", len(l.Registrations()), 16},
		{"addresses", len(l.Addresses()), limits.Addresses},
		{"routers", len(l.Routers()), limits.Routers},
	} {
		if table.len > table.max {
			r.t.Fatalf("%d %s, which are bounded by %d", table.len, table.name, table.max)
		}
	}
}

// collect takes what leaves, and checks it.
func (r *fuzzedRadio) collect() {
	for _, b := range r.send() {
		var h wire.IEEE802154Repr
		if err := h.Parse(wire.IEEE802154Frame(b)); err != nil || len(b) > wire.IEEE802154MaxFrameLen {
			r.t.Fatalf("a bad frame leaves, %v: %x", err, b)
		}
		if h.Type == wire.IEEE802154Ack {
			continue
		}
		r.last = b
		if h.Src != nodeB || h.DstPAN != radioPAN || h.Dst.IsZero() || h.Secured != (r.link.radio.security != nil) {
			r.t.Fatalf("a strange frame leaves: %v", &h)
		}
		payload := h.Payload(wire.IEEE802154Frame(b))
		switch dispatch := wire.ParseLowpanDispatch(payload); {
		case h.Encrypted():
		case dispatch == wire.LowpanIPHC, dispatch == wire.LowpanIPv6:
			var headers [wire.LowpanMaxDecompressedLen]byte
			link := wire.LowpanLink{Src: h.Src, Dst: h.Dst, Contexts: &r.link.radio.contexts}
			if _, err := wire.DecompressIPv6(headers[:], payload, 0, link); err != nil {
				r.t.Fatalf("a packet leaves that nobody can decompress, %v: %x", err, payload)
			}
		case dispatch != wire.LowpanFRAG1 && dispatch != wire.LowpanFRAGN:
			r.t.Fatalf("what leaves is not 6LoWPAN: %x", payload)
		}
	}
}
