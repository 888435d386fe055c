package core

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

// pair is two stacks on a pipe, with 192.168.69.1 and .100, fdaa::1 and ::100.
type pair struct {
	t      *testing.T
	stacks [2]*Stack
	now    time.Time
}

func newPair(t *testing.T, config pipe.Config) *pair {
	s := &pair{t: t, now: epoch}
	a, b := pipe.New(config)
	for i, device := range []dev.Device{a, b} {
		host := []string{"1", "100"}[i]
		stack, err := New(epoch, Config{Rand: rand.NewChaCha8([32]byte{byte(i)})})
		require.NoError(t, err)
		_, err = stack.AddInterface(epoch, InterfaceConfig{Device: device, DuplicateDetection: DetectNone, Addresses: []netip.Prefix{
			prefix("192.168.69." + host + "/24"), prefix("fdaa::" + host + "/64")}})
		require.NoError(t, err)
		s.stacks[i] = stack
		t.Cleanup(func() {
			stack.Close(s.now)
			pkts := make([]*packet.Packet, 1)
			for {
				if n, err := device.Receive(s.now.Add(time.Hour), pkts); n == 0 || err != nil {
					break
				}
				pkts[0].Release()
			}
			require.NoError(t, device.Close())
		})
	}
	s.until(func() bool { return false }) // what announces the addresses has arrived
	return s
}

// until runs both stacks, in virtual time, until done is true or nothing will ever happen.
func (s *pair) until(done func() bool) bool {
	for range 1_000_000 {
		for s.stacks[0].Poll(s.now) || s.stacks[1].Poll(s.now) {
		}
		if done() {
			return true
		}
		var next time.Time
		for _, stack := range s.stacks {
			if at, ok := stack.PollAt(); ok && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
		if next.IsZero() {
			return false
		}
		if next.After(s.now) {
			s.now = next
		}
	}
	s.t.Fatal("the stacks never rest")
	return false
}

func TestDatagramsInVirtualTime(t *testing.T) {
	s := newPair(t, pipe.Config{Delay: 100 * time.Millisecond})
	server, err := s.stacks[1].UDP().Bind(udp.BindConfig{Local: addrPort("[::]:7"), DualStack: true})
	require.NoError(t, err)
	for _, remote := range []string{"192.168.69.100:7", "[fdaa::100]:7"} {
		start := s.now
		client, err := s.stacks[0].UDP().Bind(udp.BindConfig{Remote: addrPort(remote)})
		require.NoError(t, err)
		require.NoError(t, client.Send(s.now, packetOf([]byte("ping")), addrPort(remote), 0))
		require.True(t, s.until(func() bool { return server.Received() > 0 }))
		p, from, _ := server.Receive()
		require.NoError(t, server.Send(s.now, p, from, 0))
		require.True(t, s.until(func() bool { return client.Received() > 0 }))
		p, _, _ = client.Receive()
		require.Equal(t, "ping", string(p.Head()))
		p.Release()
		require.Equal(t, 400*time.Millisecond, s.now.Sub(start), "address resolution there, packet, and back without")
	}
}

// write writes all of b as room allows, and reports whether it is done.
func write(now time.Time, c *tcp.Conn, b *[]byte) bool {
	for len(*b) > 0 {
		var f storage.Fill
		n, err := c.Reserve(&f, len(*b))
		if n == 0 || err != nil {
			return false
		}
		*b = (*b)[f.Write((*b)[:n]):]
		c.Commit(now, &f)
	}
	return true
}

// read reads what there is.
func read(now time.Time, c *tcp.Conn) []byte {
	var q storage.Queue
	b := make([]byte, c.Received())
	c.Receive(len(b), &q)
	q.Read(b)
	c.Consumed(now, len(b))
	return b
}

func TestStreamInVirtualTime(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config pipe.Config
	}{
		{"Ethernet", pipe.Config{Delay: 10 * time.Millisecond}},
		{"IP", pipe.Config{Medium: dev.IP, Delay: 10 * time.Millisecond}},
		{"no delay", pipe.Config{}},
		{"room for three packets", pipe.Config{Queue: 3, Delay: time.Millisecond}},
		{"large packets", pipe.Config{MTU: 65535, Delay: time.Millisecond}},
		{"super-segments", pipe.Config{SegmentTCP4: true, SegmentTCP6: true, Checksum: dev.Checksums{TCP: dev.ChecksumNone}, Delay: time.Millisecond}},
		{"least MTU", pipe.Config{MTU: 1280, Delay: time.Millisecond}},
	} {
		for _, remote := range []string{"192.168.69.100:80", "[fdaa::100]:80"} {
			t.Run(tc.name+" "+remote, func(t *testing.T) {
				s := newPair(t, tc.config)
				l, err := s.stacks[1].TCP().Listen(tcp.ListenConfig{Local: addrPort("[::]:80"), DualStack: true})
				require.NoError(t, err)
				c, err := s.stacks[0].TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort(remote)})
				require.NoError(t, err)
				require.True(t, s.until(func() bool { return l.Pending() > 0 }))
				server := l.Accept()
				require.Equal(t, addrPort(remote), server.LocalAddr())

				sent := make([]byte, 1<<20)
				seeded().Read(sent)
				left := sent
				sum := sha256.New()
				closed := false
				require.True(t, s.until(func() bool {
					if write(s.now, c, &left) && !closed {
						closed = true
						c.CloseWrite(s.now)
					}
					sum.Write(read(s.now, server))
					return server.ReadClosed() && server.Received() == 0
				}), "%v %v", c.State(), server.State())
				require.Equal(t, sha256.Sum256(sent), [32]byte(sum.Sum(nil)))
				require.Zero(t, s.stacks[0].Counters().TCP.RetransSegs, "nothing is lost")
				server.Close(s.now)
				s.until(func() bool { return c.State() == tcp.TimeWait || c.State() == tcp.Closed })
			})
		}
	}
}

