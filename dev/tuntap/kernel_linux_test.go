package tuntap_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tuntap"
	"github.com/smolnet/smolnet/internal/netns"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m)) }

const (
	protocolICMPv4 = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// patience is how long a test waits for what never comes, before it fails.
const patience = 20 * time.Second

var (
	ourMAC    = [6]byte{2, 0, 0, 0, 0, 1}
	kernelMAC = [6]byte{2, 0, 0, 0, 0, 2}
)

// peer is the kernel on the other side of a device. On each interface, we are 10.0.N.1 and fd00:N::1, the kernel 2.
type peer struct {
	testing.TB
	name   string
	medium dev.Medium
	device *tuntap.Device

	received []*packet.Packet
}

var interfaces int // made so far

// newName returns a name that no interface had before.
func newName() string {
	interfaces++
	return fmt.Sprintf("test%d", interfaces)
}

// newPeer makes an interface, attaches to it and gives the kernel addresses.
func newPeer(t testing.TB, medium dev.Medium, cfg tuntap.Config) *peer {
	t.Helper()
	if !netns.Test(t) {
		t.SkipNow()
	}
	if cfg.Name == "" {
		cfg.Name = newName()
	}
	device, err := tuntap.Open(medium, cfg)
	require.NoError(t, err)
	require.Equal(t, cfg.Name, device.Name())
	k := &peer{TB: t, name: cfg.Name, medium: medium, device: device}
	// Whoever waits for what never comes is told by Close.
	watchdog := time.AfterFunc(patience, func() { device.Close() })
	t.Cleanup(func() {
		watchdog.Stop()
		require.NoError(t, device.Close())
		for _, p := range k.received {
			p.Release()
		}
	})
	k.configure()
	return k
}

func (k *peer) configure() {
	k.Helper()
	if k.medium == dev.Ethernet {
		require.NoError(k, netns.SetHardwareAddr(k.name, kernelMAC))
	}
	require.NoError(k, netns.Up(k.name))
	for _, version := range []int{4, 6} {
		bits := map[int]int{4: 24, 6: 64}[version]
		require.NoError(k, netns.AddAddress(k.name, netip.PrefixFrom(k.address(version, 2), bits)))
		if k.medium == dev.Ethernet {
			require.NoError(k, netns.AddNeighbour(k.name, k.address(version, 1), ourMAC))
		}
	}
}

// address is the address of host number host on the peer's interface.
func (k *peer) address(version int, host byte) netip.Addr {
	var n uint16
	_, err := fmt.Sscanf(k.name, "test%d", &n)
	require.NoError(k, err)
	if version == 4 {
		return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), host})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 2: byte(n >> 8), 3: byte(n), 15: host})
}

func (k *peer) endpoint(version int, host byte, port uint16) string {
	return netip.AddrPortFrom(k.address(version, host), port).String()
}

// headers is how many octets precede the transport header.
func (k *peer) headers(version int) int {
	n := map[int]int{4: 20, 6: 40}[version]
	if k.medium == dev.Ethernet {
		n += 14
	}
	return n
}

// packet makes a packet from us to the kernel of a transport packet, whose checksum, field octets into it, it fills in,
// or leaves to the device.
func (k *peer) packet(version int, protocol byte, transport []byte, field int, partial bool) *packet.Packet {
	k.Helper()
	p := packet.New(len(transport))
	copy(p.Append(len(transport)), transport)
	src, dst := k.address(version, 1), k.address(version, 2)
	sum := pseudoSum(src, dst, protocol, len(transport))
	if protocol == protocolICMPv4 {
		sum = 0
	}
	switch {
	case partial:
		binary.BigEndian.PutUint16(p.Head()[field:], fold(sum))
		p.SetPartialChecksum(0, field)
	default:
		binary.BigEndian.PutUint16(p.Head()[field:], ^fold(sum+sumOf(transport)))
	}
	if version == 4 {
		h := p.Prepend(20)
		copy(h, []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0})
		binary.BigEndian.PutUint16(h[2:], uint16(p.Len()))
		copy(h[12:], src.AsSlice())
		copy(h[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], ^fold(sumOf(h)))
	} else {
		n := p.Len()
		h := p.Prepend(40)
		copy(h, []byte{0x60, 0, 0, 0, 0, 0, protocol, 64})
		binary.BigEndian.PutUint16(h[4:], uint16(n))
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
	}
	if k.medium == dev.Ethernet {
		h := p.Prepend(14)
		copy(h, kernelMAC[:])
		copy(h[6:], ourMAC[:])
		binary.BigEndian.PutUint16(h[12:], map[int]uint16{4: 0x0800, 6: 0x86dd}[version])
	}
	return p
}

