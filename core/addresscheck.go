package core

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/smolnet/smolnet/core/wire"
)

// checkAddress returns what is wrong with the address for this interface.
func (l *Interface) checkAddress(address netip.Prefix) error {
	addr := address.Addr()
	fail := func(format string, args ...any) error {
		return fmt.Errorf("address %v %w", address, fmt.Errorf(format, args...))
	}
	switch {
	case l.removed:
		return fail("on an interface that was removed")
	case !address.IsValid():
		return fail("is no address with a prefix length")
	case addr.Is4In6():
		return fail("is an IPv4-mapped IPv6 address")
	case addr.IsUnspecified(), addr.IsMulticast(), reservedv4(addr):
		return fail("is no unicast address")
	case addr.IsLoopback() != l.loopback():
		return fail("and this interface do not go together: only the loopback has loopback addresses, and no others")
	case addr.Is6() && !l.ipv6:
		return fail("needs IPv6, which is off, or an MTU of %d; it is %d", wire.IPv6MinMTU, l.mtu)
	case addr.Is4() && address.Bits() < 31 && addr == address.Masked().Addr():
		return fail("is that of the network itself")
	case len(l.addresses) >= l.stack.limits.Addresses:
		return fail("would exceed Limits.Addresses, %d", l.stack.limits.Addresses)
	}
	if last, ok := subnetBroadcast(address); ok && toAddrv4(last) == addr {
		return fail("is the broadcast address of its network")
	}
	for _, other := range l.stack.interfaces {
		for _, taken := range other.addresses {
			if err := overlap(l == other, address, taken.prefix); err != nil {
				return fail("%w, of interface %q", err, other.name)
			}
		}
	}
	return nil
}

// overlap returns how two addresses, of one interface or of two, exclude each other. Several addresses in one network
// are in order on one interface. On two, neither would know which of them the neighbours in that network are behind;
// except with link-local addresses, which come with the interface's name.
func overlap(sameInterface bool, address, taken netip.Prefix) error {
	switch {
	case isLinkLocalv6(address) && !sameInterface:
	case address.Addr() == taken.Addr():
		return fmt.Errorf("is a duplicate of %v", taken)
	case sameInterface || address.IsSingleIP() || taken.IsSingleIP():
	case address.Overlaps(taken):
		return fmt.Errorf("overlaps with %v", taken)
	}
	return nil
}

// reservedv4 reports whether addr is in 0.0.0.0/8 or 240.0.0.0/4, which nobody may have by RFC 6890 section 2.2.2.
func reservedv4(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	first := addr.As4()[0]
	return first == 0 || first >= 240
}

func isLinkLocalv6(address netip.Prefix) bool {
	return address.Addr().Is6() && address.Addr().IsLinkLocalUnicast()
}

// subnetBroadcast returns the last address of an IPv4 network, which is its broadcast address unless the network is
// too small to have one: RFC 3021.
func subnetBroadcast(address netip.Prefix) (uint32, bool) {
	if !address.Addr().Is4() || address.Bits() > 30 {
		return 0, false
	}
	b := address.Masked().Addr().As4()
	return binary.BigEndian.Uint32(b[:]) | broadcastv4>>address.Bits(), true
}

func toAddrv4(addr uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)})
}
