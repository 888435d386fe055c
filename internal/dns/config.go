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

	// Multicast lists the links on which names below "local." and reverse names of link-local addresses are asked for (RFC
	// 6762), one for every interface and family. It is called for each question that needs them. Nil means that such names are
	// asked of the servers like all others.
	Multicast func() []MulticastLink

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

	// MulticastTimeout is how long answers from the link are waited for in all. Zero means 4 seconds: the question goes out at
	// once, after 1 second and after 3.
	MulticastTimeout time.Duration

	// CacheEntries is how many answers are kept, fewer if many are larger than 8 KiB in memory, and how many records from the
	// link besides. Zero means 1000, a negative number means none.
	CacheEntries int

	// MaxTTL bounds how long an answer is kept, whatever its records say. Zero means a day.
	MaxTTL time.Duration

	// MaxNegativeTTL bounds how long it is kept that there is no such name, or no such record. Zero means an hour.
	MaxNegativeTTL time.Duration

	// Rand is where message identifiers and the case of letters come from. Nil means crypto/rand. It is read by one
	// goroutine at a time.
	Rand io.Reader
}

const (
	defaultTimeout          = 5 * time.Second
	defaultAttempts         = 2
	defaultUDPSize          = 1232
	defaultCacheEntries     = 1000
	defaultMaxTTL           = 24 * time.Hour
	defaultMaxNegativeTTL   = time.Hour
	defaultMulticastTimeout = 4 * time.Second

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
