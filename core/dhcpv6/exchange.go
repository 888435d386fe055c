package dhcpv6

import (
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// exchange is a message that is sent until it is answered (RFC 8415, section 15).
type exchange struct {
	xid   uint32
	sent  int   // transmissions so far
	began int64 // when the first was
	rt    int64 // RT, of the last transmission
	next  int64 // when to transmit again, or give up; timer.Never while no exchange is on
}

// parameters are those of RFC 8415, section 15: times as there, 0 for no bound. MRD is kept by Client.deadline.
type parameters struct {
	irt, mrt time.Duration
	mrc      int
}

// parameters returns those of the state's message.
func (c *Client) parameters() parameters {
	switch c.state {
	case Soliciting:
		return parameters{irt: solTimeout, mrt: c.solicitMax.value}
	case Requesting:
		return parameters{irt: reqTimeout, mrt: reqMaxRT, mrc: reqMaxRC}
	case Confirming:
		return parameters{irt: cnfTimeout, mrt: cnfMaxRT}
	case Renewing:
		return parameters{irt: renTimeout, mrt: renMaxRT}
	case Rebinding:
		return parameters{irt: rebTimeout, mrt: rebMaxRT}
	case Releasing:
		return parameters{irt: relTimeout, mrc: relMaxRC}
	case Declining:
		return parameters{irt: decTimeout, mrc: decMaxRC}
	default:
		return parameters{irt: infTimeout, mrt: c.informMax.value}
	}
}

// begin enters a state whose message is sent after a random time up to delay.
func (c *Client) begin(now int64, state State, delay time.Duration) {
	c.state = state
	c.exchange = exchange{xid: uint32(c.cfg.Rand()) & wire.DHCPv6TransactionIDMask, next: now}
	if delay > 0 {
		c.exchange.next += int64(c.cfg.Rand() % (uint64(delay) + 1))
	}
	if delay == 0 {
		c.transmit(now)
	}
}

// rest enters a state that sends nothing.
func (c *Client) rest(state State) {
	c.state = state
	c.exchange = exchange{next: timer.Never}
}

// transmit sends the state's message, for the first time or again, and decides when to do so next.
func (c *Client) transmit(now int64) {
	if at := c.rate.wait(now); at > now {
		c.exchange.next = at
		return
	}
	x := &c.exchange
	if x.sent == 0 {
		x.began = now
	}
	message := c.message(now)
	c.buffer = message.Append(c.buffer[:0])
	if !c.cfg.Link.Send(now, c.buffer) {
		x.next = now + int64(sendRetry)
		return
	}
	c.rate.take()
	c.counters.Sent++
	x.sent++
	c.setRT()
	x.next = now + x.rt
}

// setRT computes RT.
//
// "RT for the first message transmission is based on IRT: RT = IRT + RAND*IRT. RT for each subsequent message
// transmission is based on the previous value of RT: RT = 2*RTprev + RAND*RTprev [...] if (RT > MRT)
// RT = MRT + RAND*MRT"
// https://www.rfc-editor.org/rfc/rfc8415.html#section-15
func (c *Client) setRT() {
	x, p := &c.exchange, c.parameters()
	switch {
	case x.sent == 1 && c.state == Soliciting:
		// "Also, the first RT MUST be selected to be strictly greater than IRT by choosing RAND to be strictly greater
		// than 0."
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.1
		x.rt = int64(p.irt) + 1 + int64(c.cfg.Rand()%uint64(p.irt/10))
	case x.sent == 1:
		x.rt = int64(p.irt) + c.random(int64(p.irt))
	default:
		x.rt = 2*x.rt + c.random(x.rt)
	}
	if mrt := int64(p.mrt); mrt > 0 && x.rt > mrt {
		x.rt = mrt + c.random(mrt)
	}
}

// random is RAND times d, RAND being between -0.1 and +0.1.
func (c *Client) random(d int64) int64 {
	tenth := d / 10
	return int64(c.cfg.Rand()%uint64(2*tenth+1)) - tenth
}

// timeout is RT's end: the message is sent again, unless that has been done often enough.
func (c *Client) timeout(now int64) {
	x := &c.exchange
	switch {
	case x.sent == 0:
	case c.state == Soliciting && len(c.offers) > 0:
		c.choose(now)
		return
	case c.state == Confirming && c.offLink:
		c.restart(now)
		return
	default:
		// "Unless MRC is zero, the message exchange fails once the client has transmitted the message MRC times."
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-15
		if mrc := c.parameters().mrc; mrc > 0 && x.sent >= mrc {
			c.fail(now)
			return
		}
	}
	c.transmit(now)
}

// fail ends an exchange that nobody has answered.
func (c *Client) fail(now int64) {
	switch c.state {
	case Requesting:
		c.unusable(now)
	case Declining:
		c.declined = c.declined[:0]
		c.resume(now)
	case Releasing:
		c.released(now)
	}
}

// message is the state's message, as it is to be sent now.
func (c *Client) message(now int64) *wire.DHCPv6Repr {
	r := &wire.DHCPv6Repr{
		Type: exchanges[c.state], TransactionID: c.exchange.xid, ClientID: c.cfg.DUID,
		Elapsed: time.Duration(now - c.exchange.began),
	}
	ia := wire.DHCPv6IANA{IAID: c.cfg.IAID}
	switch c.state {
	case Soliciting:
		r.RapidCommit = c.cfg.RapidCommit
		r.Requested = statefulOptions
	case Requesting, Renewing:
		r.ServerID = c.server
		r.Requested = statefulOptions
		ia.Addresses = c.leased()
	case Rebinding:
		r.Requested = statefulOptions
		ia.Addresses = c.leased()
	case Confirming:
		ia.Addresses = c.leased()
	case Declining:
		r.ServerID = c.server
		ia.Addresses = associated(c.declined)
	case Releasing:
		r.ServerID = c.server
		ia.Addresses = associated(c.releasing)
	case Informing:
		r.Requested = statelessOptions
		return r
	}
	r.IAs = []wire.DHCPv6IANA{ia}
	return r
}

// What a client would like to know.
var (
	statefulOptions = []uint16{wire.DHCPv6OptionDNSServers, wire.DHCPv6OptionDomains, wire.DHCPv6OptionNTPServer,
		wire.DHCPv6OptionSolicitMaxRT}
	statelessOptions = []uint16{wire.DHCPv6OptionDNSServers, wire.DHCPv6OptionDomains, wire.DHCPv6OptionNTPServer,
		wire.DHCPv6OptionRefreshTime, wire.DHCPv6OptionInformationMaxRT}
)

// rate is a bucket of tokens, one a message, with one more each rateInterval.
type rate struct {
	tokens int
	since  int64 // when the last token came
}

// refill adds the tokens that time has brought.
func (r *rate) refill(now int64) {
	n := (now - r.since) / int64(rateInterval)
	r.since += n * int64(rateInterval)
	if n >= int64(rateBurst-r.tokens) {
		r.tokens, r.since = rateBurst, now
		return
	}
	r.tokens += int(n)
}

// wait returns when there is a token.
func (r *rate) wait(now int64) int64 {
	r.refill(now)
	if r.tokens > 0 {
		return now
	}
	return r.since + int64(rateInterval)
}

func (r *rate) take() { r.tokens-- }
