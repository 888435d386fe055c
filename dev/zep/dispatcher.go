package zep

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// DispatcherConfig says what a dispatcher is like.
type DispatcherConfig struct {
	// Local is the UDP address to receive at, "host:port". Default: the loopback address 127.0.0.1, at DefaultPort.
	Local string

	// Members is how many nodes can be known at once. While there are so many, others are not heard. Default: 256.
	Members int

	// Expiry is how long a node stays known that says nothing. Default: ten minutes.
	Expiry time.Duration
}

const (
	defaultMembers = 256
	defaultExpiry  = 10 * time.Minute
)

// Dispatcher makes a network of the nodes whose Remote it is: what one sends it hands on, as it is, to all others that it has
// heard from. It does what RIOT's tool zep_dispatch does.
type Dispatcher struct {
	conn *net.UDPConn

	mu      sync.Mutex
	members members
	stats   DispatcherStats
}

// DispatcherStats count what has become of datagrams until now.
type DispatcherStats struct {
	Members   int    // nodes that were known when the last datagram came
	Received  uint64 // datagrams, those dropped included
	Sent      uint64 // datagrams, to each node that one was handed on to
	Malformed uint64 // datagrams dropped because they were none of the protocol's, or longer than a frame can make them
	Refused   uint64 // datagrams dropped because their sender was one node too many
}

// NewDispatcher opens a dispatcher. Nothing is handed on before Run. The errors are an address that is none, and those of the
// system, such as that the port is in use.
func NewDispatcher(config DispatcherConfig) (*Dispatcher, error) {
	if config.Local == "" {
		config.Local = fmt.Sprintf("127.0.0.1:%d", DefaultPort)
	}
	if config.Members <= 0 {
		config.Members = defaultMembers
	}
	if config.Expiry <= 0 {
		config.Expiry = defaultExpiry
	}
	local, err := net.ResolveUDPAddr("udp", config.Local)
	if err != nil {
		return nil, fmt.Errorf("zep: local address %q: %w", config.Local, err)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, fmt.Errorf("zep: %w", err)
	}
	return &Dispatcher{conn: conn, members: members{most: config.Members, expiry: config.Expiry}}, nil
}

// LocalAddr is the UDP address at which the dispatcher receives: the Remote of its nodes.
func (d *Dispatcher) LocalAddr() netip.AddrPort {
	return canonical(d.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

// Stats returns what has become of datagrams until now.
func (d *Dispatcher) Stats() DispatcherStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Run hands on datagrams until Close, and then returns net.ErrClosed. Any other error is the system's. It is called once.
func (d *Dispatcher) Run() error {
	in := make([]byte, maxUDP)
	var to []netip.AddrPort
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(in)
		if errors.Is(err, net.ErrClosed) {
			return net.ErrClosed
		}
		if err != nil {
			return fmt.Errorf("zep: %w", err)
		}
		to = d.dispatch(time.Now(), from, in[:n], to[:0])
		for _, member := range to {
			if _, err := d.conn.WriteToUDPAddrPort(in[:n], member); err == nil {
				d.mu.Lock()
				d.stats.Sent++
				d.mu.Unlock()
			}
		}
	}
}

// dispatch appends to whom a datagram is to be handed on.
func (d *Dispatcher) dispatch(now time.Time, from netip.AddrPort, datagram []byte, to []netip.AddrPort) []netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Received++
	if len(datagram) <= offType || len(datagram) > maxDatagram || string(datagram[:len(preamble)]) != preamble {
		d.stats.Malformed++
		return to
	}
	known := d.members.hear(now, from)
	d.stats.Members = len(d.members.all)
	if !known {
		d.stats.Refused++
		return to
	}
	if datagram[offVersion] == 2 && datagram[offType] == typeHello {
		return to // says nothing to anybody else
	}
	for _, member := range d.members.all {
		if member.addr != from {
			to = append(to, member.addr)
		}
	}
	return to
}

// Close ends the dispatcher. Closing again does nothing.
func (d *Dispatcher) Close() error {
	_ = d.conn.Close()
	return nil
}

// members are the nodes that a dispatcher has heard from.
type members struct {
	most   int
	expiry time.Duration
	all    []member
}

type member struct {
	addr  netip.AddrPort
	heard time.Time // when it was heard last
}

// hear takes note of a node that was heard, and reports whether it is a member now.
func (m *members) hear(now time.Time, from netip.AddrPort) bool {
	m.all = slices.DeleteFunc(m.all, func(other member) bool { return now.Sub(other.heard) > m.expiry })
	at := slices.IndexFunc(m.all, func(other member) bool { return other.addr == from })
	switch {
	case at >= 0:
		m.all[at].heard = now
	case len(m.all) < m.most:
		m.all = append(m.all, member{from, now})
	default:
		return false
	}
	return true
}
