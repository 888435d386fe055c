package udp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Forwarder takes the datagrams that peers behind one interface send to any address and port: to others' addresses as well as to
// those of the stack's own that nothing is bound to. Endpoints come first.
//
// The first datagram of a flow, which is from one address and port to another, makes an Endpoint that is connected to the sender,
// bound to what it has sent to, and has the datagram in its receive queue. Those that follow find that endpoint, until it is
// closed; one after that makes another.
type Forwarder struct {
	host    *Host
	owner   ip.Owner
	link    int32
	backlog int
	options Options
	flows   []*Endpoint // those to accept
	closed  bool

	receiveBuffer, sendBuffer int
}

// ForwardConfig says what a Forwarder takes.
type ForwardConfig struct {
	// Link is the index of the interface by which the datagrams come. It is required, and not the loopback's.
	Link int32
	// Backlog bounds the flows that wait to be accepted; the datagrams of those beyond are dropped. 0: Limits.Backlog, which is
	// also the most.
	Backlog int
	// ReceiveBuffer and SendBuffer bound the queues of each flow; 0: as the host's Limits say. Before a flow is accepted it keeps
	// 32 KiB at most.
	ReceiveBuffer, SendBuffer int
	// Options are what the IP headers of the flows' datagrams have.
	Options Options
	// Owner is told, by ip.Accepted, that there is a flow to accept, and ip.Closed when the forwarder is closed. nil: nobody.
	Owner ip.Owner
}

// unacceptedBuffer bounds the receive queue of a flow that nobody has accepted yet, in octets: it is enough for the beginning of any
// conversation, and so many that wait take no more memory than they need.
const unacceptedBuffer = 32 << 10

// forwarding is what goes on behind one interface with addresses that are not the stack's own. It lasts as long as there is a
// forwarder, or a flow that one has begun.
type forwarding struct {
	forwarder *Forwarder // nil: it was closed
	flows     int        // from such an address
}

// Forward begins to take datagrams to any address. The errors are ip.ErrInvalid for what cannot be, ip.ErrAddressInUse if the
// interface has a Forwarder already, and ErrClosed.
func (h *Host) Forward(config ForwardConfig) (*Forwarder, error) {
	switch {
	case h.config.Limits.Endpoints < 0:
		return nil, ErrClosed
	case config.Backlog < 0:
		return nil, fmt.Errorf("backlog %d: %w", config.Backlog, ip.ErrInvalid)
	case config.ReceiveBuffer < 0 || config.SendBuffer < 0:
		return nil, fmt.Errorf("buffers of %d and %d octets: %w", config.ReceiveBuffer, config.SendBuffer, ip.ErrInvalid)
	}
	f := &Forwarder{
		host: h, owner: config.Owner, link: config.Link, backlog: h.config.Limits.Backlog, options: config.Options,
		receiveBuffer: config.ReceiveBuffer, sendBuffer: config.SendBuffer,
	}
	if config.Backlog != 0 {
		f.backlog = min(config.Backlog, f.backlog)
	}
	w := h.forwards[f.link]
	if w == nil {
		if err := h.network.Intercept(f.link, ip.ProtocolUDP, true); err != nil {
			return nil, err
		}
		w = new(forwarding)
		h.forwards[f.link] = w
	}
	if w.forwarder != nil {
		return nil, ip.ErrAddressInUse
	}
	w.forwarder = f
	return f, nil
}

// endForwarding lets go of an interface for which there is no more use.
func (h *Host) endForwarding(link int32) {
	if w := h.forwards[link]; w.forwarder == nil && w.flows == 0 {
		delete(h.forwards, link)
		h.network.Intercept(link, ip.ProtocolUDP, false) // if the interface is gone, so is this
	}
}

// forward takes p, a datagram that begins with its header and that there is no endpoint for, and reports true, or leaves it.
func (h *Host) forward(p *packet.Packet, local, remote netip.AddrPort) bool {
	w := h.forwards[p.IP.Link]
	switch {
	case w == nil, p.IP.Group, group(p.IP.Dst):
		return false
	case w.forwarder != nil && remote.Port() != 0: // 0: nobody to answer
		w.forwarder.begin(p, local, remote)
		return true
	case p.IP.Foreign:
		h.drop(p, &h.counters.InNotForwarded, "to another host")
		return true
	}
	return false
}

// begin takes the first datagram of a flow.
func (f *Forwarder) begin(p *packet.Packet, local, remote netip.AddrPort) {
	h := f.host
	if len(f.flows) >= f.backlog || h.endpoints >= h.config.Limits.Endpoints {
		h.drop(p, &h.counters.InFlowsFull, "too many flows wait to be accepted")
		return
	}
	e := &Endpoint{
		host: h, local: local, remote: remote, source: local.Addr(), link: p.IP.Link, flow: true, foreign: p.IP.Foreign,
		options: f.options,
	}
	e.setBuffers(f.receiveBuffer, f.sendBuffer)
	e.receiveBuffer = min(e.receiveBuffer, unacceptedBuffer)
	h.add(e)
	h.counters.Flows++
	e.take(p, remote)
	f.flows = append(f.flows, e)
	f.notify(ip.Accepted)
}

func (f *Forwarder) notify(events ip.Event) {
	if f.owner != nil {
		f.owner.Notify(events)
	}
}

// Link is the index of the interface by which the datagrams come.
func (f *Forwarder) Link() int32 { return f.link }

// Pending is how many flows wait to be accepted.
func (f *Forwarder) Pending() int { return len(f.flows) }

// SetOwner names who is told of events from now on; nil: nobody.
func (f *Forwarder) SetOwner(owner ip.Owner) { f.owner = owner }

// Accept takes the flow that has waited longest; nil if none does.
func (f *Forwarder) Accept() *Endpoint {
	if len(f.flows) == 0 {
		return nil
	}
	e := f.flows[0]
	f.flows[0] = nil
	if f.flows = f.flows[1:]; len(f.flows) == 0 {
		f.flows = nil
	}
	e.setBuffers(f.receiveBuffer, f.sendBuffer)
	return e
}

// Reject closes a flow of a Forwarder's and has its peer told, by an ICMP error, that nobody is at the port it has sent to. It
// reports false, and does nothing, for any other endpoint, and for one that is closed.
func (e *Endpoint) Reject(now time.Time) bool {
	if !e.flow || e.closed {
		return false
	}
	h := e.host
	h.counters.FlowsRejected++
	if h.config.Rejected != nil {
		repr := wire.UDPRepr{SrcPort: e.remote.Port(), DstPort: e.local.Port()}
		p := packet.New(repr.Len())
		repr.Emit(p.Append(repr.Len()))
		p.IP = packet.IPInfo{
			Src: e.remote.Addr(), Dst: e.local.Addr(), Link: e.link, Protocol: ip.ProtocolUDP, HopLimit: 64,
			Foreign: e.foreign,
		}
		h.config.Rejected(int64(now.Sub(h.config.Epoch)), p)
	}
	e.Close()
	return true
}

// Close ends the taking of datagrams. Flows that nobody has accepted are closed; those that were live on. Closing again does
// nothing.
func (f *Forwarder) Close() {
	if f.closed {
		return
	}
	f.closed = true
	for e := f.Accept(); e != nil; e = f.Accept() {
		e.Close()
	}
	h := f.host
	h.forwards[f.link].forwarder = nil
	h.endForwarding(f.link)
	f.notify(ip.Closed)
}
