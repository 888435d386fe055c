package tcp

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

// Forwarder takes the connections that peers behind one interface open to any address and port: to others' addresses as well as to
// those of the stack's own that nothing listens on. Connections that exist, and listeners, come first.
//
// A SYN to it is held as a Request, a small record in the host's table, until the request is answered, refused or ignored, its peer
// resets it, or the time is over. Each is on its own: one that nobody decides on holds up no other. Requests whose handshake is
// not complete are bounded in number; a SYN beyond is dropped, never reset, so that the peer tries again.
type Forwarder struct {
	listener Listener // whose half-open connections and accept queue are the forwarder's; nothing finds it by an address
	link     int32
	inFlight int // the most requests, held and half-open
	holdTime int64
	held     int          // requests in the table
	waiting  requestQueue // those that Next has yet to return
}

// ForwardConfig says what a Forwarder takes.
type ForwardConfig struct {
	// Link is the index of the interface by which the connections come. It is required, and not the loopback's.
	Link int32
	// InFlight bounds the requests whose handshake is not complete, be they held or answered. 0: Limits.InFlight, which is also
	// the most.
	InFlight int
	// InFlightPerPeer bounds those of them that are one peer's, by its IPv4 address or the first half of its IPv6 address. 0: half of
	// InFlight, and at least 16.
	InFlightPerPeer int
	// Backlog bounds the accept queue, of connections that were answered for nobody in particular. 0: Limits.Backlog, which is
	// also the most.
	Backlog int
	// HoldTime is how long a request waits for somebody to decide on it. 0: Config.HoldTime.
	HoldTime time.Duration
	// Options default to the host's. Connections begin with them. FastOpen means nothing here: data in a SYN is ignored.
	Options *Options
	// Owner is told, by ip.Accepted, that there is a request for Next, or a connection for Accept.
	Owner ip.Owner
}

// Forward begins to take connections to any address. The errors are ip.ErrInvalid for what cannot be, ip.ErrAddressInUse if the
// interface has a Forwarder already, ErrTooManyListeners, and what is wrong with Options.
func (h *Host) Forward(cfg ForwardConfig) (*Forwarder, error) {
	for _, v := range []struct {
		name  string
		value int64
	}{{"InFlight", int64(cfg.InFlight)}, {"InFlightPerPeer", int64(cfg.InFlightPerPeer)}, {"Backlog", int64(cfg.Backlog)}, {"HoldTime", int64(cfg.HoldTime)}} {
		if v.value < 0 {
			return nil, fmt.Errorf("%s %d: %w", v.name, v.value, ip.ErrInvalid)
		}
	}
	options, err := h.optionsFor(cfg.Options)
	if err != nil {
		return nil, err
	}
	if h.listening >= h.config.Limits.Listeners {
		return nil, ErrTooManyListeners
	}
	limits := &h.config.Limits
	f := &Forwarder{
		listener: Listener{host: h, owner: cfg.Owner, options: options, backlog: limits.Backlog},
		link:     cfg.Link, inFlight: limits.InFlight, holdTime: int64(h.config.HoldTime),
	}
	if cfg.Backlog != 0 {
		f.listener.backlog = min(cfg.Backlog, limits.Backlog)
	}
	if cfg.InFlight != 0 {
		f.inFlight = min(cfg.InFlight, limits.InFlight)
	}
	if cfg.HoldTime != 0 {
		f.holdTime = int64(cfg.HoldTime)
	}
	f.listener.synQueue = f.inFlight
	f.listener.perPeer = newPerPeer(cfg.InFlightPerPeer, f.inFlight)
	if err := h.beginForwarding(f); err != nil {
		return nil, err
	}
	h.listening++
	return f, nil
}

// Link is the index of the interface by which the connections come.
func (f *Forwarder) Link() int32 { return f.link }

// InFlight is how many requests there are whose handshake is not complete.
func (f *Forwarder) InFlight() int { return f.held + f.listener.halfOpen }

// Pending is how many connections wait to be accepted.
func (f *Forwarder) Pending() int { return f.listener.Pending() }

// SetOwner names who is told of events from now on; nil: nobody.
func (f *Forwarder) SetOwner(owner ip.Owner) { f.listener.SetOwner(owner) }

// Next returns the held request that has waited longest, once; nil if there is none. It stays held until it is decided on.
func (f *Forwarder) Next() *Request {
	r := f.waiting.first
	if r != nil {
		f.waiting.remove(r)
	}
	return r
}

// Accept takes the first connection whose request was answered for nobody in particular and whose handshake is complete; nil if
// there is none.
func (f *Forwarder) Accept() *Conn { return f.listener.Accept() }

// Close ends the taking of connections. Requests that are held are refused, those that are half-open forgotten, and connections
// that nobody has accepted are reset. Those that were live on.
func (f *Forwarder) Close(now time.Time) {
	h, l := f.listener.host, &f.listener
	if l.closed {
		return
	}
	t := h.since(now)
	h.table.all(func(e *entry) {
		switch o := e.occupant.(type) {
		case *Request:
			if o.forwarder == f {
				o.refuse(t)
				o.end(ErrForwarderClosed)
			}
		case *halfOpen:
			if o.listener == l {
				o.forget(ErrForwarderClosed)
			}
		}
	})
	l.Close(now)
	h.forwards[f.link].forwarder = nil
	h.endForwarding(f.link)
}

func (f *Forwarder) defaults() *Options { return f.listener.options }

// segment takes a segment by the forwarder's interface for which there is neither connection nor listener.
func (f *Forwarder) segment(now int64, s *segment) {
	if !s.has(wire.TCPSyn) || s.has(wire.TCPAck) {
		f.listener.host.refuseNew(now, s)
	} else if f.admits(s) {
		f.open(now, s, 0)
	}
}

// open holds a SYN.
func (f *Forwarder) open(now int64, s *segment, leastISS uint32) {
	h := f.listener.host
	r := &Request{entry: entry{id: s.name()}, forwarder: f, leastISS: leastISS}
	r.take(s)
	h.insert(&r.entry, r)
	h.halfOpen++
	f.held++
	f.listener.perPeer.enter(&r.id)
	h.counters.Held++
	h.network.Timers().Arm(&r.timer, r, now+f.holdTime)
	f.waiting.push(r)
	f.listener.notify(ip.Accepted)
}

// admits reports whether there is room for another request; if not, a SYN is counted as dropped.
func (f *Forwarder) admits(s *segment) bool {
	h := f.listener.host
	if f.InFlight() < f.inFlight && h.halfOpen < h.config.Limits.HalfOpen {
		name := s.name()
		if !f.listener.perPeer.full(&name) {
			return true
		}
		h.dropped(&h.counters.InFlightPeerFull, s.packet, "too many requests of one peer in flight")
		return false
	}
	h.dropped(&h.counters.InFlightFull, s.packet, "too many requests in flight")
	return false
}
