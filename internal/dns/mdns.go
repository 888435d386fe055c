package dns

import (
	"context"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// multicastPort is where all who may answer on the link send from.
	multicastPort = 5353

	// multicastTries is how often a question is sent. Neither it nor its answer is repeated by anybody else.
	multicastTries = 2

	// multicastGather is how much longer other hosts' answers are waited for when one has come. Those who share a name wait up
	// to 120 ms themselves: https://www.rfc-editor.org/rfc/rfc6762.html#section-6
	multicastGather = 150 * time.Millisecond

	// maxMulticastSize is the largest message, in octets, and then some.
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-17
	maxMulticastSize = 9000

	// maxMulticastRecords is how many records are gathered. More than that many hosts do not share a name.
	maxMulticastRecords = 256
)

// askLink asks the hosts on the link, in the simplest way that there is: like a client of ordinary DNS that happens to send to
// a group. They see by the source port that they are to answer it alone, with its identifier and its question.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.1
// https://www.rfc-editor.org/rfc/rfc6762.html#section-6.7
func (c *Client) askLink(ctx context.Context, name dnsmessage.Name, qtype dnsmessage.Type) (response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id, _, err := c.random.draw(name)
	if err != nil {
		return response{}, err
	}
	q, err := newQuery(name, name, qtype, id, false, 0)
	if err != nil {
		return response{}, err
	}
	sockets, err := c.config.Multicast(ctx)
	if err != nil {
		return response{}, contextFirst(ctx, err)
	}
	heard, ended := make(chan response), make(chan struct{})
	for i := range sockets {
		go func() {
			sockets[i].listen(ctx, q, heard)
			ended <- struct{}{}
		}()
	}
	defer func() {
		cancel()
		for _, socket := range sockets {
			socket.Conn.Close()
		}
		for range sockets {
			<-ended
		}
	}()
	for range multicastTries {
		if err := send(sockets, q.message); err != nil {
			return response{}, contextFirst(ctx, err)
		}
		r, ok := gather(ctx, heard, c.config.MulticastTimeout)
		if ok {
			return r, nil
		}
		if ctx.Err() != nil {
			return response{}, ctx.Err()
		}
	}
	return response{}, ErrNXDomain
}

// contextFirst returns why the context has ended, or else the error.
func contextFirst(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// send asks on every link. It fails only if that fails on all: a link without IPv6 is no obstacle to the others.
func send(sockets []MulticastSocket, message []byte) error {
	err := ErrNoServers
	sent := false
	for _, socket := range sockets {
		if _, failed := socket.Conn.WriteTo(message, socket.Group); failed != nil {
			err = failed
			continue
		}
		sent = true
	}
	if sent {
		return nil
	}
	return err
}

// gather waits for an answer, and when it has come, a little for more of the same.
func gather(ctx context.Context, heard <-chan response, timeout time.Duration) (r response, ok bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case further := <-heard:
			if !ok {
				r, ok = further, true
				timer.Reset(multicastGather)
				continue
			}
			r.merge(further)
		case <-timer.C:
			return r, ok
		case <-ctx.Done():
			return response{}, false
		}
	}
}

// merge adds the records that another host on the same link has under the same name. Who has that name on another link is
// another host, or the same one, which has been found already.
func (r *response) merge(further response) {
	if fold(further.name) != fold(r.name) || further.zone != r.zone {
		return
	}
	known := make(map[string]bool)
	for _, record := range r.records {
		known[record.Body.GoString()] = true
	}
	for _, record := range further.records {
		if len(r.records) >= maxMulticastRecords || known[record.Body.GoString()] {
			continue
		}
		r.records = append(r.records, record)
		known[record.Body.GoString()] = true
		r.ttl = min(r.ttl, record.Header.TTL)
	}
	r.size = max(r.size, further.size)
}

// listen hands on the answers that come in until the socket is closed.
func (s *MulticastSocket) listen(ctx context.Context, q *query, heard chan<- response) {
	buffer := make([]byte, maxMulticastSize)
	for {
		n, from, err := s.Conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if !s.mayAnswer(from) {
			continue
		}
		r, ok := q.readMulticast(buffer[:n])
		if !ok {
			continue
		}
		r.zone = s.Zone
		select {
		case heard <- r:
		case <-ctx.Done():
			return
		}
	}
}

// mayAnswer reports whether the sender is a responder on the link.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-6
// https://www.rfc-editor.org/rfc/rfc6762.html#section-11
func (s *MulticastSocket) mayAnswer(from net.Addr) bool {
	udp, ok := from.(*net.UDPAddr)
	if !ok || udp.Port != multicastPort {
		return false
	}
	addr := udp.AddrPort().Addr().Unmap()
	return s.OnLink == nil || addr.IsLinkLocalUnicast() || s.OnLink(addr)
}

// readMulticast reads an answer from the link, if it is one. It tells by the records alone what was asked: some hosts answer
// without the question, and those that answer the group with an identifier of zero.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-18
func (q *query) readMulticast(message []byte) (response, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response || header.OpCode != 0 || header.RCode != dnsmessage.RCodeSuccess {
		return response{}, false
	}
	if header.ID != q.id && header.ID != 0 {
		return response{}, false
	}
	if parser.SkipAllQuestions() != nil {
		return response{}, false
	}
	r, err := q.readSized(parser, header, len(message))
	if err != nil {
		return response{}, false
	}
	if len(r.records) > 0 {
		return r, true
	}
	r.negativeTTL, r.certain = q.denied(parser)
	return r, r.certain
}
