// Package smolnet is a TCP/IP stack with the face of package net: Stack's methods are package net's functions, and
// what they return is net.Conn, net.Listener and net.PacketConn with package net's behaviour and errors, to be used
// by net/http, crypto/tls and anything else that takes those.
//
//	stack, err := smolnet.New(smolnet.Config{})
//	_, err = stack.AddInterface(smolnet.Interface{
//		Device:    device,
//		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24")},
//	})
//	l, err := stack.Listen("tcp", ":80")
//	err = http.Serve(l, handler)
//
// # What there is
//
// To connect: Stack.Dial, DialContext, DialTimeout, DialTCP, DialUDP and DialIP; package dialer for more. To listen: Stack.Listen,
// ListenPacket, ListenTCP, ListenUDP and ListenIP; package listener for more. What they return is a [TCPConn], a [TCPListener], a
// [UDPConn] or an [IPConn]: their namesakes in package net, whose methods they have but for File and SyscallConn.
//
// To look names up: Stack.LookupHost and the others of package net's, which ask Stack.Resolver, a [Resolver] that Config.Resolver
// configures; Resolver.NetResolver for what demands a *net.Resolver. To look around: Stack.Interfaces and the like.
//
// What package net has no words for is in addition:
//
//   - interfaces: Stack.AddInterface, [Link]; Link.SetForward makes the stack a router, Stack.AddRoute tells it the ways
//   - interfaces that configure themselves: the fields Autoconf, DHCPv4, DHCPv6 and LinkLocalv4 of [Interface]. Stack.Resolver asks the
//     name servers that these bring. DHCPv4Server hands out addresses to others
//   - what a stack knows: Link.Addresses, Neighbours, Groups, Routers, Prefixes, NameServers, SearchDomains, DHCPv4Lease and DHCPv6Lease,
//     Stack.Routes and PathMTUs; and what becomes of it, as it happens: Stack.Watch
//   - IEEE 802.15.4 radios, with 6LoWPAN: the field IEEE802154 of [Interface], on a device of package zep, serial, rawsock or radio below
//     dev; Link.LinkAddr, FrameCounter, Registrations, RPL and RPLTargets
//   - multicast groups, with their sources: UDPConn.JoinGroup and so on, by the names of golang.org/x/net
//   - options of TCP: of a stack in Config.TCP, of single connections in the field TCP of dialer.Dialer and listener.ListenConfig,
//     and later by methods of TCPConn such as SetCongestionControl. TCPConn.Info tells what Linux's tcp_info does
//   - Stack.DialFastOpen, TCPConn.WriteBuffers
//   - sockets below the transports: Stack.ListenPing and DialPing for echo requests ("pings") and their replies, or the ICMP errors about
//     a port; Link.ListenFrames for the frames of an Ethernet; Stack.ListenAllIP for the IP packets of all protocols
//   - what else the header of a datagram says: UDPConn.SetControlMessage and [ControlMessage]
//   - connections and datagrams to any address, for proxies, VPNs and sandboxes: Stack.ForwardTCP and Stack.ForwardUDP
//   - package httpclient, below this one: clients of net/http
//
// Errors are package net's: nearly all a *net.OpError, around an *os.SyscallError with the number that Linux has for it, or around
// net.ErrClosed, os.ErrDeadlineExceeded or a context's error, which errors.Is finds.
//
// # How it works
//
// The protocols are in package core, which has no goroutine, lock or clock. This package adds those: a mutex around
// the core, two goroutines for each device, a timer, and a way to wait.
//
// Everything that waits does so on a channel with no lock held, so that a program whose devices do likewise, such
// as two stacks on a dev/pipe, runs inside a testing/synctest bubble in virtual time.
package smolnet

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/core/multicast"
	"github.com/smolnet/smolnet/core/neighbour"
	"github.com/smolnet/smolnet/core/reassembly"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
)

// Config says how a stack behaves. The zero value is a sound configuration. It is core.Config, where the fields are
// described in more detail, with a Resolver, and except that keep-alive is on by default, as package net has it.
type Config struct {
	// Limits bound everything the stack keeps. Zero fields stand for their defaults.
	Limits core.Limits

	// Rand is where secrets, ports and the like come from. nil: crypto/rand.Reader.
	Rand io.Reader

	// Logger is told what happens: normal events at core.LevelTrace, malformed packets and what is exceptional at
	// slog.LevelDebug. nil: nobody listens.
	Logger *slog.Logger

	// NoEchoReply leaves echo requests ("pings") unanswered by the stack.
	NoEchoReply bool

	// NoFlowLabels leaves the flow labels of IPv6 zero. Otherwise those of TCP and UDP are a seeded hash of addresses and ports.
	NoFlowLabels bool

	// TCP and UDP configure the transports. The options in them are the defaults of connections and sockets.
	TCP tcp.Config
	UDP udp.Config

	// Neighbours has the times and numbers of probes of neighbour discovery.
	Neighbours neighbour.Config

	// Multicast has the robustness and the query interval of IGMP and Multicast Listener Discovery.
	Multicast multicast.Config

	// Reassembly has the times that fragments wait for the others of their packets.
	Reassembly reassembly.Config

	// Resolver says whom the stack asks for the numbers of names, and how. Without Servers, or without Search, it takes those that
	// DHCP servers and routers tell of.
	Resolver ResolverConfig
}

