package multicast

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// TestMergedFilter has the example of RFC 3376 section 3.2, and its edges.
func TestMergedFilter(t *testing.T) {
	a, b, c, d, e, f, g, h, i := addr("10.0.1.1"), addr("10.0.1.2"), addr("10.0.1.3"), addr("10.0.1.4"), addr("10.0.1.5"),
		addr("10.0.1.6"), addr("10.0.1.7"), addr("10.0.1.8"), addr("10.0.1.9")
	for _, test := range []struct {
		name    string
		members []ip.SourceFilter
		want    ip.SourceFilter
	}{
		{"any source", []ip.SourceFilter{anybody}, except()},
		{"one source", []ip.SourceFilter{only(a)}, only(a)},
		{"all exclude: what all exclude", []ip.SourceFilter{except(a, b, c, d), except(b, c, d, e)}, except(b, c, d)},
		{"some include: less what they want", []ip.SourceFilter{except(a, b, c, d), except(b, c, d, e), only(d, e, f)}, except(b, c)},
		{"all include: what any wants", []ip.SourceFilter{only(a, b, c), only(b, c, d), only(e, f)}, only(a, b, c, d, e, f)},
		{"any source besides", []ip.SourceFilter{except(g, h), anybody}, except()},
		{"a source that was excluded is wanted", []ip.SourceFilter{except(i), only(i)}, except()},
		{"nobody", []ip.SourceFilter{only()}, only()},
		{"duplicates", []ip.SourceFilter{only(b, a, b)}, only(a, b)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			for _, f := range test.members {
				s.member(group4, f)
			}
			got := s.host.groups[group4].filter
			require.True(t, equal(&test.want, &got), "%v", got)
			require.Equal(t, !nothing(&test.want), s.host.Group(group4) != nil)
		})
	}
}

// TestStateChange goes through the tables of RFC 3376 section 5.1 and RFC 3810 section 6.1.
func TestStateChange(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after ip.SourceFilter
		want          string
	}{
		{"INCLUDE () to EXCLUDE (): joins", only(), except(), "to_ex []"},
		{"INCLUDE () to INCLUDE (B): joins a source", only(), only(s1), "allow [10.0.0.1]"},
		{"INCLUDE (A) to INCLUDE (A+B)", only(s1), only(s1, s2), "allow [10.0.0.2]"},
		{"INCLUDE (A+B) to INCLUDE (A)", only(s1, s2), only(s1), "block [10.0.0.2]"},
		{"INCLUDE (A) to INCLUDE (B)", only(s1), only(s2), "allow [10.0.0.2], 239.1.2.3 block [10.0.0.1]"},
		{"INCLUDE (A) to INCLUDE (): leaves", only(s1), only(), "block [10.0.0.1]"},
		{"EXCLUDE (A) to EXCLUDE (A+B)", except(s1), except(s1, s2), "block [10.0.0.2]"},
		{"EXCLUDE (A+B) to EXCLUDE (A)", except(s1, s2), except(s1), "allow [10.0.0.2]"},
		{"EXCLUDE (A) to EXCLUDE (B)", except(s1), except(s2), "allow [10.0.0.1], 239.1.2.3 block [10.0.0.2]"},
		{"INCLUDE (A) to EXCLUDE (B)", only(s1), except(s2), "to_ex [10.0.0.2]"},
		{"EXCLUDE (A) to INCLUDE (B)", except(s1), only(s2), "to_in [10.0.0.2]"},
		{"EXCLUDE () to INCLUDE (): leaves", except(), only(), "to_in []"},
		{"no change", only(s1), only(s1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			m := s.joined(group4, test.before)
			s.set(m, test.after)
			if test.want == "" {
				s.quiet()
				s.wantIdle("nothing has changed")
				return
			}
			s.want("at once", "239.1.2.3 "+test.want)
			s.after(time.Second)
			s.want("and once more", "239.1.2.3 "+test.want)
			s.after(time.Hour)
			s.wantIdle("as often as robustness says")
		})
	}
}

func TestChangeIsRepeatedAtRandomTimes(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Robustness = 3 })
	s.random = uint64(300 * time.Millisecond)
	s.member(group6, anybody)
	s.want("at once", "ff05::123 to_ex []")
	require.EqualValues(t, s.now+int64(300*time.Millisecond), s.timers.Next(), "PollAt knows")
	s.after(299 * time.Millisecond)
	s.wantIdle("not yet")
	s.after(time.Millisecond)
	s.want("the second", "ff05::123 to_ex []")
	s.random = uint64(time.Second) - 1
	s.after(300 * time.Millisecond)
	s.want("the third", "ff05::123 to_ex []")
	s.after(time.Hour)
	s.wantIdle("no more")
}

