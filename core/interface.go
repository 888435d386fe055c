package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// Interface is one of a stack's interfaces: what is between the stack and a device, or the built-in loopback, which
// has none.
type Interface struct {
	stack    *Stack
	index    int32
	name     string
	device   dev.Device // nil: the loopback
	medium   dev.Medium
	mtu      int
	linkAddr wire.LinkAddr     // the interface's own on the link; zero where nobody has one
	hardware wire.HardwareAddr // the same on an Ethernet, where each frame has it
	ipv6     bool
	removed  bool
	silent   bool // tells nobody of its groups

	forwards        bool // routes what arrives for others: see router.go
	ignoreRedirects bool
	anyIP           []netip.Prefix // others' addresses that it answers for

	interceptsTCP, interceptsUDP bool // packets to any address, for the transports' forwarders
	tapped                       bool // raw endpoints get copies of frames

	// What the device takes care of.
	checksum                   dev.Checksums
	segmentsTCPv4, segmentsTCP bool // of IPv4, and of IPv6
	fillsIPv4, verifiesIPv4    bool

	addresses    []*address
	detects      DuplicateDetection
	broadcastsv4 []uint32 // of the addresses' subnets
	groups       *multicast.Host
	neighbours   *neighbour.Cache // nil where nobody has a link-layer address
	radio        *radio           // nil unless IEEE 802.15.4

	autoconf   *autoconf        // nil: routers are not listened to
	registrant *registrant      // nil: addresses are not registered with them
	registrar  *registrar       // nil: hosts do not register theirs
	rpl        *rplNode         // nil: it takes no part in RPL
	params     slaac.Parameters // of the link, as routers have it

	// Where packets come from, as the transports see it: what is sent by these is routed by its destination.
	arrivalv4, arrivalv6 path

	// What configures the interface for IPv4, and others; each nil if there is none.
	dhcpv4           *dhcpClient
	linkLocalv4      *linkLocalv4
	dhcpv4Server     *dhcpv4.Server
	dhcpv4ServerAddr netip.Addr
	fullMTU          int // the MTU without what a server says; 0: none has said anything

	dhcpv6       *dhcpv6Client // nil until there is something to ask for
	dhcpv6Config DHCPv6Config
	fragmented   fragmented

	control storage.Queue // packets ready for the device
	line    line          // endpoints that have something to send
	flushed int           // packets of the control queue up to the last that has waited for a neighbour
	burst   int           // packets of the control queue that have left since an endpoint's last turn
	transit storage.Queue // packets on their way through the stack, ready for the device
	passed  bool          // the last turn was one of transit's

	batch    []*packet.Packet // what Poll sends
	outgoing []*packet.Packet // of batch, what the device had no room for
	stuck    bool             // the device was full
	broken   error            // why Poll receives nothing more

	counters InterfaceCounters
}

// Index is the interface's number: 1 for the loopback, and more for others. It is never used for another interface.
func (l *Interface) Index() int32 { return l.index }

// Name is the interface's name.
func (l *Interface) Name() string { return l.name }

// Device is what carries the interface's packets; nil for the loopback.
func (l *Interface) Device() dev.Device { return l.device }

// MTU is the largest IP packet, in octets, that the interface sends; routers may have lowered that of IPv6.
func (l *Interface) MTU() int { return l.mtu }

// mtuOf is the largest packet of the version of IP that the interface sends: routers may lower that of IPv6.
func (l *Interface) mtuOf(v6 bool) int {
	if v6 && l.params.MTU != 0 {
		return min(l.params.MTU, l.mtu)
	}
	return l.mtu
}

// HardwareAddr is the interface's address on an Ethernet; zero on other media.
func (l *Interface) HardwareAddr() wire.HardwareAddr { return l.hardware }

// LinkAddr is the interface's address on its link, of whatever medium; zero where nobody has one.
func (l *Interface) LinkAddr() wire.LinkAddr { return l.linkAddr }

// Neighbours is the interface's neighbour cache; nil where nobody has a link-layer address.
func (l *Interface) Neighbours() *neighbour.Cache { return l.neighbours }

// Interfaces returns the stack's interfaces by index, the loopback first.
func (s *Stack) Interfaces() []*Interface { return slices.Clone(s.interfaces) }