// Interface describes an interface to be added to a stack.
type Interface struct {
	// Name is for people, and the zone of link-local addresses. It must differ from other interfaces' names. Empty:
	// "if" and the index.
	Name string

	// Device carries the interface's packets. The stack closes it when it is itself closed.
	Device dev.Device

	// HardwareAddr is the interface's address on an Ethernet; on other media it stays zero. Zero: the device's own, or if it has
	// none a random locally administered one.
	HardwareAddr wire.HardwareAddr

	// IEEE802154 configures an interface on such a radio: its network, its addresses, acknowledgments, security, contexts, and whether
	// it is a border router or takes part in RPL. nil: as the zero core.IEEE802154Config; on other media it is nil.
	IEEE802154 *core.IEEE802154Config

	// MTU is the largest IP packet, in octets, that the interface sends: at most the device's, which is the default.
	MTU int

	// NoIPv6 leaves IPv6 off, which a radio cannot do without.
	NoIPv6 bool

	// NoGroupReports has the interface tell nobody of the multicast groups that it belongs to. Otherwise it speaks IGMP and
	// Multicast Listener Discovery, except on a radio, where nobody listens.
	NoGroupReports bool

	// Forward has the stack route packets that arrive by the interface and are for others to whichever interface leads to
	// them: see Link.SetForward. Without it they are dropped.
	Forward bool

	// IgnoreRedirects has the stack stay with its routes when a router on the link knows a better way. Redirects are ignored
	// where Forward is set, too.
	IgnoreRedirects bool

	// AnyIP are ranges of addresses that the interface answers for though they are not its own: see Link.SetAnyIP.
	AnyIP []netip.Prefix

	// Addresses are the interface's own addresses with the prefixes of the networks that they are in.
	Addresses []netip.Prefix

	// DuplicateDetection says which addresses are looked for on the link before they are used. By default those of IPv6 are,
	// which takes a second or two on an Ethernet; meanwhile who dials, or listens at such an address, waits, if it is one of Addresses
	// or link-local. On a radio it has no effect: there routers register addresses, if the interface listens to them.
	DuplicateDetection core.DuplicateDetection

	// Autoconf, StableSecret and TemporaryAddresses have the interface configure itself from what routers advertise: see
	// core.InterfaceConfig.
	Autoconf           bool
	StableSecret       []byte
	TemporaryAddresses bool

	// Routes lead to what lies behind routers.
	Routes []core.Route

	// DHCPv4 has the interface, an Ethernet's, get itself an IPv4 address, routes and so on from a DHCP server. The lease goes
	// back to the server when the stack is closed. What package core fills in stays zero; &dhcpv4.Config{} will do. nil: it does
	// not. Calls do not wait for the lease, which takes some seconds: until it is there they fail, and Stack.Watch tells when.
	DHCPv4 *dhcpv4.Config

	// LinkLocalv4 has the interface, an Ethernet's, give itself an IPv4 link-local address (RFC 3927) if it has no other IPv4
	// address: with DHCPv4 once no server answers, until one does; otherwise at once.
	LinkLocalv4 bool

	// DHCPv4Server has the interface hand out addresses of its network to others. A zero Addr in it stands for the interface's
	// first IPv4 address. nil: it does not.
	DHCPv4Server *dhcpv4.ServerConfig

	// DHCPv6 says what the interface asks DHCPv6 servers for. By default that is what routers say, if it listens to them. The
	// addresses go back to the server when the stack is closed.
	DHCPv6 core.DHCPv6Config
}

// Stack is a TCP/IP stack. Its methods may be called by several goroutines at once.
type Stack struct {
	keepAlive  tcp.KeepAlive // the default
	logger     *slog.Logger  // may be nil
	rand       io.Reader     // the core's too: the mutex guards it
	resolver   *Resolver
	dialer     dialer.Dialer // of the methods that have no options
	goroutines sync.WaitGroup
	ctx        context.Context // ended by Close
	end        context.CancelFunc

	// mu guards the core, and what the shell knows of its endpoints. It is not held while user memory is copied,
	// while a device is called, or while anybody waits.
	mu     sync.Mutex
	core   *core.Stack
	links  []*Link // the loopback first
	closed bool

	serversChanged atomic.Uint64 // how often what the stack knows of name servers has changed

	watches  []*Watch
	settling chan struct{} // closed when something becomes of an address; nil: nobody waits for that

	steppedDown sync.Cond // of mu: a link has no sender any more

	firstNoted, lastNoted *endpoint // those to whom something has happened

	timer  *time.Timer
	wakeAt time.Time // what the timer is set for; zero: it is not
}

