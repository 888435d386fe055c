package dns

import (
	"math"

	"golang.org/x/net/dns/dnsmessage"
)

// fit says how well a message fits a query.
type fit int

const (
	foreign   fit = iota // no answer to the query
	otherCase            // an answer, but not to the letter
	ours                 // the answer
)

// A response is what a message says about the name that was asked for. Whatever else is in it is left out: nobody has asked.
type response struct {
	rcode   dnsmessage.RCode
	name    dnsmessage.Name       // the end of the chain of aliases
	aliases []dnsmessage.Resource // the chain
	records []dnsmessage.Resource // what its end has
	ttl     uint32                // the smallest of both, in seconds; math.MaxUint32 if both are empty
	size    int                   // of the message, in octets
	zone    string                // see Answer.Zone
	ofLink  bool                  // the hosts on the link have said it
	cached  bool                  // and before they were asked

	lame bool // the server refers to others

	certain     bool   // that there is no more than this
	negativeTTL uint32 // and for how long, in seconds
}

// fits compares a message with the query and returns a parser that has the questions behind it.
//
//	A resolver implementation MUST match responses to all of the following attributes of the query
//
// The addresses and ports are for the connection to match, what is left is done here.
// https://www.rfc-editor.org/rfc/rfc5452.html#section-9.1
func (q *query) fits(message []byte) (dnsmessage.Parser, dnsmessage.Header, fit) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response || header.ID != q.id || header.OpCode != 0 {
		return parser, header, foreign
	}
	question, err := parser.Question()
	if err == dnsmessage.ErrSectionDone && refusesEDNS(header.RCode) {
		return parser, header, ours // a server that could not read the question cannot repeat it either
	}
	if err != nil || question.Type != q.qtype || question.Class != dnsmessage.ClassINET {
		return parser, header, foreign
	}
	if _, err := parser.Question(); err != dnsmessage.ErrSectionDone {
		return parser, header, foreign
	}
	if question.Name == q.sent {
		q.restoreCase(message)
		return parser, header, ours
	}
	if fold(question.Name) == fold(q.sent) {
		return parser, header, otherCase
	}
	return parser, header, foreign
}

// restoreCase gives the question in the message the letters that it was asked with. Names behind it that are compressed refer
// to it, and so have them as well.
func (q *query) restoreCase(message []byte) {
	const first = 12 + 1 // behind the header and the length of the first label; a dot in the name is a length in the message
	name, sent := q.name.Data[:q.name.Length], q.sent.Data[:q.sent.Length]
	for i, octet := range name {
		if octet != '.' && first+i < len(message) && message[first+i] == sent[i] {
			message[first+i] = octet
		}
	}
}

// refusesEDNS reports whether the code is one that servers without EDNS0 have for a query with it.
// https://www.rfc-editor.org/rfc/rfc6891.html#section-7
func refusesEDNS(rcode dnsmessage.RCode) bool {
	return rcode == dnsmessage.RCodeFormatError || rcode == dnsmessage.RCodeNotImplemented
}

// read reads what follows the questions. The error is ErrMalformed or ErrChain.
func (q *query) read(parser dnsmessage.Parser, header dnsmessage.Header) (response, error) {
	r := response{rcode: header.RCode}
	owned, answers, err := q.answers(&parser)
	if err != nil {
		return response{}, ErrMalformed
	}
	if err := r.follow(q.name, q.qtype, owned); err != nil {
		return response{}, err
	}
	referral := r.authorities(&parser)
	additionals := r.additionals(&parser)

	// A server that neither has the zone nor asks others is of no use. As libresolv takes it, and package net, it says
	// nothing at all; but one that has EDNS0 at least adds an OPT record, and one that is helpful, the servers to ask instead.
	knows := header.Authoritative || header.RecursionAvailable
	r.lame = r.rcode == dnsmessage.RCodeSuccess && !knows && answers == 0 && (additionals == 0 || referral)
	return r, nil
}

// An owned record is an answer with the name that it belongs to in a form that can be compared.
type owned struct {
	owner string
	dnsmessage.Resource
}

// answers returns those answers that may matter, and counts them all.
func (q *query) answers(parser *dnsmessage.Parser) (found []owned, count int, err error) {
	for ; ; count++ {
		header, err := parser.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return found, count, nil
		}
		if err != nil {
			return nil, count, err
		}
		if !isINET(header.Class) || header.Type != q.qtype && header.Type != dnsmessage.TypeCNAME {
			if err := parser.SkipAnswer(); err != nil {
				return nil, count, err
			}
			continue
		}
		resource, err := parser.Answer()
		if err != nil {
			return nil, count, err
		}
		found = append(found, owned{fold(header.Name), resource})
	}
}

// authorities looks for the SOA record that makes a negative answer certain, and reports whether there are only others to be
// asked: https://www.rfc-editor.org/rfc/rfc2308.html#section-2.2
func (r *response) authorities(parser *dnsmessage.Parser) (referral bool) {
	name := fold(r.name)
	for {
		header, err := parser.AuthorityHeader()
		if err != nil {
			return referral && !r.certain
		}
		referral = referral || header.Type == dnsmessage.TypeNS
		if header.Type != dnsmessage.TypeSOA || !isINET(header.Class) || !within(name, fold(header.Name)) {
			if parser.SkipAuthority() != nil {
				return false
			}
			continue
		}
		soa, err := parser.SOAResource()
		if err != nil {
			return false
		}
		// "When the authoritative server creates this record its TTL is taken from the minimum of the SOA.MINIMUM field and
		// SOA's TTL." Not all do it, so it is done here again.
		// https://www.rfc-editor.org/rfc/rfc2308.html#section-5
		r.certain, r.negativeTTL = true, min(timeToLive(header.TTL), timeToLive(soa.MinTTL))
	}
}

// additionals counts what is added, and completes the response code by the bits that EDNS0 has for it.
// https://www.rfc-editor.org/rfc/rfc6891.html#section-6.1.3
func (r *response) additionals(parser *dnsmessage.Parser) (count int) {
	if parser.SkipAllAuthorities() != nil {
		return 0
	}
	for ; ; count++ {
		header, err := parser.AdditionalHeader()
		if err != nil {
			return count
		}
		if header.Type == dnsmessage.TypeOPT {
			r.rcode = header.ExtendedRCode(r.rcode)
		}
		if parser.SkipAdditional() != nil {
			return count + 1
		}
	}
}

// failure returns why another server should be asked, if one should.
func (r *response) failure() error {
	switch {
	case r.rcode == dnsmessage.RCodeNameError:
		return nil
	case r.lame:
		return ErrLameReferral
	case r.rcode == dnsmessage.RCodeServerFailure:
		return ErrServerFailure
	case r.rcode != dnsmessage.RCodeSuccess:
		return ErrServerMisbehaving
	}
	return nil
}

// timeToLive returns what a TTL field means: one with the top bit set means nothing.
// https://www.rfc-editor.org/rfc/rfc2181.html#section-8
func timeToLive(field uint32) uint32 {
	if field > math.MaxInt32 {
		return 0
	}
	return field
}
