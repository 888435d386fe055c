package smolnet

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Link is an interface of a stack's, and what carries packets between its device and the core. The built-in
// loopback has no device.
//
// Whoever has set sending is the link's sender: it alone touches outgoing, calls the device's Send and WaitSend,
// and does so without the mutex. Others who have something to send leave it with the core, and the sender looks
// again before it steps down.
type Link struct {
	stack  *Stack
	ifc    *core.Interface
	device dev.Device

	// Guarded by the stack's mutex.
	sending    bool
	full       bool          // the sender waits for the device to have room
	hasSender  bool          // the link's own sending goroutine runs
	handedOver chan struct{} // one slot: that goroutine is the sender now
	closed     bool          // the device is: whatever is to be sent is dropped
	timed      bool          // the device has packets on their way:
	pollAt     time.Time     // when the first is due

	// The sender's.
	outgoing    [batchSize]*packet.Packet
	first, last int // of outgoing, what a short Send has left

	// receiving is held from a Receive until the stack's mutex is held, so that packets keep their order.
	receiving sync.Mutex
	incoming  [batchSize]*packet.Packet
}

// Index is the interface's index in the stack, 1 for the loopback.
func (l *Link) Index() int { return int(l.ifc.Index()) }

// Name is the interface's name, which is also the zone of its link-local addresses.
func (l *Link) Name() string { return l.ifc.Name() }

// MTU is the largest IP packet, in octets, that the interface sends: a DHCP server may have lowered it. Routers may have lowered that of
// IPv6 further.
func (l *Link) MTU() int {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.MTU()
}

// HardwareAddr is the interface's address on an Ethernet, zero on other media.
func (l *Link) HardwareAddr() wire.HardwareAddr { return l.ifc.HardwareAddr() }

// Addresses returns the interface's own addresses as they are now, those included that are not in use.
func (l *Link) Addresses() []core.Address {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Addresses()
}

// Neighbours returns what the interface knows of its neighbours' hardware addresses, ordered by the neighbours' addresses, IPv4's
// first; nil on media other than Ethernet.
func (l *Link) Neighbours() []neighbour.Neighbour {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	if cache := l.ifc.Neighbours(); cache != nil {
		return cache.Neighbours()
	}
	return nil
}

// Groups returns the multicast groups that the interface belongs to, in the order in which it joined them.
func (l *Link) Groups() []netip.Addr {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Groups()
}

// AddAddress gives the interface another address, with the prefix of the network that it is in. The error, which wraps
// core.ErrConfig, names the address and what is wrong with it, or is net.ErrClosed.
func (l *Link) AddAddress(prefix netip.Prefix) error {
	s := l.stack
	s.mu.Lock()
	defer s.release()
	if s.closed {
		return net.ErrClosed
	}
	return l.ifc.AddAddress(time.Now(), prefix)
}

// RemoveAddress takes an address from the interface, and the route to its network unless another address is in it. It reports
// whether the interface had the address.
func (l *Link) RemoveAddress(addr netip.Addr) bool {
	s := l.stack
	s.mu.Lock()
	defer s.release()
	return !s.closed && l.ifc.RemoveAddress(time.Now(), addr)
}

// Counters returns the interface's statistics as of now.
func (l *Link) Counters() core.InterfaceCounters {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Counters()
}

// refused gives the first packet of outgoing, which the device would not send, back to the core to be counted. The
// mutex is held.
func (l *Link) refused() {
	l.ifc.Refused(l.outgoing[l.first])
	l.outgoing[l.first] = nil
	l.first++
}

// discard does so with all that was not sent before the device was closed.
func (l *Link) discard() {
	for l.first < l.last {
		l.refused()
	}
}
