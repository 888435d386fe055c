package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

const (
	// IGMPHeaderLen is the length in octets of the shortest IGMP message, and of all messages of versions 1 and 2.
	IGMPHeaderLen = 8
	// IGMPv3QueryLen is the length in octets of a query of version 3 without sources.
	IGMPv3QueryLen = 12
	// IGMPv3ReportLen is the length in octets of a report of version 3 without records.
	IGMPv3ReportLen = 8
)

// Types of IGMP messages (RFC 3376, section 4).
const (
	IGMPQuery    = 0x11
	IGMPv1Report = 0x12
	IGMPv2Report = 0x16
	IGMPv2Leave  = 0x17
	IGMPv3Report = 0x22
)

// IGMPPacket is an IGMP message (RFC 1112, 2236 and 3376). Which of the accessors mean something depends on the type.
// Made by ParseIGMP, none of its methods panics.
type IGMPPacket []byte

// ParseIGMP takes all of b for a message. The checksum is not verified. The error is ErrTruncated if b is shorter than
// any message.
func ParseIGMP(b []byte) (IGMPPacket, error) {
	if len(b) < IGMPHeaderLen {
		return nil, ErrTruncated
	}
	return b, nil
}

// Type is the type of the message, such as IGMPQuery.
func (p IGMPPacket) Type() uint8 { return p[0] }

// MaxResponseCode is how long answers to a query may take, in the form that its version gives that.
func (p IGMPPacket) MaxResponseCode() uint8 { return p[1] }

// Checksum is the checksum field.
func (p IGMPPacket) Checksum() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Group is the group that the message is about: 0.0.0.0 in a query about all. A report of version 3 has none.
func (p IGMPPacket) Group() netip.Addr { return netip.AddrFrom4([4]byte(p[4:8])) }

// Records is how many records a report of version 3 has.
func (p IGMPPacket) Records() int { return int(binary.BigEndian.Uint16(p[6:])) }

// QueryVersion is the version of a query: its length and code tell. It is 0 if no version has such queries.
//
// Of 8 octets it is version 1 without and version 2 with a maximum response code; from 12 octets on it is version 3;
// what is between must be ignored.
// https://www.rfc-editor.org/rfc/rfc3376.html#section-7.1
func (p IGMPPacket) QueryVersion() int {
	switch {
	case len(p) >= IGMPv3QueryLen:
		return 3
	case len(p) != IGMPHeaderLen:
		return 0
	case p.MaxResponseCode() == 0:
		return 1
	}
	return 2
}

// VerifyChecksum reports whether the checksum over the whole message is right.
func (p IGMPPacket) VerifyChecksum() bool { return Checksum(p) == 0 }

// SetChecksum sets the checksum field.
func (p IGMPPacket) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[2:], sum) }

// FillChecksum computes the checksum over the whole message and sets it. It comes after every other change.
func (p IGMPPacket) FillChecksum() {
	p.SetChecksum(0)
	p.SetChecksum(Checksum(p))
}

// String prints the message as tcpdump would, without addresses.
func (p IGMPPacket) String() string {
	if len(p) < IGMPHeaderLen {
		return "[|igmp]"
	}
	return "igmp " + p.describe()
}

func formatIGMP(src, dst netip.Addr, payload []byte) string {
	return formatEndpoints(src, dst) + IGMPPacket(payload).String()
}

func (p IGMPPacket) describe() string {
	switch p.Type() {
	case IGMPQuery:
		return p.describeQuery()
	case IGMPv1Report:
		return "v1 report " + p.Group().String()
	case IGMPv2Report:
		return "v2 report " + p.Group().String()
	case IGMPv2Leave:
		return "leave " + p.Group().String()
	case IGMPv3Report:
		s := fmt.Sprintf("v3 report, %d group record(s)", p.Records())
		records, err := parseMulticastRecords(p[IGMPv3ReportLen:], p.Records(), 4)
		for i := range records {
			s += " " + records[i].String()
		}
		if err != nil {
			s += " [|igmp]"
		}
		return s
	}
	return fmt.Sprintf("unknown type 0x%02x, length %d", p.Type(), len(p))
}

