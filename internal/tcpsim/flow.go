package tcpsim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
)

// FlowConfig says what a Flow is. Where there are two of something, the first is of the end that dials, which is the link's
// A, and the second of the end that listens, its B.
type FlowConfig struct {
	Link    int
	IPv6    bool
	Start   time.Duration   // when it is dialled, since the network was made
	Octets  [2]int          // how many each end sends, before it closes its direction
	Options [2]*tcp.Options // nil: the stack's
	Write   [2]Pace         // how each end's user writes
	Read    [2]Pace         // and reads
}

// Pace is how a user reads or writes: so many octets at a time, and so often. The zero value is all that is possible, at
// once.
type Pace struct {
	Octets int
	Every  time.Duration
}

// Flow is a connection, and its two users: each writes what it has to send and closes its direction, reads what the other
// sends to its end, comparing every octet, and then closes the connection.
type Flow struct {
	config   FlowConfig
	network  *Network
	index    int
	listener *tcp.Listener
	ends     [2]*end
	quiet    int // segments since one has moved anything
	resets   int
}

// end is one end of a flow.
type end struct {
	witness
	flow   *Flow
	side   int
	conn   *tcp.Conn
	active bool // in the network's list

	fill        storage.Fill
	queue       storage.Queue
	wrote, read int
	closed      bool // its direction, by its user
	finished    bool // the connection, by its user
	writeAt     time.Time
	readAt      time.Time
	readAllAt   time.Time // when the last octet was read
	mostBuffer  int       // the largest receive buffer that it has had
}

// Flows are told apart by their ports, of which each has its own.
const (
	firstClientPort = 20000
	firstServerPort = 1000
)

// patterns are what flows send: random octets, over and over. A period that is no multiple of anything makes it plain when
// octets are missing, doubled or out of place.
const patternPeriod = 65521

var pattern = func() []byte {
	b := make([]byte, 2*patternPeriod)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range patternPeriod {
		b[i] = byte(random.Uint32())
		b[i+patternPeriod] = b[i]
	}
	return b
}()

// content is up to n of the octets that a flow's end sends, from one of them on.
func (f *Flow) content(side, at, n int) []byte {
	at = (at + 7919*(2*f.index+side)) % patternPeriod
	return pattern[at : at+min(n, patternPeriod)]
}

// Add adds a flow, whose listener listens at once.
func (n *Network) Add(cfg FlowConfig) (*Flow, error) {
	l := n.links[cfg.Link]
	f := &Flow{config: cfg, network: n, index: len(n.flows)}
	for side := range f.ends {
		f.ends[side] = &end{flow: f, side: side}
	}
	var err error
	f.listener, err = n.stacks[l.B].TCP().Listen(tcp.ListenConfig{Local: f.server(), Options: cfg.Options[1]})
	if err != nil {
		return nil, fmt.Errorf("tcpsim: flow %d: %w", f.index, err)
	}
	n.flows = append(n.flows, f)
	return f, nil
}

func (f *Flow) server() netip.AddrPort {
	return netip.AddrPortFrom(f.network.links[f.config.Link].addr(1, f.config.IPv6), uint16(firstServerPort+f.index))
}

func (f *Flow) client() netip.AddrPort {
	return netip.AddrPortFrom(f.network.links[f.config.Link].addr(0, f.config.IPv6), uint16(firstClientPort+f.index))
}

func (e *end) String() string {
	return fmt.Sprintf("flow %d, %s", e.flow.index, [2]string{"client", "server"}[e.side])
}

// Done reports whether both users have all that they wanted and have closed the connection.
func (f *Flow) Done() bool { return f.ends[0].finished && f.ends[1].finished }

// Conn is one end's connection, nil before there is one.
func (f *Flow) Conn(side int) *tcp.Conn { return f.ends[side].conn }

// Read is how many octets one end's user has read.
func (f *Flow) Read(side int) int { return f.ends[side].read }

// Wrote is how many octets one end's user has written.
func (f *Flow) Wrote(side int) int { return f.ends[side].wrote }

// Took is how long it took, from the dialling, until one end's user had read everything; 0 if it has not.
func (f *Flow) Took(side int) time.Duration {
	if at := f.ends[side].readAllAt; !at.IsZero() {
		return at.Sub(f.startAt())
	}
	return 0
}

// Resets is how many segments with RST both ends have sent.
func (f *Flow) Resets() int { return f.resets }

// ISN is the initial sequence number of one end, once its SYN was seen.
func (f *Flow) ISN(side int) (isn uint32, known bool) {
	return f.ends[side].isn, f.ends[side].known
}

func (f *Flow) startAt() time.Time { return f.network.begin.Add(f.config.Start) }

