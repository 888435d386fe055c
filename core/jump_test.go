package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// catchUp lets what is due at this time happen until nothing more is, and returns how much left meanwhile.
func (s *script) catchUp() (frames int) {
	s.t.Helper()
	for range 100 {
		s.after(0)
		frames += len(s.send())
		if at, ok := s.stack.NextTimer(); !ok || at.After(s.now) {
			return frames
		}
	}
	require.Fail(s.t, "timers never rest", "at %v", s.now.Sub(epoch))
	return 0
}

func TestTimeJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Minute, time.Hour, 10 * time.Hour, 1000 * time.Hour, 50000 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			s := newScript(t, everything)
			for round := range 5 {
				s.busy()
				s.catchUp()
				s.after(jump)
				require.Less(t, s.catchUp(), 100, "what has been missed in round %d is not made up for", round)
			}
			for _, a := range s.link.Addresses() {
				require.True(t, a.ValidUntil.IsZero() || a.ValidUntil.After(s.now), "%v is over", a)
			}
			for _, m := range s.stack.PathMTUs() {
				require.True(t, m.Expires.After(s.now), "%v is over", m)
			}
		})
	}
}
