package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// The ports of DNS and of multicast DNS (RFC 6762).
const (
	DNSPort  = 53
	MDNSPort = 5353
)

// DNSPacket is a DNS message, without the length that precedes it in a TCP stream. It is here to be printed: messages
// are made and taken apart by golang.org/x/net/dns/dnsmessage. None of its methods panics.
type DNSPacket []byte

const (
	dnsHeaderLen = 12

	dnsFlagResponse           = 1 << 15
	dnsFlagAuthoritative      = 1 << 10
	dnsFlagTruncated          = 1 << 9
	dnsFlagRecursionDesired   = 1 << 8
	dnsFlagRecursionAvailable = 1 << 7
	dnsFlagAuthentic          = 1 << 5
	dnsFlagCheckingDisabled   = 1 << 4

	// Multicast DNS has the first bit of a class for itself: in a question it asks for an answer to the asker alone, in
	// a resource it says that what was known before is to be forgotten (RFC 6762, sections 5.4 and 10.2).
	mdnsClassFlag = 1 << 15
)

// String prints the message as tcpdump -vv would.
func (p DNSPacket) String() string { return string(p.append(nil, false)) }

// append prints the message, of multicast DNS if so said.
func (p DNSPacket) append(b []byte, multicast bool) []byte {
	if len(p) < dnsHeaderLen {
		return fmt.Appendf(b, "domain [length %d < %d] (invalid)", len(p), dnsHeaderLen)
	}
	word := func(i int) uint16 { return binary.BigEndian.Uint16(p[2*i:]) }
	flags, questions, answers, authorities, additionals := word(1), word(2), word(3), word(4), word(5)
	response := flags&dnsFlagResponse != 0

	b = fmt.Appendf(b, "%d%s", word(0), dnsOperation(flags>>11&0xf))
	if response {
		b = append(b, dnsOutcome(flags&0xf)...)
		b = appendIf(b, flags&dnsFlagAuthoritative != 0, "*")
		b = appendIf(b, flags&dnsFlagRecursionAvailable == 0, "-")
		b = appendIf(b, flags&dnsFlagTruncated != 0, "|")
		b = appendIf(b, flags&dnsFlagAuthentic != 0, "$")
		b = appendIf(b, flags&dnsFlagCheckingDisabled != 0, "%")
	} else {
		b = appendIf(b, flags&dnsFlagRecursionDesired != 0, "+")
		b = appendIf(b, flags&dnsFlagAuthentic != 0, "$")
		b = appendIf(b, flags&dnsFlagCheckingDisabled != 0, "%")
		b = appendDNSCount(b, answers, "a", answers == 0)
	}
	b = appendDNSCount(b, questions, "q", questions == 1)
	if !response {
		b = appendDNSCount(b, authorities, "n", authorities == 0)
		b = appendDNSCount(b, additionals, "au", additionals == 0)
	}

	printer := dnsPrinter{multicast: multicast}
	if _, err := printer.parser.Start(p); err != nil {
		return append(b, " [|domain]"...)
	}
	b = appendIf(b, response && questions > 0, " q:")
	b, ok := printer.appendQuestions(b)
	if response && ok {
		b = fmt.Appendf(b, " %d/%d/%d", answers, authorities, additionals)
	}
	for section, name := range [...]string{dnsAnswers: "", dnsAuthorities: " ns:", dnsAdditionals: " ar:"} {
		if ok {
			b = appendIf(b, word(3+section) > 0, name)
			b, ok = printer.appendResources(b, section)
		}
	}
	if !ok {
		return append(b, " [|domain]"...)
	}
	return fmt.Appendf(b, " (%d)", len(p))
}

func appendIf(b []byte, condition bool, s string) []byte {
	if condition {
		return append(b, s...)
	}
	return b
}

// appendDNSCount prints how many entries a section has, unless that is as usual.
func appendDNSCount(b []byte, n uint16, section string, usual bool) []byte {
	if usual {
		return b
	}
	return fmt.Appendf(b, " [%d%s]", n, section)
}

