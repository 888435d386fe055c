package dhcpv4

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Client gets an interface a lease and keeps it.
type Client struct {
	cfg   Config
	state State

	// What the timer is for follows from the state: the end of a wait (Init), the next message (Selecting to Rebooting,
	// Renewing, Rebinding), T1 (Bound), or the end of the lease (Checking).
	timer    timer.Timer
	attempts int // messages of the state that were sent

	xid       uint32
	began     int64  // when the exchange did
	secs      uint16 // of the exchange's last DISCOVER
	requested int64  // when the exchange's first REQUEST was sent

	wanted netip.Addr // what DISCOVER suggests, or REQUEST asks for
	server netip.Addr // whose offer was taken up

	lease    *Lease // from Checking to Rebinding, and in Rebooting after Restart
	failures int    // refusals and conflicts since there was last a lease
}

// NewClient returns a client in state INIT, or INIT-REBOOT, that does nothing before Start. The error wraps ErrInvalid and
// names the value.
func NewClient(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, state: Init, wanted: cfg.RequestedAddr}
	if cfg.Previous.IsValid() {
		c.state, c.wanted = InitReboot, cfg.Previous
	}
	return c, nil
}

// State is the client's state.
func (c *Client) State() State { return c.state }

// Lease returns the lease that the client has, in use or being checked, or nil.
func (c *Client) Lease() *Lease { return c.lease }

// XID is the identifier of the current exchange of messages.
func (c *Client) XID() uint32 { return c.xid }

// Start makes a client begin that has not begun.
func (c *Client) Start(now int64) {
	switch c.state {
	case InitReboot:
		c.reboot(now)
	case Init:
		if c.attempts == 0 && !c.timer.Armed() {
			c.discover(now)
		}
	}
}

// Restart tells the client that its link was away, and may be another network's now. It makes sure of its lease, which
// stays in use meanwhile, or begins anew.
func (c *Client) Restart(now int64) {
	switch {
	case c.state == Stopped:
	case c.lease != nil && c.state != Checking:
		c.wanted = c.lease.Prefix.Addr()
		c.reboot(now)
	case c.state == InitReboot || c.state == Rebooting:
		c.reboot(now)
	default:
		lease := c.forget()
		c.discover(now)
		if lease != nil {
			c.cfg.Link.Lost(now, lease, fmt.Errorf("%w: the link was away while its address was checked", ErrReleased))
		}
	}
}

// Release gives the lease back to its server, and stops the client for good.
func (c *Client) Release(now int64) {
	state := c.state
	c.cfg.Timers.Remove(&c.timer)
	c.state = Stopped
	lease := c.forget()
	if lease == nil {
		return
	}
	if state != Checking { // then there is no address yet to send from
		c.newExchange(now)
		c.sendRelease(now, lease)
	}
	c.cfg.Link.Lost(now, lease, ErrReleased)
}

// Close stops the client for good without telling anybody.
func (c *Client) Close() {
	c.cfg.Timers.Remove(&c.timer)
	c.state, c.lease = Stopped, nil
}

// forget returns the lease, which there is no more.
func (c *Client) forget() *Lease {
	lease := c.lease
	c.lease = nil
	return lease
}

// Probed tells the client whether another host has the address of its lease: when what Link.Probe asked for is known, or
// whenever a conflict shows later.
func (c *Client) Probed(now int64, conflict bool) {
	switch {
	case c.lease == nil:
	case conflict:
		c.decline(now)
	case c.state == Checking:
		c.bind(now)
	}
}

