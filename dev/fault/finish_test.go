package fault_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

const ecnCapable, ecnExperienced = 2, 3

// ipFrame returns a frame of the medium with a packet of either version that carries body, of the protocol and traffic
// class given, behind extensions if it is IPv6; and where in the frame body begins.
func ipFrame(medium dev.Medium, version int, class, protocol uint8, extensions, body []byte) (transport int, frame []byte) {
	if medium == dev.Ethernet {
		h := wire.EthernetRepr{Dst: wire.HardwareAddr{2, 0, 0, 0, 0, 1}, Src: wire.HardwareAddr{2, 0, 0, 0, 0, 2}, EtherType: wire.EtherTypeIPv4}
		if version == 6 {
			h.EtherType = wire.EtherTypeIPv6
		}
		frame = make([]byte, h.Len())
		h.Emit(frame)
	}
	header := make([]byte, wire.IPv4HeaderLen)
	if version == 4 {
		h := wire.IPv4Repr{Src: source(4), Dst: destination(4), Protocol: protocol, TTL: 64, TOS: class, ID: 7,
			PayloadLen: len(body)}
		h.Emit(header)
	} else {
		header = make([]byte, wire.IPv6HeaderLen)
		h := wire.IPv6Repr{Src: source(6), Dst: destination(6), NextHeader: protocol, HopLimit: 64, TrafficClass: class,
			FlowLabel: 0xbeef, PayloadLen: len(extensions) + len(body)}
		if len(extensions) > 0 {
			extensions[0], h.NextHeader = protocol, wire.IPv6DestinationOptions
		}
		h.Emit(header)
		header = append(header, extensions...)
	}
	frame = append(frame, header...)
	return len(frame), append(frame, body...)
}

func source(version int) netip.Addr      { return address(version, "192.0.2.1", "2001:db8::1") }
func destination(version int) netip.Addr { return address(version, "192.0.2.2", "2001:db8::2") }

func address(version int, v4, v6 string) netip.Addr {
	if version == 4 {
		return netip.MustParseAddr(v4)
	}
	return netip.MustParseAddr(v6)
}

// tcpSegment returns a segment, options included, with all but its checksum.
func tcpSegment(flags wire.TCPFlags, payload []byte) wire.TCPPacket {
	h := wire.TCPRepr{SrcPort: 80, DstPort: 4242, Seq: 1<<32 - 1000, Ack: 9, Flags: flags, Window: 500, PayloadLen: len(payload),
		Options: wire.TCPOptions{HasTimestamps: true, TSVal: 1, TSEcr: 2}}
	b := make([]byte, h.Len())
	h.Emit(b)
	return append(b, payload...)
}

// packetOf returns a packet whose first octets it contains, and whose others it references.
func packetOf(b []byte, contained int) *packet.Packet {
	p := packet.New(contained)
	copy(p.Append(contained), b)
	chunk := packet.NewChunk(max(len(b)-contained, 1))
	p.Reference(chunk, chunk.Data()[:copy(chunk.Data(), b[contained:])])
	chunk.Release()
	return p
}

// pseudoSum is what a partial checksum begins with.
func pseudoSum(version int, protocol uint8, length int) uint16 {
	var sum wire.Sum
	sum.AddPseudoHeader(source(version), destination(version), protocol, length)
	return sum.Fold()
}

// everything claims all offloads, in both directions.
func everything(medium dev.Medium) pipe.Config {
	return pipe.Config{Medium: medium, SegmentTCP4: true, SegmentTCP6: true, Checksum: dev.Checksums{
		IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone, UDP: dev.ChecksumNone, TCP: dev.ChecksumNone}}
}

// looked lets frames pass, but looks at them.
var looked = fault.Direction{Script: func(fault.Frame) fault.Action { return fault.Pass }}

