package tcp

import "slices"

// sent holds a connection's segments that are on their way, as ranges of octets in the order of their sequence numbers: when
// each was last sent, and what is known of it. Ranges that nothing tells apart are one, so that a gap in what has arrived
// costs two of them, however many segments there are. The zero value is empty.
type sent struct {
	ranges []sentRange // those from first on are in use; they follow each other without gaps
	first  int

	sacked int // octets that have arrived out of order
	lost   int // octets taken for lost that are still to be sent again

	lostFrom uint32 // no range before it is lost; means something while lost > 0
	resentTo uint32 // no range from it on was sent again
	resends  bool   // whether resentTo means something
}

// sentRange is the octets from seq up to but not including end, a FIN counting as one.
type sentRange struct {
	seq, end uint32
	sentAt   int64 // when it was last sent, nanoseconds
	flags    sentFlags

	// What the rate of delivery is measured by: the connection's rate as the range was last sent.
	rate rateStamp
}

type sentFlags uint8

const (
	sentSacked     sentFlags = 1 << iota // the peer has it, out of order
	sentLost                             // taken for lost, and still to be sent again
	sentAgain                            // it was sent more than once
	sentProbe                            // it probes the path's MTU
	sentAppLimited                       // there was too little to send as it left
)

func (r sentRange) is(f sentFlags) bool { return r.flags&f != 0 }

func (r sentRange) len() int { return distance(r.seq, r.end) }

// mergeable reports whether b, which follows, need not be told apart from r.
func (r *sentRange) mergeable(b *sentRange) bool {
	if r.is(sentSacked) && b.is(sentSacked) {
		return true // nothing will be asked of either any more
	}
	return r.flags == b.flags && !r.is(sentProbe) && r.sentAt == b.sentAt && r.rate == b.rate
}

// merge takes up b, which follows.
func (r *sentRange) merge(b *sentRange) {
	r.end = b.end
	r.flags |= b.flags
	r.sentAt = max(r.sentAt, b.sentAt)
}

// all are the ranges in use.
func (s *sent) all() []sentRange { return s.ranges[s.first:] }

func (s *sent) empty() bool { return s.first == len(s.ranges) }

// reset forgets everything; keep says whether the table is to be used again.
func (s *sent) reset(keep bool) {
	ranges := s.ranges[:0]
	if !keep {
		ranges = nil
	}
	*s = sent{ranges: ranges}
}

// push adds what is sent for the first time.
func (s *sent) push(r sentRange) {
	if !s.empty() {
		if last := &s.ranges[len(s.ranges)-1]; last.mergeable(&r) {
			last.merge(&r)
			return
		}
	}
	// Only once a quarter is free, lest a full window cost a copy for each segment that leaves.
	if len(s.ranges) == cap(s.ranges) && s.first > 0 && s.first >= cap(s.ranges)/4 {
		n := copy(s.ranges, s.all())
		s.ranges, s.first = s.ranges[:n], 0
	}
	s.ranges = append(s.ranges, r)
}

