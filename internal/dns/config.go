package dns

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"time"
)

// Config says how a Client asks. Only Dial must be set.
type Config struct {
	// Dial connects to a server. The network is "udp" or "tcp". Every question put over UDP gets a connection of its own,
	// so that the stack draws a random source port for each; what Dial returns must give only what that server sends. The
	// context ends with the attempt.
	Dial func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error)

	// Multicast opens the sockets over which names below "local." and reverse names of link-local addresses are asked for
	// on the link (RFC 6762): one for every interface and family. The Client closes them all. Nil means that such names are
	// asked of the servers like all others.
	Multicast func(ctx context.Context) ([]MulticastSocket, error)

	// Servers are asked in this order. SetServers replaces them.
	Servers []netip.AddrPort

	// Timeout is how long one server is waited for, separately over UDP and over TCP. Zero means 5 seconds.
	Timeout time.Duration

	// Attempts is how often the list of servers is gone through. Zero means 2.
	Attempts int

	// Rotate begins each question at another server, the next in the list.
	Rotate bool

	// UDPSize is the largest answer over UDP, in octets, that servers are told to send (EDNS0, RFC 6891): 512 to 65535.
	// Zero means 1232, which fits into the smallest MTU that IPv6 allows.
	UDPSize int

	// NoEDNS leaves the OPT record out of questions.
	NoEDNS bool

	// KeepCase sends names in the case they are given in. Otherwise every letter's case is chosen at random, and an answer
	// over UDP has to repeat it, which makes answers harder to forge.
	KeepCase bool

	// MulticastTimeout is how long answers from the link are waited for before the question is repeated, once. Zero means 1
	// second.
	MulticastTimeout time.Duration

	// CacheEntries is how many answers are kept, fewer if many are larger than 8 KiB in memory. Zero means 1000, a negative number means none.
	CacheEntries int

	// MaxTTL bounds how long an answer is kept, whatever its records say. Zero means a day.
	MaxTTL time.Duration

	// MaxNegativeTTL bounds how long it is kept that there is no such name, or no such record. Zero means an hour.
	MaxNegativeTTL time.Duration

	// Rand is where message identifiers and the case of letters come from. Nil means crypto/rand. It is read by one
	// goroutine at a time.
	Rand io.Reader
}

// A MulticastSocket asks the hosts on one link, over one family.
type MulticastSocket struct {
	// Conn is an unconnected UDP socket of the interface, at a port of its own and not at 5353: a querier at 5353 would have
	// to do all that RFC 6762 asks. Its ReadFrom gives the sender as a *net.UDPAddr.
	Conn net.PacketConn

	// Zone is the name of the interface, which answers from there bear: see Answer.Zone.
	Zone string

	// Group is where questions go: 224.0.0.251:5353, or [ff02::fb]:5353 with the interface as its zone.
	Group net.Addr

	// OnLink reports whether an address belongs to a subnet of the interface, which those who may answer do. Nil means that
	// every address does. Link-local addresses always do, and are not asked about.
	OnLink func(netip.Addr) bool
}

const (
	defaultTimeout          = 5 * time.Second
	defaultAttempts         = 2
	defaultUDPSize          = 1232
	defaultCacheEntries     = 1000
	defaultMaxTTL           = 24 * time.Hour
	defaultMaxNegativeTTL   = time.Hour
	defaultMulticastTimeout = time.Second

	// minUDPSize is what a server may send to one who says nothing of sizes.
	// https://www.rfc-editor.org/rfc/rfc1035.html#section-4.2.1
	minUDPSize = 512
	maxUDPSize = 65535
)

func (c Config) withDefaults() Config {
	orElse(&c.Timeout, defaultTimeout)
	orElse(&c.Attempts, defaultAttempts)
	orElse(&c.UDPSize, defaultUDPSize)
	orElse(&c.MulticastTimeout, defaultMulticastTimeout)
	orElse(&c.MaxTTL, defaultMaxTTL)
	orElse(&c.MaxNegativeTTL, defaultMaxNegativeTTL)
	if c.CacheEntries == 0 {
		c.CacheEntries = defaultCacheEntries
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.UDPSize = min(max(c.UDPSize, minUDPSize), maxUDPSize)
	return c
}

// orElse gives what is not positive its default.
func orElse[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}
