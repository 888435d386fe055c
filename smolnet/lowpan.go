package smolnet

import (
	"time"

	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/wire"
)

// LinkAddr is the link's own link-layer address: six octets on an Ethernet, the EUI-64 on IEEE 802.15.4, and none elsewhere.
func (l *Link) LinkAddr() wire.LinkAddr { return l.ifc.LinkAddr() }

// FrameCounter is the counter of the next frame that the link secures, on an IEEE 802.15.4 radio with Security; else 0. Who keeps a key
// while the stack is started anew has to keep the counter too: see ieee802154.SecurityConfig.
func (l *Link) FrameCounter() uint32 {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.FrameCounter()
}

// Registrations are the addresses that hosts have registered with the link, if it is a router of a 6LoWPAN: see
// core.IEEE802154Config.Router.
func (l *Link) Registrations() []registration.Registration {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.Registrations()
}

// SetAdvertised replaces the prefixes and contexts that the link advertises as a router of a 6LoWPAN, under the next version, which is
// returned for the owner to keep: a router that is started anew must not begin with one that it had before. The error, which wraps
// core.ErrConfig, says that the link is no such router, or what cannot be advertised; nothing has changed then.
func (l *Link) SetAdvertised(prefixes []registration.Prefix, contexts []wire.NDContextRepr) (version uint32, err error) {
	l.stack.mu.Lock()
	defer l.stack.release()
	return l.ifc.SetAdvertised(time.Now(), prefixes, contexts)
}

// RPL is what the link has joined as a leaf of RPL; ok is false if it is none: see core.IEEE802154Config.RPLLeaf.
func (l *Link) RPL() (state rpl.State, ok bool) {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.RPL()
}

// RPLTargets are the destinations that the link knows as the root of RPL; nil if it is none: see core.IEEE802154Config.RPLRoot.
func (l *Link) RPLTargets() []rpl.Target {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.RPLTargets()
}

// RepairRPL has all nodes of the network choose their parents anew, if the link is the root of RPL: a global repair.
func (l *Link) RepairRPL() {
	l.stack.mu.Lock()
	l.ifc.RepairRPL(time.Now())
	l.stack.release()
}
