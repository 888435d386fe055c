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

	// In a low-power network it stays the same for so many solicitations first.
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.3
	// https://www.rfc-editor.org/rfc/rfc6775.html#section-9
	lowPowerInterval      = 10 * time.Second // RTR_SOLICITATION_INTERVAL
	lowPowerSolicitations = 3                // MAX_RTR_SOLICITATIONS
	maxLowPowerInterval   = time.Minute      // MAX_RTR_SOLICITATION_INTERVAL
)

// solicitor asks for router advertisements until there is one of a default router.
type solicitor struct {
	host     *Host
	timer    timer.Timer
	interval int64 // to the next solicitation; 0: none has been sent
	sent     int64 // when the last was sent, if ever is set
	ever     bool
	count    int // how many have been sent since the start, up to lowPowerSolicitations

	satisfied bool // there is a default router
}

// start asks soon, but never sooner after the last time than it would when nobody answers.
func (s *solicitor) start(now int64) {
	at := now + int64(s.host.cfg.Rand()%uint64(maxSolicitationDelay))
	if s.ever {
		at = max(at, s.sent+int64(s.initial()))
	}
	s.interval, s.count = 0, 0
	s.host.cfg.Timers.Arm(&s.timer, s, at)
}

// initial is the time between the first solicitations.
func (s *solicitor) initial() time.Duration {
	if s.host.cfg.LowPower {
		return lowPowerInterval
	}
	return initialInterval
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
	wait := s.next()
	s.sent, s.ever = now, true
	h := s.host
	h.counters.Solicitations++
	if !s.satisfied {
		h.cfg.Timers.Arm(&s.timer, s, now+wait)
	}
	h.cfg.Link.Solicit(now)
}

// next is the time to the next solicitation.
func (s *solicitor) next() int64 {
	if s.host.cfg.LowPower {
		return s.nextLowPower()
	}
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
	return s.interval
}

// nextLowPower is next in a low-power network: RFC 6775 has the interval back off binary exponentially, once
// MAX_RTR_SOLICITATIONS have been sent, up to MAX_RTR_SOLICITATION_INTERVAL. As those are the least that RFC 4861 has between
// two, what is random about it comes on top, up to a tenth.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.3
func (s *solicitor) nextLowPower() int64 {
	if s.count++; s.count < lowPowerSolicitations {
		s.interval = int64(lowPowerInterval)
	} else {
		s.count = lowPowerSolicitations
		s.interval = min(max(2*s.interval, int64(lowPowerInterval)), int64(maxLowPowerInterval))
	}
	return s.interval + int64(s.host.cfg.Rand()%uint64(s.interval/10+1))
}

// random is between -0.1 and 0.1 of t.
func (s *solicitor) random(t int64) int64 {
	return int64(s.host.cfg.Rand()%uint64(t/5+1)) - t/10
}
