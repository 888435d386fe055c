// Package ip is what the network layer and the transports above it say to each other: how a transport finds its way,
// takes its turn at a link, and learns of errors. Package core implements the network layer's side.
package ip

import (
	"errors"
	"net/netip"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// Protocol numbers, as assigned by IANA.
const (
	ProtocolICMPv4 = 1
	ProtocolIGMP   = 2
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolIPv6   = 41 // IPv6 in IP
	ProtocolICMPv6 = 58
)

// What can be wrong with a destination or a source. They are mapped to package net's errors by the shell.
var (
	ErrNetworkUnreachable  = errors.New("network is unreachable")
	ErrHostUnreachable     = errors.New("no route to host")
	ErrAddressNotAvailable = errors.New("cannot assign requested address")
	ErrAddressInUse        = errors.New("address already in use")
	ErrConnectionRefused   = errors.New("connection refused")
	ErrMessageTooLong      = errors.New("message too long")
	ErrPermission          = errors.New("permission denied")
	ErrProtocolUnreachable = errors.New("protocol not available")
	ErrNoBufferSpace       = errors.New("no buffer space available")
	ErrInvalid             = errors.New("invalid argument")
	ErrNoDevice            = errors.New("no such device")
	ErrHostDown            = errors.New("host is down")
	ErrProtocol            = errors.New("protocol error")
	ErrNotSupported        = errors.New("operation not supported")
)

// Network is the network layer, as a transport sees it.
type Network interface {
	// Route finds the path to dst. A valid src is kept and must be one of the stack's own addresses
	// (ErrAddressNotAvailable); otherwise the source is chosen. link, if not 0, is the index of the interface that must
	// be used. The errors are ErrNetworkUnreachable and ErrAddressNotAvailable.
	Route(link int32, src, dst netip.Addr) (path Path, source netip.Addr, err error)

	// RouteBack finds the path to dst by the interface of the given index, for what answers packets that Intercept has
	// delivered: their IP field says Foreign, the source is whatever the peer has sent to, and they leave by no other
	// interface. The error is ErrNetworkUnreachable.
	RouteBack(link int32, dst netip.Addr) (Path, error)

	// Intercept has the transport protocol, TCP or UDP, be handed packets to any unicast address, not only to the stack's
	// own, that arrive by the interface of the given index, or ends that. The IP field of those to others' addresses says
	// Foreign. ICMP errors about what is sent from such an address are reported too. The error is ErrInvalid if there is no
	// such interface, or if it is the loopback.
	Intercept(link int32, protocol uint8, on bool) error

	// Local reports whether addr is an address of the stack's own that may be bound, on the given interface or, for 0, on
	// any.
	Local(link int32, addr netip.Addr) bool

	// Send transmits p, whose IP field is filled in and whose first octet is the transport header's, by path. It is for
	// what has no endpoint to take turns, such as a reset; what exceeds the link's queue is dropped and counted.
	Send(now int64, path Path, p *packet.Packet)

	// Ready puts s at the end of the line of those that have something to send by path's link. A sender
	// stands in line once, however often it is called.
	Ready(path Path, s Sender)

	// Timers is the stack's timer heap.
	Timers() *timer.Heap
}

// Path is the way to a destination: the interface and the next hop. A path stays usable when routes or neighbours change; what
// leaves by it then is routed anew.
type Path interface {
	// Link is the index of the interface, never 0.
	Link() int32

	// MTU is the largest IP packet, in octets, that the link carries.
	MTU() int

	// PathMTU is the largest IP packet, in octets, that is not known to be too large for any link on the way: MTU, or less
	// for some time after a router has said so.
	PathMTU() int

	// MaxSegment is the most octets of payload that a TCP segment should have on the link, whatever the MTU: it takes several frames
	// to send a large one where those are short, and the loss of one loses all. 0: the MTU is the only bound.
	MaxSegment() int

	// SegmentsTCP reports whether the link takes TCP super-segments of the address family that the path leads to.
	SegmentsTCP() bool

	// FillsChecksum reports whether the link's device completes partial checksums of the transport protocol.
	FillsChecksum(protocol uint8) bool

	// VerifiesChecksum reports whether the link's device delivers only packets of the protocol whose checksum is right.
	VerifiesChecksum(protocol uint8) bool

	// Confirm tells that the next hop has answered: RFC 4861's reachability confirmation by an upper layer.
	Confirm(now int64)
}

// Sender is an endpoint that takes turns at a link.
type Sender interface {
	// Turn is the sender's place in the line; the network layer alone uses it.
	Turn() *Turn

	// Emit returns the next packet to leave, its IP field filled in and its first octet the transport header's, and the
	// path that it takes; nil if there is nothing after all. more says that the sender wants another turn.
	Emit(now int64) (p *packet.Packet, path Path, more bool)
}

// Turn is a sender's place in the line at a link, embedded by value in the sender.
type Turn struct {
	Next   Sender // who is behind
	Queued bool
}

// ErrorKind says what an ICMP error, or a failure of the stack's own, means for the transport whose packet it is about. What a
// caller gets to see of each is what Linux has it see.
type ErrorKind uint8

const (
	NetUnreachable      ErrorKind = iota + 1 // no route to the destination's network
	HostUnreachable                          // the last router, or the stack itself, cannot reach the destination
	TimeExceeded                             // the hop limit was used up on the way, or fragments never became a packet
	NetProhibited                            // the destination's network is unknown, or a filter on the way forbids it
	HostProhibited                           // a filter on the way forbids the destination
	HostDown                                 // IPv4: the destination is known not to exist
	ProtocolUnreachable                      // IPv4: the destination does not speak the transport protocol
	PortUnreachable                          // nobody is at the destination port
	AdminProhibited                          // IPv6: a filter or a policy on the way forbids it
	PacketTooBig                             // Error.MTU says how large a packet may be; 0 if the router did not say
	ParameterProblem                         // somebody could not make sense of a header
	SourceRouteFailed                        // IPv4: a source route led nowhere
)

// Transient reports whether what is wrong may pass, as a route that is being mended: such an error alone ends nothing that has
// begun.
func (k ErrorKind) Transient() bool {
	switch k {
	case NetUnreachable, HostUnreachable, TimeExceeded, SourceRouteFailed:
		return true
	}
	return false
}

// Err is the error that a caller gets to see for the kind, nil where there is none.
func (k ErrorKind) Err() error {
	switch k {
	case NetUnreachable, NetProhibited:
		return ErrNetworkUnreachable
	case HostUnreachable, TimeExceeded, HostProhibited:
		return ErrHostUnreachable
	case HostDown:
		return ErrHostDown
	case AdminProhibited:
		return ErrPermission
	case ProtocolUnreachable:
		return ErrProtocolUnreachable
	case PortUnreachable:
		return ErrConnectionRefused
	case PacketTooBig:
		return ErrMessageTooLong
	case ParameterProblem:
		return ErrProtocol
	case SourceRouteFailed:
		return ErrNotSupported
	}
	return nil
}

// Error is an error about a packet that the stack has sent, received in an ICMP message or found by the network layer itself
// (a neighbour that does not answer).
type Error struct {
	Kind     ErrorKind
	MTU      int        // for PacketTooBig, octets
	Src, Dst netip.Addr // of the packet that it is about: Src is the stack's own
	Link     int32      // the interface by which the error came, or the packet left
	From     netip.Addr // who reported it; invalid: the stack itself
	Foreign  bool       // Src is no address of the stack's own: the packet was sent by Network.RouteBack
	// Transport is what was quoted of the packet from the transport header on, at least 8 octets: ports,
	// and for TCP the sequence number.
	Transport []byte
}
