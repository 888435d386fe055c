package rpl

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSequenceCompare(t *testing.T) {
	const apart = 99
	for _, row := range []struct {
		name string
		a, b Sequence
		want int // sign; apart: they cannot be compared
	}{
		{"equal on the line", 240, 240, 0},
		{"equal on the circle", 5, 5, 0},
		{"on the line", 241, 240, 1},
		{"window apart on the line", 240, 224, 1},
		{"further apart on the line", 241, 224, apart},
		{"ends of the line", 255, 128, apart},
		{"on the circle", 5, 4, 1},
		{"window apart on the circle", 20, 4, 1},
		{"further apart on the circle", 21, 4, apart},
		{"round the circle", 0, 127, 1},
		{"window apart round the circle", 7, 119, 1},
		{"further apart round the circle", 8, 119, apart},
		{"opposite on the circle", 64, 0, apart},
		{"the circle follows the line", 0, 255, 1},
		{"RFC 6550's first example: 240 and 5", 240, 5, 1},
		{"RFC 6550's second example: 250 and 5", 250, 5, -1},
		{"window apart from line to circle", 0, 240, 1},
		{"further apart from line to circle", 1, 240, -1},
		{"a new beginning", 240, 127, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			for sign, pair := range map[int][2]Sequence{1: {row.a, row.b}, -1: {row.b, row.a}} {
				order, ok := pair[0].Compare(pair[1])
				require.Equal(t, row.want != apart, ok)
				if ok {
					require.Equal(t, sign*row.want > 0, order > 0)
					require.Equal(t, sign*row.want < 0, order < 0)
					require.Equal(t, order > 0, pair[0].newer(pair[1]))
					require.Equal(t, order < 0, pair[0].older(pair[1]))
				} else {
					require.False(t, pair[0].newer(pair[1]) || pair[0].older(pair[1]))
				}
			}
		})
	}
}

func TestSequenceNext(t *testing.T) {
	s := firstSequence
	require.EqualValues(t, 240, s)
	for range 16 + 3*128 {
		next := s.Next()
		require.True(t, next.newer(s), "%d %d", s, next)
		require.True(t, next.Next().newer(s))
		s = next
	}
	require.Equal(t, Sequence(0), Sequence(255).Next())
	require.Equal(t, Sequence(0), Sequence(127).Next())
}
