package smolnet

import (
	"net/netip"
	"sync"
	"time"

	"github.com/smolnet/smolnet/core"
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

// MTU is the largest IP packet, in octets, that the interface sends.
func (l *Link) MTU() int { return l.ifc.MTU() }

// HardwareAddr is the interface's address on an Ethernet, zero on other media.
func (l *Link) HardwareAddr() wire.HardwareAddr { return l.ifc.HardwareAddr() }

// Addresses returns the interface's own addresses, with the prefixes of the networks that they are in.
func (l *Link) Addresses() []netip.Prefix {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Addresses()
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
