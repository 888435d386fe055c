package tcp

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp/congestion"
	"github.com/smolnet/smolnet/core/wire"
)

// Conn is one connection: what RFC 9293 calls a transmission control block. Variables bear the RFC's names: sndUna is
// SND.UNA.
//
// Its methods may not be called at the same time as one another, or as any other method of the stack's. Only what a
// Fill holds, and packets moved out by Receive, are the caller's to work on meanwhile.
type Conn struct {
	entry
	host    *Host
	owner   ip.Owner
	options *Options // shared with the listener or host until one is changed
	path    ip.Path
	turn    ip.Turn
	*rare
	err error // why it failed

	state     State
	softErr   ip.ErrorKind // the latest ICMP error since there was progress, 0 if none: says more than a timeout
	pending   pending
	orphan    bool // its user has called Close
	sndClosed bool // its user will send nothing more: a FIN follows the data
	rcvClosed bool // its user will read nothing more
	rcvFin    bool // the peer's FIN has been reached
	finKnown  bool // a FIN has arrived ahead of data: at finSeq
	full      bool // the writer was told that there is no room
	sackOK    bool // both SYNs permit selective acknowledgments
	sndShift  uint8
	rcvShift  uint8

	// The send sequence space. sndQ holds the octets from sndBase on: those from sndUna, once the SYN is acknowledged.
	iss     uint32
	sndUna  uint32 // the oldest not acknowledged
	sndNxt  uint32 // the next to be sent for the first time
	sndBase uint32
	sndWnd  uint32 // the peer's window, from sndUna on
	sndWl1  uint32 // sequence and acknowledgment number of the segment that last set sndWnd
	sndWl2  uint32
	maxWnd  uint32 // the largest window the peer has offered
	sndMSS  uint16 // octets of payload in a full segment
	rcvMSS  uint16 // of the largest segment received: what "full-sized" means for the delay of acknowledgments
	again   uint32 // segments sent again, for Info
	dsacks  uint32 // reports that something has come twice, for Info
	sndQ    storage.SendQueue

	// The receive sequence space.
	irs       uint32
	rcvNxt    uint32 // the next expected
	rcvEdge   uint32 // the right edge of the largest window ever offered
	rcvAcked  uint32 // what the last segment sent has acknowledged
	finSeq    uint32
	quick     uint8                // segments still to be acknowledged at once
	accepted  bool                 // a listener has made it
	opensFast bool                 // data in the SYN was taken, for Info
	limited   bool                 // whether deliveryRate was limited by what there was to send
	rcvUnread int32                // octets that have arrived in order and Consumed has not been told of
	charged   uint32               // what the host's memory has been charged for all that the connection holds
	rcvQ      storage.ReceiveQueue // in order
	rcvOoo    *outOfOrder          // out of order; nil until there is some
	duplicate wire.SACKBlock       // what has arrived twice, and the peer is to be told of; empty if nothing has

	// Buffers, octets: as large as the options say, or as the connection has found to be of use.
	rcvBuffer, sndBuffer int32

	rtt        rtt
	window     congestion.Window
	congestion congestion.Controller
	flight     *flight // what is on its way; nil if nothing is
	challenged uint32  // when a suspicious segment was last answered, as challengeTime has it; 0: never
	rttSeq     uint32  // what is acknowledged before it is of a round trip that was measured already
	recover    uint32  // SND.NXT when recovery last began, and so where it ends
	reordering reordering
	probe      tailProbe
	ecn        ecn

	deliveryRate float32 // the latest sample, octets a second, for Info

	timers connTimers

	octets octets
	ts     timestamps
}

// rare is what few connections have. Those that have nothing of it share an empty one, so that it costs them a pointer: whoever
// changes it does so by own.
type rare struct {
	tuning     *receiveTuning // nil until enough has arrived
	validation *validation    // nil until as much was in flight as the window allows
	mtu        *mtuProbe      // nil until there is reason to doubt the segment size
	fastOpen   *fastOpen      // while the handshake of a connection that opens fast lasts; else nil
}

