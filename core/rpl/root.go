package rpl

import (
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core/wire"
)

// Root is the root of a DODAG, from which downward routes begin.
type Root struct {
	cfg      RootConfig
	counters Counters
	running  bool

	version Sequence
	dtsn    Sequence
	trickle trickle
	options wire.RPLOptions // of its DIOs

	targets targets
}

// Statuses of DAO-ACKs. RFC 6550 has those from 128 on be refusals, without telling them apart.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-6.5.1
const (
	StatusAccepted = 0
	StatusRefused  = 128
)

// NewRoot returns a root that does nothing until Start. The error wraps ErrInvalid and names the value.
func NewRoot(cfg RootConfig) (*Root, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.TargetsIn = slices.Clone(cfg.TargetsIn)
	r := &Root{cfg: cfg, version: firstSequence, dtsn: firstSequence}
	c := &r.cfg.Configuration
	r.options = r.options.Append(c)
	for i := range cfg.Prefixes {
		r.options = r.options.Append(&cfg.Prefixes[i])
	}
	r.trickle = trickle{timers: cfg.Timers, rand: cfg.Rand, send: r.sendToAll}
	r.trickle.configure(c.IntervalMin, c.IntervalDoublings, c.Redundancy)
	r.targets.root = r
	return r, nil
}

// Start begins to advertise the DODAG.
func (r *Root) Start(now int64) {
	if !r.running {
		r.running = true
		r.trickle.start(now)
	}
}

// Stop ends the DODAG. Neighbours are told that the root is nobody's parent any more.
func (r *Root) Stop(now int64) {
	if !r.running {
		return
	}
	r.sendDIO(now, AllNodes, wire.RPLInfiniteRank)
	r.running = false
	r.trickle.stop()
	r.targets.clear(now)
}

// Counters returns what the root has counted.
func (r *Root) Counters() Counters { return r.counters }

// Version is the DODAG's version.
func (r *Root) Version() uint8 { return uint8(r.version) }

// Repair begins a new version of the DODAG, which all nodes join anew, and so choose their parents anew: a global repair.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.2.2.1
func (r *Root) Repair(now int64) { r.renew(now, r.version.Next()) }

func (r *Root) renew(now int64, version Sequence) {
	r.version = version
	r.counters.Repairs++
	if r.running {
		r.trickle.inconsistent(now)
	}
}

// Refresh asks all nodes to tell again where they can be reached.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-9.6
func (r *Root) Refresh(now int64) {
	r.dtsn = r.dtsn.Next()
	if r.running {
		r.trickle.inconsistent(now)
	}
}

// AddressesChanged does nothing: the root's addresses are looked at when they matter.
func (r *Root) AddressesChanged(int64) {}

// Unreachable drops the routes by a neighbour that does not answer any more.
func (r *Root) Unreachable(now int64, neighbour netip.Addr) { r.targets.dropGateway(now, neighbour) }

// Input takes a message that came from src to dst, as Node says.
func (r *Root) Input(now int64, src, dst netip.Addr, p wire.RPLPacket) Cause {
	cause := r.input(now, src, dst, p)
	r.counters.Received[cause]++
	return cause
}

func (r *Root) input(now int64, src, dst netip.Addr, p wire.RPLPacket) Cause {
	if !r.running {
		return NotRunning
	}
	code, cause := codeOf(p)
	if cause != None {
		return cause
	}
	switch code {
	case wire.RPLSolicitation:
		var m wire.RPLDISRepr
		if m.Parse(p) != nil {
			return Malformed
		}
		return r.solicited(now, src, dst, &m)
	case wire.RPLInformation:
		var m wire.RPLDIORepr
		if m.Parse(p) != nil {
			return Malformed
		}
		return r.hear(now, src, &m)
	case wire.RPLAdvertisement:
		var m wire.RPLDAORepr
		if m.Parse(p) != nil {
			return Malformed
		}
		return r.advertised(now, src, dst, &m)
	}
	return WrongRole // a root sends no DAOs to be acknowledged
}

