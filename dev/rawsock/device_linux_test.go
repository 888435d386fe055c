package rawsock_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/rawsock"
	"github.com/smolnet/smolnet/internal/netns"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m)) }

// Where the kernel has no radio, a tun with the type of one does: what is written to its file the interface receives, and
// what the interface sends can be read from it.
type radio struct {
	t    *testing.T
	name string
	file *os.File
}

// newRadio makes an interface of the type, which is down.
func newRadio(t *testing.T, name string, hatype int) *radio {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	ifr, err := unix.NewIfreq(name)
	require.NoError(t, err)
	// With packet information before each frame, since its protocol cannot be told from the first octet, as with IP.
	ifr.SetUint16(unix.IFF_TUN)
	require.NoError(t, unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
	require.NoError(t, unix.IoctlSetInt(fd, unix.TUNSETLINK, hatype))
	r := &radio{t, name, os.NewFile(uintptr(fd), name)}
	t.Cleanup(func() { r.file.Close() })
	require.NoError(t, r.file.SetDeadline(time.Now().Add(20*time.Second)))
	return r
}

const information = 4 // octets: flags and protocol

// hears has the interface receive a frame.
func (r *radio) hears(frame string) {
	r.t.Helper()
	b := binary.BigEndian.AppendUint16(make([]byte, 2), unix.ETH_P_IEEE802154)
	_, err := r.file.Write(append(b, frame...))
	require.NoError(r.t, err)
}

// says returns the next frame that the interface sends, but for what the kernel has to say by itself.
func (r *radio) says() string {
	r.t.Helper()
	b := make([]byte, 2000)
	for {
		n, err := r.file.Read(b)
		require.NoError(r.t, err)
		require.Greater(r.t, n, information)
		if binary.BigEndian.Uint16(b[2:]) == unix.ETH_P_IEEE802154 {
			return string(b[information:n])
		}
	}
}

func open(t *testing.T, name string, cfg rawsock.Config) *rawsock.Device {
	t.Helper()
	d, err := rawsock.Open(name, cfg)
	require.NoError(t, err)
	watchdog := time.AfterFunc(20*time.Second, func() { d.Close() }) // whoever waits for what never comes is told
	t.Cleanup(func() {
		watchdog.Stop()
		require.NoError(t, d.Close())
	})
	return d
}

func hold(frame string) *packet.Packet {
	p := packet.New(len(frame))
	copy(p.Append(len(frame)), frame)
	return p
}

func send(t *testing.T, d *rawsock.Device, frames ...string) {
	t.Helper()
	for _, frame := range frames {
		n, err := d.Send(time.Now(), []*packet.Packet{hold(frame)})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// receive waits for so many frames.
func receive(t *testing.T, d *rawsock.Device, count int) (frames []string) {
	t.Helper()
	var pkts [4]*packet.Packet
	for len(frames) < count {
		require.NoError(t, d.WaitReceive())
		n, err := d.Receive(time.Now(), pkts[:min(len(pkts), count-len(frames))])
		require.NoError(t, err)
		for _, p := range pkts[:n] {
			b := make([]byte, p.Len())
			p.CopyTo(b, 0)
			p.Release()
			frames = append(frames, string(b))
		}
	}
	return frames
}

// nothing holds that there is nothing to receive.
func nothing(t *testing.T, d *rawsock.Device) {
	t.Helper()
	n, err := d.Receive(time.Now(), make([]*packet.Packet, 1))
	require.NoError(t, err)
	require.Zero(t, n)
}

// A data frame and an acknowledgment.
const (
	data = "\x41\xd8\x07\xcd\xab\xff\xff\x01\x00payload"
	ack  = "\x02\x00\x07"
)

func TestFramesBothWays(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan0", unix.ARPHRD_IEEE802154)
	require.NoError(t, netns.Up("wpan0"))
	d := open(t, "wpan0", rawsock.Config{})
	require.Equal(t, "wpan0", d.Name())
	require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280, Acknowledges: true}, d.Capabilities())
	_, ok := d.PollAt()
	require.False(t, ok)

	longest := strings.Repeat("\x60", 125)
	for _, frame := range []string{data, ack, longest} {
		r.hears(frame)
		require.Equal(t, []string{frame}, receive(t, d, 1))
		send(t, d, frame)
		require.Equal(t, frame, r.says())
		require.NoError(t, d.WaitSend())
	}
	nothing(t, d) // and nothing of its own

	want := make([]string, 100)
	for i := range want {
		want[i] = string(bytes.Repeat([]byte{byte(i)}, 2+i))
		r.hears(want[i])
	}
	require.Equal(t, want, receive(t, d, len(want)))
	require.Zero(t, d.Counters())
}

// What is not in a frame of IEEE 802.15.4 is the kernel's.
func TestOtherProtocolsAreNotReceived(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan1", unix.ARPHRD_IEEE802154)
	other := newRadio(t, "wpan2", unix.ARPHRD_IEEE802154)
	require.NoError(t, netns.Up("wpan1"))
	require.NoError(t, netns.Up("wpan2"))
	d := open(t, "wpan1", rawsock.Config{})
	_, err := r.file.Write([]byte("\x00\x00\x86\xddIPv6"))
	require.NoError(t, err)
	other.hears("somewhere else")
	r.hears(data)
	require.Equal(t, []string{data}, receive(t, d, 1))
	nothing(t, d)
}

func TestAPacketInPieces(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan3", unix.ARPHRD_IEEE802154)
	require.NoError(t, netns.Up("wpan3"))
	d := open(t, "wpan3", rawsock.Config{})
	chunk := packet.NewChunk(7)
	copy(chunk.Data(), "payload")
	p := hold(data[:9])
	p.Reference(chunk, chunk.Data()[:7])
	chunk.Release()
	n, err := d.Send(time.Now(), []*packet.Packet{p})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, data, r.says())
}

