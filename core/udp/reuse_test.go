package udp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/stretchr/testify/require"
)

func TestWhoSharesAPort(t *testing.T) {
	none, port, addr, both := BindConfig{}, BindConfig{ReusePort: true}, BindConfig{ReuseAddr: true}, BindConfig{ReusePort: true, ReuseAddr: true}
	for _, test := range []struct {
		name          string
		first, second BindConfig
		shared        bool
	}{
		{"nobody", none, none, false},
		{"one of them, by port", port, none, false},
		{"the other, by port", none, port, false},
		{"by port", port, port, true},
		{"one of them, by address", addr, none, false},
		{"by address", addr, addr, true},
		{"each in another way", port, addr, false},
		{"one in both ways", port, both, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, locals := range [][2]string{
				{"0.0.0.0:53", "0.0.0.0:53"}, {"0.0.0.0:53", "10.0.0.1:53"}, {"10.0.0.1:53", "0.0.0.0:53"}, {"[::]:53", "[::]:53"},
			} {
				s := newScript(t)
				test.first.Local, test.second.Local = at(locals[0]), at(locals[1])
				s.bind(test.first)
				if test.shared {
					s.bind(test.second)
				} else {
					s.wantBindError("it is taken", test.second, ip.ErrAddressInUse)
				}
			}
		})
	}
}

func TestAddressSharedTheLastIsHeard(t *testing.T) {
	s := newScript(t)
	bind := func() *endpoint { return s.bind(BindConfig{Local: at("0.0.0.0:53"), ReuseAddr: true}) }
	first, second, third := bind(), bind(), bind()
	query := datagram{from: "192.168.69.9:1000", to: "192.168.69.1:53", payload: "x"}
	for _, last := range []*endpoint{third, second, first} {
		s.recv(query)
		last.want("it came last of those who are there", "x", query.from)
		for _, e := range []*endpoint{first, second, third} {
			e.wantNothing("nobody else gets it")
		}
		last.Close()
	}
	s.recv(query)
	s.wantUnreachable("nobody is there", query)
}

func TestPortSharedEachSenderHasItsOwn(t *testing.T) {
	s := newScript(t)
	var sharers []*endpoint
	for range 4 {
		sharers = append(sharers, s.bind(BindConfig{Local: at("[::]:53"), DualStack: true, ReusePort: true}))
	}
	heard := func(from string) (by int) {
		s.recv(datagram{from: from, to: "192.168.69.1:53", payload: "x"})
		by = -1
		for i, e := range sharers {
			if e.Received() > 0 {
				require.Equal(t, -1, by, "one gets it")
				e.want("it", "x", from)
				by = i
			}
		}
		return by
	}
	count := make(map[int]int)
	for i := range 400 {
		from := fmt.Sprintf("192.168.69.%d:%d", 2+i%200, 1000+i)
		by := heard(from)
		require.Equal(t, by, heard(from), "the same again")
		count[by]++
	}
	for i := range sharers {
		require.InDelta(t, 100, count[i], 50, "to each its share")
	}
	sharers[1].Close()
	sharers = append(sharers[:1], sharers[2:]...)
	for i := range 50 {
		require.NotEqual(t, -1, heard(fmt.Sprintf("192.168.69.9:%d", 1+i)), "those who are left get all")
	}
}

func TestGroupsAreHeardByAll(t *testing.T) {
	for _, group := range []string{"224.0.0.251:5353", "255.255.255.255:5353"} {
		s := newScript(t)
		share := func(local string, link int32) *endpoint {
			return s.bind(BindConfig{Local: at(local), Link: link, ReuseAddr: true, DualStack: true})
		}
		first, second := share("0.0.0.0:5353", 0), share("[::]:5353", 0)
		own := share(group, 0)
		connected := s.bind(BindConfig{Local: at("192.168.69.1:5353"), Remote: at("192.168.69.9:5353"), ReuseAddr: true})
		unicast, elsewhere, port := share("192.168.69.1:5353", 0), share("0.0.0.0:5353", 3), s.listen("0.0.0.0:5354")
		s.recv(datagram{from: "192.168.69.9:5353", to: group, payload: "who is there?"})
		for _, e := range []*endpoint{first, second, own} {
			e.want("all hear it", "who is there?", "192.168.69.9:5353")
		}
		for _, e := range []*endpoint{first, second, own, connected, unicast, elsewhere, port} {
			e.wantNothing("once, and nobody else")
		}
		require.EqualValues(t, 3, s.host.Counters().InDatagrams)
	}
}

