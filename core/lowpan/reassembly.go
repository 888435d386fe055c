package lowpan

import (
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// Reassembly holds the datagrams that are under way to an interface.
type Reassembly struct {
	cfg            ReassemblyConfig
	datagrams      map[Key]*datagram
	oldest, newest *datagram // in the order in which a fragment last came
	octets         int       // of memory that the buffers take
	spare          *datagram // to be used again, linked by next: no more than there have been at once
	completed      completed
}

// NewReassembly returns an empty one. The error wraps ErrInvalid and names the value.
func NewReassembly(cfg ReassemblyConfig) (*Reassembly, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Reassembly{cfg: cfg, datagrams: make(map[Key]*datagram)}, nil
}

// Len is the number of datagrams under way.
func (r *Reassembly) Len() int { return len(r.datagrams) }

// Octets is the memory, in octets, that their buffers take.
func (r *Reassembly) Octets() int { return r.octets }

// Add is called for each fragment. p begins with what the fragment carries of the datagram: behind the fragmentation header and,
// in the first fragment, decompressed. Add copies it; p remains the caller's, whatever the cause.
//
// If the cause is None the fragment was taken, and if it was what had been missing, Add returns the whole datagram, which begins
// with its IPv6 header. The IP field is that of p, and the transport checksum is still to be verified or, with f.ElidedChecksum,
// filled in. With any other cause p was not needed.
func (r *Reassembly) Add(now int64, f *Fragment, p *packet.Packet) (whole *packet.Packet, cause Cause) {
	size, end := int(f.Size), f.Offset+p.Len()
	switch {
	case size < wire.IPv6HeaderLen:
		return nil, TooShort
	case end == f.Offset:
		return nil, Empty
	case end > size || size > wire.LowpanMaxDatagramSize:
		return nil, TooLong
	case f.Offset%unit != 0 || end%unit != 0 && end != size:
		return nil, Unaligned
	}
	part := part{f.Offset / unit, (end + unit - 1) / unit}
	d := r.newest // whose next fragment it mostly is
	if d == nil || d.key != f.Key {
		d = r.datagrams[f.Key]
	}
	if d == nil {
		if r.completed.has(now, &f.Key) {
			return nil, Duplicate
		}
		if !r.makeRoom(now, f) {
			return nil, Full
		}
		d = r.begin(now, f.Key)
	} else {
		switch d.judge(part, p) {
		case Duplicate:
			return nil, Duplicate
		case Overlap:
			// "A fresh reassembly may be commenced with the most recently received link fragment."
			// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
			r.giveUp(now, d, Overlap)
			d = r.begin(now, f.Key)
		}
	}
	d.known = d.known || f.Known
	d.elided = d.elided || f.ElidedChecksum
	d.insert(part, p)
	if d.missing > 0 {
		if d != r.newest {
			r.unlink(d)
			r.link(d)
		}
		return nil, None
	}
	f.ElidedChecksum = d.elided
	r.completed.add(now, &f.Key)
	whole = r.forget(d)
	whole.IP = p.IP
	whole.Checksum = packet.ChecksumAssembled
	return whole, None
}

// Close gives up all datagrams, and removes the timers.
func (r *Reassembly) Close(now int64) {
	for r.oldest != nil {
		r.giveUp(now, r.oldest, Closed)
	}
	for ; r.spare != nil; r.spare = r.spare.next {
		r.cfg.Timers.Remove(&r.spare.timer)
	}
}

// makeRoom sees to it that a datagram may begin, of which f has come first. It reports false if none of those under way may go
// for it.
//
// It is always one that has waited for its next fragment longer than others: most have lost one and will never be whole. A source
// that begins too many displaces its own; many sources together displace any, but those that are known only if all of them are.
func (r *Reassembly) makeRoom(now int64, f *Fragment) bool {
	own := 0
	for d := r.oldest; d != nil; d = d.next {
		if d.key.Src == f.Src {
			own++
		}
	}
	crowds := own >= r.cfg.MaxPerSource
	if !crowds && len(r.datagrams) < r.cfg.MaxDatagrams {
		return true
	}
	var victim *datagram
	for d := r.oldest; d != nil; d = d.next {
		if crowds && d.key.Src != f.Src {
			continue
		}
		if !d.known {
			victim = d
			break
		}
		if victim == nil && f.Known {
			victim = d
		}
	}
	if victim == nil {
		return false
	}
	r.giveUp(now, victim, Evicted)
	return true
}

// begin begins a datagram, of which nothing has come yet.
func (r *Reassembly) begin(now int64, key Key) *datagram {
	d := r.spare
	if d != nil {
		r.spare = d.next
	} else {
		d = &datagram{reassembly: r}
	}
	d.key, d.missing = key, int(key.Size)
	d.whole = packet.New(d.missing)
	d.whole.Append(d.missing)
	r.octets += d.whole.Cost()
	r.link(d)
	r.datagrams[key] = d
	r.cfg.Timers.Arm(&d.timer, d, now+int64(r.cfg.Timeout))
	return d
}

// giveUp forgets d, and tells the owner why.
func (r *Reassembly) giveUp(now int64, d *datagram, cause Cause) {
	key := d.key
	r.forget(d).Release()
	r.cfg.Owner.Abandon(now, cause, key)
}

// forget takes d out of the table, and returns its buffer.
func (r *Reassembly) forget(d *datagram) *packet.Packet {
	whole := d.whole
	r.octets -= whole.Cost()
	delete(r.datagrams, d.key)
	r.unlink(d)
	r.cfg.Timers.Stop(&d.timer) // to arm it again then costs nothing
	*d = datagram{reassembly: r, timer: d.timer, next: r.spare}
	r.spare = d
	return whole
}

// link makes d the one of which a fragment came last.
func (r *Reassembly) link(d *datagram) {
	d.prev, d.next = r.newest, nil
	if r.newest == nil {
		r.oldest = d
	} else {
		r.newest.next = d
	}
	r.newest = d
}

func (r *Reassembly) unlink(d *datagram) {
	if d.prev == nil {
		r.oldest = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		r.newest = d.prev
	} else {
		d.next.prev = d.prev
	}
}
