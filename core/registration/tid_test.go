package registration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransactionIDsCount(t *testing.T) {
	seen := []uint8{}
	tid := uint8(firstTID)
	for range 300 {
		seen = append(seen, tid)
		next := nextTID(tid)
		require.True(t, newerTID(next, tid), "%d after %d", next, tid)
		require.False(t, newerTID(tid, next), "%d before %d", tid, next)
		tid = next
	}
	require.Equal(t, []uint8{240, 241}, seen[:2])
	require.Equal(t, []uint8{254, 255, 0, 1}, seen[14:18])
	require.Equal(t, []uint8{126, 127, 0, 1}, seen[142:146], "from then on in the circle")
}

func TestTransactionIDsCompare(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b uint8
		want bool
	}{
		{"the same", 5, 5, false},
		{"within the window", 16, 0, true},
		{"beyond it", 17, 0, false},
		{"round the circle", 3, 120, true},
		{"the other way round", 120, 3, false},
		{"just started, long after", 240, 5, true}, // RFC 6550: 256 + 5 - 240 is more than 16
		{"long after, just started", 5, 240, false},
		{"counted on from the start", 5, 250, true}, // and here 11 is not
		{"before that", 250, 5, false},
		{"within the straight part", 250, 240, true},
		{"too far apart there", 250, 128, false},
	} {
		require.Equal(t, test.want, newerTID(test.a, test.b), test.name)
	}
}
