package udp

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
)

// Why a call on an endpoint failed. The errors of core/ip are used as well.
var (
	// ErrWouldBlock: the send queue has no room for the datagram. The owner will be told by ip.Writable when it has.
	ErrWouldBlock = errors.New("send queue is full")
	// ErrClosed: the endpoint, or the host, was closed.
	ErrClosed = errors.New("endpoint is closed")
)

// Config is what a Host is made of. Network and Rand are required; any other zero field stands for its default.
type Config struct {
	Network ip.Network // what carries the datagrams
	Groups  ip.Groups  // where endpoints join multicast groups; nil: they cannot
	Epoch   time.Time  // time zero of the stack's clock
	Rand    io.Reader  // where ports come from
	Limits  Limits     // what the Host keeps at most

	// PortUnreachable is told of a datagram that no endpoint is there for, and that may be answered with an ICMP error. p
	// begins with the UDP header; the function takes it. nil: such datagrams are dropped.
	PortUnreachable func(now int64, p *packet.Packet)

	// Rejected is told of a flow of a forwarder's that its user rejects, by a datagram as the flow's peer has sent it, but without
	// payload; it is as PortUnreachable otherwise.
	Rejected func(now int64, p *packet.Packet)

	// Dropped is told of a datagram that could not be used, or not be sent after all, and why in a few words of plain
	// English. p.IP is filled in; whether the packet still begins with the UDP header depends on the cause. p stays the
	// caller's. nil: nobody listens.
	Dropped func(p *packet.Packet, cause string)

	// FirstPort and LastPort bound the ports chosen for those who ask for none, both included; default 49152 to 65535,
	// the dynamic ports of RFC 6335.
	FirstPort, LastPort uint16
}

// Limits bound what a Host keeps. A zero field stands for its default.
type Limits struct {
	// Endpoints is how many endpoints there may be, the flows of forwarders included, and those that are closed and have
	// datagrams yet to send; default 65,536.
	Endpoints int
	// Backlog is the default and most of the flows that wait in a forwarder to be accepted; default 1,024.
	Backlog int
	// ReceiveBuffer and SendBuffer are what an endpoint's queues are bounded by, unless it is told otherwise: the memory,
	// in octets, that the datagrams in them pin. Default 256 KiB. A queue that is empty takes any datagram.
	ReceiveBuffer, SendBuffer int
	// MaxBuffer is the most that either bound may be set to; what is larger is taken for it. Default 64 MiB.
	MaxBuffer int
}

func (c Config) withDefaults() (Config, error) {
	fill(&c.FirstPort, 49152)
	fill(&c.LastPort, 65535)
	fill(&c.Limits.Endpoints, 1<<16)
	fill(&c.Limits.Backlog, 1024)
	fill(&c.Limits.MaxBuffer, 64<<20)
	fill(&c.Limits.ReceiveBuffer, min(256<<10, c.Limits.MaxBuffer))
	fill(&c.Limits.SendBuffer, min(256<<10, c.Limits.MaxBuffer))
	switch {
	case c.Network == nil || c.Rand == nil:
		return c, errors.New("udp: Config needs a Network and a Rand")
	case c.FirstPort > c.LastPort:
		return c, fmt.Errorf("udp: FirstPort %d is above LastPort %d", c.FirstPort, c.LastPort)
	}
	for _, v := range []struct {
		name  string
		value int
	}{
		{"Endpoints", c.Limits.Endpoints}, {"Backlog", c.Limits.Backlog}, {"MaxBuffer", c.Limits.MaxBuffer},
		{"ReceiveBuffer", c.Limits.ReceiveBuffer}, {"SendBuffer", c.Limits.SendBuffer},
	} {
		if v.value < 0 {
			return c, fmt.Errorf("udp: Limits.%s is negative: %d", v.name, v.value)
		}
	}
	for _, v := range []struct {
		name  string
		value int
	}{{"ReceiveBuffer", c.Limits.ReceiveBuffer}, {"SendBuffer", c.Limits.SendBuffer}} {
		if v.value > c.Limits.MaxBuffer {
			return c, fmt.Errorf("udp: Limits.%s %d exceeds Limits.MaxBuffer %d", v.name, v.value, c.Limits.MaxBuffer)
		}
	}
	return c, nil
}

