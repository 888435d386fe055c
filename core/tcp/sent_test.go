package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// octetState is what is known of one octet on its way. rate.total tells one segment from another.
type octetState struct {
	sentAt int64
	rate   rateStamp
	flags  sentFlags
}

// sentModel holds what a sent holds octet by octet, beside it.
type sentModel struct {
	t     require.TestingT
	sent  sent
	una   uint32
	limit int
	now   int64
	state []octetState
	input []byte
}

// next returns the next octet of the input, 0 once there is none.
func (m *sentModel) next() int {
	if len(m.input) == 0 {
		return 0
	}
	b := m.input[0]
	m.input = m.input[1:]
	return int(b)
}

// somewhere is an offset into what is on its way, its end included.
func (m *sentModel) somewhere() int { return (m.next()<<8 | m.next()) % (len(m.state) + 1) }

// stretch is a part of what is on its way, perhaps empty.
func (m *sentModel) stretch() (from, to int) {
	from = m.somewhere()
	return from, min(from+m.next()%64, len(m.state))
}

func (m *sentModel) seq(offset int) uint32 { return m.una + uint32(offset) }

// step does what the next octets of the input say, on both sides.
func (m *sentModel) step() {
	m.now++
	switch m.next() % 12 {
	case 0, 1, 2, 3:
		m.push()
	case 4:
		m.discard()
	case 5, 6, 7:
		m.sack()
	case 8:
		m.lose()
	case 9, 10:
		m.resend()
	case 11:
		m.rare()
	}
}

func (m *sentModel) push() {
	how := m.next()
	if how&3 == 0 {
		m.now-- // as part of the same burst
	}
	n := 1 + how>>2
	if len(m.sent.all()) >= m.limit || len(m.state)+n > 1000 {
		return
	}
	var flags sentFlags
	if how&7 == 7 {
		flags = sentAppLimited
	}
	rate := rateStamp{total: uint64(m.now)}
	m.sent.push(sentRange{seq: m.seq(len(m.state)), end: m.seq(len(m.state) + n), sentAt: m.now, rate: rate, flags: flags})
	for range n {
		m.state = append(m.state, octetState{m.now, rate, flags})
	}
}

func (m *sentModel) discard() {
	n := m.somewhere()
	at := 0
	m.sent.discard(m.seq(n), func(r sentRange) {
		require.Equal(m.t, m.seq(at), r.seq, "parts come in order")
		require.Equal(m.t, m.state[at].flags&^sentAgain, r.flags&^sentAgain, "octet %d", at)
		at += r.len()
	})
	require.Equal(m.t, n, at, "all that is acknowledged is told of")
	m.una += uint32(n)
	m.state = m.state[n:]
}

func (m *sentModel) sack() {
	from, to := m.stretch()
	if from == to {
		return
	}
	full := len(m.sent.all())+2 > m.limit
	at := from
	m.sent.sack(m.seq(from), m.seq(to), m.limit, func(r sentRange) {
		require.True(m.t, !before(r.seq, m.seq(at)) && beforeEq(r.end, m.seq(to)), "what is told of lies within, and in order")
		for i := distance(m.una, r.seq); i < distance(m.una, r.end); i++ {
			if s := m.state[i]; s.flags&sentSacked != 0 || s.sentAt != r.sentAt || s.rate != r.rate {
				require.Fail(m.t, "told of twice, or of another time", "octet %d, %+v: %+v", i, s, r)
			}
			m.state[i].flags = m.state[i].flags&sentAgain | sentSacked
		}
		at = distance(m.una, r.end)
	})
	for i := from; i < to && !full; i++ {
		if m.state[i].flags&sentSacked == 0 {
			require.Fail(m.t, "not told of", "octet %d", i)
		}
	}
}

// lose takes one of the ranges for lost, as loss detection does.
func (m *sentModel) lose() {
	if m.sent.empty() {
		return
	}
	i := m.next() % len(m.sent.all())
	r := m.sent.all()[i]
	n := m.sent.lose(i)
	for i := distance(m.una, r.seq); i < distance(m.una, r.end); i++ {
		if m.state[i].flags&(sentSacked|sentLost) == 0 {
			m.state[i].flags |= sentLost
			n--
		}
	}
	require.Zero(m.t, n, "as many octets as lose has said")
}

