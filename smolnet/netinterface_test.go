package smolnet_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// addressTexts are the addresses as text, of which all have the type of the first argument.
func addressTexts[T net.Addr](t *testing.T, addrs []net.Addr, err error) (all []string) {
	t.Helper()
	require.NoError(t, err)
	for _, addr := range addrs {
		require.IsType(t, *new(T), addr)
		all = append(all, addr.String())
	}
	return all
}

func TestInterfacesAsPackageNetDescribesThem(t *testing.T) {
	s := newStack(t, smolnet.Config{})
	ethernet, _ := pipe.New(pipe.Config{MTU: 1400})
	packets, _ := pipe.New(pipe.Config{Medium: dev.IP})
	hardware := wire.HardwareAddr{2, 0, 0, 0, 0, 1}
	_, err := s.AddInterface(smolnet.Interface{
		Name: "wire", Device: ethernet, HardwareAddr: hardware, NoIPv6: true, Addresses: firstAddresses[:1],
	})
	require.NoError(t, err)
	_, err = s.AddInterface(smolnet.Interface{
		Device: packets, Addresses: []netip.Prefix{netip.MustParsePrefix("fdaa::1/64"), netip.MustParsePrefix("fe80::1/64")},
	})
	require.NoError(t, err)

	all, err := s.Interfaces()
	require.NoError(t, err)
	require.Len(t, all, 3)
	lo, wired, tunnel := &all[0], &all[1], &all[2]
	require.Equal(t, 1, lo.Index)
	require.Equal(t, net.FlagUp|net.FlagRunning|net.FlagLoopback, lo.Flags)
	require.Empty(t, lo.HardwareAddr)
	require.Equal(t, net.Interface{
		Index: 2, Name: "wire", MTU: 1400, HardwareAddr: hardware[:], Flags: net.FlagUp | net.FlagRunning | net.FlagBroadcast | net.FlagMulticast,
	}, wired.Interface)
	require.Equal(t, "if3", tunnel.Name)
	require.Equal(t, net.FlagUp|net.FlagRunning|net.FlagPointToPoint|net.FlagMulticast, tunnel.Flags)

	addrs, err := lo.Addrs()
	require.Equal(t, []string{"127.0.0.1/8", "::1/128"}, addressTexts[*net.IPNet](t, addrs, err))
	addrs, err = wired.Addrs()
	require.Equal(t, []string{"192.168.69.1/24"}, addressTexts[*net.IPNet](t, addrs, err))
	addrs, err = tunnel.Addrs()
	require.ElementsMatch(t, []string{"fdaa::1/64", "fe80::1/64"}, addressTexts[*net.IPNet](t, addrs, err))
	addrs, err = s.InterfaceAddrs()
	require.Len(t, addressTexts[*net.IPNet](t, addrs, err), 5)
	addrs, err = wired.MulticastAddrs()
	require.Equal(t, []string{"224.0.0.1"}, addressTexts[*net.IPAddr](t, addrs, err))
	addrs, err = tunnel.MulticastAddrs()
	require.Equal(t, []string{"ff02::1"}, addressTexts[*net.IPAddr](t, addrs, err))

	byName, err := s.InterfaceByName("wire")
	require.NoError(t, err)
	require.Equal(t, wired, byName)
	byIndex, err := s.InterfaceByIndex(3)
	require.NoError(t, err)
	require.Equal(t, tunnel, byIndex)
	for _, find := range []func() (*smolnet.NetInterface, error){
		func() (*smolnet.NetInterface, error) { return s.InterfaceByName("nowhere") },
		func() (*smolnet.NetInterface, error) { return s.InterfaceByIndex(4) },
	} {
		none, err := find()
		require.Nil(t, none)
		require.EqualError(t, err, "route ip+net: no such network interface")
		require.IsType(t, (*net.OpError)(nil), err)
	}
}
