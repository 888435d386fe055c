package smolnet

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/udp"
)

// Ancillary data, what sendmsg and recvmsg call control messages: each a header and its data, padded to the size of a word.
// Layout and numbers are Linux's, whatever the system.

// controlKind is what a control message is about.
type controlKind struct{ level, kind int32 }

// Levels and kinds of linux/in.h and linux/in6.h.
var (
	controlTOS       = controlKind{levelIPv4, 1}
	controlTTL       = controlKind{levelIPv4, 2}
	controlInfo4     = controlKind{levelIPv4, 8}
	controlInfo6     = controlKind{levelIPv6, 50}
	controlHopLimit6 = controlKind{levelIPv6, 52}
	controlTClass6   = controlKind{levelIPv6, 67}
)

const (
	levelIPv4   = 0
	levelSocket = 1
	levelUDP    = 17
	levelIPv6   = 41
)

const (
	wordLen          = bits.UintSize / 8
	controlHeaderLen = wordLen + 8 // its length, header included, as a word; level and kind of 4 octets each
	packetInfo4Len   = 12
	packetInfo6Len   = 20
)

func padded(n int) int { return (n + wordLen - 1) &^ (wordLen - 1) }

// eachControl calls f for each control message, until it fails. What is too short to be one ends them, as on Linux. ip.ErrInvalid: a
// length is contradictory.
func eachControl(oob []byte, f func(kind controlKind, data []byte) error) error {
	for len(oob) >= controlHeaderLen {
		length := uint64(binary.NativeEndian.Uint32(oob))
		if wordLen == 8 {
			length = binary.NativeEndian.Uint64(oob)
		}
		if length < controlHeaderLen || length > uint64(len(oob)) {
			return ip.ErrInvalid
		}
		kind := controlKind{
			int32(binary.NativeEndian.Uint32(oob[wordLen:])), int32(binary.NativeEndian.Uint32(oob[wordLen+4:])),
		}
		if err := f(kind, oob[controlHeaderLen:length]); err != nil {
			return err
		}
		oob = oob[min(padded(int(length)), len(oob)):]
	}
	return nil
}

// parseControl takes a number, of four octets or, as Linux has it for IP_TOS, one.
func parseControl(data []byte, value *int) error {
	switch len(data) {
	case 1:
		*value = int(data[0])
	case 4:
		*value = int(int32(binary.NativeEndian.Uint32(data)))
	default:
		return ip.ErrInvalid
	}
	return nil
}

// packetInfo is what IP_PKTINFO and IPV6_PKTINFO say. IPv4's tells the address to send from, or to answer from, apart from that which the
// datagram was sent to; IPv6's has one for whichever it is.
type packetInfo struct {
	link         int32
	source, addr netip.Addr
}

func parsePacketInfo(kind controlKind, data []byte) (packetInfo, error) {
	switch {
	case kind == controlInfo4 && len(data) == packetInfo4Len:
		return packetInfo{
			link:   int32(binary.NativeEndian.Uint32(data)),
			source: netip.AddrFrom4([4]byte(data[4:])), addr: netip.AddrFrom4([4]byte(data[8:])),
		}, nil
	case kind == controlInfo6 && len(data) >= packetInfo6Len:
		addr := netip.AddrFrom16([16]byte(data))
		return packetInfo{link: int32(binary.NativeEndian.Uint32(data[16:])), source: addr, addr: addr}, nil
	}
	return packetInfo{}, ip.ErrInvalid
}

// controlWriter writes control messages, as far as there is room. What does not fit is cut off as Linux does it: even in the midst of a
// message, if its header fits.
type controlWriter struct {
	oob       []byte
	n         int // octets written
	truncated bool
}

func (w *controlWriter) put(kind controlKind, data []byte) {
	room := w.oob[w.n:]
	if len(room) < controlHeaderLen {
		w.truncated = true
		return
	}
	length := controlHeaderLen + len(data)
	if length > len(room) {
		w.truncated = true
		length = len(room)
	}
	if wordLen == 8 {
		binary.NativeEndian.PutUint64(room, uint64(length))
	} else {
		binary.NativeEndian.PutUint32(room, uint32(length))
	}
	binary.NativeEndian.PutUint32(room[wordLen:], uint32(kind.level))
	binary.NativeEndian.PutUint32(room[wordLen+4:], uint32(kind.kind))
	copy(room[controlHeaderLen:length], data)
	w.n += min(padded(length), len(room))
}

func (w *controlWriter) int(kind controlKind, value int) {
	var data [4]byte
	value = max(math.MinInt32, min(value, math.MaxInt32))
	binary.NativeEndian.PutUint32(data[:], uint32(int32(value)))
	w.put(kind, data[:])
}