// Interface returns the interface of the given index, or nil.
func (s *Stack) Interface(index int32) *Interface {
	for _, l := range s.interfaces {
		if l.index == index {
			return l
		}
	}
	return nil
}

// AddInterface adds an interface, and tells its link of its addresses. The error wraps ErrConfig, and names the value
// that is wrong; nothing has changed then.
func (s *Stack) AddInterface(now time.Time, config InterfaceConfig) (*Interface, error) {
	t := s.enter(now)
	if s.closed {
		return nil, errors.New("core: the stack is closed")
	}
	name := config.Name
	if name == "" {
		name = fmt.Sprintf("if%d", s.lastIndex+1)
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("core: interface %q: %w: %w", name, ErrConfig, fmt.Errorf(format, args...))
	}
	if len(s.interfaces)-1 >= s.limits.Interfaces {
		return nil, fail("it would exceed Limits.Interfaces, %d", s.limits.Interfaces)
	}
	if slices.ContainsFunc(s.interfaces, func(l *Interface) bool { return l.name == name }) {
		return nil, fail("there is one of this name")
	}
	if config.Device == nil {
		return nil, fail("it has no device")
	}
	for _, other := range s.interfaces {
		if sameDevice(other.device, config.Device) {
			return nil, fail("its device is already attached to interface %q", other.name)
		}
	}
	l, err := s.newInterface(name, &config)
	if err != nil {
		return nil, fail("%w", err)
	}
	if config.Autoconf {
		if err := l.newAutoconf(&config); err != nil {
			return nil, fail("%w", err)
		}
	}
	if l.radio != nil && l.radio.config.Router != nil {
		if err := l.newRegistrar(&config); err != nil {
			return nil, fail("%w", err)
		}
	}
	if l.radio != nil && (l.radio.config.RPLLeaf != nil || l.radio.config.RPLRoot != nil) {
		if err := l.newRPL(config.Addresses); err != nil {
			return nil, fail("%w", err)
		}
	}
	addresses, linkLocal := config.Addresses, netip.Prefix{}
	if l.ipv6 && (l.medium != dev.IP || l.autoconf != nil) && !slices.ContainsFunc(addresses, isLinkLocalv6) {
		linkLocal = l.linkLocal()
	}
	s.lastIndex++
	s.interfaces = append(s.interfaces, l)
	for _, address := range addresses {
		if err := l.addAddress(configured(address)); err != nil {
			s.withdraw(l)
			return nil, fail("%w", err)
		}
	}
	if linkLocal.IsValid() {
		own := configured(linkLocal)
		own.origin = route.LinkLocal
		if err := l.addAddress(own); err != nil {
			s.withdraw(l)
			return nil, fail("%w", err)
		}
	}
	if err := l.configureRouting(&config); err != nil {
		s.withdraw(l)
		return nil, fail("%w", err)
	}
	for _, r := range config.Routes {
		if r.Link == 0 {
			r.Link = l.index
		}
		if err := l.addRoute(r); err != nil {
			s.withdraw(l)
			return nil, fail("%w", err)
		}
	}
	// "If the Neighbor Solicitation is going to be the first message sent from an interface after interface
	// (re)initialization, the node SHOULD delay joining the solicited-node multicast address by a random delay between 0 and
	// MAX_RTR_SOLICITATION_DELAY"
	// https://www.rfc-editor.org/rfc/rfc4862.html#section-5.4.2
	delay := s.randomDelay(maxSolicitationDelay)
	for _, a := range slices.Clone(l.addresses) {
		l.detect(t, a, delay)
	}
	if err := l.configurev4(t, &config); err != nil {
		s.withdraw(l)
		return nil, fail("%w", err)
	}
	if err := l.configureDHCPv6(t, config.DHCPv6); err != nil {
		s.withdraw(l)
		return nil, fail("%w", err)
	}
	if l.autoconf != nil {
		l.autoconf.host.Start(t)
	}
	if l.registrar != nil {
		l.registrar.contextsChanged(t)
		l.registrar.router.Start(t)
	}
	if l.rpl != nil {
		l.rpl.Start(t)
	}
	return l, nil
}

