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
)

var networks = [...]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}

// ParseNetwork returns the network of the name, or net.UnknownNetworkError.
func ParseNetwork(name string) (Network, error) {
	n := slices.Index(networks[:], name)
	if n < 0 {
		return 0, net.UnknownNetworkError(name)
	}
	return Network(n), nil
}

// ParseNetworkOf is ParseNetwork where only the networks of one protocol, "tcp" or "udp", will do.
func ParseNetworkOf(protocol, name string) (Network, error) {
	n, err := ParseNetwork(name)
	if err == nil && n.Protocol() != protocol {
		err = net.UnknownNetworkError(name)
	}
	return n, err
}

// protocols are the numbers of IP's protocols that package net knows by name without asking the system.
var protocols = map[string]int{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

// ParseIPNetwork returns which of "ip", "ip4" and "ip6" the network is, that may have a protocol, as a number or by name, behind a
// colon. The errors are net.UnknownNetworkError, and *net.AddrError if the protocol is unknown.
func ParseIPNetwork(name string) (string, error) {
	network, protocol, given := strings.Cut(name, ":")
	switch network {
	case "ip", "ip4", "ip6":
	default:
		return "", net.UnknownNetworkError(name)
	}
	if _, known := protocols[protocol]; given && !known {
		if _, err := strconv.ParseUint(protocol, 10, 24); err != nil {
			return "", &net.AddrError{Err: "unknown IP protocol specified", Addr: protocol}
		}
	}
	return network, nil
}

func (n Network) String() string { return networks[n] }

// Protocol is "tcp" or "udp".
func (n Network) Protocol() string { return networks[n][:3] }

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

// Addr is addr in package net's form for the network: a *net.TCPAddr or a *net.UDPAddr.
func (n Network) Addr(addr netip.AddrPort) net.Addr {
	if n.Protocol() == "tcp" {
		return net.TCPAddrFromAddrPort(addr)
	}
	return net.UDPAddrFromAddrPort(addr)
}

// AddrPort is addr, one of package net's, with an IPv4 address in its plain form; ok says whether it is one of the
// network's. A nil pointer is no address.
func (n Network) AddrPort(addr net.Addr) (plain netip.AddrPort, ok bool) {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		plain, ok = addr.AddrPort(), n.Protocol() == "tcp"
	case *net.UDPAddr:
		plain, ok = addr.AddrPort(), n.Protocol() == "udp"
	}
	return netip.AddrPortFrom(plain.Addr().Unmap(), plain.Port()), ok
}
