package lowpan

import (
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/timer"
)

// Owner is what a Reassembly belongs to.
type Owner interface {
	// Abandon is told of each datagram that will not become whole, to count it. The Reassembly calls it last, when its own state
	// is settled; it must not call into that. The cause is Overlap, Evicted, TimedOut or Closed.
	Abandon(now int64, cause Cause, key Key)
}

// Defaults of ReassemblyConfig.
const (
	DefaultTimeout      = 10 * time.Second
	DefaultMaxDatagrams = 64
	DefaultMaxPerSource = 8
)

// MaxTimeout is the longest that datagrams may have to become whole.
//
// "The reassembly timeout MUST be set to a maximum of 60 seconds (this is also the timeout in the IPv6 reassembly procedure
// [RFC2460])."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-5.3
const MaxTimeout = 60 * time.Second

// ReassemblyConfig says how a Reassembly behaves. Zero in a number or a time means its default.
type ReassemblyConfig struct {
	// Timers and Owner are what a Reassembly works with; both are required. Package core fills them in.
	Timers *timer.Heap
	Owner  Owner

	// Timeout is how long a datagram has from its first-arriving fragment on to become whole, 60 s at most. Default 10 s: the some
	// twenty fragments of the longest take a tenth of a second in the air, and a few seconds to a node that listens eight times a
	// second. More is of no use: tags are used again, and after a restart at once.
	Timeout time.Duration

	// MaxDatagrams is how many datagrams may be under way. Each has a buffer of 2304 octets at most, so that this is also a bound
	// of memory. If another begins, the one that has waited longest for its next fragment makes room. Default 64, of 144 KiB: in
	// the time between two fragments of a datagram, nobody can begin so many over a radio of 250 kbit/s.
	MaxDatagrams int

	// MaxPerSource is how many of them may come from one link-layer address. If it begins another, that of its own makes room which
	// has waited longest. Default 8: senders have one or two under way, and the rest are such as have lost a fragment.
	MaxPerSource int
}

// withDefaults fills in what is zero and refuses what cannot be. The error wraps ErrInvalid and names the value.
func (cfg ReassemblyConfig) withDefaults() (ReassemblyConfig, error) {
	if cfg.Timers == nil || cfg.Owner == nil {
		return cfg, fmt.Errorf("%w: Timers and Owner are required", ErrInvalid)
	}
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxDatagrams", &cfg.MaxDatagrams, DefaultMaxDatagrams},
		{"MaxPerSource", &cfg.MaxPerSource, DefaultMaxPerSource},
	} {
		if *n.value < 0 {
			return cfg, fmt.Errorf("%w: %s %d is negative", ErrInvalid, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	if cfg.Timeout < 0 || cfg.Timeout > MaxTimeout {
		return cfg, fmt.Errorf("%w: Timeout %v is not between 0 and %v", ErrInvalid, cfg.Timeout, MaxTimeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	return cfg, nil
}
