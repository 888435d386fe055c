package device_test

import (
	"flag"
	"io"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/examples/device"
)

func parseRadio(args ...string) (*device.Radio, error) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	r := device.RegisterRadio(fs, "air")
	return r, fs.Parse(args)
}

func TestRadioFlags(t *testing.T) {
	r, err := parseRadio("-pan", "0xbeef", "-short", "0x1234", "-eui64", "02:00:00:00:00:00:00:01", "-ack=false", "-ack-wait", "100ms",
		"-context", "0=2001:db8::/64,15=2001:db8:f::/48", "-context", "1=fdaa::/64", "-addr", "2001:db8::1/64", "-addr", "fdaa::1/64")
	require.NoError(t, err)
	require.Equal(t, "air", r.Name)
	ifc := r.Interface(nil)
	require.Equal(t, "radio", ifc.Name)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("fdaa::1/64")}, ifc.Addresses)
	c := ifc.IEEE802154
	require.EqualValues(t, 0xbeef, c.PAN)
	require.EqualValues(t, 0x1234, c.ShortAddr)
	require.Equal(t, [8]byte{0: 2, 7: 1}, c.EUI64)
	require.True(t, c.NoAcknowledgments)
	require.Equal(t, 100*time.Millisecond, c.Sender.AckWait)
	require.Equal(t, wire.LowpanContexts{
		0:  {Prefix: netip.MustParsePrefix("2001:db8::/64"), Compress: true},
		1:  {Prefix: netip.MustParsePrefix("fdaa::/64"), Compress: true},
		15: {Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Compress: true},
	}, c.Contexts)

	r, err = parseRadio("-ack")
	require.NoError(t, err)
	require.EqualValues(t, 0x23, r.Config.PAN, "as RIOT's nodes have it")
	require.False(t, r.Config.NoAcknowledgments)
}

func TestVirtualRadio(t *testing.T) {
	r, err := parseRadio("-device", "zep:[::1]:0,[::1]:17754", "-channel", "11", "-eui64", "02-00-00-00-00-00-00-01")
	require.NoError(t, err)
	d, err := r.Open(io.Discard)
	require.NoError(t, err)
	require.Equal(t, dev.IEEE802154, d.Capabilities().Medium)
	require.Equal(t, [8]byte{0: 2, 7: 1}, d.Capabilities().EUI64)
	require.NoError(t, d.Close())
}

func TestWrongRadioFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-pan", "0xffff"}, {"-pan", "home"}, {"-short", "0xfffe"}, {"-short", "0x10000"}, {"-channel", "27"},
		{"-eui64", "02:00:00:00:00:01"}, {"-eui64", "mine"}, {"-ack=perhaps"}, {"-addr", "2001:db8::1"},
		{"-context", "16=2001:db8::/64"}, {"-context", "2001:db8::/64"}, {"-context", "0=2001:db8::"}, {"-context", "0=2001:db8::/64,"},
	} {
		_, err := parseRadio(args...)
		require.ErrorContains(t, err, args[0][:4], "%v", args)
	}
	for _, name := range []string{"token-ring", "zep", "zep:", "zep:[::1]:1", "zep:[::1]:1,", "serial:", "rawsock"} {
		r, err := parseRadio("-device", name)
		require.NoError(t, err)
		_, err = r.Open(io.Discard)
		require.EqualError(t, err, "-device "+name+": there is air, zep:LOCAL,REMOTE, serial:PATH[,BAUD] and rawsock:NAME")
	}
	for _, name := range []string{"zep:nowhere,[::1]:1", "serial:/dev/null/nothing,9600", "serial:/dev/null,fast", "rawsock:nobody"} {
		r, err := parseRadio("-device", name)
		require.NoError(t, err)
		_, err = r.Open(io.Discard)
		require.ErrorContains(t, err, "-device "+name+": ")
	}

	r, err := parseRadio("-device", "zep:[::1]:0,[::1]:1", "-pcap", filepath.Join(t.TempDir(), "no", "record"))
	require.NoError(t, err)
	_, err = r.Open(io.Discard)
	require.Error(t, err)
}
