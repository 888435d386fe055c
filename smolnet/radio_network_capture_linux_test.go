package smolnet_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// recordRadio captures what is on the air while the conversation lasts. tshark must find nothing to complain about.
func recordRadio(t *testing.T, config radio.Config, conversation func(t *testing.T, medium *radio.Medium)) *capture {
	t.Helper()
	c := new(capture)
	if !c.readable(t) {
		t.Skip("there is no tshark")
	}
	frames := 0
	synctest.Test(t, func(t *testing.T) {
		medium := radio.New(config)
		writer, err := pcap.NewWriter(c, pcap.Config{})
		require.NoError(t, err)
		sniffer, err := pcap.New(medium.Node(radio.NodeConfig{}), writer, pcap.InterfaceConfig{})
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for sniffer.WaitReceive() == nil {
				frames += len(sniffed(t, sniffer))
			}
		}()
		conversation(t, medium)
		synctest.Wait()
		require.NoError(t, sniffer.Close())
		<-done
		require.NoError(t, writer.Err())
	})
	require.Len(t, c.radioFields(t, "wpan", "frame.number"), frames)
	require.Empty(t, c.radioFields(t,
		`_ws.malformed || _ws.expert.severity >= 0x600000 || (wpan.frame_type == 1 && !6lowpan) || icmpv6.checksum.status == "Bad"`,
		"frame.number", "_ws.col.Info", "_ws.expert.message"))
	return c
}

// How a host begins, by the example in RFC 6775: it asks for routers, is told of prefix, contexts and border router, makes itself an
// address and registers that.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-10.2
func TestRadioBootstrapping(t *testing.T) {
	c := recordRadio(t, radio.Config{Bitrate: radio.Bitrate2450MHz}, func(t *testing.T, medium *radio.Medium) {
		near, far := pipe.New(pipe.Config{})
		_, host := borderRouter(t, medium, near), wired(t, far)
		node := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, smolnet.Interface{
			Autoconf: true, IEEE802154: &core.IEEE802154Config{Registration: registration.HostConfig{Mode: registration.ModeBasic}},
		})
		require.Equal(t, meshAddr(2), configured(t, node))
		testRadioUDP(t, node, host, wiredHost.Addr())
		time.Sleep(time.Hour) // virtual
	})
	const unicast = "02:00:00:00:00:00:00:0"
	rows := c.radioFields(t, "icmpv6.type in {133, 134, 135, 136}", "icmpv6.type", "wpan.src64", "wpan.dst16", "wpan.dst64", "ipv6.src", "ipv6.dst",
		"icmpv6.opt.type", "icmpv6.opt.aro.registration_lifetime", "icmpv6.opt.aro.eui64")
	require.GreaterOrEqual(t, len(rows), 4)
	for i, want := range []struct {
		what string
		row  []string // of what must be there
	}{
		{"who is a router?", []string{"133", unicast + "2", "0xffff", "", "fe80::2", "ff02::2"}},
		{"this one", []string{"134", unicast + "1", "", unicast + "2", "fe80::1", "fe80::2"}},
		{"register this address", []string{"135", unicast + "2", "", unicast + "1", meshAddr(2).String(), "fe80::1"}},
		{"done", []string{"136", unicast + "1", "", unicast + "2", "fe80::1", meshAddr(2).String()}},
	} {
		require.Equal(t, want.row, strings.Split(rows[i], "\t")[:len(want.row)], "%s; in\n%s", want.what, strings.Join(rows, "\n"))
	}
	options := func(i int) []string { return strings.Split(strings.Split(rows[i], "\t")[6], ",") }
	require.Contains(t, options(0), "1", "source link-layer address")
	require.Subset(t, options(1), []string{"1", "3", "34", "35"}, "prefix, contexts and border router besides")
	require.Subset(t, options(2), []string{"1", "33"}, "address registration besides")
	require.Contains(t, options(3), "33")
	require.Equal(t, "60", strings.Split(rows[2], "\t")[7], "minutes")
	require.Equal(t, strings.Split(rows[2], "\t")[7:], strings.Split(rows[3], "\t")[7:])
}

// What nodes of RPL say to each other, and what they carry.
func TestRadioRPLCapture(t *testing.T) {
	for _, mode := range []wire.RPLMode{wire.RPLStoring, wire.RPLNonStoring} {
		t.Run(mode.String(), func(t *testing.T) {
			c := recordRadio(t, radio.Config{Bitrate: radio.Bitrate2450MHz}, func(t *testing.T, medium *radio.Medium) {
				leaf := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, smolnet.Interface{
					IEEE802154: &core.IEEE802154Config{Contexts: meshContexts, RPLLeaf: new(rpl.LeafConfig)},
				})
				time.Sleep(time.Minute) // virtual: nobody is there, until somebody is
				near, far := pipe.New(pipe.Config{})
				rplRoot(t, medium, near, mode)
				host := wired(t, far)
				require.Equal(t, meshAddr(2), joined(t, leaf))
				parentOf(t, leaf)
				testRadioUDP(t, host, leaf, meshAddr(2))
				testRadioTransfer(t, leaf, host, netip.AddrPortFrom(wiredHost.Addr(), 7), 5000)
				require.NoError(t, leaf.Close())
				time.Sleep(time.Minute) // virtual
			})
			require.Subset(t, c.radioFields(t, "icmpv6.type == 155", "icmpv6.code"), []string{"0", "1", "2", "3"}, "DIS, DIO, DAO, DAO-ACK")
			require.Equal(t, 5000, c.radioOctets(t, "tcp.dstport == 7"))
		})
	}
}

// How neighbours find each other that are not known by their addresses.
func TestRadioNeighbourCapture(t *testing.T) {
	one, two := netip.MustParseAddr("2001:db8:6:0:1::1"), netip.MustParseAddr("2001:db8:6:0:1::2")
	c := recordRadio(t, radio.Config{Bitrate: radio.Bitrate2450MHz}, func(t *testing.T, medium *radio.Medium) {
		ifc := smolnet.Interface{Addresses: []netip.Prefix{netip.PrefixFrom(one, 64)}, DuplicateDetection: core.DetectAll}
		first := radioNode(t, medium, 1, radio.NodeConfig{EUI64: meshEUI64(1)}, ifc)
		ifc.Addresses = []netip.Prefix{netip.PrefixFrom(two, 64)}
		second := radioNode(t, medium, 2, radio.NodeConfig{EUI64: meshEUI64(2)}, ifc)
		time.Sleep(10 * time.Second) // virtual
		testRadioTransfer(t, first, second, netip.AddrPortFrom(two, 7), 5000)
	})
	require.Len(t, c.radioFields(t, "icmpv6.type == 135 && ipv6.src == ::", "frame.number"), 2)
	require.NotEmpty(t, c.radioFields(t, "icmpv6.type == 135 && ipv6.dst == ff02::1:ff00:2 && ipv6.src == "+one.String(), "frame.number"))
	require.NotEmpty(t, c.radioFields(t, "icmpv6.type == 136 && icmpv6.nd.na.flag.s == 1", "frame.number"))
	require.Equal(t, 5000, c.radioOctets(t, "tcp.dstport == 7"))
}
