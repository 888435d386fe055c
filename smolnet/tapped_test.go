package smolnet_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// tapped is a device that keeps the IPv4 packets that it sends, and when it sent them.
type tapped struct {
	dev.Device
	mu   sync.Mutex
	sent []sighting
}

type sighting struct {
	at time.Time
	ip wire.IPv4Packet
}

func (d *tapped) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	d.mu.Lock()
	for _, p := range pkts {
		octets := make([]byte, p.Len())
		p.CopyTo(octets, 0)
		if octets[0]>>4 == 4 {
			d.sent = append(d.sent, sighting{now, octets})
		}
	}
	d.mu.Unlock()
	return d.Device.Send(now, pkts)
}

// takes returns what was sent since it was asked for last.
func (d *tapped) takes() (sent []sighting) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent, d.sent = d.sent, nil
	return sent
}

// newTapped returns two stacks, closed with the test, and what each of them sends. They are joined by a pipe of IP packets, where
// what is sent to nobody's address is lost.
func newTapped(t testing.TB, link pipe.Config, config smolnet.Config) (stacks [2]*smolnet.Stack, taps [2]*tapped) {
	t.Helper()
	link.Medium = dev.IP
	a, b := pipe.New(link)
	taps = [2]*tapped{{Device: a}, {Device: b}}
	for i := range stacks {
		stacks[i] = newStack(t, config)
		addresses := firstAddresses
		if i == 1 {
			addresses = secondAddresses
		}
		_, err := stacks[i].AddInterface(smolnet.Interface{Device: taps[i], DuplicateDetection: core.DetectNone, Addresses: addresses})
		require.NoError(t, err)
	}
	return stacks, taps
}