var (
	_ dialer.Stack   = (*Stack)(nil)
	_ listener.Stack = (*Stack)(nil)
)

// New makes a stack that has only its built-in loopback interface, 127.0.0.1 and ::1. The error, which wraps
// core.ErrConfig, names what is wrong with the configuration.
func New(config Config) (*Stack, error) {
	if config.TCP.Options.KeepAlive == (tcp.KeepAlive{}) {
		config.TCP.Options.KeepAlive = defaultKeepAlive
	}
	config.Rand = cmp.Or(config.Rand, rand.Reader)
	s := &Stack{keepAlive: config.TCP.Options.KeepAlive, logger: config.Logger, rand: config.Rand}
	c, err := core.New(time.Now(), core.Config{
		Limits: config.Limits, Event: s.happened, Rand: config.Rand, Logger: config.Logger, NoEchoReply: config.NoEchoReply,
		NoFlowLabels: config.NoFlowLabels,
		TCP:          config.TCP, UDP: config.UDP, Neighbours: config.Neighbours, Multicast: config.Multicast, Reassembly: config.Reassembly,
	})
	if err != nil {
		return nil, err
	}
	s.core = c
	s.dialer.Stack = s
	if s.resolver, err = NewResolver(s, config.Resolver); err != nil {
		return nil, err
	}
	s.resolver.following.servers = len(config.Resolver.Servers) == 0
	s.resolver.following.search = len(config.Resolver.Search) == 0
	s.ctx, s.end = context.WithCancel(context.Background())
	s.steppedDown.L = &s.mu
	for _, ifc := range c.Interfaces() {
		s.links = append(s.links, &Link{stack: s, ifc: ifc})
	}
	return s, nil
}

// AddInterface adds an interface and begins to carry its packets. The error, which wraps core.ErrConfig, names what
// is wrong with the description, or is net.ErrClosed; the device is then the caller's still.
func (s *Stack) AddInterface(config Interface) (*Link, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, net.ErrClosed
	}
	ifc, err := s.core.AddInterface(time.Now(), core.InterfaceConfig(config))
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	l := &Link{stack: s, ifc: ifc, device: config.Device}
	s.links = append(s.links, l)
	s.goroutines.Go(l.receiver)
	s.release()
	return l, nil
}

// Links returns the stack's interfaces, the loopback first.
func (s *Stack) Links() []*Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Link(nil), s.links...)
}

// Counters returns the stack's statistics as of now.
func (s *Stack) Counters() core.Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Counters()
}

// PathMTUs returns what routers have said of the ways to destinations, and is still believed: see core.Limits.PathMTUs.
func (s *Stack) PathMTUs() []core.PathMTU {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.PathMTUs()
}

// Close resets all connections, makes every call return, closes the devices, and ends every goroutine of the
// stack's before it returns. DHCP leases go back to their servers. What is still called afterwards returns net.ErrClosed, in a
// *net.OpError. Closing again does nothing.
//
// What is to be sent for this is sent if the devices take it at once. One whose Send does not return is closed after a second.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.goroutines.Wait()
		return nil
	}
	s.closed = true
	s.end()
	if s.timer != nil && s.timer.Stop() {
		s.goroutines.Done()
	}
	giveUp := s.closeDevicesAfter(closePatience)
	// The resets, and what gives leases back, leave if the devices take them at once, whoever is sending.
	s.core.TCP().Close(time.Now())
	for _, l := range s.links {
		l.ifc.StopDHCPv4(time.Now())
		l.ifc.StopDHCPv6(time.Now())
	}
	s.release()
	s.mu.Lock()
	for _, l := range s.links {
		for l.device != nil && l.sending && !l.full {
			s.steppedDown.Wait()
		}
	}
	s.mu.Unlock()

	giveUp()
	s.goroutines.Wait()

	// Who is still sending is about to find out that the device is closed, and counts what could not be sent.
	s.mu.Lock()
	for slices.ContainsFunc(s.links, func(l *Link) bool { return l.sending }) {
		s.steppedDown.Wait()
	}
	for _, l := range s.links {
		l.discard()
	}
	s.core.Close(time.Now())
	for _, w := range s.watches {
		w.close()
	}
	s.unlock()
	return nil
}

// closePatience is how long Close waits for a device that neither sends a packet nor refuses it, which no device should do.
const closePatience = time.Second

// closeDevicesAfter closes all devices after the time, or as soon as the function is called that it returns, which waits for that. The
// stack is closed, so that there will be no more of them.
func (s *Stack) closeDevicesAfter(patience time.Duration) (now func()) {
	done := make(chan struct{})
	closeDevices := func() {
		defer close(done)
		for _, l := range s.links {
			if l.device != nil {
				l.device.Close()
			}
		}
	}
	timer := time.AfterFunc(patience, closeDevices)
	return func() {
		if timer.Stop() {
			closeDevices()
		}
		<-done
	}
}
