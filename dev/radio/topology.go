package radio

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// edge is what a node's transmissions meet with on the way to another.
type edge struct {
	to     *Node
	random rand.PCG
	loss   float64
	link   linkState
}

// linkState says whether a transmission reaches a node.
type linkState uint8

const (
	byRange linkState = iota
	connected
	disconnected
)

// edge returns the edge to another node, which begins as the medium's configuration says.
func (n *Node) edge(to *Node) *edge {
	e := n.edges[to]
	if e == nil {
		m := n.medium
		e = &edge{to: to, loss: m.config.Loss}
		e.random.Seed(m.config.Seed, uint64(n.index)<<32|uint64(to.index))
		if n.edges == nil {
			n.edges = make(map[*Node]*edge)
		}
		n.edges[to] = e
	}
	return e
}

// loses reports whether a transmission is lost, by chance.
func (e *edge) loses() bool {
	// 53 bits are what a float64 holds of a number between 0 and 1.
	return e.loss > 0 && float64(e.random.Uint64()>>11)/(1<<53) < e.loss
}

// reaches reports whether a transmission of the node's reaches another, lost or not.
func (n *Node) reaches(to *Node) bool {
	if n == to || n.closed || to.closed {
		return false
	}
	if e := n.edges[to]; e != nil && e.link != byRange {
		return e.link == connected
	}
	return math.Hypot(n.config.X-to.config.X, n.config.Y-to.config.Y) <= n.medium.config.Range
}

// join finds out whom the node reaches, and who reaches it.
func (m *Medium) join(n *Node) {
	for _, other := range m.nodes {
		n.look(other)
		other.look(n)
	}
}

// rejoin is join for a node that has moved or was closed: who has waited for it may wait in vain.
func (m *Medium) rejoin(n *Node) {
	m.join(n)
	n.roomy()
	m.roomAt(n)
}

// look finds out whether the node reaches another.
func (n *Node) look(to *Node) {
	at, found := slices.BinarySearchFunc(n.reach, to.index, func(e *edge, index int) int { return cmp.Compare(e.to.index, index) })
	switch reaches := n.reaches(to); {
	case reaches && !found:
		n.reach = slices.Insert(n.reach, at, n.edge(to))
	case !reaches && found:
		n.reach = slices.Delete(n.reach, at, at+1)
	}
}

// Move puts the node elsewhere. What it was sent before still arrives.
func (n *Node) Move(x, y float64) {
	n.medium.mu.Lock()
	defer n.medium.mu.Unlock()
	n.config.X, n.config.Y = x, y
	n.medium.rejoin(n)
}

// Connect makes two nodes of the medium hear each other, however far they are from each other.
func (m *Medium) Connect(a, b *Node) { m.setLink(a, b, connected) }

// Disconnect makes two nodes of the medium not hear each other, however near they are.
func (m *Medium) Disconnect(a, b *Node) { m.setLink(a, b, disconnected) }

func (m *Medium) setLink(a, b *Node, link linkState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.edge(b).link, b.edge(a).link = link, link
	m.rejoin(a)
}

// SetLoss sets the probability that one node does not hear another's transmission, in place of Config.Loss, one way.
func (m *Medium) SetLoss(from, to *Node, loss float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from.edge(to).loss = probability(loss)
}
