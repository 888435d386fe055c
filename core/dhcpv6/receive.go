package dhcpv6

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Why a message is discarded, besides what is wrong with its octets.
var (
	// ErrUnexpected: the message does not answer what the client has asked.
	ErrUnexpected = errors.New("dhcpv6: message that was not asked for")
	// ErrIdentifier: the message names no server, not the one that was asked, or another client.
	ErrIdentifier = errors.New("dhcpv6: message with a missing or wrong identifier")
)

// offer is what a server has advertised.
type offer struct {
	server     wire.DHCPv6DUID
	preference uint8
	addrs      []netip.Addr
}

// Receive processes a message, which was not sent to a group. The error is why it was discarded: ErrUnexpected,
// ErrIdentifier or what is wrong with its octets, as package wire has it.
func (c *Client) Receive(now int64, message []byte) error {
	var r wire.DHCPv6Repr
	p, err := wire.ParseDHCPv6(message)
	if err == nil {
		err = r.Parse(p)
	}
	if err == nil {
		err = c.check(&r)
	}
	if err != nil {
		c.counters.Discarded++
		return err
	}
	c.counters.Received++
	advertised := r.Type == wire.DHCPv6Advertise
	c.solicitMax.set(r.SolicitMaxRT, solMaxRT, advertised)
	c.informMax.set(r.InformationMaxRT, infMaxRT, advertised)
	if advertised {
		c.advertise(now, &r)
	} else {
		c.reply(now, &r)
	}
	c.arm()
	return nil
}

// check validates a message as section 16 of RFC 8415 has it, and is stricter in one thing: what a server was asked for
// only that server answers.
func (c *Client) check(r *wire.DHCPv6Repr) error {
	switch {
	case exchanges[c.state] == 0 || c.exchange.sent == 0:
		return ErrUnexpected
	case r.Type == wire.DHCPv6Advertise:
		if c.state != Soliciting {
			return ErrUnexpected
		}
	case r.Type != wire.DHCPv6Reply:
		// Among them Reconfigure, which would have to be authenticated.
		return ErrUnexpected
	case c.state == Soliciting && !(c.cfg.RapidCommit && r.RapidCommit):
		// "The client will discard any Reply messages that do not contain the Rapid Commit option."
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.1
		return ErrUnexpected
	}
	if r.TransactionID != c.exchange.xid {
		return ErrUnexpected
	}
	if r.ServerID == nil || !r.ClientID.Equal(c.cfg.DUID) {
		return ErrIdentifier
	}
	switch c.state {
	case Requesting, Renewing, Declining, Releasing:
		if !r.ServerID.Equal(c.server) {
			return ErrIdentifier
		}
	}
	return nil
}

// advertise takes note of a server.
func (c *Client) advertise(now int64, r *wire.DHCPv6Repr) {
	ia, status := c.association(r)
	o := offer{server: slices.Clone(r.ServerID), preference: r.Preference}
	if ia != nil && status.Code == wire.DHCPv6Success {
		for i := range ia.Addresses {
			a := &ia.Addresses[i]
			if usable(a) && a.Valid > 0 && len(o.addrs) < c.cfg.MaxAddresses {
				o.addrs = append(o.addrs, a.Addr)
			}
		}
	}
	if len(o.addrs) == 0 {
		// An Advertise message without an address is ignored, and does not restart the timer.
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.9
		c.refused(now, r, status)
		return
	}
	c.offer(o)
	// "[...] unless it receives a valid Advertise message with a preference value of 255", and "The client terminates
	// the retransmission process as soon as it receives any valid Advertise message" when the first RT is over.
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.1
	if o.preference == 255 || c.exchange.sent > 1 {
		c.choose(now)
	}
}

// offer puts o among the others: those with the highest preference come first, then those with more addresses, then
// those that came first.
func (c *Client) offer(o offer) {
	same := func(other offer) bool { return other.server.Equal(o.server) }
	if slices.ContainsFunc(c.offers, same) {
		return
	}
	i := len(c.offers)
	for i > 0 && c.offers[i-1].worse(&o) {
		i--
	}
	c.offers = slices.Insert(c.offers, i, o)
	c.offers = c.offers[:min(len(c.offers), c.cfg.MaxServers)]
}

