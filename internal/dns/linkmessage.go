package dns

import (
	"golang.org/x/net/dns/dnsmessage"
)

const (
	// classFlag is the bit of a class that has a meaning of its own on the link: in a question it asks for an answer to this host
	// alone ("QU"), in a record it tells that the records of that name and type are these and no others ("cache-flush").
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.4
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-10.2
	classFlag = 1 << 15

	// maxLinkQuestion is how large a question becomes, in octets, before what is known already goes into messages of its own: it
	// fits into the smallest MTU that IPv6 allows.
	maxLinkQuestion = defaultUDPSize
)

// A linkMessage is what is of interest in a message heard on the link.
type linkMessage struct {
	response  bool
	truncated bool // a query whose known answers go on in the next message
	questions []dnsmessage.Question
	records   []dnsmessage.Resource // the answers, and what a response adds
}

// readLink reads a message. Those of other kinds, and those with errors, say nothing:
// https://www.rfc-editor.org/rfc/rfc6762.html#section-18.3
// https://www.rfc-editor.org/rfc/rfc6762.html#section-18.11
func readLink(octets []byte) (m linkMessage, ok bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(octets)
	if err != nil || header.OpCode != 0 || header.RCode != dnsmessage.RCodeSuccess {
		return m, false
	}
	m.response, m.truncated = header.Response, header.Truncated && !header.Response
	if m.questions, err = parser.AllQuestions(); err != nil {
		return m, false
	}
	answers, err := parser.AllAnswers()
	if err != nil {
		return m, false
	}
	m.records = ofINET(nil, answers)
	if m.response && parser.SkipAllAuthorities() == nil {
		if added, err := parser.AllAdditionals(); err == nil {
			m.records = ofINET(m.records, added)
		}
	}
	return m, true
}

// ofINET appends those of the records that are data, of class IN.
func ofINET(records, more []dnsmessage.Resource) []dnsmessage.Resource {
	for _, r := range more {
		if isINET(r.Header.Class) && r.Header.Type != dnsmessage.TypeOPT {
			records = append(records, r)
		}
	}
	return records
}

// isINET reports whether the class is IN, apart from the flag that it has on the link.
func isINET(class dnsmessage.Class) bool { return class&^classFlag == dnsmessage.ClassINET }

// linkQuestion makes the messages that ask a question of the link: one, or several if more is known already than fits. All but the
// last then have the bit TC, which tells that more is to come.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-7.2
func linkQuestion(name dnsmessage.Name, qtype dnsmessage.Type, unicast bool, known []dnsmessage.Resource) ([][]byte, error) {
	class := dnsmessage.ClassINET
	if unicast {
		class |= classFlag
	}
	message := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: qtype, Class: class}}}
	var packed [][]byte
	size, err := packedSize(message)
	if err != nil {
		return nil, ErrMarshal
	}
	for _, r := range known {
		own, err := packedSize(dnsmessage.Message{Answers: []dnsmessage.Resource{r}})
		if err != nil {
			continue // then it is heard once more
		}
		own -= messageHeader
		if size+own > maxLinkQuestion && len(message.Answers) > 0 {
			message.Truncated = true
			octets, err := message.Pack()
			if err != nil {
				return nil, ErrMarshal
			}
			packed = append(packed, octets)
			message, size = dnsmessage.Message{}, messageHeader
		}
		message.Answers = append(message.Answers, r)
		size += own
	}
	octets, err := message.Pack()
	if err != nil {
		return nil, ErrMarshal
	}
	return append(packed, octets), nil
}

const messageHeader = 12 // octets

func packedSize(m dnsmessage.Message) (int, error) {
	octets, err := m.Pack()
	return len(octets), err
}
