package ieee802154

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// A table does what a list does whose members move to the front when they are used.
func TestTable(t *testing.T) {
	const size = 5
	random := rand.New(rand.NewPCG(1, 2))
	tab := newTable[int](size)
	var list []wire.LinkAddr
	for i := range 1000 {
		addr := wire.ShortAddr(uint16(random.IntN(2 * size)))
		value := tab.use(addr)
		if at := slices.Index(list, addr); at >= 0 {
			require.NotZero(t, *value, "it was kept")
			list = slices.Delete(list, at, at+1)
		} else {
			require.Zero(t, *value, "nothing was kept")
		}
		*value = i + 1
		list = slices.Insert(list, 0, addr)
		list = list[:min(len(list), size)]

		require.Len(t, tab.index, len(list))
		for _, addr := range list {
			require.NotNil(t, tab.find(addr))
		}
		var order []wire.LinkAddr
		for i := tab.newest; i != none; i = tab.rows[i].older {
			order = append(order, tab.rows[i].addr)
		}
		require.Equal(t, list, order)
	}
}
