package smolnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/internal/dns"
)

// ResolverConfig says whom a Resolver asks, and how. The zero value is a sound configuration of one that knows no server: it
// has the names of Hosts and "localhost", and asks the hosts on the link for those below ".local".
type ResolverConfig struct {
	// Servers are the name servers, which are expected to ask others for what they do not know themselves. They are asked in
	// this order, the next when one fails or says nothing. A port of 0 stands for 53; a link-local IPv6 address needs its
	// interface's name as the zone. Resolver.SetServers replaces them.
	Servers []netip.AddrPort

	// Search are the domains in which a name is looked for that has no final dot, in this order: resolv.conf's "search".
	Search []string

	// NDots is how many dots a name must have to be tried as it is before Search is gone through, instead of afterwards: 15
	// at most. Zero means 1, a negative number none.
	NDots int

	// Timeout is how long one server is waited for, over UDP and over TCP each. Zero means 5 seconds.
	Timeout time.Duration

	// Attempts is how often the list of servers is gone through. Zero means 2.
	Attempts int

	// Rotate begins each question at another server, the next in the list, to share the load.
	Rotate bool

	// StrictErrors is net.Resolver's: an error that is temporary, such as a timeout, in one part of a lookup (A, AAAA, one of
	// the names that Search makes) ends it, where otherwise what the other parts bring is returned.
	StrictErrors bool

	// NoEDNS leaves EDNS0 (RFC 6891) out of questions, by which servers learn that answers over UDP may have 1232 octets
	// instead of 512.
	NoEDNS bool

	// KeepCase sends names in the letters that they are given in. Otherwise each is capital or small at random, and an answer
	// must repeat that, which makes it harder to forge.
	KeepCase bool

	// Hosts are names that nobody is asked for, with their addresses. Capital and small letters are the same, and a final dot
	// is ignored. LookupAddr finds them the other way round. "localhost" and the names below it are not among them: they are
	// always the stack itself.
	Hosts map[string][]netip.Addr

	// NoMulticastDNS has the servers asked for names below ".local" and for those of link-local addresses. Otherwise it is
	// the hosts on all links that are asked for them, by Multicast DNS (RFC 6762): at once, after 1 second and after 3, and the
	// lookup fails after 4.
	//
	// For that the Resolver has sockets at port 5353 of each interface, from the first such lookup until there has been none for two
	// minutes. Meanwhile it listens to what hosts tell each other, and keeps that for as long as it holds. It shares the port with
	// others of the stack's that share it: see listener.ListenConfig and Stack.ListenMulticastUDP.
	NoMulticastDNS bool

	// CacheEntries is how many answers are kept for as long as they hold, "no such host" included. Together they take about 8 KiB
	// each at most: where many are larger, fewer are kept. As many records are kept that hosts on links have told of, in as much
	// memory. Zero means 1000, a negative number none.
	CacheEntries int

	// MaxTTL bounds how long an answer is kept, however long it holds. Zero means a day.
	MaxTTL time.Duration
}

// Resolver looks up names and numbers: net.Resolver for a smolnet stack. It has that type's methods, with the same results and
// errors but for these differences:
//
//   - It asks through its stack alone, and knows nothing of the host's resolv.conf, hosts file and routes. Addresses are sorted
//     by the stack's own routes (RFC 6724).
//   - Answers are kept, and questions asked at the same time go out once: see ResolverConfig.
//   - Without a server, a name that is not in Hosts and cannot be asked for on the link is "no such host".
//   - When the context ends, that alone is the error: a *net.DNSError with "operation was canceled" or "i/o timeout", which is
//     context.Canceled or context.DeadlineExceeded. When the stack is closed, it is net.ErrClosed.
//   - LookupNetIP gives IPv4 addresses in their plain form, and link-local ones their zones.
//
// Errors about names are *net.DNSError, with IsNotFound, IsTimeout and IsTemporary as package net sets them.
//
// All methods may be called by several goroutines at once.
type Resolver struct {
	stack  *Stack
	config ResolverConfig
	client *dns.Client
	hosts  hosts
	turn   atomic.Uint32 // which of the servers NetResolver's next connection is to

	following following
}

