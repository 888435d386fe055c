package zep_test

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/zep"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC)

// octets reads hexadecimal digits, and whatever comments stand behind "//".
func octets(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

// socket is a node whose datagrams the test makes and reads itself.
func socket(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// datagram is the next that the socket receives.
func datagram(t testing.TB, conn *net.UDPConn) []byte {
	t.Helper()
	b := make([]byte, 2000)
	n, err := conn.Read(b)
	require.NoError(t, err)
	return b[:n]
}

func open(t testing.TB, config zep.Config) *zep.Device {
	t.Helper()
	d, err := zep.Open(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// across opens a device, and a socket that is its remote.
func across(t testing.TB, config zep.Config) (*zep.Device, *net.UDPConn) {
	t.Helper()
	conn := socket(t, "127.0.0.1:0")
	config.Local, config.Remote = "127.0.0.1:0", conn.LocalAddr().String()
	return open(t, config), conn
}

func frame(octets string) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

func send(t testing.TB, d *zep.Device, frames ...string) {
	t.Helper()
	pkts := make([]*packet.Packet, len(frames))
	for i := range pkts {
		pkts[i] = frame(frames[i])
	}
	n, err := d.Send(now, pkts)
	require.NoError(t, err)
	require.Equal(t, len(pkts), n)
}

// receive waits for the next frame.
func receive(t testing.TB, d *zep.Device) string {
	t.Helper()
	pkts := make([]*packet.Packet, 4)
	for {
		require.NoError(t, d.WaitReceive())
		n, err := d.Receive(now, pkts)
		require.NoError(t, err)
		if n > 0 {
			require.Equal(t, 1, n)
			defer pkts[0].Release()
			return string(pkts[0].Head())
		}
	}
}

func TestCapabilities(t *testing.T) {
	eui64 := [8]byte{0x1a, 0x0b, 0x42, 0xff, 0xfe, 0, 0, 1}
	d, _ := across(t, zep.Config{EUI64: eui64})
	require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280, EUI64: eui64}, d.Capabilities())
	_, ok := d.PollAt()
	require.False(t, ok)
	require.NoError(t, d.WaitSend())
}

func TestConfigurationsThatAreWrong(t *testing.T) {
	taken := socket(t, "127.0.0.1:0").LocalAddr().String()
	for _, tt := range []struct {
		name   string
		config zep.Config
		want   string
	}{
		{"no remote address", zep.Config{Local: "127.0.0.1:0"}, "zep: there is no remote address"},
		{"remote without port", zep.Config{Remote: "127.0.0.1"}, `zep: remote address "127.0.0.1": `},
		{"remote port 0", zep.Config{Remote: "127.0.0.1:0"}, `zep: remote address "127.0.0.1:0": nobody has it`},
		{"remote host unspecified", zep.Config{Remote: ":17754"}, `zep: remote address ":17754": nobody has it`},
		{"local without port", zep.Config{Local: "127.0.0.1", Remote: "127.0.0.1:1"}, `zep: local address "127.0.0.1": `},
		{"versions that differ", zep.Config{Local: "127.0.0.1:0", Remote: "[::1]:17754"}, `zep: remote address "[::1]:17754": `},
		{"local port in use", zep.Config{Local: taken, Remote: "127.0.0.1:1"}, "zep: listen udp4 " + taken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := zep.Open(tt.config)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// Every field as Wireshark's dissector and RIOT's nodes have it.
func TestADatagram(t *testing.T) {
	d, conn := across(t, zep.Config{Channel: 11, DeviceID: 0x1234})
	chunk := packet.NewChunk(100)
	copy(chunk.Data(), "456789")
	p := frame("123")
	p.Reference(chunk, chunk.Data()[:2])
	p.Reference(chunk, chunk.Data()[2:6])
	chunk.Release()
	n, err := d.Send(now, []*packet.Packet{p, frame("1")})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, octets(t, `
		4558              // preamble
		02 01             // version, type: data
		0b 1234           // channel, device
		01 ff             // mode: the frame ends with a frame check sequence; quality
		ed003780 80000000 // time: 126 years, of which 31 were leap years, and a half second
		00000001          // sequence number
		00000000000000000000
		0b                // length
		313233343536373839
		8921              // the check value of CRC-16/KERMIT, 0x2189
		`), datagram(t, conn))
	second := datagram(t, conn)
	require.Equal(t, []byte{0, 0, 0, 2}, second[17:21])
	require.Len(t, second, 32+3)
	require.Equal(t, zep.Stats{Sent: 2}, d.Stats())
}

func TestTwoNodesSpeakWithEachOther(t *testing.T) {
	for _, tt := range []struct{ name, any, host string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "[::1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reserved, err := net.ListenPacket("udp", tt.any)
			if err != nil {
				t.Skip(err)
			}
			first := reserved.LocalAddr().String()
			require.NoError(t, reserved.Close())

			b := open(t, zep.Config{Local: tt.any, Remote: first})
			send(t, b, "nobody", "is", "there") // and that is no error, now or later
			a := open(t, zep.Config{Local: first, Remote: b.LocalAddr().String()})
			send(t, a, "one", "two")
			send(t, b, strings.Repeat("x", 125))
			require.Equal(t, "one", receive(t, b))
			require.Equal(t, "two", receive(t, b))
			require.Equal(t, strings.Repeat("x", 125), receive(t, a))
			require.Equal(t, zep.Stats{Sent: 4, Received: 2}, b.Stats())
		})
	}
}

func TestAnyLocalAddress(t *testing.T) {
	conn := socket(t, "127.0.0.1:0")
	d := open(t, zep.Config{Remote: conn.LocalAddr().String()})
	send(t, d, "one")
	require.Len(t, datagram(t, conn), 32+5)
	_, err := conn.WriteToUDPAddrPort(octets(t, ping), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), d.LocalAddr().Port()))
	require.NoError(t, err)
	require.Equal(t, "ping!", receive(t, d))
}

