package smolnet

import (
	"net"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
)

// ForwardConfig says what a TCPForwarder or a UDPForwarder takes, and how. Only Link is required.
type ForwardConfig struct {
	// Link is the interface that the peers are behind. It may not be the loopback.
	Link *Link

	// InFlight is how many connections may be on their way at once: held until somebody decides on them, or answered and
	// not yet established. SYNs beyond are dropped, so that the peers try again. 0: core.Limits.TCP.InFlight, 1,024 by
	// default, which is also the most. For UDP it means nothing.
	InFlight int

	// InFlightPerPeer is how many of them may be of one peer, by its IPv4 address or the first half of its IPv6 address, so that
	// none can hold up the others. 0: half of InFlight, and at least 16. For UDP it means nothing.
	InFlightPerPeer int

	// Backlog is how many established connections, or flows of UDP, may wait to be accepted. 0: core.Limits.TCP.Backlog or
	// core.Limits.UDP.Backlog, which is also the most.
	Backlog int

	// Timeout is how long a SYN is held for somebody to decide on it. 0: tcp.Config.HoldTime, 75 s by default. For UDP it
	// means nothing: who has accepted a flow closes it when nothing has come for long enough.
	Timeout time.Duration

	// TCP has the options that connections begin with; zero fields stand for the stack's. FastOpen means nothing here.
	TCP tcp.Options

	// UDP has what goes into the IP headers of the datagrams that are sent.
	UDP udp.Options
}

// index is the interface's, for a forwarder of the stack's.
func (c *ForwardConfig) index(s *Stack) (int32, error) {
	switch {
	case c.Link == nil || c.Link.stack != s:
		return 0, ip.ErrInvalid
	case s.closed:
		return 0, net.ErrClosed
	}
	return c.Link.ifc.Index(), nil
}

// ForwardTCP begins to take the connections that peers behind an interface open to any address and port: to other hosts' as
// well as to those of the stack's own that nothing listens on. An interface has one TCPForwarder at most.
//
// The stack answers from those addresses by the same interface. On an Ethernet it needs a route by it to the peers; on a link
// without link-layer addresses it needs none.
//
// The error is a *net.OpError: syscall.EADDRINUSE if there is a forwarder already, syscall.EINVAL for what cannot be, or
// net.ErrClosed.
func (s *Stack) ForwardTCP(config ForwardConfig) (*TCPForwarder, error) {
	f := &TCPForwarder{ep: endpoint{stack: s, network: inet.TCP}}
	s.mu.Lock()
	defer s.unlock()
	if config.TCP.KeepAlive == (tcp.KeepAlive{}) {
		config.TCP.KeepAlive = s.keepAlive
	}
	link, err := config.index(s)
	if err == nil {
		f.tcp, err = s.core.TCP().Forward(tcp.ForwardConfig{
			Link: link, InFlight: config.InFlight, InFlightPerPeer: config.InFlightPerPeer, Backlog: config.Backlog,
			HoldTime: config.Timeout, Owner: &f.ep,
			Options: s.options(config.TCP, net.KeepAliveConfig{}, 0, 0),
		})
	}
	if err != nil {
		return nil, neterr.Op("listen", "bind", f.ep.network.String(), nil, f.Addr(), err)
	}
	return f, nil
}

// ForwardUDP begins to take the datagrams that peers behind an interface send to any address and port: to other hosts' as
// well as to those of the stack's own that nothing is bound to. An interface has one UDPForwarder at most. Routes and errors
// are ForwardTCP's.
func (s *Stack) ForwardUDP(config ForwardConfig) (*UDPForwarder, error) {
	f := &UDPForwarder{ep: endpoint{stack: s, network: inet.UDP}}
	s.mu.Lock()
	defer s.unlock()
	link, err := config.index(s)
	if err == nil {
		f.udp, err = s.core.UDP().Forward(udp.ForwardConfig{
			Link: link, Backlog: config.Backlog, Owner: &f.ep, Options: config.UDP,
		})
	}
	if err != nil {
		return nil, neterr.Op("listen", "bind", f.ep.network.String(), nil, f.Addr(), err)
	}
	return f, nil
}
