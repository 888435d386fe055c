package tuntap

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
)

func header(flags, segmentation byte, headers, size, start, offset uint16) vnetHeader {
	h := vnetHeader{flags, segmentation}
	for i, v := range []uint16{headers, size, start, offset} {
		binary.NativeEndian.PutUint16(h[2+2*i:], v)
	}
	return h
}

// frame is size octets of which those behind the link header say IP version 4 or 6.
func frame(medium dev.Medium, version byte, size int) *packet.Packet {
	p := packet.New(size)
	clear(p.Append(size))
	if medium == dev.Ethernet {
		p.Head()[14] = version << 4
	} else {
		p.Head()[0] = version << 4
	}
	return p
}

func TestReadHeader(t *testing.T) {
	const (
		sum, valid = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM, unix.VIRTIO_NET_HDR_F_DATA_VALID
		tcp4, tcp6 = unix.VIRTIO_NET_HDR_GSO_TCPV4, unix.VIRTIO_NET_HDR_GSO_TCPV6
	)
	tests := []struct {
		name     string
		header   vnetHeader
		medium   dev.Medium
		version  byte
		ok       bool
		checksum packet.ChecksumState
		segment  uint16
	}{
		{"nothing", vnetHeader{}, dev.IP, 4, true, packet.ChecksumFull, 0},
		{"verified", header(valid, 0, 0, 0, 0, 0), dev.IP, 4, true, packet.ChecksumVerified, 0},
		{"flags unheard of", header(0x80, 0, 0, 0, 0, 0), dev.IP, 4, true, packet.ChecksumFull, 0},
		{"partial UDP", header(sum, 0, 0, 0, 20, 6), dev.IP, 4, true, packet.ChecksumPartial, 0},
		{"partial and verified", header(sum|valid, 0, 0, 0, 20, 6), dev.IP, 4, true, packet.ChecksumPartial, 0},
		{"the checksum is the last octets", header(sum, 0, 0, 0, 20, 78), dev.IP, 4, true, packet.ChecksumPartial, 0},
		{"the checksum ends behind the packet", header(sum, 0, 0, 0, 20, 79), dev.IP, 4, false, 0, 0},
		{"the checksum is far behind the packet", header(sum, 0, 0, 0, 65535, 65535), dev.IP, 4, false, 0, 0},
		{"the sum begins in the IP header", header(sum, 0, 0, 0, 19, 6), dev.IP, 4, false, 0, 0},
		{"the sum begins in the IP header of a frame", header(sum, 0, 0, 0, 33, 6), dev.Ethernet, 4, false, 0, 0},
		{"TCP over IPv4", header(sum, tcp4, 54, 1460, 34, 16), dev.Ethernet, 4, true, packet.ChecksumPartial, 1460},
		{"TCP over IPv6", header(sum, tcp6, 60, 1440, 40, 16), dev.IP, 6, true, packet.ChecksumPartial, 1440},
		{"TCP with ECN", header(sum, tcp4|unix.VIRTIO_NET_HDR_GSO_ECN, 40, 1460, 20, 16), dev.IP, 4, true,
			packet.ChecksumPartial, 1460},
		{"header length that is nonsense", header(sum, tcp4, 9999, 1460, 20, 16), dev.IP, 4, true,
			packet.ChecksumPartial, 1460},
		{"the other IP version", header(sum, tcp6, 40, 1460, 20, 16), dev.IP, 4, false, 0, 0},
		{"segments of nothing", header(sum, tcp4, 40, 0, 20, 16), dev.IP, 4, false, 0, 0},
		{"segments without a partial checksum", header(0, tcp4, 40, 1460, 20, 16), dev.IP, 4, false, 0, 0},
		{"TCP segments with UDP's checksum", header(sum, tcp4, 40, 1460, 20, 6), dev.IP, 4, false, 0, 0},
		{"UDP segments", header(sum, unix.VIRTIO_NET_HDR_GSO_UDP_L4, 28, 1460, 20, 6), dev.IP, 4, false, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := frame(tt.medium, tt.version, 100)
			defer p.Release()
			require.Equal(t, tt.ok, tt.header.read(p, tt.medium))
			if !tt.ok {
				return
			}
			require.Equal(t, tt.checksum, p.Checksum)
			require.Equal(t, tt.segment, p.SegmentSize)
			if tt.checksum == packet.ChecksumPartial {
				start, field := p.PartialChecksum()
				require.Equal(t, tt.header.sumStart(), start)
				require.Equal(t, tt.header.sumOffset(), field)
			}
		})
	}
}

func TestReadHeaderOfEmptyFrames(t *testing.T) {
	for size := range 40 {
		for _, medium := range []dev.Medium{dev.Ethernet, dev.IP} {
			p := packet.New(size)
			clear(p.Append(size))
			h := header(unix.VIRTIO_NET_HDR_F_NEEDS_CSUM, unix.VIRTIO_NET_HDR_GSO_TCPV4, 0, 1, 34, 16)
			require.False(t, h.read(p, medium), "%d octets", size)
			p.Release()
		}
	}
}

func TestWriteHeader(t *testing.T) {
	super := func(medium dev.Medium, version byte, transport int) *packet.Packet {
		p := frame(medium, version, 100)
		p.SetPartialChecksum(transport, tcpChecksumField)
		p.SegmentSize = 1448
		p.Head()[transport+tcpOffsetField] = 8 << 4
		return p
	}
	partial := frame(dev.IP, 4, 100)
	partial.SetPartialChecksum(20, 6)
	outside := frame(dev.IP, 4, 100)
	outside.SetPartialChecksum(95, 16)
	noHeader := frame(dev.IP, 4, 100)
	noHeader.SetPartialChecksum(20, 16)
	noHeader.SegmentSize = 1
	tests := []struct {
		name   string
		p      *packet.Packet
		medium dev.Medium
		want   vnetHeader
		err    error
	}{
		{"whole checksum", frame(dev.IP, 4, 100), dev.IP, vnetHeader{}, nil},
		{"partial checksum", partial, dev.IP, header(1, 0, 0, 0, 20, 6), nil},
		{"TCP over IPv4", super(dev.Ethernet, 4, 34), dev.Ethernet, header(1, 1, 66, 1448, 34, 16), nil},
		{"TCP over IPv6", super(dev.IP, 6, 40), dev.IP, header(1, 4, 72, 1448, 40, 16), nil},
		{"checksum outside of the packet", outside, dev.IP, vnetHeader{}, errBadPartial},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := vnetHeader{0xff, 0xff, 0xff}
			err := h.write(tt.p, tt.medium)
			require.Equal(t, tt.err, err)
			require.Equal(t, tt.want, h)
			tt.p.Release()
		})
	}
	noHeader.Truncate(30)
	chunk := packet.NewChunk(100)
	noHeader.Reference(chunk, chunk.Data()[:100])
	chunk.Release()
	h := vnetHeader{}
	require.Equal(t, errNoTCP, h.write(noHeader, dev.IP))
	noHeader.Release()
}
