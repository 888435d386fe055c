package neighbour

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// TestModel lets everything happen in any order to a cache whose bounds are tight, and after each event holds that no
// packet and no timer is lost and no bound exceeded.
func TestModel(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 0))
		before := live()
		s := newScript(t, func(cfg *Config) {
			cfg.MaxEntries = 8
			cfg.MaxQueueOctets, cfg.MaxTotalOctets = 4*256, 12*256
			cfg.Rand = random.Uint64
			cfg.Retransmit = 300 * time.Millisecond
		})
		m := &model{script: s}
		// Senders that answer an error with another packet, now and then.
		s.onUnreachable = func(e *Entry) {
			if random.IntN(3) == 0 {
				m.output(m.held[random.IntN(len(m.held))])
			}
		}
		hws := []wire.LinkAddr{{}, hwA, hwB}
		for range 1500 {
			addr := host(random.IntN(6))
			if random.IntN(2) == 0 {
				addr = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(1 + random.IntN(6))})
			}
			switch random.IntN(12) {
			case 0, 1, 2, 3:
				m.held = append(m.held, s.cache.Entry(addr))
				m.output(m.held[random.IntN(len(m.held))])
			case 4:
				s.cache.Heard(s.now, addr, hws[random.IntN(3)])
			case 5, 6:
				s.cache.Advertised(s.now, addr, hws[random.IntN(3)], random.IntN(2) == 0, random.IntN(2) == 0, false)
			case 7, 8, 9:
				s.advance(time.Duration(random.Int64N(int64(2 * time.Second))))
			case 10:
				s.cache.Entry(addr).Confirm(s.now)
			case 11:
				switch random.IntN(12) {
				case 0:
					s.cache.Remove(addr)
				case 1:
					s.cache.Flush()
				case 2:
					_ = s.cache.Static(s.now, addr, hwA)
				case 3:
					s.advance(90 * time.Second)
				}
			}
			m.check()
		}
		// Whatever waits gets an answer or an error before long, without anything else happening.
		s.onUnreachable = nil
		s.advance(10 * time.Second)
		require.Zero(t, s.cache.Queued())
		m.check()
		s.cache.Close()
		m.check()
		require.Equal(t, int64(timer.Never), s.timers.Next())
		require.Equal(t, before, live(), "packets in nobody's hands")
	}
}

type model struct {
	*script
	held []*Entry // what senders hold on to, dead or alive
	sent uint32
}

func (m *model) output(e *Entry) {
	m.sent++
	m.script.output(e, m.sent)
}

func (m *model) check() {
	t, c := m.t, m.cache
	m.events = nil
	waiting, cost, entries := 0, 0, 0
	for i := range c.ranks {
		n := 0
		var prev *Entry
		for e := c.ranks[i].first; e != nil; prev, e = e, e.next {
			n++
			require.Same(t, e, c.entries[e.addr])
			require.Equal(t, rank(i), e.rank)
			require.Equal(t, prev, e.prev)
			require.False(t, e.Dead)
			require.Equal(t, e.state != None && e.state != Static, e.timer.Armed(), "%v", e.state)
			if e.state != Incomplete {
				require.Zero(t, e.queue.Len(), "%v", e.state)
			}
			if e.timer.Armed() {
				require.LessOrEqual(t, e.timer.Deadline(), m.now+int64(c.cfg.ExpireAfter))
			}
			waiting += e.queue.Len()
			cost += e.queue.Cost()
			require.True(t, e.queue.Cost() <= c.cfg.MaxQueueOctets)
		}
		require.Equal(t, n, c.ranks[i].length)
		entries += n
	}
	require.Equal(t, len(c.entries), entries)
	require.LessOrEqual(t, entries-c.ranks[rankStatic].length, c.cfg.MaxEntries)
	require.LessOrEqual(t, c.ranks[rankStatic].length, c.cfg.MaxEntries)
	require.Equal(t, cost, c.Queued())
	require.LessOrEqual(t, cost, c.cfg.MaxTotalOctets)
	counters := c.Counters()
	require.Equal(t, waiting, len(m.packets)-int(counters.Overflowed+counters.Discarded),
		"what went in and has not come out waits, or was counted as dropped")
}