// The check value of this sum, which is CRC-16/KERMIT, is 0x2189 for "123456789".
func TestAMonitorVerifiesFrames(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "mon0", unix.ARPHRD_IEEE802154_MONITOR)
	require.NoError(t, netns.Up("mon0"))
	eui64 := [8]byte{2, 0, 0, 0, 0, 0, 0, 1}
	d := open(t, "mon0", rawsock.Config{EUI64: eui64})
	require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280, EUI64: eui64}, d.Capabilities())

	r.hears("123456789\x89\x21")
	require.Equal(t, []string{"123456789"}, receive(t, d, 1))
	r.hears("123456789\x89\x20")
	r.hears("1")
	r.hears(strings.Repeat("\x00", 128))
	r.hears(strings.Repeat("\x00", 127))
	require.Equal(t, []string{strings.Repeat("\x00", 125)}, receive(t, d, 1))
	require.Equal(t, rawsock.Counters{BadFCS: 2, TooLong: 1}, d.Counters())

	send(t, d, ack)
	require.Equal(t, ack, r.says(), "the radio adds the rest")
}

func TestFramesTooLong(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan4", unix.ARPHRD_IEEE802154)
	require.NoError(t, netns.Up("wpan4"))
	d := open(t, "wpan4", rawsock.Config{})
	for _, size := range []int{126, 127, 128, 1500} {
		r.hears(strings.Repeat("\x00", size))
	}
	r.hears(data)
	require.Equal(t, []string{data}, receive(t, d, 1))
	require.Equal(t, rawsock.Counters{TooLong: 4}, d.Counters())

	pkts := []*packet.Packet{hold(data), hold(strings.Repeat("\x00", 126)), hold(ack)}
	n, err := d.Send(time.Now(), pkts)
	require.Equal(t, 1, n)
	require.EqualError(t, err, "wpan4: frame of 126 octets is too long: at most 125 with an MTU of 1280")
	pkts[1].Release()
	n, err = d.Send(time.Now(), pkts[2:])
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, data, r.says())
	require.Equal(t, ack, r.says())
}