func (o *offer) worse(other *offer) bool {
	if o.preference != other.preference {
		return o.preference < other.preference
	}
	return len(o.addrs) < len(other.addrs)
}

// choose asks the best server for what it has advertised.
func (c *Client) choose(now int64) {
	o := c.offers[0]
	c.offers = slices.Delete(c.offers, 0, 1)
	c.server, c.hint = o.server, o.addrs
	c.begin(now, Requesting, 0)
}

// unusable is told that the server chosen is of no use. The next one is tried, or they are looked for again.
func (c *Client) unusable(now int64) {
	if len(c.offers) > 0 && len(c.leases) == 0 {
		c.choose(now)
		return
	}
	c.restart(now)
}

// reply obeys a Reply.
func (c *Client) reply(now int64, r *wire.DHCPv6Repr) {
	switch c.state {
	case Confirming:
		// "If the client receives any Reply messages that indicate a status of Success (explicit or implicit), the
		// client can use the addresses in the IA and ignore any messages that indicate a NotOnLink status."
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.10.3
		switch r.Status.Code {
		case wire.DHCPv6Success:
			c.rest(Assigned)
		case wire.DHCPv6NotOnLink:
			c.offLink = true
		}
	case Declining:
		c.declined = c.declined[:0]
		c.resume(now)
	case Releasing:
		c.released(now)
	case Informing:
		if r.Status.Code != wire.DHCPv6Success {
			c.refused(now, r, r.Status)
			return
		}
		c.refreshAfter(now, r.Refresh)
		c.server = slices.Clone(r.ServerID)
		c.rest(Informed)
		c.inform(now, c.informed(r))
		c.happened(now, Answered, r.Status)
	default:
		c.assign(now, r)
	}
}

// refreshAfter sets the time to ask anew; 0: the server has not said it.
func (c *Client) refreshAfter(now int64, d time.Duration) {
	// "If the Reply to an Information-request message does not contain this option, the client MUST behave as if the
	// option with the value IRT_DEFAULT was provided."
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.23
	if d == 0 {
		d = irtDefault
	}
	c.refresh = after(now, d)
}

// assign obeys an answer to a Solicit, Request, Renew or Rebind.
func (c *Client) assign(now int64, r *wire.DHCPv6Repr) {
	extending := c.state == Renewing || c.state == Rebinding
	ia, status := c.association(r)
	switch status.Code {
	case wire.DHCPv6Success:
	case wire.DHCPv6NotOnLink:
		c.refused(now, r, status)
		if !extending {
			c.restart(now)
		}
		return
	case wire.DHCPv6NoBinding:
		c.refused(now, r, status)
		if extending {
			// "Sends a Request message to the server that responded if any of the IAs in the Reply message contain the
			// NoBinding status code."
			// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.10.1
			c.server = slices.Clone(r.ServerID)
			c.begin(now, Requesting, 0)
		} else {
			c.unusable(now)
		}
		return
	case wire.DHCPv6NoAddrsAvail:
		c.refused(now, r, status)
		if !extending {
			c.unusable(now)
		}
		return
	default:
		// The message is sent again, at the rate and for as long as it would be if nobody had answered. It is sent to
		// the group in any case, so that there is nothing else to be done about UseMulticast.
		c.refused(now, r, status)
		return
	}
	changed, removed := c.apply(now, ia)
	switch {
	case len(changed) == 0 && len(removed) == 0 && extending:
		return // "[...] and MAY just wait for the normal retransmission time (as if the Reply message had not been received)"
	case len(c.leases) == 0 && len(removed) == 0:
		c.refused(now, r, status)
		c.unusable(now)
		return
	}
	kind := Renewed
	if !extending {
		kind = Bound
		c.counters.Bound++
	}
	c.server = slices.Clone(r.ServerID)
	c.offers, c.hint = nil, nil
	c.rest(Assigned)
	for _, addr := range removed {
		c.cfg.Link.Removed(now, addr)
	}
	if len(c.leases) == 0 {
		c.lost(now)
		c.restart(now)
		return
	}
	for _, lease := range changed {
		c.cfg.Link.Configured(now, lease)
	}
	c.inform(now, c.informed(r))
	c.happened(now, kind, status)
}

