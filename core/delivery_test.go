package core

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

func TestDelivery(t *testing.T) {
	for _, tc := range []struct {
		name  string
		local string
		frame []byte
		group bool
	}{
		{"unicast", "0.0.0.0:7", toUs(udpTo(them4, us4, 1000, 7, "hello")), false},
		{"limited broadcast", "0.0.0.0:7", toAll(udpTo(them4, addr("255.255.255.255"), 1000, 7, "hello")), true},
		{"subnet broadcast", "0.0.0.0:7", toAll(udpTo(them4, addr("192.168.69.255"), 1000, 7, "hello")), true},
		{"all hosts", "0.0.0.0:7", toGroup(udpTo(them4, addr("224.0.0.1"), 1000, 7, "hello")), true},
		{"unicast, IPv6", "[::]:7", toUs(udpTo(them6, us6, 1000, 7, "hello")), false},
		{"all nodes", "[::]:7", toGroup(udpTo(them6, addr("ff02::1"), 1000, 7, "hello")), true},
		{"solicited-node group", "[::]:7", toGroup(udpTo(them6, wire.SolicitedNodeMulticast(us6), 1000, 7, "hello")), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t)
			e := s.bind(tc.local)
			s.recv(tc.frame)
			from := "192.168.69.100:1000"
			if e.LocalAddr().Addr().Is6() {
				from = "[fdaa::100]:1000"
			}
			info := s.wantDatagram(e, "hello", from)
			require.Equal(t, tc.group, info.Group)
			require.Equal(t, s.link.Index(), info.Link)
			require.EqualValues(t, 64, info.HopLimit)
			c := s.link.Counters()
			require.Equal(t, tc.group, c.IPv4.InBcastPkts+c.IPv4.InMcastPkts+c.IPv6.InMcastPkts == 1)
		})
	}
}

func TestFromAHostWithoutAddress(t *testing.T) {
	s := newScript(t)
	e := s.bind("0.0.0.0:67")
	s.recv(toAll(udpTo(addr("0.0.0.0"), addr("255.255.255.255"), 68, 67, "discover")))
	s.wantDatagram(e, "discover", "0.0.0.0:68")
}

func TestBroadcastLeaves(t *testing.T) {
	s := newScript(t)
	e := s.bind("0.0.0.0:5000")
	for _, to := range []string{"255.255.255.255:7", "192.168.69.255:7"} {
		require.NoError(t, e.Send(s.now, packetOf([]byte("x")), addrPort(to), 0))
		frames := s.want("nobody need be looked for", "IP 192.168.69.1.5000 > "+addrPort(to).Addr().String()+".7: UDP, length 1")
		require.True(t, wire.EthernetFrame(frames[0]).Dst().IsBroadcast())
	}
	require.NoError(t, e.Send(s.now, packetOf([]byte("x")), addrPort("224.0.0.251:7"), 0))
	frames := s.want("nor for a group", "IP 192.168.69.1.5000 > 224.0.0.251.7: UDP, length 1")
	require.Equal(t, "01:00:5e:00:00:fb", wire.EthernetFrame(frames[0]).Dst().String())
	c := s.link.Counters()
	require.EqualValues(t, 2, c.IPv4.OutBcastPkts)
	require.EqualValues(t, 1, c.IPv4.OutMcastPkts)
}

func TestAnyAddressOfTheStackOnAnyInterface(t *testing.T) {
	// The weak model of RFC 1122 section 3.3.4.2, as other systems have it; link-local addresses aside.
	s := newScript(t)
	other := s.secondLink(dev.Capabilities{Medium: dev.Ethernet, MTU: 1500})
	e, e6 := s.bind("0.0.0.0:7"), s.bind("[::]:7")
	frame := toUs(udpTo(addr("10.0.0.2"), us4, 1000, 7, "hello"))
	hw := other.link.HardwareAddr()
	other.recv(patched(frame, 0, hw[:]...))
	s.wantDatagram(e, "hello", "10.0.0.2:1000")
	other.recv(patched(toUs(udpTo(theirLinkLocal, ourLinkLocal, 1000, 7, "hello")), 0, hw[:]...))
	_, _, ok := e6.Receive()
	require.False(t, ok)
	require.EqualValues(t, 1, other.link.Counters().Drops[DropNotOurs])
}