func TestAnInterfaceMayGoDownAndUp(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan5", unix.ARPHRD_IEEE802154)
	d := open(t, "wpan5", rawsock.Config{})
	for i := range 3 {
		nothing(t, d)
		send(t, d, data)
		require.Equal(t, rawsock.Counters{Down: uint64(i + 1)}, d.Counters())

		received := make(chan []string)
		go func() { received <- receive(t, d, 1) }()
		require.NoError(t, netns.Up("wpan5"))
		r.hears(ack)
		require.Equal(t, []string{ack}, <-received)
		send(t, d, data)
		require.Equal(t, data, r.says())
		require.NoError(t, netns.Down("wpan5"))
	}
}

func TestADeletedInterfaceEndsTheDevice(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	for _, tt := range []struct {
		name string
		up   bool
	}{{"wpan6", true}, {"wpan7", false}} {
		r := newRadio(t, tt.name, unix.ARPHRD_IEEE802154)
		if tt.up {
			require.NoError(t, netns.Up(tt.name))
		}
		d := open(t, tt.name, rawsock.Config{})
		ended := make(chan error)
		go func() { ended <- d.WaitReceive() }()
		require.NoError(t, r.file.Close())
		require.EqualError(t, <-ended, tt.name+": the interface was deleted")
		p := hold(data)
		n, err := d.Send(time.Now(), []*packet.Packet{p})
		require.Zero(t, n)
		require.EqualError(t, err, tt.name+": the interface was deleted")
		p.Release()
		require.EqualError(t, d.WaitReceive(), tt.name+": the interface was deleted")
	}
}

func TestNothingIsAllocatedPerFrame(t *testing.T) {
	if checked {
		t.Skip("a checked build allocates")
	}
	if !netns.Test(t) {
		return
	}
	r := newRadio(t, "wpan9", unix.ARPHRD_IEEE802154)
	require.NoError(t, netns.Up("wpan9"))
	d := open(t, "wpan9", rawsock.Config{})
	heard := append([]byte{0, 0, 0, unix.ETH_P_IEEE802154}, data...)
	said := make([]byte, 200)
	pkts := make([]*packet.Packet, 1)
	round := func() {
		if _, err := r.file.Write(heard); err != nil {
			panic(err)
		}
		if err := d.WaitReceive(); err != nil {
			panic(err)
		}
		if n, err := d.Receive(time.Time{}, pkts); n != 1 || err != nil {
			panic(fmt.Sprint(n, err))
		}
		if n, err := d.Send(time.Time{}, pkts); n != 1 || err != nil {
			panic(fmt.Sprint(n, err))
		}
		if err := d.WaitSend(); err != nil {
			panic(err)
		}
		if _, err := r.file.Read(said); err != nil {
			panic(err)
		}
	}
	for range 20 {
		round()
	}
	require.Zero(t, testing.AllocsPerRun(200, round))
}

func TestWhatCannotBeOpened(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap("tap0"))
	require.NoError(t, netns.AddTun("tun0"))
	for _, tt := range []struct{ name, want string }{
		{"lo", "rawsock: lo: it is no IEEE 802.15.4 interface: its type is 772, loopback"},
		{"tap0", "rawsock: tap0: it is no IEEE 802.15.4 interface: its type is 1, Ethernet"},
		{"tun0", "rawsock: tun0: it is no IEEE 802.15.4 interface: its type is 65534, IP without link headers"},
		{"none", "rawsock: none: SIOCGIFINDEX: no such device"},
		{"a name that is too long", "rawsock: a name that is too long: invalid argument"},
	} {
		_, err := rawsock.Open(tt.name, rawsock.Config{})
		require.EqualError(t, err, tt.want)
	}
}

func TestCloseWakesWhoWaits(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	newRadio(t, "wpan8", unix.ARPHRD_IEEE802154)
	for _, up := range []bool{false, true} {
		if up {
			require.NoError(t, netns.Up("wpan8"))
		}
		d := open(t, "wpan8", rawsock.Config{})
		ended := make(chan error)
		go func() { ended <- d.WaitReceive() }()
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		_, err := d.Receive(time.Now(), make([]*packet.Packet, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = d.Send(time.Now(), []*packet.Packet{nil})
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, d.WaitReceive(), net.ErrClosed)
		require.ErrorIs(t, d.WaitSend(), net.ErrClosed)
	}
}
