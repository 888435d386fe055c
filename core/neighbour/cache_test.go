package neighbour

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// host is one of many neighbours.
func host(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

func TestFirstPacketIsDelivered(t *testing.T) {
	s := newScript(t)
	e := s.cache.Entry(peer4)
	s.wantIdle("a path alone asks nobody")
	s.output(e, 1)
	s.want("resolution starts with the first packet", "who has 192.168.69.100")
	s.output(e, 2)
	s.output(e, 3)
	s.wantIdle("it is under way")
	s.advance(2 * time.Millisecond)
	s.cache.Advertised(s.now, peer4, hwA, true, true, false)
	s.want("the packets leave in order", "packet 1 to A", "packet 2 to A", "packet 3 to A")
	s.output(e, 4)
	s.want("and what follows at once", "packet 4 to A")
	require.Zero(t, s.cache.Queued())
	require.Equal(t, Counters{Probes: 1, Resolved: 1}, s.cache.Counters())
}

func TestSourceOfProbes(t *testing.T) {
	s := newScript(t)
	e := s.in(Incomplete, peer6)
	require.Equal(t, own6, e.Source(), `"If the source address of the packet prompting the solicitation is the same as one of the addresses [...]"`)
	e = s.in(Delay, peer4)
	require.False(t, e.Source().IsValid(), "the packet did not say")
}

func TestDeadNeighbour(t *testing.T) {
	s := newScript(t)
	dead := s.cache.Entry(peer4)
	s.output(dead, 1)
	s.output(dead, 2)
	s.want("it is asked", "who has 192.168.69.100")

	alive := s.cache.Entry(peer6)
	s.output(alive, 3)
	s.want("another is asked at the same time", "who has fdaa::100")
	s.cache.Advertised(s.now, peer6, hwB, true, true, false)
	s.want("and served at once", "packet 3 to B")

	s.advance(time.Second - 1)
	s.wantIdle("one request a second")
	s.advance(1)
	s.want("the second", "who has 192.168.69.100")
	s.advance(time.Second)
	s.want("the third", "who has 192.168.69.100")
	s.advance(time.Second)
	s.want("the senders are told, the oldest packet's first", "packet 1 undeliverable", "packet 2 undeliverable")
	s.wantState(dead, Failed, "it did not answer")

	s.output(dead, 4)
	s.want("a new packet is a new attempt, a second having passed", "who has 192.168.69.100")
	s.advance(3 * time.Second)
	s.want("in vain", "who has 192.168.69.100", "who has 192.168.69.100", "packet 4 undeliverable")

	s.advance(time.Minute)
	require.True(t, dead.Dead, "a failure is forgotten in the end")
	require.Nil(t, s.cache.Lookup(peer4))
	require.Equal(t, uint64(3), s.cache.Counters().Unreachable)
	require.Equal(t, uint64(2), s.cache.Counters().Failed)
}

// TestSenderRetriesAtOnce is a sender that answers each failure with another packet, from within the call.
func TestSenderRetriesAtOnce(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MulticastProbes = 1 })
	e := s.cache.Entry(peer4)
	next := uint32(3)
	s.onUnreachable = func(e *Entry) {
		if next <= 4 {
			next++
			s.output(e, next-1)
		}
	}
	s.output(e, 1)
	s.output(e, 2)
	s.want("resolution starts", "who has 192.168.69.100")
	s.advance(time.Second)
	s.want("both fail once, and what they lead to waits anew",
		"packet 1 undeliverable", "who has 192.168.69.100", "packet 2 undeliverable")
	require.Equal(t, 2, e.Queued())
	s.advance(time.Second)
	s.want("until the sender gives up", "packet 3 undeliverable", "packet 4 undeliverable")
	require.Empty(t, s.packets)
	require.Zero(t, s.cache.Queued())
}

// TestRequestRate holds that a neighbour is asked at most once a second, however it fails and whoever retries.
func TestRequestRate(t *testing.T) {
	for _, test := range []struct {
		name string
		addr netip.Addr
		cfg  func(*Config)
		want time.Duration
	}{
		{"ARP", peer4, func(cfg *Config) { cfg.MulticastProbes = 1 }, time.Second},
		{"ARP, with a shorter retransmission time", peer4, func(cfg *Config) { cfg.Retransmit = 50 * time.Millisecond }, time.Second},
		{"ND, with a shorter retransmission time", peer6, func(cfg *Config) { cfg.Retransmit = 50 * time.Millisecond }, 50 * time.Millisecond},
		{"ND, with a longer retransmission time", peer6, func(cfg *Config) { cfg.Retransmit = 3 * time.Second }, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, test.cfg)
			e := s.cache.Entry(test.addr)
			for n := range uint32(1000) {
				s.output(e, n)
				s.advance(7 * time.Millisecond)
			}
			require.Greater(t, len(s.probes), 2)
			for i := range len(s.probes) - 1 {
				require.GreaterOrEqual(t, time.Duration(s.probes[i+1]-s.probes[i]), test.want)
			}
		})
	}
}

