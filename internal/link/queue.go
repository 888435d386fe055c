// Package link is what in-memory devices are made of: Queue, one direction of a link, and the check that a frame is one
// that a device may be given.
package link

import (
	"net"
	"sync"
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// Queue is one direction of a link in memory: packets on their way from one sender to one receiver, in order, none ever
// lost. It is bounded; when it is full the sender waits.
//
// Both ends may be in use at once, each by one goroutine for every method. Waiting is on channels with no lock held, so
// that it works in a testing/synctest bubble.
type Queue struct {
	delay   time.Duration
	packets int // how many may be on their way
	octets  int

	readable, writable       chan struct{} // one slot each: something has changed for who waits
	senderDone, receiverDone chan struct{} // closed with the end

	mu      sync.Mutex
	ring    []transit // a power of two long; what is on its way begins at head
	head    int
	len     int
	held    int  // octets of what is on its way
	wanted  int  // octets of the packet that did not fit; 0: the queue was not found full
	changed bool // a packet was sent into the empty queue since WaitReceive last looked

	noSender, noReceiver bool // each end closes for itself
}

// transit is a packet on its way.
type transit struct {
	packet *packet.Packet
	due    time.Time
}

// What a queue holds if its limits are not set.
const (
	DefaultPackets = 4096
	DefaultOctets  = 4 << 20
)

// NewQueue returns a queue in which packets take delay to pass, and which holds up to so many packets and octets, or
// the defaults for 0. One packet always fits, whatever its size.
func NewQueue(delay time.Duration, packets, octets int) *Queue {
	if packets <= 0 {
		packets = DefaultPackets
	}
	if octets <= 0 {
		octets = DefaultOctets
	}
	return &Queue{
		delay:        delay,
		packets:      packets,
		octets:       octets,
		readable:     make(chan struct{}, 1),
		writable:     make(chan struct{}, 1),
		senderDone:   make(chan struct{}),
		receiverDone: make(chan struct{}),
	}
}

// Send puts packets on their way and returns how many: all that fit. They become the queue's. Once the receiver is
// gone, packets are taken and lost, as on a cable whose far end was pulled out. After CloseSender it returns
// net.ErrClosed.
func (q *Queue) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noSender {
		return 0, net.ErrClosed
	}
	if q.noReceiver {
		for _, p := range pkts {
			p.Release()
		}
		return len(pkts), nil
	}
	var due time.Time // with no delay always past, whatever the two ends' idea of now
	if q.delay > 0 {
		due = now.Add(q.delay)
	}
	for i, p := range pkts {
		size := p.Len()
		if !q.fits(size) {
			q.wanted = max(size, 1)
			return i, nil
		}
		// What the sending stack knew of the packet is not the receiver's to see.
		p.IP = packet.IPInfo{}
		p.Seq = 0
		if q.len == 0 {
			q.changed = true
			signal(q.readable)
		}
		q.push(transit{p, due})
		q.held += size
	}
	return len(pkts), nil
}

// Receive takes packets that are due at now.
func (q *Queue) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noReceiver {
		return 0, net.ErrClosed
	}
	n := 0
	for n < len(pkts) && q.len > 0 && !q.ring[q.head].due.After(now) {
		p := q.pop().packet
		q.held -= p.Len()
		pkts[n] = p
		n++
	}
	if q.wanted > 0 && q.fits(q.wanted) {
		q.wanted = 0
		signal(q.writable)
	}
	return n, nil
}

// PollAt is when the first packet becomes due, if packets take time to pass.
func (q *Queue) PollAt() (time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.delay <= 0 || q.len == 0 {
		return time.Time{}, false
	}
	return q.ring[q.head].due, true
}

// WaitReceive waits, if packets pass at once, until there is one. If they take time, it waits until a packet was sent
// into the empty queue, which makes PollAt move; that a packet has become due only a clock can tell, and what Receive
// does to PollAt its caller knows.
func (q *Queue) WaitReceive() error {
	for {
		q.mu.Lock()
		ready := q.changed
		if q.delay <= 0 {
			ready = q.len > 0
		}
		q.changed = false
		closed := q.noReceiver
		q.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case ready:
			return nil
		}
		select {
		case <-q.readable:
		case <-q.receiverDone:
		}
	}
}

// WaitSend waits until the packet that Send had no room for fits.
func (q *Queue) WaitSend() error {
	for {
		q.mu.Lock()
		full, closed := q.wanted > 0, q.noSender
		q.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case !full:
			return nil
		}
		select {
		case <-q.writable:
		case <-q.senderDone:
		}
	}
}

// CloseSender ends sending. What is on its way still arrives.
func (q *Queue) CloseSender() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noSender {
		return
	}
	q.noSender = true
	close(q.senderDone)
}

// CloseReceiver ends receiving. What is on its way is lost, and so is what follows.
func (q *Queue) CloseReceiver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.noReceiver {
		return
	}
	q.noReceiver = true
	close(q.receiverDone)
	for q.len > 0 {
		q.pop().packet.Release()
	}
	q.ring, q.held = nil, 0
	q.wanted = 0
	signal(q.writable)
}

// fits reports whether there is room for size octets more.
func (q *Queue) fits(size int) bool {
	return q.len == 0 || q.len < q.packets && q.held+size <= q.octets
}

func (q *Queue) push(t transit) {
	if q.len == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = t
	q.len++
}

// pop removes the first packet, which there must be.
func (q *Queue) pop() transit {
	t := q.ring[q.head]
	q.ring[q.head] = transit{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	return t
}

func (q *Queue) grow() {
	ring := make([]transit, max(16, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// signal wakes who waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
