package serial_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/serial"
)

// framed is the frame 02 00 7e as it is on the line.
const framed = "\x7e\x02\x00\x7d\x5e\x8d\xe9\x7e"

const frame = "\x02\x00\x7e"

func hold(frame string) *packet.Packet {
	p := packet.New(len(frame))
	copy(p.Append(len(frame)), frame)
	return p
}

// send sends frames by the device, all of them, waiting for room.
func send(t *testing.T, d dev.Device, frames ...string) {
	t.Helper()
	for _, frame := range frames {
		pkts := []*packet.Packet{hold(frame)}
		for {
			n, err := d.Send(time.Now(), pkts)
			require.NoError(t, err)
			if n == 1 {
				break
			}
			require.NoError(t, d.WaitSend())
		}
	}
}

// fill sends frames until there is no room for more, and returns how many there was room for.
func fill(t *testing.T, d dev.Device) (taken int) {
	t.Helper()
	for {
		p := hold(frame)
		n, err := d.Send(time.Now(), []*packet.Packet{p})
		require.NoError(t, err)
		if n == 0 {
			p.Release()
			return taken
		}
		taken++
		synctest.Wait()
	}
}

// receive waits for so many frames.
func receive(t *testing.T, d dev.Device, count int) (frames []string) {
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

func TestCapabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		eui64 := [8]byte{2, 0, 0, 0, 0, 0, 0, 1}
		d := serial.New(near, serial.Config{EUI64: eui64, Acknowledges: true})
		defer d.Close()
		require.Equal(t, dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280, EUI64: eui64, Acknowledges: true}, d.Capabilities())
		_, ok := d.PollAt()
		require.False(t, ok)
	})
}

func TestTwoDevicesOnALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := net.Pipe()
		a, b := serial.New(left, serial.Config{}), serial.New(right, serial.Config{})
		defer a.Close()
		defer b.Close()
		var want []string
		for i := range 200 {
			want = append(want, string(bytes.Repeat([]byte{byte(i)}, 2+i%124)))
		}
		for _, way := range [][2]*serial.Device{{a, b}, {b, a}} {
			go send(t, way[0], want...)
			require.Equal(t, want, receive(t, way[1], len(want)))
			synctest.Wait()
			require.EqualValues(t, 200, way[0].Counters().Sent)
			require.Equal(t, uint64(200), way[1].Counters().Received)
		}
		require.Equal(t, serial.Counters{Sent: 200, Received: 200}, a.Counters())
	})
}

func TestWhatTheLineCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		defer d.Close()

		send(t, d, frame)
		b := make([]byte, 100)
		n, err := io.ReadAtLeast(far, b, len(framed))
		require.NoError(t, err)
		require.Equal(t, framed, string(b[:n]))

		go io.WriteString(far, framed)
		require.Equal(t, []string{frame}, receive(t, d, 1))
		pkts := make([]*packet.Packet, 1)
		n, err = d.Receive(time.Now(), pkts)
		require.NoError(t, err)
		require.Zero(t, n, "nothing more for now")
	})
}

// A packet may refer to octets that it does not contain.
func TestAPacketInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		defer d.Close()
		chunk := packet.NewChunk(2)
		copy(chunk.Data(), frame[1:])
		p := hold(frame[:1])
		p.Reference(chunk, chunk.Data()[:2])
		chunk.Release()
		n, err := d.Send(time.Now(), []*packet.Packet{p})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b := make([]byte, len(framed))
		_, err = io.ReadFull(far, b)
		require.NoError(t, err)
		require.Equal(t, framed, string(b))
	})
}

func TestNoiseIsCountedByCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		defer d.Close()
		go func() {
			for _, noise := range []string{
				"Booting...\r\n\x00\xff", framed,
				"\x7e\x02\x01\x7d\x5e\x8d\xe9\x7e", framed,
				string(bytes.Repeat([]byte("way too long"), 1000)), framed,
				"\x7e\x02\x7e", framed,
				"\x7e\x02\x00\x7d\x7e", framed,
			} {
				io.WriteString(far, noise)
			}
		}()
		require.Equal(t, []string{frame, frame, frame, frame, frame}, receive(t, d, 5))
		require.Equal(t, serial.Counters{Received: 5, BadFCS: 2, TooLong: 1, TooShort: 1, Aborted: 1}, d.Counters())
	})
}

// cut is a line that takes and gives octets one at a time.
type cut struct{ net.Conn }

func (c cut) Read(b []byte) (int, error)  { return iotest.OneByteReader(c.Conn).Read(b) }
func (c cut) Write(b []byte) (int, error) { return c.Conn.Write(b[:1]) }

func TestALineThatTakesLittleAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := net.Pipe()
		a, b := serial.New(cut{left}, serial.Config{}), serial.New(cut{right}, serial.Config{})
		defer a.Close()
		defer b.Close()
		go send(t, a, frame, "another", frame)
		require.Equal(t, []string{frame, "another", frame}, receive(t, b, 3))
	})
}

func TestSendTakesNoMoreThanThereIsRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // and nobody reads
		d := serial.New(near, serial.Config{})
		defer d.Close()
		require.Less(t, fill(t, d), 10)
		roomy := make(chan error)
		go func() { roomy <- d.WaitSend() }()
		synctest.Wait()
		select {
		case err := <-roomy:
			t.Fatal("there is no room yet", err)
		default:
		}
		_, err := io.CopyN(io.Discard, far, 3*int64(len(framed)))
		require.NoError(t, err)
		require.NoError(t, <-roomy)
		require.NotZero(t, fill(t, d))
	})
}

// Who takes nothing has the line wait, not the device grow.
func TestWhatIsReceivedAheadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		defer d.Close()
		written := 0
		var mu sync.Mutex
		go func() {
			for range 1000 {
				n, _ := io.WriteString(far, framed)
				mu.Lock()
				written += n
				mu.Unlock()
			}
		}()
		synctest.Wait()
		mu.Lock()
		require.Less(t, written, 100*len(framed))
		mu.Unlock()
		require.Len(t, receive(t, d, 1000), 1000, "and nothing is lost")
	})
}

func TestAFrameTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		defer d.Close()
		pkts := []*packet.Packet{hold(frame), hold(string(make([]byte, 126))), hold(frame)}
		n, err := d.Send(time.Now(), pkts)
		require.Equal(t, 1, n)
		require.EqualError(t, err, "serial: frame of 126 octets is too long: at most 125 with an MTU of 1280")
		pkts[1].Release()
		n, err = d.Send(time.Now(), pkts[2:])
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b := make([]byte, 2*len(framed))
		_, err = io.ReadFull(far, b)
		require.NoError(t, err)
		require.Equal(t, framed+framed, string(b))
	})
}

func TestCloseWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		ended := make(chan error)
		go func() { ended <- d.WaitReceive() }()
		fill(t, d)
		go func() { ended <- d.WaitSend() }()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.ErrorIs(t, <-ended, net.ErrClosed)

		_, err := d.Receive(time.Now(), make([]*packet.Packet, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = d.Send(time.Now(), nil)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = io.WriteString(far, framed)
		require.Error(t, err, "the line is closed too")
	})
}

func TestALineThatEndsEndsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		d := serial.New(near, serial.Config{})
		require.NoError(t, far.Close())
		require.EqualError(t, d.WaitReceive(), "serial: the line has ended: EOF")
		_, err := d.Receive(time.Now(), make([]*packet.Packet, 1))
		require.ErrorIs(t, err, io.EOF)
		require.ErrorIs(t, d.WaitSend(), io.EOF)
		require.NoError(t, d.Close())
		require.ErrorIs(t, d.WaitReceive(), net.ErrClosed)
	})
}

// broken is a line on which reading and writing do what a test says, until it is closed.
type broken struct {
	read, write func([]byte) (int, error)
	closed      chan struct{}
}

func (b *broken) Read(p []byte) (int, error) {
	if b.read != nil {
		return b.read(p)
	}
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (b *broken) Write(p []byte) (int, error) { return b.write(p) }
func (b *broken) Close() error                { close(b.closed); return nil }

func TestABrokenLineEndsTheDevice(t *testing.T) {
	cause := errors.New("the cable was pulled")
	for _, tt := range []struct {
		name string
		line broken
		want error
	}{
		{"when read", broken{read: func([]byte) (int, error) { return 0, cause }}, cause},
		{"when read without end", broken{read: func([]byte) (int, error) { return 0, nil }}, io.ErrNoProgress},
		{"when written", broken{write: func([]byte) (int, error) { return 0, cause }}, cause},
		{"when written without end", broken{write: func([]byte) (int, error) { return 0, nil }}, io.ErrShortWrite},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				line := tt.line
				line.closed = make(chan struct{})
				d := serial.New(&line, serial.Config{})
				if line.write != nil {
					send(t, d, frame)
				}
				err := d.WaitReceive()
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, "serial: ")
				<-line.closed
				p := hold(frame)
				_, err = d.Send(time.Now(), []*packet.Packet{p})
				require.ErrorIs(t, err, tt.want)
				p.Release()
				require.NoError(t, d.Close())
			})
		})
	}
}

// A line whose Close does not wake who reads it, as a file that the system cannot poll, keeps nobody waiting.
func TestALineThatDoesNotWake(t *testing.T) {
	d := serial.New(deaf{make(chan struct{})}, serial.Config{})
	ended := make(chan error)
	go func() { ended <- d.WaitReceive() }()
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
}

type deaf struct{ never chan struct{} }

func (d deaf) Read([]byte) (int, error)    { <-d.never; return 0, nil }
func (d deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d deaf) Close() error                { return nil }