// solicited answers a DIS: one to this node alone at once, and one to all by sending DIOs as if there were news.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.3
func (r *Root) solicited(now int64, src, dst netip.Addr, m *wire.RPLDISRepr) Cause {
	if !src.IsLinkLocalUnicast() {
		return WrongSource
	}
	if cause := asked(m, r.cfg.Instance, r.cfg.DODAG, r.version); cause != None {
		return cause
	}
	if dst.IsMulticast() {
		r.trickle.inconsistent(now)
	} else {
		r.sendDIO(now, src, r.rank())
	}
	return None
}

// hear compares what a node says of the DODAG with what is so.
func (r *Root) hear(now int64, src netip.Addr, m *wire.RPLDIORepr) Cause {
	version := Sequence(m.Version)
	switch {
	case !src.IsLinkLocalUnicast():
		return WrongSource
	case m.Instance != r.cfg.Instance:
		return WrongInstance
	case m.DODAG != r.cfg.DODAG:
		return WrongDODAG
	case m.Rank == 0:
		return Malformed
	case version.newer(r.version):
		// It is from before this root began anew, and older versions are not listened to.
		r.renew(now, version.Next())
		return None
	case version != r.version:
		return WrongVersion
	case m.Rank == wire.RPLInfiniteRank:
		return None
	case dagRank(m.Rank, &r.cfg.Configuration) <= dagRank(r.rank(), &r.cfg.Configuration):
		return WrongRank
	}
	r.trickle.consistent()
	return None
}

// rank is the root's: MinHopRankIncrease, of which DAGRank is 1.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-17
func (r *Root) rank() uint16 { return r.cfg.Configuration.MinHopRankIncrease }

// sendToAll sends a DIO at a time of Trickle's.
func (r *Root) sendToAll(now int64) { r.sendDIO(now, AllNodes, r.rank()) }

// sendDIO tells dst of the DODAG. Every DIO has its configuration: nobody has to ask for it. None has metrics: MRHOF without them
// takes ranks for the ETX of paths.
func (r *Root) sendDIO(now int64, dst netip.Addr, rank uint16) {
	m := wire.RPLDIORepr{
		Instance: r.cfg.Instance, Version: uint8(r.version), Rank: rank, Grounded: !r.cfg.Floating, Mode: r.cfg.Mode,
		Preference: r.cfg.Preference, DTSN: uint8(r.dtsn), DODAG: r.cfg.DODAG, Options: r.options,
	}
	r.counters.SentDIO++
	r.cfg.Owner.Send(now, dst, &m)
}

// Option is the packet information for a packet that the root sends, all of which go down.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-11.2
func (r *Root) Option() (info wire.RPLPacketInfoRepr, ok bool) {
	c := &r.cfg.Configuration
	return wire.RPLPacketInfoRepr{
		Skip: c.SkipOption, Down: true, Instance: r.cfg.Instance, SenderRank: dagRank(r.rank(), c),
	}, r.running
}

// CheckOption looks at the packet information of a packet that has come up to the root, and that it may send down again.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-11.2
func (r *Root) CheckOption(now int64, from, dst netip.Addr, info *wire.RPLPacketInfoRepr) Cause {
	cause := r.checkOption(now, from, dst, info)
	r.counters.Packets[cause]++
	return cause
}

func (r *Root) checkOption(now int64, from, dst netip.Addr, info *wire.RPLPacketInfoRepr) Cause {
	c := &r.cfg.Configuration
	if !r.running || info.Instance != r.cfg.Instance {
		return WrongInstance
	}
	switch {
	case info.ForwardingError:
		// A node below had no route for the packet and sends it back: the route by it is no more. There may be another.
		// https://www.rfc-editor.org/rfc/rfc6550.html#section-11.2.2.3
		info.ForwardingError = false
		r.targets.dropRoute(now, dst, from)
		if _, ok := r.targets.lookup(dst); !ok && !r.targets.own(dst) {
			return NoDownward
		}
	// Nothing comes down to a root, and nobody is as near to it as itself, though RFC 6550 has who made the packet say 0. Once
	// is a hint, and DIOs follow; twice is a loop.
	// https://www.rfc-editor.org/rfc/rfc6550.html#section-11.2.2.2
	case info.Down, info.SenderRank != 0 && info.SenderRank <= dagRank(r.rank(), c):
		r.trickle.inconsistent(now)
		if info.RankError {
			return RankError
		}
		info.RankError = true
	}
	info.Down, info.SenderRank = true, dagRank(r.rank(), c)
	return None
}
