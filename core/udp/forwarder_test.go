package udp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// forwarder is a Forwarder with an owner that takes note.
type forwarder struct {
	*Forwarder
	s      *script
	events ip.Event
}

func (f *forwarder) Notify(events ip.Event) { f.events |= events }

func (s *script) forward(config ForwardConfig) *forwarder {
	s.Helper()
	f := &forwarder{s: s}
	fill(&config.Link, 2)
	config.Owner = f
	var err error
	f.Forwarder, err = s.host.Forward(config)
	require.NoError(s, err)
	return f
}

// accept takes the next flow.
func (f *forwarder) accept(why string) *endpoint {
	f.s.Helper()
	flow := f.Accept()
	require.NotNil(f.s, flow, why)
	require.NotZero(f.s, f.events&ip.Accepted, why)
	e := &endpoint{Endpoint: flow, s: f.s}
	flow.SetOwner(e)
	return e
}

const (
	peer = "192.168.69.100:4242"
	far  = "203.0.113.7:53"
)

func TestForwardedFlow(t *testing.T) {
	s := newScript(t)
	f := s.forward(ForwardConfig{Options: Options{HopLimit: 9}})
	require.True(t, s.intercepts[2], "packets to others come in")
	s.recv(datagram{from: peer, to: far, payload: "query", foreign: true})
	s.recv(datagram{from: peer, to: far, payload: "again", foreign: true})
	require.Equal(t, 1, f.Pending(), "both are of one flow")
	flow := f.accept("the flow")
	require.Nil(t, f.Accept())
	require.Equal(t, at(far), flow.LocalAddr(), "whom the peer means")
	require.Equal(t, at(peer), flow.RemoteAddr())
	require.EqualValues(t, 2, flow.Link())
	flow.want("the datagram that began it", "query", peer)
	flow.want("and the next", "again", peer)
	flow.send("answer", "")
	s.want("the answer comes from whom it was asked", datagram{from: far, to: peer, payload: "answer", hopLimit: 9, foreign: true})

	s.recv(datagram{from: peer, to: far, payload: "more", foreign: true})
	flow.wantEvents("its owner hears of it", ip.Readable)
	s.recv(datagram{from: "192.168.69.100:4243", to: far, payload: "other", foreign: true})
	s.recv(datagram{from: peer, to: "203.0.113.8:53", payload: "other", foreign: true})
	require.Equal(t, 2, f.Pending(), "another port, or another destination, is another flow")

	s.error(ip.PortUnreachable, far, peer)
	require.ErrorIs(t, flow.Err(), ip.ErrConnectionRefused, "errors about what it has sent reach it")

	flow.Close()
	s.recv(datagram{from: peer, to: far, payload: "late", foreign: true})
	require.Equal(t, 3, f.Pending(), "what comes after its end begins another")
	require.EqualValues(t, 4, s.host.Counters().Flows)
	s.wantIdle("nobody else is answered")
}

func TestRejectedFlow(t *testing.T) {
	var rejected []datagram
	s := newScript(t, func(c *Config) {
		c.Rejected = func(now int64, p *packet.Packet) {
			header, err := wire.ParseUDP(contents(p))
			require.NoError(t, err)
			require.EqualValues(t, time.Second, now)
			rejected = append(rejected, datagram{
				from: netip.AddrPortFrom(p.IP.Src, header.SrcPort()).String(),
				to:   netip.AddrPortFrom(p.IP.Dst, header.DstPort()).String(),
				link: p.IP.Link, foreign: p.IP.Foreign,
			})
			p.Release()
		}
	})
	f := s.forward(ForwardConfig{})
	s.recv(datagram{from: peer, to: far, payload: "one", foreign: true})
	s.recv(datagram{from: peer, to: far, payload: "two", foreign: true})
	flow := f.accept("the flow")
	flow.want("one was read", "one", peer)
	require.True(t, flow.Reject(epoch.Add(time.Second)))
	require.Equal(t, []datagram{{from: peer, to: far, link: 2, foreign: true}}, rejected, "the other was not: there is one answer")
	require.False(t, flow.Reject(epoch), "it is closed")
	s.recv(datagram{from: peer, to: far, payload: "three", foreign: true})
	require.Equal(t, 1, f.Pending(), "what comes after begins another")

	require.False(t, s.listen("192.168.69.1:7").Reject(epoch), "it is no flow")
	require.Len(t, rejected, 1)
	require.EqualValues(t, 1, s.host.Counters().FlowsRejected)
	s.wantIdle("it is the network layer that answers")
}

func TestFlowsToAcceptAreBounded(t *testing.T) {
	s := newScript(t)
	f := s.forward(ForwardConfig{Backlog: 2})
	for _, port := range []string{"1", "2", "3"} {
		s.recv(datagram{from: "192.168.69.100:" + port, to: far, payload: port, foreign: true})
	}
	require.Equal(t, 2, f.Pending())
	require.EqualValues(t, 1, s.host.Counters().InFlowsFull)
	s.recv(datagram{from: "192.168.69.100:1", to: far, payload: "1", foreign: true})
	require.EqualValues(t, 1, s.host.Counters().InFlowsFull, "what is of a flow that waits joins it")
	f.accept("room").want("the first", "1", "192.168.69.100:1")
	s.recv(datagram{from: "192.168.69.100:3", to: far, payload: "3", foreign: true})
	require.Equal(t, 2, f.Pending())

	s.host.config.Limits.Endpoints = s.host.endpoints
	f.accept("room")
	s.recv(datagram{from: "192.168.69.100:4", to: far, payload: "4", foreign: true})
	require.EqualValues(t, 2, s.host.Counters().InFlowsFull, "flows are endpoints")
}

