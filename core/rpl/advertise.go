package rpl

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Times of DAOs.
const (
	// daoDelay is DEFAULT_DAO_DELAY, within which a DAO is sent, so that what happens together is told together.
	// https://www.rfc-editor.org/rfc/rfc6550.html#section-17
	daoDelay = time.Second
	// ackTimeout is how long an acknowledgment may take the first time; it doubles each time. RFC 6550 leaves both open.
	ackTimeout = 4 * time.Second
	maxTries   = 4
	// After that others are preferred to the parent for shunTime. If there are none, it is tried again later, and later still.
	shunTime     = 10 * time.Minute
	initialRetry = time.Minute
	maxRetry     = 16 * time.Minute
	// minRefresh bounds how often routes of short life are refreshed.
	minRefresh = time.Second
)

// advertising is what an advertiser waits for.
type advertising uint8

const (
	silent    advertising = iota // nothing: there is nothing to tell, or nobody to be told
	scheduled                    // the time to send
	waiting                      // an acknowledgment
	told                         // the time to tell it again, before the routes end
	baffled                      // the time to try again
)

// advertiser tells by DAOs where a leaf can be reached: the parent in storing mode, the root in non-storing mode.
type advertiser struct {
	leaf  *Leaf
	timer timer.Timer
	state advertising

	sequence Sequence // DAOSequence of the next DAO
	path     Sequence // Path Sequence of the next

	message  wire.RPLDAORepr // the last, until it is acknowledged
	to       netip.Addr
	tries    int
	failures int // in a row

	current []netip.Addr // what the last DAO has told of
	known   []netip.Addr // what others may know, of this DAO and earlier ones
}

// soon has a DAO sent, with which everything is told anew.
func (a *advertiser) soon(now int64) {
	if a.state == scheduled || a.leaf.joined.mode == wire.RPLNoDownward {
		return
	}
	a.state = scheduled
	a.arm(now + int64(a.leaf.cfg.Rand()%uint64(daoDelay)))
}

func (a *advertiser) arm(at int64) { a.leaf.cfg.Timers.Arm(&a.timer, a, at) }

// stop waits for nothing any more.
func (a *advertiser) stop() {
	a.state, a.failures, a.message = silent, 0, wire.RPLDAORepr{}
	a.leaf.cfg.Timers.Stop(&a.timer)
}

// Expire sends a DAO. The timer heap calls it.
func (a *advertiser) Expire(now int64) {
	switch {
	case a.state != waiting:
		a.send(now)
	case a.tries < maxTries:
		a.transmit(now)
	default:
		a.leaf.counters.Unacked++
		a.fail(now)
	}
}

// send makes and sends a DAO of all the leaf's addresses, and of those that it has no more.
func (a *advertiser) send(now int64) {
	l := a.leaf
	d := l.joined
	a.state = silent
	a.current = slices.DeleteFunc(l.cfg.Owner.Addresses(a.current[:0]), func(addr netip.Addr) bool { return !validDODAG(addr) })
	a.current = a.current[:min(len(a.current), l.cfg.Targets)]
	gone := slices.DeleteFunc(slices.Clone(a.known), func(addr netip.Addr) bool { return slices.Contains(a.current, addr) })
	attachment, ok := d.attachment(l.parent)
	if !ok || len(a.current)+len(gone) == 0 {
		return // until the parent's address is known, or the leaf has one
	}
	a.message = wire.RPLDAORepr{Instance: d.instance, Ack: true, Sequence: uint8(a.sequence)}
	if d.instance >= localInstance {
		a.message.DODAG = d.id
	}
	lasting := max(d.config.DefaultLifetime, 1)
	a.message.Options = appendTargets(nil, a.current, a.transit(d, lasting, attachment))
	a.message.Options = appendTargets(a.message.Options, gone, a.transit(d, 0, attachment))
	a.sequence, a.path = a.sequence.Next(), a.path.Next()
	// Of what is gone the newest is kept in mind, if it cannot all be.
	a.known = append(append(a.known[:0], a.current...), gone[max(len(gone)-l.cfg.Targets, 0):]...)
	a.to = d.destination(l.parent.addr)
	a.tries = 0
	a.transmit(now)
}

// transit says how long targets can be reached, and where.
func (a *advertiser) transit(d *dodag, lasting uint8, attachment netip.Addr) wire.RPLTransitInformationRepr {
	return wire.RPLTransitInformationRepr{
		// With one parent only, it has all the bits of path control that there are.
		// https://www.rfc-editor.org/rfc/rfc6550.html#section-9.9
		PathControl:  0xff << (7 - d.config.PathControlSize),
		PathSequence: uint8(a.path), PathLifetime: lasting, Parent: attachment,
	}
}

