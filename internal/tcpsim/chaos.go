package tcpsim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
)

// chaosOctets is the least that each end of each flow sends in a scenario of Chaos's, and leastFaults how many kinds of
// faults it suffers at least.
const (
	chaosOctets = 256 << 10
	leastFaults = 3
)

// Chaos makes a scenario of a seed: flows of at least 256 KiB each way, with whatever options, over links with at least
// three kinds of faults. In half of them the first flow's sequence numbers wrap both ways. controls are the congestion
// controls to choose from.
func Chaos(seed uint64, controls []string) (Scenario, error) {
	c := chaos{rand.New(rand.NewPCG(seed, 0x7c9)), controls}
	s := Scenario{Config: Config{Seed: seed, Stacks: 2, Links: []Link{c.link()}}}
	if c.one(6) {
		s.Stacks = 3
		second := c.link()
		second.A, second.B = 2, 1
		s.Links = append(s.Links, second)
	}
	s.Configure = c.configure(s.Stacks)
	flows := len(s.Links)
	if c.one(4) {
		flows += 1 + c.IntN(2)
	}
	for i := range flows {
		s.Flows = append(s.Flows, c.flow(&s, i%len(s.Links)))
	}
	if c.one(2) {
		// Within the first 128 Ki numbers, so that plenty of octets come behind the end of the space.
		return s, s.wrapAfter([2]uint32{c.Uint32N(1 << 17), c.Uint32N(1 << 17)})
	}
	return s, nil
}

// chaos is a source of scenarios.
type chaos struct {
	*rand.Rand
	controls []string
}

// one is true once in n times.
func (c chaos) one(n int) bool { return c.IntN(n) == 0 }

// duration is one between the two, small ones more often than large ones.
func (c chaos) duration(least, most time.Duration) time.Duration {
	f := c.Float64()
	return least + time.Duration(f*f*float64(most-least))
}

// share is a probability up to most, small ones more often than large ones.
func (c chaos) share(most float64) float64 {
	f := c.Float64()
	return 0.001 + f*f*(most-0.001)
}

func pick[T any](c chaos, of ...T) T { return of[c.IntN(len(of))] }

// configure makes configurations for the stacks: what shapes their connections beside the connections' own options. Listeners that answer
// every SYN by a cookie are not among them: if the segment that was to bring the cookie back is lost and the next one arrives, what they
// know of it is not enough to take it.
func (c chaos) configure(stacks int) func(stack int, config *core.Config) {
	// How many packets a stack takes in before it answers makes acknowledgments frequent, or sparse.
	batch := pick(c, 1, 4, 64)
	memory := make([]int64, stacks)
	cookies := make([]tcp.SYNCookies, stacks)
	for i := range stacks {
		memory[i] = pick[int64](c, 0, 0, 0, 0, 32<<10, 256<<10)
		cookies[i] = pick(c, tcp.CookiesWhenFull, tcp.CookiesNever)
	}
	return func(stack int, config *core.Config) {
		config.Limits.PollBatch = batch
		config.Limits.TCP.Memory = memory[stack]
		config.TCP.SYNCookies = cookies[stack]
	}
}

func (c chaos) link() Link {
	l := Link{
		Medium: pick(c, dev.IP, dev.IP, dev.IP, dev.Ethernet),
		MTU:    pick(c, 1500, 1500, 1500, 1280, 576, 9000),
		Delay:  pick(c, 0, c.duration(0, 20*time.Millisecond), c.duration(0, 20*time.Millisecond), c.duration(0, 150*time.Millisecond)),
		Large:  c.one(4),
	}
	var outage script
	kinds := c.Perm(len(faults))
	for _, kind := range kinds[:leastFaults+c.IntN(len(faults)-leastFaults)] {
		faults[kind].add(c, &l, &outage)
	}
	if c.one(4) {
		l.both(func(d *fault.Direction) { d.Mark = c.share(0.05) }) // what asks for no marks is not marked
	}
	if c.one(6) && l.MTU > leastIPv6MTU {
		// Large packets vanish one way, and no router says so.
		pick(c, &l.AtoB, &l.BtoA).MaxSize = leastIPv6MTU + c.IntN(l.MTU-leastIPv6MTU)
	}
	outage.spareNeighbours = l.Medium == dev.Ethernet
	if outage != (script{}) {
		l.AtoB.Script, l.BtoA.Script = outage.action, outage.action
	}
	return l
}

// both are the two directions of a link.
func (l *Link) both(f func(d *fault.Direction)) {
	f(&l.AtoB)
	f(&l.BtoA)
}

// faults are the kinds of faults.
var faults = []struct {
	name string
	add  func(c chaos, l *Link, s *script)
}{
	{"drop", func(c chaos, l *Link, _ *script) { l.both(func(d *fault.Direction) { d.Drop = c.share(0.08) }) }},
	{"corrupt", func(c chaos, l *Link, _ *script) { l.both(func(d *fault.Direction) { d.Corrupt = c.share(0.03) }) }},
	{"duplicate", func(c chaos, l *Link, _ *script) { l.both(func(d *fault.Direction) { d.Duplicate = c.share(0.1) }) }},
	{"reorder", func(c chaos, l *Link, _ *script) {
		l.both(func(d *fault.Direction) {
			d.Reorder, d.ReorderBy = c.share(0.1), c.duration(time.Millisecond, 50*time.Millisecond)
		})
	}},
	{"jitter", func(c chaos, l *Link, _ *script) {
		l.both(func(d *fault.Direction) { d.Jitter = c.duration(time.Millisecond, 50*time.Millisecond) })
	}},
	{"bandwidth", func(c chaos, l *Link, _ *script) {
		l.both(func(d *fault.Direction) {
			d.Bandwidth = pick(c, 100_000, 1_000_000, 10_000_000)
			d.Queue = pick(c, 40<<10, 64<<10, 256<<10)
			d.MarkAbove = d.Queue / 2
		})
	}},
	{"rate", func(c chaos, l *Link, _ *script) {
		l.both(func(d *fault.Direction) { d.Rate = 60 + c.IntN(200) })
	}},
	{"outage", func(c chaos, _ *Link, s *script) {
		s.from = c.duration(10*time.Millisecond, 2*time.Second)
		s.until = s.from + c.duration(50*time.Millisecond, 3*time.Second)
	}},
}

