package dns

import (
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// firstInterval is the time between a question and its repetition. It is doubled each time.
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-5.2
	firstInterval = time.Second

	// gatherTime is how much longer other hosts' answers are waited for when one has come. Those who share a name wait up
	// to 120 ms themselves: https://www.rfc-editor.org/rfc/rfc6762.html#section-6
	gatherTime = 150 * time.Millisecond

	// newsTime is how long answers are waited for when some are known, and those who have given them need not repeat them.
	newsTime = 500 * time.Millisecond
)

// A linkAsked is a question that is being asked of the links. It is asked at once: the delay that is meant to keep hosts from asking
// at the same time is of no use where it is a user who wants to know.
type linkAsked struct {
	key
	name dnsmessage.Name

	next     time.Time // when it is to be sent
	interval time.Duration
	sent     bool
	ends     time.Time // when it is over
	known    bool      // some answers are known already
	heard    bool      // an answer has come
	zone     string    // from that link

	// others are the sockets over which another host has sent the question since this one has last, so that it need not do so the
	// next time.
	others map[*linkSocket]bool

	done chan response // gets one, or none if nobody knows: then it is closed
}

func newLinkAsked(name dnsmessage.Name, k key, known bool, now time.Time, timeout time.Duration) *linkAsked {
	q := &linkAsked{
		key: k, name: name, next: now, interval: firstInterval, known: known, ends: now.Add(timeout), done: make(chan response, 1),
	}
	if known {
		q.ends = minTime(q.ends, now.Add(newsTime))
	}
	return q
}

// due reports whether the question is to be sent now.
func (q *linkAsked) due(now time.Time) bool { return !q.next.After(now) && q.next.Before(q.ends) }

// asked takes note that the question has been sent.
func (q *linkAsked) asked(now time.Time) {
	q.sent = true
	clear(q.others)
	q.next = now.Add(q.interval)
	q.interval *= 2
}

// overheard takes note that another host has asked the same, and knows no more than this one.
//
//	this host SHOULD treat its own query as having been sent
//
// That is the next that it would send over the same socket. The first it has sent already, and asks for more than the other.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-7.3
func (q *linkAsked) overheard(by *linkSocket) {
	if !q.sent {
		return
	}
	if q.others == nil {
		q.others = make(map[*linkSocket]bool)
	}
	q.others[by] = true
}

// answered takes note that there is an answer from a link. complete: there will be no other. Who has the name on another link is
// another host, or the same one, which has been found already.
func (q *linkAsked) answered(zone string, complete bool, now time.Time) {
	if !q.heard {
		q.heard, q.zone = true, zone
		if !q.known {
			q.ends = minTime(q.ends, now.Add(gatherTime))
		}
	}
	if complete && zone == q.zone {
		q.ends = now
	}
}

// wake is when something is to be done.
func (q *linkAsked) wake() time.Time { return minTime(q.next, q.ends) }
