package radio_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev/radio"
)

// Each of three nodes sends to the others and receives from them, in goroutines as stacks have them, while the medium changes in
// ways that lose nothing.
func TestAllMethodsAtOnce(t *testing.T) {
	const frames = 3000
	m := radio.New(radio.Config{Lossless: true, Queue: 4})
	all := nodes(m, 3)
	var senders, receivers, others sync.WaitGroup
	received := make([]int, len(all))
	for i, n := range all {
		senders.Go(func() {
			for sent := 0; sent < frames; {
				pkts := make([]*packet.Packet, 7)
				for i := range pkts {
					pkts[i] = frame(unicast)
				}
				left := pkts[:min(len(pkts), frames-sent)]
				for _, p := range pkts[len(left):] {
					p.Release()
				}
				sent += len(left)
				for len(left) > 0 {
					k, err := n.Send(epoch, left)
					if err != nil {
						panic(err)
					}
					if left = left[k:]; len(left) > 0 && n.WaitSend() != nil {
						panic("closed")
					}
				}
			}
		})
		receivers.Go(func() {
			pkts := make([]*packet.Packet, 3)
			for received[i] < (len(all)-1)*frames && n.WaitReceive() == nil {
				k, err := n.Receive(epoch, pkts)
				if err != nil {
					panic(err)
				}
				for _, p := range pkts[:k] {
					p.Release()
				}
				received[i] += k
				n.PollAt()
			}
		})
	}
	stop := make(chan struct{})
	others.Go(func() {
		for x := 0.; ; x++ {
			select {
			case <-stop:
				return
			default:
			}
			all[0].Move(x, x)
			all[1].Stats()
			m.Connect(all[1], all[2])
			m.SetLoss(all[2], all[0], 0)
			if x < 20 {
				silent := m.Node(radio.NodeConfig{X: x})
				if silent.Close() != nil {
					panic("closed")
				}
			}
		}
	})
	senders.Wait()
	receivers.Wait()
	close(stop)
	others.Wait()
	for i, n := range all {
		require.Equal(t, 2*frames, received[i])
		require.Equal(t, radio.Stats{Sent: frames, Heard: 2 * frames}, n.Stats())
	}
}