// listen opens a UDP socket of the kernel's on port 7.
func (k *peer) listen(version int) net.PacketConn {
	k.Helper()
	c, err := net.ListenPacket("udp", k.endpoint(version, 2, 7))
	require.NoError(k, err)
	require.NoError(k, c.SetDeadline(time.Now().Add(patience)))
	k.Cleanup(func() { c.Close() })
	return c
}

// send sends packets, all of which the device must take.
func (k *peer) send(pkts ...*packet.Packet) {
	k.Helper()
	n, err := k.device.Send(time.Now(), pkts)
	require.NoError(k, err)
	require.Len(k, pkts, n)
}

// next returns the next packet received for which is holds. The kernel also talks of its own accord, of
// groups and neighbours.
func (k *peer) next(is func(octets []byte) bool) *packet.Packet {
	k.Helper()
	for {
		for len(k.received) > 0 {
			p := k.received[0]
			k.received = k.received[1:]
			if is(octetsOf(p)) {
				return p
			}
			p.Release()
		}
		require.NoError(k, k.device.WaitReceive(), "the kernel has not said what was expected")
		pkts := make([]*packet.Packet, 8)
		n, err := k.device.Receive(time.Now(), pkts)
		require.NoError(k, err)
		k.received = pkts[:n]
	}
}

// nextOf returns the next packet of a protocol that comes from the kernel's address, and its transport packet.
func (k *peer) nextOf(version int, protocol byte) (p *packet.Packet, transport []byte) {
	k.Helper()
	headers := k.headers(version)
	at := map[int]int{4: headers - 11, 6: headers - 34}[version]
	src := map[int]int{4: headers - 8, 6: headers - 32}[version]
	want := string(k.address(version, 2).AsSlice())
	p = k.next(func(b []byte) bool {
		return len(b) >= headers && b[at] == protocol && string(b[src:src+len(want)]) == want
	})
	return p, octetsOf(p)[headers:]
}

// requireChecksum requires that the transport checksum is right, whole or for the device to complete.
func (k *peer) requireChecksum(version int, protocol byte, p *packet.Packet, transport []byte, field int) {
	k.Helper()
	sum := pseudoSum(k.address(version, 2), k.address(version, 1), protocol, len(transport))
	if p.Checksum != packet.ChecksumPartial {
		require.EqualValues(k, 0xffff, fold(sum+sumOf(transport)), "the checksum is wrong")
		return
	}
	offset, at := p.PartialChecksum()
	require.Equal(k, k.headers(version), offset)
	require.Equal(k, field, at)
	require.Equal(k, fold(sum), binary.BigEndian.Uint16(transport[field:]), "not the sum of the pseudo-header")
}

func octetsOf(p *packet.Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b, 0)
	return b
}

func pseudoSum(src, dst netip.Addr, protocol byte, length int) uint32 {
	return sumOf(src.AsSlice()) + sumOf(dst.AsSlice()) + uint32(protocol) + uint32(length)
}

