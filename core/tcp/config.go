package tcp

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
)

// Config is what a Host is made of. Network, Epoch and Rand are required; any other zero field stands for its default.
type Config struct {
	Network ip.Network
	Epoch   time.Time // time zero of the stack's clock
	Rand    io.Reader // where secrets and ports come from
	Limits  Limits

	// Dropped is told of a segment that could not be used, or of an answer that could not be sent, and why in a few words of
	// plain English. p.IP is filled in; whether the packet still begins with the TCP header depends on the cause. p stays the
	// caller's. nil: nobody listens.
	Dropped func(p *packet.Packet, cause string)
	// Event is told what becomes of a connection: "opened" by Dial, "established", and in the end "failed", when Err says why, or
	// "closed". c may only be looked at. nil: nobody listens.
	Event func(c *Conn, what string)

	// SYNCookies says when a listener answers a SYN without remembering it; default CookiesWhenFull.
	SYNCookies SYNCookies

	// Options are the defaults of connections and listeners.
	Options Options

	// InitialRTO is the retransmission timeout before anything was measured; default 1 s (RFC 6298, section 2).
	InitialRTO time.Duration
	// MinRTO is the least retransmission timeout; default 200 ms, a fifth of what RFC 6298 recommends (see rtt.go).
	MinRTO time.Duration
	// MaxRTO is the largest, backoff included; default 60 s, which RFC 6298 section 2 asks for at least.
	MaxRTO time.Duration
	// SYNRetries is how often a SYN or SYN|ACK is sent again before the attempt fails; default 7, which takes the three minutes
	// that RFC 9293 section 3.8.3 demands. At most 254, as the other two.
	SYNRetries int
	// DataRetries is how often a segment is sent again before the connection fails; default 15, which takes about
	// a quarter of an hour, beyond the 100 s that RFC 9293 section 3.8.3 asks for.
	DataRetries int
	// OrphanRetries replaces DataRetries, and bounds the probing of a zero window, once the user has closed the connection;
	// default 8.
	OrphanRetries int
	// TimeWait is how long a connection that this side closed first is remembered; default 60 s.
	TimeWait time.Duration
	// FinWait2 is how long a connection that its user has closed waits for the peer's FIN; default 60 s.
	FinWait2 time.Duration
	// HoldTime is how long a forwarder holds a SYN for somebody to decide on it, unless it is told otherwise; default 75 s, which
	// is what many systems wait at most for a connection.
	HoldTime time.Duration
	// InitialWindow is how many segments may be sent before the first acknowledgment; default 10 (RFC 6928).
	InitialWindow int
	// QuickACKs is how many segments are acknowledged at once, without the delay, as a connection begins and after it was idle: the
	// peer is in slow start, and every acknowledgment lets its window grow. Default 16; negative: none; 255 at most.
	QuickACKs int
	// FirstPort and LastPort bound the ports chosen for those who ask for none; default 16384 to 65535. RFC 6056 wants the
	// range as wide as possible, and the ports below are where services live.
	FirstPort, LastPort uint16
}

// Limits bound what a Host keeps, whatever its peers do. A zero field stands for its default.
type Limits struct {
	Connections int // connections that are not half-open or in TIME-WAIT; default 1,048,576
	HalfOpen    int // half-open connections of all listeners, and requests that forwarders hold; default 65,536
	TimeWait    int // connections in TIME-WAIT, the oldest forgotten first; default 65,536
	// Backlog is the default and most of a listener's backlog, at most HalfOpen and Connections; default 4,096, or the lesser
	// of those two.
	Backlog int
	// InFlight is the default and most of the requests of a forwarder whose handshake is not complete, at most HalfOpen, with
	// which they count; default 1,024, or HalfOpen if that is less.
	InFlight int
	// Listeners is how many there may be at once, forwarders included; default 65,536.
	Listeners int
	// FastOpen is how many connections of a listener may have begun with data in their SYN and still wait for the final ACK;
	// default 256. Those that the peer has reset count for a minute more (RFC 7413, section 5.1).
	FastOpen int
	// FastOpenPeers is how many servers are remembered with the Fast Open cookies that they have granted, the oldest forgotten
	// first; default 1,024.
	FastOpenPeers int
	// ReceiveBuffer and SendBuffer are the most, in octets, to which the buffers of connections tune themselves; default
	// 6 and 4 MiB. A receive buffer above 64 KiB needs a peer that scales its windows.
	ReceiveBuffer, SendBuffer int
	// Memory is how many octets all connections together may hold: written, received and not read, and out of order; default 1
	// GiB. Close to it buffers grow no more; beyond it windows stop moving and writers wait, but every connection may always
	// send and receive a segment.
	Memory int64
	// OutOfOrder is how many octets of memory a connection's out-of-order data may take; default four times its receive buffer,
	// so that a whole window is kept though its packets pin more memory than they hold, and 16 KiB at least. The number of those
	// packets is bounded by one for 512 octets of the receive buffer, or 4,096 if that is more.
	OutOfOrder int
}

