package rpl

import (
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// dodag is a DODAG that a leaf has heard of.
type dodag struct {
	instance   uint8
	id         netip.Addr
	version    Sequence
	mode       wire.RPLMode
	grounded   bool
	preference uint8
	config     wire.RPLDODAGConfigurationRepr
	configured bool // config has been heard

	neighbours []*neighbour
	lowest     uint16 // the lowest rank that the leaf has had in this version
	heard      int64  // the last time
	asked      int64  // when configuration was last asked for, if ever is set
	ever       bool
}

// neighbour is a router of a DODAG's that could be a parent.
type neighbour struct {
	addr     netip.Addr // link-local
	global   netip.Addr // of its own in a prefix; zero: not known
	rank     uint16
	metric   uint16 // ETX of its path to the root, if measured
	measured bool
	dtsn     Sequence
	heard    int64
	probes   int   // how often it has been asked for a sign of life since
	shunned  int64 // until then others are preferred, because DAOs were not acknowledged
}

// news is what a DIO's options say.
type news struct {
	config     wire.RPLDODAGConfigurationRepr
	configured bool
	metric     uint16
	measured   bool
	global     netip.Addr
}

// read sets n to what the options say, and reports whether they are as they should be.
func (n *news) read(options wire.RPLOptions, src netip.Addr) bool {
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		switch option.Type() {
		case wire.RPLOptionDODAGConfiguration:
			if n.config.Parse(option) != nil || n.config.MinHopRankIncrease == 0 {
				return false
			}
			n.configured = true
		case wire.RPLOptionMetricContainer:
			var container wire.RPLMetricContainerRepr
			if container.Parse(option) != nil {
				return false
			}
			for m, ok := container.Metrics.Next(); ok; m, ok = container.Metrics.Next() {
				if etx, ok := m.ETX(); ok {
					n.metric, n.measured = etx, true
				}
			}
		case wire.RPLOptionPrefixInformation:
			var prefix wire.RPLPrefixInformationRepr
			if prefix.Parse(option) != nil {
				return false
			}
			switch {
			case prefix.Router.IsValid() && !prefix.Router.IsLinkLocalUnicast() && !prefix.Router.IsMulticast():
				n.global = prefix.Router
			case !n.global.IsValid() && prefix.Autonomous && prefix.Prefix.Bits() == 64:
				n.global = inPrefix(prefix.Prefix, src)
			}
		}
	}
	return true
}

// inPrefix is the address that the owner of a link-local address makes in the prefix, which has 64 bits, if it uses the same
// interface identifier.
func inPrefix(prefix netip.Prefix, linkLocal netip.Addr) netip.Addr {
	octets, id := prefix.Addr().As16(), linkLocal.As16()
	copy(octets[8:], id[8:])
	return netip.AddrFrom16(octets)
}

// configInterval is how often a DODAG's routers are asked for its configuration at most.
const configInterval = int64(time.Second)

// hear learns from a DIO.
func (l *Leaf) hear(now int64, src netip.Addr, r *wire.RPLDIORepr) Cause {
	var n news
	switch {
	case !src.IsLinkLocalUnicast():
		return WrongSource
	case !l.wants(r.Instance):
		return WrongInstance
	case l.cfg.DODAG.IsValid() && r.DODAG != l.cfg.DODAG:
		return WrongDODAG
	case r.Mode > wire.RPLStoringMulticast:
		return WrongMode
	case r.Rank == 0 || !validDODAG(r.DODAG) || !n.read(r.Options, src):
		return Malformed
	}
	d := l.dodag(r.Instance, r.DODAG)
	if r.Rank == wire.RPLInfiniteRank {
		if d != nil {
			d.remove(src)
			l.choose(now)
		}
		return None
	}
	if d == nil {
		if d = l.newDODAG(r); d == nil {
			return TableFull
		}
	}
	if cause := l.learn(now, d, src, r, &n); cause != None {
		return cause
	}
	l.choose(now)
	if !d.configured {
		l.askConfiguration(now, d, src)
	}
	if l.in(d) && l.parent.addr == src {
		l.tellPrefixes(now, src, r.Options)
	}
	return None
}

// wants reports whether DODAGs of the instance may be joined.
func (l *Leaf) wants(instance uint8) bool {
	if l.cfg.Instances == nil {
		return instance < localInstance
	}
	return slices.Contains(l.cfg.Instances, instance)
}

// dodag returns the DODAG that is known by that name, or nil.
func (l *Leaf) dodag(instance uint8, id netip.Addr) *dodag {
	for _, d := range l.dodags {
		if d.instance == instance && d.id == id {
			return d
		}
	}
	return nil
}