func sumOf(b []byte) uint32 {
	var sum uint32
	for i, octet := range b {
		sum += uint32(octet) << (8 * (1 - i%2))
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// everyWay runs a test over taps and tuns and both IP versions.
func everyWay(t *testing.T, test func(t *testing.T, medium dev.Medium, version int)) {
	for _, medium := range []dev.Medium{dev.Ethernet, dev.IP} {
		for _, version := range []int{4, 6} {
			t.Run(fmt.Sprintf("%v/IPv%d", medium, version), func(t *testing.T) { test(t, medium, version) })
		}
	}
}

func TestTheKernelAnswersARP(t *testing.T) {
	k := newPeer(t, dev.Ethernet, tuntap.Config{})
	p := packet.New(42)
	b := p.Append(42)
	copy(b, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	copy(b[6:], ourMAC[:])
	copy(b[12:], []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1})
	copy(b[22:], ourMAC[:])
	copy(b[28:], k.address(4, 1).AsSlice())
	copy(b[38:], k.address(4, 2).AsSlice())
	k.send(p)

	answer := k.next(func(b []byte) bool { return string(b[12:14]) == "\x08\x06" })
	defer answer.Release()
	got := octetsOf(answer)
	require.Equal(t, ourMAC[:], got[:6])
	require.Equal(t, []byte{0, 2}, got[20:22], "not an answer")
	require.Equal(t, kernelMAC[:], got[22:28])
	require.Equal(t, k.address(4, 2).AsSlice(), got[28:32])
	require.LessOrEqual(t, answer.Cost(), 4096, "a small frame pins more than a page")
}

func TestTheKernelAnswersPings(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		k := newPeer(t, medium, tuntap.Config{})
		echo := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, "payload"...)
		protocol, answered := byte(protocolICMPv4), byte(0)
		if version == 6 {
			echo[0], protocol, answered = 128, protocolICMPv6, 129
		}
		k.send(k.packet(version, protocol, echo, 2, false))
		for {
			p, got := k.nextOf(version, protocol)
			p.Release()
			if got[0] == answered {
				require.Equal(t, echo[4:], got[4:])
				return
			}
		}
	})
}

func TestReceivedUDPHasAPartialChecksum(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		k := newPeer(t, medium, tuntap.Config{})
		c, err := net.Dial("udp", k.endpoint(version, 1, 7))
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)

		p, got := k.nextOf(version, protocolUDP)
		defer p.Release()
		require.Equal(t, "hello", string(got[8:]))
		require.Equal(t, packet.ChecksumPartial, p.Checksum)
		k.requireChecksum(version, protocolUDP, p, got, 6)
	})
}

func TestSentUDP(t *testing.T) {
	for _, partial := range []bool{true, false} {
		t.Run(fmt.Sprintf("partial checksum %v", partial), func(t *testing.T) {
			everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
				k := newPeer(t, medium, tuntap.Config{})
				c := k.listen(version)

				datagram := append([]byte{0x10, 0, 0, 7, 0, 13, 0, 0}, "hello"...)
				wrong := k.packet(version, protocolUDP, append(datagram[:8:8], "wrong"...), 6, false)
				wrong.Head()[wrong.Len()-1]++
				k.send(wrong, k.packet(version, protocolUDP, datagram, 6, partial))
				b := make([]byte, 100)
				n, from, err := c.ReadFrom(b)
				require.NoError(t, err)
				require.Equal(t, "hello", string(b[:n]), "a datagram with a wrong checksum does not arrive")
				require.Equal(t, k.endpoint(version, 1, 4096), from.String())
			})
		})
	}
}

