package core

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/udp"
)

// Stack is a TCP/IP stack: interfaces, routes, neighbours, and the transports above them. It is not safe for
// concurrent use; who shares one guards it with a mutex.
type Stack struct {
	config Config
	limits Limits
	epoch  time.Time
	now    int64 // the latest time that any caller has told, in nanoseconds since epoch
	rand   io.Reader
	log    log
	closed bool

	timers timer.Heap
	tcp    *tcp.Host
	udp    *udp.Host
	raw    *raw.Host
	icmp   icmp

	interfaces   []*Interface // by index, the loopback first
	lastIndex    int32
	loopback     *Interface
	local        localAddrs
	sources      []route.Address // candidates for the source of a packet
	routes       route.Table
	generation   uint64 // of routes and addresses
	paths        map[pathKey]*path
	destinations []destination
	failures     failures
	redirects    redirects

	pathMTUs        pathMTUs
	identifications *identifications // nil until the first is needed
	flowLabels      flowLabels
	fragments       *reassembly.Table

	// networkLen is how many octets of network headers lie before the first octet of the packet being processed.
	networkLen int
	// fragmented says that the IPv6 packet being processed has, or had, a fragment header.
	fragmented bool

	rest  InterfaceCounters // of interfaces removed since
	batch []*packet.Packet  // what Poll works on
}

// New makes a stack that has only the loopback interface. now is the stack's time zero; no later call may tell an
// earlier time. The error wraps ErrConfig, or comes from Config.Rand.
func New(now time.Time, config Config) (*Stack, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Stack{
		config:       config,
		limits:       config.Limits,
		epoch:        now,
		rand:         config.Rand,
		log:          log{logger: config.Logger},
		icmp:         newICMP(&config.Limits),
		routes:       route.Table{Limit: config.Limits.Routes},
		paths:        make(map[pathKey]*path),
		destinations: make([]destination, powerOfTwo(config.Limits.Destinations)),
		batch:        make([]*packet.Packet, config.Limits.PollBatch),
	}
	if _, err := neighbour.New(s.neighbourConfig(&Interface{})); err != nil {
		return nil, fmt.Errorf("core: %w: Config.Neighbours: %w", ErrConfig, err)
	}
	if _, err := multicast.New(s.multicastConfig(&Interface{})); err != nil {
		return nil, fmt.Errorf("core: %w: Config.Multicast: %w", ErrConfig, err)
	}
	if s.fragments, err = reassembly.New(s.reassemblyConfig()); err != nil {
		return nil, fmt.Errorf("core: %w: Config.Reassembly: %w", ErrConfig, err)
	}
	s.listen(&config.TCP, &config.UDP)
	config.TCP.Network, config.TCP.Epoch, config.TCP.Rand, config.TCP.Limits = s, now, config.Rand, config.Limits.TCP
	if s.tcp, err = tcp.NewHost(config.TCP); err != nil {
		return nil, fmt.Errorf("core: %w: Config.TCP: %w", ErrConfig, err)
	}
	config.UDP.Network, config.UDP.Epoch, config.UDP.Rand, config.UDP.Limits = s, now, config.Rand, config.Limits.UDP
	config.UDP.PortUnreachable, config.UDP.Rejected, config.UDP.Groups = s.portUnreachable, s.reject, s
	if s.udp, err = udp.NewHost(config.UDP); err != nil {
		return nil, fmt.Errorf("core: %w: Config.UDP: %w", ErrConfig, err)
	}
	if s.flowLabels, err = newFlowLabels(&config); err != nil {
		return nil, fmt.Errorf("core: reading random octets: %w", err)
	}
	if s.raw, err = raw.NewHost(raw.Config{Network: s, Links: s, Epoch: now, Rand: config.Rand, Limits: config.Limits.Raw}); err != nil {
		return nil, fmt.Errorf("core: %w: Config.Limits.Raw: %w", ErrConfig, err)
	}
	s.failures.stack = s
	s.redirects.stack = s
	s.log.refresh()
	s.addLoopback()
	return s, nil
}

// TCP is the stack's TCP: its connections and listeners.
func (s *Stack) TCP() *tcp.Host { return s.tcp }

// UDP is the stack's UDP: its endpoints.
func (s *Stack) UDP() *udp.Host { return s.udp }

// Advance lets time pass: due timers fire. Input and Output do so too.
func (s *Stack) Advance(now time.Time) {
	s.enter(now)
}

// enter begins every entry into the stack: time advances, and what is due happens.
func (s *Stack) enter(now time.Time) int64 {
	// A caller that reads several clocks may be a little behind another; time does not run backwards for that.
	s.now = max(s.now, int64(now.Sub(s.epoch)))
	s.log.refresh()
	s.timers.Expire(s.now, s.limits.Timers)
	return s.now
}

// PollAt returns when time alone will make a difference to the stack or a device: what the next call of Poll should
// wait for, unless a packet comes before. It is the time of the last entry, or earlier than now, if something is to
// be done at once. It reports false if only a packet or a user can make a difference.
func (s *Stack) PollAt() (time.Time, bool) {
	next := s.timers.Next()
	at, ok := time.Time{}, false
	for _, l := range s.interfaces {
		if l.Pending() && !l.stuck {
			next = min(next, s.now)
		}
		if l.device == nil || l.broken != nil {
			continue
		}
		if deviceAt, due := l.device.PollAt(); due && (!ok || deviceAt.Before(at)) {
			at, ok = deviceAt, true
		}
	}
	if next == math.MaxInt64 {
		return at, ok
	}
	own := s.epoch.Add(time.Duration(next))
	if ok && at.Before(own) {
		return at, true
	}
	return own, true
}

// NextTimer returns when the earliest timer of the stack's own is due: what whoever calls Input and Output waits for
// before calling Advance. Unlike PollAt it says nothing about packets that are ready to leave, nor about devices. It
// reports false if no timer runs.
func (s *Stack) NextTimer() (time.Time, bool) {
	next := s.timers.Next()
	if next == timer.Never {
		return time.Time{}, false
	}
	return s.epoch.Add(time.Duration(next)), true
}

// Close ends all connections and endpoints, telling their owners, and releases everything that the stack holds. The
// peers are not told: for that call TCP().Close first, and send what is then to be sent. Devices stay open: they are
// their owners' to close. Only counters are of use afterwards. Closing again does nothing.
func (s *Stack) Close(now time.Time) {
	if s.closed {
		return
	}
	s.enter(now)
	s.closed = true
	s.tcp.Close(now)
	s.udp.Close()
	s.fragments.Close(s.now)
	s.raw.Close()
	for len(s.interfaces) > 0 {
		s.remove(s.interfaces[len(s.interfaces)-1])
	}
	s.failures.forget()
}

// random returns a random number, for delays and the like.
func (s *Stack) random() uint64 {
	var b [8]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return uint64(s.now) // nothing that depends on it needs to be secret
	}
	return binary.NativeEndian.Uint64(b[:])
}

// strip removes the packet's network headers, n octets of them, and remembers how many there were for an error that
// may have to quote them.
func (s *Stack) strip(p *packet.Packet, n int) {
	p.TrimFront(n)
	s.networkLen = n
}
