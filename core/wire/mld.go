package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// MLDHopLimit is the hop limit of every Multicast Listener Discovery message. Who takes one from a packet must see to
// it, the checksum, the source and the router alert option: the representations here know only the message.
// https://www.rfc-editor.org/rfc/rfc3810.html#section-5
const MLDHopLimit = 1

// Lengths of messages: of all of version 1, and of those of version 2 without sources or records.
const (
	MLDv1Len       = 24
	MLDv2QueryLen  = 28
	MLDv2ReportLen = 8
)

// mldTick is the unit of maximum response codes.
const mldTick = time.Millisecond

// MLDQueryRepr is a multicast listener query: a router asks which groups are listened to (RFC 2710, section 3; RFC 3810,
// section 5.1).
type MLDQueryRepr struct {
	Version     uint8         // 1 or 2
	Group       netip.Addr    // IPv6; ::: all groups
	MaxResponse time.Duration // how long answers may take, whole milliseconds

	// Version 2 alone has these.

	Suppress   bool          // routers: do not change your timers
	Robustness uint8         // the querier's robustness variable: 0, which says nothing, to 7
	Interval   time.Duration // the time between the querier's queries about all groups, whole seconds
	Sources    []netip.Addr  // IPv6; of these sources alone it is asked
}

// mldQueryVersion is the version of the query p: its length tells. It is 0 if no version has such queries.
//
// 24 octets make it version 1 and at least 28 version 2; any other must be ignored.
// https://www.rfc-editor.org/rfc/rfc3810.html#section-8.1
func mldQueryVersion(p ICMPv6Packet) uint8 {
	switch {
	case len(p) >= MLDv2QueryLen:
		return 2
	case len(p) == MLDv1Len:
		return 1
	}
	return 0
}

// mldGroup is the group that a query, or a message of version 1, is about.
func mldGroup(p ICMPv6Packet) netip.Addr { return netip.AddrFrom16([16]byte(p[8:24])) }

// Parse sets r to what p says. It does not look at the checksum. The errors are ErrMalformed if p is no query of any
// version, or is about what is no group, and ErrTruncated if not all sources are there.
func (r *MLDQueryRepr) Parse(p ICMPv6Packet) error {
	version := mldQueryVersion(p)
	if p.Type() != ICMPv6MulticastQuery || p.Code() != 0 || version == 0 {
		return ErrMalformed
	}
	group := mldGroup(p)
	if !group.IsUnspecified() && !group.IsMulticast() {
		return ErrMalformed
	}
	code := uint32(binary.BigEndian.Uint16(p[4:]))
	q := MLDQueryRepr{Version: version, Group: group, MaxResponse: time.Duration(code) * mldTick}
	if version == 2 {
		q.MaxResponse = time.Duration(decodeFloat(code, 12)) * mldTick
		q.Suppress, q.Robustness = p[24]&8 != 0, p[24]&7
		q.Interval = time.Duration(decodeFloat(uint32(p[25]), 4)) * time.Second
		var err error
		if q.Sources, err = parseSources(p[MLDv2QueryLen:], int(binary.BigEndian.Uint16(p[26:])), 16); err != nil {
			return err
		}
		if len(q.Sources) > 0 && group.IsUnspecified() {
			return ErrMalformed
		}
	}
	*r = q
	return nil
}

// Len is the number of octets that Emit writes.
func (r *MLDQueryRepr) Len() int {
	if r.Version < 2 {
		return MLDv1Len
	}
	return MLDv2QueryLen + 16*len(r.Sources)
}

// Emit writes the query, sent from src to dst, to the front of b. Times that cannot be said exactly are rounded down.
func (r *MLDQueryRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	clear(b)
	response := ticks(r.MaxResponse, mldTick)
	b[0] = ICMPv6MulticastQuery
	copy(b[8:24], r.Group.AsSlice())
	if r.Version < 2 {
		binary.BigEndian.PutUint16(b[4:], uint16(min(response, 65535)))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(encodeFloat(response, 12)))
		b[24] = r.Robustness & 7
		if r.Suppress {
			b[24] |= 8
		}
		b[25] = uint8(encodeFloat(ticks(r.Interval, time.Second), 4))
		binary.BigEndian.PutUint16(b[26:], uint16(len(r.Sources)))
		for i, source := range r.Sources {
			copy(b[MLDv2QueryLen+16*i:][:16], source.AsSlice())
		}
	}
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the query as tcpdump would.
func (r *MLDQueryRepr) String() string { return icmpv6String(r) }

// MLDReportRepr is a message of version 1 about one group: a report, or that the last listener has left.
type MLDReportRepr struct {
	Done  bool       // else report
	Group netip.Addr // IPv6, multicast
}