// own is the connection's rare, made its own.
func (c *Conn) own() *rare {
	if c.rare == &c.host.nothingRare {
		c.rare = new(rare)
	}
	return c.rare
}

// octets count a connection's payload, for Info.
type octets struct {
	sent, retransmitted, received uint64
}

// pending says which segments must leave, apart from new data.
type pending uint8

const (
	pendingSYN        pending = 1 << iota // SYN, or SYN|ACK in SYN-RECEIVED
	pendingACK                            // an acknowledgment, riding on data if there is some
	pendingRetransmit                     // one segment of what was lost, whatever the congestion window says
	pendingTailProbe                      // a segment to have the tail acknowledged
	pendingProbe                          // one octet into a closed window
	pendingKeepAlive
)

// newConn returns a connection in CLOSED that is in no table yet.
func (h *Host) newConn(i id, path ip.Path, options *Options) *Conn {
	c := &Conn{entry: entry{id: i}, host: h, path: path, options: options, rare: &h.nothingRare}
	c.congestion = congestion.ByName(options.Congestion)
	c.rtt.rto = int64(h.config.InitialRTO)
	mss := ownMSS(path, i.is4(), options)
	receive, _ := h.receiveBuffer(options, mss)
	send, _ := h.sendBuffer(options, mss)
	c.rcvBuffer, c.sndBuffer = int32(receive), int32(send)
	c.timers.stop()
	c.timers.linger = -1
	return c
}

// enter puts the connection, which is to be in the given state, into the host's table.
func (c *Conn) enter(state State) {
	c.state = state
	c.host.insert(&c.entry, c)
	c.host.connections++
	c.host.countTransition(Closed, state)
}

// setState moves on to another state of a connection that stays in the table.
func (c *Conn) setState(state State) {
	c.host.countTransition(c.state, state)
	c.state = state
}

// countTransition keeps those of RFC 4022's counters that it defines by transitions between states.
func (h *Host) countTransition(from, to State) {
	open := func(s State) bool { return s == Established || s == CloseWait }
	if open(to) && !open(from) {
		h.counters.CurrEstab++
	} else if open(from) && !open(to) {
		h.counters.CurrEstab--
	}
	if to == Closed {
		switch from {
		case SynSent, SynReceived:
			h.counters.AttemptFails++
		case Established, CloseWait:
			h.counters.EstabResets++
		}
	}
}

// leave takes the connection out of the table; what remains is what its user has still to read.
func (c *Conn) leave(state State) {
	if !c.host.remove(&c.entry) {
		return
	}
	c.setState(state)
	c.leaveFastOpen()
	c.host.connections--
	c.host.network.Timers().Remove(&c.timers.heap)
	c.timers.stop()
	c.pending = 0
	c.sndQ.Reset()
	c.land()
	if c.rcvOoo != nil {
		c.rcvOoo.Reset()
		c.rcvOoo = nil
	}
	if c.orphan {
		c.rcvQ.Reset()
	}
	c.charge()
	if c.err != nil {
		c.host.event(c, "failed")
	} else {
		c.host.event(c, "closed")
	}
	c.notify(ip.Readable | ip.Writable | ip.Closed)
}

// fail ends the connection because of err.
func (c *Conn) fail(err error) {
	if c.state == Closed {
		return
	}
	c.err = err
	owner := c.owner
	c.leave(Closed)
	if owner != nil {
		owner.Notify(ip.Failed)
	}
}

func (c *Conn) notify(events ip.Event) {
	if c.owner != nil {
		c.owner.Notify(events)
	}
}

// SetOwner names who is told of events from now on; nil: nobody.
func (c *Conn) SetOwner(owner ip.Owner) { c.owner = owner }

