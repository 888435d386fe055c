package tcp

// perPeer bounds how many of a forwarder's requests in flight are one peer's, so that it, or who forges its address, cannot hold up
// the others. Of an IPv6 address only the first 64 bits count: whoever has one has the rest.
type perPeer struct {
	most     int
	requests map[[16]byte]int
}

// leastPerPeer is the default where half of all is less.
const leastPerPeer = 16

func newPerPeer(most, inFlight int) *perPeer {
	if most == 0 {
		most = max(inFlight/2, leastPerPeer)
	}
	return &perPeer{most: min(most, inFlight), requests: make(map[[16]byte]int)}
}

func (p *perPeer) key(i *id) [16]byte {
	key := i.remote
	if !i.is4() {
		clear(key[8:])
	}
	return key
}

// full reports whether the peer may have no more.
func (p *perPeer) full(i *id) bool { return p.requests[p.key(i)] >= p.most }

// enter counts one more. A listener's connections have no perPeer: it may be nil.
func (p *perPeer) enter(i *id) {
	if p != nil {
		p.requests[p.key(i)]++
	}
}

// leave counts one less.
func (p *perPeer) leave(i *id) {
	if p == nil {
		return
	}
	key := p.key(i)
	if p.requests[key]--; p.requests[key] == 0 {
		delete(p.requests, key)
	}
}