// cross sends p one way through a device that looks at frames, and returns what arrives.
func cross(t *testing.T, link pipe.Config, way string, p *packet.Packet) [][]byte {
	t.Helper()
	w := wrap(t, link, fault.Config{Out: looked, In: looked})
	from, to := dev.Device(w.d), dev.Device(w.other)
	if way == "in" {
		from, to = to, from
	}
	n, err := from.Send(epoch, []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	return w.frames(to, epoch)
}

// everyKind runs a test for every medium, version of IP, and direction.
func everyKind(t *testing.T, test func(t *testing.T, medium dev.Medium, version int, way string)) {
	for _, medium := range []dev.Medium{dev.Ethernet, dev.IP} {
		for _, version := range []int{4, 6} {
			for _, way := range []string{"out", "in"} {
				name := map[int]string{4: "IPv4", 6: "IPv6"}[version] + " over " + medium.String() + " " + way
				t.Run(name, func(t *testing.T) { test(t, medium, version, way) })
			}
		}
	}
}

// requireWhole checks lengths and checksums of a frame, and returns its traffic class and its TCP segment.
func requireWhole(t *testing.T, version, transport int, frame []byte) (class uint8, segment wire.TCPPacket) {
	t.Helper()
	network := 0
	if len(frame) > 12 && frame[0]>>4 != 4 && frame[0]>>4 != 6 {
		network = wire.EthernetHeaderLen
	}
	if version == 4 {
		h, err := wire.ParseIPv4(frame[network:])
		require.NoError(t, err)
		require.Len(t, frame[network:], h.TotalLen())
		require.True(t, h.VerifyChecksum(), "the header's checksum")
		class = h.TOS()
	} else {
		h, err := wire.ParseIPv6(frame[network:])
		require.NoError(t, err)
		require.Len(t, frame[network:], wire.IPv6HeaderLen+h.PayloadLen())
		class = h.TrafficClass()
	}
	segment, err := wire.ParseTCP(frame[transport:])
	require.NoError(t, err)
	require.True(t, segment.VerifyChecksum(source(version), destination(version)), "the segment's checksum")
	return class, segment
}

func TestSuperSegmentsAreSplit(t *testing.T) {
	const size = 1000
	payload := make([]byte, 4*size+1)
	for i := range payload {
		payload[i] = byte(i / 7)
	}
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		segment := tcpSegment(wire.TCPAck|wire.TCPCwr|wire.TCPPsh|wire.TCPFin, payload)
		segment.SetChecksum(pseudoSum(version, 6, len(segment)))
		var extensions []byte
		if way == "in" {
			extensions = make([]byte, 8) // two octets of header, and Pad1 options
		}
		transport, frame := ipFrame(medium, version, 0, 6, extensions, segment)
		network := transport - len(extensions) - map[int]int{4: 20, 6: 40}[version]
		if version == 4 {
			network = transport - 20
			copy(frame[network+10:], []byte{0, 0}) // left to the device
		}
		p := packetOf(frame, transport+segment.HeaderLen())
		p.SetPartialChecksum(transport, wire.TCPChecksumField)
		p.SegmentSize = size

		frames := cross(t, everything(medium), way, p)
		require.Len(t, frames, 5)
		var joined []byte
		for i, frame := range frames {
			_, got := requireWhole(t, version, transport, frame)
			require.Equal(t, segment.Options(), got.Options())
			require.Equal(t, segment.Seq()+uint32(i*size), got.Seq())
			want := wire.TCPAck
			if i == 0 {
				want |= wire.TCPCwr
			}
			if i == 4 {
				want |= wire.TCPPsh | wire.TCPFin
			}
			require.Equal(t, want, got.Flags())
			if version == 4 {
				require.EqualValues(t, 7+i, wire.IPv4Packet(frame[network:]).ID())
			}
			joined = append(joined, got.Payload()...)
		}
		require.True(t, bytes.Equal(payload, joined))
	})
}

