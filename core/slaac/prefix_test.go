package slaac

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

const homeAddress = "2001:db8:1::ff:fe00:1"

// quiet is a script whose host has a default router for ever, and so asks nothing more.
func quiet(t *testing.T, change ...func(*Config)) *script {
	s := started(t, change...)
	s.recv(routerC, ra(0), rio(defaultDestination, 0, infinite))
	s.forget()
	return s
}

// TestPrefix goes through what an advertisement can say of a prefix.
func TestPrefix(t *testing.T) {
	made := func(preferred, valid string) string {
		return "address " + homeAddress + "/64 preferred " + preferred + " valid " + valid
	}
	const route, noRoute = "route 2001:db8:1::/64 metric 256", "no route 2001:db8:1::/64"
	recv := func(options ...wire.NDOptionRepr) func(*script) {
		return func(s *script) { s.recv(routerA, ra(0), options...) }
	}
	then := func(steps ...func(*script)) func(*script) {
		return func(s *script) {
			for i, step := range steps {
				if i == len(steps)-1 {
					s.forget()
				}
				step(s)
			}
		}
	}
	wait := func(d time.Duration) func(*script) { return func(s *script) { s.advance(d) } }
	for _, row := range []struct {
		name  string
		event func(s *script)
		want  []string
	}{
		{"both flags", recv(pio(home, time.Hour, 2*time.Hour)),
			[]string{route, made("1h0m0s", "2h0m0s"), "prefixes changed"}},
		{"on link only", recv(onLink(home, time.Hour)), []string{route, "prefixes changed"}},
		{"autonomous only", recv(auto(home, time.Hour, 2*time.Hour)), []string{made("1h0m0s", "2h0m0s"), "prefixes changed"}},
		{"neither flag", recv(&wire.NDPrefixInformationRepr{Prefix: home, ValidLifetime: time.Hour}), nil},
		{"lifetimes without end", recv(pio(home, infinite, infinite)), []string{route, made("ever", "ever"), "prefixes changed"}},
		{"preferred lifetime zero", recv(auto(home, 0, time.Hour)), []string{made("0s", "1h0m0s"), "prefixes changed"}},
		{"valid lifetime zero", recv(pio(home, 0, 0)), nil},
		{"autonomous, prefix too short", recv(auto(pfx("2001:db8::/48"), time.Hour, time.Hour)), nil},
		{"autonomous, prefix too long", recv(auto(pfx("2001:db8::/80"), time.Hour, time.Hour)), nil},
		{"on link, of any length", recv(pio(pfx("2001:db8:9::/80"), time.Hour, time.Hour)),
			[]string{"route 2001:db8:9::/80 metric 256", "prefixes changed"}},
		{"link-local prefix", recv(pio(pfx("fe80::/64"), time.Hour, time.Hour)), nil},
		{"part of the link-local prefix", recv(pio(pfx("fe80:0:0:1::/64"), time.Hour, time.Hour)), nil},
		{"multicast prefix", recv(pio(pfx("ff02::/64"), time.Hour, time.Hour)), nil},
		{"no room on the interface", func(s *script) {
			s.full = true
			s.recv(routerA, ra(0), auto(home, time.Hour, time.Hour))
		}, []string{"no room for address " + homeAddress + "/64", "prefixes changed"}},
		{"no room on the interface at first", then(
			func(s *script) { s.full = true }, recv(auto(home, time.Hour, time.Hour)),
			func(s *script) { s.full = false }, recv(auto(home, time.Hour, time.Hour)),
		), []string{made("1h0m0s", "1h0m0s")}},
		{"two prefixes", recv(auto(home, time.Hour, time.Hour), auto(office, time.Hour, time.Hour)),
			[]string{made("1h0m0s", "1h0m0s"), "address 2001:db8:2::ff:fe00:1/64 preferred 1h0m0s valid 1h0m0s", "prefixes changed"}},

		{"on link: lifetime over", then(recv(onLink(home, time.Hour)), wait(time.Hour)), []string{noRoute, "prefixes changed"}},
		{"on link: lifetime extended", then(recv(onLink(home, time.Hour)), recv(onLink(home, 2*time.Hour)), wait(time.Hour)), nil},
		{"on link: lifetime shortened, even to less than two hours", then(recv(onLink(home, 5*time.Hour)),
			recv(onLink(home, time.Second)), wait(time.Second)), []string{noRoute, "prefixes changed"}},
		{"on link: lifetime zero", then(recv(onLink(home, 5*time.Hour)), recv(onLink(home, 0))), []string{noRoute, "prefixes changed"}},
		{"on link: without the flag it says nothing of that", then(recv(pio(home, time.Hour, time.Hour)), recv(auto(home, time.Hour, time.Hour))), nil},
		{"on link: all is forgotten", then(recv(onLink(home, infinite)), func(s *script) { s.host.Stop(s.now) }),
			[]string{noRoute, "no route ::/0 via fe80::c", "routers changed", "prefixes changed"}},

		{"autonomous: the same again", then(recv(auto(home, time.Hour, 3*time.Hour)), recv(auto(home, time.Hour, 3*time.Hour))), nil},
		{"autonomous: lifetimes extended", then(recv(auto(home, time.Minute, time.Minute)), recv(auto(home, time.Hour, time.Hour))),
			[]string{made("1h0m0s", "1h0m0s")}},
		{"autonomous: extended to less than two hours", then(recv(auto(home, time.Minute, time.Minute)),
			recv(auto(home, time.Minute, 2*time.Minute))), []string{made("1m0s", "2m0s")}},
		{"autonomous: shortened to more than two hours", then(recv(auto(home, time.Hour, 9*time.Hour)),
			recv(auto(home, time.Hour, 3*time.Hour))), []string{made("1h0m0s", "3h0m0s")}},
		{"autonomous: shortened to less than two hours", then(recv(auto(home, time.Hour, 9*time.Hour)),
			recv(auto(home, time.Minute, time.Minute))), []string{made("1m0s", "2h0m0s")}},
		{"autonomous: shortened when there are less than two hours left", then(recv(auto(home, time.Hour, time.Hour)),
			recv(auto(home, time.Hour, time.Hour-time.Second))), []string{made("59m59s", "1h0m0s")}},
		{"autonomous: valid lifetime zero", then(recv(auto(home, infinite, infinite)), recv(auto(home, 0, 0))),
			[]string{made("0s", "2h0m0s")}},
		{"autonomous: deprecated", then(recv(auto(home, infinite, infinite)), recv(auto(home, 0, infinite))),
			[]string{made("0s", "ever")}},
		{"autonomous: preferred again", then(recv(auto(home, 0, infinite)), recv(auto(home, infinite, infinite))),
			[]string{made("ever", "ever")}},
		{"autonomous: valid lifetime over", then(recv(auto(home, time.Hour, time.Hour)), wait(time.Hour)),
			[]string{"no address " + homeAddress, "prefixes changed"}},
		{"autonomous: the link has found so before", then(recv(auto(home, time.Hour, time.Hour)), func(s *script) {
			delete(s.addresses, ip(homeAddress))
			s.host.Expired(s.now, ip(homeAddress))
		}, wait(time.Hour)), []string{"prefixes changed"}},
		{"autonomous: made again afterwards", then(recv(auto(home, time.Hour, time.Hour)), wait(time.Hour),
			recv(auto(home, time.Hour, time.Hour))), []string{made("1h0m0s", "1h0m0s"), "prefixes changed"}},
		{"autonomous: all is forgotten", then(recv(auto(home, infinite, infinite)), func(s *script) { s.host.Stop(s.now) }),
			[]string{"no address " + homeAddress, "no route ::/0 via fe80::c", "routers changed", "prefixes changed"}},

		{"duplicate: an identifier from the hardware address is of no more use", then(recv(auto(home, infinite, infinite)),
			func(s *script) { s.host.Duplicate(s.now, ip(homeAddress)) }, recv(auto(home, time.Hour, infinite)), wait(time.Hour)), nil},
		{"duplicate: an address that is none of the host's", then(recv(auto(home, infinite, infinite)),
			func(s *script) { s.host.Duplicate(s.now, ip("2001:db8::1")) }), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := quiet(t)
			row.event(s)
			require.Equal(t, row.want, s.events)
			require.Greater(t, s.timers.Next(), s.now, "nothing that is over is waited for")
		})
	}
}