// LocalAddr is this side's address and port. A link-local address carries no zone: see Link.
func (c *Conn) LocalAddr() netip.AddrPort { return c.id.localAddrPort() }

// RemoteAddr is the peer's address and port, likewise.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.id.remoteAddrPort() }

// Link is the index of the interface that link-local addresses belong to, or by which the connection came to a forwarder for an
// address that is not the stack's own; else 0.
func (c *Conn) Link() int32 { return c.id.link() }

// State is the connection's state.
func (c *Conn) State() State {
	if c.openedFast() && c.state == Established {
		return SynReceived
	}
	return c.state
}

// Err is why the connection failed; nil if it has not. A connection that both sides have closed has not failed.
func (c *Conn) Err() error { return c.err }

// Received is how many octets Receive could move now.
func (c *Conn) Received() int { return c.rcvQ.Octets() }

// Receive moves packets of payload that has arrived in order to the end of into, until they hold n octets or none is left,
// and returns how many octets that was: more than n if the last packet holds more. They stay charged to the receive
// buffer until Consumed is told of them.
func (c *Conn) Receive(n int, into *storage.Queue) int { return c.rcvQ.Detach(n, into) }

// Consumed tells that n of the octets that Receive has moved were read: they leave room in the window.
func (c *Conn) Consumed(now time.Time, n int) {
	if c.rcvClosed || c.orphan {
		return // nothing counts as unread any more
	}
	c.rcvUnread -= int32(n)
	c.tuneReceive(now, n)
	c.charge()
	c.tellWindow()
}

// ReadClosed reports whether nothing more will be received: the peer's FIN has come, or CloseRead or Close was called. What
// Receive has still to move comes before that end.
func (c *Conn) ReadClosed() bool { return c.rcvFin || c.rcvClosed }

// Reserve begins to write: f is given room for up to n octets, as far as the send buffer has room, to be filled while others use
// the stack, and then committed by Commit. It returns how many; 0 means that ip.Writable will tell when there is room. The
// error is Err's, or ErrWriteClosed after CloseWrite.
func (c *Conn) Reserve(f *storage.Fill, n int) (int, error) {
	if err := c.writeErr(); err != nil {
		return 0, err
	}
	room := min(n, c.sendRoom())
	if room <= 0 {
		c.full = true
		return 0, nil
	}
	c.sndQ.Reserve(f, room)
	return room, nil
}

func (c *Conn) writeErr() error {
	switch {
	case c.err != nil:
		return c.err
	case c.sndClosed || c.state == Closed || c.state == TimeWait:
		return ErrWriteClosed
	}
	return nil
}

// Commit queues what f was filled with. If writing has ended meanwhile it is dropped: a FIN has no data behind it.
func (c *Conn) Commit(now time.Time, f *storage.Fill) {
	if c.writeErr() != nil {
		c.sndQ.Drop(f)
		return
	}
	if c.sndQ.Commit(f) == 0 {
		return
	}
	c.charge()
	if !c.state.sends() {
		return
	}
	t := c.host.since(now)
	c.restartAfterIdle(t)
	c.ready()
	c.setTimers(t)
}

// tellWriter tells a writer that waits, if there is room enough that waking it is worth while.
func (c *Conn) tellWriter() {
	if !c.full {
		return
	}
	// Waking a writer for every segment's room would be many wakings; but not while there is nothing left to send.
	room := c.sendRoom()
	if room > int(c.sndBuffer)/4 || c.sndQ.Len() == 0 || c.unsent() <= 0 && room >= int(c.sndMSS) {
		c.full = false
		c.notify(ip.Writable)
	}
}

// Turn is the connection's place in the line at its link.
func (c *Conn) Turn() *ip.Turn { return &c.turn }

// ready stands in line if there is something to send.
func (c *Conn) ready() {
	if !c.turn.Queued && c.wantsTurn() {
		c.host.network.Ready(c.path, c)
	}
}
