package trace_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/trace"
)

var (
	epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	left  = netip.MustParseAddr("192.0.2.1")
	right = netip.MustParseAddr("192.0.2.2")
)

// hold makes a packet of octets.
func hold(octets []byte) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

// ipv4 is an IPv4 packet around what it carries.
func ipv4(protocol uint8, carried []byte) []byte {
	header := wire.IPv4Repr{Src: left, Dst: right, Protocol: protocol, TTL: 64, PayloadLen: len(carried)}
	b := make([]byte, header.Len(), header.Len()+len(carried))
	header.Emit(b)
	return append(b, carried...)
}

// datagram is an IPv4 packet with a UDP datagram from port 5000 to the port given.
func datagram(port uint16, payload string) []byte {
	b := make([]byte, wire.UDPHeaderLen+len(payload))
	header := wire.UDPRepr{SrcPort: 5000, DstPort: port, PayloadLen: len(payload)}
	header.Emit(b)
	copy(b[wire.UDPHeaderLen:], payload)
	wire.UDPPacket(b).FillChecksum(left, right)
	return ipv4(17, b)
}

// echo is an IPv4 packet with an echo request.
func echo() []byte {
	request := wire.ICMPv4EchoRepr{Ident: 7, Seq: 1, Data: []byte("ping")}
	b := make([]byte, request.Len())
	request.Emit(b)
	return ipv4(1, b)
}

// segment is an IPv4 packet with a TCP segment of so many octets of data, all zero.
func segment(payload int) []byte {
	header := wire.TCPRepr{SrcPort: 80, DstPort: 4000, Flags: wire.TCPAck, Seq: 1, Ack: 1, Window: 100}
	b := make([]byte, header.Len()+payload)
	header.Emit(b)
	wire.TCPPacket(b).FillChecksum(left, right)
	return ipv4(6, b)
}

// lines takes the lines that were written.
func lines(b *bytes.Buffer) []string {
	text := strings.TrimSuffix(b.String(), "\n")
	b.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func traced(t *testing.T, inner dev.Device, cfg trace.Config) *trace.Device {
	t.Helper()
	d, err := trace.New(inner, cfg)
	require.NoError(t, err)
	return d
}

func send(t *testing.T, d dev.Device, now time.Time, pkts ...*packet.Packet) {
	t.Helper()
	n, err := d.Send(now, pkts)
	require.NoError(t, err)
	require.Equal(t, len(pkts), n)
}

// drain receives and releases what has arrived, and returns how many that were.
func drain(t *testing.T, d dev.Device, now time.Time) int {
	t.Helper()
	pkts := make([]*packet.Packet, 16)
	n, err := d.Receive(now, pkts)
	require.NoError(t, err)
	for _, p := range pkts[:n] {
		p.Release()
	}
	return n
}

func TestALineAFrameInVirtualTime(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, Delay: 50 * time.Millisecond})
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out, Name: "left"})
	peer := traced(t, b, trace.Config{Writer: &out})

	send(t, d, epoch, hold(datagram(7, "hello")), hold(echo()))
	require.Equal(t, []string{
		"00:00:00.000000 left out IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5",
		"00:00:00.000000 left out IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1, length 12",
	}, lines(&out))

	require.Zero(t, drain(t, peer, epoch))
	require.Empty(t, lines(&out))
	due, ok := peer.PollAt()
	require.True(t, ok, "of the inner device")
	require.Equal(t, epoch.Add(50*time.Millisecond), due)
	require.Equal(t, 2, drain(t, peer, due))
	require.Equal(t, []string{
		"00:00:00.050000 in  IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5",
		"00:00:00.050000 in  IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1, length 12",
	}, lines(&out))
}