func TestManyAddresses(t *testing.T) {
	// Beyond a few, addresses are looked up another way.
	s := newScript(t, func(c *Config) { c.Limits.Addresses = 100 })
	e := s.bind("0.0.0.0:7")
	e6 := s.bind("[::]:7")
	for i := range 20 {
		a4, a6 := toAddrv4(10<<24|uint32(i+1)), netip.AddrFrom16([16]byte{0: 0xfd, 1: 0xcc, 15: byte(i + 1)})
		require.NoError(t, s.link.AddAddress(s.now, netip.PrefixFrom(a4, 8)))
		require.NoError(t, s.link.AddAddress(s.now, netip.PrefixFrom(a6, 64)))
		s.recv(toUs(udpTo(them4, a4, 1000, 7, "hello")))
		s.wantDatagram(e, "hello", "192.168.69.100:1000")
		s.recv(toUs(udpTo(them6, a6, 1000, 7, "hello")))
		s.wantDatagram(e6, "hello", "[fdaa::100]:1000")
	}
	require.True(t, s.link.RemoveAddress(s.now, addr("10.0.0.7")))
	s.recv(toUs(udpTo(them4, addr("10.0.0.7"), 1000, 7, "hello")))
	require.EqualValues(t, 1, s.link.Counters().Drops[DropNotOurs])
	_, _, err := s.stack.Route(0, netip.Addr{}, addr("10.9.9.9"))
	require.NoError(t, err, "others are in that network still")
}

func TestLoopback(t *testing.T) {
	for _, tc := range []struct {
		remote string
		link   int32
		from   string
	}{
		{"127.0.0.1:7", 0, "127.0.0.1"},
		{"127.1.2.3:7", 0, "127.0.0.1"},
		{"[::1]:7", 0, "::1"},
		{"192.168.69.1:7", 0, "192.168.69.1"},
		{"[fdaa::1]:7", 0, "fdaa::1"},
		{"[fe80::ff:fe00:1]:7", 2, "fe80::ff:fe00:1"},
	} {
		t.Run(tc.remote, func(t *testing.T) {
			s := newScript(t)
			local := "0.0.0.0:5000"
			if addrPort(tc.remote).Addr().Is6() {
				local = "[::]:5000"
			}
			client := s.bind(local)
			server, err := s.stack.UDP().Bind(udp.BindConfig{Local: addrPort(tc.remote), Link: tc.link})
			require.NoError(t, err)
			require.NoError(t, client.Send(s.now, packetOf([]byte("hello")), addrPort(tc.remote), tc.link))
			require.True(t, s.stack.Interfaces()[0].Pending())
			require.False(t, s.stack.PollLoopback(s.now))
			s.wantDatagram(server, "hello", netip.AddrPortFrom(addr(tc.from), 5000).String())
			s.wantIdle("nothing leaves the stack")
			c := s.stack.Interfaces()[0].Counters()
			require.EqualValues(t, 1, c.IPv4.InDelivers+c.IPv6.InDelivers)
		})
	}
}

func TestLoopbackPortUnreachable(t *testing.T) {
	s := newScript(t)
	for _, remote := range []string{"127.0.0.1:7", "[::1]:7"} {
		e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(remote)})
		require.NoError(t, err)
		require.NoError(t, e.Send(s.now, packetOf([]byte("hello")), addrPort(remote), 0))
		for s.stack.PollLoopback(s.now) {
		}
		require.ErrorContains(t, e.Err(), "refused")
	}
}

func TestLoopbackConnection(t *testing.T) {
	for _, remote := range []string{"127.0.0.1:80", "[::1]:80", "[fdaa::1]:80", "[fe80::ff:fe00:1]:80"} {
		t.Run(remote, func(t *testing.T) {
			s := newScript(t)
			var link int32
			if addrPort(remote).Addr().IsLinkLocalUnicast() {
				link = s.link.Index()
			}
			l, err := s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort(remote), Link: link})
			require.NoError(t, err)
			c, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort(remote), Link: link})
			require.NoError(t, err)
			for s.stack.PollLoopback(s.now) {
			}
			require.Equal(t, tcp.Established, c.State())
			accepted := l.Accept()
			require.NotNil(t, accepted)
			require.Equal(t, c.LocalAddr(), accepted.RemoteAddr())
			s.wantIdle("nothing leaves the stack")

			_, err = s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: netip.AddrPortFrom(addrPort(remote).Addr(), 81), Link: link})
			require.NoError(t, err)
			for s.stack.PollLoopback(s.now) {
			}
			require.EqualValues(t, 1, s.stack.Counters().TCP.OutRsts, "refused")
		})
	}
}

func TestLoopbackIsBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.LoopbackBatch = 10 })
	e := s.bind("127.0.0.1:7")
	for range 25 {
		require.NoError(t, e.Send(s.now, packetOf([]byte("x")), addrPort("127.0.0.1:7"), 0))
	}
	require.True(t, s.stack.PollLoopback(s.now))
	require.Equal(t, 10, e.Received())
	require.True(t, s.stack.PollLoopback(s.now))
	require.False(t, s.stack.PollLoopback(s.now))
	require.Equal(t, 25, e.Received())
	e.Close()
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	s := newScript(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
	}).knowing()
	level.Set(slog.LevelDebug)
	s.recv(toUs(echo4(them4, us4, "")))
	s.skip()
	require.Empty(t, out.String(), "normal events are below Debug")
	s.recv(toUs(udpTo(them4, addr("192.168.69.7"), 1, 2, "")))
	require.Contains(t, out.String(), `cause="not to this host"`)
	require.Contains(t, out.String(), "interface=eth0")
	require.Contains(t, out.String(), "packet.source=192.168.69.100 packet.destination=192.168.69.7")
	out.Reset()
	s.recv([]byte{1})
	require.Contains(t, out.String(), `cause="frame truncated"`)
	s.recv(ether(wire.BroadcastHardwareAddr, wire.EtherTypeARP, arp(wire.ARPRepr{
		Operation: wire.ARPReply, SenderHardware: theirHardware, SenderProtocol: us4, TargetProtocol: us4})))
	require.Contains(t, out.String(), `msg="address conflict" interface=eth0 address="192.168.69.1/24 preferred"`)
	out.Reset()
	s.recv(toUs(syn(them4, us4, 1000, 80)))
	require.Equal(t, `level=DEBUG msg="segment dropped" interface=eth0 cause="nothing is open there" `+
		"packet.source=192.168.69.100 packet.destination=192.168.69.1 packet.protocol=6 packet.length=0\n", untimed(&out))
	s.recv(toUs(patched(syn(them6, us6, 1000, 80), 40+16, 1)))
	require.Contains(t, untimed(&out), `msg="segment dropped" interface=eth0 cause="wrong checksum"`)
	s.recv(toUs(udpTo(them4, us4, 1000, 9, "")))
	require.Contains(t, untimed(&out), `msg="datagram dropped" interface=eth0 cause="nothing is open there"`)
	s.recv(toUs(patched(udpTo(them6, us6, 1000, 9, ""), 40+6, 0, 0)))
	require.Contains(t, untimed(&out), `msg="datagram dropped" interface=eth0 cause="no checksum"`)
	s.skip()
	_, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("127.0.0.1:80")})
	require.NoError(t, err)
	require.NotContains(t, out.String(), "connection", "what becomes of connections is below Debug")
	s.stack.TCP().Close(s.now)
	out.Reset()
	level.Set(LevelTrace)
	s.stack.Advance(s.now)
	c, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Local: addrPort("127.0.0.1:5000"), Remote: addrPort("127.0.0.1:80")})
	require.NoError(t, err)
	require.Equal(t, "level=DEBUG-4 msg=\"connection opened\" local=127.0.0.1:5000 remote=127.0.0.1:80\n", untimed(&out))
	c.Abort(s.now)
	require.Equal(t, "level=DEBUG-4 msg=\"connection failed\" local=127.0.0.1:5000 remote=127.0.0.1:80 cause=\"connection aborted\"\n",
		untimed(&out))
	s.recv(toUs(echo4(them4, us4, "")))
	s.skip()
	require.Contains(t, out.String(), `msg="packet received"`)
	require.Contains(t, out.String(), `msg="packet sent"`)
	out.Reset()
	level.Set(slog.LevelInfo)
	s.recv([]byte{1})
	require.Empty(t, out.String(), "nobody listens any more")
}

// untimed takes what was logged, without the first line's time.
func untimed(out *bytes.Buffer) string {
	_, text, _ := strings.Cut(out.String(), " ")
	out.Reset()
	return text
}

// deaf is a handler that wants to hear nothing.
type deaf struct{ t *testing.T }

