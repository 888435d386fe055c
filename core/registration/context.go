package registration

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Context is a context for header compression.
type Context struct {
	ID       uint8 // 0 to 15
	Prefix   netip.Prefix
	Compress bool  // it is for compression too, else for decompression only
	Until    int64 // the end of its lifetime
}

// maxContexts is how many contexts there can be, for an identifier has four bits.
const maxContexts = 16

// contextTable is what a host knows of contexts. The zero value is empty.
type contextTable struct {
	entries [maxContexts]struct {
		Context
		known  bool
		fading bool // its lifetime is over
	}
	routerLifetime time.Duration // as last advertised
	changed        bool          // the owner has yet to be told
}

// learn takes note of what a router says of a context.
//
// "A value of all zero bits (0x0) indicates that this context entry MUST be removed immediately."
// https://www.rfc-editor.org/rfc/rfc6775.html#section-4.2
func (t *contextTable) learn(now int64, r *wire.NDContextRepr) {
	e := &t.entries[r.ID]
	before := *e
	if r.Lifetime == 0 {
		e.known = false
	} else {
		e.Context = Context{ID: r.ID, Prefix: r.Prefix, Compress: r.Compress, Until: now + int64(r.Lifetime)}
		e.known, e.fading = true, false
	}
	t.changed = t.changed || before.known != e.known ||
		e.known && (before.Prefix != e.Prefix || before.Compress != e.Compress)
}

// expire deals with the contexts whose lifetimes are over: one is kept for decompression for twice the lifetime of a default
// router, since others may not know yet, and then forgotten.
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.4.3
func (t *contextTable) expire(now int64) {
	for i := range t.entries {
		switch e := &t.entries[i]; {
		case !e.known || e.Until > now:
		case e.fading || t.routerLifetime == 0:
			e.known = false
			t.changed = true
		default:
			t.changed = t.changed || e.Compress
			e.Compress, e.fading = false, true
			e.Until += 2 * int64(t.routerLifetime)
		}
	}
}

// next is when the next lifetime is over.
func (t *contextTable) next() int64 {
	next := timer.Never
	for i := range t.entries {
		if t.entries[i].known {
			next = min(next, t.entries[i].Until)
		}
	}
	return next
}

func (t *contextTable) list() []Context {
	var contexts []Context
	for i := range t.entries {
		if t.entries[i].known {
			contexts = append(contexts, t.entries[i].Context)
		}
	}
	return contexts
}
