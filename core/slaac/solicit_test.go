package slaac

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFirstSolicitationIsDelayed(t *testing.T) {
	s := newScript(t)
	s.random = []uint64{uint64(700 * time.Millisecond)}
	s.host.Start(s.now)
	s.advance(699 * time.Millisecond)
	s.wantIdle("hosts that start together do not ask together")
	s.advance(time.Millisecond)
	s.want("now it asks", "solicit")
}

// TestSolicitationsBackOff follows RFC 7559: 4 s, doubling up to an hour, for ever, with up to a tenth more or less.
func TestSolicitationsBackOff(t *testing.T) {
	for _, row := range []struct {
		name   string
		draw   func(interval int64) uint64 // of a number that gives the deviation
		expect []time.Duration
	}{
		{"none more or less", func(i int64) uint64 { return uint64(i / 10) },
			[]time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}},
		{"a tenth less", func(int64) uint64 { return 0 },
			[]time.Duration{3600 * time.Millisecond, 6840 * time.Millisecond, 12996 * time.Millisecond}},
		{"a tenth more", func(i int64) uint64 { return uint64(i / 5) },
			[]time.Duration{4400 * time.Millisecond, 9240 * time.Millisecond, 19404 * time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			previous := int64(4 * time.Second)
			s.random = []uint64{0, row.draw(previous)}
			s.host.Start(s.now)
			s.advance(0)
			s.want("the first", "solicit")
			for _, interval := range row.expect {
				s.random = []uint64{row.draw(int64(interval))}
				s.advance(interval - 1)
				s.wantIdle("not before its time")
				s.advance(1)
				s.want("the next", "solicit")
			}
		})
	}
}

func TestSolicitationsNeverEnd(t *testing.T) {
	s := started(t)
	s.advance(100 * time.Hour)
	require.InDelta(t, 100+10, len(s.events), 15, "about one an hour")
	require.LessOrEqual(t, s.timers.Next()-s.now, int64(66*time.Minute), "and another within that")
	require.Greater(t, s.timers.Next(), s.now, "there is nothing to do until then")
}

func TestSolicitationsStop(t *testing.T) {
	s := started(t)
	s.recv(routerA, ra(0))
	s.forget()
	s.advance(4 * time.Second)
	s.want("who is no default router does not stop it", "solicit")
	s.recv(routerA, ra(infinite))
	s.forget()
	s.advance(10 * time.Hour)
	s.wantIdle("a default router does")
}

func TestSolicitationDespiteEarlyAdvertisement(t *testing.T) {
	s := newScript(t)
	s.random = []uint64{uint64(time.Second / 2)}
	s.host.Start(s.now)
	s.recv(routerA, ra(infinite))
	s.forget()
	s.advance(time.Hour)
	s.want("one is sent all the same, for the answer may say more", "solicit")
}

func TestSolicitationsBeginAgain(t *testing.T) {
	s := started(t)
	s.recv(routerA, ra(time.Second))
	s.forget()
	s.random = []uint64{5}
	s.advance(2 * time.Second)
	s.want("the only router's lifetime is over", "no route ::/0 via fe80::a", "routers changed")
	s.advance(2*time.Second - 1)
	s.wantIdle("no two within four seconds")
	s.advance(1)
	s.want("there may be another", "solicit")

	s.recv(routerA, ra(time.Hour))
	s.forget()
	s.host.Start(s.now + int64(time.Minute))
	s.advance(time.Minute + time.Second)
	s.want("the link came up again", "solicit")
}

func lowPower(cfg *Config) { cfg.LowPower = true }

// TestLowPowerSolicitations follows RFC 6775: 10 s twice, and then doubling up to a minute, with up to a tenth more.
func TestLowPowerSolicitations(t *testing.T) {
	for _, row := range []struct {
		name   string
		draw   uint64 // what the random numbers are, of as many as there are
		expect []time.Duration
	}{
		{"none more", 0, []time.Duration{
			10 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute}},
		{"up to a tenth more", uint64(500 * time.Millisecond), []time.Duration{
			10500 * time.Millisecond, 10500 * time.Millisecond, 20500 * time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, lowPower)
			s.random = []uint64{0, row.draw}
			s.host.Start(s.now)
			s.advance(0)
			s.want("the first", "solicit")
			for _, interval := range row.expect {
				s.random = []uint64{row.draw}
				s.advance(interval - 1)
				s.wantIdle("not before its time")
				s.advance(1)
				s.want("the next", "solicit")
			}
		})
	}
}

func TestLowPowerSolicitationsWhileNoRouterIsReachable(t *testing.T) {
	s := started(t, lowPower)
	s.recv(routerA, ra(infinite))
	s.recv(routerB, ra(infinite))
	s.forget()
	s.host.Unreachable(s.now, routerA)
	s.forget()
	s.advance(2 * watchInterval)
	s.wantIdle("there is another router")
	s.random = []uint64{0, 0}
	s.host.Unreachable(s.now, routerB)
	s.forget()
	s.advance(0)
	s.want("now there is none", "solicit")
	s.random = []uint64{0}
	s.advance(10 * time.Second)
	s.want("it goes on", "solicit")
	s.host.Reachable(s.now, routerA)
	s.forget()
	s.advance(time.Hour)
	require.NotContains(t, s.events, "solicit", "one is back")
}
