package pcap_test

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
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
	for _, protocol := range []string{"ip", "udp", "tcp"} {
		args = append(args, "-o", protocol+".check_checksum:TRUE")
	}
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

// everything is what a device does that does all it can.
var everything = pipe.Config{
	Delay: 10 * time.Millisecond,
	Checksum: dev.Checksums{IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone,
		UDP: dev.ChecksumNone, TCP: dev.ChecksumNone},
	SegmentTCP4: true, SegmentTCP6: true,
}

// transferred is how many octets go from one stack to the other, over each version of IP.
const transferred = 100_000

// talk joins two stacks by a link with the configuration given, and lets them use ARP, neighbour discovery, UDP, ICMP
// and TCP, in virtual time. wrap is around each end.
func talk(t *testing.T, cfg pipe.Config, wrap func(name string, device dev.Device) dev.Device) {
	synctest.Test(t, func(t *testing.T) {
		attach := func(name string, device dev.Device, addresses ...string) *smolnet.Stack {
			stack, err := smolnet.New(smolnet.Config{})
			require.NoError(t, err)
			var prefixes []netip.Prefix
			for _, address := range addresses {
				prefixes = append(prefixes, netip.MustParsePrefix(address))
			}
			_, err = stack.AddInterface(smolnet.Interface{Device: wrap(name, device), Addresses: prefixes})
			require.NoError(t, err)
			return stack
		}
		a, b := pipe.New(cfg)
		left := attach("left", a, "192.0.2.1/24", "2001:db8::1/64")
		defer left.Close()
		right := attach("right", b, "192.0.2.2/24", "2001:db8::2/64")
		defer right.Close()

		listener, err := right.Listen("tcp", ":80")
		require.NoError(t, err)
		for _, host := range []string{"192.0.2.2", "[2001:db8::2]"} {
			refused, err := left.Dial("udp", host+":7")
			require.NoError(t, err)
			_, err = refused.Write([]byte("anybody?"))
			require.NoError(t, err)
			_, err = refused.Read(make([]byte, 1))
			require.Error(t, err, "an ICMP error came back")
			require.NoError(t, refused.Close())

			sender, err := left.Dial("tcp", host+":80")
			require.NoError(t, err)
			receiver, err := listener.Accept()
			require.NoError(t, err)
			go func() {
				sender.Write(make([]byte, transferred))
				sender.Close()
			}()
			n, err := io.Copy(io.Discard, receiver)
			require.NoError(t, err)
			require.EqualValues(t, transferred, n)
			require.NoError(t, receiver.Close())
		}
	})
}

// requireGoodChecksums holds that every checksum there is is right, and that there are some of each kind.
func requireGoodChecksums(t *testing.T, capture []byte) {
	t.Helper()
	protocols := []string{"ip", "udp", "tcp", "icmp", "icmpv6"}
	seen := make(map[string]int)
	fields := []string{"frame.number"}
	for _, protocol := range protocols {
		fields = append(fields, protocol+".checksum.status")
	}
	const good = "1"
	for _, row := range tshark(t, capture, "", fields...) {
		for i, protocol := range protocols {
			// Of an ICMP error it says also what it thinks of the quote, which is as its sender had it in memory.
			status, _, _ := strings.Cut(row[1+i], ",")
			quote := (protocol == "udp" || protocol == "tcp") && slices.ContainsFunc(row[4:], func(s string) bool { return s != "" })
			if status != "" && !quote {
				require.Equal(t, good, status, "%s of frame %s", protocol, row[0])
				seen[protocol]++
			}
		}
	}
	for _, protocol := range protocols {
		require.NotZero(t, seen[protocol], protocol)
	}
	require.Empty(t, tshark(t, capture, "_ws.malformed || tcp.analysis.ack_lost_segment", "frame.number"))
}

func TestTsharkReadsTwoDevicesInOnePCAPNG(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  pipe.Config
	}{
		{"plain", pipe.Config{Delay: 10 * time.Millisecond}},
		{"all left to the device", everything},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var capture bytes.Buffer
			w, err := pcap.NewWriter(&capture, pcap.Config{})
			require.NoError(t, err)
			talk(t, tt.cfg, func(name string, device dev.Device) dev.Device {
				return recorded(t, device, w, pcap.InterfaceConfig{Name: name})
			})
			require.NoError(t, w.Err())
			requireGoodChecksums(t, capture.Bytes())

			const inbound, outbound = "0x00000001", "0x00000002"
			rows := tshark(t, capture.Bytes(), "udp.dstport == 7 && ip && !icmp",
				"frame.interface_name", "frame.packet_flags_direction", "frame.time_epoch", "ip.src", "udp.length", "eth.type")
			require.Len(t, rows, 2)
			require.Equal(t, []string{"left", outbound}, rows[0][:2])
			require.Equal(t, []string{"right", inbound}, rows[1][:2])
			require.Equal(t, rows[0][3:], rows[1][3:])
			require.Equal(t, []string{"192.0.2.1", "16", "0x0800"}, rows[0][3:])
			require.Equal(t, 10*time.Millisecond, since(t, rows[1][2])-since(t, rows[0][2]), "the delay of the link")

			sent := 0
			for _, row := range tshark(t, capture.Bytes(), "frame.interface_id == 1 && tcp.dstport == 80", "tcp.len") {
				n, err := strconv.Atoi(row[0])
				require.NoError(t, err)
				sent += n
			}
			require.Equal(t, 2*transferred, sent, "each octet, once")
		})
	}
}

