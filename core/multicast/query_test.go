package multicast

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// general is a query of version 3 about all groups of IPv4.
var general = Query{Version: V3, Group: all4, MaxResponse: 10 * time.Second}

// TestGeneralQuery: RFC 3376 section 5.2.
func TestGeneralQuery(t *testing.T) {
	s := newScript(t)
	s.query(general)
	s.quiet()
	s.wantIdle("there is nothing to be said")
	s.joined(group4, anybody)
	s.joined(other4, only(s1))
	s.joined(group6, anybody)
	s.half(10 * time.Second)
	s.query(general)
	s.after(5*time.Second - 1)
	s.wantIdle("not yet")
	s.after(1)
	s.want("one report of all", "239.1.2.3 is_ex [], 239.1.2.4 is_in [10.0.0.1]")
	s.after(time.Hour)
	s.wantIdle("once")
	s.query(Query{Version: V3, Group: all6, MaxResponse: time.Second})
	s.after(time.Second)
	s.want("the other family's", "ff05::123 is_ex []")
	s.query(Query{Version: V3, Group: all4})
	s.after(0)
	s.want("at once", "239.1.2.3 is_ex [], 239.1.2.4 is_in [10.0.0.1]")
}

// TestAnswersAreSpread: where an answer needs several reports each has a slot of its own.
func TestAnswersAreSpread(t *testing.T) {
	const groups, perReport = 10, 3
	s := newScript(t)
	s.room = perReport * 8
	for i := range groups {
		s.joined(netip.AddrFrom4([4]byte{239, 0, 0, byte(i)}), anybody)
	}
	for _, draw := range []time.Duration{0, 1234 * time.Millisecond, 2500*time.Millisecond - 1} {
		s.random = uint64(draw)
		s.query(general)
		for slot := range 4 {
			start := time.Duration(slot) * 2500 * time.Millisecond
			at := start + draw
			s.after(at - time.Duration(s.now%int64(10*time.Second)))
			require.Len(t, s.sent, 1, "slot %d has a report", slot)
			s.sent = nil
		}
		s.after(10*time.Second - time.Duration(s.now%int64(10*time.Second)))
		s.wantIdle("all is said")
	}
}

func TestAnswersOfOlderVersionsAreSpread(t *testing.T) {
	s := newScript(t)
	for i := range 4 {
		s.joined(netip.AddrFrom4([4]byte{239, 0, 0, byte(i)}), anybody)
	}
	s.random = uint64(time.Second)
	s.query(Query{Version: V2, Group: all4, MaxResponse: 10 * time.Second})
	for _, want := range []struct {
		after time.Duration
		group string
	}{
		{time.Second, "239.0.0.0"}, {2500 * time.Millisecond, "239.0.0.1"}, {2500 * time.Millisecond, "239.0.0.2"},
		{2500 * time.Millisecond, "239.0.0.3"},
	} {
		s.after(want.after - 1)
		s.wantIdle("not yet")
		s.after(1)
		s.want("each group in its slot", "v2 report "+want.group)
	}
}

