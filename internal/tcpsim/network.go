package tcpsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
)

// Config says what a Network is made of. The zero value is two stacks on a link without delay or faults.
type Config struct {
	// Seed is that of everything random: the stacks' secrets and the links' faults.
	Seed uint64

	// Stacks is how many there are. Default: 2.
	Stacks int

	// Links join them. Default: one, from the first to the second.
	Links []Link

	// Uptime is how long each stack has been running when the simulation begins, which moves its initial sequence
	// numbers by one each 4 µs. Stacks beyond its length have just begun.
	Uptime []time.Duration

	// Configure changes a stack's configuration, which has no more than a source of random numbers. nil: it stays so.
	Configure func(stack int, c *core.Config)

	// Log is told of every segment that a stack sends or receives undamaged, a line each. nil: nobody listens.
	Log io.Writer
}

// Link joins two stacks.
type Link struct {
	A, B int // the stacks that it joins; default: 0 and 1

	Medium dev.Medium    // default: IP, which has no neighbours to resolve
	MTU    int           // octets of IP packet; default: 1500
	Delay  time.Duration // each way
	Large  bool          // both ends take super-segments; faults split them

	AtoB, BtoA fault.Direction // what becomes of what A sends, and of what B sends
}

// Network is stacks and the links between them in virtual time. It is not safe for concurrent use, but any number of
// networks may run at once.
type Network struct {
	now    time.Time
	begin  time.Time
	stacks []*core.Stack
	links  []*link
	flows  []*Flow
	err    error  // the first thing seen that must not be
	trace  uint64 // a sum over every segment sent, to tell runs apart
	frames int    // sent, super-segments counting once
	active []*end // whose segments have passed since the last look at their memory
	buffer []byte // what is read into
	log    io.Writer
}

// link is a Link at work: the tap that each of its stacks has for a device.
type link struct {
	Link
	index int
	taps  [2]*tap
}

// epoch is when every simulation begins. Any time would do.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// settleRounds is how often the stacks may be polled at one moment before they are taken never to rest. A link without
// delay carries a whole transfer in a moment.
const settleRounds = 1 << 20

// New makes a network. The error says what is wrong with the configuration.
func New(cfg Config) (*Network, error) {
	if cfg.Stacks == 0 {
		cfg.Stacks = 2
	}
	if len(cfg.Links) == 0 {
		cfg.Links = []Link{{}}
	}
	n := &Network{now: epoch, begin: epoch, buffer: make([]byte, 64<<10), log: cfg.Log}
	for i := range cfg.Stacks {
		c := core.Config{Rand: rand.NewChaCha8(key(cfg.Seed, uint64(i)))}
		if cfg.Configure != nil {
			cfg.Configure(i, &c)
		}
		since := epoch
		if i < len(cfg.Uptime) {
			since = epoch.Add(-cfg.Uptime[i])
		}
		stack, err := core.New(since, c)
		if err != nil {
			return nil, fmt.Errorf("tcpsim: stack %d: %w", i, err)
		}
		n.stacks = append(n.stacks, stack)
	}
	for i, l := range cfg.Links {
		if err := n.join(i, l, cfg.Seed); err != nil {
			return nil, errors.Join(fmt.Errorf("tcpsim: link %d: %w", i, err), n.release())
		}
	}
	return n, nil
}

// key stretches a seed.
func key(seed, what uint64) (k [32]byte) {
	binary.LittleEndian.PutUint64(k[:], seed)
	binary.LittleEndian.PutUint64(k[8:], what)
	return k
}

// join makes a link between two stacks, and an interface for it in both.
func (n *Network) join(index int, cfg Link, seed uint64) error {
	if cfg.A == cfg.B {
		cfg.A, cfg.B = 0, 1
	}
	if cfg.Medium == 0 {
		cfg.Medium = dev.IP
	}
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	l := &link{Link: cfg, index: index}
	devices, err := l.devices(seed)
	if err != nil {
		return err
	}
	for side, stack := range []int{cfg.A, cfg.B} {
		l.taps[side] = &tap{Device: devices[side], network: n, link: l, side: side}
		addresses := []netip.Prefix{netip.PrefixFrom(l.addr(side, false), 24)}
		if cfg.MTU >= leastIPv6MTU {
			addresses = append(addresses, netip.PrefixFrom(l.addr(side, true), 64))
		}
		_, err := n.stacks[stack].AddInterface(n.now, core.InterfaceConfig{
			Device: l.taps[side], Addresses: addresses, NoIPv6: cfg.MTU < leastIPv6MTU,
			DuplicateDetection: core.DetectNone,
		})
		if err != nil {
			return err
		}
	}
	n.links = append(n.links, l)
	return nil
}

const leastIPv6MTU = 1280

// addr is the address of one end of the link.
func (l *link) addr(side int, v6 bool) netip.Addr {
	host := byte(1 + side)
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(l.index), 15: host})
	}
	return netip.AddrFrom4([4]byte{10, 0, byte(l.index), host})
}

// injures reports whether a frame may arrive that is not what was sent.
func (l *link) injures() bool {
	return l.AtoB.Corrupt > 0 || l.BtoA.Corrupt > 0 || l.AtoB.Script != nil || l.BtoA.Script != nil
}

// Now is the virtual time.
func (n *Network) Now() time.Time { return n.now }

// Elapsed is how much virtual time has passed since the network was made.
func (n *Network) Elapsed() time.Duration { return n.now.Sub(n.begin) }

