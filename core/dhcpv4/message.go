package dhcpv4

import (
	"net/netip"

	"github.com/smolnet/smolnet/core/wire"
)

// broadcastAddr is everybody on the link.
var broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// message is the part that DISCOVER and all kinds of REQUEST have in common.
//
// "If the client included a list of requested parameters in a DHCPDISCOVER message, it MUST include that list in all
// subsequent messages."
// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.3.2
func (c *Client) message(kind wire.DHCPv4MessageType) wire.DHCPv4Repr {
	r := c.bareMessage(kind)
	r.Secs, r.Broadcast = c.secs, c.cfg.Broadcast
	r.Parameters, r.MaxMessageSize = c.cfg.Parameters, c.cfg.MaxMessageSize
	r.Hostname, r.VendorClass = c.cfg.Hostname, c.cfg.VendorClass
	return r
}

// bareMessage is what all messages have in common: RFC 2131, table 5, forbids DECLINE and RELEASE nearly everything else.
func (c *Client) bareMessage(kind wire.DHCPv4MessageType) wire.DHCPv4Repr {
	return wire.DHCPv4Repr{Type: kind, XID: c.xid, ClientHardware: c.cfg.HardwareAddr, ClientID: c.cfg.ClientID}
}

// sendDecline broadcasts that the lease's address is in use: the client has no right to it, and so no source address.
func (c *Client) sendDecline(now int64, lease *Lease) {
	r := c.bareMessage(wire.DHCPv4Decline)
	r.RequestedAddr, r.ServerID, r.Message = lease.Prefix.Addr(), lease.Server, "address in use"
	c.send(now, &r, netip.IPv4Unspecified(), broadcastAddr)
}

// sendRelease tells the server that the lease is over.
func (c *Client) sendRelease(now int64, lease *Lease) {
	r := c.bareMessage(wire.DHCPv4Release)
	r.ClientAddr, r.ServerID = lease.Prefix.Addr(), lease.Server
	c.send(now, &r, r.ClientAddr, lease.Server)
}

func (c *Client) send(now int64, r *wire.DHCPv4Repr, src, dst netip.Addr) {
	b := make([]byte, r.Len())
	r.Emit(b)
	c.cfg.Link.Send(now, b, src, dst)
}
