package smolnet

import (
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
)

// DHCPv4Lease returns what the interface has got from a DHCP server: its address, routers, name servers and so on, and when it ends. It
// is false if the interface has no DHCP client, or the stack is closed.
func (l *Link) DHCPv4Lease() (core.Lease, bool) {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.DHCPv4Lease()
}

// StartDHCPv4 is Interface.DHCPv4 for an interface that is there already. The error, which wraps core.ErrConfig, names what is wrong
// with the configuration, or is net.ErrClosed.
func (l *Link) StartDHCPv4(config dhcpv4.Config) error {
	return l.stack.change(func() error { return l.ifc.StartDHCPv4(time.Now(), config) })
}

// StopDHCPv4 gives the lease back to the server, and takes what it has brought from the interface. It does nothing if there is no
// DHCP client.
func (l *Link) StopDHCPv4() {
	_ = l.stack.change(func() error { l.ifc.StopDHCPv4(time.Now()); return nil })
}

// RenewDHCPv4 has the DHCP client make sure of its lease, or begin anew if it has none: for when the link was away, and may be another
// network's now. It reports whether there is a client.
func (l *Link) RenewDHCPv4() (there bool) {
	_ = l.stack.change(func() error { there = l.ifc.RenewDHCPv4(time.Now()); return nil })
	return there
}

// ServeDHCPv4 is Interface.DHCPv4Server for an interface that is there already; a server that there is already, with its leases, is
// replaced. The error, which wraps core.ErrConfig, names what is wrong with the configuration, or is net.ErrClosed.
func (l *Link) ServeDHCPv4(config dhcpv4.ServerConfig) error {
	return l.stack.change(func() error { return l.ifc.ServeDHCPv4(time.Now(), config) })
}

// DHCPv4Bindings returns the leases that the interface's DHCP server has given out, by address; nil if there is no server.
func (l *Link) DHCPv4Bindings() []core.DHCPv4Binding {
	l.stack.mu.Lock()
	defer l.stack.mu.Unlock()
	return l.ifc.DHCPv4Bindings(time.Now())
}