// script is what happens to the frames of a link beyond what chance does.
type script struct {
	from, until     time.Duration // nothing passes meanwhile
	spareNeighbours bool          // what is not TCP passes unharmed: whom to send to is not what is to be found out
}

func (s script) action(f fault.Frame) fault.Action {
	at := f.Now.Sub(epoch)
	switch {
	case s.spareNeighbours && f.TCP == nil:
		return fault.Hold(0)
	case at >= s.from && at < s.until:
		return fault.Drop
	}
	return fault.Pass
}

func (c chaos) flow(s *Scenario, link int) FlowConfig {
	f := FlowConfig{
		Link:  link,
		IPv6:  s.Links[link].MTU >= leastIPv6MTU && c.one(3),
		Start: c.duration(0, time.Second),
	}
	fast := c.one(6)
	for side := range f.Octets {
		f.Octets[side] = chaosOctets + c.IntN(64<<10)
		f.Options[side] = &tcp.Options{
			ReceiveBuffer: pick(c, 0, 4<<10, 16<<10, 64<<10, 256<<10),
			SendBuffer:    pick(c, 0, 4<<10, 16<<10, 64<<10, 256<<10),
			Nagle:         c.one(4),
			DelayedACK:    pick[time.Duration](c, 0, 0, -1, 100*time.Millisecond),
			Congestion:    pick(c, c.controls...),
			ECN:           pick(c, 0, 0, tcp.ECNRequest, tcp.ECNRequest, tcp.ECNOff),
			NoSACK:        c.one(8),
			NoTimestamps:  c.one(8),
			FastOpen:      fast,
		}
		if c.one(8) {
			f.Options[side].MaxSegment = 200 + c.IntN(1200)
		}
		if c.one(4) {
			f.Write[side] = Pace{500 + c.IntN(8<<10), c.duration(0, 10*time.Millisecond)}
		}
		if c.one(4) {
			f.Read[side] = Pace{1000 + c.IntN(32<<10), c.duration(0, 100*time.Millisecond)}
		}
	}
	return f
}

// wrapAfter moves the initial sequence numbers of the first flow, the client's and the server's, to so many before the end
// of the space, by how long the stacks have been running: a rehearsal without faults tells what they would be.
func (s *Scenario) wrapAfter(numbers [2]uint32) error {
	rehearsal := s.Config
	rehearsal.Links = append([]Link(nil), s.Links...)
	for i := range rehearsal.Links {
		rehearsal.Links[i].AtoB, rehearsal.Links[i].BtoA = fault.Direction{}, fault.Direction{}
	}
	n, err := New(rehearsal)
	if err != nil {
		return err
	}
	flow := s.Flows[0]
	flow.Octets = [2]int{}
	f, err := n.Add(flow)
	if err == nil {
		err = n.Run(time.Minute, func() bool { return f.Conn(1) != nil })
	}
	client, _ := f.ISN(0)
	server, known := f.ISN(1)
	if err == nil && !known {
		err = fmt.Errorf("tcpsim: the rehearsal has shown no initial sequence numbers")
	}
	if err = errors.Join(err, n.Abandon()); err != nil {
		return err
	}
	link := s.Links[flow.Link]
	if link.A == link.B {
		link.A, link.B = 0, 1
	}
	s.Uptime = make([]time.Duration, max(s.Stacks, 2))
	s.Uptime[link.A] = time.Duration(-numbers[0]-client) * isnTick
	s.Uptime[link.B] = time.Duration(-numbers[1]-server) * isnTick
	return nil
}

// isnTick is what moves an initial sequence number by one (RFC 6528, section 3).
const isnTick = 4 * time.Microsecond

// String says what the scenario is, as far as it matters for its flows.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d stacks, up for %v\n", s.Seed, s.Stacks, s.Uptime)
	for i, l := range s.Links {
		fmt.Fprintf(&b, "link %d: %d-%d %v, MTU %d, delay %v, large %v\n", i, l.A, l.B, l.Medium, l.MTU, l.Delay, l.Large)
		for _, d := range []fault.Direction{l.AtoB, l.BtoA} {
			d.Script = nil // nothing that can be read
			fmt.Fprintf(&b, "  %+v\n", d)
		}
	}
	for i, f := range s.Flows {
		fmt.Fprintf(&b, "flow %d: link %d, IPv6 %v, from %v on\n", i, f.Link, f.IPv6, f.Start)
		for side := range f.Octets {
			fmt.Fprintf(&b, "  %d octets, write %+v, read %+v", f.Octets[side], f.Write[side], f.Read[side])
			if f.Options[side] != nil {
				fmt.Fprintf(&b, ", %+v", *f.Options[side])
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
