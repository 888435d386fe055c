package zep

import (
	"encoding/binary"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// What a datagram looks like; numbers have the high octet first.
//
//	version 1      version 2
//	0  "EX"        0  "EX"
//	2  version     2  version
//	               3  type
//	3  channel     4  channel
//	4  device      5  device
//	6  mode        7  mode: what the frame's last two octets are
//	7  quality     8  quality of the link
//	               9  time, as NTP has it
//	               17 sequence number
//	8  reserved    21 reserved
//	15 length      31 length of the frame
//	16 frame       32 frame
//
// An acknowledgment of version 2 ends with its sequence number, which is at 4. Nobody asks for any.
const (
	preamble = "EX"

	headerLenV1 = 16
	headerLen   = 32

	offVersion  = 2
	offType     = 3
	offChannel  = 4
	offDevice   = 5
	offMode     = 7
	offQuality  = 8
	offTime     = 9
	offSequence = 17
	offReserved = 21
	offLength   = 31

	offChannelV1 = 3
	offModeV1    = 6

	typeData  = 1
	typeHello = 255

	// In mode LQI the frame check sequence has given place to what a radio chip of a certain make reports: in the last octet
	// the top bit says whether it was right.
	modeLQI    = 0
	modeFCS    = 1
	reportGood = 0x80

	bestQuality = 255

	maxFrame    = wire.IEEE802154MaxFrameLen + wire.IEEE802154FCSLen
	maxDatagram = headerLen + maxFrame
)

// appendHeader appends a datagram's header for a frame of so many octets, the frame check sequence included.
func appendHeader(b []byte, config *Config, kind uint8, now time.Time, sequence uint32, length int) []byte {
	start := len(b)
	b = append(b, make([]byte, headerLen)...)
	h := b[start:]
	copy(h, preamble)
	h[offVersion] = 2
	h[offType] = kind
	h[offChannel] = config.Channel
	binary.BigEndian.PutUint16(h[offDevice:], config.DeviceID)
	h[offMode] = modeFCS
	h[offQuality] = bestQuality
	binary.BigEndian.PutUint64(h[offTime:], ntp(now))
	binary.BigEndian.PutUint32(h[offSequence:], sequence)
	h[offLength] = uint8(length)
	return b
}

// appendHello appends the datagram by which a radio makes itself known, as RIOT's nodes have it.
func appendHello(b []byte, config *Config, now time.Time) []byte {
	start := len(b)
	b = appendHeader(b, config, typeHello, now, 0, len(config.EUI64))
	copy(b[start+offReserved:offLength], "HELLO")
	return append(b, config.EUI64[:]...)
}

// ntp is a time as NTP has it: seconds since 1900, which begin again with 0 every 136 years, and in the lower half fractions.
func ntp(t time.Time) uint64 {
	const from1900To1970 = 2_208_988_800
	seconds := uint64(t.Unix() + from1900To1970)
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// fault says what is wrong with a datagram.
type fault uint8

const (
	none fault = iota
	wrongSource
	malformed
	wrongVersion
	wrongType
	wrongChannel
	wrongLength
	wrongFCS
)

// parse returns the frame in a datagram, without frame check sequence, if it was sent on the channel.
func parse(b []byte, channel uint8) ([]byte, fault) {
	if len(b) <= offType || string(b[:len(preamble)]) != preamble {
		return nil, malformed
	}
	size, atChannel, atMode := headerLen, offChannel, offMode
	switch b[offVersion] {
	case 1:
		size, atChannel, atMode = headerLenV1, offChannelV1, offModeV1
	case 2:
		if b[offType] != typeData {
			return nil, wrongType
		}
	default:
		return nil, wrongVersion
	}
	if len(b) < size {
		return nil, malformed
	}
	if b[atChannel] != channel {
		return nil, wrongChannel
	}
	frame := b[size:]
	if length := int(b[size-1]); length != len(frame) || length > maxFrame || length <= wire.IEEE802154FCSLen {
		return nil, wrongLength
	}
	if b[atMode] == modeLQI {
		if frame[len(frame)-1]&reportGood == 0 {
			return nil, wrongFCS
		}
		return frame[:len(frame)-wire.IEEE802154FCSLen], none
	}
	frame, err := wire.TrimIEEE802154FCS(frame)
	if err != nil {
		return nil, wrongFCS
	}
	return frame, none
}