func TestChangesMerge(t *testing.T) {
	s := newScript(t)
	s.half(time.Second)
	m := s.joined(group4, only(s1))

	s.set(m, only(s1, s2))
	s.want("a source more", "239.1.2.3 allow [10.0.0.2]")
	s.set(m, only(s1, s2, s3))
	s.want("another, and the first again", "239.1.2.3 allow [10.0.0.2 10.0.0.3]")
	s.after(time.Second)
	s.want("what was said only once", "239.1.2.3 allow [10.0.0.3]")

	s.set(m, only(s1, s2))
	s.want("a source less", "239.1.2.3 block [10.0.0.3]")
	s.set(m, only(s1, s2, s3))
	s.want("there it is again: as it is now", "239.1.2.3 allow [10.0.0.3]")
	s.after(time.Second)
	s.want("twice from the last change on", "239.1.2.3 allow [10.0.0.3]")

	s.set(m, only(s1))
	s.want("two less", "239.1.2.3 block [10.0.0.2 10.0.0.3]")
	s.set(m, anybody)
	s.want("the mode changes: all is in that", "239.1.2.3 to_ex []")
	s.set(m, except(s1))
	s.want("a source, while the mode is told of", "239.1.2.3 to_ex [10.0.0.1]")
	s.after(time.Second)
	s.want("it was told of once", "239.1.2.3 block [10.0.0.1]")
	s.after(time.Hour)
	s.wantIdle("all is said")

	m.Leave(s.now)
	s.want("leaves", "239.1.2.3 to_in []")
	s.member(group4, anybody)
	s.want("comes back", "239.1.2.3 to_ex []")
	s.after(time.Second)
	s.want("and the leaving is not repeated", "239.1.2.3 to_ex []")
	s.after(time.Hour)
	s.wantIdle("all is said")
}

func TestMembers(t *testing.T) {
	s := newScript(t)
	a, b := s.joined(group4, anybody), s.joined(group4, anybody)
	s.wantIdle("the second changes nothing")
	require.NoError(t, s.host.Join(s.now, group4))
	require.Equal(t, 3, s.host.Group(group4).Members())
	a.Leave(s.now)
	a.Leave(s.now)
	b.Leave(s.now)
	s.quiet()
	require.NotNil(t, s.host.Group(group4), "the stack itself is still there")
	s.host.Leave(s.now, group4)
	s.want("the last", "239.1.2.3 to_in []")
	require.Nil(t, s.host.Group(group4), "from now on nothing is received")
	require.NotEmpty(t, s.host.groups, "though it is still told of")
	s.quiet()
	require.Empty(t, s.host.groups, "then the group is forgotten")
	require.Equal(t, []string{"+239.1.2.3", "-239.1.2.3"}, s.groups)
	s.host.Leave(s.now, group4)
	require.ErrorIs(t, a.SetFilter(s.now, anybody), ip.ErrNoDevice)
	require.False(t, a.Allows(s1))
	require.False(t, a.Group().IsValid())
}

func TestMemberFilters(t *testing.T) {
	s := newScript(t)
	a, b := s.member(group4, only(s1)), s.member(group4, except(s1))
	require.True(t, a.Allows(s1))
	require.False(t, a.Allows(s2))
	require.False(t, b.Allows(s1))
	require.True(t, b.Allows(s2))
	require.True(t, s.host.Group(group4).Allows(s1), "one of them wants it")
	b.Leave(s.now)
	require.False(t, s.host.Group(group4).Allows(s2), "nobody wants it")
	require.Equal(t, only(s1), a.Filter())
	require.Equal(t, only(s1), s.host.Group(group4).Filter())
	require.EqualValues(t, 2, a.Link())
}

func TestUnreportedGroups(t *testing.T) {
	for _, group := range []string{"224.0.0.1", "ff02::1", "ff01::1", "ff01::123", "ff00::1"} {
		t.Run(group, func(t *testing.T) {
			s := newScript(t)
			m := s.member(addr(group), anybody)
			s.query(Query{Version: V3, Group: unspecified(addr(group)), MaxResponse: time.Second})
			s.query(Query{Version: V3, Group: addr(group), MaxResponse: time.Second})
			s.query(Query{Version: V2, Group: unspecified(addr(group)), MaxResponse: time.Second})
			s.query(Query{Version: V2, Group: addr(group), MaxResponse: time.Second})
			s.after(time.Hour)
			require.NotNil(t, s.host.Group(addr(group)))
			m.Leave(s.now)
			s.after(time.Hour)
			s.wantIdle("it is nobody's business")
		})
	}
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return all4
	}
	return all6
}