// TestProbeWithinTheSecond is a neighbour that is to be probed while the request that found it is a moment old.
func TestProbeWithinTheSecond(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.DelayFirstProbe = 100 * time.Millisecond })
	e := s.cache.Entry(peer4)
	s.output(e, 1)
	s.want("resolution starts", "who has 192.168.69.100")
	s.advance(100 * time.Millisecond)
	s.cache.Heard(s.now, peer4, hwA)
	s.output(e, 2)
	s.want("the neighbour asks for us, which tells its address", "packet 1 to A", "packet 2 to A")
	s.advance(100 * time.Millisecond)
	s.wantState(e, Probe, "nobody confirmed it")
	s.advance(799 * time.Millisecond)
	s.wantIdle("the neighbour was asked within the last second")
	s.advance(time.Millisecond)
	s.want("now it may be asked", "A, are you 192.168.69.100")
	s.advance(3 * time.Second)
	s.want("and is asked as often as ever", "A, are you 192.168.69.100", "A, are you 192.168.69.100")
	s.wantState(e, Failed, "in vain")
}

func TestUnreachabilityDetection(t *testing.T) {
	s := newScript(t)
	e := s.in(Reachable, peer6)
	for n := range uint32(20) {
		s.advance(20 * time.Second)
		s.output(e, n)
		e.Confirm(s.now)
		s.want("TCP's progress confirms it", fmt.Sprintf("packet %d to A", n))
	}
	s.wantState(e, Reachable, "400 s, and no probe")
	s.advance(30*time.Second - 1)
	s.wantState(e, Reachable, "the last confirmation holds for 30 s")
	s.advance(1)
	s.wantState(e, Stale, "and no longer")
	s.wantIdle("which is no reason to ask")

	s.output(e, 100)
	s.want("the address is used all the same", "packet 100 to A")
	s.wantState(e, Delay, "TCP has 5 s to confirm it")
	s.advance(4 * time.Second)
	e.Confirm(s.now)
	s.wantState(e, Reachable, "and did")

	s.advance(31 * time.Second)
	s.output(e, 101)
	s.advance(5 * time.Second)
	s.want("nobody confirmed it, so it is probed by unicast", "packet 101 to A", "A, are you fdaa::100")
	s.output(e, 102)
	s.want("and used meanwhile", "packet 102 to A")
	s.cache.Advertised(s.now, peer6, none, true, false, false)
	s.wantState(e, Reachable, "the answer to a unicast probe may lack the address")

	s.advance(31 * time.Second)
	s.output(e, 103)
	s.advance(5 * time.Second)
	s.advance(3 * time.Second)
	s.want("three probes, unanswered",
		"packet 103 to A", "A, are you fdaa::100", "A, are you fdaa::100", "A, are you fdaa::100")
	s.wantState(e, Failed, "the address is no good")
	s.output(e, 104)
	s.want("the next packet looks for it everywhere", "who has fdaa::100")
	s.cache.Advertised(s.now, peer6, hwB, true, true, false)
	s.want("where it has moved", "packet 104 to B")
}

func TestExpiry(t *testing.T) {
	s := newScript(t)
	confirmed, heard, kept := s.in(Reachable, peer6), s.in(Stale, peer4), s.in(Static, host(1))
	s.advance(time.Minute - 1)
	require.False(t, confirmed.Dead)
	require.False(t, heard.Dead)
	s.advance(1)
	require.True(t, confirmed.Dead, "unconfirmed for a minute, of which it was STALE for half")
	require.True(t, heard.Dead, "unconfirmed for a minute")
	require.False(t, kept.Dead, "static entries stay")
	require.Equal(t, 1, s.cache.Len())

	heard = s.in(Stale, peer4)
	s.advance(50 * time.Second)
	s.cache.Heard(s.now, peer4, hwA)
	s.advance(59 * time.Second)
	require.False(t, heard.Dead, "it was heard of again")
	s.advance(time.Second)
	require.True(t, heard.Dead)

	heard = s.in(Stale, peer4)
	s.advance(50 * time.Second)
	s.cache.Advertised(s.now, peer4, hwA, false, true, false)
	s.advance(59 * time.Second)
	require.False(t, heard.Dead, "it announced itself again")
	s.advance(time.Second)
	require.True(t, heard.Dead)
	s.wantIdle("nobody was asked")
}

