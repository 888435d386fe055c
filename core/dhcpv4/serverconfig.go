package dhcpv4

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Static is an address that one client always gets.
type Static struct {
	// HardwareAddr or ClientID says which client: the identifier if it is given.
	HardwareAddr wire.HardwareAddr
	ClientID     []byte
	Addr         netip.Addr
	Hostname     string // what the client is to be called; may be empty
}

// ServerConfig says what a server hands out. What is zero is not handed out, or has its default.
type ServerConfig struct {
	// Addr is the server's own address with the prefix of the network that it serves, of IPv4. Required.
	Addr netip.Prefix

	// First and Last are the ends of the range of addresses that are handed out, both included. Default: the whole network.
	// Among them the server's own address, the routers' and those of Static are not handed out.
	First, Last netip.Addr

	// Static are the clients whose addresses are settled. Their addresses need not be between First and Last.
	Static []Static

	// LeaseTime is how long a lease is for clients that do not say; default 1 hour. MaxLeaseTime is the most that a client
	// gets; default LeaseTime. wire.DHCPv4Infinite is for ever.
	LeaseTime, MaxLeaseTime time.Duration

	// DeclineTime is for how long an address is not handed out that turned out to be in use. Default 10 minutes.
	DeclineTime time.Duration

	// Authoritative says that there is no other server on the network. So the server answers clients that it knows nothing of,
	// instead of being silent: who asks for an address of the network gets it if it is free, and a refusal if not. With it
	// clients keep their addresses when the server has been started anew.
	Authoritative bool

	// What is handed out with addresses.
	Routers      []netip.Addr
	Routes       []wire.DHCPv4Route
	DNSServers   []netip.Addr
	NTPServers   []netip.Addr
	DomainName   string
	DomainSearch []string
	MTU          uint16 // 68 at least

	// Limits has Leases. Package core fills it in.
	Limits Limits
}

// offerTime is for how long an address is kept for a client that it was offered to.
const offerTime = time.Minute

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg ServerConfig) withDefaults() (ServerConfig, error) {
	var err error
	if cfg.Limits, err = cfg.Limits.WithDefaults(); err != nil {
		return cfg, err
	}
	if !cfg.Addr.IsValid() || !unicast(cfg.Addr.Addr()) || !hosts(cfg.Addr, cfg.Addr.Addr()) {
		return cfg, fmt.Errorf("%w: Addr is not a host's: %v", ErrInvalid, cfg.Addr)
	}
	if !cfg.First.IsValid() {
		cfg.First = cfg.Addr.Masked().Addr()
	}
	if !cfg.Last.IsValid() {
		cfg.Last = broadcast(cfg.Addr)
	}
	if !cfg.Addr.Contains(cfg.First) || !cfg.Addr.Contains(cfg.Last) || cfg.Last.Less(cfg.First) {
		return cfg, fmt.Errorf("%w: First and Last are no range of %v: %v-%v", ErrInvalid, cfg.Addr, cfg.First, cfg.Last)
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"LeaseTime", &cfg.LeaseTime, time.Hour},
		{"MaxLeaseTime", &cfg.MaxLeaseTime, cfg.LeaseTime},
		{"DeclineTime", &cfg.DeclineTime, 10 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
		if *d.value == 0 { // MaxLeaseTime without LeaseTime
			*d.value = time.Hour
		}
		if *d.value < time.Second || *d.value > wire.DHCPv4Infinite {
			return cfg, fmt.Errorf("%w: %s: %v", ErrInvalid, d.name, *d.value)
		}
	}
	if cfg.MTU != 0 && cfg.MTU < 68 {
		return cfg, fmt.Errorf("%w: MTU: %d", ErrInvalid, cfg.MTU)
	}
	for _, static := range cfg.Static {
		switch {
		case !hosts(cfg.Addr, static.Addr) || static.Addr == cfg.Addr.Addr():
			return cfg, fmt.Errorf("%w: Static: %v is not an address for a client in %v", ErrInvalid, static.Addr, cfg.Addr)
		case static.ClientID == nil && static.HardwareAddr.IsZero():
			return cfg, fmt.Errorf("%w: Static: %v is nobody's", ErrInvalid, static.Addr)
		}
	}
	return cfg, nil
}
