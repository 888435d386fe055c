package raw

import (
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Frames is an endpoint for the frames of one interface: it receives copies of those that arrive, of one EtherType or of all, before the
// stack looks at them, and sends frames as they are. What the stack itself sends it does not see: dev/pcap and dev/trace do.
type Frames struct {
	Endpoint
	kind wire.EtherType
	way  ip.Path
	gone bool // the interface
}

// FrameConfig says what a Frames receives.
type FrameConfig struct {
	// Link is the index of the interface, which must be an Ethernet. It is required.
	Link int32
	// EtherType is the protocol of the frames; 0: all, with those that have an IEEE 802.3 length in its place.
	EtherType wire.EtherType
	// ReceiveBuffer and SendBuffer bound the endpoint's queues; 0: as the host's Limits say.
	ReceiveBuffer, SendBuffer int
	// Owner is told what happens: ip.Readable, ip.Writable, and ip.Closed when the host is closed. nil: nobody.
	Owner ip.Owner
}

// OpenFrames opens an endpoint for frames. The errors are ip.ErrNoDevice if there is no such interface, ip.ErrNotSupported if it has no
// frames, ip.ErrInvalid, ip.ErrNoBufferSpace beyond Limits.Endpoints, and ErrClosed.
func (h *Host) OpenFrames(config FrameConfig) (*Frames, error) {
	if err := h.room(); err != nil {
		return nil, err
	}
	e := &Frames{Endpoint: Endpoint{host: h, owner: config.Owner, link: config.Link}, kind: config.EtherType}
	if err := e.setBuffers(config.ReceiveBuffer, config.SendBuffer); err != nil {
		return nil, err
	}
	var err error
	if e.way, err = h.config.Links.Tap(e.link, true); err != nil {
		return nil, err
	}
	h.frames[e.link] = append(h.frames[e.link], e)
	e.Endpoint.remove = func() {
		remove(h.frames, e.link, e)
		if len(h.frames[e.link]) == 0 {
			h.config.Links.Tap(e.link, false) // if the interface is gone, so is this
		}
	}
	h.open(&e.Endpoint)
	return e, nil
}

// EtherType is the protocol of the frames that the endpoint receives, 0 for all. It never changes.
func (e *Frames) EtherType() wire.EtherType { return e.kind }

// Receive returns the frame that has waited longest, nil if there is none.
func (e *Frames) Receive() *packet.Packet { return e.receiving.Pop() }

// Send queues p, a whole frame that begins with its Ethernet header, to leave as it is.
//
// It takes p, on error too, unless the error is ErrWouldBlock: then p stays the caller's, unchanged. The other errors
// are ip.ErrInvalid if the frame is shorter than its header, ip.ErrMessageTooLong if it carries more than the interface's MTU,
// ip.ErrNoDevice if the interface is gone, and ErrClosed.
func (e *Frames) Send(_ time.Time, p *packet.Packet) error {
	return e.sent(p, e.send(p))
}

func (e *Frames) send(p *packet.Packet) error {
	switch {
	case e.closed:
		return ErrClosed
	case e.gone:
		return ip.ErrNoDevice
	case p.Header(wire.EthernetHeaderLen) == nil:
		return ip.ErrInvalid
	case p.Len() > wire.EthernetHeaderLen+e.way.MTU():
		return ip.ErrMessageTooLong
	case e.blocked(p):
		return ErrWouldBlock
	}
	p.IP = packet.IPInfo{Link: e.link, Whole: true}
	e.enqueue(e.way, p)
	return nil
}
