package congestion

import (
	"math/rand/v2"
	"time"
)

// bbrPath is a connection over a path with one bottleneck, and time is its own: an endless transfer, or what app lets through,
// to a receiver that acknowledges each segment selectively. It does what the contract asks of a connection: it makes
// delivery rate samples, paces, finds losses by three later arrivals and by a timer, and repairs them.
type bbrPath struct {
	*BBR
	w Window

	mss   int
	rate  int64                 // octets a second
	delay time.Duration         // of the whole round trip, without queue
	queue int                   // octets that the bottleneck holds; 0: no limit
	lose  func() bool           // behind the bottleneck
	merge time.Duration         // acknowledgments come at multiples of this
	burst int                   // segments that leave together
	rwnd  int                   // octets; 0: no limit
	app   func(now int64) int64 // octets written by then
	drift int64                 // ns a second by which the delay grows

	now, nextSend, busy, lastArrival int64
	lastHeard                        int64 // of the other side, or of the application when nothing was in flight

	sent      []sending
	heard     int // the first of sent that has not come
	pending   int // the first of sent that is neither acknowledged nor lost
	una, nxt  int // segments
	arrived   []bool
	repair    []int
	flight    int
	recovery  int // until una is there
	recovers  bool
	expired   bool
	srtt, min int64

	total                  uint64
	totalAt, firstSent     int64
	appLimited             uint64
	timeouts, losses, acks int
	maxFlight, maxQueue    int
}

// sending is one segment on its way.
type sending struct {
	segment                        int
	at, firstSent, totalAt, acksAt int64
	total                          uint64
	limited, lost, acked, gone     bool
}

func newBBRPath(bits int64, delay time.Duration) *bbrPath {
	p := &bbrPath{BBR: new(BBR), mss: 1460, rate: bits / 8, delay: delay, burst: 1}
	p.Start(&p.w, 10*p.mss)
	return p
}

// randomly loses a share of the segments, the same ones each time.
func randomly(share float64) func() bool {
	r := rand.New(rand.NewPCG(1, 2))
	return func() bool { return r.Float64() < share }
}

// bdp is the octets that the path holds.
func (p *bbrPath) bdp() int { return int(p.rate * int64(p.delay) / int64(time.Second)) }

// run goes on for a time and returns the octets a second that have arrived in order.
func (p *bbrPath) run(d time.Duration) float64 {
	end, before := p.now+int64(d), p.una
	p.maxFlight, p.maxQueue = 0, 0
	for {
		next, do := end, func() {}
		if at, ok := p.nextAck(); ok && at < next {
			next, do = at, p.ack
		}
		if at, ok := p.nextTransmission(); ok && at < next {
			next, do = at, p.transmit
		}
		if at := p.lastHeard + max(2*p.srtt, int64(200*time.Millisecond)); p.flight > 0 && at < next {
			next, do = at, p.timeout
		}
		p.now = max(p.now, next)
		if next == end {
			return float64(p.una-before) * float64(p.mss) / d.Seconds()
		}
		do()
	}
}

func (p *bbrPath) nextAck() (int64, bool) {
	for ; p.heard < len(p.sent); p.heard++ {
		if s := &p.sent[p.heard]; !s.gone {
			return s.acksAt, true
		}
	}
	return 0, false
}

// nextTransmission says when a segment may leave, which with an application may be but the next look at it.
func (p *bbrPath) nextTransmission() (int64, bool) {
	for len(p.repair) > 0 && p.arrived[p.repair[0]] {
		p.repair = p.repair[1:]
	}
	if p.flight+p.mss > p.w.Cwnd {
		return 0, false
	}
	if len(p.repair) == 0 {
		if p.rwnd > 0 && (p.nxt+1-p.una)*p.mss > p.rwnd {
			return 0, false
		}
		if !p.written() {
			p.appLimited = max(p.total+uint64(p.flight), 1)
			return p.now + int64(time.Millisecond), true
		}
	}
	return max(p.now, p.nextSend), true
}

func (p *bbrPath) written() bool { return p.app == nil || p.app(p.now) >= int64(p.nxt+1)*int64(p.mss) }

func (p *bbrPath) transmit() {
	if len(p.repair) == 0 && !p.written() {
		return
	}
	if p.flight == 0 {
		if p.appLimited != 0 {
			p.Restart(&p.w, p.now, p.now-p.lastHeard)
		}
		p.firstSent, p.totalAt, p.lastHeard = p.now, p.now, p.now
	}
	n := 0
	for ; n < p.burst; n++ {
		if at, ok := p.nextTransmission(); n > 0 && (!ok || at > p.now) {
			break
		}
		p.transmitOne()
	}
	p.nextSend = p.now + int64(n*p.mss)*int64(time.Second)/p.w.Pacing
}

