package dhcpv4

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/wire"
)

// Receive takes in a message that arrived at port 68, and keeps none of it. It reports whether the message was the answer
// to one of the client's; others do nothing.
func (c *Client) Receive(now int64, message []byte) bool {
	p, err := wire.ParseDHCPv4(message)
	if err != nil || p.XID() != c.xid {
		return false
	}
	var r wire.DHCPv4Repr
	if r.Parse(p) != nil || r.ClientHardware != c.cfg.HardwareAddr {
		return false
	}
	switch r.Type {
	case wire.DHCPv4Offer:
		return c.receiveOffer(now, &r)
	case wire.DHCPv4ACK:
		return c.receiveACK(now, &r)
	case wire.DHCPv4NAK:
		return c.receiveNAK(now, &r)
	}
	return false
}

func (c *Client) receiveOffer(now int64, r *wire.DHCPv4Repr) bool {
	if c.state != Selecting || !unicast(r.ServerID) || !c.acceptable(r, nil) {
		return false
	}
	c.request(now, r.YourAddr, r.ServerID)
	return true
}

// asked reports whether r is from a server that the client has asked for a lease.
func (c *Client) asked(r *wire.DHCPv4Repr) bool {
	switch c.state {
	case Requesting:
		return r.ServerID == c.server
	case Renewing:
		// What another server says while the lease's own is being asked is not an answer.
		return !r.ServerID.IsValid() || r.ServerID == c.lease.Server
	case Rebooting, Rebinding:
		return true
	}
	return false
}

func (c *Client) receiveACK(now int64, r *wire.DHCPv4Repr) bool {
	if !c.asked(r) {
		return false
	}
	if (c.state == Rebooting || c.state == Rebinding) && !unicast(r.ServerID) && (r.ServerID.IsValid() || c.lease == nil) {
		return false // there would be nobody to ask again
	}
	// The address is the one that was asked for; what is wrong with an acknowledgment is no reason to give up the lease
	// that there is.
	if r.YourAddr != c.wanted || !c.acceptable(r, c.lease) {
		return false
	}
	lease := c.leaseFrom(r, c.lease)
	if lease.Expire <= now {
		return false
	}
	if c.lease == nil {
		c.check(now, lease)
		return true
	}
	c.lease = lease
	c.bind(now)
	return true
}

func (c *Client) receiveNAK(now int64, r *wire.DHCPv4Repr) bool {
	if !c.asked(r) {
		return false
	}
	c.refused(now, r.Message)
	return true
}

// acceptable reports whether what is offered, or acknowledged, is something that a host can live with: an address, in the
// network of its mask or that of the lease before, for a time.
func (c *Client) acceptable(r *wire.DHCPv4Repr, old *Lease) bool {
	if r.LeaseTime < c.cfg.MinLease || !unicast(r.YourAddr) {
		return false
	}
	bits := r.SubnetBits
	if bits == 0 && old != nil {
		return true
	}
	if bits == 0 {
		bits = classBits(r.YourAddr)
	}
	return hosts(netip.PrefixFrom(r.YourAddr, bits), r.YourAddr)
}
