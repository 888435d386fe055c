package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// labels are the flow labels of what leaves.
func (s *script) labels() (labels []uint32) {
	for _, frame := range s.send() {
		labels = append(labels, wire.IPv6Packet(frame[14:]).FlowLabel())
	}
	return labels
}

func TestFlowLabels(t *testing.T) {
	s := newScript(t).knowing()
	_, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("[fdaa::100]:80")})
	require.NoError(t, err)
	first := s.labels()
	require.Len(t, first, 1)
	require.NotZero(t, first[0])
	s.after(time.Second)
	require.Equal(t, first, s.labels(), "what is sent again has the same")

	e := s.bind("[::]:1")
	s.sendTo(e, "[fdaa::100]:7", 5000)
	of := s.labels()
	require.Len(t, of, 4)
	for _, label := range of {
		require.Equal(t, of[0], label, "the fragments of a packet have its label")
	}
	s.sendTo(e, "[fdaa::100]:7", 1)
	require.Equal(t, of[:1], s.labels(), "and so has every packet of the flow")

	s.recv(toUs(echo6(them6, us6, "hello")))
	require.Equal(t, []uint32{0}, s.labels(), "no flow")

	s = newScript(t, func(c *Config) { c.NoFlowLabels = true }).knowing()
	s.sendTo(s.bind("[::]:1"), "[fdaa::100]:7", 1)
	require.Equal(t, []uint32{0}, s.labels())
}

// Flows that differ in anything differ in their labels, which are all over the 20 bits, and so do those of two stacks.
func TestFlowLabelsTellFlowsApart(t *testing.T) {
	seen := make(map[uint32]int)
	s := newScript(t).knowing()
	for port := range 1000 {
		e, err := s.stack.UDP().Bind(udp.BindConfig{Remote: addrPort(fmt.Sprintf("[fdaa::100]:%d", port+1))})
		require.NoError(t, err)
		s.sendTo(e, "", 1)
		for _, label := range s.labels() {
			seen[label]++
		}
		e.Close()
	}
	require.Greater(t, len(seen), 990)
	var quarters [4]int
	for label := range seen {
		quarters[label>>18]++
	}
	for _, n := range quarters {
		require.InDelta(t, 250, n, 100)
	}

	p := udpPacket(us6, them6, "x")
	defer p.Release()
	src, dst := us6.As16(), them6.As16()
	one := s.stack.flowLabels.label(p, &src, &dst)
	p.IP.Protocol = 6
	require.NotEqual(t, one, s.stack.flowLabels.label(p, &src, &dst), "the protocol")
	p.IP.Protocol = 17
	require.NotEqual(t, one, s.stack.flowLabels.label(p, &dst, &src), "the direction")
	s.stack.flowLabels.secret[0]++
	require.NotEqual(t, one, s.stack.flowLabels.label(p, &src, &dst), "the secret")
}

// What routers advertise is for IPv6 packets for which nobody has chosen anything.
func TestHopLimitOfAnInterface(t *testing.T) {
	s := newScript(t).knowing()
	e, four := s.bind("[::]:1"), s.bind("0.0.0.0:1")
	limit := func() uint8 { return wire.IPv6Packet(s.send()[0][14:]).HopLimit() }
	s.sendTo(e, "[fdaa::100]:7", 1)
	require.EqualValues(t, 64, limit())
	s.link.params.HopLimit = 99
	s.sendTo(e, "[fdaa::100]:7", 1)
	require.EqualValues(t, 99, limit())
	_, err := s.stack.TCP().Dial(s.now, tcp.DialConfig{Remote: addrPort("[fdaa::100]:80")})
	require.NoError(t, err)
	require.EqualValues(t, 99, limit())
	s.recv(toUs(echo6(them6, us6, "hello")))
	require.EqualValues(t, 99, limit())
	e.SetHopLimit(7)
	s.sendTo(e, "[fdaa::100]:7", 1)
	require.EqualValues(t, 7, limit())
	e.SetHopLimit(0)
	s.link.params.HopLimit = 0
	s.sendTo(e, "[fdaa::100]:7", 1)
	require.EqualValues(t, 64, limit(), "a router that does not say")
	s.link.params.HopLimit = 99
	s.sendTo(four, "192.168.69.100:7", 1)
	require.EqualValues(t, 64, wire.IPv4Packet(s.send()[0][14:]).TTL())
}