func (c Config) withDefaults() (Config, error) {
	fill(&c.InitialRTO, time.Second)
	fill(&c.MinRTO, 200*time.Millisecond)
	fill(&c.MaxRTO, 60*time.Second)
	fill(&c.SYNRetries, 7)
	fill(&c.DataRetries, 15)
	fill(&c.OrphanRetries, 8)
	fill(&c.TimeWait, 60*time.Second)
	fill(&c.FinWait2, 60*time.Second)
	fill(&c.HoldTime, 75*time.Second)
	fill(&c.InitialWindow, 10)
	fill(&c.QuickACKs, 16)
	fill(&c.FirstPort, 16384)
	fill(&c.LastPort, 65535)
	fill(&c.Limits.Connections, 1<<20)
	fill(&c.Limits.HalfOpen, 1<<16)
	fill(&c.Limits.TimeWait, 1<<16)
	fill(&c.Limits.Listeners, 1<<16)
	fill(&c.Limits.FastOpen, 256)
	fill(&c.Limits.FastOpenPeers, 1024)
	fill(&c.Limits.ReceiveBuffer, 6<<20)
	fill(&c.Limits.SendBuffer, 4<<20)
	fill(&c.Limits.Memory, 1<<30)
	fill(&c.Limits.Backlog, min(4096, c.Limits.HalfOpen, c.Limits.Connections))
	fill(&c.Limits.InFlight, min(1024, c.Limits.HalfOpen))
	var err error
	c.Options, err = c.Options.withDefaults(&defaultOptions)
	if err != nil {
		return c, err
	}
	return c, c.validate()
}

func (c *Config) validate() error {
	switch {
	case c.Network == nil || c.Rand == nil:
		return fmt.Errorf("tcp: Config needs a Network and a Rand")
	case c.MinRTO < 0 || c.MinRTO > c.InitialRTO || c.InitialRTO > c.MaxRTO:
		return fmt.Errorf("tcp: MinRTO %v, InitialRTO %v and MaxRTO %v are not in order", c.MinRTO, c.InitialRTO, c.MaxRTO)
	case c.TimeWait < 0 || c.FinWait2 < 0:
		return fmt.Errorf("tcp: TimeWait is %v and FinWait2 %v, of which neither may be negative", c.TimeWait, c.FinWait2)
	case c.HoldTime < 0:
		return fmt.Errorf("tcp: HoldTime is negative: %v", c.HoldTime)
	case c.SYNCookies > CookiesNever:
		return fmt.Errorf("tcp: SYNCookies is %d, which has no meaning", c.SYNCookies)
	case c.QuickACKs > math.MaxUint8:
		return fmt.Errorf("tcp: QuickACKs is %d, more than %d", c.QuickACKs, math.MaxUint8)
	case c.FirstPort > c.LastPort:
		return fmt.Errorf("tcp: FirstPort %d is above LastPort %d", c.FirstPort, c.LastPort)
	}
	if most := max(c.SYNRetries, c.DataRetries, c.OrphanRetries); most >= math.MaxUint8 {
		return fmt.Errorf("tcp: SYNRetries, DataRetries or OrphanRetries is %d, more than %d", most, math.MaxUint8-1)
	}
	for _, v := range []struct {
		name  string
		value int
	}{
		{"SYNRetries", c.SYNRetries}, {"DataRetries", c.DataRetries}, {"OrphanRetries", c.OrphanRetries},
		{"InitialWindow", c.InitialWindow},
		{"Limits.Connections", c.Limits.Connections}, {"Limits.HalfOpen", c.Limits.HalfOpen},
		{"Limits.TimeWait", c.Limits.TimeWait}, {"Limits.Backlog", c.Limits.Backlog},
		{"Limits.OutOfOrder", c.Limits.OutOfOrder}, {"Limits.Listeners", c.Limits.Listeners},
		{"Limits.InFlight", c.Limits.InFlight},
		{"Limits.FastOpen", c.Limits.FastOpen}, {"Limits.FastOpenPeers", c.Limits.FastOpenPeers},
	} {
		if v.value < 0 {
			return fmt.Errorf("tcp: %s is negative: %d", v.name, v.value)
		}
	}
	for _, b := range []struct {
		name  string
		value int
	}{{"ReceiveBuffer", c.Limits.ReceiveBuffer}, {"SendBuffer", c.Limits.SendBuffer}} {
		if b.value < minBuffer || b.value > maxBuffer {
			return fmt.Errorf("tcp: Limits.%s is %d, not between %d and %d octets", b.name, b.value, minBuffer, maxBuffer)
		}
	}
	if c.Limits.Memory < minBuffer {
		return fmt.Errorf("tcp: Limits.Memory is %d, less than %d octets", c.Limits.Memory, minBuffer)
	}
	return c.Limits.contradiction()
}

// contradiction returns an error if a listener's backlog, or what a forwarder may have in flight, could never be used up.
func (l *Limits) contradiction() error {
	if l.InFlight > l.HalfOpen {
		return fmt.Errorf("tcp: Limits.InFlight %d is more than Limits.HalfOpen %d", l.InFlight, l.HalfOpen)
	}
	for _, other := range []struct {
		name  string
		value int
	}{{"HalfOpen", l.HalfOpen}, {"Connections", l.Connections}} {
		if l.Backlog > other.value {
			return fmt.Errorf("tcp: Limits.Backlog %d is more than Limits.%s %d", l.Backlog, other.name, other.value)
		}
	}
	return nil
}
