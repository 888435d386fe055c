package dns

import (
	"encoding/binary"
	"io"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// A query is a question as it is put to one server once.
type query struct {
	id      uint16
	name    dnsmessage.Name // as it was asked for
	sent    dnsmessage.Name // the same with its letters in the case they were sent in
	qtype   dnsmessage.Type
	message []byte
}

// newQuery makes a query. udpSize is the size of answers to invite by EDNS0; 0 leaves EDNS0 out.
func newQuery(name, sent dnsmessage.Name, qtype dnsmessage.Type, id uint16, recursion bool, udpSize int) (*query, error) {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: recursion})
	if err := builder.StartQuestions(); err != nil {
		return nil, ErrMarshal
	}
	question := dnsmessage.Question{Name: sent, Type: qtype, Class: dnsmessage.ClassINET}
	if err := builder.Question(question); err != nil {
		return nil, ErrMarshal
	}
	if udpSize > 0 {
		var header dnsmessage.ResourceHeader
		if err := header.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false); err != nil {
			return nil, ErrMarshal
		}
		if err := builder.StartAdditionals(); err != nil {
			return nil, ErrMarshal
		}
		if err := builder.OPTResource(header, dnsmessage.OPTResource{}); err != nil {
			return nil, ErrMarshal
		}
	}
	message, err := builder.Finish()
	if err != nil {
		return nil, ErrMarshal
	}
	return &query{id: id, name: name, sent: sent, qtype: qtype, message: message}, nil
}

// framed returns the message as TCP carries it, with its length before it, to be written at once:
// https://www.rfc-editor.org/rfc/rfc7766.html#section-8
func (q *query) framed() []byte {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(q.message)), uint16(len(q.message)))
	return append(framed, q.message...)
}

// A random source makes what a forger has to guess. It is safe for concurrent use.
type random struct {
	mu     sync.Mutex
	source io.Reader
}

// draw returns a message identifier, and the name with every letter in capital or small at random.
// https://www.rfc-editor.org/rfc/rfc5452.html#section-9.2
func (r *random) draw(name dnsmessage.Name) (uint16, dnsmessage.Name, error) {
	var octets [2 + len(name.Data)/8 + 1]byte
	r.mu.Lock()
	_, err := io.ReadFull(r.source, octets[:])
	r.mu.Unlock()
	if err != nil {
		return 0, name, err
	}
	coins := octets[2:]
	for i, octet := range name.Data[:name.Length] {
		letter := 'a' <= octet|0x20 && octet|0x20 <= 'z'
		if letter && coins[i/8]>>(i%8)&1 == 1 {
			name.Data[i] ^= 0x20
		}
	}
	return binary.BigEndian.Uint16(octets[:]), name, nil
}

// octet returns one octet. If there is none to be had, zero will do for what it is for: to keep hosts from doing things at the same
// time.
func (r *random) octet() int {
	var octet [1]byte
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := io.ReadFull(r.source, octet[:]); err != nil {
		return 0
	}
	return int(octet[0])
}
