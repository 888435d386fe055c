package tcp

import (
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// timestamps are a connection's side of RFC 7323: what it has heard, and what is added to the clock. They are in use if
// both SYNs had the option.
type timestamps struct {
	on     bool
	recent uint32 // TS.Recent: what is echoed
	offset uint32 // added to the clock, so that it tells nobody how long the stack has run
	age    uint32 // when recent was set, as tsAge has it
}

// timestampsLen is what they take of each segment, in octets.
const timestampsLen = 12

// tsTick is the timestamp clock's tick: RFC 7323 section 5.4 wants it between 1 ms and 1 s.
const tsTick = int64(time.Millisecond)

// tsOutdated is how long TS.Recent stays valid: half the range of a clock that ticks each millisecond has nearly passed then. "We
// therefore require that an implementation of PAWS include a mechanism to "invalidate" the TS.Recent value when a connection is
// idle for more than 24 days."
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.5
const tsOutdated = 24 * 24 * int64(time.Hour)

// tsAge is now in units of 2^26 ns, a fifteenth of a second, for which four octets last nine years.
func tsAge(now int64) uint32 { return uint32(now >> 26) }

// idle is how long ago recent was set, to a fifteenth of a second.
func (t *timestamps) idle(now int64) int64 { return int64(tsAge(now)-t.age) << 26 }

// val is what TSval is to hold.
func (t *timestamps) val(now int64) uint32 { return uint32(now/tsTick) + t.offset }

// roundTrip is what an echoed timestamp says that a segment took, if none was sent before since; 0: the echo is none of ours.
func (t *timestamps) roundTrip(now int64, echo uint32, since int64) int64 {
	ticks := distance(echo, t.val(now))
	if sample := int64(max(ticks, 1)) * tsTick; ticks >= 0 && sample <= now-since+tsTick {
		return sample
	}
	return 0
}

// echo adds the option to those of a segment, if timestamps are in use.
func (t *timestamps) echo(now int64, o *wire.TCPOptions) {
	if t.on {
		o.HasTimestamps, o.TSVal, o.TSEcr = true, t.val(now), t.recent
	}
}

// resetOptions are those of a reset.
//
// Once it was agreed on, "the TSopt MUST be sent in every non-<RST> segment for the duration of the connection, and SHOULD be
// sent in an <RST> segment".
// https://www.rfc-editor.org/rfc/rfc7323.html#section-3.2
func (c *Conn) resetOptions(now int64) (o wire.TCPOptions) {
	c.ts.echo(now, &o)
	return o
}

// start begins to use timestamps as they came with the peer's SYN.
func (t *timestamps) start(now int64, peer *wire.TCPOptions) {
	t.on = true
	t.recent, t.age = peer.TSVal, tsAge(now)
}

// old reports whether a segment with the timestamp val is an old duplicate.
//
// "If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is valid (see later discussion), and
// if the RST bit is not set, then treat the arriving segment as not acceptable"
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.3
func (t *timestamps) old(now int64, val uint32) bool {
	return before(val, t.recent) && t.idle(now) < tsOutdated
}

// update takes over what is to be echoed. lastAck is Last.ACK.sent.
//
// "If an arriving segment satisfies SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent (see Section 4.3), then record its
// timestamp in TS.Recent."
// https://www.rfc-editor.org/rfc/rfc7323.html#section-5.3
func (t *timestamps) update(now int64, val, seq, lastAck uint32) {
	if !t.old(now, val) && beforeEq(seq, lastAck) {
		t.recent, t.age = val, tsAge(now)
	}
}