// fill gives *v the default unless it has a value.
func fill[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// BindConfig says what an endpoint is bound and connected to.
type BindConfig struct {
	// Local is the address and port to receive at and send from. The unspecified address of a family stands for all of
	// the stack's addresses of that family; port 0 is chosen. It may be a multicast address, or the broadcast address,
	// at which the endpoint then only receives. For a connected endpoint the zero value, or an unspecified address,
	// leaves the choice of an address to the routes.
	Local netip.AddrPort
	// Remote, if valid, connects the endpoint: it receives datagrams, and errors, from there only.
	Remote netip.AddrPort
	// Link is the index of the interface, 0 for any: required for link-local IPv6 addresses.
	Link int32
	// DualStack has an unspecified IPv6 address stand for all IPv4 addresses as well. For a connected endpoint that matters only as
	// long as it is a question of who has the port.
	DualStack bool
	// ReusePort shares the address and port with others, all of which must have set it, as SO_REUSEPORT does: all datagrams from one
	// sender go to the same one, by a seeded hash of addresses and ports, which may be another once one has come or gone.
	ReusePort bool
	// ReuseAddr shares the address and port with others, all of which must have set it, as SO_REUSEADDR does on Linux: datagrams go to
	// the last that was bound.
	//
	// Whatever is sent to a multicast or broadcast address goes to all who are bound to it, or to all addresses.
	ReuseAddr bool
	// ReceiveBuffer and SendBuffer bound the endpoint's queues; 0: as the host's Limits say.
	ReceiveBuffer, SendBuffer int
	// Options are what the IP headers of its datagrams have, until they are changed.
	Options Options
	// Owner is told what happens: ip.Readable, ip.Writable, and ip.Closed when the host is closed. nil: nobody.
	Owner ip.Owner
}

// Options are what an endpoint puts into the IP headers of its datagrams. The zero value has the defaults.
type Options struct {
	HopLimit          uint8 // IPv4's TTL; 0: the interface's, 64 unless routers say otherwise
	MulticastHopLimit uint8 // the same for datagrams to a multicast address; 0: 1
	TrafficClass      uint8 // IPv4's TOS
	NoBroadcast       bool  // sending to the broadcast address fails with ip.ErrPermission
	NoMulticastLoop   bool  // see SetMulticastLoopback
	NoMulticastAll    bool  // see SetMulticastAll
	MulticastLink     int32 // see SetMulticastLink

	// PathMTUDiscovery says what becomes of datagrams larger than the link, or the path, carries; the default is
	// PathMTUWant.
	PathMTUDiscovery PathMTUDiscovery
}

// PathMTUDiscovery says what becomes of datagrams larger than the link, or the path to their destination, carries: which is
// known once a router has said so. The names and what they mean are those of Linux's IP_MTU_DISCOVER.
type PathMTUDiscovery uint8

const (
	// PathMTUWant: they leave in fragments of what the path carries. Others have IPv4's DF bit set, by which the path's MTU
	// is found out.
	PathMTUWant PathMTUDiscovery = iota
	// PathMTUDont: they leave in fragments of what the link carries, and routers of IPv4 may cut them again. What routers
	// say does not matter, and is not told.
	PathMTUDont
	// PathMTUDo: Send fails with ip.ErrMessageTooLong. Nothing is cut, and DF is set.
	PathMTUDo
	// PathMTUProbe: as PathMTUDo, but what routers have said does not matter: only what the link does not carry is too long.
	// It is for who looks for the path's MTU by packets of different sizes.
	PathMTUProbe
)

// fragmentation is who may cut the datagrams.
func (m PathMTUDiscovery) fragmentation() packet.Fragmentation {
	switch m {
	case PathMTUWant:
		return packet.FragmentAtSource
	case PathMTUDont:
		return packet.FragmentAnywhere
	}
	return packet.DontFragment
}

// most is the length of the longest IP packet that may be sent by the path.
func (m PathMTUDiscovery) most(path ip.Path) int {
	switch m {
	case PathMTUWant, PathMTUDont:
		return math.MaxInt
	case PathMTUDo:
		return path.PathMTU()
	}
	return path.MTU()
}
