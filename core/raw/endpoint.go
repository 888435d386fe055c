package raw

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
)

// Endpoint is what endpoints of all kinds have: a queue each way, an owner, and perhaps addresses.
type Endpoint struct {
	host   *Host
	owner  ip.Owner
	remove func() // takes the endpoint out of the host's tables
	closed bool
	err    error // what an ICMP error said, until somebody asks

	v6            bool
	local, remote netip.Addr // not valid: any
	link          int32      // 0: any
	options       Options

	receiving     storage.Queue
	receiveBuffer int
	dropped       uint64

	sending    storage.Queue // IP filled in
	sendBuffer int
	waiting    bool    // Send had no room, and nobody was told since that there is
	path       ip.Path // of the first of them; the endpoint stands in line at its link
	turn       ip.Turn
}

// Options are what an endpoint puts into the IP headers of its packets. The zero value has the defaults.
type Options struct {
	HopLimit          uint8 // IPv4's TTL; 0: 64
	MulticastHopLimit uint8 // the same for packets to a multicast address; 0: 1
	TrafficClass      uint8 // IPv4's TOS
	NoBroadcast       bool  // sending to the broadcast address fails with ip.ErrPermission
}

// open makes e an endpoint of the host's.
func (h *Host) open(e *Endpoint) {
	h.endpoints = append(h.endpoints, e)
}

// LocalAddr is the address that the endpoint is bound to, without zone; not valid if it is to none, or for frames. It never changes.
func (e *Endpoint) LocalAddr() netip.Addr { return e.local }

// RemoteAddr is the address that the endpoint is connected to, without zone; not valid if it is not. It never changes.
func (e *Endpoint) RemoteAddr() netip.Addr { return e.remote }

// Link is the index of the interface that the endpoint is bound to, 0 if none. It never changes.
func (e *Endpoint) Link() int32 { return e.link }

// SetOwner has owner told from now on what happens; nil: nobody.
func (e *Endpoint) SetOwner(owner ip.Owner) { e.owner = owner }

// SetHopLimit sets the hop limit of packets to unicast and broadcast addresses; 0: the interface's, 64 unless routers say otherwise.
func (e *Endpoint) SetHopLimit(limit uint8) { e.options.HopLimit = limit }

// SetMulticastHopLimit sets the hop limit of packets to multicast addresses; 0: the default, 1.
func (e *Endpoint) SetMulticastHopLimit(limit uint8) { e.options.MulticastHopLimit = limit }

// SetTrafficClass sets the traffic class, IPv4's TOS, of packets.
func (e *Endpoint) SetTrafficClass(class uint8) { e.options.TrafficClass = class }

// SetReceiveBuffer bounds the memory, in octets, that what was received may pin until it is read; that for which there is no
// room is dropped. 0: as Limits say. More than Limits.MaxBuffer is taken for that; less than 0 is ip.ErrInvalid.
func (e *Endpoint) SetReceiveBuffer(octets int) error { return e.setBuffers(octets, e.sendBuffer) }

// SetSendBuffer bounds the memory, in octets, that what was sent may pin until it has left; Send then fails with
// ErrWouldBlock. 0: as Limits say. More than Limits.MaxBuffer is taken for that; less than 0 is ip.ErrInvalid.
func (e *Endpoint) SetSendBuffer(octets int) error { return e.setBuffers(e.receiveBuffer, octets) }

func (e *Endpoint) setBuffers(receive, send int) error {
	limits := &e.host.config.Limits
	if receive < 0 || send < 0 {
		return ip.ErrInvalid
	}
	fill(&receive, limits.ReceiveBuffer)
	fill(&send, limits.SendBuffer)
	e.receiveBuffer, e.sendBuffer = min(receive, limits.MaxBuffer), min(send, limits.MaxBuffer)
	e.room()
	return nil
}

// Received is how many packets wait to be read.
func (e *Endpoint) Received() int { return e.receiving.Len() }

// Dropped is how many packets have been dropped because there was no room in the receive queue.
func (e *Endpoint) Dropped() uint64 { return e.dropped }

// Err returns, once, what the latest ICMP error about a packet of a connected endpoint means, or ip.ErrNoDevice once the interface of an
// endpoint for frames is gone.
func (e *Endpoint) Err() error {
	err := e.err
	e.err = nil
	return err
}

// hears reports whether p, by its addresses and its link, is for the endpoint. Who is connected to a group hears all that answer it.
func (e *Endpoint) hears(p *packet.Packet) bool {
	return (!e.local.IsValid() || e.local == p.IP.Dst) &&
		(!e.remote.IsValid() || e.remote == p.IP.Src || group(e.remote)) &&
		(e.link == 0 || e.link == p.IP.Link)
}

// copied takes a copy of p, unless there is no room for it: then none is made.
func (e *Endpoint) copied(p *packet.Packet, seq uint32, counter *uint64) {
	if e.full(p.Len()) {
		e.overflow()
		return
	}
	c := p.Clone()
	c.Seq = seq
	e.deliver(c, counter)
}

// deliver takes p into the receive queue, if there is room.
func (e *Endpoint) deliver(p *packet.Packet, counter *uint64) {
	p.Compact()
	if e.full(p.Cost()) {
		e.overflow()
		p.Release()
		return
	}
	*counter++
	e.receiving.Push(p)
	e.notify(ip.Readable)
}

// full reports whether the receive queue has no room for a packet that pins so many octets.
func (e *Endpoint) full(octets int) bool {
	return e.receiving.Len() > 0 && e.receiving.Cost()+octets > e.receiveBuffer
}

func (e *Endpoint) overflow() {
	e.dropped++
	e.host.counters.InReceiveQueueFull++
}

// fail takes note of an error, for the next call of Err.
func (e *Endpoint) fail(err error) {
	e.err = err
	e.host.counters.ErrorsDelivered++
	e.notify(ip.Readable | ip.Writable)
}

func (e *Endpoint) notify(events ip.Event) {
	if e.owner != nil {
		e.owner.Notify(events)
	}
}

// Close ends the endpoint: it receives nothing any more, and what it was bound to is free. What it has queued to send still leaves.
// Closing again does nothing.
func (e *Endpoint) Close() {
	if e.closed {
		return
	}
	e.closed = true
	e.err = nil
	e.waiting = false
	e.receiving.Reset()
	e.remove()
	if e.sending.Len() == 0 {
		e.forget()
	}
}

// forget takes the endpoint from the list of all.
func (e *Endpoint) forget() {
	h := e.host
	for i, other := range h.endpoints {
		if other == e {
			last := len(h.endpoints) - 1
			h.endpoints[i], h.endpoints[last] = h.endpoints[last], nil
			h.endpoints = h.endpoints[:last]
			return
		}
	}
}
