package dhcpv6

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Client is the DHCPv6 client of one link.
type Client struct {
	cfg      Config
	state    State
	exchange exchange
	rate     rate
	timer    timer.Timer // the earlier of the exchange's next step and the deadline

	server    wire.DHCPv6DUID // chosen, or whose addresses they are
	offers    []offer         // other servers' that have advertised addresses, best first
	hint      []netip.Addr    // what the chosen server has advertised
	leases    []Lease
	t1, t2    int64 // of the leases
	offLink   bool  // a server has said that the leases are not right for the link, and none yet that they are
	declined  []netip.Addr
	releasing []netip.Addr
	refresh   int64 // when to ask for information anew

	information Information
	solicitMax  maximum
	informMax   maximum

	buffer   []byte // for messages
	counters Counters
}

// New returns a client that does nothing yet. The error wraps ErrInvalid and names the value.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, rate: rate{tokens: rateBurst}}
	c.solicitMax.value, c.informMax.value = solMaxRT, infMaxRT
	c.rest(Stopped)
	return c, nil
}

// State is what the client is doing.
func (c *Client) State() State { return c.state }

// Leases returns the addresses that the client has.
func (c *Client) Leases() []Lease { return slices.Clone(c.leases) }

// Information returns what servers have said besides addresses.
func (c *Client) Information() Information { return c.information }

// Server is who the addresses are from, or are being asked of; nil: nobody.
func (c *Client) Server() wire.DHCPv6DUID { return slices.Clone(c.server) }

// Counters returns what the client has counted.
func (c *Client) Counters() Counters { return c.counters }

// Start asks for addresses and information, or, not stateful, for information alone. A client that already has
// addresses, or tries to get some, goes on with that in either case.
func (c *Client) Start(now int64, stateful bool) {
	switch c.state {
	case Stopped, Releasing:
	case Informing, Informed:
		if !stateful {
			return
		}
	default:
		return
	}
	if stateful {
		c.solicit(now)
	} else {
		c.begin(now, Informing, infMaxDelay)
	}
	c.arm()
}

// Stop ends everything at once: what the client has configured is removed, and no server is told.
func (c *Client) Stop(now int64) {
	c.rest(Stopped)
	c.forget(now)
	c.arm()
}

// Close is Stop without anybody being told, for a link that is no more. The client is not to be used any more.
func (c *Client) Close() {
	c.rest(Stopped)
	c.leases, c.offers = nil, nil
	c.cfg.Timers.Remove(&c.timer)
}

// Release gives the addresses back: it removes them, tells the server, for as long as that takes to answer, or a few
// seconds, and then stops.
func (c *Client) Release(now int64) {
	c.releasing = c.releasing[:0]
	for i := range c.leases {
		c.releasing = append(c.releasing, c.leases[i].Addr)
	}
	if len(c.releasing) == 0 {
		if c.state != Releasing {
			c.Stop(now)
		}
		return
	}
	c.rest(Stopped)
	server := c.server
	// "The client MUST stop using all of the leases being released before the client begins the Release message
	// exchange process."
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.7
	c.forget(now)
	c.server = server
	c.begin(now, Releasing, 0)
	c.arm()
}

// Duplicate is told that somebody else has addr, which the link has already stopped to use: the server hears of it.
func (c *Client) Duplicate(now int64, addr netip.Addr) {
	if !c.remove(addr) {
		return
	}
	if len(c.declined) < c.cfg.MaxAddresses {
		c.declined = append(c.declined, addr)
	}
	c.begin(now, Declining, 0)
	c.happened(now, Declined, wire.DHCPv6Status{})
	c.arm()
}

// LinkChanged is told that the link may be another one than before. Until servers say so, addresses stay in use.
func (c *Client) LinkChanged(now int64) {
	switch c.state {
	case Assigned, Renewing, Rebinding, Confirming:
		c.offLink = false
		c.begin(now, Confirming, cnfMaxDelay)
	case Soliciting, Requesting:
		c.restart(now)
	case Informing, Informed:
		c.begin(now, Informing, infMaxDelay)
	}
	c.arm()
}

// Expire makes what time alone makes happen.
func (c *Client) Expire(now int64) {
	switch {
	case c.deadline() <= now:
		c.elapse(now)
	case c.exchange.next <= now:
		c.timeout(now)
	}
	c.arm()
}

// arm sets the timer to whatever comes first.
func (c *Client) arm() {
	at := min(c.exchange.next, c.deadline())
	if at == timer.Never {
		c.cfg.Timers.Stop(&c.timer)
		return
	}
	c.cfg.Timers.Arm(&c.timer, c, at)
}

// deadline is when time ends what the client is doing, whether or not there are answers to come, or when a lease ends.
func (c *Client) deadline() int64 {
	at := timer.Never
	switch c.state {
	case Assigned:
		at = c.t1
	case Renewing:
		at = c.t2
	case Confirming:
		if c.exchange.sent > 0 {
			at = c.exchange.began + int64(cnfMaxRD)
		}
	case Informed:
		at = c.refresh
	}
	for i := range c.leases {
		at = min(at, c.leases[i].ValidUntil)
	}
	return at
}