// association returns what a message says of the client's association, nil if nothing, and the status that counts.
func (c *Client) association(r *wire.DHCPv6Repr) (*wire.DHCPv6IANA, wire.DHCPv6Status) {
	status := r.Status
	for i := range r.IAs {
		if ia := &r.IAs[i]; ia.IAID == c.cfg.IAID {
			if status.Code == wire.DHCPv6Success {
				status = ia.Status
			}
			return ia, status
		}
	}
	return nil, status
}

// apply takes over what the association has become, and returns what is new and what is gone. Addresses that are not in
// it stay as they are.
func (c *Client) apply(now int64, ia *wire.DHCPv6IANA) (changed []Lease, removed []netip.Addr) {
	if ia == nil {
		return nil, nil
	}
	shortest := wire.DHCPv6Infinity
	for i := range ia.Addresses {
		a := &ia.Addresses[i]
		switch {
		case !usable(a):
		case a.Valid == 0:
			if c.remove(a.Addr) {
				removed = append(removed, a.Addr)
			}
		default:
			lease := Lease{Addr: a.Addr, PreferredUntil: after(now, a.Preferred), ValidUntil: after(now, a.Valid)}
			if !c.set(lease) {
				continue
			}
			changed = append(changed, lease)
			if a.Preferred == 0 {
				shortest = min(shortest, a.Valid)
			} else {
				shortest = min(shortest, a.Preferred)
			}
		}
	}
	if len(changed) > 0 {
		c.schedule(now, ia.T1, ia.T2, shortest)
	}
	return changed, removed
}

// set adds a lease or refreshes it, and reports whether there is room for it.
func (c *Client) set(lease Lease) bool {
	for i := range c.leases {
		if c.leases[i].Addr == lease.Addr {
			c.leases[i] = lease
			return true
		}
	}
	if len(c.leases) >= c.cfg.MaxAddresses {
		return false
	}
	c.leases = append(c.leases, lease)
	return true
}

// schedule sets T1 and T2. Where the server leaves them to the client, they are what it is recommended to say: "0.5 and
// 0.8 times the shortest preferred lifetime of the addresses in the IA".
// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.4
func (c *Client) schedule(now int64, t1, t2, shortest time.Duration) {
	if t1 == 0 {
		t1 = shortest / 2
		if shortest == wire.DHCPv6Infinity {
			t1 = wire.DHCPv6Infinity
		}
		if t2 != 0 {
			t1 = min(t1, t2)
		}
	}
	if t2 == 0 {
		t2 = shortest / 5 * 4
		if shortest == wire.DHCPv6Infinity {
			t2 = wire.DHCPv6Infinity
		}
		t2 = max(t1, t2)
	}
	c.t1, c.t2 = after(now, t1), after(now, t2)
}

// after is the time d from now.
func after(now int64, d time.Duration) int64 {
	if d == wire.DHCPv6Infinity {
		return timer.Never
	}
	return now + int64(d)
}

// usable reports whether a server may assign the address.
func usable(a *wire.DHCPv6IAAddr) bool {
	return a.Status.Code == wire.DHCPv6Success && a.Addr.IsGlobalUnicast() && !a.Addr.Is4In6()
}

// informed is what a message says besides addresses, as far as the client takes it.
func (c *Client) informed(r *wire.DHCPv6Repr) *Information {
	n := c.cfg.MaxInformation
	useless := func(addr netip.Addr) bool {
		return addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || addr.Is4In6()
	}
	return &Information{
		NameServers: first(n, slices.DeleteFunc(slices.Clone(r.DNSServers), useless)),
		Domains:     first(n, r.Domains),
		TimeServers: first(n, r.NTPServers),
		TimeNames:   first(n, r.NTPNames),
	}
}

// first is a copy of the first n of what a list has.
func first[T any](n int, list []T) []T { return slices.Clone(list[:min(n, len(list))]) }

// refused tells that a server did not do what it was asked for.
func (c *Client) refused(now int64, r *wire.DHCPv6Repr, status wire.DHCPv6Status) {
	c.cfg.Link.Happened(now, Event{Kind: Refused, Server: slices.Clone(r.ServerID), Status: status})
}