// ping is a datagram with the frame "ping!", on channel 26.
const ping = `4558 02 01 1a 0000 01 ff 0000000000000000 00000000 00000000000000000000 07
	70696e6721 f478`

func TestDatagramsThatAreDropped(t *testing.T) {
	edit := func(changes func(b []byte) []byte) func(t *testing.T) []byte {
		return func(t *testing.T) []byte { return changes(octets(t, ping)) }
	}
	set := func(at int, value byte) func(t *testing.T) []byte {
		return edit(func(b []byte) []byte {
			b[at] = value
			return b
		})
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T) []byte
		want zep.Drops
	}{
		{"empty", edit(func(b []byte) []byte { return nil }), zep.Drops{Malformed: 1}},
		{"a preamble alone", edit(func(b []byte) []byte { return b[:2] }), zep.Drops{Malformed: 1}},
		{"another preamble", set(1, 'Y'), zep.Drops{Malformed: 1}},
		{"header cut short", edit(func(b []byte) []byte { return b[:31] }), zep.Drops{Malformed: 1}},
		{"header of version 1 cut short", edit(func(b []byte) []byte { b[2] = 1; return b[:15] }), zep.Drops{Malformed: 1}},
		{"version 3", set(2, 3), zep.Drops{Version: 1}},
		{"version 0", set(2, 0), zep.Drops{Version: 1}},
		{"acknowledgment", func(t *testing.T) []byte { return octets(t, "4558 02 02 00000001") }, zep.Drops{Type: 1}},
		{"HELLO", set(3, 255), zep.Drops{Type: 1}},
		{"another channel", set(4, 25), zep.Drops{Channel: 1}},
		{"longer than it says", set(31, 6), zep.Drops{Length: 1}},
		{"shorter than it says", set(31, 8), zep.Drops{Length: 1}},
		{"nothing but a header", edit(func(b []byte) []byte { b[31] = 0; return b[:32] }), zep.Drops{Length: 1}},
		{"nothing but a frame check sequence", edit(func(b []byte) []byte { b[31] = 2; clear(b[32:]); return b[:34] }),
			zep.Drops{Length: 1}},
		{"longer than a frame can be", edit(func(b []byte) []byte { b[31] = 128; return append(b[:32], make([]byte, 128)...) }),
			zep.Drops{Length: 1}},
		{"far too long", edit(func(b []byte) []byte { return append(b, make([]byte, 1000)...) }), zep.Drops{Length: 1}},
		{"damaged frame", set(32, 'P'), zep.Drops{FCS: 1}},
		{"damaged frame check sequence", set(38, 0), zep.Drops{FCS: 1}},
		{"a frame check sequence that a chip found wrong", set(7, 0), zep.Drops{FCS: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, conn := across(t, zep.Config{})
			to := d.LocalAddr()
			_, err := conn.WriteToUDPAddrPort(tt.make(t), to)
			require.NoError(t, err)
			_, err = conn.WriteToUDPAddrPort(octets(t, ping), to)
			require.NoError(t, err)
			require.Equal(t, "ping!", receive(t, d))
			stats := d.Stats()
			require.Equal(t, zep.Stats{Received: 1, Dropped: tt.want}, stats)
			require.EqualValues(t, 1, stats.Dropped.Total())
		})
	}
}

