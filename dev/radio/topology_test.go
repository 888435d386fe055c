package radio_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/radio"
)

// hearers are the numbers of the nodes that hear a frame of the node with the number given.
func hearers(t *testing.T, all []*radio.Node, sender int) []int {
	t.Helper()
	send(t, all[sender], epoch, "x")
	numbers := []int{}
	for i, n := range all {
		if len(receive(t, n, epoch)) > 0 {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

func TestRange(t *testing.T) {
	all := nodes(radio.New(radio.Config{Range: 1}), 4)
	require.Equal(t, []int{1}, hearers(t, all, 0))
	require.Equal(t, []int{0, 2}, hearers(t, all, 1))
	require.Equal(t, []int{2}, hearers(t, all, 3))

	all[0].Move(2, 1)
	require.Equal(t, []int{2}, hearers(t, all, 0))
	require.Equal(t, []int{2}, hearers(t, all, 1))
	require.Equal(t, []int{0, 1, 3}, hearers(t, all, 2))
	all[2].Move(100, 100)
	require.Empty(t, hearers(t, all, 2))
}

func TestConnectAndDisconnect(t *testing.T) {
	m := radio.New(radio.Config{Range: 1})
	all := nodes(m, 4)
	m.Connect(all[3], all[0])
	m.Disconnect(all[0], all[1])
	require.Equal(t, []int{3}, hearers(t, all, 0))
	require.Equal(t, []int{2}, hearers(t, all, 1))
	require.Equal(t, []int{0, 2}, hearers(t, all, 3))
	all[0].Move(2, 0)
	require.Equal(t, []int{2, 3}, hearers(t, all, 0), "what was set stays, and distance counts for the others")
	m.Connect(all[0], all[1])
	require.Equal(t, []int{1, 2, 3}, hearers(t, all, 0))
	require.NoError(t, all[3].Close())
	require.Equal(t, []int{1, 2}, hearers(t, all[:3], 0))
	m.Connect(all[0], all[3])
	require.Equal(t, []int{1, 2}, hearers(t, all[:3], 0), "a node that is closed hears nothing")
}

func TestLossOfOneLink(t *testing.T) {
	m := radio.New(radio.Config{Loss: 1})
	all := nodes(m, 3)
	m.SetLoss(all[0], all[1], 0)
	require.Equal(t, []int{1}, hearers(t, all, 0))
	require.Empty(t, hearers(t, all, 1), "that was one way")
}

func TestWhoIsTakenAwayHoldsNobodyUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		away func(m *radio.Medium, sender, deaf *radio.Node)
	}{
		{"the receiver moves", func(_ *radio.Medium, _, deaf *radio.Node) { deaf.Move(10, 0) }},
		{"the sender moves", func(_ *radio.Medium, sender, _ *radio.Node) { sender.Move(10, 0) }},
		{"the link is cut", func(m *radio.Medium, sender, deaf *radio.Node) { m.Disconnect(sender, deaf) }},
		{"the link is cut, said the other way", func(m *radio.Medium, sender, deaf *radio.Node) { m.Disconnect(deaf, sender) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := radio.New(radio.Config{Range: 1, Lossless: true, Queue: 1})
			all := nodes(m, 2)
			require.Equal(t, 1, offer(t, all[0], epoch, "one", "two"))
			tt.away(m, all[0], all[1])
			require.NoError(t, all[0].WaitSend())
			require.Equal(t, 1, offer(t, all[0], epoch, "two"))
		})
	}
}