func TestReachableTimeIsRandom(t *testing.T) {
	for random, want := range map[uint64]time.Duration{
		0:                            15 * time.Second,
		half:                         30 * time.Second,
		uint64(DefaultReachableTime): 45 * time.Second,
	} {
		s := newScript(t)
		s.random = random
		e := s.in(Reachable, peer6)
		s.advance(want - 1)
		s.wantState(e, Reachable, want.String())
		s.advance(1)
		s.wantState(e, Stale, want.String())
	}
}

// TestGratuitousARP is ARP by the package's mapping: Advertised, not solicited, override.
func TestGratuitousARP(t *testing.T) {
	s := newScript(t)
	s.cache.Advertised(s.now, peer4, hwA, false, true, false)
	require.Nil(t, s.cache.Lookup(peer4), "it creates no entry")
	e := s.in(Reachable, peer4)
	s.cache.Advertised(s.now, peer4, hwB, false, true, false)
	s.output(e, 2)
	s.want("it moves one", "packet 2 to B")
	s.wantState(e, Delay, "which is verified on use")
	s.in(Incomplete, host(1))
	s.cache.Advertised(s.now, host(1), hwB, false, true, false)
	s.want("it answers a question too", "packet 1 to B")
}

func TestBurst(t *testing.T) {
	s := newScript(t)
	e := s.cache.Entry(peer4)
	for n := range uint32(256) {
		s.output(e, n)
	}
	s.want("256 connections begin", "who has 192.168.69.100")
	s.cache.Advertised(s.now, peer4, hwA, true, true, false)
	require.Len(t, s.events, 256, "none is lost")
	require.Equal(t, "packet 0 to A", s.events[0])
	require.Equal(t, "packet 255 to A", s.events[255])
}

func TestQueueOverflow(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxQueueOctets, cfg.MaxTotalOctets = 4*256, 10*256 })
	e := s.cache.Entry(peer4)
	for n := range uint32(7) {
		s.output(e, n)
	}
	s.want("resolution starts", "who has 192.168.69.100")
	require.Equal(t, uint64(3), s.cache.Counters().Overflowed)
	require.Equal(t, 4*256, s.cache.Queued())
	s.cache.Advertised(s.now, peer4, hwA, true, true, false)
	s.want("the oldest were dropped", "packet 3 to A", "packet 4 to A", "packet 5 to A", "packet 6 to A")
}

func TestQueueKeepsTheNewest(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxQueueOctets, cfg.MaxTotalOctets = 1, 1 })
	first, second := s.cache.Entry(peer4), s.cache.Entry(peer6)
	s.output(first, 1)
	s.output(first, 2)
	require.Equal(t, 1, first.Queued(), `"The queue MUST hold at least one packet"`)
	s.output(second, 3)
	require.Equal(t, 0, first.Queued(), "the total is used up")
	require.Equal(t, 1, second.Queued())
	s.output(first, 4)
	require.Equal(t, 1, first.Queued())
	require.Equal(t, 0, second.Queued())
	s.want("both are asked once", "who has 192.168.69.100", "who has fdaa::100")
	s.cache.Advertised(s.now, peer6, hwB, true, true, false)
	s.wantState(second, Reachable, "its resolution went on, though nothing waits any more")
	s.cache.Advertised(s.now, peer4, hwA, true, true, false)
	s.want("the newest is there", "packet 4 to A")
}

func TestTotalOverflow(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxQueueOctets, cfg.MaxTotalOctets = 4*256, 10*256 })
	for n := range uint32(12) {
		s.output(s.cache.Entry(host(int(n/4))), n)
	}
	require.Equal(t, 10*256, s.cache.Queued())
	require.Equal(t, 2, s.cache.Entry(host(0)).Queued(), "who has waited longest loses first")
	require.Equal(t, 4, s.cache.Entry(host(1)).Queued())
	require.Equal(t, 4, s.cache.Entry(host(2)).Queued())
	s.output(s.cache.Entry(host(3)), 20)
	s.output(s.cache.Entry(host(3)), 21)
	s.output(s.cache.Entry(host(3)), 22)
	require.Equal(t, 0, s.cache.Entry(host(0)).Queued())
	require.Equal(t, 3, s.cache.Entry(host(1)).Queued())
	require.Equal(t, 3, s.cache.Entry(host(3)).Queued())
}

