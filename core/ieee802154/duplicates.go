package ieee802154

import (
	"fmt"
	"hash/maphash"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Duplicates recognizes frames that come again because the acknowledgment of an earlier copy was lost or late.
//
// Of each source it remembers the last few frames, not only the last one as is common: where frames travel over UDP or a serial
// line, a copy that was sent because an acknowledgment was late may come behind the next frame. And it remembers what was in them:
// a source that sends to many counts through all 256 sequence numbers between two frames for this node, within less than a
// millisecond on a link in memory, and a node that was started anew begins somewhere. A copy is the same to the octet.
type Duplicates struct {
	sources  table[recent]
	lifetime int64
	seed     maphash.Seed
}

// Defaults of DuplicatesConfig.
const (
	DefaultMaxSources = 64
	DefaultLifetime   = time.Second
)

// DuplicatesConfig says how much Duplicates remembers. Zero means the default.
type DuplicatesConfig struct {
	// MaxSources is how many sources are remembered; the one not heard for longest makes room. Default 64, which is 11 KiB.
	MaxSources int
	// Lifetime is how long after a frame another can be its copy. Default 1 s, which is long after a sender has given up.
	Lifetime time.Duration
}

// window is how many frames of a source are remembered.
const window = 8

// recent is the last frames of one source: a ring.
type recent struct {
	frames [window]seen
	next   uint8
}

// seen is what is remembered of a frame. The zero value is no frame.
type seen struct {
	until int64 // afterwards another is no copy of it
	check uint32
	seq   uint8
}

// NewDuplicates returns a Duplicates that remembers no frame. The error wraps ErrInvalid and names the value.
func NewDuplicates(cfg DuplicatesConfig) (*Duplicates, error) {
	if cfg.MaxSources < 0 || cfg.Lifetime < 0 {
		return nil, fmt.Errorf("%w: MaxSources %d and Lifetime %v must not be negative", ErrInvalid, cfg.MaxSources, cfg.Lifetime)
	}
	if err := checkTime("Lifetime", cfg.Lifetime); err != nil {
		return nil, err
	}
	if cfg.MaxSources == 0 {
		cfg.MaxSources = DefaultMaxSources
	}
	setDefault(&cfg.Lifetime, DefaultLifetime)
	return &Duplicates{
		sources: newTable[recent](cfg.MaxSources), lifetime: int64(cfg.Lifetime), seed: maphash.MakeSeed(),
	}, nil
}

// Repeated is called for each frame that is for this node, once it is known to be genuine, with its payload. It reports whether
// the frame has come before. A frame without a source address or a sequence number never has.
//
// A copy of a secured frame does not come as far as that: Security refuses it, because its frame counter is not new.
func (d *Duplicates) Repeated(now int64, h *wire.IEEE802154Repr, payload []byte) bool {
	if h.Src.IsZero() || h.SeqSuppressed {
		return false
	}
	check := uint32(maphash.Bytes(d.seed, payload))
	source := d.sources.use(h.Src)
	for i := range source.frames {
		if f := &source.frames[i]; f.seq == h.Seq && f.check == check && now < f.until {
			return true
		}
	}
	source.frames[source.next%window] = seen{until: now + d.lifetime, check: check, seq: h.Seq}
	source.next++
	return false
}
