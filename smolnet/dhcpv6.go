package smolnet

import (
	"time"

	"github.com/smolnet/smolnet/core"
)

// DHCPv6Lease returns what the interface has got from DHCPv6 servers: addresses, name servers and so on. It is false if
// the interface does not ask any, or the stack is closed.
func (l *Link) DHCPv6Lease() (core.DHCPv6Lease, bool) {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.DHCPv6Lease()
}

// StartDHCPv6 has the interface ask DHCPv6 servers for addresses and what else there is to know, or, not stateful, for the
// latter alone. The error, which wraps core.ErrConfig, names what is wrong, or is net.ErrClosed.
func (l *Link) StartDHCPv6(stateful bool) error {
	return l.stack.change(func() error { return l.ifc.StartDHCPv6(time.Now(), stateful) })
}

// StopDHCPv6 gives the addresses back to the server, and takes what servers have brought from the interface. It does nothing if
// no server was asked.
func (l *Link) StopDHCPv6() {
	_ = l.stack.change(func() error { l.ifc.StopDHCPv6(time.Now()); return nil })
}

// RenewDHCPv6 has the DHCPv6 client find out whether its addresses are right for the link, or begin anew if it has none:
// for when the link was away, and may be another network's now. It reports whether there is a client.
func (l *Link) RenewDHCPv6() (there bool) {
	_ = l.stack.change(func() error { there = l.ifc.RenewDHCPv6(time.Now()); return nil })
	return there
}
