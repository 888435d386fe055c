//go:build packetdebug

package packet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const countsAllocations = false

func TestDebugFindsDoubleReleases(t *testing.T) {
	p := New(10)
	p.Release()
	require.Panics(t, p.Release)
}

func TestDebugFindsLeaks(t *testing.T) {
	before := len(Live())
	p, c := New(10), NewChunk(10)
	p.Reference(c, c.Data()[:1])
	q := p.Clone()
	require.Len(t, Live(), before+3)
	require.Contains(t, Live()[0]+Live()[1]+Live()[2], "TestDebugFindsLeaks", "it tells who took them")
	c.Release()
	p.Release()
	require.Len(t, Live(), before+2, "the chunk lives on in the clone")
	q.Own()
	require.Len(t, Live(), before+1)
	q.Release()
	require.Len(t, Live(), before)
}