func TestRefused(t *testing.T) {
	s := newScript(t, func(c *Config) { c.MaxGroups, c.MaxSources = 2, 2 })
	for _, group := range []string{"10.0.0.1", "0.0.0.0", "fe80::1", "::ffff:239.1.2.3", "ff02::5%eth0"} {
		_, err := s.host.NewMember(s.now, 2, addr(group), anybody)
		require.ErrorIs(t, err, ip.ErrInvalid, group)
		require.ErrorContains(t, err, group)
		require.ErrorIs(t, s.host.Join(s.now, addr(group)), ip.ErrInvalid)
	}
	for _, source := range []string{"fe80::1", "0.0.0.0", "239.0.0.1", "::ffff:10.0.0.1"} {
		_, err := s.host.NewMember(s.now, 2, group4, only(addr(source)))
		require.ErrorIs(t, err, ip.ErrInvalid, source)
		require.ErrorContains(t, err, source)
	}
	_, err := s.host.NewMember(s.now, 2, group4, only(s1, s2, s3))
	require.ErrorIs(t, err, ip.ErrNoBufferSpace, "too many sources")
	require.Empty(t, s.host.groups, "nothing is left behind")
	s.wantIdle("nor was anything said")

	m := s.member(group4, only(s1, s2))
	_, err = s.host.NewMember(s.now, 2, group4, only(s3))
	require.ErrorIs(t, err, ip.ErrNoBufferSpace, "too many sources, taken together")
	require.ErrorIs(t, m.SetFilter(s.now, except(s1, s2, s3)), ip.ErrNoBufferSpace)
	require.Equal(t, only(s1, s2), m.Filter(), "nothing has changed")
	s.member(other4, anybody)
	_, err = s.host.NewMember(s.now, 2, addr("239.1.2.5"), anybody)
	require.ErrorIs(t, err, ip.ErrNoBufferSpace, "too many groups")
	s.host.Close()
	require.ErrorIs(t, s.host.Join(s.now, group4), ip.ErrNoDevice)
	m.Leave(s.now)
}

func TestWhatWasLeftIsBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.MaxGroups, c.MaxSources = 4, 4 })
	s.random = uint64(time.Second) - 1
	for i := range 1000 {
		m := s.member(netip.AddrFrom4([4]byte{239, 1, byte(i >> 8), byte(i)}), anybody)
		m.Leave(s.now)
		require.LessOrEqual(t, len(s.host.groups), 8)
		require.Len(t, s.host.order, len(s.host.groups))
	}
	s.quiet()
	require.Empty(t, s.host.groups)

	m := s.member(group4, anybody)
	for i := range 1000 {
		s.set(m, except(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})))
		require.LessOrEqual(t, len(s.host.groups[group4].sources), 8)
	}
	s.quiet()
}

func TestReportsThatAreTooLong(t *testing.T) {
	s := newScript(t)
	s.room = 8 + 2*4
	s.member(group4, only(s1, s2, s3))
	s.want("as many as are needed", "239.1.2.3 allow [10.0.0.1 10.0.0.2]", "239.1.2.3 allow [10.0.0.3]")
	s.member(other4, except(s1, s2, s3))
	s.want("exclusion cannot be divided: the rest is left out", "239.1.2.4 to_ex [10.0.0.1 10.0.0.2]")
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
	}{
		{"Timers", func(c *Config) { c.Timers = nil }},
		{"Link", func(c *Config) { c.Link = nil }},
		{"Rand", func(c *Config) { c.Rand = nil }},
		{"MaxGroups -1", func(c *Config) { c.MaxGroups = -1 }},
		{"MaxSources -1", func(c *Config) { c.MaxSources = -1 }},
		{"Robustness 8", func(c *Config) { c.Robustness = 8 }},
		{"QueryInterval -1s", func(c *Config) { c.QueryInterval = -time.Second }},
	} {
		s := newScript(t)
		cfg := s.host.cfg
		test.change(&cfg)
		_, err := New(cfg)
		require.ErrorIs(t, err, ErrConfig, test.name)
		require.ErrorContains(t, err, test.name)
	}
}

func TestAnnounce(t *testing.T) {
	s := newScript(t)
	s.joined(group6, anybody)
	s.joined(addr("ff35::1"), only(addr("fdaa::1")))
	s.joined(group4, anybody)
	s.host.Announce(s.now, true)
	want := []string{"ff05::123 to_ex []", "ff35::1 allow [fdaa::1]"}
	s.want("the interface has an address now", want...)
	s.after(time.Second)
	s.want("once more", want...)
	s.query(Query{Version: V2, Group: all6})
	s.quiet()
	s.host.Announce(s.now, true)
	s.want("in an older version", "v2 report ff05::123", "v2 report ff35::1")
}