// appendTargets appends a group of targets that have the same transit information.
func appendTargets(options wire.RPLOptions, addrs []netip.Addr, transit wire.RPLTransitInformationRepr) wire.RPLOptions {
	if len(addrs) == 0 {
		return options
	}
	for _, addr := range addrs {
		options = options.Append(&wire.RPLTargetRepr{Prefix: netip.PrefixFrom(addr, addr.BitLen())})
	}
	return options.Append(&transit)
}

// destination is whom DAOs are sent to: the parent, or in non-storing mode the root.
func (d *dodag) destination(parent netip.Addr) netip.Addr {
	if d.mode == wire.RPLNonStoring {
		return d.id
	}
	return parent
}

// attachment is the parent's address in DAOs of non-storing mode, which must be one that a source route can lead to; zero in
// other modes. ok is false if it is not known. The root has its DODAG ID.
func (d *dodag) attachment(parent *neighbour) (addr netip.Addr, ok bool) {
	switch {
	case d.mode != wire.RPLNonStoring:
		return addr, true
	case parent.rank <= d.config.MinHopRankIncrease:
		return d.id, true
	}
	return parent.global, parent.global.IsValid()
}

// transmit sends the DAO, and waits for it to be acknowledged, up to a quarter longer than the timeout.
func (a *advertiser) transmit(now int64) {
	a.state = waiting
	timeout := int64(ackTimeout) << a.tries
	a.tries++
	a.arm(now + timeout + int64(a.leaf.cfg.Rand()%uint64(timeout/4)))
	a.leaf.counters.SentDAO++
	a.leaf.cfg.Owner.Send(now, a.to, &a.message)
}

// acknowledged takes the answer to a DAO. A status below 128 is an acceptance, though perhaps a reluctant one.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6.5.1
func (a *advertiser) acknowledged(now int64, src netip.Addr, r *wire.RPLDAOAckRepr) Cause {
	l := a.leaf
	switch {
	case a.state != waiting || r.Sequence != a.message.Sequence:
		return Unsolicited
	case r.Instance != l.joined.instance:
		return WrongInstance
	case r.DODAG.IsValid() && r.DODAG != l.joined.id:
		return WrongDODAG
	// A root far away may answer from another of its addresses.
	case l.joined.mode != wire.RPLNonStoring && src != a.to:
		return WrongSource
	}
	if r.Status >= StatusRefused {
		l.counters.Refused++
		a.fail(now)
		return None
	}
	a.state, a.failures = told, 0
	a.known = append(a.known[:0], a.current...)
	// It is told again after half to three quarters of the time for which it is true.
	d, infinite := lifetime(max(l.joined.config.DefaultLifetime, 1), &l.joined.config)
	if infinite || d == 0 {
		l.cfg.Timers.Stop(&a.timer)
		return None
	}
	half := max(int64(d/2), int64(minRefresh))
	a.arm(now + half + int64(l.cfg.Rand()%uint64(half/2)))
	return None
}

// fail looks for another parent, one that takes DAOs, or tries again later.
func (a *advertiser) fail(now int64) {
	l := a.leaf
	a.state = baffled
	a.arm(now + min(int64(initialRetry)<<min(a.failures, 8), int64(maxRetry)))
	a.failures++
	l.parent.shunned = now + int64(shunTime)
	l.choose(now)
}

// retract tells that the leaf cannot be reached by the way by which it was in the DODAG, because it changes its parent, perhaps
// for one in the next DODAG. In non-storing mode the root learns the new way in place of the old.
func (a *advertiser) retract(now int64, d *dodag, parent netip.Addr, next *dodag) {
	if d.mode != wire.RPLNonStoring || d != next {
		a.noPath(now, d, parent)
	}
	a.stop()
	if d != next {
		a.known = a.known[:0]
	}
}

// leave tells that the leaf cannot be reached any more.
func (a *advertiser) leave(now int64) {
	if l := a.leaf; l.parent != nil {
		a.noPath(now, l.joined, l.parent.addr)
	}
	a.stop()
	a.current, a.known = nil, nil
}

// noPath sends a DAO without lifetime, which is not repeated: what it is about ends by itself.
func (a *advertiser) noPath(now int64, d *dodag, parent netip.Addr) {
	if len(a.known) == 0 {
		return
	}
	r := wire.RPLDAORepr{Instance: d.instance, Sequence: uint8(a.sequence)}
	if d.instance >= localInstance {
		r.DODAG = d.id
	}
	var attachment netip.Addr
	if n := d.neighbour(parent); n != nil {
		attachment, _ = d.attachment(n)
	}
	r.Options = appendTargets(nil, a.known, a.transit(d, 0, attachment))
	a.sequence, a.path = a.sequence.Next(), a.path.Next()
	a.leaf.counters.SentDAO++
	a.leaf.cfg.Owner.Send(now, d.destination(parent), &r)
}
