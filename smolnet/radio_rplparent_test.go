package smolnet_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// rplRoots makes two roots of DODAGs that do not hear each other, and a leaf between them that hears both. The second root's DODAG has
// the preference. What the leaf sends to a root, lose has get lost by chance.
func rplRoots(t *testing.T, medium *radio.Medium, objective uint16, dodags [2]netip.Addr, preference uint8) (
	roots [2]*smolnet.Stack, leaf *smolnet.Stack, lose func(root int, loss float64)) {
	t.Helper()
	var nodes []*radio.Node
	node := func(number int, x float64, ifc smolnet.Interface) *smolnet.Stack {
		nodes = append(nodes, medium.Node(radio.NodeConfig{X: x, EUI64: meshEUI64(number)}))
		s := newStack(t, smolnet.Config{Rand: rand.NewChaCha8([32]byte{byte(number)})})
		ifc.Name, ifc.Device = "radio", nodes[len(nodes)-1]
		_, err := s.AddInterface(ifc)
		require.NoError(t, err)
		return s
	}
	for i := range roots {
		roots[i] = node(1+i, float64(2*i-1), smolnet.Interface{
			Addresses: []netip.Prefix{netip.PrefixFrom(dodags[i], 64)}, Forward: true,
			IEEE802154: &core.IEEE802154Config{Contexts: meshContexts, RPLRoot: &rpl.RootConfig{
				DODAG: dodags[i], Mode: wire.RPLStoring, Preference: preference * uint8(i),
				Configuration: wire.RPLDODAGConfigurationRepr{Objective: objective},
				Prefixes: []wire.RPLPrefixInformationRepr{{
					Prefix: netip.PrefixFrom(dodags[i], 64).Masked(), Autonomous: true,
					ValidLifetime: wire.NDInfiniteLifetime, PreferredLifetime: wire.NDInfiniteLifetime,
				}},
			}},
		})
	}
	leaf = node(3, 0, smolnet.Interface{
		IEEE802154: &core.IEEE802154Config{Contexts: meshContexts, RPLLeaf: new(rpl.LeafConfig)},
	})
	return roots, leaf, func(root int, loss float64) { medium.SetLoss(nodes[2], nodes[root], loss) }
}

// parentOf is a leaf's parent, once its DAO is acknowledged.
func parentOf(t *testing.T, leaf *smolnet.Stack) netip.Addr {
	t.Helper()
	for range 600 {
		if state, ok := leaf.Links()[1].RPL(); ok && state.Acked {
			return state.Parent
		}
		time.Sleep(time.Second) // virtual
	}
	require.Fail(t, "the leaf has not joined")
	return netip.Addr{}
}

// A leaf that hears two roots joins the DODAG that is preferred, and the other one when the root of that is gone.
func TestRPLParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Seed: 1, Loss: 0.05, Range: 1, Bitrate: radio.Bitrate2450MHz})
		dodags := [2]netip.Addr{netip.MustParseAddr("2001:db8:a::1"), netip.MustParseAddr("2001:db8:b::1")}
		roots, leaf, _ := rplRoots(t, medium, wire.RPLObjectiveZero, dodags, 7)
		time.Sleep(time.Minute) // virtual
		require.Equal(t, linkLocal(t, roots[1]), parentOf(t, leaf))
		testRadioUDP(t, roots[1], leaf, netip.MustParseAddr("2001:db8:b::3"))

		require.NoError(t, roots[1].Close())
		// Nobody asks after it until there is something for it.
		_, err := leaf.Dial("tcp", "[2001:db8:b::1]:7")
		require.Error(t, err)
		time.Sleep(time.Minute) // virtual
		require.Equal(t, linkLocal(t, roots[0]), parentOf(t, leaf))
		testRadioUDP(t, roots[0], leaf, netip.MustParseAddr("2001:db8:a::3"))
	})
}

// Two roots that are one to others (RFC 6550, section 8.2: a virtual root) are parents of equal rank. That to which frames get lost is
// left by MRHOF: what counts is how often they have to be sent.
func TestRPLParentByETX(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(radio.Config{Seed: 1, Range: 1, Bitrate: radio.Bitrate2450MHz})
		roots, leaf, lose := rplRoots(t, medium, wire.RPLObjectiveMRHOF, [2]netip.Addr{meshAddr(1), meshAddr(1)}, 0)
		first := parentOf(t, leaf)
		near := 0
		if first == linkLocal(t, roots[1]) {
			near = 1
		}
		require.Equal(t, linkLocal(t, roots[near]), first)
		lose(near, 0.75)
		c, err := leaf.Dial("udp", netip.AddrPortFrom(meshAddr(1), 9).String())
		require.NoError(t, err)
		defer c.Close()
		for range 50 {
			_, err := c.Write([]byte("does that arrive?"))
			if err != nil {
				t.Log(err) // nobody listens
			}
			time.Sleep(100 * time.Millisecond) // virtual
		}
		require.Equal(t, linkLocal(t, roots[1-near]), parentOf(t, leaf))
	})
}
