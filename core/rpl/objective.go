package rpl

import (
	"github.com/smolnet/smolnet/core/wire"
)

// objective is an objective function: what a path by a neighbour is worth, and when another is worth more.
type objective interface {
	// path is that by a neighbour of the given rank, whose own path has the metric, over a link of the given ETX. ok is false
	// if it must not be used.
	path(config *wire.RPLDODAGConfigurationRepr, n *neighbour, etx uint16, known bool) (p path, ok bool)
	// prefers reports whether a path is so much better than the current one as to take its place.
	prefers(p, current path) bool
}

// path is a path to the root.
type path struct {
	cost uint32 // in the objective function's own unit
	rank uint16 // of a node that uses it
}

// objectiveOf is the objective function that is named so. As a leaf may join a DODAG whose function it does not know, another
// then is OF0, which needs nothing but ranks.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-8.5
func objectiveOf(code uint16) objective {
	if code == wire.RPLObjectiveMRHOF {
		return mrhof{}
	}
	return zero{}
}

// dagRank is the integral part of a rank, by which ranks are compared.
//
// DAGRank(rank) = floor(rank/MinHopRankIncrease)
// https://www.rfc-editor.org/rfc/rfc6550.html#section-3.5.1
func dagRank(rank uint16, config *wire.RPLDODAGConfigurationRepr) uint16 {
	return rank / max(config.MinHopRankIncrease, 1)
}

// zero is OF0 (RFC 6552): the fewest hops, each as long as its link is bad.
type zero struct{}

// Constants of OF0.
// https://www.rfc-editor.org/rfc/rfc6552.html#section-6.3
const (
	defaultStepOfRank = 3
	minimumStepOfRank = 1
	maximumStepOfRank = 9

	etxUnit = 128 // of one transmission
)

// path has the parent's rank and, for the link, (Rf * Sp + Sr) * MinHopRankIncrease, with the rank factor Rf 1 and no stretch Sr.
// https://www.rfc-editor.org/rfc/rfc6552.html#section-4.1
// The step Sp is 3 * ETX - 2, as 6TiSCH has it, where the ETX is known.
// https://www.rfc-editor.org/rfc/rfc8180.html#section-5.1.1
func (zero) path(config *wire.RPLDODAGConfigurationRepr, n *neighbour, etx uint16, known bool) (p path, ok bool) {
	step := uint32(defaultStepOfRank)
	if known {
		step = min(max((3*uint32(max(etx, etxUnit))-2*etxUnit)/etxUnit, minimumStepOfRank), maximumStepOfRank)
	}
	rank := uint32(n.rank) + step*uint32(config.MinHopRankIncrease)
	return path{cost: rank, rank: uint16(rank)}, rank < wire.RPLInfiniteRank
}

// prefers has the parent stay for as long as no other makes for a lower rank: ranks grow in whole steps.
func (zero) prefers(p, current path) bool { return p.cost < current.cost }

// mrhof is MRHOF (RFC 6719) with ETX as metric: the fewest transmissions, unless it is about so few that a change is not worth
// it.
type mrhof struct{}

// Constants of MRHOF for ETX.
// https://www.rfc-editor.org/rfc/rfc6719.html#section-5
const (
	maxLinkMetric         = 512
	maxPathCost           = 32768
	parentSwitchThreshold = 192
)

// path has the metric that the neighbour advertises, or if it has none its rank, and the ETX of the link. One of a link that
// nothing is known of is taken to be perfect, so that ranks decide.
// https://www.rfc-editor.org/rfc/rfc6719.html#section-3.1
func (mrhof) path(config *wire.RPLDODAGConfigurationRepr, n *neighbour, etx uint16, known bool) (p path, ok bool) {
	if !known {
		etx = etxUnit
	}
	base := uint32(n.rank)
	if n.measured {
		base = uint32(n.metric)
	}
	cost := base + uint32(max(etx, etxUnit))
	// The rank follows the cost, but grows by no less than MinHopRankIncrease a hop.
	// https://www.rfc-editor.org/rfc/rfc6719.html#section-3.3
	rank := max(cost, uint32(n.rank)+uint32(config.MinHopRankIncrease))
	return path{cost: cost, rank: uint16(min(rank, wire.RPLInfiniteRank))},
		etx <= maxLinkMetric && cost <= maxPathCost && rank < wire.RPLInfiniteRank
}

// prefers asks for an improvement of PARENT_SWITCH_THRESHOLD.
// https://www.rfc-editor.org/rfc/rfc6719.html#section-3.2.2
func (mrhof) prefers(p, current path) bool { return p.cost+parentSwitchThreshold <= current.cost }
