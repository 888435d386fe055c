package smolnet_test

import (
	"io"
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

// A leaf joins the network of a root, makes itself an address from the root's prefix, and can be reached there.
func TestRPL(t *testing.T) {
	for _, mode := range []wire.RPLMode{wire.RPLStoring, wire.RPLNonStoring} {
		for _, objective := range []uint16{wire.RPLObjectiveZero, wire.RPLObjectiveMRHOF} {
			for _, loss := range []float64{0, 0.1} {
				t.Run(mode.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testRPL(t, mode, objective, loss) })
				})
			}
		}
	}
}

func testRPL(t *testing.T, mode wire.RPLMode, objective uint16, loss float64) {
	prefix := netip.MustParsePrefix("2001:db8::/64")
	own := netip.MustParseAddr("2001:db8::1")
	medium := radio.New(radio.Config{Seed: 3, Loss: loss, Bitrate: radio.Bitrate2450MHz})
	root := radioNode(t, medium, 1, radio.NodeConfig{}, smolnet.Interface{
		Forward: true, Addresses: []netip.Prefix{netip.PrefixFrom(own, 64)},
		IEEE802154: &core.IEEE802154Config{RPLRoot: &rpl.RootConfig{
			DODAG: own, Mode: mode, TargetsIn: []netip.Prefix{prefix},
			Prefixes: []wire.RPLPrefixInformationRepr{{
				Prefix: prefix, Autonomous: true, PreferredLifetime: wire.NDInfiniteLifetime, ValidLifetime: wire.NDInfiniteLifetime,
			}},
			Configuration: wire.RPLDODAGConfigurationRepr{Objective: objective},
		}},
	})
	leaf := newStack(t, smolnet.Config{})
	w := leaf.Watch()
	defer w.Close()
	_, err := leaf.AddInterface(smolnet.Interface{
		Name: "radio", Device: medium.Node(radio.NodeConfig{}), IEEE802154: &core.IEEE802154Config{RPLLeaf: &rpl.LeafConfig{}},
	})
	require.NoError(t, err)

	require.Equal(t, linkLocal(t, root), next(t, w, core.ParentChanged).Addr)
	link := leaf.Links()[1]
	var addr netip.Addr
	for addr = (netip.Addr{}); !addr.IsValid(); time.Sleep(10 * time.Millisecond) {
		for _, a := range link.Addresses() {
			if prefix.Contains(a.Prefix.Addr()) {
				addr = a.Prefix.Addr()
			}
		}
	}
	for state, ok := link.RPL(); !state.Acked; state, ok = link.RPL() {
		require.True(t, ok)
		require.Equal(t, own, state.DODAG)
		time.Sleep(10 * time.Millisecond)
	}
	require.Len(t, root.Links()[1].RPLTargets(), 1)

	talk := func(client, server *smolnet.Stack, at netip.Addr) {
		l, err := server.Listen("tcp", netip.AddrPortFrom(at, 7).String())
		require.NoError(t, err)
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
		c, err := client.Dial("tcp", netip.AddrPortFrom(at, 7).String())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("over the air"))
		require.NoError(t, err)
		require.NoError(t, c.(*smolnet.TCPConn).CloseWrite())
		echo, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "over the air", string(echo))
	}
	talk(leaf, root, own)
	talk(root, leaf, addr)
}