func TestWhoIsNotTheRemoteIsNotHeard(t *testing.T) {
	d, conn := across(t, zep.Config{})
	stranger := socket(t, "127.0.0.1:0")
	for _, from := range []*net.UDPConn{stranger, conn} {
		_, err := from.WriteToUDPAddrPort(octets(t, ping), d.LocalAddr())
		require.NoError(t, err)
	}
	require.Equal(t, "ping!", receive(t, d))
	require.Equal(t, zep.Stats{Received: 1, Dropped: zep.Drops{Source: 1}}, d.Stats())
}

func TestOtherFormsOfADatagram(t *testing.T) {
	for _, tt := range []struct{ name, datagram string }{
		{"version 1", "4558 01 1a 0000 01 ff 00000000000000 07 70696e6721 f478"},
		{"version 1, what a chip reports", "4558 01 1a 0000 00 ff 00000000000000 07 70696e6721 d380"},
		{"version 2, what a chip reports", strings.Replace(strings.Replace(ping, "01 ff", "00 ff", 1), "f478", "d380", 1)},
		{"whatever nobody looks at", "4558 02 01 1a beef 07 03 ffffffffffffffff ffffffff ffffffffffffffffffff 07 70696e6721 f478"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, conn := across(t, zep.Config{})
			_, err := conn.WriteToUDPAddrPort(octets(t, tt.datagram), d.LocalAddr())
			require.NoError(t, err)
			require.Equal(t, "ping!", receive(t, d))
		})
	}
}

func TestHello(t *testing.T) {
	d, conn := across(t, zep.Config{Hello: true, EUI64: [8]byte{0x1a, 0x0b, 0x42, 0xff, 0xfe, 0, 0, 1}})
	require.NoError(t, d.WaitReceive(), "there is a first one to send")
	at, ok := d.PollAt()
	require.True(t, ok)
	require.False(t, at.After(now))
	for i := range 3 {
		later := now.Add(time.Duration(i) * time.Minute)
		for _, at := range []time.Time{later, later.Add(time.Minute - 1)} {
			n, err := d.Receive(at, make([]*packet.Packet, 4))
			require.NoError(t, err)
			require.Zero(t, n)
		}
		got := datagram(t, conn)
		require.Equal(t, octets(t, "4558 02 ff 1a"), got[:5])
		require.Equal(t, octets(t, "00000000 48454c4c4f 0000000000 08 1a0b42fffe000001"), got[17:])
		at, ok = d.PollAt()
		require.True(t, ok)
		require.Equal(t, later.Add(time.Minute), at)
	}
	send(t, d, "one")
	require.Equal(t, byte(1), datagram(t, conn)[3], "there was no HELLO in between")
}