func (w *controlWriter) packetInfo(kind controlKind, info packetInfo) {
	var data [packetInfo6Len]byte
	if kind == controlInfo6 {
		addr := info.source
		if info.addr.IsValid() {
			addr = info.addr
		}
		if addr.IsValid() {
			*(*[16]byte)(data[:]) = addr.As16()
		}
		binary.NativeEndian.PutUint32(data[16:], uint32(info.link))
		w.put(kind, data[:])
		return
	}
	binary.NativeEndian.PutUint32(data[:], uint32(info.link))
	if info.source.Is4() {
		*(*[4]byte)(data[4:]) = info.source.As4()
	}
	if info.addr.Is4() {
		*(*[4]byte)(data[8:]) = info.addr.As4()
	}
	w.put(kind, data[:packetInfo4Len])
}

// datagram writes what flags ask for of a datagram with the given header, to which one would answer from source. A socket for both
// families, mapped, has IPv4's address in IPv6's message, but its TTL and TOS in IPv4's own.
func (w *controlWriter) datagram(flags ControlFlags, header *packet.IPInfo, source netip.Addr, mapped bool) {
	info, hopLimit, class := controlInfo6, controlHopLimit6, controlTClass6
	if header.Dst.Is4() {
		hopLimit, class = controlTTL, controlTOS
		if !mapped {
			info = controlInfo4
		}
	}
	if flags&ControlPacketInfo != 0 {
		w.packetInfo(info, packetInfo{link: header.Link, source: source, addr: header.Dst})
	}
	if flags&ControlHopLimit != 0 {
		w.int(hopLimit, int(header.HopLimit))
	}
	if flags&ControlTrafficClass == 0 {
		return
	}
	if class == controlTOS {
		w.put(class, []byte{header.TrafficClass})
	} else {
		w.int(class, int(header.TrafficClass))
	}
}

// headerOf returns what oob asks for of a datagram to dst. As on Linux, messages that are not about the datagram's version of IP are
// passed over, but for IPV6_PKTINFO with an IPv4-mapped address. ip.ErrInvalid: a message is malformed, out of range, or asks for
// what cannot be had, such as UDP_SEGMENT.
func headerOf(oob []byte, dst netip.Addr, mapped bool) (h udp.Header, err error) {
	err = eachControl(oob, func(kind controlKind, data []byte) error {
		switch {
		case kind.level == levelSocket, kind.level == levelUDP:
			return ip.ErrInvalid
		case kind == controlInfo6 && dst.Is4() && mapped:
		case kind.level == levelIPv4 && dst.Is6(), kind.level == levelIPv6 && dst.Is4():
			return nil
		}
		switch kind {
		case controlTTL, controlHopLimit6:
			return headerHopLimit(&h, kind, data)
		case controlTOS, controlTClass6:
			return headerTrafficClass(&h, kind, data)
		case controlInfo4, controlInfo6:
			return headerPacketInfo(&h, kind, data, dst)
		}
		if kind.level == levelIPv4 || kind.level == levelIPv6 {
			return ip.ErrInvalid
		}
		return nil
	})
	return h, err
}

// headerHopLimit takes a hop limit: 1 to 255, and for IPv6 -1, which is the socket's. (Linux sends IPv6 with a hop limit of 0 as well,
// which no node would take.)
func headerHopLimit(h *udp.Header, kind controlKind, data []byte) error {
	value := 0
	err := parseControl(data, &value)
	switch {
	case err != nil || len(data) != 4:
		return ip.ErrInvalid
	case value == -1 && kind == controlHopLimit6:
		h.HopLimit = 0
	case value < 1 || value > math.MaxUint8:
		return ip.ErrInvalid
	default:
		h.HopLimit = uint8(value)
	}
	return nil
}

// headerTrafficClass takes a traffic class: 0 to 255, and for IPv6 -1, which is the socket's. (RFC 3542, section 6.5. Linux makes 255
// of it.)
func headerTrafficClass(h *udp.Header, kind controlKind, data []byte) error {
	value := 0
	err := parseControl(data, &value)
	switch {
	case err != nil || kind == controlTClass6 && len(data) != 4:
		return ip.ErrInvalid
	case value == -1 && kind == controlTClass6:
		h.TrafficClass, h.HasTrafficClass = 0, false
	case value < 0 || value > math.MaxUint8:
		return ip.ErrInvalid
	default:
		h.TrafficClass, h.HasTrafficClass = uint8(value), true
	}
	return nil
}

func headerPacketInfo(h *udp.Header, kind controlKind, data []byte, dst netip.Addr) error {
	info, err := parsePacketInfo(kind, data)
	if err != nil {
		return err
	}
	source := info.source.Unmap()
	if !source.IsUnspecified() {
		if source.Is4() != dst.Is4() {
			return ip.ErrInvalid
		}
		h.Source = source
	}
	if info.link != 0 {
		h.Link = info.link
	}
	return nil
}
