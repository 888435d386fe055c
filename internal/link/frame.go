package link

import (
	"fmt"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
)

const (
	ethernetHeaderLen = 14

	// "aMaxPHYPacketSize [...] 127" less the two octets of the frame check sequence, IEEE Std 802.15.4-2020, table
	// 11-1. However large the IP packet, a frame has no more.
	maxFrame802154 = 125

	maxIPPacket = 65535
)

// HeaderLen is how many octets precede the IP packet in a frame of the medium, where that is a fixed number.
func HeaderLen(medium dev.Medium) int {
	if medium == dev.Ethernet {
		return ethernetHeaderLen
	}
	return 0
}

// CheckFrame reports why a device with the capabilities given cannot be asked to send p: it is larger than the MTU
// allows, or a super-segment that the device does not segment.
func CheckFrame(caps *dev.Capabilities, p *packet.Packet) error {
	header := HeaderLen(caps.Medium)
	size, most := p.Len(), caps.MTU+header
	if caps.Medium == dev.IEEE802154 {
		most = maxFrame802154
	}
	if p.SegmentSize != 0 {
		if err := checkSuperSegment(caps, p, header); err != nil {
			return err
		}
		most = maxIPPacket + header
	}
	if size > most {
		return fmt.Errorf("frame of %d octets is too long: at most %d with an MTU of %d", size, most, caps.MTU)
	}
	return nil
}

// CheckFrames returns how many packets, from the first on, can be sent, and why the next cannot.
func CheckFrames(caps *dev.Capabilities, pkts []*packet.Packet) (int, error) {
	for i, p := range pkts {
		if err := CheckFrame(caps, p); err != nil {
			return i, err
		}
	}
	return len(pkts), nil
}

func checkSuperSegment(caps *dev.Capabilities, p *packet.Packet, header int) error {
	head := p.Head()
	if len(head) <= header {
		return fmt.Errorf("super-segment without headers: %d octets", len(head))
	}
	version := head[header] >> 4
	switch {
	case version == 4 && caps.SegmentTCP4, version == 6 && caps.SegmentTCP6:
	default:
		return fmt.Errorf("super-segment of %d octets over IP version %d: the device does not segment these",
			p.Len(), version)
	}
	if p.Checksum != packet.ChecksumPartial {
		return fmt.Errorf("super-segment of %d octets without a partial checksum", p.Len())
	}
	return nil
}