func TestEthernetAndOthers(t *testing.T) {
	header := wire.EthernetRepr{Dst: wire.BroadcastHardwareAddr, Src: wire.HardwareAddr{2, 0, 0, 0, 0, 1},
		EtherType: wire.EtherTypeIPv4}
	frame := make([]byte, header.Len())
	header.Emit(frame)
	tests := []struct {
		name   string
		medium dev.Medium
		octets []byte
		want   string
	}{
		{"an Ethernet frame", dev.Ethernet, append(frame, datagram(9, "abc")...), "IP 192.0.2.1.5000 > 192.0.2.2.9: UDP, length 3"},
		{"half of an Ethernet header", dev.Ethernet, frame[:7], "[|ether]"},
		{"nothing", dev.IP, nil, "IP [|ip]"},
		{"half of an IP packet", dev.IP, datagram(9, "abc")[:24],
			"IP truncated-ip - 7 bytes missing! 192.0.2.1 > 192.0.2.2: [|udp]"},
		{"a radio frame", dev.IEEE802154, []byte{1, 2, 3}, "IEEE 802.15.4 Data, seq 3, length 0"},
		{"6LoWPAN, and in it a registration", dev.IEEE802154, radioFrame(wire.ExtendedAddr([8]byte{0: 2, 7: 1}), netip.MustParseAddr("fe80::1"),
			&wire.NDMessageWithOptions{
				Message: &wire.NDNeighborSolicitationRepr{Target: netip.MustParseAddr("fe80::1")},
				Options: wire.NDOptions(nil).Append(&wire.NDAddressRegistrationRepr{
					Lifetime: time.Hour, Owner: wire.EUI64ROVR([8]byte{0: 2, 7: 2}),
				}),
			}), "IEEE 802.15.4 Data, seq 7, pan 0x0023, 02:00:00:00:00:00:00:02 > 02:00:00:00:00:00:00:01, 6LoWPAN IPHC TF 11 HLIM 255 SAM 11 DAM 11: " +
			"IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, " +
			"address registration 02:00:00:00:00:00:00:02, lifetime 60m, success, length 40"},
		{"6LoWPAN, and in it RPL", dev.IEEE802154, radioFrame(wire.BroadcastShortAddr, netip.MustParseAddr("ff02::1a"),
			&wire.RPLDIORepr{Version: 240, Rank: 256, Mode: wire.RPLStoring, DODAG: netip.MustParseAddr("2001:db8::1"),
				Options: wire.RPLOptions(nil).Append(&wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: 256})}),
			"IEEE 802.15.4 Data, seq 7, pan 0x0023, 02:00:00:00:00:00:00:02 > 0xffff, 6LoWPAN IPHC TF 11 HLIM 255 SAM 11 M DAM 11: " +
				"IP6 fe80::2 > ff02::1a: ICMP6, RPL, " +
				"DODAG information object [dodagid:2001:db8::1,seq:240,instance:0,rank:256,dtsn:0,mop:storing,prf:0], config pcs 0, imin 0, " +
				"doublings 0, k 0, max-rank-inc 0, min-hop-rank-inc 256, ocp 0, lifetime 0 x 0s, length 44"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := pipe.New(pipe.Config{Medium: tt.medium})
			var out bytes.Buffer
			d := traced(t, a, trace.Config{Writer: &out, TimeFormat: time.RFC3339})
			send(t, d, epoch, hold(tt.octets))
			require.Equal(t, []string{"2026-01-01T00:00:00Z out " + tt.want}, lines(&out))
		})
	}
}

// radioFrame is a frame from 02:00:00:00:00:00:00:02 with an ICMPv6 message.
func radioFrame(to wire.LinkAddr, dst netip.Addr, message interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
}) []byte {
	from, src := wire.ExtendedAddr([8]byte{0: 2, 7: 2}), netip.MustParseAddr("fe80::2")
	header := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: 58, HopLimit: 255, PayloadLen: message.Len()}
	packet := make([]byte, header.Len()+message.Len())
	header.Emit(packet)
	message.Emit(packet[header.Len():], src, dst)
	mac := wire.IEEE802154Repr{
		Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006, Seq: 7, PANCompression: true, DstPAN: 0x23, SrcPAN: 0x23, Dst: to, Src: from,
	}
	frame := make([]byte, mac.Len(), 125)
	mac.Emit(frame)
	n, consumed := wire.CompressIPv6(frame[mac.Len():cap(frame)], packet, len(packet), wire.LowpanLink{Src: from, Dst: to})
	return append(frame[:mac.Len()+n], packet[consumed:]...)
}

// offloading are the capabilities of a pipe whose ends leave everything to each other.
var offloading = pipe.Config{
	Medium: dev.IP,
	Checksum: dev.Checksums{IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone,
		UDP: dev.ChecksumNone, TCP: dev.ChecksumNone},
	SegmentTCP4: true,
}

