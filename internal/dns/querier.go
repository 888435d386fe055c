package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// idleTime is how long after the last question the sockets stay open. What has been heard is kept as long, not longer: it is to be
// relied on only while it would be heard when that changes.
const idleTime = 2 * time.Minute

// A querier asks the hosts on the links, as a full participant of Multicast DNS: it listens to what they tell each other, too.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.2
type querier struct {
	links   func() []MulticastLink
	timeout time.Duration
	noCache bool
	random  *random

	opening sync.Mutex // for one at a time to open sockets; mu may be locked under it

	mu        sync.Mutex    // held over no call out
	sockets   []*linkSocket // in the order of the links
	asked     map[*linkAsked]bool
	cache     linkCache
	lastAsked time.Time
	timer     *time.Timer // nil: nothing has been asked so far
}

// A linkSocket is an open socket.
type linkSocket struct {
	zone   string
	family byte
	MulticastSocket
}

func newQuerier(config *Config, random *random) *querier {
	l := &querier{
		links: config.Multicast, timeout: config.MulticastTimeout, noCache: config.CacheEntries < 0, random: random,
		asked: make(map[*linkAsked]bool),
		cache: linkCache{bound: config.CacheEntries, maxTTL: config.MaxTTL, maxNegativeTTL: config.MaxNegativeTTL},
	}
	if l.noCache {
		l.cache.bound = defaultCacheEntries // answers are gathered there
	}
	return l
}

// ask returns what the hosts on the links have said of the name, or say now. The error is ErrNXDomain if that is nothing.
func (l *querier) ask(ctx context.Context, name dnsmessage.Name, qtype dnsmessage.Type) (response, error) {
	if err := l.open(); err != nil {
		return response{}, contextFirst(ctx, err)
	}
	q, r := l.begin(name, qtype)
	if q == nil {
		return r, nil
	}
	defer l.end(q)
	if err := l.sendFirst(q); err != nil {
		return response{}, contextFirst(ctx, err)
	}
	select {
	case r, ok := <-q.done:
		if !ok {
			return response{}, ErrNXDomain
		}
		return r, nil
	case <-ctx.Done():
		return response{}, ctx.Err()
	}
}

// contextFirst returns why the context has ended, or else the error.
func contextFirst(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// begin returns a question to wait for, or what is known.
func (l *querier) begin(name dnsmessage.Name, qtype dnsmessage.Type) (*linkAsked, response) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.noCache && len(l.asked) == 0 {
		l.cache.clear()
	}
	l.cache.expire(now)
	k, known := key{fold(name), qtype}, false
	for _, zone := range l.zones() {
		f, ok := l.cache.answer(zone, name, qtype, now)
		if ok && !l.noCache && (f.complete || f.certain) {
			l.cache.use(&f.response, qtype, now)
			l.schedule(now)
			f.cached = true
			return nil, f.response
		}
		known = known || len(l.cache.known(linkKey{zone, k}, now)) > 0
	}
	q := newLinkAsked(name, k, known, now, l.timeout)
	l.asked[q] = true
	return q, response{}
}

// end gives a question up, if it has not ended.
func (l *querier) end(q *linkAsked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.asked, q)
	l.schedule(time.Now())
}

// sendFirst sends the question for the first time. It fails only if that fails on all links: a link without IPv6 is no obstacle to
// the others.
func (l *querier) sendFirst(q *linkAsked) error {
	l.mu.Lock()
	now := time.Now()
	out := l.question(nil, q, now)
	l.schedule(now)
	l.mu.Unlock()
	return l.send(out)
}

// An outgoing message is to be sent once the lock is released.
type outgoing struct {
	socket *linkSocket
	octets []byte
}

// question appends the messages that put the question to all links. The first time it asks for an answer to this host alone, which
// spares all others to hear what they know, unless that answer may end up elsewhere.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.4
// https://www.rfc-editor.org/rfc/rfc6762.html#section-15.1
func (l *querier) question(out []outgoing, q *linkAsked, now time.Time) []outgoing {
	for _, socket := range l.sockets {
		if !q.others[socket] {
			out = l.put(out, socket, q.name, q.qtype, !q.sent && socket.Exclusive(), now)
		}
	}
	q.asked(now)
	return out
}

// put appends the messages that put a question to one link.
func (l *querier) put(
	out []outgoing, socket *linkSocket, name dnsmessage.Name, qtype dnsmessage.Type, unicast bool, now time.Time,
) []outgoing {
	messages, err := linkQuestion(name, qtype, unicast, l.cache.known(linkKey{socket.zone, key{fold(name), qtype}}, now))
	if err != nil {
		return out // a name that was heard can be said, and one that was asked for is valid
	}
	for _, octets := range messages {
		out = append(out, outgoing{socket, octets})
	}
	return out
}

