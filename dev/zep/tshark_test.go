package zep_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/zep"
)

// tshark has tshark read a capture and returns the fields asked for, a row for each frame that the filter lets through.
// Where there is no tshark the test is skipped; under CI it fails.
func tshark(t *testing.T, capture []byte, filter string, fields ...string) [][]string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if ci := strings.ToLower(os.Getenv("CI")); ci != "" && ci != "0" && ci != "false" {
			t.Fatalf("CI is set, and tshark is missing: %v", err)
		}
		t.Skip(err)
	}
	name := filepath.Join(t.TempDir(), "capture")
	require.NoError(t, os.WriteFile(name, capture, 0o600))
	args := []string{"-n", "-r", name, "-Y", filter, "-T", "fields"}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "HOME="+t.TempDir()) // nobody's preferences
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err, complaints.String())
	require.NotContains(t, complaints.String(), "cut short")
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// recorded is a capture of datagrams from the protocol's port to the same one.
func recorded(t *testing.T, datagrams [][]byte) []byte {
	t.Helper()
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{})
	require.NoError(t, err)
	a, _ := pipe.New(pipe.Config{Medium: dev.IP})
	d, err := pcap.New(a, w, pcap.InterfaceConfig{})
	require.NoError(t, err)
	for _, datagram := range datagrams {
		udp := wire.UDPRepr{SrcPort: zep.DefaultPort, DstPort: zep.DefaultPort, PayloadLen: len(datagram)}
		ip := wire.IPv4Repr{
			Src:        netip.MustParseAddr("192.0.2.1"),
			Dst:        netip.MustParseAddr("192.0.2.2"),
			Protocol:   17,
			TTL:        64,
			PayloadLen: udp.Len() + len(datagram),
		}
		p := packet.New(1500)
		ip.Emit(p.Append(ip.Len()))
		udp.Emit(p.Append(udp.Len()))
		copy(p.Append(len(datagram)), datagram)
		n, err := d.Send(now, []*packet.Packet{p})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.NoError(t, w.Err())
	return capture.Bytes()
}

// What tshark says of datagrams of ours: all fields are what they were made of, and it complains of none.
func TestTsharkReadsEveryFrame(t *testing.T) {
	const (
		unicast = "\x61\xdc\x07\x23\x00\x02\x00\x00\x00\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x00\x02"
		other   = "\x00no 6LoWPAN"
	)
	solicitation := string(octets(t, `
		41d8 19 2300 ffff 0a66554433221102 // to all of the PAN
		7b3b3a02                           // from fe80::11:2233:4455:660a to ff02::2, ICMPv6
		8500e0dd 00000000 0102021122334455660a000000000000`))
	frames := []struct{ name, octets, protocols, seq string }{
		{"router solicitation, to all", solicitation, "wpan:6lowpan:ipv6:icmpv6", "25"},
		{"to a node, asking for an acknowledgment", unicast + other, "wpan", "7"},
		{"of version 2003, short addresses", "\x41\x88\x09\x23\x00\x02\x00\x01\x00" + other, "wpan", "9"},
		{"as long as can be", unicast + other + strings.Repeat("x", 104-len(other)), "wpan", "7"},
		{"acknowledgment", "\x02\x00\x07", "wpan", "7"},
	}
	d, conn := across(t, zep.Config{Channel: 11, DeviceID: 0x1234})
	var datagrams [][]byte
	for _, frame := range frames {
		send(t, d, frame.octets)
		datagrams = append(datagrams, datagram(t, conn))
	}
	capture := recorded(t, datagrams)
	rows := tshark(t, capture, "zep", "zep.seqno", "zep.version", "zep.type", "zep.channel_id", "zep.device_id",
		"zep.lqi_mode", "zep.length", "wpan.seq_no", "wpan.fcs_ok", "zep.time", "frame.protocols")
	require.Len(t, rows, len(frames))
	for i, frame := range frames {
		length := strconv.Itoa(len(frame.octets) + 2)
		require.Equal(t, []string{strconv.Itoa(1 + i), "2", "1", "11", "4660", "1", length, frame.seq, "1"}, rows[i][:9], frame.name)
		require.Contains(t, rows[i][9], "Jan  1, 2026 00:00:00.500000000")
		require.True(t, strings.HasPrefix(rows[i][10], "raw:ip:udp:zep:"+frame.protocols), rows[i][10])
	}
	const complaint = "_ws.malformed || wpan.fcs.bad || _ws.expert.severity >= 0x600000" // a warning, or worse
	require.Empty(t, tshark(t, capture, complaint, "frame.number", "_ws.expert.message"))
}