func TestTotalOverflowByTheOneThatWaitsLongest(t *testing.T) {
	const large = 2304 // the memory of a full frame of 1500 octets
	s := newScript(t, func(cfg *Config) { cfg.MaxQueueOctets, cfg.MaxTotalOctets = large, large+256 })
	s.output(s.cache.Entry(host(0)), 1)
	for n := range uint32(9) {
		s.output(s.cache.Entry(host(1)), 10+n)
	}
	require.Equal(t, 9, s.cache.Entry(host(1)).Queued())
	s.outputSize(s.cache.Entry(host(0)), 2, 1500)
	require.Equal(t, 1, s.cache.Entry(host(0)).Queued(), "the newest stays, and the one before it gave way")
	require.Equal(t, 1, s.cache.Entry(host(1)).Queued(), "the others have to make room for it")
	require.Equal(t, large+256, s.cache.Queued())
}

func TestEvictionOrder(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxEntries = 6 })
	require.NoError(t, s.cache.Static(s.now, host(99), hwA))
	active1, active2 := s.in(Reachable, host(1)), s.in(Reachable, host(2))
	waiting := s.in(Incomplete, host(3))
	stale1, stale2 := s.in(Stale, host(4)), s.in(Stale, host(5))
	idle := s.in(None, host(6))
	s.advance(time.Second)
	active1.Confirm(s.now)
	s.events = nil
	require.Equal(t, 7, s.cache.Len())

	var all []*Entry
	for e := range s.cache.All() {
		all = append(all, e)
	}
	for e := range s.cache.All() {
		require.Same(t, idle, e)
		break
	}
	require.Equal(t, []*Entry{idle, stale1, stale2, waiting, active1, active2, s.cache.Lookup(host(99))}, all)

	for i, victim := range []*Entry{idle, stale1, stale2} {
		require.False(t, victim.Dead)
		e := s.cache.Entry(host(10 + i))
		require.True(t, victim.Dead, "victim %d", i)
		s.output(e, uint32(10+i))
	}
	require.Nil(t, s.cache.Heard(s.now, host(20), hwA), "those merely heard push out nobody with packets waiting")
	require.Equal(t, uint64(1), s.cache.Counters().Refused)
	for i, victim := range []*Entry{waiting, s.cache.Entry(host(10)), s.cache.Entry(host(11)), s.cache.Entry(host(12))} {
		require.False(t, victim.Dead)
		s.cache.Heard(s.now, s.cache.Entry(host(30+i)).Addr(), hwA)
		s.cache.Entry(host(30 + i)).Confirm(s.now)
		require.True(t, victim.Dead, "victim %d", i)
	}
	require.Equal(t, uint64(4), s.cache.Counters().Discarded, "a packet waited for each")
	s.cache.Entry(host(40))
	require.True(t, active2.Dead, "its confirmation is the oldest")
	require.False(t, active1.Dead)
	require.NotNil(t, s.cache.Heard(s.now, host(41), hwA), "in place of the one just made, which nobody used")
	require.Nil(t, s.cache.Lookup(host(40)))
	require.NotNil(t, s.cache.Lookup(host(99)), "static entries stay")
	require.Equal(t, 7, s.cache.Len())
}

func TestDeadEntry(t *testing.T) {
	s := newScript(t)
	e := s.in(Reachable, peer4)
	require.True(t, s.cache.Remove(peer4))
	require.False(t, s.cache.Remove(peer4))
	require.True(t, e.Dead)
	_, ok := e.LinkAddr()
	require.False(t, ok)
	e.Confirm(s.now)
	s.wantState(e, None, "a dead entry learns nothing")

	s.output(e, 1)
	s.want("what still comes to it goes to its heir", "who has 192.168.69.100")
	heir := s.cache.Lookup(peer4)
	require.NotSame(t, e, heir)
	require.Equal(t, 1, heir.Queued())
	s.cache.Advertised(s.now, peer4, hwB, true, true, false)
	s.want("who has the answer", "packet 1 to B")
	s.output(e, 2)
	s.want("for both", "packet 2 to B")
}