// configurev4 starts what configures the interface for IPv4, and others.
func (l *Interface) configurev4(now int64, config *InterfaceConfig) error {
	var err error
	if config.DHCPv4Server != nil {
		if err = l.serveDHCPv4(*config.DHCPv4Server); err != nil {
			return err
		}
	}
	if config.LinkLocalv4 {
		if l.linkLocalv4, err = l.newLinkLocalv4(); err != nil {
			return err
		}
	}
	switch {
	case config.DHCPv4 != nil:
		return l.startDHCPv4(now, *config.DHCPv4)
	default:
		l.claimLinkLocalv4(now)
	}
	return nil
}

// newInterface makes an interface without addresses, which is not yet one of the stack's.
func (s *Stack) newInterface(name string, config *InterfaceConfig) (*Interface, error) {
	caps := config.Device.Capabilities()
	l := &Interface{stack: s, index: s.lastIndex + 1, name: name, device: config.Device, medium: caps.Medium, mtu: caps.MTU}
	// On IEEE 802.15.4 nobody listens for such reports: RFC 6775 does without, and a frame to all costs each node dearly.
	l.silent = config.NoGroupReports || caps.Medium == dev.IEEE802154
	switch {
	case caps.Medium != dev.Ethernet && caps.Medium != dev.IP && caps.Medium != dev.IEEE802154:
		return nil, fmt.Errorf("the stack does not speak %v (medium %d)", caps.Medium, caps.Medium)
	case caps.Medium == dev.IEEE802154 && (caps.MTU < wire.IPv6MinMTU || caps.MTU > wire.LowpanMaxDatagramSize):
		return nil, fmt.Errorf("the radio's MTU %d is not between %d and %d", caps.MTU, wire.IPv6MinMTU, wire.LowpanMaxDatagramSize)
	case caps.MTU < minMTU || caps.MTU > maxMTU:
		return nil, fmt.Errorf("the device's MTU %d is not between %d and %d", caps.MTU, minMTU, maxMTU)
	case config.MTU != 0 && (config.MTU < minMTU || config.MTU > caps.MTU):
		return nil, fmt.Errorf("MTU %d is not between %d and the device's, %d", config.MTU, minMTU, caps.MTU)
	case config.DuplicateDetection >= numDuplicateDetections:
		return nil, fmt.Errorf("DuplicateDetection %d is none", config.DuplicateDetection)
	case !config.Autoconf && (config.StableSecret != nil || config.TemporaryAddresses):
		return nil, errors.New("StableSecret and TemporaryAddresses do nothing without Autoconf")
	case config.IEEE802154 != nil && caps.Medium != dev.IEEE802154:
		return nil, fmt.Errorf("IEEE802154 on a device of medium %v", caps.Medium)
	case caps.Medium == dev.IEEE802154 && config.NoIPv6:
		return nil, fmt.Errorf("NoIPv6 on %v, which carries nothing else", caps.Medium)
	case config.MTU != 0:
		l.mtu = config.MTU
	}
	l.ipv6, l.detects = !config.NoIPv6 && l.mtu >= wire.IPv6MinMTU, config.DuplicateDetection
	if config.Autoconf && !l.ipv6 {
		return nil, fmt.Errorf("what Autoconf needs, IPv6, is off, or the MTU %d is less than %d", l.mtu, wire.IPv6MinMTU)
	}
	l.attach(caps)
	var err error
	if l.groups, err = multicast.New(s.multicastConfig(l)); err != nil {
		return nil, err
	}
	if l.medium == dev.IP {
		if !config.HardwareAddr.IsZero() {
			return nil, fmt.Errorf("hardware address %v on a device of medium %v", config.HardwareAddr, l.medium)
		}
		return l, nil
	}
	if l.medium == dev.IEEE802154 {
		err = l.newRadio(config, caps)
	} else {
		err = l.newStation(config, caps)
	}
	if err != nil {
		return nil, err
	}
	l.neighbours, err = neighbour.New(s.neighbourConfig(l))
	return l, err
}

// MTUs: the least that IPv4 can do with, by RFC 791 section 3.2, and the longest packet.
const (
	minMTU = 68
	maxMTU = wire.IPv4MaxLen
)

