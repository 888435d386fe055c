package core

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// FuzzForward gives a router whatever frames on an Ethernet, to be forwarded to a link of a smaller MTU: nothing panics, nothing
// leaks, and what leaves there is as long as it may be and has a hop less. The octets are a sequence of frames, each behind two
// octets of length, whose topmost bit says that the device has merged segments, and the next that a checksum is to be completed.
func FuzzForward(f *testing.F) {
	for _, frame := range [][]byte{
		toUs(udpTo(them4, beyond4, 1000, 7, "hello")), toUs(udpTo(them6, beyond6, 1000, 7, "hello")),
		toUs(syn(them4, beyond4, 1000, 80)), toUs(syn(them6, beyond6, 1000, 80)),
		toUs(ipv6(them6, beyond6, wire.IPv6HopByHop, []byte{17, 0, 5, 2, 0, 0, 1, 0, 0, 1, 0, 2, 0, 8, 0, 0})),
		toUs(hops(echo4(them4, beyond4, ""), 1)), toUs(echo6(them6, addr("2001:db8::1"), "")),
		toUs(ipv4Options(them4, beyond4, 17, []byte{131, 7, 4, 10, 0, 0, 1, 0}, make([]byte, 8))),
	} {
		for _, flags := range []uint16{0, 0x8000, 0x4000, 0xc000} {
			f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))|flags), frame...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		live := livePackets()
		s, err := New(epoch, Config{Rand: seeded()})
		if err != nil {
			t.Fatal(err)
		}
		near, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{ethernet(1500)}, HardwareAddr: ourHardware,
			Forward: true, DuplicateDetection: DetectNone, Addresses: addresses(0, "192.168.69.1/24", "fdaa::1/64").Addresses})
		if err != nil {
			t.Fatal(err)
		}
		far, err := s.AddInterface(epoch, InterfaceConfig{Device: &testDevice{dev.Capabilities{Medium: dev.IP, MTU: 1280}},
			Forward: true, Addresses: addresses(0, "10.0.0.1/8", "fdbb::1/64").Addresses})
		if err != nil {
			t.Fatal(err)
		}
		drain := func(l *Interface, check func([]byte)) {
			var pkts [16]*packet.Packet
			for n := s.Output(epoch, l, pkts[:]); n > 0; n = s.Output(epoch, l, pkts[:]) {
				for _, p := range pkts[:n] {
					p.Own()
					check(p.Head())
					p.Release()
				}
			}
		}
		drain(far, func([]byte) {}) // what the stack says of itself
		for len(b) >= 2 {
			control := binary.BigEndian.Uint16(b)
			n := min(int(control&0x3fff), len(b)-2)
			p := packetOf(b[2 : 2+n])
			if control&0x8000 != 0 {
				p.SegmentSize = 100
			}
			if control&0x4000 != 0 {
				p.SetPartialChecksum(34, 16)
			}
			s.Input(epoch, near, []*packet.Packet{p})
			drain(far, func(sent []byte) {
				if len(sent) > 1280 {
					t.Fatalf("%d octets leave where the MTU is 1280", len(sent))
				}
				if len(sent) >= 40 && sent[0]>>4 == 6 && sent[7] == 0 || sent[0]>>4 == 4 && sent[8] == 0 {
					t.Fatalf("a packet without hops leaves: %x", sent)
				}
			})
			drain(near, func([]byte) {})
			b = b[2+n:]
		}
		s.Advance(epoch.Add(time.Minute))
		s.Close(epoch.Add(time.Minute))
		if leaked := livePackets() - live; leaked != 0 {
			t.Fatalf("%d packets leaked", leaked)
		}
	})
}
