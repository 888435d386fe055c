package tcp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

// Listener accepts connections to a local address and port. Those whose handshake is not complete wait in its SYN queue, as small
// records in the host's table; the others in its accept queue, until somebody takes them.
//
// As Linux does: while the accept queue is full SYNs are dropped, never reset, so that the peer tries again; and a final
// acknowledgment that finds no room is dropped for the peer to repeat with its data.
type Listener struct {
	host     *Host
	owner    ip.Owner
	options  *Options
	keys     []listenKey
	addr     netip.AddrPort
	binding  binding
	backlog  int
	synQueue int // the most of halfOpen
	halfOpen int
	young    int     // of halfOpen, those whose SYN|ACK no timer has repeated
	accepted []*Conn // the accept queue
	closed   bool
	fastOpen pendingFastOpens
	perPeer  *perPeer // of a forwarder; nil: a listener's
}

// ListenConfig says what to listen on.
type ListenConfig struct {
	// Local is the address and port. An unspecified address stands for all of its family's; a port of 0 is chosen.
	Local netip.AddrPort
	// Link is the index of the interface: required if Local is link-local, else 0 for any.
	Link int32
	// DualStack has an unspecified IPv6 address stand for all IPv4 addresses as well.
	DualStack bool
	// ReusePort shares the address and port with other listeners, all of which must have set it, as SO_REUSEPORT does: each
	// connection goes to one of them, by a seeded hash of its addresses and ports. If one of them is closed it may be another.
	ReusePort bool
	// Backlog bounds the accept queue, and the SYN queue likewise. 0: Limits.Backlog, which is also the most.
	Backlog int
	// Options default to the host's. Accepted connections begin with them.
	Options *Options
	// Owner is told, by ip.Accepted, that there is a connection to accept.
	Owner ip.Owner
}

// listenKey is what a listener is found by.
type listenKey struct {
	addr [16]byte
	is4  bool
	port uint16
	link int32
}

func listenKeyOf(addr netip.AddrPort, link int32) listenKey {
	if !addr.Addr().IsLinkLocalUnicast() {
		link = 0
	}
	return listenKey{addr.Addr().As16(), addr.Addr().Is4(), addr.Port(), link}
}

// Listen begins to listen. The errors are ip.ErrAddressNotAvailable, ip.ErrAddressInUse, ErrNoPorts, ErrTooManyListeners, and
// what is wrong with Options.
func (h *Host) Listen(cfg ListenConfig) (*Listener, error) {
	if !cfg.Local.Addr().IsValid() {
		return nil, fmt.Errorf("local address %v: %w", cfg.Local, ip.ErrInvalid)
	}
	if cfg.Backlog < 0 {
		return nil, fmt.Errorf("backlog %d: %w", cfg.Backlog, ip.ErrInvalid)
	}
	if a := cfg.Local.Addr(); !a.IsUnspecified() && !h.network.Local(cfg.Link, a) {
		return nil, ip.ErrAddressNotAvailable
	}
	options, err := h.optionsFor(cfg.Options)
	if err != nil {
		return nil, err
	}
	if h.listening >= h.config.Limits.Listeners {
		return nil, ErrTooManyListeners
	}
	l := &Listener{host: h, owner: cfg.Owner, options: options, addr: cfg.Local, backlog: h.config.Limits.Backlog}
	if cfg.Backlog != 0 {
		l.backlog = min(cfg.Backlog, l.backlog)
	}
	l.synQueue = l.backlog
	l.binding = newBinding(cfg.Local, cfg.Link)
	l.binding.dualStack, l.binding.listens, l.binding.reusePort = cfg.DualStack, true, cfg.ReusePort
	if cfg.Local.Port() == 0 {
		if l.binding, err = h.chooseListenPort(l.binding); err != nil {
			return nil, err
		}
		l.addr = l.binding.local
	} else if !h.free(&l.binding) {
		return nil, ip.ErrAddressInUse
	}
	l.keys = append(l.keys, listenKeyOf(l.addr, cfg.Link))
	if cfg.DualStack && l.addr.Addr() == netip.IPv6Unspecified() {
		l.keys = append(l.keys, listenKeyOf(netip.AddrPortFrom(netip.IPv4Unspecified(), l.addr.Port()), cfg.Link))
	}
	h.addListener(l)
	return l, nil
}

// listener finds who listens on a local address and port: one of those who share it.
func (h *Host) listener(local netip.AddrPort, link int32) *Listener {
	_, l := h.listenerAt(local, link)
	return l
}