// A subnet's broadcast address looks like any other; that it is one is known from below.
func TestSubnetBroadcastIsHeardByAll(t *testing.T) {
	s := newScript(t)
	first := s.bind(BindConfig{Local: at("0.0.0.0:7"), ReuseAddr: true})
	second := s.bind(BindConfig{Local: at("0.0.0.0:7"), ReuseAddr: true})
	d := datagram{from: "192.168.69.9:1", to: "192.168.69.255:7", payload: "x", link: 2}
	p := d.make()
	p.IP.Group = true
	s.input(p)
	first.want("a copy", "x", d.from)
	second.want("another", "x", d.from)
	first.wantNothing("once")
}

func TestHeaderOfOneDatagram(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("192.168.69.1:7"), Options: Options{HopLimit: 5, TrafficClass: 2}})
	for _, test := range []struct {
		name   string
		header Header
		want   datagram
	}{
		{"nothing", Header{}, datagram{from: "192.168.69.1:7", hopLimit: 5, class: 2}},
		{"hop limit", Header{HopLimit: 9}, datagram{from: "192.168.69.1:7", hopLimit: 9, class: 2}},
		{"traffic class", Header{TrafficClass: 9}, datagram{from: "192.168.69.1:7", hopLimit: 5, class: 9}},
		{"traffic class of 0", Header{HasTrafficClass: true}, datagram{from: "192.168.69.1:7", hopLimit: 5}},
		{"link", Header{Link: 3}, datagram{from: "192.168.69.1:7", hopLimit: 5, class: 2, link: 3}},
		{"source", Header{Source: addr("10.0.0.1")}, datagram{from: "10.0.0.1:7", hopLimit: 5, class: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.TB = t
			require.NoError(t, e.SendWith(epoch, text("x"), at("192.168.69.9:53"), test.header))
			test.want.to, test.want.payload = "192.168.69.9:53", "x"
			s.want(test.name, test.want)
		})
	}
	send := func(e *endpoint, header Header) error {
		return e.SendWith(epoch, text("x"), at("192.168.69.9:53"), header)
	}
	require.ErrorIs(t, send(e, Header{Source: addr("192.0.2.1")}), ip.ErrAddressNotAvailable)
	bound := s.bind(BindConfig{Local: at("0.0.0.0:8"), Link: 2})
	require.ErrorIs(t, send(bound, Header{Link: 3}), ip.ErrInvalid)
	require.NoError(t, send(bound, Header{Link: 2}))
	s.want("by the link that it is bound to", datagram{from: "192.168.69.1:8", to: "192.168.69.9:53", payload: "x"})
	s.wantIdle("nothing else")
	require.Equal(t, addr("10.0.0.1"), bound.Source(addr("10.9.9.9"), 3))
	s.noRoute = netip.MustParsePrefix("192.0.2.0/24")
	require.False(t, bound.Source(addr("192.0.2.1"), 0).IsValid(), "there is no way")
}

func TestPortSharedWhoLeavesIsMissedByNobody(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 0, 3}, {2, 0, 3, 1}} {
		s := newScript(t)
		var sharers [4]*endpoint
		for i := range sharers { // the second and the third share it in both ways
			sharers[i] = s.bind(BindConfig{Local: at("0.0.0.0:5353"), ReuseAddr: true, ReusePort: i == 1 || i == 2})
		}
		left := map[int]bool{0: true, 1: true, 2: true, 3: true}
		for _, i := range order {
			sharers[i].Close()
			delete(left, i)
			s.recv(datagram{from: "192.168.69.9:5353", to: "224.0.0.251:5353", payload: "who is there?"})
			for other := range left {
				sharers[other].want("those who are left hear the group", "who is there?", "192.168.69.9:5353")
			}
			if len(left) == 0 {
				break
			}
			s.recv(datagram{from: "192.168.69.9:1000", to: "192.168.69.1:5353", payload: "x"})
			heard := 0
			for other, e := range sharers {
				if left[other] {
					heard += e.Received()
					e.receiving.Reset()
				}
			}
			require.Equal(t, 1, heard, "one of them hears the rest")
		}
		require.Empty(t, s.host.ports)
		require.Empty(t, s.host.table)
		require.Empty(t, s.host.sharers)
		s.bind(BindConfig{Local: at("0.0.0.0:5353")})
	}
}

// What arrives for a port costs as much as it did, however many share it.
func BenchmarkSharedPort(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			host := newScript(b).host
			local := at("0.0.0.0:53")
			for range n {
				host.add(&Endpoint{host: host, local: local, reusePort: true})
			}
			k, remote := keyOf(local, netip.AddrPort{}, 0), at("192.168.69.9:1000")
			for b.Loop() {
				if host.find(k, remote, 0) == nil {
					b.Fatal("nobody")
				}
			}
		})
	}
}