func TestAFrameTooLongIsRefusedAndTheRestMayBeTriedAgain(t *testing.T) {
	d, conn := across(t, zep.Config{})
	pkts := []*packet.Packet{frame("one"), frame(strings.Repeat("x", 126)), frame("three")}
	n, err := d.Send(now, pkts)
	require.Equal(t, 1, n)
	require.ErrorContains(t, err, "zep: frame of 126 octets is too long: at most 125")
	pkts[n].Release()
	n, err = d.Send(now, pkts[n+1:])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, datagram(t, conn), 32+5)
	require.Len(t, datagram(t, conn), 32+7)
}

func TestWhatTheSystemRefusesToSendIsLost(t *testing.T) {
	d := open(t, zep.Config{Local: "127.0.0.1:0", Remote: "192.0.2.1:17754"}) // which is not to be reached from there
	send(t, d, "one", "two")
	require.Equal(t, zep.Stats{SendFailed: 2}, d.Stats())
}

func TestClose(t *testing.T) {
	d, _ := across(t, zep.Config{})
	done := make(chan error, 1)
	go func() { done <- d.WaitReceive() }()
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-done, net.ErrClosed)
	require.ErrorIs(t, d.WaitReceive(), net.ErrClosed)
	require.ErrorIs(t, d.WaitSend(), net.ErrClosed)
	late := frame("late")
	_, err := d.Send(now, []*packet.Packet{late})
	require.ErrorIs(t, err, net.ErrClosed)
	late.Release()
	_, err = d.Receive(now, make([]*packet.Packet, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestAFrameThatWasReadIsReleasedByClose(t *testing.T) {
	d, conn := across(t, zep.Config{})
	_, err := conn.WriteToUDPAddrPort(octets(t, ping), d.LocalAddr())
	require.NoError(t, err)
	require.NoError(t, d.WaitReceive())
	require.NoError(t, d.WaitReceive(), "it is still there")
	require.NoError(t, d.Close())
	_, err = d.Receive(now, make([]*packet.Packet, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestNothingIsAllocatedOnceWarm(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	conn := socket(t, "127.0.0.1:0")
	a := open(t, zep.Config{Local: "127.0.0.1:0", Remote: conn.LocalAddr().String()})
	address := conn.LocalAddr().String()
	require.NoError(t, conn.Close())
	b := open(t, zep.Config{Local: address, Remote: a.LocalAddr().String()})
	pkts := make([]*packet.Packet, 1)
	round := func() {
		pkts[0] = packet.New(100)
		clear(pkts[0].Append(100))
		if _, err := a.Send(now, pkts); err != nil {
			t.Fatal(err)
		}
		if err := b.WaitReceive(); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Receive(now, pkts); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		pkts[0].Release()
	}
	round()
	require.Zero(t, testing.AllocsPerRun(100, round))
}

func BenchmarkPair(b *testing.B) {
	conn := socket(b, "127.0.0.1:0")
	from := open(b, zep.Config{Local: "127.0.0.1:0", Remote: conn.LocalAddr().String()})
	address := conn.LocalAddr().String()
	require.NoError(b, conn.Close())
	to := open(b, zep.Config{Local: address, Remote: from.LocalAddr().String()})
	pkts := make([]*packet.Packet, 1)
	b.ReportAllocs()
	for range b.N {
		pkts[0] = packet.New(125)
		clear(pkts[0].Append(125))
		if _, err := from.Send(now, pkts); err != nil {
			b.Fatal(err)
		}
		if err := to.WaitReceive(); err != nil {
			b.Fatal(err)
		}
		if n, err := to.Receive(now, pkts); n != 1 || err != nil {
			b.Fatal(n, err)
		}
		pkts[0].Release()
	}
}
