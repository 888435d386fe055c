package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
)

// zepPort is where tshark expects the protocol.
const zepPort = 17754

// relay stands between two processes, each of which takes it for the other, and records what they send.
type relay struct {
	conns     [2]*net.UDPConn
	processes [2]netip.AddrPort

	mu        sync.Mutex
	datagrams [][]byte
}

// newRelay returns a relay between processes at two addresses: see remote.
func newRelay(t *testing.T, processes []netip.AddrPort) *relay {
	t.Helper()
	r := &relay{processes: [2]netip.AddrPort(processes)}
	for i := range r.conns {
		c, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[::1]:0")))
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		r.conns[i] = c
	}
	for i := range r.conns {
		go r.hand(i)
	}
	return r
}

// remote is the other process as the process of the number sees it.
func (r *relay) remote(process int) net.Addr { return r.conns[process].LocalAddr() }

// hand gives what a process sends to the other one, until the relay is closed.
func (r *relay) hand(process int) {
	b := make([]byte, 1500)
	for {
		n, err := r.conns[process].Read(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.datagrams = append(r.datagrams, bytes.Clone(b[:n]))
		r.mu.Unlock()
		_, _ = r.conns[1-process].WriteToUDPAddrPort(b[:n], r.processes[1-process])
	}
}

// capture is what was recorded, so many datagrams, as from one host to another.
func (r *relay) capture(t *testing.T) (octets []byte, count int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture, pcap.Config{})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	defer b.Close()
	d, err := pcap.New(a, w, pcap.InterfaceConfig{})
	require.NoError(t, err)
	defer d.Close()
	src, dst := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	for _, datagram := range r.datagrams {
		udp := wire.UDPRepr{SrcPort: zepPort, DstPort: zepPort, PayloadLen: len(datagram)}
		ip := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: 17, HopLimit: 64, PayloadLen: udp.Len() + len(datagram)}
		p := packet.New(ip.Len() + udp.Len() + len(datagram))
		ip.Emit(p.Append(ip.Len()))
		header := p.Append(udp.Len() + len(datagram))
		udp.Emit(header)
		copy(header[udp.Len():], datagram)
		wire.UDPPacket(header).FillChecksum(src, dst)
		n, err := d.Send(time.Now(), []*packet.Packet{p})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		var received [1]*packet.Packet
		_, err = b.Receive(time.Now(), received[:])
		require.NoError(t, err)
		received[0].Release()
	}
	require.NoError(t, w.Err())
	return capture.Bytes(), len(r.datagrams)
}

// tshark returns the fields of those frames of a capture that the filter lets through, a row each.
func tshark(t *testing.T, capture []byte, filter string, fields ...string) (rows []string) {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "capture")
	require.NoError(t, os.WriteFile(name, capture, 0o600))
	args := []string{"-n", "-r", name, "-Y", filter, "-T", "fields", "-o", "6lowpan.context5:2001:db8:7::/64"}
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

// tshark reads every frame that two processes send each other by UDP, and has nothing to complain about.
func TestTsharkReadsTwoProcesses(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if ci := strings.ToLower(os.Getenv("CI")); ci != "" && ci != "0" && ci != "false" {
			t.Fatalf("CI is set, and tshark is missing: %v", err)
		}
		t.Skip(err)
	}
	port := freePorts(t, 2)
	between := newRelay(t, port)
	args := func(process int) []string {
		return []string{
			"-device", fmt.Sprintf("zep:%v,%v", port[process], between.remote(process)),
			"-eui64", fmt.Sprintf("02:00:00:00:00:00:00:%02x", 10+process), "-pan", "0xbeef", "-channel", "11",
			"-context", "5=2001:db8:7::/64", "-addr", fmt.Sprintf("2001:db8:7::%x/64", 10+process),
		}
	}
	server := start(t, args(0)...)
	server.wants("fe80::a echoes at port 7")
	processes := 1
	for _, to := range []string{"fe80::a", "2001:db8:7::a"} {
		for _, command := range [][]string{
			{"-c", "2", "-i", "0", "-s", "1200", "ping"}, {"-c", "2", "-i", "0", "-s", "100", "udp"}, {"-s", "50", "tcp"}, {"get"},
		} {
			client := start(t, append(append(args(1), command...), to)...)
			require.NotContains(t, client.ends(), "0 of 2 answered")
			processes++
		}
	}
	server.interrupt()

	capture, count := between.capture(t)
	// Besides frames there is what a process makes itself known to dispatchers with: a type of RIOT's, which tshark takes for a frame.
	hellos := tshark(t, capture, "zep.type == 255", "frame.number")
	require.Len(t, hellos, processes)
	frames := count - len(hellos)
	require.Greater(t, frames, 100)
	require.Len(t, tshark(t, capture, "zep.type == 1 && zep.channel_id == 11 && wpan.fcs_ok == 1", "frame.number"), frames)
	// A process that ends resets what it has, and how long segments take is the machine's affair.
	require.Empty(t, tshark(t, capture,
		"zep.type != 255 && !tcp.flags.reset == 1 && !tcp.analysis.flags && (_ws.malformed || wpan.fcs.bad || _ws.expert.severity >= 0x600000 || (wpan.frame_type == 1 && !6lowpan))",
		"frame.number", "_ws.col.Info", "_ws.expert.message"))
	for _, what := range []string{
		"wpan.frame_type == 2", "6lowpan.fragment", "icmpv6.type == 129", "udp.port == 7 && 6lowpan", "tcp.port == 7", "http.response.code == 200",
	} {
		require.NotEmpty(t, tshark(t, capture, what, "frame.number"), what)
	}
}
