package multicast

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestVersions goes through RFC 3376 section 7.2.1 and RFC 3810 section 8.2.1.
func TestVersions(t *testing.T) {
	query := func(v Version) func(*script) {
		return func(s *script) { s.query(Query{Version: v, Group: all4, MaxResponse: 10 * time.Second}) }
	}
	wait := func(d time.Duration) func(*script) { return func(s *script) { s.after(d) } }
	const present = 260 * time.Second // robustness 2, interval 125 s, response 10 s
	for _, test := range []struct {
		name   string
		events []func(*script)
		want   Version
	}{
		{"nobody was heard", nil, V3},
		{"v3 querier", []func(*script){query(V3)}, V3},
		{"v2 querier", []func(*script){query(V2)}, V2},
		{"v1 querier", []func(*script){query(V1)}, V1},
		{"v1 and v2 queriers", []func(*script){query(V1), query(V2)}, V1},
		{"v2 querier, and a v3 query", []func(*script){query(V2), query(V3)}, V2},
		{"v2 querier, just present", []func(*script){query(V2), wait(present - 1)}, V2},
		{"v2 querier, gone", []func(*script){query(V2), wait(present)}, V3},
		{"v1 querier, gone, v2 querier still there", []func(*script){query(V1), wait(time.Minute), query(V2), wait(present - time.Minute)}, V2},
		{"v1 and v2 queriers, gone", []func(*script){query(V1), wait(time.Minute), query(V2), wait(present)}, V3},
		{"v2 querier, heard again", []func(*script){query(V2), wait(present - 1), query(V2), wait(present - 1)}, V2},
		{"v2 query about a group", []func(*script){func(s *script) {
			s.query(Query{Version: V2, Group: group4, MaxResponse: time.Second})
		}}, V3},
		{"v2 querier, an interval that a v3 querier told of", []func(*script){
			func(s *script) { s.query(Query{Version: V3, Group: all4, Robustness: 3, Interval: 20 * time.Second}) },
			query(V2), wait(70 * time.Second),
		}, V3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			for _, event := range test.events {
				event(s)
			}
			require.Equal(t, test.want, s.host.Version(false))
			require.Equal(t, V3, s.host.Version(true), "MLD is its own affair")
			require.Equal(t, test.want < V3, s.host.OlderQuerier(s.now, false) > 0)
		})
	}
}

// older makes the host speak an older version, with nothing to say.
func (s *script) older(v Version) {
	s.query(Query{Version: v, Group: all4, MaxResponse: 10 * time.Second})
	s.query(Query{Version: v, Group: all6, MaxResponse: 10 * time.Second})
	s.quiet()
}

