package registration

import (
	"net/netip"
	"testing"
	"time"

	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/wire"
)

// FuzzRegistration has a host and a router hear anything, and time pass meanwhile. What they know must stay within bounds, and
// neither may wait for what has passed.
//
// Of the octets, each step takes one that says what happens, one for which address or router it is, and one for how many octets more.
func FuzzRegistration(f *testing.F) {
	step := func(kind, which byte, data []byte) []byte {
		return append([]byte{kind, which, byte(len(data))}, data...)
	}
	var boot []byte
	boot = append(boot, step(0, 2, nil)...)
	boot = append(boot, step(1, 0, riotAdvertisement[16:])...)
	boot = append(boot, step(2, 0, riotRegistered[24:])...)
	boot = append(boot, step(3, 2, riotRegistration[40:])...)
	boot = append(boot, step(4, 1, nil)...)
	boot = append(boot, step(5, 200, nil)...)
	f.Add(boot)
	f.Add(append(boot, step(6, 2, nil)...))
	f.Add(append(step(1, 0, unhex("2401 0002 00000000")), append(step(0, 1, nil), step(2, 1, unhex("2102 0000 01f0 003c 021122334455660b"))...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		hs, rs := newHostScript(t, func(cfg *HostConfig) { cfg.Registrars = 2 }), newRouterScript(t, func(cfg *RouterConfig) {
			cfg.Registrations, cfg.PerLinkAddr, cfg.Solicitors = 4, 2, 2
		})
		addresses := []netip.Addr{routerA, linkLocal, global, other, routerB, ip("fe80::3"), border, netip.IPv6Unspecified(), ip("ff02::1")}
		links := []wire.LinkAddr{{}, linkAddr, wire.ShortAddr(1), wire.ShortAddr(2), wire.BroadcastShortAddr}
		host, router := hs.host, rs.router
		for steps := 0; len(b) >= 3 && steps < 200; steps++ {
			kind, which, n := b[0]%8, b[1], min(int(b[2]), len(b)-3)
			data := b[3 : 3+n]
			b = b[3+n:]
			addr, from := addresses[int(which)%len(addresses)], addresses[int(which>>4)%len(addresses)]
			switch kind {
			case 0:
				_, _ = host.AddAddress(hs.now, addr)
			case 1:
				options, err := wire.ParseNDOptions(data)
				if err != nil {
					break
				}
				ra := wire.NDRouterAdvertisementRepr{RouterLifetime: time.Duration(which) * time.Minute, Options: options}
				host.Advertised(hs.now, addr, &ra)
				routers := []slaac.Router{{Addr: addr, Until: hs.now + int64(ra.RouterLifetime)}, {Addr: from, Until: 1, Reachable: true}}
				hs.routers = routers[:1+int(which)%2]
				host.SetRouters(hs.now, hs.routers)
			case 2:
				host.Answered(hs.now, Answer{Source: from, Destination: addresses[n%len(addresses)], Target: addr, Option: data})
				if n > 0 { // and the right answer, too
					hs.answer(wire.RegistrationStatus(data[0] % 12))
				}
			case 3:
				router.Requested(rs.now, Solicitation{
					Source: addr, Destination: routerA, Target: from, LinkAddr: links[int(which)%len(links)], Option: data,
				})
			case 4:
				router.Solicited(rs.now, addr, links[n%len(links)])
			case 5:
				hs.advance(time.Duration(which) * time.Minute)
				rs.advance(time.Duration(which) * time.Minute)
			case 6:
				host.RemoveAddress(hs.now, addr)
			case 7:
				router.Confirmed(addr)
			}
			hs.forget()
			rs.forget()
			if len(host.routers) > DefaultMaxRouters || len(host.addresses) > DefaultMaxAddresses || len(host.border) > DefaultMaxBorder {
				t.Fatal("the host knows too much")
			}
			if len(router.registry.entries) > 4 || len(router.solicitors) > 2 || len(rs.known) != len(router.registry.entries) {
				t.Fatal("the router knows too much, or has told too little")
			}
			if hs.timers.Next() < hs.now || rs.timers.Next() < rs.now {
				t.Fatal("something waits for what has passed")
			}
		}
		host.Stop(hs.now)
		router.Stop(rs.now)
		if len(rs.known) != 0 || len(router.registry.perLinkAddr) != 0 || router.registry.probation.Len() != 0 {
			t.Fatal("something is left")
		}
	})
}