func TestWithoutOffloadsEverythingIsDone(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		// The interface stays, and was used with offloads before.
		name := newName()
		make := netns.AddTap
		if medium == dev.IP {
			make = netns.AddTun
		}
		if !netns.Test(t) {
			return
		}
		require.NoError(t, make(name))
		before, err := tuntap.Open(medium, tuntap.Config{Name: name})
		require.NoError(t, err)
		require.NoError(t, before.Close())

		k := newPeer(t, medium, tuntap.Config{Name: name, NoOffload: true})
		require.Equal(t, dev.Capabilities{Medium: medium, MTU: 1500}, k.device.Capabilities())
		c, err := net.Dial("udp", k.endpoint(version, 1, 7))
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
		p, got := k.nextOf(version, protocolUDP)
		defer p.Release()
		require.Equal(t, packet.ChecksumFull, p.Checksum)
		k.requireChecksum(version, protocolUDP, p, got, 6)

		refused := k.packet(version, protocolUDP, got, 6, true)
		n, err := k.device.Send(time.Now(), []*packet.Packet{refused})
		require.Zero(t, n)
		require.ErrorContains(t, err, name+": partial checksum: the device has no offloads")
		refused.Release()
	})
}

func TestAFrameTooLongIsRefused(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	name := newName()
	require.NoError(t, netns.AddTap(name))
	require.NoError(t, netns.SetMTU(name, 9000))
	k := newPeer(t, dev.Ethernet, tuntap.Config{Name: name})
	require.Equal(t, 9000, k.device.Capabilities().MTU)
	p := k.packet(4, protocolUDP, make([]byte, 9000-20+1), 6, true)
	n, err := k.device.Send(time.Now(), []*packet.Packet{p})
	require.Zero(t, n)
	require.EqualError(t, err, name+": frame of 9015 octets is too long: at most 9014 with an MTU of 9000")
	p.Release()
}

func TestAPersistentInterfaceSurvivesClose(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	for _, medium := range []dev.Medium{dev.Ethernet, dev.IP} {
		t.Run(medium.String(), func(t *testing.T) {
			name := newName()
			if medium == dev.IP {
				require.NoError(t, netns.AddTun(name))
			} else {
				require.NoError(t, netns.AddTap(name))
			}
			for range 2 {
				d, err := tuntap.Open(medium, tuntap.Config{Name: name})
				require.NoError(t, err)
				require.NoError(t, d.Close())
				_, err = net.InterfaceByName(name)
				require.NoError(t, err)
			}
		})
	}
}

func TestAnInterfaceThatOpenMadeGoesWithTheDevice(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	d, err := tuntap.Open(dev.Ethernet, tuntap.Config{Name: "made%d"})
	require.NoError(t, err)
	require.Equal(t, "made0", d.Name())
	_, err = net.InterfaceByName("made0")
	require.NoError(t, err)
	require.NoError(t, d.Close())
	_, err = net.InterfaceByName("made0")
	require.Error(t, err)
}

