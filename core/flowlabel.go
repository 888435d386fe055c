package core

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
)

// flowLabels labels IPv6 packets by the flow that they belong to, so that routers which spread flows over several ways can tell
// them apart without looking into the packets. A label is a seeded hash of addresses, ports and protocol: all packets of
// a connection have the same, and nobody outside can tell another's. This is the stateless way of RFC 6437.
// https://www.rfc-editor.org/rfc/rfc6437.html#section-3
type flowLabels struct {
	on     bool
	secret [5]uint64
}

func newFlowLabels(config *Config) (flowLabels, error) {
	f := flowLabels{on: !config.NoFlowLabels}
	if !f.on {
		return f, nil
	}
	var b [8 * len(f.secret)]byte
	if _, err := io.ReadFull(config.Rand, b[:]); err != nil {
		return f, err
	}
	for i := range f.secret {
		f.secret[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return f, nil
}

// label is the label of p, which begins with its transport header, from src to dst; 0: it belongs to no flow.
func (f *flowLabels) label(p *packet.Packet, src, dst *[16]byte) uint32 {
	transport := p.Head()
	if !f.on || p.IP.Protocol != ip.ProtocolTCP && p.IP.Protocol != ip.ProtocolUDP || len(transport) < 4 {
		return 0
	}
	ports := uint64(binary.NativeEndian.Uint32(transport))
	a := fold(binary.NativeEndian.Uint64(src[:])^f.secret[0], binary.NativeEndian.Uint64(src[8:])^f.secret[1])
	b := fold(binary.NativeEndian.Uint64(dst[:])^f.secret[2], binary.NativeEndian.Uint64(dst[8:])^f.secret[3])
	hash := fold(a^b, ports<<8^uint64(p.IP.Protocol)^f.secret[4])
	// "A Flow Label of zero is used to indicate packets that have not been labeled."
	// https://www.rfc-editor.org/rfc/rfc6437.html#section-2
	return max(uint32(hash>>44), 1)
}

// fold multiplies, and adds up both halves of the product without carry.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
