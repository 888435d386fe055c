package dns

import "golang.org/x/net/dns/dnsmessage"

// typeNSEC is the record that tells which types of records a name has. What package dnsmessage does not know it gives as
// octets, so its data is read here.
const typeNSEC dnsmessage.Type = 47

// denies reports whether the record, which a host on the link has sent, says that its name has no record of the type:
//
//	Any time a responder receives a query for a name for which it has verified exclusive ownership, for a type for which that
//	name has no records, the responder MUST […] respond asserting the nonexistence of that record using a DNS NSEC record
//
// https://www.rfc-editor.org/rfc/rfc6762.html#section-6.1
func denies(resource dnsmessage.Resource, qtype dnsmessage.Type) bool {
	body, ok := resource.Body.(*dnsmessage.UnknownResource)
	return ok && resource.Header.Type == typeNSEC && lacks(body.Data, qtype) && lacks(body.Data, dnsmessage.TypeCNAME)
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
