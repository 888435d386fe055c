package rpl

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

func TestOF0(t *testing.T) {
	for _, row := range []struct {
		name  string
		rank  uint16 // of the neighbour
		etx   uint16 // 0: not known
		least uint16 // MinHopRankIncrease
		want  uint16
		ok    bool
	}{
		{"an unknown link is three steps", 256, 0, 256, 1024, true},
		{"a perfect one is one", 256, 128, 256, 512, true},
		{"less than perfect cannot be", 256, 1, 256, 512, true},
		{"ETX 1.5", 256, 192, 256, 768, true},
		{"ETX 2 is four", 256, 256, 256, 1280, true},
		{"ETX 3.67 and worse are nine", 256, 470, 256, 256 + 9*256, true},
		{"the worst of all", 256, 0xffff, 256, 256 + 9*256, true},
		{"another unit", 128, 128, 128, 256, true},
		{"the last rank", 0xfffe - 256, 128, 256, 0xfffe, true},
		{"infinite", 0xffff - 256, 128, 256, 0xffff, false},
		{"beyond", 0xff00, 0, 0xffff, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: row.least}
			p, ok := objectiveOf(wire.RPLObjectiveZero).path(c, &neighbour{rank: row.rank}, row.etx, row.etx > 0)
			require.Equal(t, row.ok, ok)
			if ok {
				require.Equal(t, row.want, p.rank)
			}
		})
	}
	require.Equal(t, zero{}, objectiveOf(7), "a leaf makes do without an objective function that it does not know")
	require.False(t, zero{}.prefers(path{cost: 5}, path{cost: 5}))
	require.True(t, zero{}.prefers(path{cost: 4}, path{cost: 5}))
}

func TestMRHOF(t *testing.T) {
	for _, row := range []struct {
		name string
		n    neighbour
		etx  uint16 // 0: not known
		want path
		ok   bool
	}{
		{"metric and link", neighbour{rank: 128, metric: 300, measured: true}, 200, path{500, 500}, true},
		{"a rank for a metric", neighbour{rank: 256}, 200, path{456, 456}, true},
		{"nothing known of the link", neighbour{rank: 256}, 0, path{384, 384}, true},
		{"a hop is MinHopRankIncrease at least", neighbour{rank: 1024, measured: true}, 128, path{128, 1152}, true},
		{"the worst link that may be used", neighbour{rank: 128}, 512, path{640, 640}, true},
		{"a worse one", neighbour{rank: 128}, 513, path{}, false},
		{"the longest path", neighbour{rank: 128, metric: 32640, measured: true}, 128, path{32768, 32768}, true},
		{"a longer one", neighbour{rank: 128, metric: 32641, measured: true}, 128, path{}, false},
		{"infinite rank", neighbour{rank: 0xffff - 128, measured: true}, 128, path{}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: 128}
			p, ok := objectiveOf(wire.RPLObjectiveMRHOF).path(c, &row.n, row.etx, row.etx > 0)
			require.Equal(t, row.ok, ok)
			if ok {
				require.Equal(t, row.want, p)
			}
		})
	}
	require.False(t, mrhof{}.prefers(path{cost: 309}, path{cost: 500}))
	require.True(t, mrhof{}.prefers(path{cost: 308}, path{cost: 500}))
}

func TestDAGRank(t *testing.T) {
	c := &wire.RPLDODAGConfigurationRepr{MinHopRankIncrease: 16}
	require.EqualValues(t, 1, dagRank(27, c), "RFC 6550's example")
	require.EqualValues(t, 7, dagRank(7, &wire.RPLDODAGConfigurationRepr{}), "no division by nothing")
}
