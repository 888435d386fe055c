package tuntap

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// vnetHeaderLen is the length, in octets, of the header before every frame.
const vnetHeaderLen = 10

// vnetHeader is struct virtio_net_hdr of Virtual I/O Device (VIRTIO) Version 1.2, 5.1.6, without num_buffers and in the
// machine's own byte order, as the kernel has it unless told otherwise:
//
//	flags, gso_type uint8; hdr_len, gso_size, csum_start, csum_offset uint16
type vnetHeader [vnetHeaderLen]byte

func (h *vnetHeader) flags() byte        { return h[0] }
func (h *vnetHeader) segmentation() byte { return h[1] &^ unix.VIRTIO_NET_HDR_GSO_ECN }
func (h *vnetHeader) segmentSize() int   { return int(binary.NativeEndian.Uint16(h[4:])) }
func (h *vnetHeader) sumStart() int      { return int(binary.NativeEndian.Uint16(h[6:])) }
func (h *vnetHeader) sumOffset() int     { return int(binary.NativeEndian.Uint16(h[8:])) }

// Where TCP has its checksum, and how many octets of its header tell how long that is.
const (
	tcpChecksumField = 16
	tcpOffsetField   = 12
	minIPHeader      = 20
)

// read notes in p what the header says of it. It reports false if that cannot be: others than the kernel can put
// frames on a bridge, so what the header says is not trusted.
func (h *vnetHeader) read(p *packet.Packet, medium dev.Medium) bool {
	network := link.HeaderLen(medium)
	switch {
	case h.flags()&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0:
		start, field := h.sumStart(), h.sumOffset()
		if start < network+minIPHeader || field > 255 || start+field+2 > len(p.Head()) {
			return false
		}
		p.SetPartialChecksum(start, field)
	case h.flags()&unix.VIRTIO_NET_HDR_F_DATA_VALID != 0:
		p.Checksum = packet.ChecksumVerified
	}

	var version byte
	switch h.segmentation() {
	case unix.VIRTIO_NET_HDR_GSO_NONE:
		return true
	case unix.VIRTIO_NET_HDR_GSO_TCPV4:
		version = 4
	case unix.VIRTIO_NET_HDR_GSO_TCPV6:
		version = 6
	default: // segmentation that was not offered
		return false
	}
	if h.segmentSize() == 0 || p.Checksum != packet.ChecksumPartial || h.sumOffset() != tcpChecksumField ||
		p.Head()[network]>>4 != version {
		return false
	}
	p.SegmentSize = uint16(h.segmentSize())
	return true
}

var (
	errNoOffload  = errors.New("partial checksum: the device has no offloads")
	errNoTCP      = errors.New("super-segment whose TCP header is not in front")
	errBadPartial = errors.New("partial checksum outside of the packet")
)

// write fills in what the kernel must know to send p, whose frame was checked.
func (h *vnetHeader) write(p *packet.Packet, medium dev.Medium) error {
	*h = vnetHeader{}
	if p.Checksum != packet.ChecksumPartial {
		return nil
	}
	start, field := p.PartialChecksum()
	if start < 0 || start+field+2 > p.Len() {
		return errBadPartial
	}
	h[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	binary.NativeEndian.PutUint16(h[6:], uint16(start))
	binary.NativeEndian.PutUint16(h[8:], uint16(field))
	if p.SegmentSize == 0 {
		return nil
	}

	head := p.Head()
	if len(head) <= start+tcpOffsetField {
		return errNoTCP
	}
	h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV4
	if head[link.HeaderLen(medium)]>>4 == 6 {
		h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV6
	}
	headers := start + int(head[start+tcpOffsetField]>>4)*4
	binary.NativeEndian.PutUint16(h[2:], uint16(headers))
	binary.NativeEndian.PutUint16(h[4:], p.SegmentSize)
	return nil
}
