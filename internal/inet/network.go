// Package inet knows the words in which package net's functions speak of networks and addresses: "tcp4", "host:port",
// ":http". Whatever takes them, in dialer, listener and smolnet, understands them here.
package inet

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Network is one of the networks that a stack knows, as a number to save memory.
type Network uint8

// The networks: of both families, of IPv4 and of IPv6.
const (
	TCP Network = iota
	TCP4
	TCP6
	UDP
	UDP4
	UDP6
	IP
	IP4
	IP6
)

var networks = [...]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "ip", "ip4", "ip6"}

// ParseNetwork returns the network of the name: one of those above, where those of IP must have a protocol behind a colon. The errors
// are ParseIPNetwork's.
func ParseNetwork(name string) (Network, error) {
	if n := slices.Index(networks[:IP], name); n >= 0 {
		return Network(n), nil
	}
	n, _, err := ParseIPNetwork(name, true)
	return n, err
}

// ParseNetworkOf is ParseNetwork where only the networks of one protocol, "tcp", "udp" or "ip", will do.
func ParseNetworkOf(protocol, name string) (Network, error) {
	n, err := ParseNetwork(name)
	if err == nil && n.Protocol() != protocol {
		err = net.UnknownNetworkError(name)
	}
	return n, err
}

// ParsePlainNetwork returns which of IP, IP4 and IP6 the network is, without a protocol, or net.UnknownNetworkError.
func ParsePlainNetwork(name string) (Network, error) {
	i := slices.Index(networks[IP:], name)
	if i < 0 {
		return 0, net.UnknownNetworkError(name)
	}
	return IP + Network(i), nil
}

// ProtocolNetwork is the network of a protocol, "tcp", "udp" or "ip", for both families.
func ProtocolNetwork(protocol string) Network { return Network(slices.Index(networks[:], protocol)) }

// protocols are the numbers of IP's protocols that package net knows by name without asking the system.
var protocols = map[string]int{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

// ParseIPNetwork returns which of IP, IP4 and IP6 the network is, and the protocol behind a colon, which is a number, however large, or
// a name in letters of any case. It may be missing, unless it is needed. The errors are net.UnknownNetworkError, and *net.AddrError if
// the protocol is unknown.
func ParseIPNetwork(name string, needsProtocol bool) (n Network, protocol int, err error) {
	network, text := name, ""
	colon := strings.LastIndexByte(name, ':')
	if colon >= 0 {
		network, text = name[:colon], name[colon+1:]
	}
	i := slices.Index(networks[IP:], network)
	if i < 0 || colon < 0 && needsProtocol {
		return 0, 0, net.UnknownNetworkError(name)
	}
	n = IP + Network(i)
	if colon < 0 {
		return n, 0, nil
	}
	if number, err := strconv.ParseUint(text, 10, 24); err == nil {
		return n, int(number), nil
	}
	number, known := protocols[strings.ToLower(text)]
	if !known {
		return 0, 0, &net.AddrError{Err: "unknown IP protocol specified", Addr: text}
	}
	return n, number, nil
}

func (n Network) String() string { return networks[n] }

// Protocol is "tcp", "udp" or "ip".
func (n Network) Protocol() string { return networks[n-n%3] }

// Family is '4' or '6' for networks of one family, and another octet for those of both.
func (n Network) Family() byte { return networks[n][len(networks[n])-1] }

// Of is the network of the same protocol that has one family only: that of addr, or if that is not valid IPv4, where the
// network has it.
func (n Network) Of(addr netip.Addr) Network {
	first := n - n%3
	if addr.Unmap().Is4() || !addr.IsValid() && n.Family() != '6' {
		return first + 1
	}
	return first + 2
}

// Has reports whether addr, which is in its plain form, is an address of the network.
func (n Network) Has(addr netip.Addr) bool {
	switch n.Family() {
	case '4':
		return addr.Is4()
	case '6':
		return addr.Is6()
	}
	return true
}

// Addr is addr in package net's form for the network: a *net.TCPAddr, a *net.UDPAddr or a *net.IPAddr.
func (n Network) Addr(addr netip.AddrPort) net.Addr {
	switch n.Protocol() {
	case "tcp":
		return net.TCPAddrFromAddrPort(addr)
	case "udp":
		return net.UDPAddrFromAddrPort(addr)
	}
	return &net.IPAddr{IP: addr.Addr().AsSlice(), Zone: addr.Addr().Zone()}
}

// AddrPort is addr, one of package net's, with an IPv4 address in its plain form; ok says whether it is one of the
// network's. A nil pointer is no address.
func (n Network) AddrPort(addr net.Addr) (plain netip.AddrPort, ok bool) {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		plain, ok = addr.AddrPort(), n.Protocol() == "tcp"
	case *net.UDPAddr:
		plain, ok = addr.AddrPort(), n.Protocol() == "udp"
	case *net.IPAddr:
		if ok = n.Protocol() == "ip"; addr != nil {
			ip, _ := netip.AddrFromSlice(addr.IP)
			plain = netip.AddrPortFrom(ip.WithZone(addr.Zone), 0)
		}
	}
	return netip.AddrPortFrom(plain.Addr().Unmap(), plain.Port()), ok
}