func TestChecksumsAreCompleted(t *testing.T) {
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		t.Run("TCP, partial", func(t *testing.T) {
			segment := tcpSegment(wire.TCPAck, []byte("odd"))
			segment.SetChecksum(pseudoSum(version, 6, len(segment)))
			transport, frame := ipFrame(medium, version, 0, 6, nil, segment)
			p := packetOf(frame, len(frame)-2)
			p.SetPartialChecksum(transport, wire.TCPChecksumField)
			requireWhole(t, version, transport, cross(t, everything(medium), way, p)[0])
		})
		t.Run("TCP, verified by a device that keeps no checksum", func(t *testing.T) {
			transport, frame := ipFrame(medium, version, 0, 6, nil, tcpSegment(wire.TCPAck, []byte("data")))
			p := packetOf(frame, len(frame)-2)
			p.Checksum = packet.ChecksumVerified
			requireWhole(t, version, transport, cross(t, everything(medium), way, p)[0])
		})
		t.Run("UDP, whose sum is zero", func(t *testing.T) {
			b := make([]byte, 10)
			h := wire.UDPPacket(b)
			h.SetSrcPort(1)
			h.SetDstPort(2)
			h.SetLength(len(b))
			h.SetChecksum(pseudoSum(version, 17, len(b)))
			var sum wire.Sum
			sum.Add(b)
			binary.BigEndian.PutUint16(b[8:], sum.Checksum())
			transport, frame := ipFrame(medium, version, 0, 17, nil, b)
			p := packetOf(frame, len(frame)-1)
			p.SetPartialChecksum(transport, wire.UDPChecksumField)
			got := wire.UDPPacket(cross(t, everything(medium), way, p)[0][transport:])
			require.EqualValues(t, 0xffff, got.Checksum(), "zero would say that there is none")
		})
		t.Run("ICMP, left out", func(t *testing.T) {
			message, protocol := []byte{8, 0, 0, 0, 0, 1, 0, 2, 'd', 'a', 't'}, uint8(1)
			if version == 6 {
				message[0], protocol = wire.ICMPv6EchoRequest, 58
			}
			transport, frame := ipFrame(medium, version, 0, protocol, nil, message)
			got := cross(t, everything(medium), way, packetOf(frame, len(frame)-1))[0][transport:]
			if version == 4 {
				require.True(t, wire.ICMPv4Packet(got).VerifyChecksum())
			} else {
				require.True(t, wire.ICMPv6Packet(got).VerifyChecksum(source(6), destination(6)))
			}
		})
	})
}

func TestWhatIsFullAlreadyIsLeftAlone(t *testing.T) {
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		segment := tcpSegment(wire.TCPAck, []byte("data"))
		segment.SetChecksum(0x1234)
		_, frame := ipFrame(medium, version, 0, 6, nil, segment)
		got := cross(t, everything(medium), way, packetOf(frame, len(frame)))
		require.Equal(t, [][]byte{frame}, got, "a wrong checksum stays wrong")
	})
}

func TestCorruptionOfWhatHadNoChecksumIsFound(t *testing.T) {
	const rounds = 300
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		corrupt := fault.Direction{Corrupt: 1}
		w := wrap(t, everything(medium), fault.Config{Out: corrupt, In: corrupt})
		from, to := dev.Device(w.d), dev.Device(w.other)
		if way == "in" {
			from, to = to, from
		}
		for range rounds {
			segment := tcpSegment(wire.TCPAck, make([]byte, 1000))
			segment.SetChecksum(pseudoSum(version, 6, len(segment)))
			transport, frame := ipFrame(medium, version, 0, 6, nil, segment)
			p := packetOf(frame, len(frame)-900)
			p.SetPartialChecksum(transport, wire.TCPChecksumField)
			_, err := from.Send(epoch, []*packet.Packet{p})
			require.NoError(t, err)
			got := make([]*packet.Packet, 1)
			_, err = to.Receive(epoch, got)
			require.NoError(t, err)
			require.Equal(t, packet.ChecksumFull, got[0].Checksum)
			got[0].Own()
			b := got[0].Head()
			if bytes.Equal(b[transport:transport+4], frame[transport:transport+4]) && bytes.Equal(b[:transport], frame[:transport]) {
				require.False(t, wire.TCPPacket(b[transport:]).VerifyChecksum(source(version), destination(version)))
			}
			got[0].Release()
		}
	})
}

func TestAStrangePacketPassesAsItIs(t *testing.T) {
	for _, tc := range []struct {
		name  string
		octet []byte
	}{
		{"nothing", nil},
		{"one octet", []byte{0x45}},
		{"a header without a packet", append([]byte{0x45, 0, 0xff, 0xff}, make([]byte, 16)...)},
		{"IPv6 whose extensions do not end", append([]byte{0x60, 0, 0, 0, 0, 0, 60, 0}, make([]byte, 32)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, way := range []string{"out", "in"} {
				p := packet.New(len(tc.octet))
				copy(p.Append(len(tc.octet)), tc.octet)
				if way == "in" {
					p.SetPartialChecksum(1000, 16)
				}
				got := cross(t, everything(dev.IP), way, p)
				require.Len(t, got, 1)
				require.True(t, bytes.Equal(tc.octet, got[0]))
			}
		})
	}
}

