package core

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

// line3 is three stacks in a row: a client in 10.1.0.0/16 and fd01::/64, a router, and a server in 10.2.0.0/16 and fd02::/64. The
// client is .1 and ::1, the server .2 and ::2, the router .254 and ::fe on either link.
type line3 struct {
	t                      testing.TB
	client, router, server *Stack
	now                    time.Time
}

func newLine(t testing.TB, near, far pipe.Config) *line3 {
	s := &line3{t: t, now: epoch}
	var devices []dev.Device
	for _, config := range []pipe.Config{near, far} {
		a, b := pipe.New(config)
		devices = append(devices, a, b)
	}
	for i, stack := range []**Stack{&s.client, &s.router, &s.server} {
		var err error
		*stack, err = New(epoch, Config{Rand: rand.NewChaCha8([32]byte{byte(i)})})
		require.NoError(t, err)
	}
	add := func(stack *Stack, device dev.Device, forward bool, addresses ...string) *Interface {
		c := InterfaceConfig{Device: device, Forward: forward, DuplicateDetection: DetectNone}
		for _, a := range addresses {
			c.Addresses = append(c.Addresses, prefix(a))
		}
		l, err := stack.AddInterface(epoch, c)
		require.NoError(t, err)
		return l
	}
	add(s.client, devices[0], false, "10.1.0.1/16", "fd01::1/64")
	add(s.router, devices[1], true, "10.1.0.254/16", "fd01::fe/64")
	add(s.router, devices[2], true, "10.2.0.254/16", "fd02::fe/64")
	add(s.server, devices[3], false, "10.2.0.2/16", "fd02::2/64")
	for _, end := range []struct {
		stack   *Stack
		gateway string
	}{{s.client, "1"}, {s.server, "2"}} {
		require.NoError(t, end.stack.AddRoute(Route{Destination: prefix("0.0.0.0/0"), Gateway: addr("10." + end.gateway + ".0.254"), Link: 2}))
		require.NoError(t, end.stack.AddRoute(Route{Destination: prefix("::/0"), Gateway: addr("fd0" + end.gateway + "::fe"), Link: 2}))
	}
	t.Cleanup(func() {
		for _, stack := range []*Stack{s.client, s.router, s.server} {
			stack.Close(s.now)
		}
		for _, device := range devices {
			pkts := make([]*packet.Packet, 1)
			for {
				if n, err := device.Receive(s.now.Add(time.Hour), pkts); n == 0 || err != nil {
					break
				}
				pkts[0].Release()
			}
			require.NoError(t, device.Close())
		}
	})
	return s
}

// settle runs the stacks until none has anything to do now.
func (s *line3) settle() {
	for again := true; again; {
		again = false
		for _, stack := range []*Stack{s.client, s.router, s.server} {
			again = stack.Poll(s.now) || again
		}
	}
}

// until runs the stacks, in virtual time, until done is true; at most a minute of it.
func (s *line3) until(done func() bool) bool {
	for end := s.now.Add(time.Minute); s.now.Before(end); {
		s.settle()
		if done() {
			return true
		}
		next := end
		for _, stack := range []*Stack{s.client, s.router, s.server} {
			if at, ok := stack.PollAt(); ok && at.Before(next) {
				next = at
			}
		}
		if next.After(s.now) {
			s.now = next
		}
	}
	return false
}

// TestStreamThroughARouter: TCP between two hosts that do not see each other, through links of all kinds: what does not pass is
// cut up by the router, or the sender is told to send less.
func TestStreamThroughARouter(t *testing.T) {
	offloads := pipe.Config{SegmentTCP4: true, SegmentTCP6: true, Checksum: dev.Checksums{
		IPv4: dev.ChecksumNone, ICMPv4: dev.ChecksumNone, ICMPv6: dev.ChecksumNone, UDP: dev.ChecksumNone, TCP: dev.ChecksumNone}}
	for _, tc := range []struct {
		name      string
		near, far pipe.Config
	}{
		{name: "alike"},
		{name: "with delay", near: pipe.Config{Delay: 10 * time.Millisecond}, far: pipe.Config{Delay: 30 * time.Millisecond}},
		{name: "a small MTU beyond", near: pipe.Config{MTU: 9000}, far: pipe.Config{MTU: 1280}},
		{name: "offloads on the near link", near: offloads},
		{name: "offloads on the far link", far: offloads},
		{name: "offloads on both", near: offloads, far: offloads},
		{name: "bare IP", near: pipe.Config{Medium: dev.IP}, far: pipe.Config{Medium: dev.IP}},
		{name: "from bare IP to Ethernet", near: pipe.Config{Medium: dev.IP}},
	} {
		for _, remote := range []string{"10.2.0.2:80", "[fd02::2]:80"} {
			t.Run(tc.name+" to "+remote, func(t *testing.T) {
				s := newLine(t, tc.near, tc.far)
				l, err := s.server.TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80"), DualStack: true})
				require.NoError(t, err)
				client, err := s.client.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort(remote)})
				require.NoError(t, err)
				var server *tcp.Conn
				require.True(t, s.until(func() bool { server = l.Accept(); return server != nil }))
				for _, way := range [][2]*tcp.Conn{{client, server}, {server, client}} {
					want := bytes.Repeat([]byte("0123456789abcdef"), 20000)
					var got []byte
					left := want
					require.True(t, s.until(func() bool {
						write(s.now, way[0], &left)
						got = append(got, read(s.now, way[1])...)
						return len(got) >= len(want)
					}), "%d octets of %d; router %v", len(got), len(want), s.router.Counters().Drops)
					require.True(t, bytes.Equal(want, got))
				}
				c := s.router.Counters()
				require.NotZero(t, c.IPv4.OutForwDatagrams+c.IPv6.OutForwDatagrams)
			})
		}
	}
}

