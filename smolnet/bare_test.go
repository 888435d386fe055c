package smolnet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// bare is the far end of a pipe of IPv4 packets that no stack is behind: a test says what it hears and answers.
type bare struct {
	t   *testing.T
	dev *pipe.Device
	seq uint32 // of the next segment that it sends
}

// router is who reports errors on the way.
var router = netip.MustParseAddr("192.168.69.254")

// newBare returns a stack, closed with the test, and what is at the other end of its link.
func newBare(t *testing.T) (*smolnet.Stack, *bare) {
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	s := newStack(t, smolnet.Config{})
	_, err := s.AddInterface(smolnet.Interface{Device: a, NoIPv6: true, Addresses: firstAddresses[:1]})
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	return s, &bare{t: t, dev: b, seq: 1000}
}

// hears returns the packets that have arrived.
func (b *bare) hears() (packets []wire.IPv4Packet) {
	b.t.Helper()
	pkts := make([]*packet.Packet, 64)
	n, err := b.dev.Receive(time.Now(), pkts)
	require.NoError(b.t, err)
	for _, p := range pkts[:n] {
		octets := make([]byte, p.Len())
		p.CopyTo(octets, 0)
		p.Release()
		ip, err := wire.ParseIPv4(octets)
		require.NoError(b.t, err)
		packets = append(packets, ip)
	}
	return packets
}

// last returns the last of what has arrived, a TCP segment.
func (b *bare) last() (wire.IPv4Packet, wire.TCPPacket) {
	b.t.Helper()
	packets := b.hears()
	require.NotEmpty(b.t, packets)
	ip := packets[len(packets)-1]
	segment, err := wire.ParseTCP(ip.Payload())
	require.NoError(b.t, err)
	return ip, segment
}

// says sends the payload of an IPv4 packet, which is filled in by emit.
func (b *bare) says(from, to netip.Addr, protocol uint8, length int, emit func(payload []byte)) {
	b.t.Helper()
	p := packet.New(0)
	emit(p.Append(length))
	r := wire.IPv4Repr{Src: from, Dst: to, Protocol: protocol, TTL: 64, PayloadLen: length}
	r.Emit(p.Prepend(r.Len()))
	n, err := b.dev.Send(time.Now(), []*packet.Packet{p})
	require.NoError(b.t, err)
	require.Equal(b.t, 1, n)
}

// answers sends a segment in answer to one that was heard.
func (b *bare) answers(ip wire.IPv4Packet, segment wire.TCPPacket, flags wire.TCPFlags) {
	b.t.Helper()
	r := wire.TCPRepr{
		SrcPort: segment.DstPort(), DstPort: segment.SrcPort(), Seq: b.seq, Window: 65535, Flags: flags | wire.TCPAck,
		Ack: segment.Seq() + uint32(len(segment.Payload())),
	}
	if segment.Flags().Has(wire.TCPSyn) {
		r.Ack++
	}
	if flags.Has(wire.TCPSyn) {
		b.seq++
	}
	b.says(ip.Dst(), ip.Src(), 6, r.Len(), func(octets []byte) {
		r.Emit(octets)
		var sum wire.Sum
		sum.AddPseudoHeader(ip.Dst(), ip.Src(), 6, len(octets))
		sum.Add(octets)
		wire.TCPPacket(octets).SetChecksum(sum.Checksum())
	})
}

// reports sends an ICMP error about a packet that was heard.
func (b *bare) reports(about wire.IPv4Packet, kind uint8, code uint8) {
	b.t.Helper()
	r := wire.ICMPv4ErrorRepr{Type: kind, Code: code, Quote: about[:about.HeaderLen()+8]}
	b.says(router, about.Src(), 1, r.Len(), r.Emit)
}
