// Package linklocal chooses an IPv4 link-local address, in 169.254.0.0/16, for an interface that nobody else gives one, as
// RFC 3927 has it. Finding out whether an address is free, and defending it, is the link's (RFC 5227).
//
// Times are nanoseconds since the stack's epoch; the claimer's timer lives in the stack's heap.
package linklocal

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what is wrong with a configuration.
var ErrInvalid = errors.New("linklocal: Timers, Link and HardwareAddr are required")

// Prefix is the network that all link-local addresses are in.
var Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 0, 0}), 16)

// Link is the interface that an address is for. The claimer calls it last, when its own state is settled.
type Link interface {
	// Probe has the link find out whether another host has addr, and use it if not. It tells Claimer.Probed.
	Probe(now int64, addr netip.Addr)
	// Withdraw has the link not use addr any more.
	Withdraw(now int64, addr netip.Addr)
}

// Config is what a claimer works with; Previous alone may be left out.
type Config struct {
	Timers       *timer.Heap
	Link         Link
	HardwareAddr wire.HardwareAddr // the interface's, which the choice follows from
	Previous     netip.Addr        // an address that the interface had before: it is tried first
}

// Numbers of RFC 3927, section 9.
const (
	maxConflicts      = 10
	rateLimitInterval = time.Minute
)

// Claimer claims an address for an interface.
type Claimer struct {
	cfg       Config
	random    *rand.Rand
	addr      netip.Addr // which is being probed for or used; not valid while there is none
	next      netip.Addr
	claimed   bool
	conflicts int // since Start
	timer     timer.Timer
}

// New returns a claimer that claims nothing yet. The error is ErrInvalid.
func New(cfg Config) (*Claimer, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.HardwareAddr.IsZero() {
		return nil, ErrInvalid
	}
	// "If the host has access to persistent information that is different for each host, such as its IEEE 802 MAC address,
	// then the pseudo-random number generator SHOULD be seeded using a value derived from this information"
	// https://www.rfc-editor.org/rfc/rfc3927.html#section-2.1
	var seed [8]byte
	copy(seed[:], cfg.HardwareAddr[:])
	c := &Claimer{cfg: cfg, random: rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:]), 0))}
	if c.next = cfg.Previous; !usable(c.next) {
		c.next = c.choose()
	}
	return c, nil
}

// usable reports whether addr is one that hosts may choose: the first and the last 256 are reserved.
func usable(addr netip.Addr) bool {
	if !addr.Is4() || !Prefix.Contains(addr) {
		return false
	}
	third := addr.As4()[2]
	return third >= 1 && third <= 254
}

// choose returns an address out of 169.254.1.0 to 169.254.254.255, any with the same probability.
func (c *Claimer) choose() netip.Addr {
	n := c.random.IntN(254 << 8)
	return netip.AddrFrom4([4]byte{169, 254, uint8(1 + n>>8), uint8(n)})
}

// Addr returns the address that is in use, or the zero Addr.
func (c *Claimer) Addr() netip.Addr {
	if !c.claimed {
		return netip.Addr{}
	}
	return c.addr
}

// Running reports whether the claimer has, or wants to have, an address.
func (c *Claimer) Running() bool { return c.addr.IsValid() || c.timer.Armed() }

// Start claims an address: the one of before, if there was one. If the claimer runs already, it does nothing.
func (c *Claimer) Start(now int64) {
	if !c.Running() {
		c.conflicts = 0
		c.probe(now)
	}
}

// Stop gives up the address, because there is a better one or none is wanted.
func (c *Claimer) Stop(now int64) {
	c.cfg.Timers.Remove(&c.timer)
	addr := c.addr
	c.addr, c.claimed = netip.Addr{}, false
	if addr.IsValid() {
		c.cfg.Link.Withdraw(now, addr)
	}
}

// Probed tells the claimer whether another host has its address: when what Link.Probe asked for is known, or whenever a
// conflict shows later.
func (c *Claimer) Probed(now int64, conflict bool) {
	switch {
	case !c.addr.IsValid():
	case !conflict:
		c.claimed = true
	default:
		addr := c.addr
		c.addr, c.claimed, c.next = netip.Addr{}, false, c.choose()
		c.conflicts++
		// "[...] if the number of conflicts exceeds MAX_CONFLICTS then the host MUST limit the rate at which it probes for new
		// addresses to no more than one new address per RATE_LIMIT_INTERVAL."
		// https://www.rfc-editor.org/rfc/rfc3927.html#section-2.2.1
		wait := time.Duration(0)
		if c.conflicts > maxConflicts {
			wait = rateLimitInterval
		}
		c.cfg.Timers.Arm(&c.timer, c, now+int64(wait))
		c.cfg.Link.Withdraw(now, addr)
	}
}

// Expire is for the timer heap: another address may be probed for.
func (c *Claimer) Expire(now int64) { c.probe(now) }

func (c *Claimer) probe(now int64) {
	c.addr = c.next
	c.cfg.Link.Probe(now, c.addr)
}
