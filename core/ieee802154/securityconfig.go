package ieee802154

import (
	"fmt"

	"github.com/smolnet/smolnet/core/wire"
)

// SecurityConfig says how a node secures its frames, and which it accepts. Keys is required, and Address; the zero value of
// everything else is its default.
type SecurityConfig struct {
	// Address is the node's extended address, from which nonces are made: another node with the same address and key breaks the
	// encryption of both.
	Address [8]byte

	// Keys are the keys that frames may be secured with. The node's own are with the first. No two may have the same name.
	Keys []Key

	// Level is how the node's own frames are secured, 1 to 7. Default 5: encrypted, with a code of four octets.
	Level uint8

	// MinLevel is how data frames from others must be secured at least, both in the length of their code and in being encrypted: to
	// level 1 suffice all but 4, to 5 suffice 5 to 7. Default: Level.
	MinLevel uint8

	// AcceptUnsecured has data frames accepted that are secured less than MinLevel, or not at all.
	AcceptUnsecured bool

	// FrameCounter is the counter of the first frame to be secured. It must be greater than those of all frames that were ever
	// secured with the first key under this Address: Security.FrameCounter says what to keep. Default 0.
	FrameCounter uint32

	// Devices are what is known beforehand of other nodes.
	Devices []Device

	// MaxCounters is how many frame counters of nodes that are not among Devices are remembered, one a node and key; and as many
	// again of what is encrypted only. When there are so many, frames of further nodes are refused. Default 256.
	MaxCounters int
}

// DefaultMaxCounters is the default of SecurityConfig.MaxCounters.
const DefaultMaxCounters = 256

// Key is a key, and how frames name it.
type Key struct {
	Mode   wire.IEEE802154KeyMode
	Source [8]byte // in the order of transmission; the first four octets with IEEE802154KeySource4, all with IEEE802154KeySource8
	Index  uint8   // not with IEEE802154KeyImplicit
	Secret [16]byte
}

// name is how frames name k.
func (k *Key) name() keyName {
	n := keyName{mode: k.Mode}
	switch k.Mode {
	case wire.IEEE802154KeyImplicit:
		return n
	case wire.IEEE802154KeySource4:
		copy(n.source[:4], k.Source[:])
	case wire.IEEE802154KeySource8:
		n.source = k.Source
	}
	n.index = k.Index
	return n
}

// Device is what is known beforehand of another node.
type Device struct {
	Extended [8]byte // its extended address

	// PAN and Short are where it goes by which short address: what it sends from that can be verified only if this is known. Zero
	// in Short means that it has none.
	PAN   uint16
	Short wire.LinkAddr

	// FrameCounter is the least frame counter to accept from it: one more than that of the last frame, if that is known from
	// before the stack was started. Default 0.
	FrameCounter uint32
}

// withDefaults fills in what is zero and refuses what cannot be. The error wraps ErrInvalid and names the value.
func (cfg SecurityConfig) withDefaults() (SecurityConfig, error) {
	if cfg.Level == 0 {
		cfg.Level = wire.IEEE802154EncryptMIC32
	}
	if cfg.MinLevel == 0 {
		cfg.MinLevel = cfg.Level
	}
	if cfg.MaxCounters == 0 {
		cfg.MaxCounters = DefaultMaxCounters
	}
	const highest = wire.IEEE802154EncryptMIC128
	switch {
	case len(cfg.Keys) == 0:
		return cfg, fmt.Errorf("%w: there are no Keys", ErrInvalid)
	case cfg.Address == [8]byte{}:
		return cfg, fmt.Errorf("%w: there is no Address", ErrInvalid)
	case cfg.Level > highest:
		return cfg, fmt.Errorf("%w: Level %d exceeds %d", ErrInvalid, cfg.Level, highest)
	case cfg.MinLevel > highest:
		return cfg, fmt.Errorf("%w: MinLevel %d exceeds %d", ErrInvalid, cfg.MinLevel, highest)
	case cfg.MaxCounters < 0:
		return cfg, fmt.Errorf("%w: MaxCounters %d is negative", ErrInvalid, cfg.MaxCounters)
	}
	names := make(map[keyName]bool)
	for i := range cfg.Keys {
		k := &cfg.Keys[i]
		if k.Mode > wire.IEEE802154KeySource8 {
			return cfg, fmt.Errorf("%w: key %d has the mode %d", ErrInvalid, i, k.Mode)
		}
		if names[k.name()] {
			return cfg, fmt.Errorf("%w: key %d has the mode, source and index of another", ErrInvalid, i)
		}
		names[k.name()] = true
	}
	return cfg, cfg.checkDevices()
}

// checkDevices refuses devices that cannot be told apart.
func (cfg *SecurityConfig) checkDevices() error {
	extended, short := make(map[[8]byte]bool), make(map[shortAddr]bool)
	for i, device := range cfg.Devices {
		number, ok := device.Short.Short()
		name := shortAddr{device.PAN, number}
		switch {
		case !ok && !device.Short.IsZero():
			return fmt.Errorf("%w: device %d has %v for a short address", ErrInvalid, i, device.Short)
		case extended[device.Extended]:
			return fmt.Errorf("%w: device %d has the extended address of another", ErrInvalid, i)
		case ok && short[name]:
			return fmt.Errorf("%w: device %d has the short address of another", ErrInvalid, i)
		}
		extended[device.Extended] = true
		short[name] = short[name] || ok
	}
	return nil
}
