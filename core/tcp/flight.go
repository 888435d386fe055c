package tcp

// flight is what a connection has to know while something of what it sent is on its way: the scoreboard, and what loss recovery and
// the measuring of rates make of it. It is made as data leaves, and given back once all has arrived, so that an idle connection
// does without.
type flight struct {
	sent     sent
	delivery delivery
	rack     rack
	recovery recovery
	prr      prr
	undo     undo
	pacer    pacer

	// Without selective acknowledgments every duplicate one stands for a segment that has arrived.
	dupAcks   int
	dupOctets int

	restarted int64 // when the retransmission timer was last started over
	lookedAt  int64 // when the scoreboard was last gone through for losses
	paceAt    int64 // nothing leaves before, or never: pacing holds nothing back

	next *flight // in the host's list of those not in use
}

// maxSentRanges bounds the ranges of a connection's scoreboard, and so its memory to about 3 MiB: enough for windows of 90 MiB in
// segments of 1448 octets. New data waits while it is full.
const maxSentRanges = 1 << 16

// minSentRanges is how many ranges selective acknowledgments may always make, however little is on its way.
const minSentRanges = 1 << 10

// sackRanges bounds the ranges that selective acknowledgments may make: two for each segment that may be on its way, which is
// what one that has arrived between two that have not takes, and some. A peer that acknowledges single octets would else have a
// small flight take much memory, and much work.
func (c *Conn) sackRanges() int {
	return min(minSentRanges+2*(distance(c.sndUna, c.sndNxt)/int(c.sndMSS)), maxSentRanges)
}

// launch returns the connection's flight, and makes one if it has none.
func (c *Conn) launch(now int64) *flight {
	if c.flight != nil {
		return c.flight
	}
	f := c.host.flights
	if f == nil {
		f = new(flight)
	} else {
		c.host.flights, f.next = f.next, nil
		c.host.idleFlights--
		c.host.idleRanges -= cap(f.sent.ranges)
	}
	f.delivery.total = c.octets.sent // all of it has arrived
	f.rack.fack, f.rack.rtt = c.sndUna, c.rtt.srtt
	f.restarted, f.paceAt = now, never
	c.flight = f
	return f
}

// These bound the list of flights that wait to be used again, and the scoreboards they bring along to some 3 MiB.
const (
	maxIdleFlights = 1024
	maxIdleRanges  = 1 << 16
)

// land gives the connection's flight back.
func (c *Conn) land() {
	f, h := c.flight, c.host
	if f == nil {
		return
	}
	c.flight = nil
	if h.idleFlights >= maxIdleFlights {
		return
	}
	keep := h.idleRanges+cap(f.sent.ranges) <= maxIdleRanges
	f.sent.reset(keep)
	*f = flight{sent: f.sent, next: h.flights}
	h.flights = f
	h.idleFlights++
	h.idleRanges += cap(f.sent.ranges)
}

// inFlight is how many octets are believed to be on their way: sent, neither arrived nor lost. RFC 6675 calls it pipe.
func (c *Conn) inFlight() int {
	f := c.flight
	if f == nil {
		return 0
	}
	return max(distance(c.sndUna, c.sndNxt)-f.sent.sacked-f.sent.lost-f.dupOctets, 0)
}

// lost is how many octets are to be sent again.
func (c *Conn) lost() int {
	if c.flight == nil {
		return 0
	}
	return c.flight.sent.lost
}
