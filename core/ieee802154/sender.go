package ieee802154

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Sender is the one frame that a node has sent and that is to be acknowledged: no other leaves before it is, or is given up. The
// zero value has the defaults of SenderConfig, and nothing under way.
//
//	sender.Start(now, seq, len(frame))     // the frame goes out
//	sender.Acked(now, seq)                 // an acknowledgment came in: true, it was for this frame
//	sender.Expired(now, random)            // the time of Deadline has come: send it again, give it up, or neither
//	sender.Left(now)                       // it could not be sent again at once, and now is
type Sender struct {
	cfg      senderTimes
	state    senderState
	seq      uint8
	attempts int
	airtime  int64
	deadline int64

	sent    int64 // when the frame was sent last
	failed  bool  // it was given up
	ackTime ackTime
}

type senderState uint8

const (
	idle       senderState = iota
	waiting                // for the acknowledgment, until deadline
	backingOff             // to send the frame again, at deadline
)

// Defaults of SenderConfig: those of the 2.4 GHz radio, with 250 kbit/s.
const (
	DefaultAckWait    = 864 * time.Microsecond // 54 symbols of 16 µs
	DefaultMaxRetries = 3                      // macMaxFrameRetries
	DefaultBackoff    = 320 * time.Microsecond // 20 symbols
	DefaultOctetTime  = 32 * time.Microsecond  // 2 symbols

	minBackoffExponent = 3 // macMinBE
	maxBackoffExponent = 5 // macMaxBE

	// framing is how many octets go over the air with a frame: preamble, delimiter, length and frame check sequence.
	framing = 4 + 1 + 1 + wire.IEEE802154FCSLen
)

// SenderConfig says how a Sender retransmits. Zero means the default, a negative value none.
type SenderConfig struct {
	// AckWait is how long after the end of a frame its acknowledgment may end: macAckWaitDuration. Default 864 µs. Where
	// acknowledgments are seen to take longer, as over a network, the time grows with them, up to 250 ms or AckWait.
	AckWait time.Duration
	// MaxRetries is how often a frame is sent again. Default 3.
	MaxRetries int
	// Backoff is the unit of the random time before a frame is sent again: 0 to 7 of them, 15 the next time, 31 from then on.
	// Default 320 µs.
	Backoff time.Duration
	// OctetTime is how long an octet takes to be sent. Default 32 µs.
	OctetTime time.Duration
}

// senderTimes is a SenderConfig with defaults filled in.
type senderTimes struct {
	valid                       bool
	ackWait, backoff, octetTime int64
	maxRetries                  int
}

// NewSender returns a Sender with nothing under way. The error wraps ErrInvalid and names the value.
func NewSender(cfg SenderConfig) (Sender, error) {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"AckWait", cfg.AckWait}, {"Backoff", cfg.Backoff}, {"OctetTime", cfg.OctetTime}} {
		if err := checkTime(d.name, d.value); err != nil {
			return Sender{}, err
		}
	}
	const most = 100
	if cfg.MaxRetries > most {
		return Sender{}, fmt.Errorf("%w: MaxRetries %d exceeds %d", ErrInvalid, cfg.MaxRetries, most)
	}
	return Sender{cfg: cfg.times()}, nil
}

func (cfg SenderConfig) times() senderTimes {
	setDefault(&cfg.AckWait, DefaultAckWait)
	setDefault(&cfg.Backoff, DefaultBackoff)
	setDefault(&cfg.OctetTime, DefaultOctetTime)
	if cfg.MaxRetries == 0 {
		cfg.MaxRetries = DefaultMaxRetries
	}
	return senderTimes{
		valid:   true,
		ackWait: int64(cfg.AckWait), backoff: int64(cfg.Backoff), octetTime: int64(cfg.OctetTime),
		maxRetries: max(cfg.MaxRetries, 0),
	}
}

// Action is what a Sender wants done.
type Action uint8

const (
	Wait       Action = iota // nothing before Deadline
	Retransmit               // the frame is to be sent again, as it is, now
	Failed                   // the frame is given up
)

// Start is called when a frame of so many octets, without its frame check sequence, begins to be sent. A frame that was under way
// before is forgotten.
func (s *Sender) Start(now int64, seq uint8, octets int) {
	if !s.cfg.valid {
		s.cfg = SenderConfig{}.times()
	}
	s.seq, s.attempts, s.failed = seq, 1, false
	s.airtime = int64(octets+framing) * s.cfg.octetTime
	s.await(now)
}

// await waits for the acknowledgment of what begins to be sent now.
func (s *Sender) await(now int64) {
	s.state, s.sent, s.deadline = waiting, now, now+s.airtime+s.ackTime.wait(s.cfg.ackWait)
}

// Left is called when the frame that Expired wants sent again begins to be sent, if that is later: it is waited for from then on, and
// Expired is not called before.
func (s *Sender) Left(now int64) {
	if s.state == waiting {
		s.await(now)
	}
}

// Acked is called for each acknowledgment received. It reports whether that is of the frame under way, which then is no more. One
// that comes late, when the frame was about to be sent again, saves sending it.
func (s *Sender) Acked(now int64, seq uint8) bool {
	if seq != s.seq || s.state == idle && !s.failed {
		return false
	}
	if s.attempts == 1 && !s.failed {
		s.ackTime.took(now - s.sent - s.airtime)
	} else {
		s.ackTime.doubt()
	}
	underWay := s.state != idle
	s.state, s.failed = idle, false
	return underWay
}

// Deadline is when Expired is to be called; ok is false if no frame is under way.
func (s *Sender) Deadline() (at int64, ok bool) { return s.deadline, s.state != idle }

// Expired is called when the time of Deadline has come, with a random number. It says what is to be done now. After Retransmit and
// Wait there is a new Deadline, after Failed no frame is under way.
func (s *Sender) Expired(now int64, random uint32) Action {
	switch {
	case s.state == idle || now < s.deadline:
		return Wait
	case s.state == backingOff:
		s.attempts++
		s.await(now)
		return Retransmit
	}
	if s.attempts > s.cfg.maxRetries {
		s.state, s.failed = idle, true
		return Failed
	}
	// The standard's CSMA-CA begins anew for each transmission, with the same exponent as long as the channel is clear. Here nobody
	// asks whether it is, and so a missing acknowledgment is the only sign of a collision: the time grows with each.
	exponent := min(minBackoffExponent+s.attempts-1, maxBackoffExponent)
	units := int64(random & (1<<exponent - 1))
	s.state, s.deadline = backingOff, now+units*s.cfg.backoff
	if units == 0 || s.cfg.backoff == 0 {
		return s.Expired(now, random)
	}
	return Wait
}

// Busy reports whether a frame is under way.
func (s *Sender) Busy() bool { return s.state != idle }

// Seq is the sequence number of the frame under way or, if there is none, of the last one.
func (s *Sender) Seq() uint8 { return s.seq }

// Attempts is how often the frame under way or, if there is none, the last one was sent.
func (s *Sender) Attempts() int { return s.attempts }

// Stop forgets the frame under way.
func (s *Sender) Stop() { s.state, s.failed = idle, false }