// send sends the messages. The error is the last, if none could be sent.
func (l *querier) send(out []outgoing) error {
	err, sent := ErrNoServers, false
	for _, o := range out {
		failed := o.socket.Send(o.octets)
		if errors.Is(failed, net.ErrClosed) {
			l.drop(o.socket)
		}
		if failed != nil {
			err = failed
		}
		sent = sent || failed == nil
	}
	if sent {
		return nil
	}
	return err
}

// drop forgets a socket that somebody else has closed. The next question opens another.
func (l *querier) drop(socket *linkSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.sockets, socket); i >= 0 {
		l.sockets = slices.Delete(slices.Clone(l.sockets), i, i+1)
	}
}

// heard takes note of a message that has arrived.
func (l *querier) heard(socket *linkSocket, octets []byte, origin Origin) {
	m, ok := readLink(octets)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case !slices.Contains(l.sockets, socket):
	case m.response && origin.mayAnswer():
		l.answer(socket, m.records, now)
		l.schedule(now)
	case !m.response && origin.mayAsk() && !m.truncated:
		l.overhear(socket, &m, now)
		l.schedule(now)
	}
}

// answer takes note of what a host says, and of who has waited for that.
func (l *querier) answer(socket *linkSocket, records []dnsmessage.Resource, now time.Time) {
	l.cache.expire(now)
	l.cache.hear(socket.zone, records, now, l.random.octet())
	for q := range l.asked {
		if f, ok := l.cache.answer(socket.zone, q.name, q.qtype, now); ok {
			q.answered(socket.zone, f.complete, now)
		}
		if !now.Before(q.ends) {
			l.finish(q, now)
		}
	}
}

// overhear takes note of what another host asks, so that this one need not ask the same.
func (l *querier) overhear(socket *linkSocket, m *linkMessage, now time.Time) {
	for _, question := range m.questions {
		k := key{fold(question.Name), question.Type}
		if question.Class != dnsmessage.ClassINET || !l.cache.knows(socket.zone, k, m.records, now) {
			continue
		}
		for q := range l.asked {
			if q.key == k {
				q.overheard(socket)
			}
		}
		if set := l.cache.sets[linkKey{socket.zone, k}]; set != nil {
			set.refreshed(now)
		}
	}
}

// finish tells who waits for the question what has been heard.
func (l *querier) finish(q *linkAsked, now time.Time) {
	defer close(q.done)
	delete(l.asked, q)
	told := false
	zones := l.zones()
	if q.heard {
		zones = append([]string{q.zone}, zones...) // the first that has answered
	}
	for _, zone := range zones {
		f, ok := l.cache.answer(zone, q.name, q.qtype, now)
		if !ok {
			continue
		}
		l.cache.gather(&f.response, q.qtype)
		if !told {
			q.done <- f.response
			told = true
		}
	}
}

// tick does what is due.
func (l *querier) tick() {
	l.mu.Lock()
	now := time.Now()
	var out []outgoing
	for q := range l.asked {
		if !now.Before(q.ends) {
			l.finish(q, now)
		} else if q.due(now) {
			out = l.question(out, q, now)
		}
	}
	out = l.refresh(out, now)
	var idle []*linkSocket
	if l.idle(now) {
		idle, l.sockets = l.sockets, nil
		l.cache.clear()
	}
	l.schedule(now)
	l.mu.Unlock()
	_ = l.send(out) // the next time may do better
	for _, socket := range idle {
		socket.Close()
	}
}

// refresh appends questions for what is of interest and about to expire.
func (l *querier) refresh(out []outgoing, now time.Time) []outgoing {
	l.cache.expire(now)
	for k, set := range l.cache.sets {
		if at := set.refresh(); at.IsZero() || at.After(now) {
			continue
		}
		for _, socket := range l.sockets {
			if socket.zone == k.zone {
				out = l.put(out, socket, set.records[0].Header.Name, k.qtype, false, now)
			}
		}
		set.refreshed(now)
	}
	return out
}

func (l *querier) idle(now time.Time) bool {
	return len(l.asked) == 0 && !now.Before(l.lastAsked.Add(idleTime))
}

// schedule sets the timer to what is next.
func (l *querier) schedule(now time.Time) {
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for q := range l.asked {
		sooner(q.wake())
	}
	if len(l.asked) == 0 && len(l.sockets) > 0 {
		sooner(l.lastAsked.Add(idleTime))
	}
	for _, set := range l.cache.sets {
		sooner(set.refresh())
	}
	switch {
	case next.IsZero() && l.timer != nil:
		l.timer.Stop()
	case next.IsZero():
	case l.timer == nil:
		l.timer = time.AfterFunc(next.Sub(now), l.tick)
	default:
		l.timer.Reset(next.Sub(now))
	}
}

// zones returns the names of the links, in order.
func (l *querier) zones() (zones []string) {
	for _, socket := range l.sockets {
		if !slices.Contains(zones, socket.zone) {
			zones = append(zones, socket.zone)
		}
	}
	return zones
}
