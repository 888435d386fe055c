// Package radio is an IEEE 802.15.4 medium in memory: nodes that hear each other if they are near enough, and lose some of
// what they hear. It is for tests and simulations of networks of several stacks.
//
//	medium := radio.New(radio.Config{Seed: 1, Loss: 0.05, Range: 10, Bitrate: radio.Bitrate2450MHz})
//	left := medium.Node(radio.NodeConfig{X: 0})
//	middle := medium.Node(radio.NodeConfig{X: 8})
//	right := medium.Node(radio.NodeConfig{X: 16}) // which hears middle, and does not hear left
//
// Every node is a device. What one sends all that are in its reach receive, whatever address it is for: who receives it
// filters. What becomes of frames follows from the seed, from the order of events and from the times that callers tell, and
// from nothing else. Stacks on a medium work inside a testing/synctest bubble, in virtual time: whoever waits blocks on a
// channel and holds no lock.
package radio

import (
	"math"
	"sync"
	"time"

	"github.com/smolnet/smolnet/dev"
)

// Config says what the medium is like. The zero value loses nothing, knows no distance and takes no time.
type Config struct {
	// Seed is that of the random source: with the same seed, the same frames of those that pass from one node to another are
	// lost, however they mix with frames that pass between others.
	Seed uint64

	// Loss is the probability, from 0 to 1, that a node in reach does not hear a transmission, for each node by itself.
	Loss float64

	// Range is how far a transmission reaches, in the unit of the nodes' positions. Default: everywhere.
	Range float64

	// Latency is how long a frame takes to arrive once it was sent.
	Latency time.Duration

	// Bitrate, in bits a second, makes frames take up air time: 32 µs an octet at Bitrate2450MHz, what precedes a frame on the
	// air and the frame check sequence included. Nodes that hear each other then never send at the same time: a node
	// listens, and waits until those in its reach have finished, the acknowledgment that a frame asked for included. Those
	// that do not hear each other may; there are no collisions. Acknowledgments do not wait. Default: no air time.
	Bitrate int

	// Acknowledges makes radios of the kind that acknowledge and retransmit themselves: a frame that asks for an
	// acknowledgment is transmitted up to four times, until a node that has its destination address has heard it. No
	// acknowledgment is seen, and none is lost. Otherwise acknowledgments are the stacks' affair, and frames like others.
	Acknowledges bool

	// Lossless makes a sender wait, where a node in its reach has a full queue, in place of that node losing the frame. It is
	// for measurements without air time: a node that does not receive stops all who send in its reach, until it is closed or
	// taken away. It has no effect together with Bitrate: the air does not wait.
	Lossless bool

	// Queue is how many frames may be on their way to a node, or received and not yet taken. Default: 4096, and 256 if the medium
	// is lossless: its senders wait for room, and fewer frames stay in the processor's cache from sender to receiver, which
	// halves what they cost.
	Queue int

	// SendQueue is how many frames of a node's may wait for the air; then its sender waits. It has no effect without Bitrate.
	// Default: 16.
	SendQueue int
}

// Bitrate2450MHz is the bit rate of IEEE 802.15.4 in the 2,450 MHz band.
const Bitrate2450MHz = 250_000

const (
	defaultQueue         = 4096
	defaultLosslessQueue = 256
	defaultSendQueue     = 16
)

// NodeConfig says what a node is like.
type NodeConfig struct {
	// EUI64 is the radio's extended address, the company's octets first. Default: 02:00:00:00:00:00:00:01 for the first node,
	// and so on.
	EUI64 [8]byte

	// ShortAddr is the short address that the radio answers to with acknowledgments of its own, beside the extended one. It
	// has no effect unless the medium's Config.Acknowledges is set. Default: none.
	ShortAddr uint16

	// X and Y are the position, in the unit of Config.Range.
	X, Y float64
}

// Medium is what nodes share. Its methods may be called at any time by any goroutine.
type Medium struct {
	config  Config
	latency int64

	mu    sync.Mutex
	nodes []*Node
	epoch time.Time // what a caller told first; times are nanoseconds since then
	now   int64     // the latest time that a caller has told
	heard []hearing // by whom what is being transmitted was heard
	sent  uint64    // frames that asked for an acknowledgment until now
}

// New returns a medium without nodes. A probability outside of 0 to 1 is taken for the nearest that is inside.
func New(config Config) *Medium {
	config.Loss = probability(config.Loss)
	if config.Range <= 0 {
		config.Range = math.Inf(1)
	}
	if config.Queue <= 0 {
		config.Queue = defaultQueue
		if config.Lossless {
			config.Queue = defaultLosslessQueue
		}
	}
	if config.SendQueue <= 0 {
		config.SendQueue = defaultSendQueue
	}
	config.Bitrate = max(config.Bitrate, 0)
	return &Medium{config: config, latency: max(int64(config.Latency), 0)}
}

// probability is p, or the nearest that is one. What is no number is 0.
func probability(p float64) float64 {
	if p > 0 {
		return min(p, 1)
	}
	return 0
}

// Node adds a node to the medium. It hears what is sent from now on.
func (m *Medium) Node(config NodeConfig) *Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	index := len(m.nodes)
	if config.EUI64 == [8]byte{} {
		number := uint32(index + 1)
		config.EUI64 = [8]byte{0: 2, 4: byte(number >> 24), 5: byte(number >> 16), 6: byte(number >> 8), 7: byte(number)}
	}
	n := &Node{
		medium: m,
		index:  index,
		config: config,
		caps: dev.Capabilities{
			Medium:       dev.IEEE802154,
			MTU:          mtu,
			EUI64:        config.EUI64,
			Acknowledges: m.config.Acknowledges,
		},
		readable: make(chan struct{}, 1),
		writable: make(chan struct{}, 1),
		done:     make(chan struct{}),
		told:     never,
	}
	m.nodes = append(m.nodes, n)
	m.join(n)
	return n
}

// mtu is the largest IPv6 packet that 6LoWPAN carries, in octets.
//
// "The MTU size for IPv6 packets over IEEE 802.15.4 is 1280 octets."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-4
const mtu = 1280

// timed reports whether frames take time to pass.
func (m *Medium) timed() bool { return m.latency > 0 || m.config.Bitrate > 0 }

// tell takes note of the time that a caller tells. The mutex is held.
func (m *Medium) tell(now time.Time) {
	if !m.timed() {
		return
	}
	if m.epoch.IsZero() {
		m.epoch = now
	}
	m.now = max(m.now, int64(now.Sub(m.epoch)))
}

// Times that no clock shows.
const (
	past  = math.MinInt64
	never = math.MaxInt64
)
