// Package dhcpv4 has the two sides of the Dynamic Host Configuration Protocol for IPv4 (RFC 2131): a [Client] that gets a
// lease and keeps it, and a small [Server] for test networks and taps. Both are plain state machines: messages and time
// go in, messages come out.
//
// The client departs from RFC 2131 in little:
//
//   - It does not wait between one and ten seconds before its first message (section 4.4.1), as no client of today does.
//   - It takes the first offer that is acceptable: one of an address that a host can have, by a server that names
//     itself, for no less than Config.MinLease.
//   - A server that contradicts itself is corrected rather than refused: T1 and T2 that do not come in their order before
//     the lease's end are replaced by their defaults, and what an acknowledgment of a renewal leaves out stays as it was.
//
// Times are nanoseconds since the stack's epoch; the client's timer lives in the stack's heap.
package dhcpv4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// ErrInvalid is what the error wraps that says what is wrong with a configuration.
var ErrInvalid = errors.New("dhcpv4: invalid value")

// Why a lease was lost. The error that Link.Lost is given wraps one of them.
var (
	ErrExpired  = errors.New("dhcpv4: the lease has expired")
	ErrRefused  = errors.New("dhcpv4: the server refuses the address")
	ErrConflict = errors.New("dhcpv4: the address is in use by another host")
	ErrReleased = errors.New("dhcpv4: the lease was released")
)

// Link is the interface that a client configures. The client calls it last, when its own state is settled.
type Link interface {
	// Send transmits a message from port 68 of src to port 67 of dst, and keeps none of it. src is 0.0.0.0 while there
	// is no lease; dst is 255.255.255.255, or a server's address while src is the leased one.
	Send(now int64, message []byte, src, dst netip.Addr)

	// Probe has the link find out whether another host has the address of the lease, which is not in use yet, and
	// tell Client.Probed.
	Probe(now int64, lease *Lease)

	// Bound is told of a new lease, whose address has passed Probe, and of each change to it or its times.
	Bound(now int64, lease *Lease)

	// Lost is told that the lease, which Bound or Probe was told of, is over, and why.
	Lost(now int64, lease *Lease, why error)

	// Silent is told that no server answers, Config.SilentAfter messages of the discovery having been in vain. The
	// discovery goes on.
	Silent(now int64)
}

// Limits bound what a client takes over from a server, and what a server keeps. Zero in a field means its default.
type Limits struct {
	// Routers is how many default routers of a lease count, the first ones. Default 8.
	Routers int
	// Routes is how many classless routes of a lease count. Default 32.
	Routes int
	// Servers is how many DNS servers count, and how many NTP servers. Default 8.
	Servers int
	// Domains is how many domains of a search list count. Default 16.
	Domains int
	// Leases is how many leases, offers and addresses that were declined a server remembers at once. Default 1024.
	Leases int
}

