package tcp

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/wire"
)

// DialConfig says whom to connect to.
type DialConfig struct {
	// Local is this side's address and port. An invalid or unspecified address, or a port of 0, is chosen. A port that is given must be
	// nobody's, at the address or, where that is chosen, at all; one that is chosen may have connections to other peers.
	Local netip.AddrPort
	// DualStack has an address that is chosen for a Remote of IPv6's stand for IPv4's as well, as long as it is a question of who has
	// the port.
	DualStack bool
	// Remote is the peer's address and port. Both are required.
	Remote netip.AddrPort
	// Link is the index of the interface to use: required if Remote is link-local, else 0 for any.
	Link int32
	// Options default to the host's.
	Options *Options
	// Owner is told when the connection is established, or has failed.
	Owner ip.Owner
	// Data is what to send first, at most as much as the send buffer may hold; it is copied. With Options.FastOpen and a cookie
	// of the peer's, what fits goes with the SYN; it may then arrive twice. The rest, or all, follows once the connection is
	// established.
	Data []byte
}

// Dial begins a connection and returns it in SYN-SENT. The errors are ip.ErrInvalid for an unusable Remote,
// ip.ErrNetworkUnreachable, ip.ErrAddressNotAvailable, ip.ErrAddressInUse, ErrNoPorts, ErrTooManyConnections, and what is wrong
// with Options or Data.
func (h *Host) Dial(now time.Time, cfg DialConfig) (*Conn, error) {
	t := h.since(now)
	remote := netip.AddrPortFrom(cfg.Remote.Addr().Unmap(), cfg.Remote.Port())
	if a := remote.Addr(); !a.IsValid() || remote.Port() == 0 || a.IsMulticast() || a.IsUnspecified() || a == broadcast {
		// "A TCP implementation MUST reject as an error a local OPEN call for an invalid remote IP address (e.g., a broadcast or
		// multicast address)"
		// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.9.1.1
		return nil, fmt.Errorf("remote address %v: %w", remote, ip.ErrInvalid)
	}
	if h.connections >= h.config.Limits.Connections {
		return nil, ErrTooManyConnections
	}
	options, err := h.optionsFor(cfg.Options)
	if err != nil {
		return nil, err
	}
	if _, most := h.sendBuffer(options, 0); len(cfg.Data) > most {
		return nil, fmt.Errorf("data of %d octets for a send buffer of %d: %w", len(cfg.Data), most, ip.ErrInvalid)
	}
	src := cfg.Local.Addr().Unmap()
	if src.IsUnspecified() {
		src = netip.Addr{}
	}
	path, src, err := h.network.Route(cfg.Link, src, remote.Addr())
	if err != nil {
		return nil, err
	}
	link := cfg.Link
	if link == 0 {
		link = path.Link()
	}
	i := newID(netip.AddrPortFrom(src, cfg.Local.Port()), remote, link)
	var old *timeWait
	if i.localPort == 0 {
		old, err = h.chooseLocalPort(t, &i)
	} else {
		err = h.claimBinding(&cfg, &i)
	}
	if err != nil {
		return nil, err
	}
	iss := h.isn(t, &i)
	if old != nil {
		iss = latest(iss, old.leastISS())
		h.counters.TimeWaitReused++
		old.forget()
	}

	c := h.newConn(i, path, options)
	c.owner = cfg.Owner
	c.start(t, iss)
	c.queue(cfg.Data)
	c.enter(SynSent)
	c.charge()
	c.requestFastOpen(t)
	h.event(c, "opened")
	h.counters.ActiveOpens++
	c.pending = pendingSYN
	c.ready()
	c.setTimers(t)
	return c, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// optionsFor fills in o's defaults; without o they are the host's own, shared by all.
func (h *Host) optionsFor(o *Options) (*Options, error) {
	if o == nil {
		return &h.config.Options, nil
	}
	filled, err := o.withDefaults(&h.config.Options)
	if err != nil {
		return nil, err
	}
	return &filled, nil
}

// queue has data be sent before anything else.
func (c *Conn) queue(data []byte) {
	if len(data) == 0 {
		return
	}
	var f storage.Fill
	c.sndQ.Reserve(&f, len(data))
	f.Write(data)
	c.sndQ.Commit(&f)
}

// chooseLocalPort fills in a port that is not in use with this peer, from a random one upwards: the "Simple Port Randomization
// Algorithm". Where few are free it is that of a connection in TIME-WAIT, which is returned, and is to be forgotten.
// https://www.rfc-editor.org/rfc/rfc6056.html#section-3.3.1
func (h *Host) chooseLocalPort(now int64, i *id) (old *timeWait, err error) {
	beyond := 0
	port, err := h.choosePort(func(port uint16) bool {
		i.localPort = port
		if i.remotePort == port && i.remote == i.local {
			return false // it would connect to itself, by simultaneous open
		}
		if old != nil {
			beyond++
		}
		found, err := h.claimLocalPort(now, i)
		switch {
		case err != nil:
		case found == nil:
			old = nil
			return true
		case old == nil:
			old = found
		}
		return beyond >= portsBeyondTimeWait
	})
	if old != nil {
		port, err = old.id.localPort, nil
	}
	i.localPort = port
	return old, err
}

// portsBeyondTimeWait is how many ports are looked at for a free one after the first that would be taken from TIME-WAIT: to look at
// all would take long, just when many connections are made.
const portsBeyondTimeWait = 64

// claimBinding reports whether the port that a Dial demands may be had. The error is ip.ErrAddressInUse.
func (h *Host) claimBinding(cfg *DialConfig, i *id) error {
	b := newBinding(i.localAddrPort(), i.link())
	if asked := cfg.Local.Addr(); !asked.IsValid() || asked.IsUnspecified() {
		all := netip.IPv4Unspecified()
		if !i.is4() {
			all, b.dualStack = netip.IPv6Unspecified(), cfg.DualStack
		}
		b.local, b.link = netip.AddrPortFrom(all, i.localPort), 0
	}
	if !h.free(&b) {
		return ip.ErrAddressInUse
	}
	return nil
}

// claimLocalPort reports whether i may be used for a new connection: whether it is free, or that of a connection in TIME-WAIT
// that may give way to it and is returned. The error is ip.ErrAddressInUse.
func (h *Host) claimLocalPort(now int64, i *id) (*timeWait, error) {
	if h.listener(i.localAddrPort(), i.link()) != nil {
		return nil, ip.ErrAddressInUse
	}
	e := h.table.lookup(i)
	if e == nil {
		return nil, nil
	}
	if w, ok := e.occupant.(*timeWait); ok && w.reusable(now) {
		return w, nil
	}
	return nil, ip.ErrAddressInUse
}

// choosePort returns an ephemeral port that is free.
func (h *Host) choosePort(free func(uint16) bool) (uint16, error) {
	var b [4]byte
	if err := h.random(b[:]); err != nil {
		return 0, err
	}
	first, count := uint32(h.config.FirstPort), uint32(h.config.LastPort)-uint32(h.config.FirstPort)+1
	offset := binary.BigEndian.Uint32(b[:]) % count
	for n := range count {
		if port := uint16(first + (offset+n)%count); port != 0 && free(port) {
			return port, nil
		}
	}
	return 0, ErrNoPorts
}

// start sets the sequence spaces before the first segment.
func (c *Conn) start(now int64, iss uint32) {
	c.iss = iss
	c.sndUna, c.sndNxt = iss, iss
	c.sndBase = iss + 1
	c.recover = iss
	c.ts.offset = c.host.tsOffset(&c.id)
	c.rcvShift = windowScale(c.largestWindow())
	c.sndMSS = defaultMSS(c.id.is4())
	c.timers.lastReceived = now
	c.timers.lastSent = now
}

// windowScale is the least shift that lets a 16-bit field express n octets.
func windowScale(n int) uint8 {
	shift := uint8(0)
	for n>>shift > 65535 {
		shift++
	}
	return shift
}

// defaultMSS is assumed of a peer that does not say.
//
// "If an MSS Option is not received at connection setup, TCP implementations MUST assume a default send MSS of 536 (576 - 40) for
// IPv4 or 1220 (1280 - 60) for IPv6"
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.7.1
func defaultMSS(is4 bool) uint16 {
	if is4 {
		return 536
	}
	return 1220
}

// ownMSS is the payload of the largest segment that the path and the options let through.
//
// "When calculating the value to put in the TCP MSS option, the MTU value SHOULD be decreased by only the size of the fixed IP and
// TCP headers"
// https://www.rfc-editor.org/rfc/rfc6691.html#section-2
func ownMSS(path ip.Path, is4 bool, o *Options) uint16 {
	headers := 60
	if is4 {
		headers = 40
	}
	mss := min(max(path.MTU()-headers, minMSS), 65535)
	if most := cmp.Or(o.MaxSegment, path.MaxSegment()); most != 0 {
		mss = min(mss, max(most, minMSS))
	}
	return uint16(mss)
}

// synOptions are the options of a SYN: those of an offer, or of an answer to peer's.
func (o *Options) synOptions(mss uint16, shift uint8, tsVal uint32, peer *wire.TCPOptions) wire.TCPOptions {
	s := wire.TCPOptions{
		MSS: mss, HasMSS: true,
		// "If a Window Scale option was received in the initial <SYN> segment, then this option MAY be sent in the <SYN,ACK>
		// segment."
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-2.2
		HasWindowScale: peer == nil || peer.HasWindowScale, WindowScale: shift,
		SACKPermitted: !o.NoSACK && (peer == nil || peer.SACKPermitted),
		HasTimestamps: !o.NoTimestamps && (peer == nil || peer.HasTimestamps), TSVal: tsVal,
	}
	if peer != nil {
		s.TSEcr = peer.TSVal
	}
	return s
}

// negotiated takes over what the peer's SYN has offered.
func (c *Conn) negotiated(now int64, o *wire.TCPOptions) {
	mss := int(defaultMSS(c.id.is4()))
	if o.HasMSS && o.MSS != 0 {
		mss = max(int(o.MSS), minMSS)
	}
	c.sndMSS = min(uint16(min(mss, 65535)), ownMSS(c.path, c.id.is4(), c.options))
	if o.HasWindowScale {
		// "If a Window Scale option is received with a shift.cnt value larger than 14, the TCP SHOULD log the error but MUST use 14
		// instead of the specified value."
		// https://www.rfc-editor.org/rfc/rfc7323.html#section-2.3
		c.sndShift = min(o.WindowScale, 14)
	} else {
		c.sndShift, c.rcvShift = 0, 0
	}
	c.sackOK = o.SACKPermitted && !c.options.NoSACK
	if o.HasTimestamps && !c.options.NoTimestamps {
		c.ts.start(now, o)
		// The MSS counts no options: "the sender MUST reduce the TCP data length to account for any IP or TCP options that it is
		// including in the packets that it sends."
		// https://www.rfc-editor.org/rfc/rfc6691.html#section-2
		c.sndMSS -= timestampsLen
	}
	c.rcvMSS = min(ownMSS(c.path, c.id.is4(), c.options), defaultMSS(c.id.is4())) // until larger ones arrive
	c.congestion.Start(&c.window, c.initialWindow())
}

// initialWindow is what may be sent before the first acknowledgment.
//
// "the upper bound for the initial window will be min (10*MSS, max (2*MSS, 14600))"
// https://www.rfc-editor.org/rfc/rfc6928.html#section-2
func (c *Conn) initialWindow() int {
	mss, segments := int(c.sndMSS), c.host.config.InitialWindow
	return min(segments*mss, max(2*mss, segments*1460))
}

// receivedSYN starts the receive sequence space from the peer's SYN.
func (c *Conn) receivedSYN(now int64, s *segment) {
	c.irs = s.seq
	c.rcvNxt = s.seq + 1
	c.rcvAcked = c.rcvNxt
	c.negotiated(now, &s.options)
	c.setSendWindow(s)
	c.rcvEdge = c.rcvNxt + uint32(min(int(c.rcvBuffer), 65535))
}

// synAcked moves SND.UNA over the SYN, and measures the round trip that it took.
func (c *Conn) synAcked(now int64, s *segment) {
	sample := int64(0)
	if c.timers.retries == 0 {
		sample = max(now-c.timers.lastSent, 1)
	} else if c.ts.on && s.options.HasTimestamps && s.options.TSEcr != 0 {
		sample = int64(max(distance(s.options.TSEcr, c.ts.val(now)), 1)) * tsTick
	}
	c.firstRTT(sample)
	c.host.acking = acknowledgment{}
	c.newlyAcked(now, c.iss+1, &c.host.acking)
}

// firstRTT takes the handshake's round trip, if it was measured.
func (c *Conn) firstRTT(sample int64) {
	if sample > 0 && c.sampleRTT(sample, c.sndUna) {
		c.host.counters.RTT.add(nanoseconds(sample))
	}
}

// handshakeTook has data begin cautiously after a SYN, or SYN|ACK, had to be repeated.
func (c *Conn) handshakeTook(retries uint8) {
	c.timers.backoff = 0
	if retries > 0 && c.rtt.srtt == 0 {
		c.rtt.rto = max(c.rtt.rto, rtoAfterSYNTimeout)
	}
	if retries > 1 {
		// RFC 5681, section 3.1: "if the SYN or SYN/ACK is lost, the initial window used by a sender after a correctly transmitted
		// SYN MUST be one segment". RFC 6928, section 2, makes an exception of the first loss, which may be none.
		c.congestion.Start(&c.window, int(c.sndMSS))
	}
}

// rtoAfterSYNTimeout is the timeout to begin with then.
//
// "If the timer expires awaiting the ACK of a SYN segment and the TCP implementation is using an RTO less than 3 seconds, the RTO
// MUST be re-initialized to 3 seconds when data transmission begins (i.e., after the three-way handshake completes)."
// https://www.rfc-editor.org/rfc/rfc6298.html#section-5
const rtoAfterSYNTimeout = 3e9

// established completes the handshake. synRetries is how often the SYN was repeated.
func (c *Conn) established(synRetries uint8) {
	c.handshakeTook(synRetries)
	c.quick = c.host.quickACKs()
	c.setState(Established)
	c.host.event(c, "established")
	if c.sndClosed {
		c.setState(FinWait1) // CloseWrite did not wait for the handshake
	}
	c.notify(ip.Connected | ip.Writable)
}