// resend repeats the first stretch that is lost, or sometimes any.
func (m *sentModel) resend() {
	from, to := m.stretch()
	n := 1 + m.next()%64
	seq, octets := m.sent.nextLost(n)
	first := 0
	for first < len(m.state) && m.state[first].flags&sentLost == 0 {
		first++
	}
	last := first
	for last < len(m.state) && last-first < n && m.state[last].flags&sentLost != 0 {
		last++
	}
	require.Equal(m.t, last-first, octets, "so many octets are lost in a row")
	if octets > 0 {
		require.Equal(m.t, m.seq(first), seq, "from here on")
		from, to = first, last
	}
	if from == to {
		return
	}
	full := len(m.sent.all())+2 > m.limit
	rate := rateStamp{total: uint64(m.now)}
	m.sent.resent(m.seq(from), m.seq(to), m.now, rate, m.limit)
	if full {
		m.copyAround(from, to)
	}
	for i := from; i < to; i++ {
		if s := &m.state[i]; s.flags&sentSacked == 0 {
			*s = octetState{m.now, rate, s.flags&^sentLost | sentAgain}
		}
	}
}

// copyAround takes over what was said of the neighbours of a stretch that could not be split off.
func (m *sentModel) copyAround(from, to int) {
	for _, r := range m.sent.all() {
		left, right := distance(m.una, r.seq), distance(m.una, r.end)
		if right <= from || left >= to || r.is(sentSacked) {
			continue
		}
		for i := left; i < right; i++ {
			m.state[i] = octetState{r.sentAt, r.rate, r.flags}
		}
	}
}

func (m *sentModel) rare() {
	switch m.next() % 4 {
	case 0:
		n := m.sent.loseAll()
		for i := range m.state {
			if m.state[i].flags&(sentSacked|sentLost) == 0 {
				m.state[i].flags |= sentLost
				n--
			}
		}
		require.Zero(m.t, n)
	case 1:
		m.sent.findLost()
		for i := range m.state {
			m.state[i].flags &^= sentLost
		}
	case 2:
		m.sent.renege()
		for _, r := range m.sent.all() {
			for i := distance(m.una, r.seq); i < distance(m.una, r.end); i++ {
				if s := &m.state[i]; s.flags&sentSacked != 0 {
					// When exactly what arrived was sent is not remembered, but that it may have been more than once.
					require.Zero(m.t, s.flags&sentAgain&^r.flags)
					*s = octetState{r.sentAt, r.rate, r.flags}
				}
			}
		}
	case 3:
		offset := m.somewhere()
		i, ok := m.sent.split(m.seq(offset), m.limit)
		switch {
		case !ok:
			require.GreaterOrEqual(m.t, len(m.sent.all()), m.limit)
		case i == len(m.sent.all()):
			require.Equal(m.t, len(m.state), offset)
		default:
			require.Equal(m.t, m.seq(offset), m.sent.all()[i].seq)
		}
	}
}

// check compares both sides.
func (m *sentModel) check() {
	s, t := &m.sent, m.t
	require.LessOrEqual(t, len(s.all()), m.limit)
	require.Equal(t, len(m.state) == 0, s.empty())
	at, sacked, lost := 0, 0, 0
	for _, r := range s.all() {
		if r.seq != m.seq(at) || r.len() <= 0 || r.is(sentSacked) && r.is(sentLost) {
			require.Fail(t, "a gap, an empty range or what has arrived and is lost", "%+v", r)
		}
		if r.is(sentSacked) {
			sacked += r.len()
		}
		if r.is(sentLost) {
			lost += r.len()
			if before(r.seq, s.lostFrom) {
				require.Fail(t, "lost before lostFrom")
			}
		}
		if r.is(sentAgain) && !r.is(sentSacked) && !(s.resends && beforeEq(r.end, s.resentTo)) {
			require.Fail(t, "sent again after resentTo")
		}
		for ; at < distance(m.una, r.end); at++ {
			state := m.state[at]
			if state.flags&r.flags&sentSacked != 0 {
				continue // nothing else matters any more
			}
			if is := (octetState{r.sentAt, r.rate, r.flags}); is != state {
				require.Equal(t, state, is, "octet %d", at)
			}
		}
	}
	require.Equal(t, len(m.state), at, "every octet on its way lies in a range")
	require.Equal(t, sacked, s.sacked)
	require.Equal(t, lost, s.lost)
}

func runSentModel(t require.TestingT, input []byte) {
	m := &sentModel{t: t, input: input}
	m.limit = []int{2, 3, 8, 1000}[m.next()%4]
	m.una = -uint32(m.next() << (m.next() % 24)) // the end of the sequence space lies close by
	for len(m.input) > 0 {
		m.step()
		m.check()
	}
	m.sent.reset(m.next()%2 == 0)
	m.una, m.state = m.seq(0), nil
	m.check()
}

func TestSentIsWhatItsOctetsAre(t *testing.T) {
	for seed := range uint64(100) {
		runSentModel(t, randomOctets(seed, 2000))
	}
}

func FuzzSent(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(randomOctets(seed, 300))
	}
	f.Fuzz(func(t *testing.T, input []byte) { runSentModel(t, input[:min(len(input), 2000)]) })
}