// WithDefaults fills in what is zero. The error, which wraps ErrInvalid, names a field that is negative.
func (l Limits) WithDefaults() (Limits, error) {
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Routers", &l.Routers, 8},
		{"Routes", &l.Routes, 32},
		{"Servers", &l.Servers, 8},
		{"Domains", &l.Domains, 16},
		{"Leases", &l.Leases, 1024},
	} {
		if *f.value < 0 {
			return l, fmt.Errorf("%w: Limits.%s is negative: %d", ErrInvalid, f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	return l, nil
}

// Defaults of Config.
const (
	DefaultMinLease       = 30 * time.Second
	DefaultMaxMessageSize = 1472
	DefaultSilentAfter    = 2
)

// DefaultParameters returns the codes of the options that a client asks for unless Config says otherwise: all that a
// Lease has.
func DefaultParameters() []uint8 {
	return []uint8{
		// "The Classless Static Routes option code MUST appear in the parameter request list prior to both the Router
		// option code and the Static Routes option code, if present."
		// https://www.rfc-editor.org/rfc/rfc3442.html
		wire.DHCPv4OptionSubnetMask, wire.DHCPv4OptionClasslessRoutes, wire.DHCPv4OptionRouters, wire.DHCPv4OptionDNSServers,
		wire.DHCPv4OptionHostname, wire.DHCPv4OptionDomainName, wire.DHCPv4OptionMTU, wire.DHCPv4OptionBroadcastAddr,
		wire.DHCPv4OptionNTPServers, wire.DHCPv4OptionRenewalTime, wire.DHCPv4OptionRebindingTime, wire.DHCPv4OptionDomainSearch,
	}
}

// Config says how a client behaves. What is zero has its default.
type Config struct {
	// Timers, Link, Rand, HardwareAddr and Limits are what a client works with; the first four are required. Package
	// core fills them in. Rand returns uniformly distributed numbers. HardwareAddr is the interface's, of an Ethernet.
	Timers       *timer.Heap
	Link         Link
	Rand         func() uint64
	HardwareAddr wire.HardwareAddr
	Limits       Limits

	// ClientID is what the server knows the client by: the first octet says of which type the others are. 2 octets at
	// least, 255 at most. Default: type 1, Ethernet, and the hardware address. NodeClientID makes one of another kind.
	ClientID []byte

	// Hostname is what the client says that it is called, up to 255 printable ASCII characters. Empty: it does not say.
	Hostname string

	// VendorClass is of which kind the client is, up to 255 printable ASCII characters. Empty: it does not say.
	VendorClass string

	// Previous is the address that the client had when it last ran, which it tries to get back without discovery
	// (INIT-REBOOT). Servers that know nothing of it do not answer, which takes some seconds.
	Previous netip.Addr

	// RequestedAddr is the address that the client would like to be offered.
	RequestedAddr netip.Addr

	// LeaseTime is how long the client would like a lease to be, in seconds and up to wire.DHCPv4Infinite. 0: it does not
	// say.
	LeaseTime time.Duration

	// MinLease is the shortest lease that the client accepts; shorter ones are not worth their messages. Default 30 s.
	MinLease time.Duration

	// Parameters are the codes of the options that the client asks for. Default: DefaultParameters.
	Parameters []uint8

	// MaxMessageSize is how long a message, in octets, the client says that it can take, 576 at least. Default 1472.
	MaxMessageSize uint16

	// Broadcast asks servers to broadcast what they send to a client that has no address. Nothing here needs it, but
	// there are servers and bridges that cannot do otherwise.
	Broadcast bool

	// SilentAfter is after how many messages of a discovery without answer Link.Silent is called. Default 2, which is
	// about 12 s.
	SilentAfter int
}

// NodeClientID returns a client identifier that tells hosts apart whatever interfaces they have, and is the same that the host uses
// for DHCPv6: of the interface's IAID and the host's DUID, of at most 128 octets.
// https://www.rfc-editor.org/rfc/rfc4361.html#section-6.1
func NodeClientID(iaid uint32, duid []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{255}, iaid), duid...)
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Timers == nil || cfg.Link == nil || cfg.Rand == nil || cfg.HardwareAddr.IsZero() {
		return cfg, fmt.Errorf("%w: Timers, Link, Rand and HardwareAddr are required", ErrInvalid)
	}
	var err error
	if cfg.Limits, err = cfg.Limits.WithDefaults(); err != nil {
		return cfg, err
	}
	if cfg.ClientID == nil {
		cfg.ClientID = append([]byte{hardwareEthernet}, cfg.HardwareAddr[:]...)
	}
	if cfg.Parameters == nil {
		cfg.Parameters = DefaultParameters()
	}
	if cfg.MinLease == 0 {
		cfg.MinLease = DefaultMinLease
	}
	if cfg.MaxMessageSize == 0 {
		cfg.MaxMessageSize = DefaultMaxMessageSize
	}
	if cfg.SilentAfter == 0 {
		cfg.SilentAfter = DefaultSilentAfter
	}
	return cfg, cfg.Check()
}

// hardwareEthernet is the type of hardware addresses, and of client identifiers made from one.
const hardwareEthernet = 1

// Check returns an error that wraps ErrInvalid and names a value that is wrong, zero ones standing for their defaults. It
// does not look at what package core fills in.
func (cfg *Config) Check() error {
	for _, c := range []struct {
		wrong bool
		what  string
		value any
	}{
		{cfg.ClientID != nil && (len(cfg.ClientID) < 2 || len(cfg.ClientID) > 255), "ClientID of 2 to 255 octets", cfg.ClientID},
		{!isText(cfg.Hostname), "Hostname", cfg.Hostname},
		{!isText(cfg.VendorClass), "VendorClass", cfg.VendorClass},
		{cfg.Previous.IsValid() && !unicast(cfg.Previous), "Previous", cfg.Previous},
		{cfg.RequestedAddr.IsValid() && !unicast(cfg.RequestedAddr), "RequestedAddr", cfg.RequestedAddr},
		{cfg.LeaseTime < 0 || cfg.LeaseTime > wire.DHCPv4Infinite, "LeaseTime", cfg.LeaseTime},
		{cfg.MinLease < 0 || cfg.MinLease > wire.DHCPv4Infinite, "MinLease", cfg.MinLease},
		{len(cfg.Parameters) > 255, "Parameters of 255 octets at most", len(cfg.Parameters)},
		{cfg.MaxMessageSize != 0 && cfg.MaxMessageSize < 576, "MaxMessageSize", cfg.MaxMessageSize},
		{cfg.SilentAfter < 0, "SilentAfter", cfg.SilentAfter},
	} {
		if c.wrong {
			return fmt.Errorf("%w: %s: %v", ErrInvalid, c.what, c.value)
		}
	}
	return nil
}

// isText reports whether s fits in an option of text.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 255
}

// unicast reports whether addr is an address of IPv4 that a host on a network can have.
func unicast(addr netip.Addr) bool {
	if !addr.Is4() || addr.IsLoopback() || addr.IsMulticast() {
		return false
	}
	// 0.0.0.0/8 is "this network", and 240.0.0.0/4 is reserved but for the broadcast address (RFC 1122, section 3.2.1.3).
	first := addr.As4()[0]
	return first != 0 && first < 240
}

// hosts reports whether addr is a host's in its network, and not the network's own or its broadcast address.
func hosts(network netip.Prefix, addr netip.Addr) bool {
	if !network.Contains(addr) {
		return false
	}
	return network.Bits() >= 31 || addr != network.Masked().Addr() && addr != broadcast(network)
}

// broadcast is the last address of a network.
func broadcast(network netip.Prefix) netip.Addr {
	b := network.Masked().Addr().As4()
	for i := network.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