// TestDatagramTooBigForALaterLink: a socket learns from the router how large a datagram may be.
func TestDatagramTooBigForALaterLink(t *testing.T) {
	s := newLine(t, pipe.Config{MTU: 9000}, pipe.Config{MTU: 1280})
	for _, remote := range []string{"10.2.0.2:7", "[fd02::2]:7"} {
		e, err := s.client.UDP().Bind(udp.BindConfig{Remote: addrPort(remote)})
		require.NoError(t, err)
		require.NoError(t, e.Send(s.now, packetOf(make([]byte, 2000)), netip.AddrPort{}, 0))
		require.True(t, s.until(func() bool { return s.router.Counters().Drops[DropTooBig] > 0 }))
		s.settle()
	}
	c := s.client.Counters()
	require.EqualValues(t, 1, c.ICMPv4.InType[3])
	require.EqualValues(t, 1, c.ICMPv6.InType[2])
}

// forwarded is a router between two links, and a packet that goes through it again and again.
type forwarded struct {
	routing
	pkt   []*packet.Packet
	batch [64]*packet.Packet
	frame []byte
}

func newForwarded(t testing.TB, frame []byte) *forwarded {
	s, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(epoch) })
	f := &forwarded{pkt: make([]*packet.Packet, 1), frame: frame}
	for i, script := range []**script{&f.near, &f.far} {
		c := InterfaceConfig{Device: &testDevice{ethernet(1500)}, Forward: true, DuplicateDetection: DetectNone, HardwareAddr: ourHardware}
		for _, a := range [][]string{{"192.168.69.1/24", "fdaa::1/64"}, {"10.0.0.1/8", "fdbb::1/64"}}[i] {
			c.Addresses = append(c.Addresses, prefix(a))
		}
		l, err := s.AddInterface(epoch, c)
		require.NoError(t, err)
		*script = newScriptOn(s, l)
	}
	for _, a := range []netip.Addr{beyond4, beyond6} {
		require.NoError(t, f.far.link.Neighbours().Static(0, a, otherHardware.LinkAddr()))
	}
	f.pass()
	return f
}

func newScriptOn(s *Stack, l *Interface) *script { return &script{stack: s, link: l, now: epoch} }

// pass has the packet come in and whatever there is leave, and returns how much that was.
func (f *forwarded) pass() int {
	p := packet.New(len(f.frame))
	copy(p.Append(len(f.frame)), f.frame)
	f.pkt[0] = p
	f.near.stack.Input(epoch, f.near.link, f.pkt)
	n := f.near.stack.Output(epoch, f.far.link, f.batch[:])
	for i, p := range f.batch[:n] {
		p.Release()
		f.batch[i] = nil
	}
	return n
}

var forwardedFrames = map[string][]byte{
	"IPv4": toUs(udpTo(them4, beyond4, 1000, 7, string(make([]byte, 1400)))),
	"IPv6": toUs(udpTo(them6, beyond6, 1000, 7, string(make([]byte, 1400)))),
}

func TestForwardingAllocatesNothing(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not to be counted in this build")
	}
	for name, frame := range forwardedFrames {
		t.Run(name, func(t *testing.T) {
			f := newForwarded(t, frame)
			require.Equal(t, 1, f.pass())
			require.Zero(t, testing.AllocsPerRun(1000, func() { f.pass() }))
		})
	}
}

func BenchmarkForward(b *testing.B) {
	for name, frame := range forwardedFrames {
		b.Run(name, func(b *testing.B) {
			f := newForwarded(b, frame)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if f.pass() != 1 {
					b.Fatal("it did not pass")
				}
			}
		})
	}
}