// TestStableAddress is RFC 7217: an address anew after a duplicate, a few times.
func TestStableAddress(t *testing.T) {
	secret := []byte("sixteen octets!!")
	s := quiet(t, func(c *Config) { c.Secret = secret })
	address := func(duplicates uint8) netip.Addr { return Stable(home, "eth0", duplicates, secret).With(home).Addr() }
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	s.want("the first", "address "+address(0).String()+"/64 preferred ever valid ever", "prefixes changed")
	for n := uint8(1); n <= 3; n++ {
		s.random = []uint64{uint64(time.Second / 2)}
		s.host.Duplicate(s.now, address(n-1))
		s.advance(time.Second/2 - 1)
		s.wantIdle("hosts that collided do not do it again together")
		s.advance(1)
		s.want("another", "address "+address(n).String()+"/64 preferred ever valid ever")
	}
	s.host.Duplicate(s.now, address(3))
	s.recv(routerA, ra(0), auto(home, infinite, infinite))
	s.advance(time.Hour)
	s.wantIdle("something is wrong here")
	require.EqualValues(t, 4, s.host.Counters().Duplicates)
}

func TestStableIdentifiers(t *testing.T) {
	secret, other := []byte("sixteen octets!!"), []byte("sixteen others!!")
	all := map[Identifier]bool{}
	for _, prefix := range []netip.Prefix{home, office} {
		for _, name := range []string{"eth0", "eth1", "eth"} {
			for duplicates := range uint8(3) {
				for _, key := range [][]byte{secret, other} {
					id := Stable(prefix, name, duplicates, key)
					require.Equal(t, id, Stable(prefix, name, duplicates, key), "always the same")
					require.False(t, all[id], "different from every other")
					all[id] = true
				}
			}
		}
	}
}