func (p IGMPPacket) describeQuery() string {
	version := p.QueryVersion()
	s := fmt.Sprintf("query v%d", version)
	switch version {
	case 0:
		return fmt.Sprintf("query of unknown version, length %d", len(p))
	case 1:
	case 2:
		s += fmt.Sprintf(" [max resp time %v]", time.Duration(p.MaxResponseCode())*igmpTick)
	case 3:
		s += fmt.Sprintf(" [max resp time %v]", time.Duration(decodeFloat(uint32(p.MaxResponseCode()), 4))*igmpTick)
	}
	if !p.Group().IsUnspecified() {
		s += fmt.Sprintf(" [gaddr %v]", p.Group())
	}
	if version != 3 {
		return s
	}
	if p[8]&8 != 0 {
		s += " sflag"
	}
	s += fmt.Sprintf(" robustness %d, qqi %v", p[8]&7, time.Duration(decodeFloat(uint32(p[9]), 4))*time.Second)
	n := int(binary.BigEndian.Uint16(p[10:]))
	switch sources, err := parseSources(p[IGMPv3QueryLen:], n, 4); {
	case err != nil:
		s += " [|igmp]"
	case n > 0:
		s += " " + formatSources(sources)
	}
	return s
}

// igmpTick is the unit of maximum response codes.
const igmpTick = time.Second / 10

// igmpv1MaxResponse is how long answers to a query of version 1 may take.
const igmpv1MaxResponse = 10 * time.Second

// IGMPQueryRepr is a query: a router asks which groups are listened to.
type IGMPQueryRepr struct {
	Version     uint8         // 1, 2 or 3
	Group       netip.Addr    // IPv4; 0.0.0.0: all groups
	MaxResponse time.Duration // how long answers may take; 10 s always in version 1, and at least 0.1 s in version 2

	// Version 3 alone has these.

	Suppress   bool          // routers: do not change your timers
	Robustness uint8         // the querier's robustness variable: 0, which says nothing, to 7
	Interval   time.Duration // the time between the querier's queries about all groups, whole seconds
	Sources    []netip.Addr  // IPv4; of these sources alone it is asked
}

