package smolnet

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/internal/neterr"
)

// ControlFlags say what UDPConn's ReadMsgUDP is to tell of each datagram.
type ControlFlags uint32

const (
	// ControlHopLimit: IPv6's hop limit, or IPv4's TTL, as it arrived.
	ControlHopLimit ControlFlags = 1 << iota
	// ControlTrafficClass: IPv6's traffic class, or IPv4's TOS, the two bits of ECN included.
	ControlTrafficClass
	// ControlPacketInfo: the address that it was sent to, and the index of the interface that it came by.
	ControlPacketInfo

	controlAll = ControlHopLimit | ControlTrafficClass | ControlPacketInfo
)

// set switches the flags on or off in those of a socket. The error is ip.ErrInvalid for unknown ones.
func (f ControlFlags) set(flags *atomic.Uint32, on bool) error {
	switch {
	case f&^controlAll != 0:
		return ip.ErrInvalid
	case on:
		flags.Or(uint32(f))
	default:
		flags.And(^uint32(f))
	}
	return nil
}

// ControlMessage is what the IP header of a datagram says besides what every Read and Write deals in: of one that ReadMsgUDP has
// read, out of whose oob Parse takes it, or of one that WriteMsgUDP is to send, for which Marshal makes oob.
//
// In oob it has the form of Linux's control messages IP_TTL, IP_TOS and IP_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS and IPV6_PKTINFO,
// whatever the system. So on Linux the ControlMessages of golang.org/x/net/ipv4 and ipv6 read and write it, too.
type ControlMessage struct {
	// HopLimit is IPv6's hop limit or IPv4's TTL, 1 to 255. 0: not known; to send, the socket's.
	HopLimit int
	// TrafficClass is IPv6's traffic class or IPv4's TOS, 0 to 255. 0 to send: the socket's.
	TrafficClass int
	// Src is the address to send from, one of the stack's own. Not valid: as ever. Parse leaves it alone.
	Src netip.Addr
	// Dst is the address that the datagram was sent to: one of the stack's own, a multicast or a broadcast address. On a socket for
	// both families IPv4's are in IPv4-mapped form. It has no zone: IfIndex says which link it is on. Marshal leaves it alone.
	Dst netip.Addr
	// IfIndex is the index of the interface that the datagram came by, or is to leave by. 0: not known; to send, any.
	IfIndex int
}

// Parse takes from oob what it says of the message, and leaves alone the fields that it does not speak of. Control messages of other
// kinds are passed over. What is malformed is syscall.EINVAL.
func (m *ControlMessage) Parse(oob []byte) error {
	err := eachControl(oob, func(kind controlKind, data []byte) error {
		switch kind {
		case controlTTL, controlHopLimit6:
			return parseControl(data, &m.HopLimit)
		case controlTOS, controlTClass6:
			return parseControl(data, &m.TrafficClass)
		case controlInfo4, controlInfo6:
			info, err := parsePacketInfo(kind, data)
			if err == nil {
				m.Dst, m.IfIndex = info.addr, int(info.link)
			}
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("control messages of %d octets: %w", len(oob), neterr.Map("parse", err))
	}
	return nil
}

// Marshal returns the message as WriteMsgUDP takes it. Whether the datagram is to be IPv4's or IPv6's is only said by Src; without
// it there are control messages for both, and WriteMsgUDP heeds those that fit. Fields out of range are left for it to
// refuse. A message of nothing is empty.
func (m *ControlMessage) Marshal() []byte {
	oob := make([]byte, 0, 8*controlHeaderLen+3*8+32)
	w := controlWriter{oob: oob[:cap(oob)]}
	src := m.Src.Unmap().WithZone("")
	if !src.IsValid() || src.Is4() {
		m.marshal(&w, src, controlInfo4, controlTTL, controlTOS)
	}
	if !src.IsValid() || src.Is6() {
		m.marshal(&w, src, controlInfo6, controlHopLimit6, controlTClass6)
	}
	return oob[:w.n]
}

func (m *ControlMessage) marshal(w *controlWriter, src netip.Addr, info, hopLimit, class controlKind) {
	if src.IsValid() || m.IfIndex != 0 {
		index := m.IfIndex
		if index != int(int32(index)) {
			index = math.MaxInt32 // there is no such interface
		}
		w.packetInfo(info, packetInfo{link: int32(index), source: src})
	}
	if m.HopLimit != 0 {
		w.int(hopLimit, m.HopLimit)
	}
	if m.TrafficClass != 0 {
		w.int(class, m.TrafficClass)
	}
}
