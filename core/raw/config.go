package raw

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/smolnet/smolnet/core/ip"
)

// Why a call on an endpoint failed. The errors of core/ip are used as well.
var (
	// ErrWouldBlock: the send queue has no room for the packet. The owner will be told by ip.Writable when it has.
	ErrWouldBlock = errors.New("send queue is full")
	// ErrClosed: the endpoint, or the host, was closed.
	ErrClosed = errors.New("endpoint is closed")
)

// Config is what a Host is made of. Network, Links and Rand are required; zero fields of Limits stand for their defaults.
type Config struct {
	Network ip.Network // what carries IP packets
	Links   Links      // what carries frames
	Epoch   time.Time  // time zero of the stack's clock
	Rand    io.Reader  // where identifiers come from
	Limits  Limits     // what the Host keeps at most
}

// Links are the stack's interfaces, as endpoints for frames see them.
type Links interface {
	// Tap has Host.InputFrame be called for each frame that arrives by the interface of the given index, or ends that. path is
	// what frames leave by. The errors are ip.ErrNoDevice if there is no such interface, and ip.ErrNotSupported if its medium has
	// no frames.
	Tap(link int32, on bool) (path ip.Path, err error)
}

// Limits bound what a Host keeps. A zero field stands for its default.
type Limits struct {
	// Endpoints is how many endpoints there may be, of all kinds together; default 1,024. A packet may have to be copied for each of
	// them.
	Endpoints int
	// ReceiveBuffer and SendBuffer are what an endpoint's queues are bounded by, unless it is told otherwise: the memory,
	// in octets, that the packets in them pin. Default 256 KiB. A queue that is empty takes any packet.
	ReceiveBuffer, SendBuffer int
	// MaxBuffer is the most that either bound may be set to; what is larger is taken for it. Default 64 MiB.
	MaxBuffer int
}

func (c Config) withDefaults() (Config, error) {
	fill(&c.Limits.Endpoints, 1024)
	fill(&c.Limits.MaxBuffer, 64<<20)
	fill(&c.Limits.ReceiveBuffer, min(256<<10, c.Limits.MaxBuffer))
	fill(&c.Limits.SendBuffer, min(256<<10, c.Limits.MaxBuffer))
	if c.Network == nil || c.Links == nil || c.Rand == nil {
		return c, errors.New("raw: Config needs a Network, Links and a Rand")
	}
	for _, v := range []struct {
		name  string
		value int
	}{
		{"Endpoints", c.Limits.Endpoints}, {"MaxBuffer", c.Limits.MaxBuffer},
		{"ReceiveBuffer", c.Limits.ReceiveBuffer}, {"SendBuffer", c.Limits.SendBuffer},
	} {
		if v.value < 0 {
			return c, fmt.Errorf("raw: Limits.%s is negative: %d", v.name, v.value)
		}
	}
	if most := max(c.Limits.ReceiveBuffer, c.Limits.SendBuffer); most > c.Limits.MaxBuffer {
		return c, fmt.Errorf("raw: a buffer of %d octets exceeds Limits.MaxBuffer %d", most, c.Limits.MaxBuffer)
	}
	return c, nil
}

// fill gives *v the default unless it has a value.
func fill[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}
