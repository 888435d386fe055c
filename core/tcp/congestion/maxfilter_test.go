package congestion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaxFilterForgetsAfterTenRounds(t *testing.T) {
	var f maxFilter
	f.add(1, 100)
	for round := uint32(2); round <= 10; round++ {
		f.add(round, 10)
		f.add(round, 20)
		require.EqualValues(t, 100, f.max, "round %d", round)
	}
	f.add(11, 10)
	require.EqualValues(t, 20, f.max)
	f.add(11, 30)
	require.EqualValues(t, 30, f.max, "a greater value counts at once")
}

func TestMaxFilterCountsOnlyRoundsWithValues(t *testing.T) {
	var f maxFilter
	f.add(1, 100)
	f.add(1000, 10)
	require.EqualValues(t, 100, f.max, "nothing was learnt in between")
}
