package slaac

import (
	"time"

	"github.com/smolnet/smolnet/core/timer"
)

// Times of router solicitations.
const (
	// maxSolicitationDelay is how long the first of them waits at most, so that hosts which start together do not ask
	// together.
	// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.7
	maxSolicitationDelay = time.Second

	// The time to the next doubles up to a maximum, for as long as nobody answers.
	// https://www.rfc-editor.org/rfc/rfc7559.html#section-2
	initialInterval = 4 * time.Second
	maxInterval     = time.Hour
)

// solicitor asks for router advertisements until there is one of a default router.
type solicitor struct {
	host     *Host
	timer    timer.Timer
	interval int64 // to the next solicitation; 0: none has been sent
	sent     int64 // when the last was sent, if ever is set
	ever     bool

	satisfied bool // there is a default router
}

// start asks soon, but never sooner after the last time than it would when nobody answers.
func (s *solicitor) start(now int64) {
	at := now + int64(s.host.cfg.Rand()%uint64(maxSolicitationDelay))
	if s.ever {
		at = max(at, s.sent+int64(initialInterval))
	}
	s.interval = 0
	s.host.cfg.Timers.Arm(&s.timer, s, at)
}

// answered takes note that there is a default router.
//
// "Once the host sends a Router Solicitation, and receives a valid Router Advertisement with a non-zero Router Lifetime,
// the host MUST desist from sending additional solicitations on that interface" and "a host SHOULD send at least one
// solicitation in the case where an advertisement is received prior to having sent a solicitation."
// https://www.rfc-editor.org/rfc/rfc4861.html#section-6.3.7
func (s *solicitor) answered() {
	if s.interval != 0 {
		s.stop()
	}
}

func (s *solicitor) stop() { s.host.cfg.Timers.Stop(&s.timer) }

// Expire sends a solicitation. The timer heap calls it.
func (s *solicitor) Expire(now int64) {
	// "RT for the first message transmission is based on IRT: RT = IRT + RAND*IRT. RT for each subsequent message
	// transmission is based on the previous value of RT: RT = 2*RTprev + RAND*RTprev"; and if RT > MRT, RT = MRT +
	// RAND*MRT.
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-15
	// That there is neither a greatest number of them nor a greatest duration is RFC 7559's, for a router may be
	// switched on at any time.
	if s.interval == 0 {
		s.interval = int64(initialInterval) + s.random(int64(initialInterval))
	} else {
		s.interval = 2*s.interval + s.random(s.interval)
	}
	if s.interval > int64(maxInterval) {
		s.interval = int64(maxInterval) + s.random(int64(maxInterval))
	}
	s.sent, s.ever = now, true
	h := s.host
	h.counters.Solicitations++
	if !s.satisfied {
		h.cfg.Timers.Arm(&s.timer, s, now+s.interval)
	}
	h.cfg.Link.Solicit(now)
}

// random is between -0.1 and 0.1 of t.
func (s *solicitor) random(t int64) int64 {
	return int64(s.host.cfg.Rand()%uint64(t/5+1)) - t/10
}
