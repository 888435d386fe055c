//go:build packetdebug

package smolnet_test

import (
	"crypto/rand"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
)

// TestPacketsAreReleased needs the tag packetdebug. Whatever goes on when the stacks are closed, no packet and no
// chunk is left in anybody's hands.
func TestPacketsAreReleased(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			require.Empty(t, packet.Live())
			t.Run("a pair", func(t *testing.T) {
				var copying sync.WaitGroup
				t.Cleanup(copying.Wait) // after everything was closed
				c, peer := p.connect(t)
				server, client := p.exchange(t)
				copying.Go(func() { io.CopyN(c, rand.Reader, 64<<20) })
				for range 10 {
					_, err := client.Write([]byte("x"))
					require.NoError(t, err)
				}
				_, err := server.Read(make([]byte, 1))
				require.NoError(t, err)
				_, err = io.ReadFull(peer, make([]byte, 1_000_001))
				require.NoError(t, err)
			})
			require.Empty(t, packet.Live())
		})
	}
}