// wakeAt is when a user does something again by itself.
func (f *Flow) wakeAt() (next time.Time, ok bool) {
	now := f.network.now
	for _, at := range [...]time.Time{f.startAt(), f.ends[0].writeAt, f.ends[0].readAt, f.ends[1].writeAt, f.ends[1].readAt} {
		if at.After(now) && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	return next, ok
}

// poll lets both users do what they can.
func (f *Flow) poll() (progress bool, err error) {
	n := f.network
	if f.Done() || n.now.Before(f.startAt()) {
		return false, nil
	}
	l := n.links[f.config.Link]
	if f.ends[0].conn == nil {
		progress = true
		f.ends[0].conn, err = n.stacks[l.A].TCP().Dial(n.now, tcp.DialConfig{
			Local: f.client(), Remote: f.server(), Options: f.config.Options[0],
		})
		if err != nil {
			return false, fmt.Errorf("%v: %w", f.ends[0], err)
		}
	}
	if f.ends[1].conn == nil {
		if f.ends[1].conn = f.listener.Accept(); f.ends[1].conn != nil {
			progress = true
		}
	}
	for _, e := range f.ends {
		if e.conn == nil || e.finished {
			continue
		}
		again, err := e.poll(n.now)
		if err != nil {
			return false, fmt.Errorf("%v: %w", e, err)
		}
		progress = progress || again
	}
	return progress, nil
}

func (e *end) poll(now time.Time) (progress bool, err error) {
	wrote, err := e.write(now)
	if err != nil {
		return false, err
	}
	read, err := e.receive(now)
	if err != nil {
		return false, err
	}
	if err := e.conn.Err(); err != nil {
		return false, fmt.Errorf("the connection has failed: %w, %d octets written and %d read", err, e.wrote, e.read)
	}
	if e.closed && !e.readAllAt.IsZero() {
		e.finished = true
		e.conn.Close(now)
		return true, nil
	}
	return wrote || read, nil
}

// write writes as the pace and the send buffer allow, and closes the direction behind the last octet.
func (e *end) write(now time.Time) (progress bool, err error) {
	total, pace := e.flow.config.Octets[e.side], e.flow.config.Write[e.side]
	for e.wrote < total && !e.writeAt.After(now) {
		b := e.flow.content(e.side, e.wrote, min(pace.limit(), total-e.wrote))
		room, err := e.conn.Reserve(&e.fill, len(b))
		if err != nil {
			return false, fmt.Errorf("writing: %w", err)
		}
		if room == 0 {
			break
		}
		e.fill.Write(b[:room])
		e.wrote += room
		e.conn.Commit(now, &e.fill)
		progress = true
		if pace.Every > 0 {
			e.writeAt = now.Add(pace.Every)
		}
	}
	if e.wrote == total && !e.closed && e.conn.State() != tcp.SynSent {
		e.closed, progress = true, true
		e.conn.CloseWrite(now)
	}
	return progress, nil
}

func (p Pace) limit() int {
	if p.Octets > 0 {
		return p.Octets
	}
	return patternPeriod
}

// receive reads as the pace allows, and compares.
func (e *end) receive(now time.Time) (progress bool, err error) {
	total, pace := e.flow.config.Octets[1-e.side], e.flow.config.Read[e.side]
	buffer := e.flow.network.buffer
	for !e.readAt.After(now) {
		limit := min(pace.limit(), len(buffer))
		if e.queue.Octets() < limit && e.conn.Received() > 0 {
			e.conn.Receive(limit-e.queue.Octets(), &e.queue)
		}
		got := buffer[:e.queue.Read(buffer[:limit])]
		if len(got) == 0 {
			break
		}
		progress = true
		if e.read+len(got) > total {
			return false, fmt.Errorf("%d octets arrived, and only %d were sent", e.read+len(got), total)
		}
		if want := e.flow.content(1-e.side, e.read, len(got)); !bytes.Equal(got, want) {
			return false, fmt.Errorf("among octets %d to %d, something else arrived than was sent", e.read, e.read+len(got))
		}
		e.read += len(got)
		e.causes++
		e.conn.Consumed(now, len(got))
		if pace.Every > 0 {
			e.readAt = now.Add(pace.Every)
		}
	}
	if e.readAllAt.IsZero() && e.conn.ReadClosed() && e.conn.Received() == 0 && e.queue.Octets() == 0 {
		if e.read != total {
			return false, fmt.Errorf("the end came after %d octets, and %d were sent", e.read, total)
		}
		e.readAllAt, progress = now, true
	}
	return progress, nil
}

// touch has the network look at the memory of the end's connection soon.
func (e *end) touch() {
	if !e.active {
		e.active = true
		e.flow.network.active = append(e.flow.network.active, e)
	}
}

// checkMemory checks that the connection holds no more than its buffers allow, and that its timer is sane.
func (e *end) checkMemory() error {
	if e.conn == nil {
		return nil
	}
	i := e.conn.Info()
	e.mostBuffer = max(e.mostBuffer, i.ReceiveBuffer)
	// A window is rounded up to what its scale can express, by a little; and it may have been offered when the buffer was
	// larger.
	most := e.mostBuffer + e.mostBuffer/16 + 1<<i.ReceiveWindowScale
	switch {
	case i.Unread+i.OutOfOrder > most:
		return fmt.Errorf("%d octets unread and %d out of order are more than the receive buffer's %d",
			i.Unread, i.OutOfOrder, e.mostBuffer)
	case i.Unsent+i.InFlight > i.SendBuffer+2: // SYN and FIN
		return fmt.Errorf("%d octets not sent and %d in flight are more than the send buffer's %d",
			i.Unsent, i.InFlight, i.SendBuffer)
	case i.Unread < 0 || i.OutOfOrder < 0 || i.Unsent < 0 || i.InFlight < 0 || i.Cwnd < 0 || i.RTO < 0:
		return fmt.Errorf("something is negative: %+v", i)
	}
	return nil
}
