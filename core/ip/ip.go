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
	ProtocolTCP    = 6
	ProtocolUDP    = 17
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
)

// Network is the network layer, as a transport sees it.
type Network interface {
	// Route finds the path to dst. A valid src is kept and must be one of the stack's own addresses
	// (ErrAddressNotAvailable); otherwise the source is chosen. link, if not 0, is the index of the interface that must
	// be used. The errors are ErrNetworkUnreachable and ErrAddressNotAvailable.
	Route(link int32, src, dst netip.Addr) (path Path, source netip.Addr, err error)

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

// ErrorKind says what an ICMP error, or a failure of the stack's own, means for the transport whose packet it is about.
type ErrorKind uint8

const (
	NetUnreachable      ErrorKind = iota + 1 // no route to the destination's network
	HostUnreachable                          // the last router, or the stack itself, cannot reach the destination
	ProtocolUnreachable                      // the destination does not speak the transport protocol
	PortUnreachable                          // nobody is at the destination port
	AdminProhibited                          // a filter on the way forbids it
	PacketTooBig                             // Error.MTU says how large a packet may be; 0 if the router did not say
	TimeExceeded                             // the hop limit was used up on the way, or fragments never became a packet
	ParameterProblem                         // somebody could not make sense of a header
	SourceRouteFailed                        // IPv4: a source route led nowhere
)

// Err is the error that a caller gets to see for the kind, nil where there is none.
func (k ErrorKind) Err() error {
	switch k {
	case NetUnreachable:
		return ErrNetworkUnreachable
	case HostUnreachable, TimeExceeded, SourceRouteFailed:
		return ErrHostUnreachable
	case AdminProhibited:
		return ErrPermission
	case ProtocolUnreachable:
		return ErrProtocolUnreachable
	case PortUnreachable:
		return ErrConnectionRefused
	case PacketTooBig:
		return ErrMessageTooLong
	case ParameterProblem:
		return ErrProtocolUnreachable
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
	// Transport is what was quoted of the packet from the transport header on, at least 8 octets: ports,
	// and for TCP the sequence number.
	Transport []byte
}
