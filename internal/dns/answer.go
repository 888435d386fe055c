package dns

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// An Answer is what is known about a name. Its slices are the caller's, what the records' bodies point to is shared: only to
// be read.
type Answer struct {
	// Name is the canonical name, with its final dot: the one asked for, or the last in the chain of its aliases.
	Name dnsmessage.Name

	// Aliases are the CNAME records that lead from the name asked for to the canonical one, in this order.
	Aliases []dnsmessage.Resource

	// Records are those of the type asked for that the canonical name has, in the server's order. Each has the time to live
	// that is left.
	Records []dnsmessage.Resource

	// Expires is when the first of Aliases and Records, or the fact that there are none, is no longer to be relied on.
	Expires time.Time

	// Server is the one that answered; the zero value for what was asked on the link.
	Server netip.AddrPort

	// Zone is the link by which the records came, if it was the hosts there that were asked: only there link-local addresses
	// among them mean anything.
	Zone string

	// Cached tells that nobody was asked, it was known already.
	Cached bool

	size   int  // of the messages that it was in, in octets
	ofLink bool // some of it is what hosts on the link say, of which there is a cache of its own
}

// clone returns the answer with slices of its own.
func (a Answer) clone() Answer {
	a.Aliases, a.Records = slices.Clone(a.Aliases), slices.Clone(a.Records)
	return a
}