// find returns the index of the range that seq lies in: the number of ranges in use if it lies behind all.
func (s *sent) find(seq uint32) int {
	all := s.all()
	low, high := 0, len(all)
	for low < high {
		if mid := (low + high) / 2; beforeEq(all[mid].end, seq) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// split has a range begin at seq, if one lies around it, and returns the index of the first that does not lie before seq. It fails
// if there may not be another.
func (s *sent) split(seq uint32, limit int) (i int, ok bool) {
	i = s.find(seq)
	if i == len(s.all()) || !before(s.all()[i].seq, seq) {
		return i, true
	}
	if len(s.all()) >= limit {
		return i, false
	}
	right := s.all()[i]
	right.seq = seq
	s.all()[i].end = seq
	s.ranges = slices.Insert(s.ranges, s.first+i+1, right)
	return i + 1, true
}

// join makes one of the ranges i-1 and i if nothing tells them apart, and returns the index of what is there now.
func (s *sent) join(i int) int {
	if i <= 0 || i >= len(s.all()) {
		return i
	}
	a, b := &s.all()[i-1], &s.all()[i]
	if !a.mergeable(b) {
		return i
	}
	a.merge(b)
	s.remove(i, i+1)
	return i - 1
}

// discard removes what lies before seq, and calls f with each part removed.
func (s *sent) discard(seq uint32, f func(sentRange)) {
	for !s.empty() {
		r := &s.ranges[s.first]
		if !before(r.seq, seq) {
			break
		}
		part := *r
		part.end = earliest(part.end, seq)
		s.uncount(part)
		if part.end == r.end {
			s.first++
		} else {
			r.seq = part.end
		}
		f(part)
	}
	if s.empty() {
		s.ranges, s.first = s.ranges[:0], 0
	}
	if beforeEq(s.resentTo, seq) {
		s.resends = false // all of that has arrived: what the sequence numbers come around to is not before it
	}
}

// sack notes that the octets from left to right have arrived, and calls f with each part that was not known to. What would need
// more than limit ranges is left out.
func (s *sent) sack(left, right uint32, limit int, f func(sentRange)) {
	i, ok := s.find(left), true
	if i == len(s.all()) {
		return
	}
	if !s.all()[i].is(sentSacked) {
		if i, ok = s.split(left, limit); !ok {
			return
		}
	}
	// A block often continues what is known to have arrived: then the border moves, and no range is added.
	j := s.find(right)
	border := j > i || j > 0 && s.all()[j-1].is(sentSacked)
	if j < len(s.all()) && before(s.all()[j].seq, right) && !s.all()[j].is(sentSacked) && !border {
		if j, ok = s.split(right, limit); !ok {
			return
		}
	}
	all := s.all()
	for k := i; k < j; k++ {
		s.take(&all[k], f)
	}
	if r := &all[min(j, len(all)-1)]; before(r.seq, right) && before(right, r.end) && !r.is(sentSacked) {
		part := *r
		part.end, r.seq = right, right
		s.take(&part, f)
		all[j-1].merge(&part)
	}
	s.joinSacked(i, j)
}

// joinSacked makes one of the ranges from i up to but not including j, all of which have arrived, and of those beside them that
// have.
func (s *sent) joinSacked(i, j int) {
	all := s.all()
	if i > 0 && all[i-1].is(sentSacked) {
		i--
	}
	if j < len(all) && all[j].is(sentSacked) {
		j++
	}
	if j-i < 2 {
		return
	}
	for k := i + 1; k < j; k++ {
		all[i].merge(&all[k])
	}
	s.remove(i+1, j)
}

// remove takes out the ranges from i up to but not including j. The fewer of those before and behind move: what is repaired first
// lies in front.
func (s *sent) remove(i, j int) {
	if all := s.all(); i < len(all)-j {
		copy(all[j-i:j], all[:i])
		s.first += j - i
	} else {
		s.ranges = slices.Delete(s.ranges, s.first+i, s.first+j)
	}
}

// take counts a range as arrived out of order, unless it is already.
func (s *sent) take(r *sentRange, f func(sentRange)) {
	if r.is(sentSacked) {
		return
	}
	if r.is(sentLost) {
		s.lost -= r.len()
	}
	s.sacked += r.len()
	f(*r)
	r.flags = r.flags&sentAgain | sentSacked
}

// uncount takes a range out of the sums.
func (s *sent) uncount(r sentRange) {
	switch {
	case r.is(sentSacked):
		s.sacked -= r.len()
	case r.is(sentLost):
		s.lost -= r.len()
	}
}

// lose takes the range with index i for lost, unless it has arrived or is lost already. It returns how many octets that are.
func (s *sent) lose(i int) int {
	r := &s.all()[i]
	if r.is(sentSacked | sentLost) {
		return 0
	}
	if s.lost == 0 || before(r.seq, s.lostFrom) {
		s.lostFrom = r.seq
	}
	r.flags |= sentLost
	s.lost += r.len()
	return r.len()
}

// loseAll takes everything for lost that is not known to have arrived.
func (s *sent) loseAll() (octets int) {
	for i := range s.all() {
		octets += s.lose(i)
	}
	return octets
}

// findLost takes nothing for lost any more.
func (s *sent) findLost() {
	for i := range s.all() {
		s.all()[i].flags &^= sentLost
	}
	s.lost = 0
}

// renege forgets what was said to have arrived out of order. What of it was sent again is not known exactly any more: all that a
// range holds counts as such if a part does.
func (s *sent) renege() {
	for i := range s.all() {
		r := &s.all()[i]
		if r.is(sentSacked) && r.is(sentAgain) {
			s.again(r.end)
		}
		r.flags &^= sentSacked
	}
	s.sacked = 0
}

// again notes that what ends at end was sent again.
func (s *sent) again(end uint32) {
	if !s.resends || before(s.resentTo, end) {
		s.resentTo, s.resends = end, true
	}
}

// nextLost is the first stretch that is lost and still to be sent again, of n octets at most; 0: there is none.
func (s *sent) nextLost(n int) (seq uint32, octets int) {
	if s.lost == 0 {
		return 0, 0
	}
	i := s.find(s.lostFrom)
	for ; i < len(s.all()) && !s.all()[i].is(sentLost); i++ {
	}
	if i == len(s.all()) {
		return 0, 0
	}
	seq = s.all()[i].seq
	s.lostFrom = seq
	for ; i < len(s.all()) && s.all()[i].is(sentLost) && octets < n; i++ {
		octets += s.all()[i].len()
	}
	return seq, min(octets, n)
}

// resent notes that the octets from seq to end leave again, and reports whether a probe of the path's MTU was among them, which
// they are no more. What would need more than limit ranges is noted with all of the range that it is a part of, or not at all.
func (s *sent) resent(seq, end uint32, now int64, rate rateStamp, limit int) (probe bool) {
	i, _ := s.split(seq, limit)
	s.split(end, limit)
	for ; i < len(s.all()) && before(s.all()[i].seq, end); i++ {
		r := &s.all()[i]
		if r.is(sentSacked) {
			continue
		}
		if r.is(sentLost) {
			s.lost -= r.len()
		}
		probe = probe || r.is(sentProbe)
		r.flags = r.flags&^(sentLost|sentProbe) | sentAgain
		r.sentAt, r.rate = now, rate
		s.again(r.end)
		i = s.join(i)
	}
	return probe
}