// Expire is for the timer heap: what the timer is for is due.
func (c *Client) Expire(now int64) {
	if c.lease != nil && now >= c.lease.Expire {
		// "If the lease expires before the client receives a DHCPACK, the client moves to INIT state, MUST immediately
		// stop any other network processing and requests network initialization parameters as if the client were
		// uninitialized."
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.4.5
		lease := c.forget()
		c.wanted = lease.Prefix.Addr()
		c.discover(now)
		c.cfg.Link.Lost(now, lease, ErrExpired)
		return
	}
	switch c.state {
	case Init:
		c.discover(now)
	case Selecting:
		silent := c.attempts == c.cfg.SilentAfter
		c.sendDiscover(now)
		if silent {
			c.cfg.Link.Silent(now)
		}
	case Requesting:
		c.requestAgain(now)
	case Rebooting:
		c.rebootAgain(now)
	case Bound:
		c.renew(now)
	case Renewing:
		if now >= c.lease.Rebind {
			c.rebind(now)
		} else {
			c.sendRenewal(now)
		}
	case Rebinding:
		c.sendRenewal(now)
	}
}

// newExchange chooses the identifier of the messages to come.
func (c *Client) newExchange(now int64) {
	c.xid = uint32(c.cfg.Rand())
	c.began, c.secs, c.attempts = now, 0, 0
}

// discover begins to look for a server.
func (c *Client) discover(now int64) {
	c.newExchange(now)
	c.state = Selecting
	c.sendDiscover(now)
}

func (c *Client) sendDiscover(now int64) {
	c.retransmitAfter(now)
	c.secs = uint16(min(time.Duration(now-c.began)/time.Second, 0xffff))
	r := c.message(wire.DHCPv4Discover)
	r.RequestedAddr, r.LeaseTime = c.wanted, c.cfg.LeaseTime
	c.send(now, &r, netip.IPv4Unspecified(), broadcastAddr)
}

// maxRequests is how many REQUESTs an offer is worth: with the delays between them a minute, which is what RFC 2131,
// section 3.1, suggests.
const maxRequests = 4

// request takes up an offer.
func (c *Client) request(now int64, addr, server netip.Addr) {
	c.state, c.attempts = Requesting, 0
	c.wanted, c.server, c.requested = addr, server, now
	c.sendRequest(now)
}

func (c *Client) requestAgain(now int64) {
	if c.attempts >= maxRequests {
		c.discover(now)
		return
	}
	c.sendRequest(now)
}

func (c *Client) sendRequest(now int64) {
	c.retransmitAfter(now)
	r := c.message(wire.DHCPv4Request)
	r.RequestedAddr, r.ServerID, r.LeaseTime = c.wanted, c.server, c.cfg.LeaseTime
	c.send(now, &r, netip.IPv4Unspecified(), broadcastAddr)
}

// maxReboots is how many REQUESTs the address of before is worth: 12 seconds or so. A server that knows nothing of it
// must be silent.
const maxReboots = 2

// reboot asks for the address of before.
func (c *Client) reboot(now int64) {
	c.newExchange(now)
	c.state, c.requested = Rebooting, now
	c.sendReboot(now)
}

func (c *Client) rebootAgain(now int64) {
	switch {
	case c.attempts < maxReboots:
		c.sendReboot(now)
	case c.lease != nil:
		// "If the client receives neither a DHCPACK or a DHCPNAK message after employing the retransmission algorithm,
		// the client MAY choose to use the previously allocated network address and configuration parameters for the
		// remainder of the unexpired lease."
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-3.2
		c.enterBound(now)
	default:
		c.discover(now)
	}
}

func (c *Client) sendReboot(now int64) {
	c.retransmitAfter(now)
	c.secs = uint16(min(time.Duration(now-c.began)/time.Second, 0xffff))
	r := c.message(wire.DHCPv4Request)
	r.RequestedAddr, r.LeaseTime = c.wanted, c.cfg.LeaseTime
	c.send(now, &r, netip.IPv4Unspecified(), broadcastAddr)
}

// renew asks the lease's server for more.
func (c *Client) renew(now int64) {
	c.newExchange(now)
	c.state, c.requested = Renewing, now
	c.sendRenewal(now)
}

// rebind asks any server for more.
func (c *Client) rebind(now int64) {
	c.newExchange(now)
	c.state, c.requested = Rebinding, now
	c.sendRenewal(now)
}