func TestWhatIsLeftToTheDeviceIsNotWrong(t *testing.T) {
	a, b := pipe.New(offloading)
	var out bytes.Buffer
	d, peer := traced(t, a, trace.Config{Writer: &out}), traced(t, b, trace.Config{Writer: &out})

	bare := datagram(7, "x")
	clear(bare[10:12])
	partial := hold(bare)
	partial.SetPartialChecksum(wire.IPv4HeaderLen, wire.UDPChecksumField)

	super := hold(segment(3000))
	super.SegmentSize = 1460
	super.SetPartialChecksum(wire.IPv4HeaderLen, wire.TCPChecksumField)

	ping := echo()
	clear(ping[10:12])
	clear(ping[22:24])

	for _, side := range []struct {
		direction string
		pass      func()
	}{
		{"out", func() { send(t, d, epoch, partial, super, hold(ping)) }},
		{"in ", func() { require.Equal(t, 3, drain(t, peer, epoch)) }},
	} {
		side.pass()
		require.Equal(t, []string{
			"00:00:00.000000 " + side.direction + " IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 1 (partial cksum)",
			"00:00:00.000000 " + side.direction + " IP 192.0.2.1.80 > 192.0.2.2.4000: Flags [.], seq 1:3001, ack 1, win 100, " +
				"length 3000 (super-segment, 1460 octets each) (partial cksum)",
			"00:00:00.000000 " + side.direction + " IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1, length 12",
		}, lines(&out))
	}
}

func TestAWrongChecksumIsCalledWrong(t *testing.T) {
	spoil := func(b []byte, at int) []byte {
		b[at] ^= 1
		return b
	}
	tests := []struct {
		name   string
		octets []byte
		want   string
	}{
		{"IPv4", spoil(datagram(7, "x"), 10), "IP (bad cksum 0xf7cc) 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 1"},
		{"UDP", spoil(datagram(7, "x"), 28), "IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 1 (bad transport cksum)"},
		{"TCP", spoil(segment(0), 36), "IP 192.0.2.1.80 > 192.0.2.2.4000: Flags [.], ack 1, win 100, length 0 (bad transport cksum)"},
		{"ICMP", spoil(echo(), 28), "IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1, length 12 (bad transport cksum)"},
		{"UDP without", func() []byte { b := datagram(7, "x"); clear(b[26:28]); return b }(),
			"IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pipe.New(pipe.Config{Medium: dev.IP})
			var out bytes.Buffer
			send(t, a, epoch, hold(tt.octets))
			drain(t, traced(t, b, trace.Config{Writer: &out}), epoch)
			require.Equal(t, []string{"00:00:00.000000 in  " + tt.want}, lines(&out))
		})
	}
}

func TestReceivedByADeviceThatVerifiesIsNotWrong(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, Checksum: dev.Checksums{UDP: dev.ChecksumRx}})
	var out bytes.Buffer
	octets := datagram(7, "x")
	octets[28] ^= 1
	send(t, traced(t, a, trace.Config{Writer: &out}), epoch, hold(octets))
	require.Contains(t, out.String(), "bad transport cksum", "nothing is said about what is sent")
	out.Reset()
	drain(t, traced(t, b, trace.Config{Writer: &out}), epoch)
	require.NotContains(t, out.String(), "bad")
}

func TestWhatWasNotTakenIsToldOnceItIs(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, Queue: 2})
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out})
	pkts := []*packet.Packet{hold(datagram(1, "")), hold(datagram(2, "")), hold(datagram(3, "")), hold(datagram(4, ""))}
	n, err := d.Send(epoch, pkts)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Len(t, lines(&out), 2)

	n, err = d.Send(epoch, pkts[2:])
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, lines(&out), "it is still full")

	drain(t, b, epoch)
	send(t, d, epoch.Add(time.Second), pkts[2:]...)
	require.Equal(t, []string{
		"00:00:01.000000 out IP 192.0.2.1.5000 > 192.0.2.2.3: UDP, length 0",
		"00:00:01.000000 out IP 192.0.2.1.5000 > 192.0.2.2.4: UDP, length 0",
	}, lines(&out))
}

func TestWhatCannotBeSentIsNotToldAndTheErrorPassed(t *testing.T) {
	a, _ := pipe.New(pipe.Config{Medium: dev.IP, MTU: 30})
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out})
	pkts := []*packet.Packet{hold(datagram(1, "")), hold(datagram(2, "too long"))}
	n, err := d.Send(epoch, pkts)
	require.ErrorContains(t, err, "too long")
	require.Equal(t, 1, n)
	require.Len(t, lines(&out), 1)
	pkts[1].Release()
}

