package smolnet_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/radio"
)

// tshark understands what two nodes have said to each other, and has nothing to complain about.
func TestRadioCapture(t *testing.T) {
	const octets = 20 << 10
	for _, kind := range radios {
		t.Run(kind.name, func(t *testing.T) {
			c := new(capture)
			if !c.readable(t) {
				t.Skip("there is no tshark")
			}
			frames := 0
			synctest.Test(t, func(t *testing.T) {
				medium := radio.New(kind.config)
				first := meshNode(t, medium, 1, radio.NodeConfig{}, meshRoute(netip.PrefixFrom(meshAddr(2), 128), 2))
				second := meshNode(t, medium, 2, radio.NodeConfig{}, meshRoute(netip.PrefixFrom(meshAddr(1), 128), 1))
				writer, err := pcap.NewWriter(c, pcap.Config{})
				require.NoError(t, err)
				sniffer, err := pcap.New(medium.Node(radio.NodeConfig{}), writer, pcap.InterfaceConfig{})
				require.NoError(t, err)
				for _, to := range []netip.Addr{radioAddr(t, second), meshAddr(2)} {
					testRadioPing(t, first, to)
					frames += len(sniffed(t, sniffer))
					testRadioUDP(t, first, second, to)
					frames += len(sniffed(t, sniffer))
					testRadioTransfer(t, first, second, netip.AddrPortFrom(to, 7), octets)
					frames += len(sniffed(t, sniffer))
					testRadioHTTP(t, first, second, to)
					frames += len(sniffed(t, sniffer))
				}
				require.NoError(t, writer.Err())
			})
			require.Len(t, c.radioFields(t, "wpan", "frame.number"), frames)
			require.Empty(t, c.radioFields(t, "_ws.malformed || _ws.expert.severity >= 0x600000 || (wpan.frame_type == 1 && !6lowpan)",
				"frame.number", "_ws.col.Info", "_ws.expert.message"))
			require.Empty(t, c.radioFields(t, "6lowpan.fragment && !6lowpan.reassembled.in && !6lowpan.reassembled.length",
				"frame.number", "_ws.col.Info"))
			for _, to := range []string{"fe80::2", meshAddr(2).String()} {
				require.Equal(t, octets, c.radioOctets(t, "tcp.dstport == 7 && ipv6.dst == "+to), to)
				replies := c.radioFields(t, "icmpv6.type == 129 && ipv6.src == "+to, "frame.number")
				require.GreaterOrEqual(t, len(replies), 9*tries)
			}
		})
	}
}

// tshark, which knows the key, understands secured frames.
func TestRadioSecuredCapture(t *testing.T) {
	const octets = 5000
	for level := uint8(1); level <= 7; level++ {
		t.Run(fmt.Sprintf("level %d", level), func(t *testing.T) {
			c := new(capture)
			if !c.readable(t) {
				t.Skip("there is no tshark")
			}
			synctest.Test(t, func(t *testing.T) {
				medium := radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Acknowledges: true})
				first := radioNode(t, medium, 1, radio.NodeConfig{}, secured(radioKey, wire.IEEE802154KeyIndex, level))
				second := radioNode(t, medium, 2, radio.NodeConfig{}, secured(radioKey, wire.IEEE802154KeyIndex, level))
				writer, err := pcap.NewWriter(c, pcap.Config{})
				require.NoError(t, err)
				sniffer, err := pcap.New(medium.Node(radio.NodeConfig{}), writer, pcap.InterfaceConfig{})
				require.NoError(t, err)
				testRadioTransfer(t, first, second, netip.AddrPortFrom(radioAddr(t, second), 7), octets)
				sniffed(t, sniffer)
				require.NoError(t, writer.Err())
			})
			require.Empty(t, c.radioFields(t, "_ws.malformed || _ws.expert.severity >= 0x600000 || !6lowpan",
				"frame.number", "_ws.col.Info", "_ws.expert.message"))
			require.Equal(t, octets, c.radioOctets(t, "tcp.dstport == 7"))
		})
	}
}

// radioOctets returns how many octets TCP carries in those of the frames that the filter lets through.
func (c *capture) radioOctets(t *testing.T, filter string) (octets int) {
	t.Helper()
	for _, row := range c.radioFields(t, filter, "tcp.len") {
		n, err := strconv.Atoi(row)
		require.NoError(t, err)
		octets += n
	}
	return octets
}

// radioFields returns the fields of those of the frames that the filter lets through, a row each.
func (c *capture) radioFields(t *testing.T, filter string, fields ...string) (rows []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "capture")
	require.NoError(t, os.WriteFile(file, c.b.Bytes(), 0o600))
	args := []string{"-n", "-r", file, "-Y", filter, "-T", "fields",
		"-o", fmt.Sprintf("6lowpan.context0:%v", meshPrefix),
		"-o", fmt.Sprintf(`uat:ieee802154_keys:"%x","1","No hash"`, radioKey)}
	for _, protocol := range []string{"udp", "tcp"} {
		args = append(args, "-o", protocol+".check_checksum:TRUE")
	}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir) // nobody's preferences
	out, err := cmd.Output()
	require.NoError(t, err)
	for row := range strings.Lines(string(out)) {
		rows = append(rows, strings.TrimSuffix(row, "\n"))
	}
	return rows
}
