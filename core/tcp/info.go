package tcp

import "time"

// Info is a connection's condition at one moment.
type Info struct {
	State             State
	CongestionControl string

	RTT, RTTVar, MinRTT time.Duration // smoothed, its variation, and the least; 0: not measured yet
	RTO                 time.Duration // the retransmission timeout, backoff included

	SendMSS    int // octets of payload in the segments sent
	ReceiveMSS int // in the largest segment received
	Cwnd       int // congestion window, octets
	Ssthresh   int // slow start threshold, octets
	SendWindow int // what the peer offers, octets
	InFlight   int // octets sent and not acknowledged

	SendWindowScale, ReceiveWindowScale uint8 // shifts; 0 also if not negotiated

	Unsent        int // octets written and never sent
	Unread        int // octets received in order and not consumed
	OutOfOrder    int // octets held out of order
	ReceiveBuffer int
	SendBuffer    int

	OctetsSent          uint64 // without repetitions
	OctetsRetransmitted uint64
	OctetsReceived      uint64 // in order
	Retransmits         uint64 // segments

	LastSent, LastReceived time.Duration // since the stack's epoch: when data left, and when anything came
	Backoff                int           // doublings of the timeout at the moment
	Recovering             bool          // a lost segment is being repaired
}

// Info describes the connection as it is now.
func (c *Conn) Info() Info {
	i := Info{
		State: c.state, CongestionControl: c.congestion.Name(),
		RTT: nanoseconds(c.rtt.srtt), RTTVar: nanoseconds(c.rtt.rttvar), MinRTT: nanoseconds(c.rtt.min),
		RTO:     nanoseconds(c.timeout()),
		SendMSS: int(c.sndMSS), ReceiveMSS: int(c.rcvMSS),
		Cwnd: c.window.Cwnd, Ssthresh: c.window.Ssthresh, SendWindow: int(c.sndWnd),
		InFlight:        distance(c.sndUna, c.sndMax),
		SendWindowScale: c.sndShift, ReceiveWindowScale: c.rcvShift,
		Unread: int(c.rcvUnread), ReceiveBuffer: c.options.ReceiveBuffer, SendBuffer: c.options.SendBuffer,
		OctetsSent: c.octets.sent, OctetsRetransmitted: c.octets.retransmitted, OctetsReceived: c.octets.received,
		Retransmits: uint64(c.again),
		LastSent:    nanoseconds(c.timers.lastSent), LastReceived: nanoseconds(c.timers.lastReceived),
		Backoff: int(c.timers.backoff), Recovering: c.recovery.active,
	}
	i.Unsent = max(distance(c.sndMax, c.sndBase)+c.sndQ.Len(), 0)
	if c.rcvOoo != nil {
		i.OutOfOrder = c.rcvOoo.Octets()
	}
	return i
}

// change gives the connection options of its own, altered by f, unless they would be illegal.
func (c *Conn) change(f func(*Options)) error {
	options := *c.options
	f(&options)
	if err := options.validate(); err != nil {
		return err
	}
	c.options = &options
	return nil
}

// SetNoDelay turns the Nagle algorithm off, which is the default, or on.
func (c *Conn) SetNoDelay(noDelay bool) {
	if c.options.Nagle == !noDelay {
		return
	}
	_ = c.change(func(o *Options) { o.Nagle = !noDelay })
	c.ready() // what waited for an acknowledgment may leave
}

// SetKeepAlive says whether and how the connection is probed while idle.
func (c *Conn) SetKeepAlive(now time.Time, k KeepAlive) error {
	k = k.withDefaults()
	if k == c.options.KeepAlive {
		return nil
	}
	if err := c.change(func(o *Options) { o.KeepAlive = k }); err != nil {
		return err
	}
	if c.timers.kind == timerKeepAlive {
		c.timers.kind, c.timers.probes = timerNone, 0
	}
	c.setTimers(c.host.since(now))
	return nil
}

// KeepAlive returns whether and how the connection is probed while idle.
func (c *Conn) KeepAlive() KeepAlive { return c.options.KeepAlive }

// SetLinger says what Close does with data not yet acknowledged: sec < 0, the default, sends it in the background for as long as
// it takes; 0 discards it and resets the connection; sec > 0 sends it for so many seconds at most.
func (c *Conn) SetLinger(sec int) { c.timers.linger = int32(min(max(sec, -1), 1<<30)) }

// SetReadBuffer sets how many octets may wait to be read. A window once offered is not taken back: less takes effect as
// what has been offered is used up; and the window scale that was negotiated bounds how much more can be offered.
func (c *Conn) SetReadBuffer(n int) error {
	err := c.change(func(o *Options) { o.ReceiveBuffer = min(max(n, minBuffer), maxBuffer) })
	c.tellWindow()
	return err
}

// SetWriteBuffer sets how many octets may wait to be acknowledged.
func (c *Conn) SetWriteBuffer(n int) error {
	err := c.change(func(o *Options) { o.SendBuffer = min(max(n, minBuffer), maxBuffer) })
	c.tellWriter()
	return err
}

// SetUserTimeout sets how long sent data may stay unacknowledged; 0: the number of retransmissions decides.
func (c *Conn) SetUserTimeout(now time.Time, d time.Duration) error {
	if err := c.change(func(o *Options) { o.UserTimeout = d }); err != nil {
		return err
	}
	if c.timers.kind == timerRetransmit {
		c.timers.at = c.patient(c.timers.at)
	}
	c.setTimers(c.host.since(now))
	return nil
}

// SetHopLimit sets IPv6's hop limit and IPv4's TTL; 0 stands for 64.
func (c *Conn) SetHopLimit(n uint8) {
	fill(&n, defaultOptions.HopLimit)
	_ = c.change(func(o *Options) { o.HopLimit = n })
}

// SetTrafficClass sets IPv6's traffic class and IPv4's TOS; the two low bits must be zero.
func (c *Conn) SetTrafficClass(tc uint8) error {
	return c.change(func(o *Options) { o.TrafficClass = tc })
}