func TestManyLargePacketsGoInRuns(t *testing.T) {
	a, b := pipe.New(offloading)
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out})
	pkts := make([]*packet.Packet, 12)
	for i := range pkts {
		pkts[i] = hold(segment(60000))
		pkts[i].SegmentSize = uint16(1000 + i)
		pkts[i].SetPartialChecksum(wire.IPv4HeaderLen, wire.TCPChecksumField)
	}
	send(t, d, epoch, pkts...)
	shown := lines(&out)
	require.Len(t, shown, len(pkts))
	require.Contains(t, shown[11], "(super-segment, 1011 octets each)", "in their order")
	require.Equal(t, len(pkts), drain(t, b, epoch))
}

// answering is a device that receives an answer while it sends.
type answering struct {
	dev.Device
	onSend func()
}

func (d answering) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	n, err := d.Device.Send(now, pkts)
	d.onSend()
	return n, err
}

func TestAnAnswerIsToldAfterTheQuestion(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	var out bytes.Buffer
	var d *trace.Device
	inner := answering{a, func() {
		send(t, b, epoch, hold(datagram(2, "answer")))
		require.Equal(t, 1, drain(t, d, epoch))
	}}
	d = traced(t, inner, trace.Config{Writer: &out})
	send(t, d, epoch, hold(datagram(1, "question")))
	require.Equal(t, []string{
		"00:00:00.000000 out IP 192.0.2.1.5000 > 192.0.2.2.1: UDP, length 8",
		"00:00:00.000000 in  IP 192.0.2.1.5000 > 192.0.2.2.2: UDP, length 6",
	}, lines(&out))
}

func TestReferencedPayloadIsSeen(t *testing.T) {
	a, _ := pipe.New(pipe.Config{Medium: dev.IP})
	var out bytes.Buffer
	octets := datagram(7, "referenced")
	chunk := packet.NewChunk(100)
	copy(chunk.Data(), octets[28:])
	p := hold(octets[:28])
	p.Reference(chunk, chunk.Data()[:10])
	chunk.Release()
	send(t, traced(t, a, trace.Config{Writer: &out}), epoch, p)
	require.Equal(t, []string{"00:00:00.000000 out IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 10"}, lines(&out))
}

func TestLog(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	var out bytes.Buffer
	level := new(slog.LevelVar)
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
	d := traced(t, a, trace.Config{Logger: logger, Level: slog.LevelDebug, Name: "left"})

	send(t, d, epoch, hold(datagram(7, "unheard")))
	require.Empty(t, lines(&out), "the level is not enabled")

	level.Set(slog.LevelDebug)
	send(t, d, epoch, hold(datagram(7, "hello")))
	send(t, b, epoch, hold(echo()))
	require.Equal(t, 1, drain(t, d, epoch.Add(1500*time.Millisecond)))
	require.Equal(t, []string{
		`time=2026-01-01T00:00:00.000Z level=DEBUG msg="IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 5" ` +
			`interface=left direction=out length=33`,
		`time=2026-01-01T00:00:01.500Z level=DEBUG msg="IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1, length 12" ` +
			`interface=left direction=in length=32`,
	}, lines(&out))
}

func TestOnlyOneDirection(t *testing.T) {
	for _, only := range []trace.Direction{trace.Sent, trace.Received} {
		a, b := pipe.New(pipe.Config{Medium: dev.IP})
		var out bytes.Buffer
		d := traced(t, a, trace.Config{Writer: &out, Only: only})
		send(t, d, epoch, hold(echo()))
		send(t, b, epoch, hold(echo()))
		require.Equal(t, 1, drain(t, d, epoch))
		shown := lines(&out)
		require.Len(t, shown, 1)
		require.Contains(t, shown[0], " "+only.String()+" ")
	}
}

func TestFilter(t *testing.T) {
	// "udp dst port 7" of raw IPv4 packets without options
	port7, err := bpf.NewVM([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 22, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 7, SkipFalse: 1},
		bpf.RetConstant{Val: 262144},
		bpf.RetConstant{Val: 0},
	})
	require.NoError(t, err)
	a, _ := pipe.New(pipe.Config{Medium: dev.IP})
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out, Filter: port7})
	send(t, d, epoch, hold(datagram(8, "")), hold(datagram(7, "this")), hold([]byte{0x45}))
	require.Equal(t, []string{"00:00:00.000000 out IP 192.0.2.1.5000 > 192.0.2.2.7: UDP, length 4"}, lines(&out))
}

