package rpl

import (
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// Leaf is a node that uses the network and forwards nothing for others: no node takes it for a parent, because it says that its
// rank is infinite.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.5
type Leaf struct {
	cfg      LeafConfig
	counters Counters
	running  bool

	dodags []*dodag
	joined *dodag     // the last one that was joined, which without a parent it is in no more; nil: none
	parent *neighbour // the preferred one, of joined; nil: none
	rank   uint16     // that follows from the parent; wire.RPLInfiniteRank without one

	solicitor  solicitor
	silence    silence
	advertiser advertiser
	poisoned   int64 // when the last poison was sent to all
	everPoison bool
}

// NewLeaf returns a leaf that does nothing until Start. The error wraps ErrInvalid and names the value.
func NewLeaf(cfg LeafConfig) (*Leaf, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Instances = slices.Clone(cfg.Instances)
	l := &Leaf{cfg: cfg, rank: wire.RPLInfiniteRank}
	l.solicitor.leaf, l.silence.leaf, l.advertiser.leaf = l, l, l
	l.advertiser.sequence, l.advertiser.path = firstSequence, firstSequence
	return l, nil
}

// Start begins to look for a DODAG.
func (l *Leaf) Start(now int64) {
	if l.running {
		return
	}
	l.running = true
	l.solicitor.start(now)
}

// Stop leaves the DODAG: the leaf says that it cannot be reached any more, and forgets everything.
func (l *Leaf) Stop(now int64) {
	if !l.running {
		return
	}
	l.advertiser.leave(now)
	l.detach(now)
	l.running = false
	l.dodags, l.joined = nil, nil
	for _, t := range []*timer.Timer{&l.solicitor.timer, &l.silence.timer, &l.advertiser.timer} {
		l.cfg.Timers.Remove(t)
	}
}

// Counters returns what the leaf has counted.
func (l *Leaf) Counters() Counters { return l.counters }

// State is what a leaf has joined.
type State struct {
	Instance uint8
	DODAG    netip.Addr // zero: it has joined none
	Version  uint8
	Mode     wire.RPLMode
	Grounded bool
	Parent   netip.Addr // the preferred parent's link-local address
	Rank     uint16     // the leaf's own, which it tells nobody
	Acked    bool       // the last DAO has been acknowledged
}

// State returns what the leaf has joined. It is zero without a parent.
func (l *Leaf) State() State {
	d := l.joined
	if l.parent == nil {
		return State{}
	}
	return State{d.instance, d.id, uint8(d.version), d.mode, d.grounded, l.parent.addr, l.rank, l.advertiser.state == told}
}

// Input takes a message that came from src to dst, as Node says.
func (l *Leaf) Input(now int64, src, dst netip.Addr, p wire.RPLPacket) Cause {
	cause := l.input(now, src, dst, p)
	l.counters.Received[cause]++
	return cause
}

func (l *Leaf) input(now int64, src, dst netip.Addr, p wire.RPLPacket) Cause {
	if !l.running {
		return NotRunning
	}
	code, cause := codeOf(p)
	if cause != None {
		return cause
	}
	switch code {
	case wire.RPLSolicitation:
		var r wire.RPLDISRepr
		if r.Parse(p) != nil {
			return Malformed
		}
		return l.solicited(now, src, dst, &r)
	case wire.RPLInformation:
		var r wire.RPLDIORepr
		if r.Parse(p) != nil {
			return Malformed
		}
		return l.hear(now, src, &r)
	case wire.RPLAcknowledgment:
		var r wire.RPLDAOAckRepr
		if r.Parse(p) != nil {
			return Malformed
		}
		return l.advertiser.acknowledged(now, src, &r)
	}
	return WrongRole // nobody is below a leaf
}

// codeOf is the code of a message that can be understood.
func codeOf(p wire.RPLPacket) (code uint8, cause Cause) {
	p, err := wire.ParseRPL(p)
	switch {
	case err != nil:
		return 0, Malformed
	case p.Secure():
		return 0, Secured
	case p.Code() > wire.RPLAcknowledgment:
		return 0, UnknownCode
	}
	return p.Code(), None
}

// asked reports whether a DIS asks a node of the DODAG, and why not.
func asked(r *wire.RPLDISRepr, instance uint8, dodag netip.Addr, version Sequence) Cause {
	option, ok := r.Options.Find(wire.RPLOptionSolicitedInformation)
	if !ok {
		return None
	}
	var info wire.RPLSolicitedInformationRepr
	switch {
	case info.Parse(option) != nil:
		return Malformed
	case !info.Matches(instance, dodag, uint8(version)):
		return Unasked
	}
	return None
}

// solicited answers a neighbour that asks this very node, as a leaf must too: with a rank that makes it nobody's parent.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.5
func (l *Leaf) solicited(now int64, src, dst netip.Addr, r *wire.RPLDISRepr) Cause {
	switch {
	case !src.IsLinkLocalUnicast():
		return WrongSource
	case dst.IsMulticast() || l.parent == nil:
		return Unasked
	}
	d := l.joined
	if cause := asked(r, d.instance, d.id, d.version); cause != None {
		return cause
	}
	l.poison(now, src)
	return None
}

// poison tells dst that the leaf's rank is infinite.
func (l *Leaf) poison(now int64, dst netip.Addr) {
	d := l.joined
	r := wire.RPLDIORepr{
		Instance: d.instance, Version: uint8(d.version), Rank: wire.RPLInfiniteRank, Grounded: d.grounded, Mode: d.mode,
		Preference: d.preference, DTSN: uint8(firstSequence), DODAG: d.id,
	}
	r.Options = r.Options.Append(&d.config)
	l.counters.SentDIO++
	l.cfg.Owner.Send(now, dst, &r)
}

// poisonInterval is how often a leaf tells everybody at most that it is no router.
const poisonInterval = 1e9 // 1 s

// Unreachable tells that a neighbour does not answer any more. It is forgotten until it is heard again.
func (l *Leaf) Unreachable(now int64, addr netip.Addr) {
	for _, d := range l.dodags {
		d.remove(addr)
	}
	l.choose(now)
}

// LinksChanged tells that Owner.ETX returns something else, by which another parent may be better.
func (l *Leaf) LinksChanged(now int64) { l.choose(now) }

// AddressesChanged tells that the leaf has other addresses, of which a DAO tells in turn.
func (l *Leaf) AddressesChanged(now int64) {
	if l.parent != nil {
		l.advertiser.soon(now)
	}
}

// Option is the packet information for a packet that the leaf sends, all of which go up.
//
// RFC 6550 has the source set the sender's rank to zero, and each router to DAGRank of its own; but routers that compare it find
// a packet from rank zero on its way up to be in a loop, and some compare ranks, not their DAGRank. A leaf's own rank passes
// with all of them.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-11.2
func (l *Leaf) Option() (info wire.RPLPacketInfoRepr, ok bool) {
	if l.parent == nil {
		return info, false
	}
	return wire.RPLPacketInfoRepr{Skip: l.joined.config.SkipOption, Instance: l.joined.instance, SenderRank: l.rank}, true
}

// CheckOption looks at the packet information of a packet for the leaf itself: nothing is sent on. A router that sends a packet
// up to a leaf does not know that it is one, and is told.
func (l *Leaf) CheckOption(now int64, from, dst netip.Addr, info *wire.RPLPacketInfoRepr) Cause {
	cause := l.checkOption(now, info)
	l.counters.Packets[cause]++
	return cause
}

func (l *Leaf) checkOption(now int64, info *wire.RPLPacketInfoRepr) Cause {
	switch {
	case l.parent == nil || info.Instance != l.joined.instance:
		return WrongInstance
	case info.Down && !info.RankError:
		return None
	}
	if !l.everPoison || now-l.poisoned >= poisonInterval {
		l.everPoison, l.poisoned = true, now
		l.poison(now, AllNodes)
	}
	if info.RankError {
		return RankError
	}
	return None
}