func TestReservedIdentifiers(t *testing.T) {
	for _, row := range []struct {
		name string
		id   Identifier
		want bool
	}{
		{"subnet-router anycast", Identifier{}, true},
		{"one", Identifier{7: 1}, false},
		{"first subnet anycast", Identifier{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80}, true},
		{"last subnet anycast", Identifier{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
		{"before them", Identifier{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, false},
		{"after them", Identifier{0xfe}, false},
		{"IANA's Ethernet block", Identifier{2, 0, 0x5e, 0xff, 0xfe, 0, 0x52, 0x13}, true},
		{"another Ethernet block", Identifier{2, 0, 0x5f, 0xff, 0xfe, 0, 0x52, 0x13}, false},
	} {
		t.Run(row.name, func(t *testing.T) { require.Equal(t, row.want, row.id.reserved()) })
	}
}

func TestPrefixesAreBounded(t *testing.T) {
	s := quiet(t, func(c *Config) { c.Limits.Prefixes = 2 })
	s.recv(routerA, ra(0), auto(home, infinite, infinite), onLink(office, infinite))
	s.forget()
	for i := range 100 {
		s.recv(routerB, ra(0), pio(netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: byte(i)}), 64), time.Hour, time.Hour))
	}
	s.wantIdle("a flood pushes out nothing")
	require.Equal(t, []Prefix{
		{Prefix: home, PreferredUntil: timer.Never, ValidUntil: timer.Never}, {Prefix: office, OnLinkUntil: timer.Never},
	}, s.host.Prefixes())
	require.EqualValues(t, 100, s.host.Counters().Refused)
}
