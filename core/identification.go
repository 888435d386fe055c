package core

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
)

// identifications makes the numbers by which fragments of one packet find together again. Those of packets from one address to
// another come one after the other, so that a number does not come again before all others have; and nobody else can tell where
// they begin. This is the hash-based algorithm of RFC 7739.
// https://www.rfc-editor.org/rfc/rfc7739.html#section-5.3
//
// It holds for IPv4 too, where the numbers of each protocol are their own.
type identifications struct {
	secret   [32]byte
	counters [1024]uint32 // shared by all whom the hash has share one

	// Packets of one sender come in a row: the latest hash is remembered.
	latest identified
	first  uint32
	index  uint32
}

// identified is whose packets have the same row of numbers.
type identified struct {
	src, dst netip.Addr
	protocol uint8
}

// identification is the number of a packet that is, or may be, cut into fragments. Of IPv4's the lower 16 bits count.
func (s *Stack) identification(info *packet.IPInfo) uint32 {
	i := s.identifications
	if i == nil {
		i = new(identifications)
		if _, err := io.ReadFull(s.rand, i.secret[:]); err != nil {
			binary.NativeEndian.PutUint64(i.secret[:], s.random())
		}
		s.identifications = i
	}
	whose := identified{src: info.Src, dst: info.Dst}
	if info.Dst.Is4() {
		whose.protocol = info.Protocol
	}
	if whose != i.latest {
		i.latest = whose
		var b [len(i.secret) + 33]byte
		src, dst := whose.src.As16(), whose.dst.As16()
		copy(b[:], i.secret[:])
		copy(b[32:], src[:])
		copy(b[48:], dst[:])
		b[64] = whose.protocol
		sum := sha256.Sum256(b[:])
		i.first, i.index = binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint32(sum[4:])%uint32(len(i.counters))
	}
	i.counters[i.index]++
	return i.first + i.counters[i.index]
}
