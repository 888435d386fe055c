package multicast

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

var (
	group4  = addr("239.1.2.3")
	other4  = addr("239.1.2.4")
	group6  = addr("ff05::123")
	s1      = addr("10.0.0.1")
	s2      = addr("10.0.0.2")
	s3      = addr("10.0.0.3")
	all4    = netip.IPv4Unspecified()
	all6    = netip.IPv6Unspecified()
	anybody = ip.AnySource()
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func only(sources ...netip.Addr) ip.SourceFilter { return ip.SourceFilter{Sources: sources} }

func except(sources ...netip.Addr) ip.SourceFilter {
	return ip.SourceFilter{Exclude: true, Sources: sources}
}

// script is a conversation between a host and its link.
type script struct {
	t      *testing.T
	now    int64
	timers timer.Heap
	host   *Host
	sent   []string
	groups []string // that came and went
	room   int
	random uint64 // what the host draws
}

func newScript(t *testing.T, change ...func(*Config)) *script {
	s := &script{t: t, room: 1400}
	cfg := Config{Timers: &s.timers, Link: s, Rand: func() uint64 { return s.random }}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.host, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.host.Close()
		require.Equal(t, timer.Never, s.timers.Next(), "no timer is left behind")
		require.Empty(t, s.host.Groups())
	})
	return s
}

func (s *script) note(now int64, format string, args ...any) {
	require.Equal(s.t, s.now, now)
	s.sent = append(s.sent, fmt.Sprintf(format, args...))
}

func (s *script) SendRecords(now int64, records []wire.MulticastRecord) {
	line, length := "", 0
	for i := range records {
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("%v %v %v", records[i].Group, records[i].Type, records[i].Sources)
		length += records[i].Len()
	}
	require.LessOrEqual(s.t, length, s.room, "the report fits")
	s.note(now, "%s", line)
}

func (s *script) SendReport(now int64, version Version, group netip.Addr) {
	s.note(now, "v%d report %v", version, group)
}

func (s *script) SendLeave(now int64, group netip.Addr) { s.note(now, "leave %v", group) }
func (s *script) Room(bool) int                         { return s.room }
func (s *script) GroupJoined(now int64, group netip.Addr) {
	s.groups = append(s.groups, "+"+group.String())
}
func (s *script) GroupLeft(now int64, group netip.Addr) {
	s.groups = append(s.groups, "-"+group.String())
}

// want requires that exactly this has been sent since the last time.
func (s *script) want(why string, sent ...string) {
	s.t.Helper()
	require.Equal(s.t, sent, s.sent, why)
	s.sent = nil
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.sent, why)
}

// after lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) after(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

func (s *script) member(group netip.Addr, f ip.SourceFilter) *Member {
	s.t.Helper()
	m, err := s.host.NewMember(s.now, 2, group, f)
	require.NoError(s.t, err)
	return m
}

// joined is a member of the group whose joining was reported long ago.
func (s *script) joined(group netip.Addr, f ip.SourceFilter) *Member {
	s.t.Helper()
	m := s.member(group, f)
	s.quiet()
	return m
}

// quiet lets all be said that is to be said.
func (s *script) quiet() {
	s.after(time.Minute)
	s.sent = nil
}

func (s *script) set(m *Member, f ip.SourceFilter) {
	s.t.Helper()
	require.NoError(s.t, m.SetFilter(s.now, f))
}

func (s *script) query(q Query) { s.host.Query(s.now, &q) }

// half has the host draw the middle of intervals of the length.
func (s *script) half(d time.Duration) { s.random = uint64(d / 2) }
