package reassembly

import "github.com/smolnet/smolnet/core/packet"

// Table holds the datagrams that are under way to a stack.
type Table struct {
	cfg            Config
	datagrams      map[Key]*datagram
	oldest, newest *datagram // in the order in which their first-arriving fragments came
	octets         int       // of memory that fragments take
	spare          *datagram // to be used again, linked by next
	spares         int
}

// maxSpare is how many datagrams that are no longer under way a table keeps to use again.
const maxSpare = 64

// New returns an empty table. The error wraps ErrInvalid and names the value.
func New(cfg Config) (*Table, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Table{cfg: cfg, datagrams: make(map[Key]*datagram)}, nil
}

// Len is the number of datagrams under way, those included that were given up and are only remembered.
func (t *Table) Len() int { return len(t.datagrams) }

// Octets is the memory, in octets, that fragments take.
func (t *Table) Octets() int { return t.octets }

// Add is called for each fragment. p begins with f.HeaderLen octets of headers, and its IP field is filled in. If the cause is
// None, the table has taken p. If p was what had been missing, Add returns the whole datagram: the headers of the first
// fragment as they were, and all the payload. With any other cause p remains the caller's, perhaps in a smaller buffer, and
// is not needed.
//
// A datagram that was given up because of what its fragments say is remembered for as long as it would have had, and the cause
// is that again for what comes of it meanwhile.
func (t *Table) Add(now int64, f *Fragment, p *packet.Packet) (whole *packet.Packet, cause Cause) {
	length := p.Len() - f.HeaderLen
	switch {
	case length == 0:
		return nil, Empty
	case f.More && length%8 != 0:
		return nil, Unaligned
	case f.HeaderLen+f.Offset+length > f.longest():
		return nil, TooLong
	}
	d := t.datagrams[f.Key]
	if d == nil {
		d = t.create(now, f.Key)
	}
	if cause = d.judge(f, p); cause != None {
		if cause != Duplicate {
			t.abandon(now, d, cause)
		}
		return nil, cause
	}
	p.Compact()
	if !t.makeRoom(now, d, p.Cost()) {
		return nil, Evicted
	}
	d.insert(f, p)
	if d.missing() {
		return nil, None
	}
	return t.finish(now, d, p), None
}

// finish turns d, of which p came last, into the packet that it is of. It returns nil if it is none after all.
func (t *Table) finish(now int64, d *datagram, p *packet.Packet) *packet.Packet {
	ecn, ok := d.combinedECN()
	switch {
	case !ok:
		t.abandon(now, d, ContradictoryECN)
		return nil
	case d.headerLen+d.length > d.key.longest():
		t.abandon(now, d, TooLong)
		return nil
	}
	whole := d.assemble()
	whole.IP.Link, whole.IP.Foreign = p.IP.Link, p.IP.Foreign
	whole.IP.TrafficClass = whole.IP.TrafficClass&^3 | ecn
	fragments := t.forget(d)
	for fragments != nil {
		fragment := fragments
		fragments, fragment.Next = fragment.Next, nil
		fragment.Release()
	}
	return whole
}

// Close gives up all datagrams.
func (t *Table) Close(now int64) {
	for t.oldest != nil {
		t.giveUp(now, t.oldest, Closed)
	}
	for t.spare != nil {
		d := t.spare
		t.spare = d.next
		t.cfg.Timers.Remove(&d.timer)
	}
	t.spares = 0
}

// makeRoom gives up old datagrams until there is room for so many octets more. It reports false if d was among them, or if
// there is no such room at all.
func (t *Table) makeRoom(now int64, d *datagram, octets int) bool {
	if octets > t.cfg.MaxOctets {
		t.giveUp(now, d, Evicted)
		return false
	}
	for t.octets+octets > t.cfg.MaxOctets {
		victim := t.oldest
		t.giveUp(now, victim, Evicted)
		if victim == d {
			return false
		}
	}
	t.octets += octets
	return true
}

// create begins a datagram, of which nothing has come yet.
func (t *Table) create(now int64, key Key) *datagram {
	if len(t.datagrams) >= t.cfg.MaxDatagrams {
		t.giveUp(now, t.oldest, Evicted)
	}
	d := t.spare
	if d != nil {
		t.spare = d.next
		t.spares--
	} else {
		d = &datagram{table: t}
	}
	d.key, d.length = key, unknown
	d.prev, d.next = t.newest, nil
	if t.newest == nil {
		t.oldest = d
	} else {
		t.newest.next = d
	}
	t.newest = d
	t.datagrams[key] = d
	timeout := t.cfg.Timeout6
	if key.Src.Is4() {
		timeout = t.cfg.Timeout4
	}
	t.cfg.Timers.Arm(&d.timer, d, now+int64(timeout))
	return d
}

// abandon gives d up, but remembers it until it would have timed out.
//
// "[...] the entire datagram (and any constituent fragments, including those not yet received) MUST be silently discarded."
// https://www.rfc-editor.org/rfc/rfc5722.html#section-4
func (t *Table) abandon(now int64, d *datagram, cause Cause) {
	d.abandoned = cause
	headerLen := d.headerLen
	t.release(now, cause, d.takeFragments(), headerLen)
}

// giveUp forgets d altogether.
func (t *Table) giveUp(now int64, d *datagram, cause Cause) {
	headerLen := d.headerLen
	t.release(now, cause, t.forget(d), headerLen)
}

// release hands fragments to the owner, if there are any.
func (t *Table) release(now int64, cause Cause, fragments *packet.Packet, headerLen int) {
	if fragments != nil {
		t.cfg.Owner.Abandon(now, cause, fragments, headerLen)
	}
}

// forget takes d out of the table, and returns its fragments.
func (t *Table) forget(d *datagram) *packet.Packet {
	fragments := d.takeFragments()
	delete(t.datagrams, d.key)
	if d.prev == nil {
		t.oldest = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		t.newest = d.prev
	} else {
		d.next.prev = d.prev
	}
	if t.spares == maxSpare {
		t.cfg.Timers.Remove(&d.timer)
		return fragments
	}
	t.cfg.Timers.Stop(&d.timer) // to arm it again then costs nothing
	*d = datagram{table: t, timer: d.timer, next: t.spare}
	t.spare = d
	t.spares++
	return fragments
}
