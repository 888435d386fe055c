package neighbour

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation between a cache and its link: what happens on one side, and what must follow on the other.
type script struct {
	t       *testing.T
	now     int64
	timers  timer.Heap
	cache   *Cache
	events  []string
	packets map[uint32]bool // handed in, and not yet seen again
	random  uint64          // what the cache draws
	changes []string        // that the link was told of
	probes  []int64         // when probes were sent
	probed  map[*Entry]int64

	onUnreachable func(e *Entry)
}

var (
	hwA = wire.HardwareAddr{2, 0, 0, 0, 0, 0xa}.LinkAddr()
	hwB = wire.HardwareAddr{2, 0, 0, 0, 0, 0xb}.LinkAddr()

	peer4 = netip.MustParseAddr("192.168.69.100")
	peer6 = netip.MustParseAddr("fdaa::100")
	own6  = netip.MustParseAddr("fdaa::1")
)

// half is what Rand returns for the middle of the range that reachable times are drawn from.
const half = uint64(DefaultReachableTime) / 2

func newScript(t *testing.T, change ...func(*Config)) *script {
	s := &script{t: t, packets: make(map[uint32]bool), probed: make(map[*Entry]int64), random: half}
	cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return s.random }}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.cache, err = New(cfg)
	require.NoError(t, err)
	return s
}

func hwName(hw wire.LinkAddr) string {
	switch hw {
	case hwA:
		return "A"
	case hwB:
		return "B"
	}
	return hw.String()
}

func (s *script) SendProbe(now int64, e *Entry, to wire.LinkAddr) {
	require.Equal(s.t, s.now, now)
	s.probes = append(s.probes, now)
	if last, ok := s.probed[e]; ok {
		require.GreaterOrEqual(s.t, now-last, s.cache.interval(e.Addr()), "a neighbour must not be asked too often")
	}
	s.probed[e] = now
	if to.IsZero() {
		s.events = append(s.events, fmt.Sprintf("who has %v", e.Addr()))
	} else {
		s.events = append(s.events, fmt.Sprintf("%s, are you %v", hwName(to), e.Addr()))
	}
}

func (s *script) Transmit(now int64, e *Entry, p *packet.Packet) {
	require.Equal(s.t, s.now, now)
	hw, ok := e.LinkAddr()
	require.True(s.t, ok)
	s.events = append(s.events, fmt.Sprintf("packet %d to %s", p.Seq, hwName(hw)))
	s.take(p)
}

func (s *script) Changed(now int64, e *Entry) {
	require.Equal(s.t, s.now, now)
	require.True(s.t, e.State() == Failed || e.State() >= Stale)
	s.changes = append(s.changes, e.Neighbour().String())
}

func (s *script) Forgotten(e *Entry) {
	require.True(s.t, e.Dead)
	require.Nil(s.t, s.cache.Lookup(e.Addr()))
	s.changes = append(s.changes, "forgotten "+e.Neighbour().String())
}

func (s *script) Unreachable(now int64, e *Entry, p *packet.Packet) {
	require.Equal(s.t, s.now, now)
	s.events = append(s.events, fmt.Sprintf("packet %d undeliverable", p.Seq))
	s.take(p)
	if s.onUnreachable != nil {
		s.onUnreachable(e)
	}
}

func (s *script) take(p *packet.Packet) {
	require.True(s.t, s.packets[p.Seq], "packet %d came out that did not go in", p.Seq)
	delete(s.packets, p.Seq)
	p.Release()
}

// output sends packet number n to the neighbour. It takes 256 octets of memory.
func (s *script) output(e *Entry, n uint32) { s.outputSize(e, n, 40) }

func (s *script) outputSize(e *Entry, n uint32, size int) {
	p := packet.New(size)
	p.Append(size)
	p.Seq = n
	if !e.Addr().Is4() {
		p.IP.Src = own6
	}
	s.packets[n] = true
	if hw, ok := e.Output(s.now, p); ok {
		s.events = append(s.events, fmt.Sprintf("packet %d to %s", n, hwName(hw)))
		s.take(p)
	}
}

// advance lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) advance(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

// want checks what has happened on the link since the last time.
func (s *script) want(why string, events ...string) {
	s.t.Helper()
	require.Equal(s.t, events, s.events, why)
	s.events = nil
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.events, why)
}

func (s *script) wantState(e *Entry, state State, why string) {
	s.t.Helper()
	require.Equal(s.t, state.String(), e.State().String(), why)
}

// in returns a neighbour in a state, with the hardware address A where there is one and packet 1 waiting where that is
// so.
func (s *script) in(state State, addr netip.Addr) *Entry {
	e := s.cache.Entry(addr)
	switch state {
	case Incomplete:
		s.output(e, 1)
	case Failed:
		s.output(e, 1)
		s.advance(3 * time.Second)
	case Stale:
		s.cache.Heard(s.now, addr, hwA)
	case Delay:
		s.cache.Heard(s.now, addr, hwA)
		s.output(e, 1)
	case Probe:
		s.cache.Heard(s.now, addr, hwA)
		s.output(e, 1)
		s.advance(DefaultDelayFirstProbe)
	case Reachable:
		s.cache.Heard(s.now, addr, hwA)
		e.Confirm(s.now)
	case Static:
		require.NoError(s.t, s.cache.Static(s.now, addr, hwA))
	}
	s.events = nil
	s.wantState(e, state, "to begin with")
	return e
}