// Parse sets r to what p says; octets behind the group are skipped. It does not look at the checksum. The errors are
// ErrTruncated, and ErrMalformed if p is of another type or about what is no group.
func (r *MLDReportRepr) Parse(p ICMPv6Packet) error {
	if len(p) < MLDv1Len {
		return ErrTruncated
	}
	kind := p.Type()
	if kind != ICMPv6MulticastReport && kind != ICMPv6MulticastDone || p.Code() != 0 || !mldGroup(p).IsMulticast() {
		return ErrMalformed
	}
	*r = MLDReportRepr{Done: kind == ICMPv6MulticastDone, Group: mldGroup(p)}
	return nil
}

// Len is the number of octets that Emit writes: 24.
func (r *MLDReportRepr) Len() int { return MLDv1Len }

// Emit writes the message, sent from src to dst, to the front of b.
func (r *MLDReportRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	clear(b)
	b[0] = ICMPv6MulticastReport
	if r.Done {
		b[0] = ICMPv6MulticastDone
	}
	copy(b[8:24], r.Group.AsSlice())
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the message as tcpdump would.
func (r *MLDReportRepr) String() string { return icmpv6String(r) }

// MLDv2ReportRepr is a report of version 2.
type MLDv2ReportRepr struct {
	Records []MulticastRecord // of IPv6
}

// Parse sets r to what p says. It does not look at the checksum. The errors are ErrMalformed if p is of another type or
// one of its records of a type not known or about what is no group, and ErrTruncated if not all records are there.
func (r *MLDv2ReportRepr) Parse(p ICMPv6Packet) error {
	if p.Type() != ICMPv6MulticastReport2 || p.Code() != 0 {
		return ErrMalformed
	}
	records, err := parseMulticastRecords(p[MLDv2ReportLen:], mldRecords(p), 16)
	if err != nil {
		return err
	}
	r.Records = records
	return nil
}

// mldRecords is how many records a report of version 2 has.
func mldRecords(p ICMPv6Packet) int { return int(binary.BigEndian.Uint16(p[6:])) }

// Len is the number of octets that Emit writes.
func (r *MLDv2ReportRepr) Len() int { return MLDv2ReportLen + recordsLen(r.Records) }

// Emit writes the report, sent from src to dst, to the front of b.
func (r *MLDv2ReportRepr) Emit(b []byte, src, dst netip.Addr) {
	b = b[:r.Len()]
	putICMPv6Header(b, ICMPv6MulticastReport2, 0, uint32(len(r.Records)))
	rest := b[MLDv2ReportLen:]
	for i := range r.Records {
		rest = r.Records[i].emit(rest)
	}
	ICMPv6Packet(b).FillChecksum(src, dst)
}

// String prints the report with its records.
func (r *MLDv2ReportRepr) String() string { return icmpv6String(r) }

// appendMLDMessage prints what there is in a message besides its type.
func appendMLDMessage(b []byte, p ICMPv6Packet) []byte {
	switch p.Type() {
	case ICMPv6MulticastReport2:
		b = fmt.Appendf(b, ", %d group record(s)", mldRecords(p))
		records, err := parseMulticastRecords(p[MLDv2ReportLen:], mldRecords(p), 16)
		for i := range records {
			b = fmt.Appendf(b, " %v", &records[i])
		}
		if err != nil {
			b = append(b, " [|icmp6]"...)
		}
		return b
	case ICMPv6MulticastQuery:
		return appendMLDQuery(b, p)
	}
	if len(p) < MLDv1Len {
		return append(b, " [|icmp6]"...)
	}
	return fmt.Appendf(b, " addr: %v", mldGroup(p))
}

func appendMLDQuery(b []byte, p ICMPv6Packet) []byte {
	version, code := mldQueryVersion(p), uint32(binary.BigEndian.Uint16(p[4:]))
	switch version {
	case 0:
		return append(b, " of unknown version"...)
	case 2:
		code = decodeFloat(code, 12)
	}
	b = fmt.Appendf(b, " v%d [max resp delay %v]", version, time.Duration(code)*mldTick)
	if group := mldGroup(p); !group.IsUnspecified() {
		b = fmt.Appendf(b, " [gaddr %v]", group)
	}
	if version == 1 {
		return b
	}
	if p[24]&8 != 0 {
		b = append(b, " sflag"...)
	}
	b = fmt.Appendf(b, " robustness %d, qqi %v", p[24]&7, time.Duration(decodeFloat(uint32(p[25]), 4))*time.Second)
	n := int(binary.BigEndian.Uint16(p[26:]))
	switch sources, err := parseSources(p[MLDv2QueryLen:], n, 16); {
	case err != nil:
		b = append(b, " [|icmp6]"...)
	case n > 0:
		b = fmt.Appendf(b, " %s", formatSources(sources))
	}
	return b
}

// icmpv6String prints a representation as the message that it emits.
func icmpv6String(r interface {
	Len() int
	Emit(b []byte, src, dst netip.Addr)
}) string {
	b := make([]byte, r.Len())
	r.Emit(b, netip.IPv6Unspecified(), netip.IPv6Unspecified())
	return ICMPv6Packet(b).String()
}
