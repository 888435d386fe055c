package tcp

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Request is somebody's wish to connect to an address that a Forwarder stands in for. Its SYN is held: the peer waits, and sends it
// again at times, until Answer, Refuse or Ignore decides. Before that there is nothing but this record.
type Request struct {
	entry
	forwarder *Forwarder
	owner     ip.Owner
	timer     timer.Timer
	peer      wire.TCPOptions // what the SYN has offered
	irs       uint32
	window    uint32
	leastISS  uint32 // of ours, if not 0
	flags     wire.TCPFlags
	state     requestState
	halfOpen  *halfOpen // while the handshake goes on
	conn      *Conn
	err       error

	queued         bool // in the forwarder's queue, between
	previous, next *Request
}

// requestState is how far a Request has come.
type requestState uint8

const (
	requestHeld     requestState = iota // in the table: nobody has decided
	requestAnswered                     // its half-open record is in the table instead
	requestOver                         // neither is: it became a connection, or failed, or was refused
)

// LocalAddr is the address and port that the peer wants to connect to, without zone.
func (r *Request) LocalAddr() netip.AddrPort { return r.id.localAddrPort() }

// RemoteAddr is the peer's address and port, likewise.
func (r *Request) RemoteAddr() netip.AddrPort { return r.id.remoteAddrPort() }

// Held reports whether Answer, Refuse or Ignore is still to come: nobody has decided, and the peer still waits.
func (r *Request) Held() bool { return r.state == requestHeld }

// Err is why the request came to nothing: ErrReset if its peer gave up, ErrTimeout if nobody decided in time, or the peer did not
// answer; ErrForwarderClosed; ErrAborted by Refuse, Ignore or Cancel; or that there was no way to answer. nil if it has not.
func (r *Request) Err() error { return r.err }

// Conn is the connection that the request has become; nil before the handshake is complete, and for those that Accept returns.
func (r *Request) Conn() *Conn { return r.conn }

// SetOwner has owner told, by ip.Failed, if a held request comes to nothing by itself: if Err is not ErrAborted. nil: nobody.
func (r *Request) SetOwner(owner ip.Owner) { r.owner = owner }

// Answer sends the SYN|ACK. When the handshake is complete the connection is Conn's, and owner, which is then the connection's, is
// told of ip.Connected; if it fails, of ip.Failed. Without an owner the connection is put into the forwarder's accept queue
// instead. The error is Err's; ErrAborted if the request was decided on before.
func (r *Request) Answer(now time.Time, owner ip.Owner) error {
	if r.state != requestHeld {
		return r.gone()
	}
	l := &r.forwarder.listener
	h, t := l.host, l.host.since(now)
	path, err := h.route(&r.id)
	r.leave()
	if err != nil {
		r.err = err
		return err
	}
	o := &halfOpen{
		entry: entry{id: r.id}, listener: l, path: path, peer: r.peer, irs: r.irs, window: r.window, sentAt: t,
		ecn: l.options.acceptsECN(r.flags), iss: h.isn(t, &r.id),
	}
	if r.leastISS != 0 {
		o.iss = latest(o.iss, r.leastISS)
	}
	if owner != nil {
		r.owner, r.halfOpen, o.request = owner, o, r
		r.state = requestAnswered
	}
	o.begin(t)
	return nil
}

// gone is why a request can no longer be decided on.
func (r *Request) gone() error {
	if r.err != nil {
		return r.err
	}
	return ErrAborted
}

// Refuse answers as a port does on which nothing listens: with a reset. The error is Answer's.
func (r *Request) Refuse(now time.Time) error {
	if r.state != requestHeld {
		return r.gone()
	}
	r.refuse(r.forwarder.listener.host.since(now))
	r.end(ErrAborted)
	return nil
}

// refuse sends the reset.
func (r *Request) refuse(now int64) {
	l := &r.forwarder.listener
	l.host.sendControl(now, &control{
		id: r.id, ack: r.irs + 1, flags: wire.TCPRst | wire.TCPAck,
		hopLimit: l.options.HopLimit, trafficClass: l.options.TrafficClass,
	})
}