// Parse reads p. The errors are ErrChecksum, ErrMalformed if p is no query of any version or is about what is no group, and
// ErrTruncated if not all sources are there.
func (r *IGMPQueryRepr) Parse(p IGMPPacket) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	version, group := p.QueryVersion(), p.Group()
	if p.Type() != IGMPQuery || version == 0 || !group.IsUnspecified() && !group.IsMulticast() {
		return ErrMalformed
	}
	q := IGMPQueryRepr{Version: uint8(version), Group: group}
	switch version {
	case 1:
		q.MaxResponse = igmpv1MaxResponse
	case 2:
		q.MaxResponse = time.Duration(p.MaxResponseCode()) * igmpTick
	case 3:
		q.MaxResponse = time.Duration(decodeFloat(uint32(p.MaxResponseCode()), 4)) * igmpTick
		q.Suppress, q.Robustness = p[8]&8 != 0, p[8]&7
		q.Interval = time.Duration(decodeFloat(uint32(p[9]), 4)) * time.Second
		var err error
		if q.Sources, err = parseSources(p[IGMPv3QueryLen:], int(binary.BigEndian.Uint16(p[10:])), 4); err != nil {
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
func (r *IGMPQueryRepr) Len() int {
	if r.Version < 3 {
		return IGMPHeaderLen
	}
	return IGMPv3QueryLen + 4*len(r.Sources)
}

// Emit writes the query, with its checksum, to the front of b. Times that cannot be said exactly are rounded down.
func (r *IGMPQueryRepr) Emit(b []byte) {
	p := IGMPPacket(b[:r.Len()])
	clear(p)
	p[0] = IGMPQuery
	putIPv4Addr(p[4:], r.Group)
	response := ticks(r.MaxResponse, igmpTick)
	switch r.Version {
	case 1:
	case 2:
		p[1] = uint8(min(max(response, 1), 255)) // zero would be version 1
	default:
		p[1] = uint8(encodeFloat(response, 4))
		p[8] = r.Robustness & 7
		if r.Suppress {
			p[8] |= 8
		}
		p[9] = uint8(encodeFloat(ticks(r.Interval, time.Second), 4))
		binary.BigEndian.PutUint16(p[10:], uint16(len(r.Sources)))
		for i, source := range r.Sources {
			putIPv4Addr(p[IGMPv3QueryLen+4*i:], source)
		}
	}
	p.FillChecksum()
}

// String prints the query as tcpdump would.
func (r *IGMPQueryRepr) String() string { return igmpString(r) }

// IGMPGroupRepr is a message about one group: a report of version 1 or 2, or that the last listener has left.
type IGMPGroupRepr struct {
	Type  uint8      // IGMPv1Report, IGMPv2Report or IGMPv2Leave
	Group netip.Addr // IPv4, multicast
}

// Parse reads p; octets behind the first eight are skipped. The errors are ErrChecksum, and ErrMalformed if p is of
// another type or about what is no group.
func (r *IGMPGroupRepr) Parse(p IGMPPacket) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	switch p.Type() {
	case IGMPv1Report, IGMPv2Report, IGMPv2Leave:
	default:
		return ErrMalformed
	}
	if !p.Group().IsMulticast() {
		return ErrMalformed
	}
	*r = IGMPGroupRepr{Type: p.Type(), Group: p.Group()}
	return nil
}

// Len is the number of octets that Emit writes: 8.
func (r *IGMPGroupRepr) Len() int { return IGMPHeaderLen }

// Emit writes the message, with its checksum, to the front of b.
func (r *IGMPGroupRepr) Emit(b []byte) {
	p := IGMPPacket(b[:r.Len()])
	clear(p)
	p[0] = r.Type
	putIPv4Addr(p[4:], r.Group)
	p.FillChecksum()
}

// String prints the message as "igmp v2 report 239.1.2.3".
func (r *IGMPGroupRepr) String() string { return igmpString(r) }

// IGMPv3ReportRepr is a report of version 3.
type IGMPv3ReportRepr struct {
	Records []MulticastRecord // of IPv4
}

// Parse reads p. The errors are ErrChecksum, ErrMalformed if p is of another type or one of its records of a type not
// known or about what is no group, and ErrTruncated if not all records are there.
func (r *IGMPv3ReportRepr) Parse(p IGMPPacket) error {
	if !p.VerifyChecksum() {
		return ErrChecksum
	}
	if p.Type() != IGMPv3Report {
		return ErrMalformed
	}
	records, err := parseMulticastRecords(p[IGMPv3ReportLen:], p.Records(), 4)
	if err != nil {
		return err
	}
	r.Records = records
	return nil
}

// Len is the number of octets that Emit writes.
func (r *IGMPv3ReportRepr) Len() int { return IGMPv3ReportLen + recordsLen(r.Records) }

// recordsLen is the number of octets that records take.
func recordsLen(records []MulticastRecord) int {
	n := 0
	for i := range records {
		n += records[i].Len()
	}
	return n
}

// Emit writes the report, with its checksum, to the front of b.
func (r *IGMPv3ReportRepr) Emit(b []byte) {
	p := IGMPPacket(b[:r.Len()])
	clear(p[:IGMPv3ReportLen])
	p[0] = IGMPv3Report
	binary.BigEndian.PutUint16(p[6:], uint16(len(r.Records)))
	rest := []byte(p[IGMPv3ReportLen:])
	for i := range r.Records {
		rest = r.Records[i].emit(rest)
	}
	p.FillChecksum()
}

// String prints the report with its records.
func (r *IGMPv3ReportRepr) String() string { return igmpString(r) }

// igmpString prints a representation as the message that it emits.
func igmpString(r interface {
	Len() int
	Emit(b []byte)
}) string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return IGMPPacket(b).String()
}