func TestStatic(t *testing.T) {
	s := newScript(t, func(cfg *Config) { cfg.MaxEntries = 2 })
	e := s.in(Incomplete, peer4)
	require.NoError(t, s.cache.Static(s.now, peer4, hwA))
	s.want("what waits leaves", "packet 1 to A")
	require.NoError(t, s.cache.Static(s.now, peer4, hwB))
	s.output(e, 2)
	s.want("the address was changed", "packet 2 to B")
	require.NoError(t, s.cache.Static(s.now, peer6, hwA))
	err := s.cache.Static(s.now, host(1), hwA)
	require.ErrorIs(t, err, ErrLimit)
	require.ErrorContains(t, err, "10.0.0.1 would exceed the limit of 2")
	s.advance(time.Hour)
	require.Equal(t, 2, s.cache.Len())
	s.output(s.cache.Entry(host(1)), 3)
	s.output(s.cache.Entry(host(2)), 4)
	require.Equal(t, 4, s.cache.Len(), "static entries take nobody's place")
	require.True(t, s.cache.Remove(peer4))
	require.NoError(t, s.cache.Static(s.now, host(1), hwA))
}

func TestFlushAndClose(t *testing.T) {
	s := newScript(t)
	var entries []*Entry
	for i, state := range []State{None, Stale, Delay, Probe, Reachable, Incomplete} {
		entries = append(entries, s.in(state, host(i)))
	}
	static := s.in(Static, peer4)
	s.output(s.cache.Entry(host(0)), 2)
	s.events = nil
	s.cache.Flush()
	for _, e := range entries {
		require.True(t, e.Dead)
	}
	require.False(t, static.Dead)
	require.Equal(t, 1, s.cache.Len())
	require.Zero(t, s.cache.Queued())
	require.Equal(t, uint64(2), s.cache.Counters().Discarded)

	s.output(entries[1], 3)
	s.want("life goes on", "who has 10.0.0.1")
	s.cache.Close()
	require.True(t, static.Dead)
	require.Zero(t, s.cache.Len())
	s.output(entries[1], 4)
	s.output(s.cache.Entry(peer6), 5)
	require.True(t, s.cache.Entry(peer6).Dead)
	require.Nil(t, s.cache.Heard(s.now, peer6, hwA))
	s.cache.Advertised(s.now, peer6, hwA, true, true, false)
	require.ErrorIs(t, s.cache.Static(s.now, peer6, hwA), ErrInvalid)
	s.advance(time.Hour)
	s.wantIdle("not any more")
	require.Zero(t, s.cache.Len())
	require.Equal(t, uint64(5), s.cache.Counters().Discarded)
}

func TestConfig(t *testing.T) {
	s := newScript(t)
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no timers", func(cfg *Config) { cfg.Timers = nil }, "Timers, Link and Rand are required"},
		{"negative number", func(cfg *Config) { cfg.MaxEntries = -1 }, "MaxEntries -1 is negative"},
		{"negative probes", func(cfg *Config) { cfg.UnicastProbes = -3 }, "UnicastProbes -3 is negative"},
		{"negative time", func(cfg *Config) { cfg.Retransmit = -time.Second }, "Retransmit -1s is not between"},
		{"endless time", func(cfg *Config) { cfg.ExpireAfter = 1 << 62 }, "ExpireAfter 1281023h53m38.427387904s is not between"},
		{"contradictory limits", func(cfg *Config) { cfg.MaxQueueOctets, cfg.MaxTotalOctets = 2000, 1000 },
			"MaxTotalOctets 1000 is less than MaxQueueOctets 2000"},
		{"contradictory times", func(cfg *Config) { cfg.ExpireAfter = 30 * time.Second },
			"ExpireAfter 30s is less than 1.5 times ReachableTime 30s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return 0 }}
			test.change(&cfg)
			_, err := New(cfg)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.want)
		})
	}
	for name, change := range map[string]func(*Config){
		"a long reachable time moves the default expiry": func(cfg *Config) { cfg.ReachableTime = time.Hour },
		"a large queue moves the default total":          func(cfg *Config) { cfg.MaxQueueOctets = 64 << 20 },
	} {
		cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return 0 }}
		change(&cfg)
		_, err := New(cfg)
		require.NoError(t, err, name)
	}
}

func TestStateNames(t *testing.T) {
	for state := None; state <= Static; state++ {
		require.NotEqual(t, "unknown", state.String())
	}
	require.Equal(t, "unknown", (Static + 1).String())
}

func TestHotPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newScript(t)
	e := s.in(Reachable, peer6)
	p := packet.New(40)
	defer p.Release()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.now += int64(time.Millisecond)
		e.Output(s.now, p)
		e.Confirm(s.now)
		s.timers.Expire(s.now, 10)
	}))
}

func BenchmarkOutputAndConfirm(b *testing.B) {
	s := newScript(&testing.T{})
	e := s.in(Reachable, peer6)
	p := packet.New(40)
	defer p.Release()
	var hw wire.LinkAddr
	b.ReportAllocs()
	for b.Loop() {
		hw, _ = e.Output(s.now, p)
		e.Confirm(s.now)
	}
	_ = hw
}

// TestChanges: the link is told when a neighbour can be reached that could not before, or elsewhere, when it can no longer be, and
// when what it was told of is forgotten.
func TestChanges(t *testing.T) {
	s := newScript(t)
	want := func(why string, changes ...string) {
		t.Helper()
		require.Equal(t, changes, s.changes, why)
		s.changes = nil
	}
	at := func(addr netip.Addr, hw wire.LinkAddr) string { return addr.String() + " " + hw.String() }
	e := s.cache.Entry(peer6)
	s.output(e, 1)
	want("it is being looked for")
	s.cache.Advertised(s.now, peer6, hwA, true, true, false)
	want("it has answered", at(peer6, hwA)+" REACHABLE")
	s.cache.Advertised(s.now, peer6, hwB, false, true, true)
	want("it is elsewhere", at(peer6, hwB)+" router STALE")
	e.Confirm(s.now)
	want("it was there all the time")
	s.advance(time.Minute)
	require.True(t, e.Dead, "it was not in use, which is no failure")
	want("it is forgotten", "forgotten "+at(peer6, hwB)+" router STALE")
	e = s.cache.Heard(s.now, peer6, hwA)
	want("it is heard", at(peer6, hwA)+" STALE")
	s.output(e, 2)
	s.advance(8 * time.Second)
	want("it does not answer", peer6.String()+" FAILED")
	s.cache.Heard(s.now, peer6, hwA)
	want("it is heard after all", at(peer6, hwA)+" STALE")
	s.output(s.cache.Entry(peer4), 3)
	require.True(t, s.cache.Remove(peer4))
	want("who was only looked for was never told of")
	s.output(s.cache.Entry(peer4), 4)
	s.advance(3 * time.Second)
	want("another was never found", peer4.String()+" FAILED")
	require.Equal(t, []Neighbour{{Addr: peer4, State: Failed}, {Addr: peer6, LinkAddr: hwA, State: Stale}}, s.cache.Neighbours())
	s.output(s.cache.Entry(peer4), 5)
	require.Equal(t, Neighbour{Addr: peer4, State: Incomplete, Queued: 1}, s.cache.Neighbours()[0])
	s.cache.Flush()
	require.ElementsMatch(t, []string{"forgotten " + peer4.String() + " INCOMPLETE", "forgotten " + at(peer6, hwA) + " STALE"}, s.changes)
	s.changes = nil
	s.cache.Heard(s.now, peer6, hwA)
	s.changes = nil
	s.cache.Close()
	want("what is closed says nothing")
}

// TestSetTimes: a router's times hold until it says others, or the cache's own are set again.
func TestSetTimes(t *testing.T) {
	s := newScript(t)
	s.cache.SetTimes(10*time.Minute, 3*time.Second)
	e := s.cache.Entry(peer6)
	s.output(e, 1)
	s.advance(3*time.Second - 1)
	require.Len(t, s.probes, 1)
	s.advance(1)
	require.Len(t, s.probes, 2)
	s.random = uint64(5 * time.Minute)
	s.cache.Advertised(s.now, peer6, hwA, true, true, false)
	s.advance(10*time.Minute - 1)
	s.wantState(e, Reachable, "a confirmation holds for longer")
	s.advance(1)
	s.wantState(e, Stale, "but not for ever")
	s.advance(4 * time.Minute)
	require.False(t, e.Dead, "and it is remembered for as long as that makes sense")

	s.cache.SetTimes(0, 0)
	require.Equal(t, DefaultReachableTime, s.cache.cfg.ReachableTime)
	require.Equal(t, DefaultRetransmit, s.cache.cfg.Retransmit)
	require.Equal(t, DefaultExpireAfter, s.cache.cfg.ExpireAfter)
}
