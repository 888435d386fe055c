package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// MulticastRecordType says what a MulticastRecord tells of a group: the numbers are IGMPv3's and MLDv2's alike.
type MulticastRecordType uint8

// What a host tells of a group (RFC 3376, section 4.2.12; RFC 3810, section 5.2.12). The first two answer a query, the
// others say that something has changed.
const (
	MulticastIsInclude      MulticastRecordType = 1 // the host wants what comes from the sources
	MulticastIsExclude      MulticastRecordType = 2 // the host wants all but what comes from the sources
	MulticastToInclude      MulticastRecordType = 3 // from now on it is MulticastIsInclude; without sources: it has left
	MulticastToExclude      MulticastRecordType = 4 // from now on it is MulticastIsExclude; without sources: it has joined
	MulticastAllowNew       MulticastRecordType = 5 // the host wants what comes from these sources as well
	MulticastBlockOld       MulticastRecordType = 6 // the host does not want what comes from these sources any more
	lastMulticastRecordType                     = MulticastBlockOld
)

// String is the type as tcpdump has it: "to_ex".
func (t MulticastRecordType) String() string {
	switch t {
	case MulticastIsInclude:
		return "is_in"
	case MulticastIsExclude:
		return "is_ex"
	case MulticastToInclude:
		return "to_in"
	case MulticastToExclude:
		return "to_ex"
	case MulticastAllowNew:
		return "allow"
	case MulticastBlockOld:
		return "block"
	}
	return fmt.Sprintf("type-%d", uint8(t))
}

// MulticastRecord is what an IGMPv3 or MLDv2 report says of one group.
type MulticastRecord struct {
	Type    MulticastRecordType
	Group   netip.Addr
	Sources []netip.Addr // of the group's family, 65,535 at most
}

// Len is the number of octets that the record takes in a report.
func (r *MulticastRecord) Len() int {
	n := len(r.Group.AsSlice())
	return multicastRecordHeaderLen + n + n*len(r.Sources)
}

// multicastRecordHeaderLen is the length of what precedes the group in a record: type, the length of auxiliary data,
// and the number of sources.
const multicastRecordHeaderLen = 4

// emit writes the record and returns what is behind it.
func (r *MulticastRecord) emit(b []byte) []byte {
	b[0], b[1] = uint8(r.Type), 0
	binary.BigEndian.PutUint16(b[2:], uint16(len(r.Sources)))
	b = b[multicastRecordHeaderLen:]
	b = b[copy(b, r.Group.AsSlice()):]
	for _, source := range r.Sources {
		b = b[copy(b, source.AsSlice()):]
	}
	return b
}

// String prints the record as tcpdump does: "[gaddr 239.1.2.3 to_ex { }]".
func (r *MulticastRecord) String() string {
	return fmt.Sprintf("[gaddr %v %v %s]", r.Group, r.Type, formatSources(r.Sources))
}

func formatSources(sources []netip.Addr) string {
	s := "{ "
	for _, source := range sources {
		s += source.String() + " "
	}
	return s + "}"
}

// parseMulticastRecords reads n records, whose addresses have addrLen octets, from the front of b. Auxiliary data, which
// neither protocol defines any of, is skipped. The errors are ErrTruncated, and ErrMalformed for a type or a group that
// there cannot be.
func parseMulticastRecords(b []byte, n, addrLen int) ([]MulticastRecord, error) {
	var records []MulticastRecord // grows as records are found: n is anybody's word
	for range n {
		head := multicastRecordHeaderLen + addrLen
		if len(b) < head {
			return records, ErrTruncated
		}
		r := MulticastRecord{Type: MulticastRecordType(b[0])}
		r.Group, _ = netip.AddrFromSlice(b[multicastRecordHeaderLen:head])
		sources, aux := int(binary.BigEndian.Uint16(b[2:])), int(b[1])*4
		var err error
		if r.Sources, err = parseSources(b[head:], sources, addrLen); err != nil || len(b) < head+sources*addrLen+aux {
			return records, ErrTruncated
		}
		if r.Type < MulticastIsInclude || r.Type > lastMulticastRecordType || !r.Group.IsMulticast() {
			return records, ErrMalformed
		}
		records = append(records, r)
		b = b[head+sources*addrLen+aux:]
	}
	return records, nil
}

// parseSources reads n addresses of addrLen octets each from the front of b.
func parseSources(b []byte, n, addrLen int) ([]netip.Addr, error) {
	if len(b) < n*addrLen {
		return nil, ErrTruncated
	}
	if n == 0 {
		return nil, nil
	}
	sources := make([]netip.Addr, n)
	for i := range sources {
		sources[i], _ = netip.AddrFromSlice(b[i*addrLen:][:addrLen])
	}
	return sources, nil
}

// Queries say times in few bits: as they are up to a threshold, and as a floating-point number above.

// decodeFloat is the number that code stands for, of which mantissa bits are a mantissa with a hidden one above it,
// three bits before them an exponent, and the first bit says that it is such a number.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-4.1.1
func decodeFloat(code uint32, mantissa int) uint32 {
	if code>>(mantissa+3) == 0 {
		return code
	}
	exponent := code >> mantissa & 7
	return (code&(1<<mantissa-1) | 1<<mantissa) << (exponent + 3)
}

// encodeFloat is the code for n, or for the largest number below it that has one.
func encodeFloat(n uint64, mantissa int) uint32 {
	if n>>(mantissa+3) == 0 {
		return uint32(n)
	}
	for exponent := range uint64(8) {
		if significant := n >> (exponent + 3); significant>>(mantissa+1) == 0 {
			return uint32(1<<(mantissa+3) | exponent<<mantissa | significant&(1<<mantissa-1))
		}
	}
	return 1<<(mantissa+4) - 1
}

// ticks is how often unit fits into d; none of what is negative.
func ticks(d, unit time.Duration) uint64 { return uint64(max(d, 0) / unit) }