func (deaf) Enabled(context.Context, slog.Level) bool { return false }
func (d deaf) Handle(_ context.Context, r slog.Record) error {
	d.t.Errorf("told of %q", r.Message)
	return nil
}
func (d deaf) WithAttrs([]slog.Attr) slog.Handler { return d }
func (d deaf) WithGroup(string) slog.Handler      { return d }

func TestNothingIsFormattedForNobody(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Logger = slog.New(deaf{t}) }).knowing()
	c, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("127.0.0.1:80")})
	require.NoError(t, err)
	c.Abort(s.now)
	wrong := toUs(patched(udpTo(them6, us6, 1000, 9, ""), 40+6, 0, 0))
	scan := toUs(patched(syn(them4, us4, 1000, 80), 20+16, 1))
	batch := make([]*packet.Packet, 2)
	dropped := func() {
		batch[0], batch[1] = packetOf(wrong), packetOf(scan)
		s.stack.Input(s.now, s.link, batch)
	}
	dropped()
	require.EqualValues(t, 1, s.stack.Counters().TCP.InChecksumErrors)
	require.EqualValues(t, 1, s.stack.Counters().UDP.InNoChecksum)
	if countsAllocations {
		require.Zero(t, testing.AllocsPerRun(100, dropped))
	}
}

// TCP to a group is TCP's to drop, and to count; nothing answers it.
func TestTCPToAGroup(t *testing.T) {
	s := newScript(t).knowing()
	_, err := s.stack.TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80"), DualStack: true})
	require.NoError(t, err)
	s.recv(toAll(syn(them4, addr("192.168.69.255"), 1000, 80)))
	s.recv(toGroup(syn(them6, addr("ff02::1"), 1000, 80)))
	s.wantIdle("RFC 9293, 3.9.2.3")
	require.EqualValues(t, 2, s.stack.Counters().TCP.InGroup)
	require.Zero(t, s.stack.Counters().Drops.Total())
}

func TestDropsSayWhatTheyAre(t *testing.T) {
	names := make(map[string]bool)
	for cause := range numDropCauses {
		require.NotEmpty(t, cause.String())
		require.False(t, names[cause.String()], cause.String())
		names[cause.String()] = true
	}
	var d Drops
	require.Equal(t, "none", d.String())
	d[DropVLAN], d[DropNotOurs] = 1, 2
	require.Equal(t, "IEEE 802.1Q frame 1, not to this host 2", d.String())
	require.EqualValues(t, 3, d.Total())
	require.Equal(t, "drop cause 255", DropCause(255).String())
}

func TestCountersAddUp(t *testing.T) {
	s := newScript(t)
	other := s.secondLink(dev.Capabilities{Medium: dev.IP, MTU: 1500})
	s.recv([]byte{1})
	other.recv([]byte{1})
	other.recv([]byte{1})
	require.EqualValues(t, 3, s.stack.Counters().Drops[DropVersion]+s.stack.Counters().Drops[DropFrameTruncated])
	require.EqualValues(t, 3, s.stack.Counters().Link.InFrames)
	require.EqualValues(t, 1, s.link.Counters().Link.InFrames)
}

func TestTimersAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Timers = 5 })
	e := s.bind("0.0.0.0:5000")
	for i := range 20 {
		require.NoError(t, e.Send(s.now, packetOf([]byte("x")), netip.AddrPortFrom(toAddrv4(192<<24|168<<16|69<<8|uint32(100+i)), 7), 0))
	}
	require.Len(t, s.send(), 20)
	s.now = s.now.Add(time.Second)
	s.stack.Advance(s.now)
	at, ok := s.stack.PollAt()
	require.True(t, ok)
	require.False(t, at.After(s.now), "there is more to do")
	for range 3 {
		s.stack.Advance(s.now)
	}
	at, _ = s.stack.PollAt()
	require.False(t, at.After(s.now), "it is pending now")
	require.Len(t, s.send(), 20)
	at, _ = s.stack.PollAt()
	require.Equal(t, s.now.Add(time.Second), at)
}

func TestInputClearsTheBatch(t *testing.T) {
	s := newScript(t)
	pkts := []*packet.Packet{packetOf([]byte{1}), packetOf([]byte{2})}
	s.stack.Input(s.now, s.link, pkts)
	require.Equal(t, make([]*packet.Packet, 2), pkts)
}
