package rpl

// Cause is why a message, or a packet with RPL packet information, was of no use.
type Cause uint8

// The causes.
const (
	None            Cause = iota // it was of use
	NotRunning                   // the node has not been started
	Malformed                    // lengths or values that cannot be
	Secured                      // the message is of a secure form
	UnknownCode                  // no message of this code is known
	WrongRole                    // only a root, or only a leaf, is told such things
	WrongSource                  // the source is not a neighbour's link-local address, or not one that may say so
	WrongInstance                // of another RPL instance
	WrongDODAG                   // of another DODAG
	WrongMode                    // the mode of operation is not supported, or has no such messages
	WrongVersion                 // of an older version of the DODAG, or one that cannot be compared
	WrongRank                    // the sender says that it is as near to the root as the root itself
	Unsolicited                  // an acknowledgment of what was not sent
	Stale                        // older than what is known of all targets
	ForbiddenTarget              // a target that nobody may say to be
	TableFull                    // there is no room for more neighbours, DODAGs or targets
	Unasked                      // a DIS that others are asked by
	RankError                    // the packet has gone the wrong way before: it is in a loop
	NoDownward                   // the packet has come back because there was no way down
	causes
)

var causeNames = [causes]string{
	"none", "not running", "malformed", "secured", "unknown code", "wrong role", "wrong source", "wrong instance", "wrong DODAG",
	"wrong mode", "wrong version", "wrong rank", "unsolicited", "stale", "forbidden target", "table full", "unasked", "rank error",
	"no downward route",
}

// String names the cause: "wrong instance".
func (c Cause) String() string {
	if c >= causes {
		return "unknown"
	}
	return causeNames[c]
}

// Causes is how many causes there are, None included.
const Causes = int(causes)

// Counters count what a node has done since it was made.
type Counters struct {
	Received [Causes]uint64 // messages by what became of them; None: those of use
	Packets  [Causes]uint64 // packets by what their packet information said

	SentDIS, SentDIO, SentDAO, SentDAOAck uint64

	ParentChanges uint64 // of a leaf: another preferred parent, or none any more
	Repairs       uint64 // of a leaf: there was no parent left. Of a root: new versions
	Unacked       uint64 // DAOs that were not acknowledged, however often they were sent
	Refused       uint64 // DAOs that were refused
}
