package tuntap_test

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tuntap"
)

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const mss = 1400

// conversation is a TCP connection with a socket of the kernel's, of which we do only what the test needs: nothing is
// ever lost here.
type conversation struct {
	*peer
	version  int
	seq, ack uint32
}

// segment makes a segment of ours. Its payload is referenced, as a stack's is.
func (c *conversation) segment(flags byte, options, payload []byte, partial bool) *packet.Packet {
	header := make([]byte, 20, 60)
	binary.BigEndian.PutUint16(header, 4096)
	binary.BigEndian.PutUint16(header[2:], 7)
	binary.BigEndian.PutUint32(header[4:], c.seq)
	binary.BigEndian.PutUint32(header[8:], c.ack)
	header = append(header, options...)
	header[12] = byte(len(header) / 4 << 4)
	header[13] = flags
	binary.BigEndian.PutUint16(header[14:], 65535)
	partial = partial && c.device.Capabilities().Checksum.TCP != 0
	p := c.packet(c.version, protocolTCP, append(header, payload...), 16, partial)
	c.seq += uint32(len(payload))
	return p
}

// converse has the kernel accept a connection from us, and hands both ends to talk.
func converse(t testing.TB, medium dev.Medium, version int, cfg tuntap.Config, talk func(*conversation, net.Conn)) {
	k := newPeer(t, medium, cfg)
	l, err := net.Listen("tcp", k.endpoint(version, 2, 7))
	require.NoError(t, err)
	defer l.Close()
	c := &conversation{peer: k, version: version, seq: 1000}

	k.send(c.segment(syn, []byte{2, 4, mss >> 8, mss & 0xff}, nil, true))
	p, got := k.nextOf(version, protocolTCP)
	require.EqualValues(t, syn|ack, got[13])
	c.seq++
	c.ack = binary.BigEndian.Uint32(got[4:]) + 1
	p.Release()
	k.send(c.segment(ack, nil, nil, false))

	conn, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	defer conn.Close()
	talk(c, conn)
	k.send(c.segment(rst|ack, nil, nil, false))
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// take notes that so much payload came behind a TCP header and returns how much of it, at the end, is new: on a slow
// machine the kernel gets impatient and sends again.
func (c *conversation) take(header []byte, payload int) int {
	known := int(int32(c.ack - binary.BigEndian.Uint32(header[4:])))
	require.GreaterOrEqual(c, known, 0, "something is missing")
	fresh := max(payload-known, 0)
	c.ack += uint32(fresh)
	return fresh
}

// collect receives n octets of the stream that the kernel sends, and shows every packet with payload to look.
func (c *conversation) collect(n int, look func(p *packet.Packet, transport []byte)) []byte {
	c.Helper()
	var stream []byte
	for len(stream) < n {
		p, got := c.nextOf(c.version, protocolTCP)
		if payload := got[got[12]>>4*4:]; len(payload) > 0 {
			stream = append(stream, payload[len(payload)-c.take(got, len(payload)):]...)
			look(p, got)
			c.send(c.segment(ack, nil, nil, true))
		}
		p.Release()
	}
	return stream
}

func TestTheKernelSendsSuperSegments(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		converse(t, medium, version, tuntap.Config{}, func(c *conversation, conn net.Conn) {
			sent := noise(1 << 20)
			go conn.Write(sent)
			largest := 0
			got := c.collect(len(sent), func(p *packet.Packet, transport []byte) {
				largest = max(largest, p.Len())
				c.requireChecksum(version, protocolTCP, p, transport, 16)
				if p.Len() > 1514 {
					require.EqualValues(t, mss, p.SegmentSize)
					require.Equal(t, packet.ChecksumPartial, p.Checksum)
				}
				if p.Len() > 4096 {
					require.Less(t, len(p.Head()), 4096, "the payload was copied")
				}
				require.LessOrEqual(t, p.Cost(), 4096+16<<10+64<<10)
			})
			require.Equal(t, sent, got)
			require.Greater(t, largest, 2*mss, "no super-segment came")
			t.Logf("the largest packet had %d octets", largest)
			require.Zero(t, c.device.Counters())
		})
	})
}

func TestWithoutOffloadsTheKernelSegments(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		converse(t, medium, version, tuntap.Config{NoOffload: true}, func(c *conversation, conn net.Conn) {
			sent := noise(100_000)
			go conn.Write(sent)
			got := c.collect(len(sent), func(p *packet.Packet, transport []byte) {
				require.LessOrEqual(t, len(transport)-20, mss)
				require.Zero(t, p.SegmentSize)
				require.Equal(t, packet.ChecksumFull, p.Checksum)
				c.requireChecksum(version, protocolTCP, p, transport, 16)
			})
			require.Equal(t, sent, got)
		})
	})
}

func TestTheKernelTakesSuperSegments(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		converse(t, medium, version, tuntap.Config{}, func(c *conversation, conn net.Conn) {
			require.True(t, c.device.Capabilities().SegmentTCP4)
			require.True(t, c.device.Capabilities().SegmentTCP6)
			sent := noise(60000)
			whole := c.segment(ack|psh, nil, sent, true)
			whole.SegmentSize = mss
			// A stack's payload lies in chunks, up to two to a packet.
			headers := whole.Len() - len(sent)
			p := whole.Clone()
			p.Truncate(headers)
			for _, half := range [][]byte{sent[:31001], sent[31001:]} {
				chunk := packet.NewChunk(len(half))
				copy(chunk.Data(), half)
				require.True(t, p.Reference(chunk, chunk.Data()[:len(half)]))
				chunk.Release()
			}
			whole.Release()
			require.EqualValues(t, mss, p.SegmentSize)
			c.send(p)
			got := make([]byte, len(sent))
			_, err := io.ReadFull(conn, got)
			require.NoError(t, err)
			require.Equal(t, sent, got)
		})
	})
}

func TestASuperSegmentThatFitsOneSegment(t *testing.T) {
	everyWay(t, func(t *testing.T, medium dev.Medium, version int) {
		converse(t, medium, version, tuntap.Config{}, func(c *conversation, conn net.Conn) {
			p := c.segment(ack|psh, nil, []byte("hello"), true)
			p.SegmentSize = mss
			c.send(p)
			got := make([]byte, 5)
			_, err := io.ReadFull(conn, got)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		})
	})
}
