// Package dhcpv6 is the client of DHCPv6 (RFC 8415) on one link: addresses from a server, kept for as long as the
// server allows (stateful), or only what else there is to know, such as name servers (stateless).
//
// A [Client] is a state machine: it is told of the time, of messages and of what becomes of its addresses, and tells
// its [Link] what to send and to configure. Times are nanoseconds since the stack's epoch; its timer lives in the
// stack's heap.
//
// It asks for one association of non-temporary addresses, with whatever addresses the server puts in. It always sends
// to the group of all servers, and takes no Reconfigure messages, because they would have to be authenticated.
package dhcpv6

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what an error about a configuration wraps.
var ErrInvalid = errors.New("dhcpv6: invalid value")

// Link is the interface that a client configures. A client calls it last, when its own state is settled; the methods
// must not call into the client.
type Link interface {
	// Send transmits a message to wire.DHCPv6Servers, from the link-local address, between DHCPv6's ports. It keeps
	// nothing of it. It reports false if that cannot be done yet, as while there is no address to send from; the client
	// then tries again.
	Send(now int64, message []byte) bool
	// Configured is told of an address that the client has obtained, or of its new lifetimes. The address says nothing
	// about other addresses on the link.
	Configured(now int64, lease Lease)
	// Removed is told that an address is not the client's any more.
	Removed(now int64, addr netip.Addr)
	// Informed is told of what else the servers say, when it has changed; the zero value is nothing.
	Informed(now int64, info Information)
	// Happened is told of what may interest people.
	Happened(now int64, event Event)
}

// Lease is an address with its lifetimes.
type Lease struct {
	Addr netip.Addr
	// Until when it is preferred and valid; timer.Never: for ever.
	PreferredUntil, ValidUntil int64
}

// Information is what servers say besides addresses. A receiver does not change the slices.
type Information struct {
	NameServers []netip.Addr // recursive DNS servers, by preference
	Domains     []string     // to search for names in, by preference, without a dot at the end
	TimeServers []netip.Addr // NTP servers or groups of them
	TimeNames   []string     // names of NTP servers
}

func (i *Information) equal(other *Information) bool {
	return slices.Equal(i.NameServers, other.NameServers) && slices.Equal(i.Domains, other.Domains) &&
		slices.Equal(i.TimeServers, other.TimeServers) && slices.Equal(i.TimeNames, other.TimeNames)
}

// Event is something that has become of a client.
type Event struct {
	Kind   EventKind
	Server wire.DHCPv6DUID   // who had to do with it; nil: nobody
	Status wire.DHCPv6Status // what it said; zero: nothing
}

// EventKind says what an event is.
type EventKind uint8

const (
	Bound    EventKind = iota + 1 // addresses have been obtained
	Renewed                       // the lifetimes of addresses are new
	Lost                          // the last address is gone, be it expired or not right for the link
	Declined                      // an address was in use by somebody else
	Released                      // the addresses were given back
	Refused                       // a server did not do what it was asked for: Status says why
	Answered                      // a server has said what there is to know besides addresses
)

var eventKinds = [...]string{
	Bound: "bound", Renewed: "renewed", Lost: "lost", Declined: "declined", Released: "released", Refused: "refused",
	Answered: "answered",
}

// String is the kind in a word.
func (k EventKind) String() string {
	if int(k) < len(eventKinds) && eventKinds[k] != "" {
		return eventKinds[k]
	}
	return fmt.Sprintf("event kind %d", uint8(k))
}

// Defaults of Config.
const (
	DefaultMaxAddresses   = 8
	DefaultMaxServers     = 8
	DefaultMaxInformation = 8
)

// Config says how a client behaves. Zero in a number means its default.
type Config struct {
	// Timers, Link and Rand are what a client works with; all are required. Rand returns uniformly distributed numbers,
	// which nobody else can guess.
	Timers *timer.Heap
	Link   Link
	Rand   func() uint64

	// DUID tells the client from all others. It is required, and should stay the same for ever.
	DUID wire.DHCPv6DUID
	// IAID is the client's number for its association. Zero is as good as any other, if it stays the same.
	IAID uint32
	// RapidCommit has servers that are willing assign addresses at once, without a choice between servers.
	RapidCommit bool

	// MaxAddresses is how many addresses are taken at most, and as many are remembered to be declined. Default 8.
	MaxAddresses int
	// MaxServers is how many servers are remembered of those that offer addresses at the same time. Default 8.
	MaxServers int
	// MaxInformation is how many name servers, domains, time servers and names of such are taken, each. Default 8.
	MaxInformation int
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Link and Rand are required", ErrInvalid)
	}
	if !cfg.DUID.Valid() {
		return cfg, fmt.Errorf("%w: DUID of %d octets; it has 3 to 130", ErrInvalid, len(cfg.DUID))
	}
	cfg.DUID = slices.Clone(cfg.DUID)
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxAddresses", &cfg.MaxAddresses, DefaultMaxAddresses},
		{"MaxServers", &cfg.MaxServers, DefaultMaxServers},
		{"MaxInformation", &cfg.MaxInformation, DefaultMaxInformation},
	} {
		if *n.value < 0 {
			return cfg, fmt.Errorf("%w: %s %d is negative", ErrInvalid, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	return cfg, nil
}

// Counters count what a client has done since it was made.
type Counters struct {
	Sent      uint64 // messages sent
	Received  uint64 // messages taken from servers
	Discarded uint64 // messages that were not for the client, not expected or not as they should be
	Bound     uint64 // times that addresses were obtained
	Lost      uint64 // times that the last address was lost
}

// The transmission and retransmission parameters of RFC 8415, section 7.6.
const (
	solMaxDelay = time.Second
	solTimeout  = time.Second
	solMaxRT    = 3600 * time.Second
	reqTimeout  = time.Second
	reqMaxRT    = 30 * time.Second
	reqMaxRC    = 10
	cnfMaxDelay = time.Second
	cnfTimeout  = time.Second
	cnfMaxRT    = 4 * time.Second
	cnfMaxRD    = 10 * time.Second
	renTimeout  = 10 * time.Second
	renMaxRT    = 600 * time.Second
	rebTimeout  = 10 * time.Second
	rebMaxRT    = 600 * time.Second
	infMaxDelay = time.Second
	infTimeout  = time.Second
	infMaxRT    = 3600 * time.Second
	relTimeout  = time.Second
	relMaxRC    = 4
	decTimeout  = time.Second
	decMaxRC    = 4
	irtDefault  = 86400 * time.Second
)

// Whatever servers answer, a client sends no more than 20 messages at once, nor more than one a second after that.
//
// "A possible default could be 20 messages in 20 seconds."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-14.1
const (
	rateBurst    = 20
	rateInterval = time.Second
)

// sendRetry is how long to wait until the link may be able to send.
const sendRetry = time.Second