// Ignore forgets the request and answers nothing. A SYN that the peer sends again is a new request. The error is Answer's.
func (r *Request) Ignore() error {
	if r.state != requestHeld {
		return r.gone()
	}
	r.end(ErrAborted)
	return nil
}

// Cancel takes back an answer while the handshake goes on: the peer is reset. Otherwise it does nothing.
func (r *Request) Cancel(now time.Time) {
	if r.state != requestAnswered {
		return
	}
	o, l := r.halfOpen, &r.forwarder.listener
	l.host.sendControl(l.host.since(now), &control{
		id: r.id, seq: o.iss + 1, ack: o.irs + 1, flags: wire.TCPRst | wire.TCPAck,
		hopLimit: l.options.HopLimit, trafficClass: l.options.TrafficClass,
	})
	o.forget(ErrAborted)
}

// end takes a held request out of the table because of err.
func (r *Request) end(err error) {
	r.leave()
	r.err = err
	if r.owner != nil && err != ErrAborted {
		r.owner.Notify(ip.Failed)
	}
}

// leave takes a held request out of the table.
func (r *Request) leave() {
	h := r.forwarder.listener.host
	h.remove(&r.entry)
	h.network.Timers().Remove(&r.timer)
	h.halfOpen--
	r.forwarder.held--
	r.forwarder.listener.perPeer.leave(&r.id)
	r.forwarder.waiting.remove(r)
	r.state = requestOver
}

// complete makes c, which is established, the request's.
func (r *Request) complete(c *Conn) {
	r.state, r.halfOpen, r.conn = requestOver, nil, c
	c.owner = r.owner
	c.notify(ip.Connected)
}

// fail ends a request whose handshake came to nothing.
func (r *Request) fail(err error) {
	r.state, r.halfOpen = requestOver, nil
	if r.err == nil {
		r.err = err
	}
	r.owner.Notify(ip.Failed)
}

// take remembers what the SYN has said.
func (r *Request) take(s *segment) {
	r.peer, r.irs, r.window, r.flags = s.options, s.seq, s.window, s.flags
}

// Expire is called by the stack's timer heap: nobody has decided.
func (r *Request) Expire(int64) {
	r.forwarder.listener.host.counters.HeldTimeouts++
	r.end(ErrTimeout)
}

// segment takes a segment of the peer's, who knows nothing yet of this side.
func (r *Request) segment(now int64, s *segment) {
	h := r.forwarder.listener.host
	switch {
	case s.has(wire.TCPRst):
		// As of a half-open connection: only one that is exactly in sequence counts.
		if s.seq != r.irs+1 {
			h.ignoreReset(s)
			return
		}
		h.counters.HeldResets++
		r.end(ErrReset)
	case s.has(wire.TCPAck):
		h.refuse(now, s) // nothing was sent that it could acknowledge
	case !s.has(wire.TCPSyn):
		h.dropped(&h.counters.InNoAck, s.packet, "no ACK")
	default:
		// The peer does not want to wait. If it has begun anew meanwhile, what it says now counts: an answer to the SYN before
		// would be reset.
		h.dropped(&h.counters.HeldDuplicates, s.packet, "held already")
		r.take(s)
	}
}

// unreachable: nothing was sent.
func (r *Request) unreachable(int64, *ip.Error, uint32) {}

// requestQueue holds requests that nobody has seen yet, the oldest first.
type requestQueue struct{ first, last *Request }

func (q *requestQueue) push(r *Request) {
	r.queued, r.previous, r.next = true, q.last, nil
	if q.last != nil {
		q.last.next = r
	} else {
		q.first = r
	}
	q.last = r
}

// remove takes r out, if it is there.
func (q *requestQueue) remove(r *Request) {
	if !r.queued {
		return
	}
	if r.previous != nil {
		r.previous.next = r.next
	} else {
		q.first = r.next
	}
	if r.next != nil {
		r.next.previous = r.previous
	} else {
		q.last = r.previous
	}
	r.queued, r.previous, r.next = false, nil, nil
}
