package rpl

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Times of solicitations, which RFC 6550 leaves open.
const (
	// maxSolicitationDelay is how long the first waits at most, so that nodes which start together do not ask together.
	maxSolicitationDelay = time.Second
	// The time to the next doubles up to a maximum, for as long as there is no parent.
	initialSolicitation = 4 * time.Second
	maxSolicitation     = 2 * time.Minute
)

// solicitor asks for DIOs while a leaf has no parent.
type solicitor struct {
	leaf     *Leaf
	timer    timer.Timer
	interval int64 // to the next; 0: none has been sent
	sent     int64 // when the last was sent, if ever is set
	ever     bool
}

// start asks soon, but never sooner after the last time than it would if nobody answered.
func (s *solicitor) start(now int64) {
	at := now + int64(s.leaf.cfg.Rand()%uint64(maxSolicitationDelay))
	if s.ever {
		at = max(at, s.sent+int64(initialSolicitation))
	}
	s.interval = 0
	s.leaf.cfg.Timers.Arm(&s.timer, s, at)
}

func (s *solicitor) stop() { s.leaf.cfg.Timers.Stop(&s.timer) }

// Expire sends a solicitation, the next up to a tenth sooner than twice the time later. The timer heap calls it.
func (s *solicitor) Expire(now int64) {
	s.interval = min(max(2*s.interval, int64(initialSolicitation)), int64(maxSolicitation))
	s.sent, s.ever = now, true
	s.leaf.cfg.Timers.Arm(&s.timer, s, now+s.interval-int64(s.leaf.cfg.Rand()%uint64(s.interval/10)))
	s.leaf.sendDIS(now, AllNodes)
}

// sendDIS asks dst for DIOs. The padding makes the message as long as ICMPv6 messages are at least elsewhere.
func (l *Leaf) sendDIS(now int64, dst netip.Addr) {
	var r wire.RPLDISRepr
	r.Options = r.Options.Append(&wire.RPLPaddingRepr{Octets: wire.ICMPv6HeaderLen - r.Len()})
	l.counters.SentDIS++
	l.cfg.Owner.Send(now, dst, &r)
}
