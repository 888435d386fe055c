package tcp

import (
	"fmt"
	"math"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp/congestion"
)

// Options are what can be chosen for one connection, or for all that a listener accepts. A zero field stands for its default.
type Options struct {
	// ReceiveBuffer is how many octets may wait to be read, and so the largest window that is offered; 64 to 1 GiB. Default: as
	// many as the rate at which data arrives and is read calls for, from 128 KiB up to Limits.ReceiveBuffer, and back when the
	// connection is idle. Memory is taken as data arrives, not before. The window scale is made from it in the handshake: later it
	// can only be changed below what the scale allows.
	ReceiveBuffer int
	// SendBuffer is how many octets may wait to be acknowledged; 64 to 1 GiB. Default: twice the congestion window, from 128 KiB up
	// to Limits.SendBuffer. Memory is taken as data is written.
	SendBuffer int
	// Nagle delays small segments while others are on their way (RFC 9293, section 3.7.4). Default off, as package net
	// has it.
	Nagle bool
	// DelayedACK is how long an acknowledgment may wait for more data or for a segment to ride on; default 40 ms, less
	// than 500 ms (RFC 9293, section 3.8.6.3). Negative: every segment is acknowledged at once.
	DelayedACK time.Duration
	// KeepAlive says whether and how an idle connection is probed. Default off.
	KeepAlive KeepAlive
	// UserTimeout is how long sent data may stay unacknowledged before the connection is given up (RFC 9293, section
	// 3.9.1). Default: Config.DataRetries decides.
	UserTimeout time.Duration
	// HopLimit is IPv6's hop limit and IPv4's TTL. 0: the interface's, 64 unless routers say otherwise.
	HopLimit uint8
	// TrafficClass is IPv6's traffic class and IPv4's TOS; its two low bits, which are ECN's, must be zero. Default 0.
	TrafficClass uint8
	// Congestion names the congestion control: "cubic" (the default), "bbr", "reno" or "none".
	Congestion string
	// ECN says whether routers may mark this connection's packets instead of dropping them (RFC 3168). Default ECNAccept.
	ECN ECN
	// FastOpen lets data travel in the SYN (RFC 7413): a listener grants and takes cookies, and a dialer asks for one and then
	// uses it. Default off: such data may arrive twice.
	FastOpen bool
	// NoSACK and NoTimestamps leave out what is otherwise offered and accepted: selective acknowledgments (RFC 2018), with
	// which go RACK and the tail loss probe, and timestamps (RFC 7323).
	NoSACK, NoTimestamps bool
	// MaxSegment bounds the payload of the segments sent and, by the MSS option, of those received; 0: the path's MTU
	// does, and on links of short frames what fits few of them. At least 48.
	MaxSegment int
}

// KeepAlive is how an idle connection is probed (RFC 9293, section 3.8.4). A zero duration or count stands for its
// default.
type KeepAlive struct {
	Enable   bool
	Idle     time.Duration // without anything received, before the first probe; default 2 h (the RFC's least)
	Interval time.Duration // between probes; default 75 s
	Count    int           // unanswered probes before the connection is given up; default 9, at most 255
}

// The bounds of what Options may hold.
const (
	minBuffer     = 64
	maxBuffer     = 1 << 30 // what a window scale of 14 can express
	minMSS        = 48      // less is refused: IPv4's least MTU leaves 28 octets, and nobody means it
	maxDelayedACK = 500 * time.Millisecond
)

func (k KeepAlive) withDefaults() KeepAlive {
	if k.Idle == 0 {
		k.Idle = 2 * time.Hour
	}
	if k.Interval == 0 {
		k.Interval = 75 * time.Second
	}
	if k.Count == 0 {
		k.Count = 9
	}
	return k
}

// withDefaults returns o with the defaults filled in from d, or an error that names what is wrong.
func (o Options) withDefaults(d *Options) (Options, error) {
	fill(&o.ReceiveBuffer, d.ReceiveBuffer)
	fill(&o.SendBuffer, d.SendBuffer)
	fill(&o.DelayedACK, d.DelayedACK)
	fill(&o.UserTimeout, d.UserTimeout)
	fill(&o.HopLimit, d.HopLimit)
	fill(&o.TrafficClass, d.TrafficClass)
	fill(&o.Congestion, d.Congestion)
	fill(&o.ECN, d.ECN)
	fill(&o.MaxSegment, d.MaxSegment)
	o.Nagle = o.Nagle || d.Nagle
	o.FastOpen = o.FastOpen || d.FastOpen
	o.NoSACK = o.NoSACK || d.NoSACK
	o.NoTimestamps = o.NoTimestamps || d.NoTimestamps
	if o.KeepAlive == (KeepAlive{}) {
		o.KeepAlive = d.KeepAlive
	}
	o.KeepAlive = o.KeepAlive.withDefaults()
	return o, o.validate()
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var defaultOptions = Options{
	DelayedACK: 40 * time.Millisecond,
	Congestion: "cubic",
	ECN:        ECNAccept,
}

// validate returns an error that wraps ip.ErrInvalid and names what is wrong.
func (o *Options) validate() error {
	for _, b := range []struct {
		name  string
		value int
	}{{"ReceiveBuffer", o.ReceiveBuffer}, {"SendBuffer", o.SendBuffer}} {
		if b.value != 0 && b.value < minBuffer || b.value > maxBuffer {
			return fmt.Errorf("tcp: %s is %d, not between %d and %d octets: %w", b.name, b.value, minBuffer, maxBuffer, ip.ErrInvalid)
		}
	}
	if o.DelayedACK >= maxDelayedACK {
		// "the delay MUST be less than 0.5 seconds"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.8.6.3
		return fmt.Errorf("tcp: DelayedACK is %v, not less than %v: %w", o.DelayedACK, maxDelayedACK, ip.ErrInvalid)
	}
	if o.MaxSegment != 0 && (o.MaxSegment < minMSS || o.MaxSegment > 65535) {
		return fmt.Errorf("tcp: MaxSegment is %d, not between %d and 65535 octets: %w", o.MaxSegment, minMSS, ip.ErrInvalid)
	}
	if o.TrafficClass&3 != 0 {
		return fmt.Errorf("tcp: TrafficClass is %#x, whose two low bits belong to ECN: %w", o.TrafficClass, ip.ErrInvalid)
	}
	if o.UserTimeout < 0 {
		return fmt.Errorf("tcp: UserTimeout is %v: %w", o.UserTimeout, ip.ErrInvalid)
	}
	if k := o.KeepAlive; k.Idle < 0 || k.Interval < 0 || k.Count < 0 {
		return fmt.Errorf("tcp: KeepAlive has a negative value: %+v: %w", k, ip.ErrInvalid)
	} else if k.Count > math.MaxUint8 {
		return fmt.Errorf("tcp: KeepAlive.Count is %d, more than %d: %w", k.Count, math.MaxUint8, ip.ErrInvalid)
	}
	if o.ECN > ECNOff {
		return fmt.Errorf("tcp: ECN is %d, which has no meaning: %w", o.ECN, ip.ErrInvalid)
	}
	if congestion.ByName(o.Congestion) == nil {
		return fmt.Errorf("tcp: unknown congestion control %q: %w", o.Congestion, ip.ErrInvalid)
	}
	return nil
}
