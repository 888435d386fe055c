package dns

import "net/netip"

// A MulticastLink is where the hosts of one link are asked over one family.
type MulticastLink struct {
	// Zone is the name of the interface, which answers from there bear: see Answer.Zone.
	Zone string

	// Family is '4' or '6'.
	Family byte

	// Open makes a socket at port 5353 of the interface that is a member of the group, 224.0.0.251 or ff02::fb. It hands what
	// arrives to heard, one message after another, which are only lent. The Client closes the socket when nobody has asked for a
	// while.
	Open func(heard func(message []byte, origin Origin)) (MulticastSocket, error)
}

// A MulticastSocket is a socket that a MulticastLink has opened.
type MulticastSocket interface {
	// Send sends a message to the group, at port 5353 and with a hop limit of 255.
	Send(message []byte) error

	// Close has nothing more be heard soon.
	Close() error

	// Exclusive reports whether port 5353 is not shared with others, who may get what hosts on the link answer to this one alone.
	Exclusive() bool
}

// An Origin says where a message has come from.
type Origin struct {
	From     netip.AddrPort
	ToGroup  bool // it was sent to the group, not to this host alone
	OnLink   bool // From is in one of the interface's networks, or link-local
	Own      bool // From is an address of this host's
	HopLimit int  // as it arrived
}

const (
	// multicastPort is where all who answer on the link, and ask in full, send from and receive at.
	multicastPort = 5353

	// multicastHopLimit is what messages are sent with.
	// https://www.rfc-editor.org/rfc/rfc6762.html#section-11
	multicastHopLimit = 255
)

// mayAnswer reports whether an answer may be relied on to be from the link. What was sent to the group is, since no router
// forwards that; what was sent to this host alone, if the sender has an address of the link, and no router has had it either,
// which is more than what is asked for: who answers otherwise is heard when it answers the group.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-6
// https://www.rfc-editor.org/rfc/rfc6762.html#section-11
func (o *Origin) mayAnswer() bool {
	return o.From.Port() == multicastPort && (o.ToGroup || o.OnLink && o.HopLimit == multicastHopLimit)
}

// mayAsk reports whether a question that this host has heard is one that all others have heard too.
func (o *Origin) mayAsk() bool { return o.From.Port() == multicastPort && o.ToGroup && !o.Own }
