package lowpan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUnpaced(t *testing.T) {
	var p Pacer
	for range 3 {
		require.EqualValues(t, 5, p.Next(5))
		p.Sent(5, 125)
	}
}

func TestPacing(t *testing.T) {
	const ms, frame = int64(time.Millisecond), 125
	air := int64(133 * 32 * time.Microsecond)
	p := Pacer{Pacing: Pacing{Gap: 2 * time.Millisecond, Octet: OctetTime}}
	require.NoError(t, p.Check())
	require.EqualValues(t, 10*ms, p.Next(10*ms), "the first at once")
	p.Sent(10*ms, frame)
	require.EqualValues(t, 12*ms+air, p.Next(10*ms), "behind it, its air and the gap: about the 6 ms that RIOT needs")
	require.EqualValues(t, 12*ms+air, p.Next(11*ms))
	p.Sent(12*ms+air, frame)
	p.Sent(13*ms+air, 0)
	require.EqualValues(t, 16*ms+2*air+int64(8*OctetTime), p.Next(13*ms+air), "one that did not wait is behind the others, too")
	require.EqualValues(t, 99*ms, p.Next(99*ms), "time that was not used is not saved up")
	p.Sent(99*ms, frame)
	require.EqualValues(t, 101*ms+air, p.Next(99*ms))
}

func TestGapAlone(t *testing.T) {
	p := Pacer{Pacing: Pacing{Gap: 6 * time.Millisecond}}
	p.Sent(0, 125)
	require.EqualValues(t, 6*time.Millisecond, p.Next(0))
}

func TestPacingIsChecked(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pacing Pacing
		want   string
	}{
		{"negative gap", Pacing{Gap: -1}, "Gap -1ns is not between 0 and 1m0s"},
		{"endless gap", Pacing{Gap: time.Hour}, "Gap 1h0m0s is not between 0 and 1m0s"},
		{"negative octet", Pacing{Octet: -1}, "Octet -1ns is not between 0 and 10ms"},
		{"endless octet", Pacing{Octet: time.Second}, "Octet 1s is not between 0 and 10ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.pacing.Check()
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