// attach takes note of what the device does.
func (l *Interface) attach(caps dev.Capabilities) {
	if caps.Medium == dev.IEEE802154 {
		// What leaves are frames of compressed packets, in which no device finds anything to fill in.
		caps.Checksum, caps.SegmentTCP4, caps.SegmentTCP6 = dev.Checksums{}, false, false
	}
	l.checksum = caps.Checksum
	l.segmentsTCPv4, l.segmentsTCP = caps.SegmentTCP4, caps.SegmentTCP6
	l.fillsIPv4 = caps.Checksum.IPv4&dev.ChecksumTx != 0
	l.verifiesIPv4 = caps.Checksum.IPv4&dev.ChecksumRx != 0
	l.arrivalv4 = path{stack: l.stack, link: l, nextHop: netip.IPv4Unspecified(), generation: unroutable}
	l.arrivalv6 = path{stack: l.stack, link: l, nextHop: netip.IPv6Unspecified(), generation: unroutable}
}

// newStation gives an Ethernet interface its hardware address.
func (l *Interface) newStation(config *InterfaceConfig, caps dev.Capabilities) error {
	var err error
	l.hardware, err = l.stack.hardwareAddr(config.HardwareAddr, caps.HardwareAddr)
	l.linkAddr = l.hardware.LinkAddr()
	return err
}

// hardwareAddr chooses between the configured address, the device's own, and a random one.
func (s *Stack) hardwareAddr(configured, own wire.HardwareAddr) (wire.HardwareAddr, error) {
	addr := configured
	if addr.IsZero() {
		addr = own
	}
	if addr.IsMulticast() {
		return addr, fmt.Errorf("hardware address %v is a group's", addr)
	}
	if !addr.IsZero() {
		return addr, nil
	}
	if _, err := io.ReadFull(s.rand, addr[:]); err != nil {
		return addr, fmt.Errorf("reading random octets for a hardware address: %w", err)
	}
	addr[0] = addr[0]&^1 | 2 // an individual address, locally administered
	return addr, nil
}

func sameDevice(a, b dev.Device) bool {
	kind := reflect.TypeOf(a)
	return a != nil && kind == reflect.TypeOf(b) && kind.Comparable() && a == b
}

// RemoveInterface removes an interface with its addresses and routes, and drops what waits to leave by it. Its device
// is free to be used otherwise. The error, which wraps ErrConfig, says that it is the loopback or none of the
// stack's.
func (s *Stack) RemoveInterface(now time.Time, l *Interface) error {
	s.enter(now)
	if l == s.loopback || !slices.Contains(s.interfaces, l) {
		return fmt.Errorf("core: interface %q: %w: it cannot be removed", l.name, ErrConfig)
	}
	s.remove(l)
	return nil
}

// remove takes l from the stack, with all that there is of it.
func (s *Stack) remove(l *Interface) {
	if l.registrant != nil {
		l.registrant.host.Stop(s.now)
	}
	if l.registrar != nil {
		l.registrar.router.Stop(s.now)
	}
	if l.rpl != nil {
		l.rpl.stop(s.now)
	}
	if l.autoconf != nil {
		l.autoconf.host.Stop(s.now)
	}
	s.redirects.remove(func(r Route) bool { return r.Link == l.index })
	s.interfaces = slices.DeleteFunc(s.interfaces, func(other *Interface) bool { return other == l })
	l.removed = true
	if l.dhcpv4 != nil {
		l.dhcpv4.client.Close()
	}
	if l.linkLocalv4 != nil {
		l.linkLocalv4.claimer.Stop(s.now)
	}
	if l.dhcpv6 != nil {
		l.dhcpv6.client.Close()
	}
	for _, a := range slices.Clone(l.addresses) {
		l.dropAddress(s.now, a.addr())
	}
	for _, r := range s.routes.Routes() {
		if r.Link == l.index {
			_ = s.RemoveRoute(r)
		}
	}
	s.routesChanged() // there are paths without an address and a route
	l.groups.Close()
	if l.neighbours != nil {
		l.neighbours.Close()
	}
	if l.radio != nil {
		l.radio.close(s.now)
	}
	for p := l.control.Pop(); p != nil; p = l.control.Pop() {
		l.drop(DropInterfaceRemoved, p)
	}
	for p := l.transit.Pop(); p != nil; p = l.transit.Pop() {
		l.drop(DropInterfaceRemoved, p)
	}
	for _, p := range l.outgoing {
		l.drop(DropInterfaceRemoved, p)
	}
	l.outgoing = nil
	for l.line.first != nil {
		sender := l.line.pop()
		if f, ok := sender.(*fragmenting); ok {
			l.counters.drop(DropInterfaceRemoved, l.counters.ip(f.packet.IP.Dst.Is6()))
			l.endFragments(f, &l.line)
			continue
		}
		if l != s.loopback {
			s.loopback.line.push(sender) // from where its packets go wherever they are routed
		}
	}
	s.raw.LinkRemoved(l.index)
	counters := l.Counters()
	s.rest.add(&counters)
	l.device = nil
}

