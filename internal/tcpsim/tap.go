package tcpsim

import (
	"errors"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
)

// tap is the device that a stack has: it shows the network every segment that the stack sends, before anything becomes
// of it, and every one that reaches the stack.
type tap struct {
	dev.Device
	network *Network
	link    *link
	side    int
}

// pipePackets and pipeOctets are more than is ever on its way, so that a pipe never refuses a packet: what the queue of
// a real link has no room for is for package fault to say.
const (
	pipePackets = 1 << 20
	pipeOctets  = 1 << 30
)

// devices are the two ends of the link, with its faults.
func (l *link) devices(seed uint64) (ends [2]dev.Device, err error) {
	config := pipe.Config{Medium: l.Medium, MTU: l.MTU, Delay: l.Delay, Queue: pipePackets, QueueOctets: pipeOctets}
	if l.Large {
		config.SegmentTCP4, config.SegmentTCP6 = true, true
		config.Checksum.TCP = dev.ChecksumTx
	}
	a, b := pipe.New(config)
	for side, inner := range []dev.Device{a, b} {
		out := l.AtoB
		if side == 1 {
			out = l.BtoA
		}
		ends[side], err = fault.New(inner, fault.Config{Seed: seed<<8 + uint64(2*l.index+side), Out: out})
		if err != nil {
			return ends, err
		}
	}
	return ends, nil
}

var errFull = errors.New("a link has refused a packet")

func (t *tap) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	for _, p := range pkts {
		t.network.frames++
		t.see(p, true)
	}
	n, err := t.Device.Send(now, pkts)
	if n < len(pkts) {
		t.fail(fmt.Errorf("%w, of %d octets: %v", errFull, pkts[n].Len(), err))
	}
	return n, err
}

func (t *tap) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	n, err := t.Device.Receive(now, pkts)
	for _, p := range pkts[:n] {
		t.see(p, false)
	}
	return n, err
}

// see shows the network a packet.
func (t *tap) see(p *packet.Packet, sent bool) {
	s, ok := parseSegment(t.link.Medium, p)
	if !ok || !sent && t.link.injures() && !s.intact(p) {
		return
	}
	t.network.note(&s, t, sent)
	if err := t.network.witness(&s, sent); err != nil {
		t.fail(err)
	}
}

func (t *tap) fail(err error) {
	if t.network.err == nil {
		t.network.err = err
	}
}

// note logs the segment, and has it count for the trace if it is sent.
func (n *Network) note(s *segment, t *tap, sent bool) {
	if n.log != nil {
		fmt.Fprintf(n.log, "%v %v\n", n.Elapsed(), s.describe(t, sent))
	}
	if !sent {
		return
	}
	for _, v := range [...]uint64{
		uint64(n.now.UnixNano()), uint64(t.link.index)<<32 | uint64(t.side)<<16 | uint64(s.flags),
		uint64(s.seq)<<32 | uint64(s.ack), uint64(s.length)<<32 | uint64(s.window)<<16 | uint64(s.src),
	} {
		n.trace = (n.trace ^ v) * 0x9e3779b97f4a7c15
		n.trace ^= n.trace >> 29
	}
}

func (s *segment) describe(t *tap, sent bool) string {
	does := "receives"
	if sent {
		does = "sends"
	}
	var o wire.TCPOptions
	_ = o.Parse(s.options)
	return fmt.Sprintf("link %d, %c %s %d > %d [%v] seq %d, ack %d, win %d, length %d %v",
		t.link.index, 'A'+t.side, does, s.src, s.dst, s.flags, s.seq, s.ack, s.window, s.length, &o)
}

// segment is what a frame says as a TCP segment.
type segment struct {
	src, dst uint16
	seq, ack uint32
	flags    wire.TCPFlags
	window   uint16
	length   int // octets of payload
	options  []byte

	at, size  int // where in the packet the TCP header begins, and how long header and payload are
	addresses int // octets of the two addresses, which end where it begins
}

func (s *segment) has(flags wire.TCPFlags) bool { return s.flags.Has(flags) }

// parseSegment takes a frame for a TCP segment, if it is one in an unfragmented packet without extension headers, as the
// stacks send.
func parseSegment(medium dev.Medium, p *packet.Packet) (s segment, ok bool) {
	head := p.Head()
	if medium == dev.Ethernet {
		if len(head) < wire.EthernetHeaderLen {
			return s, false
		}
		s.at = wire.EthernetHeaderLen
	}
	network := head[s.at:]
	switch {
	case len(network) >= wire.IPv4HeaderLen && network[0]>>4 == 4:
		h := wire.IPv4Packet(network)
		if h.Protocol() != ip.ProtocolTCP || h.IsFragment() {
			return s, false
		}
		s.at += h.HeaderLen()
		s.size = h.TotalLen() - h.HeaderLen()
		s.addresses = 8
	case len(network) >= wire.IPv6HeaderLen && network[0]>>4 == 6:
		h := wire.IPv6Packet(network)
		if h.NextHeader() != ip.ProtocolTCP {
			return s, false
		}
		s.at += wire.IPv6HeaderLen
		s.size = h.PayloadLen()
		s.addresses = 32
	default:
		return s, false
	}
	if len(head) < s.at || s.at+s.size > p.Len() {
		return s, false
	}
	h, err := wire.ParseTCP(head[s.at:])
	if err != nil || h.HeaderLen() > s.size {
		return s, false
	}
	s.src, s.dst, s.seq, s.ack = h.SrcPort(), h.DstPort(), h.Seq(), h.Ack()
	s.flags, s.window, s.options = h.Flags(), h.Window(), h.Options()
	s.length = s.size - h.HeaderLen()
	return s, true
}

// intact reports whether the segment's checksum is right.
func (s *segment) intact(p *packet.Packet) bool {
	if p.Checksum != packet.ChecksumFull {
		return true
	}
	// The addresses are the last of the IP header, which has no options, and their order does not change the sum.
	var sum wire.Sum
	sum.Add(p.Head()[s.at-s.addresses : s.at])
	sum.AddUint16(ip.ProtocolTCP)
	sum.AddUint16(uint16(s.size))
	skip, left := s.at, s.size
	for _, piece := range p.Pieces() {
		k := min(skip, len(piece))
		skip -= k
		piece = piece[k:min(len(piece), k+left)]
		left -= len(piece)
		sum.Add(piece)
	}
	return sum.Checksum() == 0
}
