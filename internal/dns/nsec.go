package dns

import "golang.org/x/net/dns/dnsmessage"

// typeNSEC is the record that tells which types of records a name has. What package dnsmessage does not know it gives as
// octets, so its data is read here.
const typeNSEC dnsmessage.Type = 47

// denied reports whether a host on the link says that the name has no record of the type asked for, and for how many seconds
// that holds:
//
//	Any time a responder receives a query for a name for which it has verified exclusive ownership, for a type for which that
//	name has no records, the responder MUST […] respond asserting the nonexistence of that record using a DNS NSEC record
//
// Some put it among the answers, some among what they add.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-6.1
func (q *query) denied(parser dnsmessage.Parser) (ttl uint32, ok bool) {
	said, err := parser.AllAnswers()
	if err != nil || parser.SkipAllAuthorities() != nil {
		return 0, false
	}
	added, err := parser.AllAdditionals()
	if err != nil {
		return 0, false
	}
	for _, resource := range append(said, added...) {
		header := resource.Header
		if header.Type != typeNSEC || !isINET(header.Class) || fold(header.Name) != fold(q.name) {
			continue
		}
		body, ok := resource.Body.(*dnsmessage.UnknownResource)
		if ok && lacks(body.Data, q.qtype) && lacks(body.Data, dnsmessage.TypeCNAME) {
			return timeToLive(header.TTL), true
		}
	}
	return 0, false
}

// lacks reports whether the data of an NSEC record says that there is no record of the type. After the next name, which does
// not matter here, it has windows of 256 types: the number of the window, the length of a bitmap, and the bitmap.
// https://www.rfc-editor.org/rfc/rfc4034.html#section-4.1.2
func lacks(data []byte, qtype dnsmessage.Type) bool {
	data, ok := behindName(data)
	for ok && len(data) >= 2 {
		window, length := data[0], int(data[1])
		data = data[2:]
		if length > len(data) {
			return false
		}
		if window == byte(qtype>>8) {
			octet := int(byte(qtype)) / 8
			return octet >= length || data[octet]&(0x80>>(qtype%8)) == 0
		}
		data = data[length:]
	}
	return ok && len(data) == 0
}

// behindName returns what follows a name, which on the link may be compressed even here:
// https://www.rfc-editor.org/rfc/rfc6762.html#section-18.14
func behindName(data []byte) (rest []byte, ok bool) {
	for len(data) > 0 {
		length := int(data[0])
		switch {
		case length == 0:
			return data[1:], true
		case length >= 0xc0 && len(data) >= 2:
			return data[2:], true
		case length >= 0x40 || length >= len(data):
			return nil, false
		}
		data = data[1+length:]
	}
	return nil, false
}
