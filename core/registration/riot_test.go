package registration

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// What RIOT nodes said when one of them, 02:11:22:33:44:55:66:0b, came up in the network of another, 2001:db8::1: captured on
// ZEP's virtual radio, reassembled and decompressed, from the ICMPv6 header on.
var (
	riotAdvertisement = unhex(`
		8600b886 00000708 00000000 00000000
		0102 021122334455660a 000000000000
		2303 0000 0000 0000 20010db8000000000000000000000001
		0304 4040 ffffffff ffffffff 00000000 20010db8000000000000000000000000
		2202 4010 0000 0258 20010db800000000`)
	riotRegistration = unhex(`
		87002889 00000000 fe80000000000000001122334455660a
		0102 021122334455660b 000000000000
		2102 00 00 00 00 000f 021122334455660b`)
	riotRegistered = unhex(`
		8800d4a9 c0000000 fe80000000000000001122334455660a
		2102 00 00 00 00 000f 021122334455660b`)
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// find returns an option of a message.
func find(t *testing.T, message []byte, kind uint8) wire.NDOption {
	t.Helper()
	option, ok := wire.NDOptionsOf(message).Find(kind)
	require.True(t, ok)
	return option
}

func TestHostInRIOTsNetwork(t *testing.T) {
	s := newHostScript(t, func(cfg *HostConfig) { cfg.Lifetime = 15 * time.Minute })
	tentative, err := s.host.AddAddress(s.now, linkLocal)
	require.NoError(t, err)
	require.False(t, tentative, "a link-local address from the EUI-64 is unique")

	var ra wire.NDRouterAdvertisementRepr
	require.NoError(t, ra.Parse(riotAdvertisement))
	s.host.Advertised(s.now, routerA, &ra)
	require.Equal(t, riotAdvertisement[16:], []byte(ra.Options), "all of it is for slaac to read")
	s.want("the context", "contexts 0 2001:db8::/64 compress")
	s.ra(routerA, ra.RouterLifetime)
	s.wantIdle("there is nothing to register yet")

	tentative, err = s.host.AddAddress(s.now, global)
	require.NoError(t, err)
	require.True(t, tentative)
	s.want("the address that slaac has made", "register 2001:db8::11:2233:4455:660b at A")
	require.Equal(t, global, s.request.Source)
	require.Equal(t, routerA, s.request.Target)
	require.Equal(t, []byte(find(t, riotRegistration, wire.NDOptionAddressRegistration)),
		[]byte(wire.NDOptions{}.Append(&s.request.Option)), "as RIOT's host does")

	require.Equal(t, CauseNone, s.host.Answered(s.now, Answer{
		Source: border, Destination: global, Target: routerA, Option: find(t, riotRegistered, wire.NDOptionAddressRegistration),
	}))
	s.want("it can be used", "registered 2001:db8::11:2233:4455:660b")
	s.advance(10*time.Minute - 1)
	s.wantIdle("15 minutes are long")
	s.advance(1)
	s.want("well before they are over", "register 2001:db8::11:2233:4455:660b at A")
}

func TestBorderRouterOfRIOTsHost(t *testing.T) {
	s := newRouterScript(t)
	s.random = []uint64{uint64(time.Second)}
	require.Equal(t, CauseNone, s.router.Solicited(s.now, linkLocal, linkAddr))
	s.advance(time.Second)
	s.want("the answer goes to who asked", "advertise to fe80::11:2233:4455:660b at 02:11:22:33:44:55:66:0b")
	require.Equal(t, 30*time.Minute, s.ra.RouterLifetime)
	for _, kind := range []uint8{wire.NDOptionPrefixInformation, wire.NDOptionContext} {
		option, ok := s.ra.Options.Find(kind)
		require.True(t, ok)
		require.Equal(t, find(t, riotAdvertisement, kind), option, "as RIOT's border router says it")
	}
	var abro, theirs wire.NDBorderRouterRepr
	option, _ := s.ra.Options.Find(wire.NDOptionBorderRouter)
	require.NoError(t, abro.Parse(option))
	require.NoError(t, theirs.Parse(find(t, riotAdvertisement, wire.NDOptionBorderRouter)))
	require.Equal(t, theirs, abro)

	cause, replied := s.router.Requested(s.now, Solicitation{
		Source: global, Destination: routerA, Target: routerA, LinkAddr: linkAddr,
		Option: find(t, riotRegistration, wire.NDOptionAddressRegistration),
	})
	require.Equal(t, CauseNone, cause)
	require.True(t, replied)
	s.want("it is registered",
		"neighbour 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b for 15m0s",
		"reply to 2001:db8::11:2233:4455:660b at 02:11:22:33:44:55:66:0b: success")
	require.Equal(t, routerA, s.reply.Target)
	require.Equal(t, []byte(find(t, riotRegistered, wire.NDOptionAddressRegistration)),
		[]byte(wire.NDOptions{}.Append(&s.reply.Option)), "as RIOT's router does")
	s.advance(15 * time.Minute)
	s.want("it was not renewed", "no neighbour 2001:db8::11:2233:4455:660b")
}