func TestMarking(t *testing.T) {
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		mark := fault.Direction{Mark: 1}
		w := wrap(t, pipe.Config{Medium: medium}, fault.Config{Out: mark, In: mark})
		from, to := dev.Device(w.d), dev.Device(w.other)
		if way == "in" {
			from, to = to, from
		}
		for _, tc := range []struct{ ecn, want uint8 }{{0, 0}, {1, ecnExperienced}, {ecnCapable, ecnExperienced}, {3, 3}} {
			segment := tcpSegment(wire.TCPAck, nil)
			segment.FillChecksum(source(version), destination(version))
			transport, frame := ipFrame(medium, version, 46<<2|tc.ecn, 6, nil, segment)
			_, err := from.Send(epoch, []*packet.Packet{packetOf(frame, len(frame))})
			require.NoError(t, err)
			got := w.frames(to, epoch)[0]
			class, _ := requireWhole(t, version, transport, got)
			require.EqualValues(t, 46<<2|tc.want, class)
			if version == 6 {
				require.EqualValues(t, 0xbeef, wire.IPv6Packet(got[transport-40:]).FlowLabel())
			}
		}
		out, in := w.d.Counters()
		require.EqualValues(t, 2, out.Marked+in.Marked, "those that have changed")
	})
}

func TestMarkingByTheQueue(t *testing.T) {
	w := wrap(t, ip, fault.Config{Out: fault.Direction{Bandwidth: 1000, MarkAbove: 200, Queue: 300}})
	_, frame := ipFrame(dev.IP, 4, ecnCapable, 6, nil, tcpSegment(wire.TCPAck, make([]byte, 48)))
	require.Len(t, frame, 100)
	for range 4 {
		_, err := w.d.Send(epoch, []*packet.Packet{packetOf(frame, len(frame))})
		require.NoError(t, err)
	}
	w.wake(at(time.Second))
	var marks []uint8
	for _, b := range w.frames(w.other, epoch) {
		marks = append(marks, wire.IPv4Packet(b).ECN())
	}
	require.Equal(t, []uint8{ecnCapable, ecnCapable, ecnExperienced}, marks, "the third makes it more than 200, the fourth finds no room")
}

func TestAScriptSeesWholeFrames(t *testing.T) {
	everyKind(t, func(t *testing.T, medium dev.Medium, version int, way string) {
		var seen []fault.Frame
		script := fault.Direction{Script: func(f fault.Frame) fault.Action {
			f.Data, f.IP, f.TCP = bytes.Clone(f.Data), bytes.Clone(f.IP), bytes.Clone(f.TCP)
			seen = append(seen, f)
			return fault.Pass
		}}
		w := wrap(t, everything(medium), fault.Config{Out: script, In: script})
		from := dev.Device(w.d)
		if way == "in" {
			from = w.other
		}
		segment := tcpSegment(wire.TCPAck, make([]byte, 200))
		segment.SetChecksum(pseudoSum(version, 6, len(segment)))
		transport, frame := ipFrame(medium, version, 0, 6, nil, segment)
		p := packetOf(frame, transport+segment.HeaderLen())
		p.SetPartialChecksum(transport, wire.TCPChecksumField)
		p.SegmentSize = 100
		for _, p := range []*packet.Packet{p, numbered(0, 60)} {
			_, err := from.Send(at(time.Second), []*packet.Packet{p})
			require.NoError(t, err)
		}
		w.frames(w.d, at(time.Second))
		w.frames(w.other, at(time.Second))

		require.Len(t, seen, 3)
		for i, f := range seen[:2] {
			require.Equal(t, i, f.N)
			require.Equal(t, at(time.Second), f.Now)
			_, got := requireWhole(t, version, transport, f.Data)
			require.Equal(t, got, f.TCP)
			require.Equal(t, segment.Seq()+uint32(100*i), f.TCP.Seq())
			require.Len(t, f.TCP.Payload(), 100)
			require.True(t, bytes.HasSuffix(f.Data, f.IP))
			require.EqualValues(t, version, f.IP[0]>>4)
		}
		require.Len(t, seen[2].Data, 60)
		require.Nil(t, seen[2].IP)
		require.Nil(t, seen[2].TCP)
	})
}
