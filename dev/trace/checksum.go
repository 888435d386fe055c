package trace

import (
	"encoding/binary"
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Protocol numbers, as assigned by IANA.
const (
	protocolICMPv4 = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// CompleteChecksum makes a partial checksum whole, as the device does with what is sent. It does nothing to others. A
// super-segment's is then right for all of it as one large packet.
func (f *Frame) CompleteChecksum() {
	at := f.transport + f.field
	if f.Checksum != packet.ChecksumPartial || f.transport < 0 || at+2 > len(f.Octets) {
		return
	}
	// The field holds the sum of the pseudo-header, and so is part of what is summed.
	var sum wire.Sum
	sum.Add(f.Octets[f.transport:])
	checksum := sum.Checksum()
	if f.field == wire.UDPChecksumField {
		checksum = wire.UDPChecksum(sum) // to which zero would mean that there is none
	}
	binary.BigEndian.PutUint16(f.Octets[at:], checksum)
	f.Checksum = packet.ChecksumFull
}

// fillChecksums fills in what the stack leaves to the device without marking the packet for it: the checksums of IPv4
// headers and of ICMP messages. So does a device; one in memory passes them on as they are.
func (f *Frame) fillChecksums() {
	side := dev.ChecksumRx
	if f.Direction == Sent {
		side = dev.ChecksumTx
	}
	if f.offload.IPv4&side != 0 {
		if p, err := wire.ParseIPv4Header(f.ip()); err == nil && p.Checksum() == 0 {
			p.FillChecksum()
		}
	}
	t, ok := f.transported()
	switch {
	case !ok:
	case t.protocol == protocolICMPv4 && f.offload.ICMPv4&side != 0:
		if p := wire.ICMPv4Packet(t.octets); len(p) >= wire.ICMPv4HeaderLen && p.Checksum() == 0 {
			p.FillChecksum()
		}
	case t.protocol == protocolICMPv6 && f.offload.ICMPv6&side != 0:
		if p := wire.ICMPv6Packet(t.octets); len(p) >= wire.ICMPv6HeaderLen && p.Checksum() == 0 {
			p.FillChecksum(t.src, t.dst)
		}
	}
}

// badChecksum reports whether the transport checksum is there, to be verified by who receives the frame, and wrong.
func (f *Frame) badChecksum() bool {
	t, ok := f.transported()
	if !ok || f.Checksum != packet.ChecksumFull {
		return false
	}
	var offload dev.Checksum
	bad := false
	switch {
	case t.protocol == protocolTCP && len(t.octets) >= wire.TCPHeaderLen:
		offload, bad = f.offload.TCP, !wire.TCPPacket(t.octets).VerifyChecksum(t.src, t.dst)
	case t.protocol == protocolUDP:
		p, err := wire.ParseUDP(t.octets)
		offload, bad = f.offload.UDP, err == nil && !p.VerifyChecksum(t.src, t.dst)
	case t.protocol == protocolICMPv4 && t.src.Is4() && len(t.octets) >= wire.ICMPv4HeaderLen:
		offload, bad = f.offload.ICMPv4, !wire.ICMPv4Packet(t.octets).VerifyChecksum()
	case t.protocol == protocolICMPv6 && t.src.Is6() && len(t.octets) >= wire.ICMPv6HeaderLen:
		offload, bad = f.offload.ICMPv6, !wire.ICMPv6Packet(t.octets).VerifyChecksum(t.src, t.dst)
	}
	return bad && (f.Direction == Sent || offload&dev.ChecksumRx == 0)
}

// transported is what an IP packet carries.
type transported struct {
	src, dst netip.Addr
	protocol uint8
	octets   []byte
}

// ip is the IP packet, with what may follow it in the frame; nil if there is none.
func (f *Frame) ip() []byte {
	switch f.Medium {
	case dev.IP:
		return f.Octets
	case dev.Ethernet:
		frame, err := wire.ParseEthernet(f.Octets)
		if err == nil && (frame.EtherType() == wire.EtherTypeIPv4 || frame.EtherType() == wire.EtherTypeIPv6) {
			return frame.Payload()
		}
	}
	return nil
}

// transported finds what the IP packet carries, if it is all there, which of a fragment it is not, and if its checksum is
// made with the addresses in the header, which behind a routing header it need not be.
func (f *Frame) transported() (transported, bool) {
	b := f.ip()
	if p, err := wire.ParseIPv4(b); err == nil && !p.IsFragment() {
		return transported{p.Src(), p.Dst(), p.Protocol(), p.Payload()}, true
	}
	p, err := wire.ParseIPv6(b)
	if err != nil {
		return transported{}, false
	}
	walk := p.Extensions()
	for header, ok := walk.Next(); ok; header, ok = walk.Next() {
		if header.Type == wire.IPv6Fragment || header.Type == wire.IPv6Routing {
			return transported{}, false
		}
	}
	return transported{p.Src(), p.Dst(), walk.Protocol(), walk.Payload()}, walk.Err() == nil
}