func TestFlowThatWaitsKeepsLittle(t *testing.T) {
	for _, test := range []struct {
		name           string
		buffer         int
		before, beyond int // octets kept until the flow is accepted, and after that
	}{
		{"by default", 0, unacceptedBuffer, 256 << 10},
		{"less than that", 8 << 10, 8 << 10, 8 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			f := s.forward(ForwardConfig{ReceiveBuffer: test.buffer})
			flood := func() {
				for range 400 {
					s.recv(datagram{from: peer, to: far, payload: strings.Repeat("x", 1000), foreign: true})
				}
			}
			flood()
			waiting := s.host.first
			require.LessOrEqual(t, waiting.receiving.Cost(), test.before)
			require.Greater(t, waiting.receiving.Cost(), test.before/2)
			flow := f.accept("the flow")
			require.Same(t, waiting, flow.Endpoint)
			flood()
			require.LessOrEqual(t, flow.receiving.Cost(), test.beyond)
			require.Greater(t, flow.receiving.Cost(), test.beyond/2)
			flow.Close()
		})
	}
}

func TestEndpointsComeBeforeForwarders(t *testing.T) {
	s := newScript(t)
	f := s.forward(ForwardConfig{})
	e := s.listen("192.168.69.1:53")
	all := s.listen("0.0.0.0:54")
	s.recv(datagram{from: peer, to: "192.168.69.1:53", payload: "ours"})
	e.want("an endpoint at an own address", "ours", peer)
	s.recv(datagram{from: peer, to: "192.168.69.1:55", payload: "nobody's"})
	flow := f.accept("where there is none, the forwarder is")
	flow.want("it", "nobody's", peer)
	flow.send("yes", "")
	s.want("from our own address", datagram{from: "192.168.69.1:55", to: peer, payload: "yes"})
	s.recv(datagram{from: peer, to: "203.0.113.7:54", payload: "others'", foreign: true})
	all.wantNothing("an endpoint for all own addresses has no other's")
	f.accept("that is the forwarder's").want("it", "others'", peer)

	s.wantBindError("the flow is there first", BindConfig{
		Local: at("192.168.69.1:55"), Remote: at(peer), Link: 2}, ip.ErrAddressInUse)
	s.listen("192.168.69.1:55") // but it takes the port from nobody

	s.recv(datagram{from: "192.168.69.100:0", to: "192.168.69.1:56", payload: "x"})
	s.wantUnreachable("who has no port cannot be answered", datagram{from: "192.168.69.100:0", to: "192.168.69.1:56", payload: "x"})
	s.recv(datagram{from: peer, to: "255.255.255.255:67", payload: "x"})
	require.Nil(t, f.Accept(), "broadcasts are for endpoints alone")
	s.recv(datagram{from: "10.9.9.9:1", to: "10.0.0.1:7", payload: "x", link: 3})
	s.wantUnreachable("it is another interface's forwarder", datagram{from: "10.9.9.9:1", to: "10.0.0.1:7", payload: "x"})
}

func TestClosedForwarder(t *testing.T) {
	s := newScript(t)
	f := s.forward(ForwardConfig{})
	_, err := s.host.Forward(ForwardConfig{Link: 2})
	require.ErrorIs(t, err, ip.ErrAddressInUse, "who is there first keeps it")
	s.recv(datagram{from: peer, to: far, payload: "x", foreign: true})
	flow := f.accept("a flow")
	s.recv(datagram{from: peer, to: "203.0.113.8:53", payload: "x", foreign: true})
	f.Close()
	f.Close()
	require.Equal(t, 1, s.host.Endpoints(), "the flow that nobody has accepted is gone")
	require.True(t, s.intercepts[2], "the other is not")
	flow.want("and is heard", "x", peer)
	s.recv(datagram{from: peer, to: "203.0.113.8:53", payload: "x", foreign: true})
	require.EqualValues(t, 1, s.host.Counters().InNotForwarded)
	s.wantIdle("nobody speaks for others")
	again := s.forward(ForwardConfig{})
	s.recv(datagram{from: peer, to: "203.0.113.8:53", payload: "x", foreign: true})
	again.accept("a new one").Close()
	again.Close()
	flow.Close()
	require.False(t, s.intercepts[2], "nothing remains")
}

func TestForwardRefuses(t *testing.T) {
	s := newScript(t)
	for _, config := range []ForwardConfig{
		{}, {Link: 9}, {Link: 2, Backlog: -1}, {Link: 2, ReceiveBuffer: -1}, {Link: 2, SendBuffer: -1},
	} {
		_, err := s.host.Forward(config)
		require.ErrorIs(t, err, ip.ErrInvalid, "%+v", config)
	}
	s.host.Close()
	_, err := s.host.Forward(ForwardConfig{Link: 2})
	require.ErrorIs(t, err, ErrClosed)
}