// The sections of resources.
const (
	dnsAnswers = iota
	dnsAuthorities
	dnsAdditionals
)

// dnsPrinter goes through a message.
type dnsPrinter struct {
	parser    dnsmessage.Parser
	multicast bool
}

// appendQuestions prints the questions, and reports whether all could be read.
func (d *dnsPrinter) appendQuestions(b []byte) ([]byte, bool) {
	for {
		q, err := d.parser.Question()
		if err == dnsmessage.ErrSectionDone {
			return b, true
		}
		if err != nil {
			return b, false
		}
		class, flagged := d.class(q.Class)
		b = fmt.Appendf(b, " %s", dnsType(q.Type))
		b = append(b, dnsClass(class)...)
		b = appendIf(b, flagged, " (QU)")
		b = fmt.Appendf(b, "? %s", dnsName(q.Name))
	}
}

// class takes multicast DNS's flag out of a class.
func (d *dnsPrinter) class(class dnsmessage.Class) (of dnsmessage.Class, flagged bool) {
	if !d.multicast {
		return class, false
	}
	return class &^ mdnsClassFlag, class&mdnsClassFlag != 0
}

// header returns the header of the section's next resource.
func (d *dnsPrinter) header(section int) (dnsmessage.ResourceHeader, error) {
	switch section {
	case dnsAnswers:
		return d.parser.AnswerHeader()
	case dnsAuthorities:
		return d.parser.AuthorityHeader()
	}
	return d.parser.AdditionalHeader()
}

// appendResources prints the resources of a section, and reports whether all could be read.
func (d *dnsPrinter) appendResources(b []byte, section int) ([]byte, bool) {
	for i := 0; ; i++ {
		h, err := d.header(section)
		if err == dnsmessage.ErrSectionDone {
			return b, true
		}
		if err != nil {
			return b, false
		}
		b = appendIf(b, i > 0, ",")
		b = fmt.Appendf(b, " %s", dnsName(h.Name))
		if h.Type == dnsmessage.TypeOPT {
			// The header is not what it is elsewhere: RFC 6891, section 6.1.2.
			b = fmt.Appendf(b, " OPT UDPsize=%d", h.Class)
			b = appendIf(b, h.DNSSECAllowed(), " DO")
		} else {
			class, flagged := d.class(h.Class)
			b = appendIf(b, flagged, " (Cache flush)")
			b = fmt.Appendf(b, "%s %s", dnsClass(class), dnsType(h.Type))
		}
		var ok bool
		if b, ok = d.appendData(b, h.Type); !ok {
			return b, false
		}
	}
}

// appendData prints what a resource of the type says, and reports whether it could be read.
func (d *dnsPrinter) appendData(b []byte, kind dnsmessage.Type) ([]byte, bool) {
	var err error
	switch kind {
	case dnsmessage.TypeA:
		var r dnsmessage.AResource
		if r, err = d.parser.AResource(); err == nil {
			b = fmt.Appendf(b, " %v", netip.AddrFrom4(r.A))
		}
	case dnsmessage.TypeAAAA:
		var r dnsmessage.AAAAResource
		if r, err = d.parser.AAAAResource(); err == nil {
			b = fmt.Appendf(b, " %v", netip.AddrFrom16(r.AAAA))
		}
	case dnsmessage.TypeCNAME:
		var r dnsmessage.CNAMEResource
		if r, err = d.parser.CNAMEResource(); err == nil {
			b = fmt.Appendf(b, " %s", dnsName(r.CNAME))
		}
	case dnsmessage.TypeNS:
		var r dnsmessage.NSResource
		if r, err = d.parser.NSResource(); err == nil {
			b = fmt.Appendf(b, " %s", dnsName(r.NS))
		}
	case dnsmessage.TypePTR:
		var r dnsmessage.PTRResource
		if r, err = d.parser.PTRResource(); err == nil {
			b = fmt.Appendf(b, " %s", dnsName(r.PTR))
		}
	case dnsmessage.TypeMX:
		var r dnsmessage.MXResource
		if r, err = d.parser.MXResource(); err == nil {
			b = fmt.Appendf(b, " %s %d", dnsName(r.MX), r.Pref)
		}
	case dnsmessage.TypeSRV:
		var r dnsmessage.SRVResource
		if r, err = d.parser.SRVResource(); err == nil {
			b = fmt.Appendf(b, " %s:%d %d %d", dnsName(r.Target), r.Port, r.Priority, r.Weight)
		}
	case dnsmessage.TypeSOA:
		var r dnsmessage.SOAResource
		if r, err = d.parser.SOAResource(); err == nil {
			b = fmt.Appendf(b, " %s %s %d %d %d %d %d", dnsName(r.NS), dnsName(r.MBox), r.Serial, r.Refresh, r.Retry,
				r.Expire, r.MinTTL)
		}
	case dnsmessage.TypeTXT:
		var r dnsmessage.TXTResource
		if r, err = d.parser.TXTResource(); err == nil {
			for _, text := range r.TXT {
				b = fmt.Appendf(b, " %q", text)
			}
		}
	default:
		_, err = d.parser.UnknownResource()
	}
	return b, err == nil
}

