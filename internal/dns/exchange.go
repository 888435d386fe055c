package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// caseGrace is how much longer the right answer over UDP is waited for when one with the letters in another case has come. Only
// one of the two can be from a server that repeats the question as it was; if none comes, TCP will tell.
const caseGrace = 300 * time.Millisecond

// errAskOverTCP: what came over UDP is not to be relied on, or not all.
var errAskOverTCP = errors.New("ask over TCP")

// exchange puts a question to a server and waits for the answer, whatever that says.
func (c *Client) exchange(
	ctx context.Context, server netip.AddrPort, name dnsmessage.Name, qtype dnsmessage.Type,
) (response, error) {
	if c.config.NoEDNS {
		return c.exchangeOnce(ctx, server, name, qtype, 0)
	}
	r, err := c.exchangeOnce(ctx, server, name, qtype, c.config.UDPSize)
	if err == nil && refusesEDNS(r.rcode) {
		return c.exchangeOnce(ctx, server, name, qtype, 0)
	}
	return r, err
}

func (c *Client) exchangeOnce(
	ctx context.Context, server netip.AddrPort, name dnsmessage.Name, qtype dnsmessage.Type, udpSize int,
) (response, error) {
	id, sent, err := c.random.draw(name)
	if err != nil {
		return response{}, err
	}
	if c.config.KeepCase {
		sent = name
	}
	q, err := newQuery(name, sent, qtype, id, true, udpSize)
	if err != nil {
		return response{}, err
	}
	r, err := c.over(ctx, "udp", server, q, c.datagrams)
	if err == errAskOverTCP {
		return c.over(ctx, "tcp", server, q, c.stream)
	}
	return r, err
}

// over connects to a server for one exchange, which is over in time even if the connection is deaf to contexts.
func (c *Client) over(
	ctx context.Context, network string, server netip.AddrPort, q *query, exchange func(net.Conn, *query) (response, error),
) (response, error) {
	timed, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	conn, err := c.config.Dial(timed, network, server)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	deadline, _ := timed.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return response{}, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return exchange(conn, q)
}

// datagrams sends the query over UDP and reads until its answer comes. What does not fit may be a forger's guess, so it is as
// if it had never come.
func (c *Client) datagrams(conn net.Conn, q *query) (response, error) {
	if _, err := conn.Write(q.message); err != nil {
		return response{}, err
	}
	buffer := make([]byte, max(c.config.UDPSize, defaultUDPSize))
	doubtful := false
	for {
		n, err := conn.Read(buffer)
		if err != nil && doubtful {
			return response{}, errAskOverTCP
		}
		if err != nil {
			return response{}, err
		}
		parser, header, fit := q.fits(buffer[:n])
		switch {
		case fit == otherCase && !doubtful:
			doubtful = true
			if err := conn.SetReadDeadline(time.Now().Add(min(caseGrace, c.config.Timeout))); err != nil {
				return response{}, err
			}
		case fit == ours && header.Truncated:
			return response{}, errAskOverTCP
		case fit == ours:
			return q.readSized(parser, header, n)
		}
	}
}

// stream sends the query over TCP and reads its answer. There nobody else can put in a word, so what does not fit is the
// server's fault, but the case of letters does not matter. What is truncated even so is all that there is.
func (c *Client) stream(conn net.Conn, q *query) (response, error) {
	if _, err := conn.Write(q.framed()); err != nil {
		return response{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return response{}, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return response{}, err
	}
	parser, header, fit := q.fits(message)
	if fit == foreign {
		return response{}, ErrInvalidResponse
	}
	return q.readSized(parser, header, len(message))
}

func (q *query) readSized(parser dnsmessage.Parser, header dnsmessage.Header, size int) (response, error) {
	r, err := q.read(parser, header)
	r.size = size
	return r, err
}