// TestMemberStates goes through the state diagram of RFC 2236 section 6, which is RFC 2710's too.
func TestMemberStates(t *testing.T) {
	specific := Query{Version: V2, Group: group4, MaxResponse: time.Second}
	all := Query{Version: V2, Group: all4, MaxResponse: 10 * time.Second}
	for _, test := range []struct {
		name string
		run  func(s *script)
	}{
		{"non-member, join group", func(s *script) {
			s.half(10 * time.Second)
			s.member(group4, anybody)
			s.want("at once", "v2 report 239.1.2.3")
			s.after(5 * time.Second)
			s.want("once more", "v2 report 239.1.2.3")
			s.after(30 * time.Second)
			s.wantIdle("no more")
		}},
		{"non-member, query received", func(s *script) {
			s.query(all)
			s.query(specific)
			s.quiet()
			s.wantIdle("nothing to say")
		}},
		{"delaying member, leave group", func(s *script) {
			m := s.joined(group4, anybody)
			s.query(all)
			m.Leave(s.now)
			s.want("the last to report tells", "leave 239.1.2.3")
			s.after(time.Minute)
			s.wantIdle("and reports no more")
		}},
		{"delaying member, report received", func(s *script) {
			m := s.joined(group4, anybody)
			s.half(10 * time.Second)
			s.query(all)
			s.host.Heard(group4)
			s.after(time.Minute)
			s.wantIdle("another has said it")
			m.Leave(s.now)
			s.wantIdle("and is there: nobody needs to know")
		}},
		{"delaying member after a join, report received", func(s *script) {
			s.half(10 * time.Second)
			s.member(group4, anybody)
			s.want("at once", "v2 report 239.1.2.3")
			s.host.Heard(group4)
			s.after(time.Minute)
			s.wantIdle("another has said it")
		}},
		{"delaying member, query received, Max Resp Time above the rest", func(s *script) {
			s.joined(group4, anybody)
			s.half(10 * time.Second)
			s.query(all)
			s.after(4 * time.Second)
			s.random = uint64(900 * time.Millisecond)
			s.query(Query{Version: V2, Group: group4, MaxResponse: 2 * time.Second})
			s.after(950 * time.Millisecond)
			s.wantIdle("it stays where it is")
			s.after(50 * time.Millisecond)
			s.want("when it was to be", "v2 report 239.1.2.3")
		}},
		{"delaying member, query received, Max Resp Time below the rest", func(s *script) {
			s.joined(group4, anybody)
			s.half(10 * time.Second)
			s.query(all)
			s.random = uint64(300 * time.Millisecond)
			s.query(specific)
			s.after(300 * time.Millisecond)
			s.want("sooner", "v2 report 239.1.2.3")
			s.after(time.Minute)
			s.wantIdle("once")
		}},
		{"delaying member, timer expired", func(s *script) {
			s.joined(group4, anybody)
			s.half(10 * time.Second)
			s.query(all)
			s.after(5*time.Second - 1)
			s.wantIdle("not yet")
			s.after(1)
			s.want("now", "v2 report 239.1.2.3")
		}},
		{"idle member, report received", func(s *script) {
			m := s.joined(group4, anybody)
			s.host.Heard(group4)
			m.Leave(s.now)
			s.want("it was still the last to be asked", "leave 239.1.2.3")
		}},
		{"idle member, leave group", func(s *script) {
			m := s.joined(group4, anybody)
			m.Leave(s.now)
			s.want("tells", "leave 239.1.2.3")
			require.Empty(s.t, s.host.groups)
		}},
		{"idle member, sources change", func(s *script) {
			m := s.joined(group4, anybody)
			s.set(m, except(s1))
			s.set(m, only(s1))
			s.quiet()
			s.wantIdle("sources do not matter in this version")
		}},
		{"idle member, query about sources received", func(s *script) {
			s.joined(group4, only(s1))
			s.query(Query{Version: V3, Group: group4, Sources: only(s2).Sources, MaxResponse: time.Second})
			s.after(time.Second)
			s.want("sources do not matter in this version", "v2 report 239.1.2.3")
		}},
		{"MLD", func(s *script) {
			m := s.member(group6, anybody)
			s.want("at once", "v2 report ff05::123")
			m.Leave(s.now)
			s.want("done", "leave ff05::123")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.older(V2)
			test.run(s)
		})
	}
}

// TestV1: RFC 1112 appendix I.
func TestV1(t *testing.T) {
	s := newScript(t)
	s.older(V1)
	m := s.member(group4, anybody)
	s.want("a report", "v1 report 239.1.2.3")
	s.quiet()
	s.query(Query{Version: V1, Group: all4, MaxResponse: 10 * time.Second})
	s.after(10 * time.Second)
	s.want("an answer", "v1 report 239.1.2.3")
	m.Leave(s.now)
	s.quiet()
	s.wantIdle("nobody says that they leave")
}

func TestChangeOfVersionCancelsWhatIsPending(t *testing.T) {
	s := newScript(t)
	s.half(10 * time.Second)
	s.joined(group4, anybody)
	m := s.member(other4, anybody)
	s.query(general)
	s.query(Query{Version: V3, Group: group4, MaxResponse: 10 * time.Second})
	m.Leave(s.now)
	s.sent = nil
	s.query(Query{Version: V2, Group: all4, MaxResponse: 10 * time.Second})
	s.after(20 * time.Second)
	s.want("only what the older querier asks for", "v2 report 239.1.2.3")
	require.Len(t, s.host.groups, 1, "what was left is forgotten")

	s.after(235 * time.Second)
	s.query(Query{Version: V3, Group: group4, MaxResponse: 10 * time.Second})
	s.after(5*time.Second - 1)
	s.wantIdle("about to answer, but")
	require.Equal(t, V2, s.host.Version(false))
	s.after(time.Second)
	require.Equal(t, V3, s.host.Version(false), "the older querier is gone")
}

func TestV3DoesNotMindOthersReports(t *testing.T) {
	s := newScript(t)
	s.half(10 * time.Second)
	s.joined(group4, anybody)
	s.query(general)
	s.host.Heard(group4)
	s.host.Heard(other4)
	s.after(5 * time.Second)
	s.want("every host for itself", "239.1.2.3 is_ex []")
}