// fullDevice takes only so many packets, and refuses some.
type fullDevice struct {
	testDevice
	room   int
	refuse bool
	broken error
	sent   []*packet.Packet
}

func (d *fullDevice) Receive(time.Time, []*packet.Packet) (int, error) { return 0, d.broken }

func (d *fullDevice) Send(_ time.Time, pkts []*packet.Packet) (int, error) {
	if d.refuse {
		return 0, errors.New("refused")
	}
	n := min(d.room, len(pkts))
	d.sent = append(d.sent, pkts[:n]...)
	d.room -= n
	return n, nil
}

func TestFullDevice(t *testing.T) {
	stack, err := New(epoch, Config{Rand: seeded()})
	require.NoError(t, err)
	device := &fullDevice{testDevice: testDevice{dev.Capabilities{Medium: dev.IP, MTU: 1500}}}
	l, err := stack.AddInterface(epoch, InterfaceConfig{Device: device, Addresses: []netip.Prefix{prefix("192.168.69.1/24")}})
	require.NoError(t, err)
	e, err := stack.UDP().Bind(udp.BindConfig{Local: addrPort("0.0.0.0:5000")})
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, e.Send(epoch, packetOf(make([]byte, i)), addrPort("192.168.69.100:7"), 0))
	}
	_, ok := stack.PollAt()
	require.True(t, ok, "there is something to send")
	stack.Poll(epoch)
	require.Empty(t, device.sent)
	_, ok = stack.PollAt()
	require.False(t, ok, "until the device has room, nothing is to be done")
	for device.room = 7; len(device.sent) < 100; device.room = 7 {
		stack.Poll(epoch)
	}
	for i, p := range device.sent {
		require.Equal(t, 28+i, p.Len(), "all of them, in order")
		p.Release()
	}
	require.Zero(t, l.Counters().Drops.Total())

	device.refuse = true
	require.NoError(t, e.Send(epoch, packetOf(nil), addrPort("192.168.69.100:7"), 0))
	require.NoError(t, e.Send(epoch, packetOf(nil), addrPort("192.168.69.100:7"), 0))
	stack.Poll(epoch)
	require.EqualValues(t, 2, l.Counters().Drops[DropDevice])
	require.EqualValues(t, 2, l.Counters().Link.OutErrors)

	device.refuse, device.room = false, 0
	require.NoError(t, e.Send(epoch, packetOf(nil), addrPort("192.168.69.100:7"), 0))
	device.broken = errors.New("broken")
	stack.Poll(epoch)
	stack.Poll(epoch)
	stack.Close(epoch)
	require.EqualValues(t, 1, stack.Counters().Drops[DropInterfaceRemoved], "what the device had no room for")
}

func TestPollIsBounded(t *testing.T) {
	// An endpoint that always has something to send to itself does not keep Poll for ever.
	stack, err := New(epoch, Config{Limits: Limits{PollRounds: 3, LoopbackBatch: 5}})
	require.NoError(t, err)
	defer stack.Close(epoch)
	by, source, err := stack.Route(0, netip.Addr{}, loopbackAddrv4)
	require.NoError(t, err)
	sender := &endlessSender{testSender{by: by}, func() *packet.Packet { return udpPacket(source, source, "x") }}
	stack.Ready(by, sender)
	stack.Poll(epoch)
	require.EqualValues(t, 15, stack.Counters().Link.InFrames)
	_, ok := stack.PollAt()
	require.True(t, ok)
}

type endlessSender struct {
	testSender
	next func() *packet.Packet
}

func (s *endlessSender) Emit(int64) (*packet.Packet, ip.Path, bool) { return s.next(), s.by, true }
