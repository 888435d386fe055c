package raw

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// ICMP is an endpoint for ICMP messages of one version. Bound to an identifier, it sends echo requests that bear it and receives
// the replies: Linux's socket of type SOCK_DGRAM and protocol ICMP. Bound to a port of UDP or TCP, it receives the ICMP errors about
// what was sent from there.
type ICMP struct {
	Endpoint
	key    portKey
	errors bool
}

// ICMPConfig says what an ICMP receives.
type ICMPConfig struct {
	// Ident is the identifier of the echo requests that the endpoint sends; 0: one is chosen. No two endpoints have the same.
	Ident uint16
	// Transport, ip.ProtocolUDP or ip.ProtocolTCP, binds to Port of that protocol instead: to receive errors, not to send.
	Transport uint8
	Port      uint16
	// Errors has an endpoint that is bound to an identifier receive the ICMP errors about its requests among the replies, instead
	// of learning of them by Err.
	Errors bool
	// Local is the address to send from and receive at. The unspecified address of a family stands for all of that family's. For a
	// connected endpoint the zero value, or an unspecified address, leaves the choice of an address to the routes.
	Local netip.Addr
	// Remote, if valid, connects the endpoint: it receives replies from there only, unless it is a group's address, and learns of
	// errors about its requests.
	Remote netip.Addr
	// Link is the index of the interface, 0 for any: required for link-local IPv6 addresses.
	Link int32
	// ReceiveBuffer and SendBuffer bound the endpoint's queues; 0: as the host's Limits say.
	ReceiveBuffer, SendBuffer int
	// Options are what the IP headers of requests have, until they are changed.
	Options Options
	// Owner is told what happens: ip.Readable, ip.Writable, and ip.Closed when the host is closed. nil: nobody.
	Owner ip.Owner
}

// OpenICMP opens an endpoint for ICMP messages. The errors are ip.ErrInvalid, ip.ErrAddressNotAvailable, ip.ErrAddressInUse if
// another has the identifier or port, ip.ErrNetworkUnreachable if Remote is, ip.ErrNoBufferSpace beyond Limits.Endpoints, and ErrClosed.
func (h *Host) OpenICMP(config ICMPConfig) (*ICMP, error) {
	if err := h.room(); err != nil {
		return nil, err
	}
	e := &ICMP{
		Endpoint: Endpoint{host: h, owner: config.Owner, link: config.Link, options: config.Options}, errors: config.Errors,
	}
	if err := e.setBuffers(config.ReceiveBuffer, config.SendBuffer); err != nil {
		return nil, err
	}
	if err := e.bind(config.Local, config.Remote); err != nil {
		return nil, err
	}
	if err := e.claim(&config); err != nil {
		return nil, err
	}
	h.messages[e.key] = e
	e.Endpoint.remove = func() { delete(h.messages, e.key) }
	h.open(&e.Endpoint)
	return e, nil
}

// claim finds out which identifier or port the endpoint gets.
func (e *ICMP) claim(config *ICMPConfig) (err error) {
	e.key = portKey{icmpv4, config.Ident}
	if e.v6 {
		e.key.protocolKey = icmpv6
	}
	switch config.Transport {
	case 0:
		if config.Port != 0 {
			return ip.ErrInvalid
		}
		if config.Ident == 0 {
			e.key.port, err = e.host.choose(e.key.protocolKey)
		}
	case ip.ProtocolUDP, ip.ProtocolTCP:
		if config.Port == 0 || config.Ident != 0 || config.Remote.IsValid() {
			return ip.ErrInvalid
		}
		e.key.protocol, e.key.port = config.Transport, config.Port
	default:
		return ip.ErrInvalid
	}
	if err == nil && e.host.messages[e.key] != nil {
		err = ip.ErrAddressInUse
	}
	return err
}

// Ident is the identifier that the endpoint is bound to, 0 if it is bound to a port. It never changes.
func (e *ICMP) Ident() uint16 {
	if !e.echoes() {
		return 0
	}
	return e.key.port
}

// echoes reports whether the endpoint is bound to an identifier.
func (e *ICMP) echoes() bool { return e.key.protocolKey == icmpv4 || e.key.protocolKey == icmpv6 }

// Receive returns the message that has waited longest, from its ICMP header on, nil if there is none. p.IP says who sent it, and has
// the hop limit that was left.
func (e *ICMP) Receive() *packet.Packet { return e.receiving.Pop() }

// learn is told of an error about what was sent from the endpoint's port, or about its request, and reports whether it cares.
func (e *ICMP) learn(about *ip.Error, message *packet.Packet) bool {
	switch {
	case message != nil && (e.errors || !e.echoes()):
		e.copied(message, 0, &e.host.counters.InMessages)
	case e.echoes() && e.remote == about.Dst && tells(about):
		e.fail(about.Kind.Err())
	}
	return message != nil || e.echoes()
}

// requestOf is the type of an echo request.
func requestOf(v6 bool) uint8 {
	if v6 {
		return wire.ICMPv6EchoRequest
	}
	return wire.ICMPv4EchoRequest
}

// Send queues p, an echo request of which the stack fills in identifier and checksum, to leave for to, or if that is not valid for
// where the endpoint is connected. p comes from packet.New, so that there is room for the headers.
//
// It takes p, on error too, unless the error is ErrWouldBlock: then p stays the caller's. The other errors are ip.ErrInvalid if
// p is no echo request, or for a destination that there cannot be, ip.ErrMessageTooLong if it is longer than IP has it,
// ip.ErrPermission for broadcasts where they are not allowed, ip.ErrNotSupported for an endpoint that is bound to a port, those of
// ip.Network.Route, and ErrClosed.
func (e *ICMP) Send(_ time.Time, p *packet.Packet, to netip.Addr, h Header) error {
	return e.sent(p, e.send(p, to, h))
}

func (e *ICMP) send(p *packet.Packet, to netip.Addr, h Header) error {
	if !e.echoes() {
		return ip.ErrNotSupported
	}
	b := p.Header(wire.ICMPv4HeaderLen)
	if b == nil || b[0] != requestOf(e.v6) || b[1] != 0 {
		return ip.ErrInvalid
	}
	path, err := e.route(p, to, e.key.protocol, h, e.headerLen())
	switch {
	case err != nil:
		return err
	case e.blocked(p):
		return ErrWouldBlock
	}
	binary.BigEndian.PutUint16(b[4:], e.key.port)
	fillICMP(path, p)
	e.enqueue(path, p)
	return nil
}
