package pcap

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/trace"
)

// linkType says what a frame begins with, by the numbers that PCAP and PCAPNG share.
type linkType uint16

const (
	linkEthernet        linkType = 1
	linkRaw             linkType = 101 // an IP packet, whose first four bits are its version
	linkIEEE802154NoFCS linkType = 230 // without frame check sequence
)

func linkTypeOf(medium dev.Medium) (linkType, error) {
	switch medium {
	case dev.Ethernet:
		return linkEthernet, nil
	case dev.IP:
		return linkRaw, nil
	case dev.IEEE802154:
		return linkIEEE802154NoFCS, nil
	}
	return 0, fmt.Errorf("pcap: no link type for %v", medium)
}

// Files may have either byte order, which readers find out. These have always this one, so that the same frames make
// the same file everywhere.
var order = binary.LittleEndian

// PCAP: a file header, then for each frame a header of its own.
const (
	pcapMagic = 0xa1b23c4d // times are seconds and nanoseconds
	pcapMajor = 2
	pcapMinor = 4
	unlimited = 262144 // the snapshot length that stands for everything
)

func appendFileHeader(b []byte, link linkType, snapLen int) []byte {
	if snapLen == 0 {
		snapLen = unlimited
	}
	b = order.AppendUint32(b, pcapMagic)
	b = order.AppendUint16(b, pcapMajor)
	b = order.AppendUint16(b, pcapMinor)
	b = order.AppendUint32(b, 0) // time zone, always UTC
	b = order.AppendUint32(b, 0) // accuracy, never told
	b = order.AppendUint32(b, uint32(snapLen))
	return order.AppendUint32(b, uint32(link))
}

func appendPacket(b []byte, f *trace.Frame, captured []byte) []byte {
	since := nanoseconds(f.Time)
	b = order.AppendUint32(b, uint32(since/uint64(time.Second)))
	b = order.AppendUint32(b, uint32(since%uint64(time.Second)))
	b = order.AppendUint32(b, uint32(len(captured)))
	b = order.AppendUint32(b, uint32(len(f.Octets)))
	return append(b, captured...)
}

// PCAPNG: blocks, each of its type, its length, a body padded to 32 bits, and its length again. A section header block
// comes first, an interface description block before the first frame of each interface, and then for each frame
// an enhanced packet block.
const (
	blockSection        = 0x0a0d0d0a
	blockInterface      = 1
	blockEnhancedPacket = 6

	sectionMagic   = 0x1a2b3c4d
	sectionMajor   = 1
	sectionMinor   = 0
	sectionUnknown = 1<<64 - 1 // a section of no known length

	optionEnd             = 0
	optionUserApplication = 4 // of a section
	optionName            = 2 // of an interface, as the next
	optionDescription     = 3
	optionHardwareAddr    = 6
	optionEUIAddr         = 7
	optionTimeResolution  = 9
	optionFlags           = 2 // of a packet

	// The resolution is a negative power of ten.
	resolutionNanoseconds = 9

	flagInbound       = 1
	flagOutbound      = 2
	flagSegmentedLate = 1 << 11 // a super-segment
)

func appendSection(b []byte) []byte {
	b, start := beginBlock(b, blockSection)
	b = order.AppendUint32(b, sectionMagic)
	b = order.AppendUint16(b, sectionMajor)
	b = order.AppendUint16(b, sectionMinor)
	b = order.AppendUint64(b, sectionUnknown)
	b = appendOption(b, optionUserApplication, []byte("smolnet"))
	b = appendOption(b, optionEnd, nil)
	return endBlock(b, start)
}

func appendInterface(b []byte, link linkType, snapLen int, caps *dev.Capabilities, name string) []byte {
	b, start := beginBlock(b, blockInterface)
	b = order.AppendUint16(b, uint16(link))
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, uint32(snapLen)) // zero: no limit
	if name != "" {
		b = appendOption(b, optionName, []byte(name))
	}
	b = appendOption(b, optionDescription, fmt.Appendf(nil, "%v, MTU %d", caps.Medium, caps.MTU))
	if caps.HardwareAddr != [6]byte{} {
		b = appendOption(b, optionHardwareAddr, caps.HardwareAddr[:])
	}
	if caps.EUI64 != [8]byte{} {
		b = appendOption(b, optionEUIAddr, caps.EUI64[:])
	}
	b = appendOption(b, optionTimeResolution, []byte{resolutionNanoseconds})
	b = appendOption(b, optionEnd, nil)
	return endBlock(b, start)
}

func appendEnhancedPacket(b []byte, id uint32, f *trace.Frame, captured []byte) []byte {
	since := nanoseconds(f.Time)
	b, start := beginBlock(b, blockEnhancedPacket)
	b = order.AppendUint32(b, id)
	b = order.AppendUint32(b, uint32(since>>32))
	b = order.AppendUint32(b, uint32(since))
	b = order.AppendUint32(b, uint32(len(captured)))
	b = order.AppendUint32(b, uint32(len(f.Octets)))
	b = pad(append(b, captured...))

	flags := uint32(flagInbound)
	if f.Direction == trace.Sent {
		flags = flagOutbound
	}
	if f.SegmentSize != 0 {
		flags |= flagSegmentedLate
	}
	b = appendOption(b, optionFlags, order.AppendUint32(nil, flags))
	b = appendOption(b, optionEnd, nil)
	return endBlock(b, start)
}

// beginBlock appends a block's type and room for its length, and returns where it starts.
func beginBlock(b []byte, blockType uint32) ([]byte, int) {
	start := len(b)
	b = order.AppendUint32(b, blockType)
	return order.AppendUint32(b, 0), start
}

func endBlock(b []byte, start int) []byte {
	length := uint32(len(b) - start + 4)
	order.PutUint32(b[start+4:], length)
	return order.AppendUint32(b, length)
}

// maxOption is the longest value of an option, in octets.
const maxOption = 1<<16 - 1

func appendOption(b []byte, code uint16, value []byte) []byte {
	value = value[:min(len(value), maxOption)]
	b = order.AppendUint16(b, code)
	b = order.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad appends zeros up to a whole number of 32-bit words.
func pad(b []byte) []byte { return append(b, 0, 0, 0)[:(len(b)+3)&^3] }

// nanoseconds is what files count from: 1970. Earlier times, and those that do not fit, after 2262, are told as 1970.
func nanoseconds(t time.Time) uint64 {
	if seconds := t.Unix(); seconds < 0 || seconds >= math.MaxInt64/int64(time.Second) {
		return 0
	}
	return uint64(t.UnixNano())
}