// sendRenewal sends what asks for more: with ciaddr filled in, and neither a server's identifier nor a requested address.
func (c *Client) sendRenewal(now int64) {
	server, until := c.lease.Server, c.lease.Rebind
	if c.state == Rebinding {
		server, until = broadcastAddr, c.lease.Expire
	}
	// "In both RENEWING and REBINDING states, if the client receives no response to its DHCPREQUEST message, the client
	// SHOULD wait one-half of the remaining time until T2 (in RENEWING state) and one-half of the remaining lease time (in
	// REBINDING state), down to a minimum of 60 seconds, before retransmitting the DHCPREQUEST message."
	// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.4.5
	c.attempts++
	c.arm(min(until, now+max((until-now)/2, int64(time.Minute))))
	c.secs = uint16(min(time.Duration(now-c.began)/time.Second, 0xffff))
	r := c.message(wire.DHCPv4Request)
	r.ClientAddr, r.LeaseTime = c.lease.Prefix.Addr(), c.cfg.LeaseTime
	c.send(now, &r, r.ClientAddr, server)
}

// check has the link find out whether the address of the new lease is free.
func (c *Client) check(now int64, lease *Lease) {
	c.state, c.lease = Checking, lease
	c.arm(lease.Expire)
	c.cfg.Link.Probe(now, lease)
}

// bind begins to use the lease, or what has become of it.
func (c *Client) bind(now int64) {
	c.failures = 0
	c.enterBound(now)
	c.cfg.Link.Bound(now, c.lease)
}

func (c *Client) enterBound(now int64) {
	c.state, c.wanted = Bound, c.lease.Prefix.Addr()
	c.arm(c.lease.Renew)
}

// decline tells the server that the address is another's, and begins anew after a while.
func (c *Client) decline(now int64) {
	lease := c.forget()
	c.newExchange(now)
	c.wanted = netip.Addr{}
	// "The client SHOULD wait a minimum of ten seconds before restarting the configuration process to avoid excessive
	// network traffic in case of looping."
	// https://www.rfc-editor.org/rfc/rfc2131.html#section-3.1
	c.failures++
	wait := 10 * time.Second
	if c.failures > 10 {
		wait = time.Minute // RATE_LIMIT_INTERVAL, after MAX_CONFLICTS (RFC 5227, section 2.1.1)
	}
	c.waitInit(now, wait)
	c.sendDecline(now, lease)
	c.cfg.Link.Lost(now, lease, ErrConflict)
}

// refused begins anew because a server said no: at once, and then ever more slowly.
func (c *Client) refused(now int64, message string) {
	lease := c.forget()
	c.wanted = netip.Addr{}
	if c.failures++; c.failures == 1 {
		c.discover(now)
	} else {
		c.waitInit(now, c.backoff(min(c.failures-2, maxDoublings)))
	}
	if lease != nil {
		c.cfg.Link.Lost(now, lease, fmt.Errorf("%w: %q", ErrRefused, message))
	}
}

func (c *Client) waitInit(now int64, wait time.Duration) {
	c.state = Init
	c.arm(now + int64(wait))
}

// retransmitAfter counts a message and arms the timer for the next.
func (c *Client) retransmitAfter(now int64) {
	c.arm(now + int64(c.backoff(min(c.attempts, maxDoublings))))
	c.attempts++
}

// maxDoublings is how often the first delay of 4 s doubles: up to 64 s.
const maxDoublings = 4

// backoff is the delay after doublings+1 messages.
//
// "[...] the delay before the first retransmission SHOULD be 4 seconds randomized by the value of a uniform random number
// chosen from the range -1 to +1."
// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.1
func (c *Client) backoff(doublings int) time.Duration {
	jitter := time.Duration(c.cfg.Rand()%uint64(2*time.Second+1)) - time.Second
	return 4*time.Second<<doublings + jitter
}

// arm sets the timer, which is never later than the lease's end.
func (c *Client) arm(deadline int64) {
	if c.lease != nil {
		deadline = min(deadline, c.lease.Expire)
	}
	c.cfg.Timers.Arm(&c.timer, c, deadline)
}