// listenerAt is listener, and by what it was found.
func (h *Host) listenerAt(local netip.AddrPort, link int32) (listenKey, *Listener) {
	if len(h.listeners) == 0 {
		return listenKey{}, nil
	}
	k := listenKeyOf(local, link)
	if l := h.listeners[k]; l != nil {
		return k, l
	}
	wildcard := netip.IPv6Unspecified()
	if local.Addr().Is4() {
		wildcard = netip.IPv4Unspecified()
	}
	k = listenKeyOf(netip.AddrPortFrom(wildcard, local.Port()), link)
	return k, h.listeners[k]
}

// Addr is the address and port listened on.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Pending is how many connections wait to be accepted.
func (l *Listener) Pending() int { return len(l.accepted) }

// SetOwner names who is told of events from now on; nil: nobody.
func (l *Listener) SetOwner(owner ip.Owner) { l.owner = owner }

// Accept takes the first connection that waits; nil if none does.
func (l *Listener) Accept() *Conn {
	if len(l.accepted) == 0 {
		return nil
	}
	c := l.accepted[0]
	l.accepted[0] = nil
	if l.accepted = l.accepted[1:]; len(l.accepted) == 0 {
		l.accepted = nil
	}
	return c
}

// Close stops listening. Connections that nobody has accepted are reset; half-open ones are forgotten.
func (l *Listener) Close(now time.Time) {
	if l.closed {
		return
	}
	l.closed = true
	l.host.removeListener(l)
	if l.halfOpen > 0 {
		l.host.table.all(func(e *entry) {
			if o, ok := e.occupant.(*halfOpen); ok && o.listener == l {
				o.forget(ErrAborted)
			}
		})
	}
	for c := l.Accept(); c != nil; c = l.Accept() {
		c.Abort(now)
		c.Close(now)
	}
	l.notify(ip.Closed)
}

func (l *Listener) defaults() *Options { return l.options }

func (l *Listener) notify(events ip.Event) {
	if l.owner != nil {
		l.owner.Notify(events)
	}
}

// segment takes a segment for which there is no connection: "LISTEN STATE".
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7.2
func (l *Listener) segment(now int64, s *segment) {
	switch {
	case s.has(wire.TCPRst):
		l.host.ignoreReset(s)
	case s.has(wire.TCPAck):
		if !l.takeCookie(now, s) {
			l.host.refuseNew(now, s)
		}
	case !s.has(wire.TCPSyn):
		l.host.dropped(&l.host.counters.InNoAck, s.packet, "no ACK")
	default:
		l.syn(now, s)
	}
}

// syn answers a SYN, if there is room for another connection.
func (l *Listener) syn(now int64, s *segment) {
	h := l.host
	switch {
	case l.full(s):
	case h.config.SYNCookies == CookiesAlways, h.config.SYNCookies == CookiesWhenFull && l.synQueueFull():
		l.sendCookie(now, s)
	case l.admits(s):
		l.open(now, s, 0)
	}
}

// admits reports whether there is room for another half-open connection; if not, a SYN is counted as dropped.
func (l *Listener) admits(s *segment) bool {
	if l.full(s) {
		return false
	}
	if l.synQueueFull() {
		l.host.dropped(&l.host.counters.SynQueueFull, s.packet, "SYN queue full")
		return false
	}
	return true
}

// full reports whether the accept queue is; if so, a segment is counted as dropped.
func (l *Listener) full(s *segment) bool {
	if len(l.accepted) < l.backlog {
		return false
	}
	l.host.dropped(&l.host.counters.AcceptQueueFull, s.packet, "accept queue full")
	return true
}

func (l *Listener) synQueueFull() bool {
	return l.halfOpen >= l.synQueue || l.host.halfOpen >= l.host.config.Limits.HalfOpen
}

// synRetries is how often a SYN|ACK is repeated. While the SYN queue is more than half full it is fewer times, though twice at
// least: so that half of what is there is young, which is to say was never repeated. Whoever means to connect has mostly answered
// by then. Linux does it in this way.
func (l *Listener) synRetries() int {
	most := l.host.config.SYNRetries
	if 2*l.halfOpen <= l.synQueue && 2*l.host.halfOpen <= l.host.config.Limits.HalfOpen {
		return most
	}
	for share := 2 * l.young; most > 2 && l.halfOpen >= share; share *= 2 {
		most--
	}
	return most
}