// withdraw undoes what AddInterface has done for an interface that cannot be.
func (s *Stack) withdraw(l *Interface) {
	s.remove(l)
	s.lastIndex--
}

// addressesChanged brings everything up to date that depends on addresses.
func (s *Stack) addressesChanged() {
	s.local.rebuild(s.interfaces)
	s.sources = s.sources[:0]
	for _, l := range s.interfaces {
		l.broadcastsv4 = l.broadcastsv4[:0]
		for _, a := range l.addresses {
			if l.loopback() || !a.state.usable() {
				continue
			}
			s.sources = append(s.sources, route.Address{
				Prefix: a.prefix, Link: l.index, Deprecated: a.state == Deprecated, Temporary: a.temporary,
			})
			if last, ok := subnetBroadcast(a.prefix); ok {
				l.broadcastsv4 = append(l.broadcastsv4, last)
			}
		}
	}
	s.routesChanged()
}

// loopback reports whether l is the built-in loopback.
func (l *Interface) loopback() bool { return l.device == nil && l.index == loopbackIndex }

// has reports whether addr is one of the interface's own addresses, in use.
func (l *Interface) has(addr netip.Addr) bool {
	a := l.find(addr)
	return a != nil && a.state.usable()
}

// find returns the interface's own address addr, in whatever state; nil if there is none.
func (l *Interface) find(addr netip.Addr) *address {
	for _, a := range l.addresses {
		if a.addr() == addr {
			return a
		}
	}
	return nil
}

// hasFamily reports whether the interface has an address of IPv6, or IPv4.
func (l *Interface) hasFamily(v6 bool) bool {
	return slices.ContainsFunc(l.addresses, func(a *address) bool { return a.addr().Is6() == v6 && a.state.usable() })
}

// speaks reports whether packets to addr can leave by the interface at all.
func (l *Interface) speaks(addr netip.Addr) bool {
	if addr.Is4() {
		return l.radio == nil
	}
	return l.ipv6
}

// broadcastv4 reports whether addr is the broadcast address of a subnet that the interface is in.
func (l *Interface) broadcastv4(addr uint32) bool {
	for _, own := range l.broadcastsv4 {
		if own == addr {
			return true
		}
	}
	return false
}

// Broadcasts reports whether addr is the broadcast address of a subnet that the interface is in.
func (l *Interface) Broadcasts(addr netip.Addr) bool {
	if !addr.Is4() || len(l.broadcastsv4) == 0 {
		return false
	}
	b := addr.As4()
	return l.broadcastv4(binary.BigEndian.Uint32(b[:]))
}

// segments reports whether the device takes super-segments of the version of IP.
func (l *Interface) segments(v6 bool) bool {
	if v6 {
		return l.segmentsTCP
	}
	return l.segmentsTCPv4
}

// fills and verifies report what the device does about the checksum of a protocol above IP.
func (l *Interface) fills(protocol uint8) bool { return l.checksumOf(protocol)&dev.ChecksumTx != 0 }

func (l *Interface) verifies(protocol uint8) bool { return l.checksumOf(protocol)&dev.ChecksumRx != 0 }

func (l *Interface) checksumOf(protocol uint8) dev.Checksum {
	switch protocol {
	case ip.ProtocolTCP:
		return l.checksum.TCP
	case ip.ProtocolUDP:
		return l.checksum.UDP
	case ip.ProtocolICMPv4:
		return l.checksum.ICMPv4
	case ip.ProtocolICMPv6:
		return l.checksum.ICMPv6
	}
	return 0
}

// arrival is the path that packets of the version come by.
func (l *Interface) arrival(v6 bool) *path {
	if v6 {
		return &l.arrivalv6
	}
	return &l.arrivalv4
}