// newDODAG makes an entry for a DODAG, in place of the one that has not been heard of for the longest time if there are too
// many, but never of the one that the leaf is in. It returns nil if there is no room.
func (l *Leaf) newDODAG(r *wire.RPLDIORepr) *dodag {
	if len(l.dodags) >= l.cfg.DODAGs {
		oldest := -1
		for i, d := range l.dodags {
			if !l.in(d) && (oldest < 0 || d.heard < l.dodags[oldest].heard) {
				oldest = i
			}
		}
		if oldest < 0 {
			return nil
		}
		if l.dodags[oldest] == l.joined {
			l.joined = nil
		}
		l.dodags = slices.Delete(l.dodags, oldest, oldest+1)
	}
	d := &dodag{instance: r.Instance, id: r.DODAG, version: Sequence(r.Version), mode: r.Mode, lowest: wire.RPLInfiniteRank}
	l.dodags = append(l.dodags, d)
	return d
}

// in reports whether the leaf has a parent in the DODAG.
func (l *Leaf) in(d *dodag) bool { return d == l.joined && l.parent != nil }

// learn takes note of what a router says of its DODAG and itself.
func (l *Leaf) learn(now int64, d *dodag, src netip.Addr, r *wire.RPLDIORepr, news *news) Cause {
	version := Sequence(r.Version)
	renewed := version.newer(d.version) || version != d.version && len(d.neighbours) == 0
	switch {
	case renewed:
		// A root that has lost its version, and began with an older one, is believed once nobody speaks for the newer any more.
		//
		// "An older (lesser) value indicates that the originating router has not migrated to the new DODAG Version and cannot be
		// used as a parent once the receiving node has migrated to the newer DODAG Version."
		// https://www.rfc-editor.org/rfc/rfc6550.html#section-7.1
		d.neighbours, d.version, d.mode, d.lowest = nil, version, r.Mode, wire.RPLInfiniteRank
	case version != d.version:
		return WrongVersion
	case r.Mode != d.mode:
		return WrongMode
	}
	n := d.neighbour(src)
	if n == nil {
		if !l.makeRoom(d) {
			return TableFull
		}
		n = &neighbour{addr: src, dtsn: Sequence(r.DTSN)}
		d.neighbours = append(d.neighbours, n)
	}
	// What the root sets is believed of the parent, as long as there is one.
	preferred := n == l.parent
	if trusted := preferred || !l.in(d) || renewed; trusted {
		d.grounded, d.preference = r.Grounded, r.Preference
		if news.configured {
			d.config, d.configured = news.config, true
		}
	}
	d.heard, n.heard, n.probes = now, now, 0
	n.rank, n.metric, n.measured = r.Rank, news.metric, news.measured
	located := news.global.IsValid() && news.global != n.global
	if located {
		n.global = news.global
	}
	dtsn := Sequence(r.DTSN)
	asks := dtsn != n.dtsn && !dtsn.older(n.dtsn)
	n.dtsn = dtsn
	if preferred && (asks || located && d.mode == wire.RPLNonStoring) {
		l.advertiser.soon(now)
	}
	return None
}

// makeRoom sees to it that there is room for one more neighbour in the DODAG: one of another DODAG that has not been joined makes
// room. Those of the DODAG itself stay: a flood of made-up routers must not push out real ones.
func (l *Leaf) makeRoom(d *dodag) bool {
	count := 0
	var victim *dodag
	oldest := 0
	for _, other := range l.dodags {
		count += len(other.neighbours)
		if l.in(other) || other == d {
			continue
		}
		for i, n := range other.neighbours {
			if victim == nil || n.heard < victim.neighbours[oldest].heard {
				victim, oldest = other, i
			}
		}
	}
	if count < l.cfg.Neighbours {
		return true
	}
	if victim == nil {
		return false
	}
	victim.neighbours = slices.Delete(victim.neighbours, oldest, oldest+1)
	return true
}

// neighbour returns the neighbour with the address, or nil.
func (d *dodag) neighbour(addr netip.Addr) *neighbour {
	for _, n := range d.neighbours {
		if n.addr == addr {
			return n
		}
	}
	return nil
}

// remove forgets a neighbour.
func (d *dodag) remove(addr netip.Addr) {
	d.neighbours = slices.DeleteFunc(d.neighbours, func(n *neighbour) bool { return n.addr == addr })
}

// askConfiguration asks a router for its DODAG's configuration, which a DIO that answers a unicast DIS has.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.3
func (l *Leaf) askConfiguration(now int64, d *dodag, router netip.Addr) {
	if d.ever && now-d.asked < configInterval {
		return
	}
	d.ever, d.asked = true, now
	l.sendDIS(now, router)
}

// tellPrefixes hands on the prefixes that the parent advertises.
func (l *Leaf) tellPrefixes(now int64, parent netip.Addr, options wire.RPLOptions) {
	var prefix wire.RPLPrefixInformationRepr
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		if prefix.Parse(option) == nil && !prefix.Prefix.Addr().IsLinkLocalUnicast() && !prefix.Prefix.Addr().IsMulticast() {
			l.cfg.Owner.Prefix(now, parent, &prefix)
		}
	}
}
