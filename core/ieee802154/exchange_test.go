package ieee802154

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// Over a radio that loses frames and acknowledgments, what the sender believes delivered has been, nothing is delivered twice, and
// the estimate of the link is what was lost on it.
func TestExchangeOverALossyRadio(t *testing.T) {
	for _, loss := range []float64{0, 0.1, 0.3} {
		t.Run(fmt.Sprintf("loss %v", loss), func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			node := Node{PAN: 0x23, Extended: bob}
			duplicates, err := NewDuplicates(DuplicatesConfig{})
			require.NoError(t, err)
			links := NewLinks(0)
			delivered := make(map[uint32]bool)
			now, sum := int64(0), 0.0

			// transmit has bob receive the frame, and alice his acknowledgment, unless they are lost.
			transmit := func(s *Sender, frame []byte) {
				if random.Float64() < loss {
					return
				}
				var h wire.IEEE802154Repr
				require.NoError(t, h.Parse(frame))
				require.True(t, node.Acknowledges(&h))
				payload := h.Payload(frame)
				if !duplicates.Repeated(now, &h, payload) {
					n := binary.BigEndian.Uint32(payload)
					require.False(t, delivered[n], "twice")
					delivered[n] = true
				}
				if random.Float64() >= loss {
					require.NoError(t, h.Parse(emit(Acknowledgment(&h))))
					require.True(t, s.Acked(now, h.Seq))
				}
			}

			const frames = 2000
			var s Sender
			for n := range uint32(frames) {
				h := wire.IEEE802154Repr{
					Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006, AckRequest: true, PANCompression: true,
					Seq: uint8(n), DstPAN: 0x23, SrcPAN: 0x23, Dst: bob, Src: alice,
				}
				frame := binary.BigEndian.AppendUint32(emit(h), n)
				s.Start(now, h.Seq, len(frame))
				transmit(&s, frame)
				ok := true
				for s.Busy() {
					now, _ = s.Deadline()
					switch s.Expired(now, random.Uint32()) {
					case Retransmit:
						transmit(&s, frame)
					case Failed:
						ok = false
					}
				}
				require.True(t, delivered[n] || !ok, "acknowledged, but not delivered")
				links.Transmitted(bob, s.Attempts(), ok)
				etx, _ := links.ETX(bob)
				sum += float64(etx) / ETXUnit
			}
			// A transmission is acknowledged if neither it nor its acknowledgment is lost, and fails if that is not so four times.
			through := (1 - loss) * (1 - loss)
			require.InDelta(t, 1/through, sum/frames, 0.15/through)
		})
	}
}