func TestAHandlerGetsTheFrame(t *testing.T) {
	a, _ := pipe.New(offloading)
	var sums []uint16
	var states []packet.ChecksumState
	d := traced(t, a, trace.Config{Handler: func(f *trace.Frame) error {
		require.Equal(t, epoch, f.Time)
		require.Equal(t, trace.Sent, f.Direction)
		require.Equal(t, dev.IP, f.Medium)
		f.CompleteChecksum()
		sums = append(sums, binary.BigEndian.Uint16(f.Octets[26:]))
		states = append(states, f.Checksum)
		return nil
	}})
	whole := datagram(7, "data")
	want := binary.BigEndian.Uint16(whole[26:])

	// The field of a partial checksum holds the sum of the pseudo-header.
	var pseudo wire.Sum
	pseudo.AddPseudoHeader(left, right, 17, wire.UDPHeaderLen+4)
	partial := datagram(7, "data")
	binary.BigEndian.PutUint16(partial[26:], pseudo.Fold())
	p := hold(partial)
	p.SetPartialChecksum(wire.IPv4HeaderLen, wire.UDPChecksumField)

	impossible := hold(partial)
	impossible.SetPartialChecksum(len(partial), wire.UDPChecksumField)

	send(t, d, epoch, hold(whole), p, impossible)
	require.Equal(t, []uint16{want, want, pseudo.Fold()}, sums)
	require.Equal(t, []packet.ChecksumState{packet.ChecksumFull, packet.ChecksumFull, packet.ChecksumPartial}, states)
}

// broken fails after so many writes.
type broken struct{ left, calls int }

var errFull = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	b.calls++
	if b.left == 0 {
		return 0, errFull
	}
	b.left--
	return len(p), nil
}

func TestAWriterThatFailsDisturbsNothing(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	out := &broken{left: 1}
	d := traced(t, a, trace.Config{Writer: out})
	send(t, d, epoch, hold(echo()))
	require.NoError(t, d.Err())
	send(t, d, epoch, hold(echo()), hold(echo()))
	send(t, d, epoch, hold(echo()))
	require.ErrorIs(t, d.Err(), errFull)
	require.Equal(t, 2, out.calls, "after the first error it is left alone")
	require.Equal(t, 4, drain(t, b, epoch))
}

// failing is a handler of records that fails.
type failing struct{ slog.Handler }

func (failing) Enabled(context.Context, slog.Level) bool  { return true }
func (failing) Handle(context.Context, slog.Record) error { return errFull }

func TestALoggerThatFailsIsRemembered(t *testing.T) {
	a, _ := pipe.New(pipe.Config{Medium: dev.IP})
	d := traced(t, a, trace.Config{Logger: slog.New(failing{})})
	send(t, d, epoch, hold(echo()))
	require.ErrorIs(t, d.Err(), errFull)
}

func TestExactlyOnePlace(t *testing.T) {
	a, _ := pipe.New(pipe.Config{})
	for name, cfg := range map[string]trace.Config{
		"none": {},
		"two":  {Writer: new(bytes.Buffer), Logger: slog.Default()},
	} {
		_, err := trace.New(a, cfg)
		require.EqualError(t, err, "trace: exactly one of Writer, Logger and Handler must be set", name)
	}
	_, err := trace.New(a, trace.Config{Writer: new(bytes.Buffer), Only: 3})
	require.EqualError(t, err, "trace: Only is no direction")
}

func TestTheRestIsTheInnerDevices(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP, MTU: 1400})
	d := traced(t, a, trace.Config{Writer: new(bytes.Buffer)})
	require.Equal(t, a.Capabilities(), d.Capabilities())
	send(t, b, epoch, hold(echo()))
	require.NoError(t, d.WaitReceive())
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.WaitReceive(), net.ErrClosed)
	require.ErrorIs(t, d.WaitSend(), net.ErrClosed)
	p := hold(echo())
	_, err := d.Send(epoch, []*packet.Packet{p})
	require.ErrorIs(t, err, net.ErrClosed)
	p.Release()
}

func TestBothDirectionsAtOnce(t *testing.T) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	var out bytes.Buffer
	d := traced(t, a, trace.Config{Writer: &out})
	const count = 200
	done := make(chan error)
	go func() {
		for range count {
			if n, err := d.Send(epoch, []*packet.Packet{hold(echo())}); n != 1 {
				done <- errors.Join(err, errors.New("not sent"))
				return
			}
		}
		done <- nil
	}()
	for range count {
		send(t, b, epoch, hold(echo()))
		require.Equal(t, 1, drain(t, d, epoch))
	}
	require.NoError(t, <-done)
	shown := lines(&out)
	require.Len(t, shown, 2*count)
	for _, line := range shown {
		require.Len(t, line, len(shown[0]), "lines are whole")
	}
}
