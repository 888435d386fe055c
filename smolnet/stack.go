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
// To connect: Stack.Dial, DialContext, DialTimeout, DialTCP and DialUDP; package dialer for more. To listen: Stack.Listen,
// ListenPacket, ListenTCP and ListenUDP; package listener for more. What they return is a [TCPConn], a [TCPListener] or a [UDPConn]:
// their namesakes in package net, whose methods they have but for File and SyscallConn.
//
// To look names up: Stack.LookupHost and the others of package net's, which ask Stack.Resolver, a [Resolver] that Config.Resolver
// configures; Resolver.NetResolver for what demands a *net.Resolver. To look around: Stack.Interfaces and the like.
//
// What package net has no words for is in addition:
//
//   - interfaces: Stack.AddInterface, [Link]
//   - options of TCP: of a stack in Config.TCP, of single connections in the field TCP of dialer.Dialer and listener.ListenConfig,
//     and later by methods of TCPConn such as SetCongestionControl. TCPConn.Info tells what Linux's tcp_info does
//   - Stack.DialFastOpen, TCPConn.WriteBuffers
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
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/neighbour"
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

	// TCP and UDP configure the transports. The options in them are the defaults of connections and sockets.
	TCP tcp.Config
	UDP udp.Config

	// Neighbours has the times and numbers of probes of neighbour discovery.
	Neighbours neighbour.Config

	// Resolver says whom the stack asks for the numbers of names, and how. The zero value knows nobody to ask.
	Resolver ResolverConfig
}

// Interface describes an interface to be added to a stack.
type Interface struct {
	// Name is for people, and the zone of link-local addresses. It must differ from other interfaces' names. Empty:
	// "if" and the index.
	Name string

	// Device carries the interface's packets. The stack closes it when it is itself closed.
	Device dev.Device

	// HardwareAddr is the interface's address on an Ethernet. Zero: the device's own, or if it has none a random
	// locally administered one.
	HardwareAddr wire.HardwareAddr

	// MTU is the largest IP packet, in octets, that the interface sends: at most the device's, which is the default.
	MTU int

	// NoIPv6 leaves IPv6 off.
	NoIPv6 bool

	// Addresses are the interface's own addresses with the prefixes of the networks that they are in.
	Addresses []netip.Prefix

	// Routes lead to what lies behind routers.
	Routes []core.Route
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
	c, err := core.New(time.Now(), core.Config{
		Limits: config.Limits, Rand: config.Rand, Logger: config.Logger,
		TCP: config.TCP, UDP: config.UDP, Neighbours: config.Neighbours,
	})
	if err != nil {
		return nil, err
	}
	s := &Stack{
		keepAlive: config.TCP.Options.KeepAlive,
		logger:    config.Logger,
		rand:      config.Rand,
		core:      c,
	}
	s.dialer.Stack = s
	if s.resolver, err = NewResolver(s, config.Resolver); err != nil {
		return nil, err
	}
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

// Close resets all connections, makes every call return, closes the devices, and ends every goroutine of the
// stack's before it returns. What is still called afterwards returns net.ErrClosed, in a *net.OpError. Closing
// again does nothing.
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
	// The resets leave if the devices take them at once, whoever is sending.
	s.core.TCP().Close(time.Now())
	s.release()
	s.mu.Lock()
	for _, l := range s.links {
		for l.device != nil && l.sending && !l.full {
			s.steppedDown.Wait()
		}
	}
	s.mu.Unlock()

	for _, l := range s.links {
		if l.device != nil {
			l.device.Close()
		}
	}
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
	s.unlock()
	return nil
}