// since reads a time of tshark's.
func since(t *testing.T, epoch string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(epoch + "s")
	require.NoError(t, err)
	return d
}

func TestTsharkKnowsWhatWasSegmentedLate(t *testing.T) {
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{})
	require.NoError(t, err)
	talk(t, everything, func(name string, device dev.Device) dev.Device {
		return recorded(t, device, w, pcap.InterfaceConfig{Name: name})
	})
	require.NotEmpty(t, tshark(t, capture.Bytes(), "frame.len > 1514", "frame.number"))
	flags := tshark(t, capture.Bytes(), "frame.len > 1514 && frame.interface_name == left", "frame.packet_flags")
	for _, row := range flags {
		require.Equal(t, "0x00000802", row[0])
	}
}

func TestTsharkReadsPCAP(t *testing.T) {
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{Format: pcap.PCAP})
	require.NoError(t, err)
	talk(t, everything, func(name string, device dev.Device) dev.Device {
		if name == "left" {
			return device
		}
		return recorded(t, device, w, pcap.InterfaceConfig{Name: name})
	})
	require.NoError(t, w.Err())
	requireGoodChecksums(t, capture.Bytes())
	rows := tshark(t, capture.Bytes(), "icmp || (udp && ip)", "frame.time_epoch", "frame.encap_type", "ip.src", "ip.dst", "frame.protocols")
	require.Len(t, rows, 2)
	const ethernet = "1"
	require.Equal(t, []string{ethernet, "192.0.2.1", "192.0.2.2", "eth:ethertype:ip:udp:echo"}, rows[0][1:])
	require.Equal(t, ethernet, rows[1][1])
	require.True(t, strings.HasPrefix(rows[1][2], "192.0.2.2"), rows[1][2])
	require.True(t, strings.HasPrefix(rows[1][4], "eth:ethertype:ip:icmp"), rows[1][4])
}

// What tshark makes of a datagram over 6LoWPAN, sent and received, and that it looks for no frame check sequence.
func TestTsharkReads6LoWPAN(t *testing.T) {
	// A data frame between extended addresses, which the wire has backwards, and from them the addresses of IPv6: IPHC with
	// both elided, then NHC of UDP with its ports inline.
	radio := "\x41\xcc\x07\xcd\xab" + "\x02\x00\x00\x00\x00\x00\x00\x02" + "\x01\x00\x00\x00\x00\x00\x00\x02" +
		"\x7e\x33" + "\xf0\x13\x88\x00\x07\xab\x6e" + "hello"
	for _, format := range []pcap.Format{pcap.PCAPNG, pcap.PCAP} {
		var capture bytes.Buffer
		w, err := pcap.NewWriter(&capture, pcap.Config{Format: format})
		require.NoError(t, err)
		a, b := pipe.New(pipe.Config{Medium: dev.IEEE802154})
		d := recorded(t, a, w, pcap.InterfaceConfig{})
		send(t, d, epoch, hold(radio))
		send(t, b, epoch, hold(radio))
		require.Equal(t, 1, drain(t, d, epoch))
		rows := tshark(t, capture.Bytes(), "!_ws.malformed && !wpan.fcs", "frame.protocols", "wpan.src64", "ipv6.src", "ipv6.dst", "udp.dstport",
			"udp.checksum.status", "frame.len")
		require.Len(t, rows, 2)
		for _, row := range rows {
			require.Equal(t, []string{"02:00:00:00:00:00:00:01", "fe80::1", "fe80::2", "7", "1", "35"}, row[1:])
			require.True(t, strings.HasPrefix(row[0], "wpan:6lowpan:"), row[0])
		}
	}
}

func TestTsharkReadsEveryMedium(t *testing.T) {
	// A data frame of IEEE 802.15.4: frame control, sequence number, PAN, short destination, short source, payload.
	radio := "\x41\x88\x07\xcd\xab\x02\x00\x01\x00payload"
	now := time.Unix(1_700_000_000, 123_456_789)
	for _, format := range []pcap.Format{pcap.PCAPNG, pcap.PCAP} {
		var capture bytes.Buffer
		w, err := pcap.NewWriter(&capture, pcap.Config{Format: format})
		require.NoError(t, err)
		a, _ := pipe.New(pipe.Config{Medium: dev.IEEE802154})
		send(t, recorded(t, a, w, pcap.InterfaceConfig{}), now, hold(radio))
		rows := tshark(t, capture.Bytes(), "", "frame.time_epoch", "wpan.dst16", "wpan.src16", "frame.len")
		require.Equal(t, [][]string{{"1700000000.123456789", "0x0002", "0x0001", "16"}}, rows)
	}

	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{SnapLen: 60})
	require.NoError(t, err)
	talk(t, pipe.Config{Medium: dev.IP}, func(name string, device dev.Device) dev.Device {
		return recorded(t, device, w, pcap.InterfaceConfig{Name: name})
	})
	rows := tshark(t, capture.Bytes(), "tcp", "ip.version", "ipv6.version", "frame.cap_len", "frame.len")
	require.True(t, slices.ContainsFunc(rows, func(row []string) bool { return row[0] == "4" }))
	require.True(t, slices.ContainsFunc(rows, func(row []string) bool { return row[1] == "6" }))
	require.True(t, slices.ContainsFunc(rows, func(row []string) bool { return row[2] == "60" && row[3] == "1500" }))
}