// Stack is one of the stacks.
func (n *Network) Stack(i int) *core.Stack { return n.stacks[i] }

// Faults are the counters of what a link has done to what A has sent, and to what B has sent.
func (n *Network) Faults(link int) (aToB, bToA fault.Counters) {
	l := n.links[link]
	aToB, _ = l.taps[0].Device.(*fault.Device).Counters()
	bToA, _ = l.taps[1].Device.(*fault.Device).Counters()
	return aToB, bToA
}

// Trace is a sum over all segments sent until now and when they were: two runs with the same trace are alike.
func (n *Network) Trace() uint64 { return n.trace }

// Frames is how many packets the stacks have sent.
func (n *Network) Frames() int { return n.frames }

// Run lets time pass until done says so, nothing will ever happen any more, or the limit has passed since the call. The
// error is the first thing seen that must not be; afterwards the network is of no use.
func (n *Network) Run(limit time.Duration, done func() bool) error {
	until := n.now.Add(limit)
	for {
		if err := n.settle(); err != nil {
			return fmt.Errorf("tcpsim: after %v: %w", n.Elapsed(), err)
		}
		if done() {
			return nil
		}
		next, ok := n.next()
		if !ok || next.After(until) {
			n.now = until
			return nil
		}
		n.now = next
	}
}

// settle does all that there is to do at this moment.
func (n *Network) settle() error {
	for round := range settleRounds {
		progress := false
		for _, s := range n.stacks {
			progress = s.Poll(n.now) || progress
		}
		for _, f := range n.flows {
			again, err := f.poll()
			if err != nil {
				return err
			}
			progress = progress || again
		}
		if n.err != nil {
			return n.err
		}
		if progress {
			continue
		}
		if err := n.checkMemory(); err != nil {
			return err
		}
		stack, at := n.overdue()
		if stack < 0 {
			return nil
		}
		if round > 1000 {
			return fmt.Errorf("stack %d has a timer in the past, %v ago", stack, n.now.Sub(at))
		}
	}
	return errors.New("the stacks never rest")
}

// overdue finds a stack that wants to be polled although it was polled to the end.
func (n *Network) overdue() (stack int, at time.Time) {
	for i, s := range n.stacks {
		if at, ok := s.PollAt(); ok && !at.After(n.now) {
			return i, at
		}
	}
	return -1, time.Time{}
}

// next is when something happens next.
func (n *Network) next() (next time.Time, ok bool) {
	earlier := func(at time.Time) {
		if !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	for _, s := range n.stacks {
		if at, ok := s.PollAt(); ok {
			earlier(at)
		}
	}
	for _, f := range n.flows {
		if at, ok := f.wakeAt(); ok {
			earlier(at)
		}
	}
	return next, ok
}

// checkMemory looks at the connections that have sent or received something.
func (n *Network) checkMemory() error {
	for _, e := range n.active {
		e.active = false
		if err := e.checkMemory(); err != nil {
			return fmt.Errorf("%v: %w", e, err)
		}
	}
	n.active = n.active[:0]
	return nil
}

// timers reports whether any stack still has a timer running.
func (n *Network) timers() bool {
	for _, s := range n.stacks {
		if _, ok := s.NextTimer(); ok {
			return true
		}
	}
	return false
}

// lastWords is how long both sides have, once the last octet was read, until nothing is left of a connection: the last
// FINs repeated, then TIME-WAIT.
const lastWords = 30 * time.Minute

// Close waits until nothing is left of the connections, checks that it is so, and releases everything. The error says
// what was left, or is that of Run.
func (n *Network) Close() error {
	for _, f := range n.flows {
		if f.listener != nil {
			f.listener.Close(n.now)
		}
	}
	err := n.Run(lastWords, func() bool { return n.connections() == 0 && !n.timers() })
	if err == nil {
		err = n.checkEnd()
	}
	return errors.Join(err, n.release())
}

// Abandon releases everything, whatever state it is in.
func (n *Network) Abandon() error { return n.release() }

func (n *Network) connections() (count int) {
	for _, s := range n.stacks {
		count += s.TCP().Connections()
	}
	return count
}

// checkEnd checks that both ends of every connection are closed, without an error.
func (n *Network) checkEnd() error {
	for _, f := range n.flows {
		for _, e := range f.ends {
			if e.conn == nil {
				return fmt.Errorf("tcpsim: %v was never opened", e)
			}
			if state := e.conn.State(); state != tcp.Closed && state != tcp.TimeWait || e.conn.Err() != nil {
				return fmt.Errorf("tcpsim: %v ends in %v, with error %v", e, state, e.conn.Err())
			}
		}
	}
	if left := n.connections(); left > 0 {
		return fmt.Errorf("tcpsim: %d connections are left", left)
	}
	for i, s := range n.stacks {
		if at, ok := s.NextTimer(); ok {
			return fmt.Errorf("tcpsim: stack %d has a timer running, due in %v, when all is over", i, at.Sub(n.now))
		}
	}
	return nil
}

// release gives every packet back.
func (n *Network) release() error {
	for _, f := range n.flows {
		for _, e := range f.ends {
			e.queue.Reset()
		}
	}
	for _, s := range n.stacks {
		s.Close(n.now)
	}
	var errs []error
	for _, l := range n.links {
		for _, t := range l.taps {
			errs = append(errs, t.Close())
		}
	}
	return errors.Join(errs...)
}