func TestOpenErrors(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	name := newName()
	d, err := tuntap.Open(dev.Ethernet, tuntap.Config{Name: name})
	require.NoError(t, err)
	defer d.Close()
	tests := []struct {
		name   string
		medium dev.Medium
		device string
		want   string
	}{
		{"in use", dev.Ethernet, name, `attaching to the tap "` + name + `": TUNSETIFF: device or resource busy`},
		{"of the other kind", dev.IP, name, `attaching to the tun "` + name + `": TUNSETIFF: invalid argument`},
		{"no tap", dev.Ethernet, "lo", `attaching to the tap "lo": TUNSETIFF: invalid argument`},
		{"name too long", dev.Ethernet, strings.Repeat("x", 20), "invalid argument"},
		{"no such medium", dev.IEEE802154, "", "tuntap: there is no interface for IEEE 802.15.4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tuntap.Open(tt.medium, tuntap.Config{Name: tt.device})
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestCloseWakesWhoWaits(t *testing.T) {
	k := newPeer(t, dev.IP, tuntap.Config{})
	ended := make(chan error)
	go func() {
		pkts := make([]*packet.Packet, 8)
		for {
			if err := k.device.WaitReceive(); err != nil {
				ended <- err
				return
			}
			n, _ := k.device.Receive(time.Now(), pkts)
			for _, p := range pkts[:n] {
				p.Release()
			}
		}
	}()
	require.NoError(t, k.device.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	require.NoError(t, k.device.Close(), "closing again does nothing")

	_, err := k.device.Receive(time.Now(), make([]*packet.Packet, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = k.device.Send(time.Now(), nil)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, k.device.WaitReceive(), net.ErrClosed)
	require.ErrorIs(t, k.device.WaitSend(), net.ErrClosed)
}

func TestWaitSendReturnsInAnyCase(t *testing.T) {
	k := newPeer(t, dev.IP, tuntap.Config{})
	require.NoError(t, k.device.WaitSend())
	require.NoError(t, k.device.WaitSend())
}

func TestAnInterfaceThatIsDownDoesNotEndTheDevice(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		k := newPeer(t, medium, tuntap.Config{})
		datagram := append([]byte{0x10, 0, 0, 7, 0, 13, 0, 0}, "hello"...)
		require.NoError(t, netns.Down(k.name))
		k.send(k.packet(version, protocolUDP, datagram, 6, true), k.packet(version, protocolUDP, datagram, 6, true))
		require.Equal(t, tuntap.Counters{Down: 2}, k.device.Counters())
		_, err := k.device.Receive(time.Now(), make([]*packet.Packet, 0))
		require.NoError(t, err)

		if version == 4 { // the kernel keeps IPv4 addresses, but no neighbours
			require.NoError(t, netns.Up(k.name))
			if medium == dev.Ethernet {
				require.NoError(t, netns.AddNeighbour(k.name, k.address(4, 1), ourMAC))
			}
			c := k.listen(4)
			k.send(k.packet(version, protocolUDP, datagram, 6, true))
			n, from, err := c.ReadFrom(make([]byte, 100))
			require.NoError(t, err)
			require.Equal(t, 5, n)
			_, err = c.WriteTo([]byte("and back"), from)
			require.NoError(t, err)
			p, got := k.nextOf(4, protocolUDP)
			defer p.Release()
			require.Equal(t, "and back", string(got[8:]))
		}
	})
}

func TestADeletedInterfaceIsABrokenDevice(t *testing.T) {
	k := newPeer(t, dev.Ethernet, tuntap.Config{})
	broken := make(chan error)
	go func() {
		for {
			if err := k.device.WaitReceive(); err != nil {
				broken <- err
				return
			}
			pkts := make([]*packet.Packet, 8)
			n, _ := k.device.Receive(time.Now(), pkts)
			for _, p := range pkts[:n] {
				p.Release()
			}
		}
	}()
	require.NoError(t, netns.Delete(k.name))
	require.EqualError(t, <-broken, k.name+": the interface was deleted")
	require.Error(t, k.device.WaitReceive(), "it does not come back")
	_, err := k.device.Receive(time.Now(), make([]*packet.Packet, 1))
	require.EqualError(t, err, k.name+": the interface was deleted")
	require.False(t, errors.Is(err, net.ErrClosed))
	k.send(k.packet(4, protocolUDP, make([]byte, 20), 6, true))
	require.EqualValues(t, 1, k.device.Counters().Down)
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	k := newPeer(t, dev.IP, tuntap.Config{})
	echo := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, make([]byte, 1000)...)
	pkts := make([]*packet.Packet, 8)
	first := k.packet(4, protocolICMPv4, echo, 2, false)
	round := func() {
		for i := range pkts {
			pkts[i] = first.Clone()
		}
		if n, err := k.device.Send(time.Time{}, pkts); n != len(pkts) || err != nil {
			panic(fmt.Sprint(n, err))
		}
		for left := len(pkts); left > 0; {
			if err := k.device.WaitReceive(); err != nil {
				panic(err)
			}
			n, err := k.device.Receive(time.Time{}, pkts)
			if err != nil {
				panic(err)
			}
			for _, p := range pkts[:n] {
				if p.Len() == first.Len() { // and not of the kernel's own accord
					left--
				}
				p.Release()
			}
		}
	}
	round()
	require.Zero(t, testing.AllocsPerRun(100, round))
}