// dnsName is a name with a dot at its end; what could be taken for something else than the name's own characters
// is escaped, as in a zone's file.
func dnsName(name dnsmessage.Name) string {
	octets := name.Data[:name.Length]
	var s strings.Builder
	for _, c := range octets {
		switch {
		case c <= ' ' || c > '~':
			fmt.Fprintf(&s, "\\%03d", c)
		case c == '\\' || c == '"':
			s.WriteByte('\\')
			fallthrough
		default:
			s.WriteByte(c)
		}
	}
	return s.String()
}

// dnsType names a type as tcpdump does.
func dnsType(kind dnsmessage.Type) string {
	switch kind {
	case dnsmessage.TypeALL:
		return "ANY"
	case 43:
		return "DS"
	case 46:
		return "RRSIG"
	case 47:
		return "NSEC"
	case 48:
		return "DNSKEY"
	case 252:
		return "AXFR"
	}
	if name, ok := strings.CutPrefix(kind.String(), "Type"); ok {
		return name
	}
	return fmt.Sprintf("Type%d", kind)
}

// dnsClass names a class, after a blank, unless it is the Internet's.
func dnsClass(class dnsmessage.Class) string {
	switch class {
	case dnsmessage.ClassINET:
		return ""
	case dnsmessage.ClassCHAOS:
		return " CHAOS"
	case dnsmessage.ClassHESIOD:
		return " HS"
	case dnsmessage.ClassANY:
		return " ANY"
	}
	return fmt.Sprintf(" (Class %d)", class)
}

// dnsOperation names what is asked for, after a blank, unless it is a plain query.
func dnsOperation(code uint16) string {
	names := [...]string{1: " inv_q", 2: " stat", 4: " notify", 5: " update"}
	if code == 0 {
		return ""
	}
	if int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return fmt.Sprintf(" op%d", code)
}

// dnsOutcome names what became of a query, after a blank, unless that is success.
func dnsOutcome(code uint16) string {
	names := [...]string{1: " FormErr", 2: " ServFail", 3: " NXDomain", 4: " NotImp", 5: " Refused", 6: " YXDomain",
		7: " YXRRSet", 8: " NXRRSet", 9: " NotAuth", 10: " NotZone"}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf(" Resp%d", code)
}

// appendDNSStream prints what a segment carries of a stream of messages: the message that it begins with, if that is
// what it begins with, whole or not.
func appendDNSStream(b, stream []byte) []byte {
	const lengthLen = 2
	if len(stream) < lengthLen+dnsHeaderLen {
		return b
	}
	length := int(binary.BigEndian.Uint16(stream))
	if length < dnsHeaderLen {
		return b
	}
	message := stream[lengthLen:]
	return DNSPacket(message[:min(length, len(message))]).append(append(b, ' '), false)
}