func (p *bbrPath) transmitOne() {
	s := sending{at: p.now, firstSent: p.firstSent, totalAt: p.totalAt, total: p.total, limited: p.appLimited != 0}
	if len(p.repair) > 0 {
		s.segment, p.repair = p.repair[0], p.repair[1:]
	} else {
		s.segment = p.nxt
		p.nxt++
		p.arrived = append(p.arrived, false)
	}
	p.flight += p.mss
	p.maxFlight = max(p.maxFlight, p.flight)
	backlog := int(max(p.busy-p.now, 0) * p.rate / int64(time.Second))
	p.maxQueue = max(p.maxQueue, backlog)
	if s.gone = p.queue > 0 && backlog+p.mss > p.queue; !s.gone {
		p.busy = max(p.busy, p.now) + int64(p.mss)*int64(time.Second)/p.rate
		s.acksAt = p.busy + int64(p.delay) + p.drift*p.now/int64(time.Second)
		if p.merge > 0 {
			s.acksAt += int64(p.merge) - s.acksAt%int64(p.merge)
		}
		s.acksAt = max(s.acksAt, p.lastArrival)
		p.lastArrival = s.acksAt
		s.gone = p.lose != nil && p.lose()
	}
	p.sent = append(p.sent, s)
}

// ack takes all that has come by now as one acknowledgment.
func (p *bbrPath) ack() {
	prior, una, delivered, newest := p.flight, p.una, 0, -1
	for at, ok := p.nextAck(); ok && at <= p.now; at, ok = p.nextAck() {
		s := &p.sent[p.heard]
		p.heard++
		if s.acked = true; p.arrived[s.segment] {
			continue
		}
		p.arrived[s.segment] = true
		if !s.lost {
			p.flight -= p.mss
		}
		delivered += p.mss
		newest = p.heard - 1
	}
	for p.una < p.nxt && p.arrived[p.una] {
		p.una++
	}
	if p.lastHeard, p.expired = p.now, false; newest < 0 {
		return
	}
	p.total += uint64(delivered)
	p.totalAt = p.now
	if p.total > p.appLimited {
		p.appLimited = 0
	}

	s := &p.sent[newest]
	rtt := p.now - s.at
	if p.srtt == 0 {
		p.srtt, p.min = rtt, rtt
	}
	p.srtt, p.min = (7*p.srtt+rtt)/8, min(p.min, rtt)
	rate := Rate{Delivered: int(p.total - s.total), AppLimited: s.limited, Prior: s.total, Total: p.total}
	if interval := max(s.at-s.firstSent, p.now-s.totalAt); interval >= p.min {
		rate.Interval = interval
	}
	p.firstSent = s.at

	lost := p.findLost(newest - 3)
	if lost > 0 && !p.recovers {
		p.recovers, p.recovery = true, p.nxt
		p.losses++
		p.Loss(&p.w, Loss{Now: p.now, Flight: prior, MSS: p.mss})
	}
	p.Ack(&p.w, &Ack{
		Now: p.now, Acked: (p.una - una) * p.mss, Delivered: delivered, Lost: lost, Prior: prior, Flight: p.flight, MSS: p.mss,
		Una: p.sequence(p.una), Nxt: p.sequence(p.nxt), Recovering: p.recovers,
		RTT: rtt, SRTT: p.srtt, MinRTT: p.min, Rate: rate,
	})
	p.acks++
	if p.recovers && p.una >= p.recovery {
		p.recovers = false
		p.Recovered(&p.w, Loss{Now: p.now, Flight: p.flight, MSS: p.mss})
	}
}

func (p *bbrPath) sequence(segment int) uint32 { return 1_000_000_007 + uint32(segment*p.mss) }

// findLost takes for lost whatever was sent up to there and has not come.
func (p *bbrPath) findLost(upto int) (octets int) {
	for ; p.pending <= upto; p.pending++ {
		if s := &p.sent[p.pending]; !s.acked && !s.lost {
			s.lost = true
			p.flight -= p.mss
			octets += p.mss
			p.repair = append(p.repair, s.segment)
		}
	}
	return octets
}

func (p *bbrPath) timeout() {
	p.timeouts++
	if !p.expired {
		p.Timeout(&p.w, Loss{Now: p.now, Flight: p.flight, MSS: p.mss})
	}
	p.expired, p.recovers, p.lastHeard = true, false, p.now
	p.findLost(len(p.sent) - 1)
}
