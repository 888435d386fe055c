package smolnet_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// radioKey is the key of the tests' networks, by the index 1.
const radioKey = "a secret of ours"

// secured has frames secured with a key.
func secured(key string, mode wire.IEEE802154KeyMode, level uint8) smolnet.Interface {
	k := ieee802154.Key{Mode: mode}
	if mode != wire.IEEE802154KeyImplicit {
		k.Index = 1
	}
	copy(k.Secret[:], key)
	return smolnet.Interface{IEEE802154: &core.IEEE802154Config{
		PAN: 0x23, Security: &ieee802154.SecurityConfig{Keys: []ieee802154.Key{k}, Level: level},
	}}
}

// Frames may be secured, in whatever way, and everything works as it does otherwise; who has not the key is not heard.
func TestRadioSecurity(t *testing.T) {
	for _, mode := range []wire.IEEE802154KeyMode{wire.IEEE802154KeyImplicit, wire.IEEE802154KeyIndex} {
		for level := uint8(1); level <= 7; level++ {
			t.Run(fmt.Sprintf("mode %v, level %d", mode, level), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					medium := radio.New(radio.Config{Seed: 1, Loss: 0.05, Bitrate: radio.Bitrate2450MHz})
					first := radioNode(t, medium, 1, radio.NodeConfig{}, secured(radioKey, mode, level))
					second := radioNode(t, medium, 2, radio.NodeConfig{}, secured(radioKey, mode, level))
					testRadioUDP(t, first, second, radioAddr(t, second))
					testRadioTransfer(t, first, second, netip.AddrPortFrom(radioAddr(t, second), 7), 20<<10)
					testRadioHTTP(t, first, second, radioAddr(t, second))
					time.Sleep(time.Minute) // virtual: the last connection is closed
					for _, stranger := range []smolnet.Interface{
						secured("another's secret", mode, level), {IEEE802154: &core.IEEE802154Config{PAN: 0x23}},
					} {
						s := radioNode(t, medium, 3, radio.NodeConfig{}, stranger)
						before := second.Links()[1].Counters().IPv6.InReceives
						_, err := s.Dial("tcp", netip.AddrPortFrom(radioAddr(t, second), 80).String())
						require.Error(t, err)
						require.Equal(t, before, second.Links()[1].Counters().IPv6.InReceives)
					}
				})
			})
		}
	}
}