// elapse is what happens at the deadline.
func (c *Client) elapse(now int64) {
	if c.expire(now) {
		return
	}
	switch {
	case c.state == Assigned && c.t2 <= now, c.state == Renewing && c.t2 <= now:
		// "The message exchange is terminated when the earliest time T2 is reached, at which point the client begins
		// the Rebind message exchange"
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.4
		c.begin(now, Rebinding, 0)
	case c.state == Assigned && c.t1 <= now:
		c.begin(now, Renewing, 0)
	case c.state == Confirming && c.exchange.sent > 0 && c.exchange.began+int64(cnfMaxRD) <= now:
		// "If the client receives no responses before the message transmission process terminates, as described in
		// Section 15, the client SHOULD continue to use any leases"
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.3
		if c.offLink {
			c.restart(now)
			return
		}
		c.rest(Assigned)
	case c.state == Informed && c.refresh <= now:
		// "[...] except that the client MUST delay sending the first Information-request by a random amount of time
		// between 0 and INF_MAX_DELAY."
		// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.23
		c.begin(now, Informing, infMaxDelay)
	}
}

// expire removes the leases that are over, and reports whether there were any. The client starts anew without one.
func (c *Client) expire(now int64) bool {
	var over []netip.Addr
	for i := range c.leases {
		if c.leases[i].ValidUntil <= now {
			over = append(over, c.leases[i].Addr)
		}
	}
	for _, addr := range over {
		c.remove(addr)
		c.cfg.Link.Removed(now, addr)
	}
	if len(over) == 0 || len(c.leases) > 0 {
		return len(over) > 0
	}
	c.lost(now)
	if c.state != Declining { // which goes on to that itself
		c.restart(now)
	}
	return true
}

// solicit looks for servers.
func (c *Client) solicit(now int64) {
	c.offers, c.hint, c.server = nil, nil, nil
	c.solicitMax.advertised, c.informMax.advertised = 0, 0
	c.begin(now, Soliciting, solMaxDelay)
}

// restart looks for servers anew.
//
// "Whenever a client restarts the DHCP server discovery process or selects an alternate server as described in Section
// 18.2.9, the client SHOULD stop using any addresses and delegated prefixes for which it has bindings (see Section
// 18.2.7) and if possible, any previously received other configuration information"
// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.13
func (c *Client) restart(now int64) {
	lost, server := len(c.leases) > 0, c.server
	c.forget(now)
	if c.server = server; lost {
		c.lost(now)
	}
	c.solicit(now)
}

// forget removes all that has been configured.
func (c *Client) forget(now int64) {
	leases := c.leases
	c.leases, c.offers, c.hint, c.server = nil, nil, nil, nil
	c.declined = c.declined[:0]
	for i := range leases {
		c.cfg.Link.Removed(now, leases[i].Addr)
	}
	c.inform(now, &Information{})
}

// inform takes note of what servers say, and tells the link if that is news.
func (c *Client) inform(now int64, information *Information) {
	if c.information.equal(information) {
		return
	}
	c.information = *information
	c.cfg.Link.Informed(now, c.information)
}

// resume goes on after a Decline.
func (c *Client) resume(now int64) {
	if len(c.leases) == 0 {
		c.restart(now)
		return
	}
	c.rest(Assigned)
}

// released is the end of a Release.
func (c *Client) released(now int64) {
	c.rest(Stopped)
	c.happened(now, Released, wire.DHCPv6Status{})
	c.server, c.releasing = nil, nil
}

func (c *Client) lost(now int64) {
	c.counters.Lost++
	c.happened(now, Lost, wire.DHCPv6Status{})
}

func (c *Client) happened(now int64, kind EventKind, status wire.DHCPv6Status) {
	c.cfg.Link.Happened(now, Event{Kind: kind, Server: slices.Clone(c.server), Status: status})
}

// remove forgets a lease, and reports whether there was one.
func (c *Client) remove(addr netip.Addr) bool {
	for i := range c.leases {
		if c.leases[i].Addr == addr {
			c.leases = slices.Delete(c.leases, i, i+1)
			return true
		}
	}
	return false
}

// leased are the addresses to be asked for: those that the client has, or those that it was offered.
func (c *Client) leased() []wire.DHCPv6IAAddr {
	if len(c.leases) == 0 {
		return associated(c.hint)
	}
	var addrs []netip.Addr
	for i := range c.leases {
		addrs = append(addrs, c.leases[i].Addr)
	}
	return associated(addrs)
}

// associated are addresses as a client names them.
//
// "In a message sent by a client to a server, the preferred-lifetime and valid-lifetime fields SHOULD be set to 0."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.6
func associated(addrs []netip.Addr) (as []wire.DHCPv6IAAddr) {
	for _, addr := range addrs {
		as = append(as, wire.DHCPv6IAAddr{Addr: addr})
	}
	return as
}

// maximum is SOL_MAX_RT or INF_MAX_RT, which servers may set.
type maximum struct {
	value      time.Duration
	advertised time.Duration // what Advertise messages have said in this exchange; 0: nothing, -1: not all the same
}

// set obeys a server that has said d; 0: nothing.
//
// "A client SHOULD only update its SOL_MAX_RT and INF_MAX_RT values if all received Advertise messages that contained
// the corresponding option specified the same value; otherwise, it should use the default value"
// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.9
func (m *maximum) set(d, standard time.Duration, advertised bool) {
	if d == 0 {
		return
	}
	if advertised && m.advertised != 0 && m.advertised != d {
		m.value, m.advertised = standard, -1
		return
	}
	m.value = d
	if advertised {
		m.advertised = d
	}
}
