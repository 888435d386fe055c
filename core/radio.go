package core

import (
	"cmp"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/rpl"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// radio is what an interface on IEEE 802.15.4 has beneath IP: the MAC, and 6LoWPAN above it, which makes frames of packets and
// packets of frames.
type radio struct {
	*Interface
	config IEEE802154Config
	node   ieee802154.Node
	acks   bool // acknowledgments and retransmissions are the stack's affair

	security   *ieee802154.Security // nil: frames are not secured
	duplicates *ieee802154.Duplicates
	links      *ieee802154.Links

	contexts   wire.LowpanContexts
	reassembly *lowpan.Reassembly

	maxSegment int
	from       wire.LinkAddr // who has sent the frame that is being read
	authentic  bool          // that frame has come with a message integrity code, which is right
	scratch    [radioScratch]byte

	sending radioSending
	answers storage.Queue // acknowledgments to leave
	timer   timer.Timer   // until a frame may leave, or must again
}

// radioScratch is the most octets of IPv6 headers, uncompressed, that a frame's may stand for.
const radioScratch = wire.LowpanMaxDecompressedLen

// IEEE802154Config configures an interface on an IEEE 802.15.4 radio. The zero value is a node of PAN 0, with acknowledgments and
// without security, that neighbours reach by its link-local address.
type IEEE802154Config struct {
	// PAN is the identifier of the personal area network that the interface is part of: not 0xffff. The zero value is PAN 0. The channel
	// is the device's affair.
	PAN uint16

	// EUI64 is the interface's extended address, the company's octets first, from which its link-local address follows. Zero: the
	// device's own, or if it has none a random locally administered one.
	EUI64 [8]byte

	// ShortAddr is a short address by which others may send to it as well: below 0xfffe, and 0 stands for none. What it sends comes
	// from the extended address.
	ShortAddr uint16

	// NoAcknowledgments has it ask nobody to acknowledge its frames, and, unless the device does so, acknowledge none. Otherwise a frame
	// to one node is sent again, three times at most, until that has acknowledged it: by the stack, unless the device does it (see
	// dev.Capabilities.Acknowledges).
	NoAcknowledgments bool

	// Security says how frames are secured, and with which keys. Its Address stays zero: it is the interface's own. nil: they are not.
	Security *ieee802154.SecurityConfig

	// ElidedChecksums accepts UDP datagrams that come without a checksum from frames without a message integrity code. Otherwise
	// only those in frames that have one are taken: RFC 6282 wants something to vouch for them.
	ElidedChecksums bool

	// Sender has the times of acknowledgments and retransmissions, and the number of those, where the stack does that. Its AckWait begins
	// when the device has been given the frame and has had the time to send it. By default it is 5.7 ms: the standard's 864 µs, and the
	// time of somebody else's full frame and its acknowledgment, which the device may have to let pass before.
	Sender ieee802154.SenderConfig

	// Duplicates says how frames are recognised that come again because their acknowledgment was lost.
	Duplicates ieee802154.DuplicatesConfig

	// Pacing says how fast frames may leave. The zero value sets no bound: acknowledgments do, but for frames that ask for none.
	Pacing lowpan.Pacing

	// Registration says how the interface registers its addresses with routers, which it does if it listens to them (see
	// InterfaceConfig.Autoconf). What package core fills in stays zero.
	Registration registration.HostConfig

	// Router has the interface, which must forward and not have Autoconf, be a router of its network: it advertises itself, with
	// prefixes and contexts, and hosts register their addresses with it, as with a border router. It is a network of one hop,
	// unless RPLRoot makes it larger. What package core fills in stays zero. nil: it is none.
	Router *registration.RouterConfig

	// RPLLeaf has the interface join a network of RPL, and be reached through that, without forwarding anything itself. RPLRoot has it
	// be the root of one, whose other nodes route among themselves; it should forward, too. One excludes the other. What package core
	// fills in stays zero. nil: it does not.
	RPLLeaf *rpl.LeafConfig
	RPLRoot *rpl.RootConfig

	// Contexts are prefixes that all nodes know by number, so that addresses leave without them where Compress is set. Those that border
	// routers tell of are added, but for the numbers that are taken here; RPL tells of none.
	Contexts wire.LowpanContexts

	// SegmentFrames is how many frames a TCP segment should take at most, which bounds the payload of those sent and, by the MSS
	// option, of those received: the loss of one frame loses the segment. Default 5, in which a segment has some 410 octets of data, and
	// fewer if frames are secured.
	SegmentFrames int

	// Reassembly says how long fragments wait for the others of their packets. Its other fields stay zero, as do all bounds in the parts
	// of this configuration: those are in Limits.Lowpan.
	Reassembly lowpan.ReassemblyConfig
}

// defaultSegmentFrames has headers take a tenth of a segment, and no more than that would be gained by larger ones, of which more
// are lost.
const defaultSegmentFrames = 5

// newRadio makes what an interface on a radio has beneath IP.
func (l *Interface) newRadio(config *InterfaceConfig, caps dev.Capabilities) error {
	s := l.stack
	r := &radio{Interface: l}
	if config.IEEE802154 != nil {
		r.config = *config.IEEE802154
	}
	c := &r.config
	switch {
	case c.PAN == wire.BroadcastPAN:
		return fmt.Errorf("PAN %#04x stands for all", c.PAN)
	case c.ShortAddr >= noShortAddr || wire.ShortAddr(c.ShortAddr).IsMulticast():
		return fmt.Errorf("short address %#04x is nobody's own", c.ShortAddr)
	case c.SegmentFrames < 0:
		return fmt.Errorf("SegmentFrames %d is negative", c.SegmentFrames)
	case !config.HardwareAddr.IsZero():
		return fmt.Errorf("hardware address %v on a radio, which has an EUI-64", config.HardwareAddr)
	}
	if err := c.Pacing.Check(); err != nil {
		return err
	}
	if err := c.bound(&s.limits); err != nil {
		return err
	}
	for i, context := range c.Contexts {
		if context.Prefix.IsValid() && !context.Prefix.Addr().Is6() {
			return fmt.Errorf("context %d, %v, is not of IPv6", i, context.Prefix)
		}
	}
	var err error
	if l.linkAddr, err = s.eui64(c.EUI64, caps.EUI64); err != nil {
		return err
	}
	r.node = ieee802154.Node{PAN: c.PAN, Extended: l.linkAddr}
	if c.ShortAddr != 0 {
		r.node.Short = wire.ShortAddr(c.ShortAddr)
	}
	if c.Security != nil {
		security := *c.Security
		security.Address, _ = l.linkAddr.Extended()
		if r.security, err = ieee802154.NewSecurity(security); err != nil {
			return err
		}
	}
	c.Sender.AckWait = cmp.Or(c.Sender.AckWait, ieee802154.DefaultAckWait+othersTurn)
	if r.sending.sender, err = ieee802154.NewSender(c.Sender); err != nil {
		return err
	}
	if r.duplicates, err = ieee802154.NewDuplicates(c.Duplicates); err != nil {
		return err
	}
	r.links = ieee802154.NewLinks(s.limits.Neighbours)
	c.Reassembly.Timers, c.Reassembly.Owner = &s.timers, r
	if r.reassembly, err = lowpan.NewReassembly(c.Reassembly); err != nil {
		return err
	}
	r.contexts = c.Contexts
	r.acks = !c.NoAcknowledgments && !caps.Acknowledges
	r.sending.seq, r.sending.tag = uint8(s.random()), uint16(s.random())
	r.sending.pacer.Pacing = c.Pacing
	l.radio = r
	r.maxSegment = r.segment()
	return nil
}

// othersTurn is the time of a full frame at 250 kbit/s, with the six octets before it and its check sequence, and of the
// acknowledgment behind it.
const othersTurn = (6+127)*lowpan.OctetTime + 12*16*time.Microsecond + (6+5)*lowpan.OctetTime

// FrameCounter is the counter of the next frame that the interface secures, on a radio with Security; else 0. Who keeps a key while
// the stack is started anew has to keep the counter too: see ieee802154.SecurityConfig.
func (l *Interface) FrameCounter() uint32 {
	if l.radio == nil || l.radio.security == nil {
		return 0
	}
	return l.radio.security.FrameCounter()
}

// noShortAddr and above are no short addresses: the one of a node that has none, and the broadcast address.
const noShortAddr = 0xfffe

// segment is the most octets of TCP payload that leave in SegmentFrames frames, however little of the headers is compressed.
func (r *radio) segment() int {
	frames := r.config.SegmentFrames
	if frames == 0 {
		frames = defaultSegmentFrames
	}
	h := r.header(r.linkAddr)
	uncompressed := wire.IPv6HeaderLen
	return lowpan.Payload(r.room(&h), uncompressed, uncompressed, frames) - wire.TCPHeaderLen
}

// eui64 chooses between the configured extended address, the device's own, and a random one.
func (s *Stack) eui64(configured, own [8]byte) (wire.LinkAddr, error) {
	addr := configured
	if addr == ([8]byte{}) {
		addr = own
	}
	for addr == ([8]byte{}) {
		random := s.random()
		for i := range addr {
			addr[i] = byte(random >> (8 * i))
		}
		addr[0] = addr[0]&^1 | 2 // an individual address, locally administered
	}
	if addr[0]&1 != 0 {
		return wire.LinkAddr{}, fmt.Errorf("EUI-64 %v is a group's", wire.ExtendedAddr(addr))
	}
	return wire.ExtendedAddr(addr), nil
}

// setContexts has headers be compressed by contexts that were learnt, or are advertised, beside those that are configured.
func (r *radio) setContexts(contexts []registration.Context) {
	r.contexts = r.config.Contexts
	for _, c := range contexts {
		if own := &r.contexts[c.ID]; !own.Prefix.IsValid() {
			*own = wire.LowpanContext{Prefix: c.Prefix, Compress: c.Compress}
		}
	}
}

// Abandon counts a datagram of which fragments were lost. It is a method of lowpan.Owner.
func (r *radio) Abandon(_ int64, cause lowpan.Cause, _ lowpan.Key) {
	r.counters.drop(lowpanCauses[cause], nil)
}

// close drops what is under way.
func (r *radio) close(now int64) {
	r.reassembly.Close(now)
	r.stack.timers.Remove(&r.timer)
	r.forget()
	for p := r.answers.Pop(); p != nil; p = r.answers.Pop() {
		p.Release()
	}
}

var _ timer.Expirer = (*radio)(nil)