// TestQuery goes through the rules of RFC 3376 section 5.2 for answers that are pending, and what is told in the end.
func TestQuery(t *testing.T) {
	type at struct {
		after time.Duration
		draw  time.Duration // the delay that the host chooses
		query Query
	}
	about := func(sources ...netip.Addr) Query {
		return Query{Version: V3, Group: group4, Sources: sources, MaxResponse: 10 * time.Second}
	}
	for _, test := range []struct {
		name   string
		filter ip.SourceFilter
		events []at
		want   map[time.Duration]string // since the first query
	}{
		{"about the group, EXCLUDE", except(s1), []at{{0, 3 * time.Second, about()}},
			map[time.Duration]string{3 * time.Second: "is_ex [10.0.0.1]"}},
		{"about the group, INCLUDE", only(s1), []at{{0, 3 * time.Second, about()}},
			map[time.Duration]string{3 * time.Second: "is_in [10.0.0.1]"}},
		{"about sources, INCLUDE: those that are wanted", only(s1, s2), []at{{0, 3 * time.Second, about(s3, s2)}},
			map[time.Duration]string{3 * time.Second: "is_in [10.0.0.2]"}},
		{"about sources, EXCLUDE: those that are not excluded", except(s1, s2), []at{{0, 3 * time.Second, about(s3, s2)}},
			map[time.Duration]string{3 * time.Second: "is_in [10.0.0.3]"}},
		{"about sources, INCLUDE: none is wanted", only(s1), []at{{0, 3 * time.Second, about(s2)}}, nil},
		{"about sources, EXCLUDE: all are excluded", except(s1), []at{{0, 3 * time.Second, about(s1)}}, nil},
		{"about another group", anybody, []at{{0, time.Second, Query{Version: V3, Group: other4, MaxResponse: time.Second}}}, nil},

		{"rule 1: the answer about all groups is sooner", anybody,
			[]at{{0, 2 * time.Second, general}, {time.Second, 3 * time.Second, general}, {0, 4 * time.Second, about()}},
			map[time.Duration]string{2 * time.Second: "is_ex []"}},
		{"rule 2: a sooner answer about all groups takes its place", anybody,
			[]at{{0, 8 * time.Second, general}, {time.Second, time.Second, general}},
			map[time.Duration]string{2 * time.Second: "is_ex []"}},
		{"a sooner answer about the group comes besides", anybody,
			[]at{{0, 8 * time.Second, general}, {time.Second, time.Second, about()}},
			map[time.Duration]string{2 * time.Second: "is_ex []", 8 * time.Second: "is_ex []"}},
		{"rule 4: about the group, then sooner about the group", anybody,
			[]at{{0, 8 * time.Second, about()}, {time.Second, time.Second, about()}},
			map[time.Duration]string{2 * time.Second: "is_ex []"}},
		{"rule 4: about the group, then later about sources: all is told, when it was to be", only(s1, s2),
			[]at{{0, 3 * time.Second, about()}, {time.Second, 8 * time.Second, about(s1)}},
			map[time.Duration]string{3 * time.Second: "is_in [10.0.0.1 10.0.0.2]"}},
		{"rule 4: about sources, then about the group: all is told", only(s1, s2),
			[]at{{0, 3 * time.Second, about(s1)}, {time.Second, 8 * time.Second, about()}},
			map[time.Duration]string{3 * time.Second: "is_in [10.0.0.1 10.0.0.2]"}},
		{"rule 5: about a source, then another: both", only(s1, s2, s3),
			[]at{{0, 8 * time.Second, about(s1)}, {time.Second, time.Second, about(s3)}},
			map[time.Duration]string{2 * time.Second: "is_in [10.0.0.1 10.0.0.3]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.joined(group4, test.filter)
			start := s.now
			for _, e := range test.events {
				s.after(e.after)
				s.random = uint64(e.draw)
				s.query(e.query)
			}
			got := map[time.Duration]string{}
			for end := s.now + int64(time.Minute); s.timers.Next() <= end; {
				s.after(time.Duration(s.timers.Next() - s.now))
				for _, sent := range s.sent {
					got[time.Duration(s.now-start)] += sent[len("239.1.2.3 "):]
				}
				s.sent = nil
			}
			if test.want == nil {
				test.want = map[time.Duration]string{}
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestAnswerIsOfTheStateWhenItLeaves(t *testing.T) {
	s := newScript(t)
	a, b := s.joined(group4, anybody), s.joined(other4, anybody)
	s.half(10 * time.Second)
	s.query(general)
	s.query(Query{Version: V3, Group: other4, MaxResponse: time.Second})
	s.random = 0
	b.Leave(s.now)
	s.set(a, except(s1))
	s.after(100 * time.Millisecond)
	s.sent = nil
	s.after(time.Minute)
	s.want("who has left is not reported", "239.1.2.3 is_ex [10.0.0.1]")
}

// TestQueriedSourcesAreBounded: a flood of queries is answered with all there is.
func TestQueriedSourcesAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.MaxSources = 4 })
	s.joined(group4, only(s1))
	s.half(10 * time.Second)
	for i := range 100 {
		s.query(Query{Version: V3, Group: group4, Sources: []netip.Addr{netip.AddrFrom4([4]byte{10, 9, 0, byte(i)})}, MaxResponse: 10 * time.Second})
		require.LessOrEqual(t, len(s.host.groups[group4].asked), 8)
	}
	s.after(time.Minute)
	s.want("once", "239.1.2.3 is_in [10.0.0.1]")
}

func TestQuerierIsBelieved(t *testing.T) {
	s := newScript(t)
	require.Equal(t, 2, s.host.Robustness(false))
	require.Equal(t, 125*time.Second, s.host.QueryInterval(false))
	s.query(Query{Version: V3, Group: all4, MaxResponse: time.Second, Robustness: 4, Interval: 20 * time.Second})
	require.Equal(t, 4, s.host.Robustness(false))
	require.Equal(t, 20*time.Second, s.host.QueryInterval(false))
	require.Equal(t, 2, s.host.Robustness(true), "of MLD nothing was said")
	s.member(group4, anybody)
	s.after(time.Minute)
	want := "239.1.2.3 to_ex []"
	s.want("four times", want, want, want, want)
	s.query(Query{Version: V3, Group: all4, MaxResponse: time.Second})
	require.Equal(t, 2, s.host.Robustness(false), "a querier that does not say")
	require.Equal(t, 125*time.Second, s.host.QueryInterval(false))
}

// TestQueriesDuringAnAnswerOfSeveralReports: what has left already does not answer what is asked later.
func TestQueriesDuringAnAnswerOfSeveralReports(t *testing.T) {
	s := newScript(t)
	s.room = 8
	s.joined(group4, anybody)
	s.joined(other4, anybody)
	s.query(general)
	s.after(0)
	s.want("the first of two", "239.1.2.3 is_ex []")
	s.random = uint64(4500 * time.Millisecond)
	s.after(4 * time.Second)
	s.query(general)
	s.after(4500 * time.Millisecond)
	s.want("begins anew", "239.1.2.3 is_ex []")
	s.after(5 * time.Second)
	s.want("and goes on", "239.1.2.4 is_ex []")

	s.random = 0
	s.query(general)
	s.random = uint64(time.Second)
	s.query(Query{Version: V3, Group: other4, MaxResponse: 2 * time.Second})
	s.after(0)
	s.want("the first of two", "239.1.2.3 is_ex []")
	s.after(time.Second)
	s.want("who asks about one group is not kept waiting", "239.1.2.4 is_ex []")
}