// NewResolver makes a resolver that asks through the stack. The stack's own, of Config.Resolver, is Stack.Resolver. It needs no
// closing. The error, which wraps core.ErrConfig, names what is wrong with the configuration.
func NewResolver(stack *Stack, config ResolverConfig) (*Resolver, error) {
	fail := func(err error) (*Resolver, error) {
		return nil, fmt.Errorf("smolnet: %w: %w", core.ErrConfig, err)
	}
	if stack == nil {
		return fail(errors.New("a Resolver needs a Stack"))
	}
	config, err := config.withDefaults()
	if err != nil {
		return fail(err)
	}
	r := &Resolver{stack: stack, config: config, following: following{domains: config.Search}}
	if r.hosts, err = newHosts(config.Hosts); err != nil {
		return fail(err)
	}
	engine := dns.Config{
		Dial:         r.dial,
		Servers:      config.Servers,
		Timeout:      config.Timeout,
		Attempts:     config.Attempts,
		Rotate:       config.Rotate,
		NoEDNS:       config.NoEDNS,
		KeepCase:     config.KeepCase,
		CacheEntries: config.CacheEntries,
		MaxTTL:       config.MaxTTL,
		Rand:         random{stack},
	}
	if !config.NoMulticastDNS {
		engine.Multicast = stack.multicastDNS
	}
	r.client = dns.New(engine)
	return r, nil
}

// Resolver returns the stack's resolver.
func (s *Stack) Resolver() *Resolver { return s.resolver }

// Servers returns the name servers.
func (r *Resolver) Servers() []netip.AddrPort {
	r.follow()
	return r.client.Servers()
}

// SetServers replaces the name servers, see ResolverConfig.Servers, and those that DHCP servers and routers have told of; and forgets what the
// former ones said. Lookups that are
// under way finish with those. The error, which wraps core.ErrConfig, names what is wrong; then the former ones stay.
func (r *Resolver) SetServers(servers []netip.AddrPort) error {
	servers, err := checkServers(servers)
	if err != nil {
		return fmt.Errorf("smolnet: %w: %w", core.ErrConfig, err)
	}
	r.following.mu.Lock()
	defer r.following.mu.Unlock()
	r.following.servers = false
	r.client.SetServers(servers)
	return nil
}

// dial connects to a server.
func (r *Resolver) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	return r.stack.dialer.DialContext(ctx, network, server.String())
}

const (
	dnsPort  = 53
	maxNDots = 15 // as in resolv.conf
)

// withDefaults checks the configuration and fills in what it does not leave to the engine.
func (c ResolverConfig) withDefaults() (ResolverConfig, error) {
	var err error
	if c.Servers, err = checkServers(c.Servers); err != nil {
		return c, err
	}
	if c.Search, err = checkSearch(c.Search); err != nil {
		return c, err
	}
	if c.NDots == 0 {
		c.NDots = 1
	}
	switch {
	case c.NDots > maxNDots:
		return c, fmt.Errorf("ResolverConfig.NDots %d is more than %d", c.NDots, maxNDots)
	case c.Timeout < 0:
		return c, fmt.Errorf("ResolverConfig.Timeout %v is negative", c.Timeout)
	case c.Attempts < 0:
		return c, fmt.Errorf("ResolverConfig.Attempts %d is negative", c.Attempts)
	case c.MaxTTL < 0:
		return c, fmt.Errorf("ResolverConfig.MaxTTL %v is negative", c.MaxTTL)
	}
	return c, nil
}

// checkServers returns the servers with their ports.
func checkServers(servers []netip.AddrPort) ([]netip.AddrPort, error) {
	var checked []netip.AddrPort
	for _, server := range servers {
		addr, port := server.Addr().Unmap(), server.Port()
		if port == 0 {
			port = dnsPort
		}
		switch {
		case !addr.IsValid():
			return nil, fmt.Errorf("ResolverConfig.Servers: %v has no address", server)
		case addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast:
			return nil, fmt.Errorf("ResolverConfig.Servers: %v is no unicast address", addr)
		case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
			return nil, fmt.Errorf("ResolverConfig.Servers: %v lacks the name of its interface as a zone", addr)
		}
		checked = append(checked, netip.AddrPortFrom(addr, port))
	}
	return checked, nil
}

// checkSearch returns the domains, each with a final dot.
func checkSearch(domains []string) ([]string, error) {
	domains = slices.Clone(domains)
	for i, domain := range domains {
		if !isDomainName(domain) {
			return nil, fmt.Errorf("ResolverConfig.Search: %q is no domain name", domain)
		}
		domains[i] = rooted(domain)
	}
	// The root adds nothing to a name: it is tried as it is anyway.
	return slices.DeleteFunc(domains, func(domain string) bool { return domain == "." }), nil
}

// rooted returns the name with a final dot.
func rooted(name string) string {
	if strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}
