package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/lowpan"
)

// Where frames leave slowly, one that is sent again is waited for no shorter, and as often, as where they leave at once.
func TestRadioRetransmissionsWithPacing(t *testing.T) {
	for _, gap := range []time.Duration{0, 15 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		t.Run(gap.String(), func(t *testing.T) {
			s := newRadioScript(t, func(c *IEEE802154Config) { c.Pacing = lowpan.Pacing{Gap: gap} })
			s.after(time.Minute)
			s.hear(echo6(linkA, linkB, "there?"))
			reply := "0 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 14"
			s.want("at once", reply)
			sent := s.now
			for range 3 {
				for !s.link.Pending() {
					s.after(time.Millisecond)
					require.Less(t, s.now.Sub(sent), 2*time.Second)
				}
				require.GreaterOrEqual(t, s.now.Sub(sent), max(gap, 5*time.Millisecond))
				s.want("again", reply)
				sent = s.now
			}
			for s.drops(DropRadioNoAck) == 0 {
				s.after(time.Millisecond)
				require.False(t, s.link.Pending())
				require.Less(t, s.now.Sub(sent), time.Second)
			}
			require.GreaterOrEqual(t, s.now.Sub(sent), 5*time.Millisecond, "the last time too")
		})
	}
}
