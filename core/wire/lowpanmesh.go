package wire

import "fmt"

const (
	lowpanMesh            = 0x80
	lowpanMeshShortOrigin = 0x20 // V: the originator's address is a short one
	lowpanMeshShortFinal  = 0x10 // F: the final destination's address is a short one
	lowpanMeshDeep        = 0xf  // of hops left: an octet of its own has them
	lowpanMeshHopsMask    = 0xf
	lowpanBroadcastLen    = 2
)

// LowpanMeshHeader is a mesh addressing header, of frames that others forward below IP (RFC 4944, section 5.2).
type LowpanMeshHeader struct {
	HopsLeft     uint8    // how many more times the frame may be forwarded
	Origin, Dest LinkAddr // of the node that sent the packet and of the one it is for, each extended or short
}

// Parse sets m to what the header that b begins with says. The error is ErrLowpanDispatch if there is no such header, and
// ErrTruncated if b is shorter than it.
func (m *LowpanMeshHeader) Parse(b []byte) error {
	if len(b) == 0 {
		return ErrTruncated
	}
	if ParseLowpanDispatch(b) != LowpanMesh {
		return ErrLowpanDispatch
	}
	first := b[0]
	b = b[1:]
	hops := first & lowpanMeshHopsMask
	if hops == lowpanMeshDeep {
		// "The value 0xF is reserved and signifies an 8-bit Deep Hops Left field immediately following, and allows a source
		// node to specify a hop limit greater than 14 hops."
		// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.2
		if len(b) == 0 {
			return ErrTruncated
		}
		hops, b = b[0], b[1:]
	}
	origin, dest := lowpanMeshAddrLen(first&lowpanMeshShortOrigin != 0), lowpanMeshAddrLen(first&lowpanMeshShortFinal != 0)
	if len(b) < origin+dest {
		return ErrTruncated
	}
	*m = LowpanMeshHeader{HopsLeft: hops, Origin: LinkAddrFrom(b[:origin]), Dest: LinkAddrFrom(b[origin : origin+dest])}
	return nil
}

func lowpanMeshAddrLen(short bool) int {
	if short {
		return ShortAddrLen
	}
	return ExtendedAddrLen
}

// Len is the number of octets that Emit writes.
func (m *LowpanMeshHeader) Len() int {
	n := 1 + m.Origin.Len() + m.Dest.Len()
	if m.HopsLeft >= lowpanMeshDeep {
		n++
	}
	return n
}

// Emit writes the header to the front of b. It panics if b is shorter than Len.
func (m *LowpanMeshHeader) Emit(b []byte) {
	b = b[:m.Len()]
	first := byte(lowpanMesh)
	if m.Origin.Len() == ShortAddrLen {
		first |= lowpanMeshShortOrigin
	}
	if m.Dest.Len() == ShortAddrLen {
		first |= lowpanMeshShortFinal
	}
	b[0] = first | min(m.HopsLeft, lowpanMeshDeep)
	rest := b[1:]
	if m.HopsLeft >= lowpanMeshDeep {
		rest[0], rest = m.HopsLeft, rest[1:]
	}
	m.Dest.AppendTo(m.Origin.AppendTo(rest[:0]))
}

// String prints the header: "MESH 0x0001 > 02:…:01, hops left 14".
func (m *LowpanMeshHeader) String() string {
	return fmt.Sprintf("MESH %v > %v, hops left %d", m.Origin, m.Dest, m.HopsLeft)
}

// lowpanMeshLen is the length of the mesh addressing header that b begins with; 0 if there is none.
func lowpanMeshLen(b []byte) int {
	var mesh LowpanMeshHeader
	if mesh.Parse(b) != nil {
		return 0
	}
	n := 1 + mesh.Origin.Len() + mesh.Dest.Len()
	if b[0]&lowpanMeshHopsMask == lowpanMeshDeep {
		n++ // though the hops may be few
	}
	return n
}

// SkipLowpanMesh says how many of b's first octets are a mesh addressing and a broadcast header, neither of which must be there,
// and puts the addresses of the former, which are those that what follows is compressed against, into link. The error is
// ErrTruncated if b ends within them.
func SkipLowpanMesh(b []byte, link *LowpanLink) (n int, err error) {
	if ParseLowpanDispatch(b) == LowpanMesh {
		var mesh LowpanMeshHeader
		if err := mesh.Parse(b); err != nil {
			return 0, err
		}
		link.Src, link.Dst = mesh.Origin, mesh.Dest
		n = lowpanMeshLen(b)
	}
	if ParseLowpanDispatch(b[n:]) == LowpanBC0 {
		if len(b) < n+lowpanBroadcastLen {
			return 0, ErrTruncated
		}
		n += lowpanBroadcastLen // a sequence number, by which those who forward know a frame again
	}
	return n, nil
}
