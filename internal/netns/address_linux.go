package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// AddAddress gives an interface an address in the subnet that prefix says, usable when it returns, or when the
// interface is up.
func AddAddress(name string, prefix netip.Prefix) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r := newRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.put(unix.IfAddrmsg{
		Family:    family(prefix.Addr()),
		Prefixlen: uint8(prefix.Bits()),
		Flags:     unix.IFA_F_NODAD,
		Index:     uint32(link.Index),
	})
	r.attribute(unix.IFA_LOCAL, prefix.Addr().AsSlice())
	r.attribute(unix.IFA_ADDRESS, prefix.Addr().AsSlice())
	if broadcast, ok := broadcastAddr(prefix); ok {
		r.attribute(unix.IFA_BROADCAST, broadcast.AsSlice())
	}
	if err := r.do(fmt.Sprintf("adding %v to %s", prefix, name)); err != nil || link.Flags&net.FlagUp == 0 {
		return err
	}
	return awaitUsable(prefix.Addr(), link.Index)
}

// RemoveAddress takes an address from an interface.
func RemoveAddress(name string, prefix netip.Prefix) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_DELADDR, 0)
	r.put(unix.IfAddrmsg{Family: family(prefix.Addr()), Prefixlen: uint8(prefix.Bits()), Index: uint32(index)})
	r.attribute(unix.IFA_LOCAL, prefix.Addr().AsSlice())
	return r.do(fmt.Sprintf("removing %v from %s", prefix, name))
}

// awaitUsable waits until the kernel takes packets for addr. An IPv6 address is there, and can be bound, a little
// before that: the route that makes it local is added by a worker of the kernel's, even without duplicate address
// detection. The news of that route comes too early, before it is in use; so there is nothing to wait for but the
// route itself.
func awaitUsable(addr netip.Addr, index int) error {
	if addr.Is4() {
		return nil
	}
	const patience = 10 * time.Second
	for began := time.Now(); time.Since(began) < patience; time.Sleep(time.Millisecond) {
		if local, err := isLocal(addr, index); err != nil || local {
			return err
		}
	}
	return fmt.Errorf("%v has not become usable in %v", addr, patience)
}

// isLocal asks the kernel whether packets to addr are for itself.
func isLocal(addr netip.Addr, index int) (bool, error) {
	r := newRequest(unix.RTM_GETROUTE, 0)
	r.put(unix.RtMsg{Family: family(addr), Dst_len: uint8(addr.BitLen())})
	r.attribute(unix.RTA_DST, addr.AsSlice())
	if addr.IsLinkLocalUnicast() {
		r.attribute(unix.RTA_OIF, uint32(index))
	}
	body, err := r.ask()
	if errors.Is(err, unix.ENETUNREACH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the route to %v: %w", addr, err)
	}
	var route unix.RtMsg
	if _, err := binary.Decode(body, binary.NativeEndian, &route); err != nil {
		return false, err
	}
	return route.Type == unix.RTN_LOCAL, nil
}

// broadcastAddr is the directed broadcast address of an IPv4 subnet, which the kernel does not work out itself.
func broadcastAddr(prefix netip.Prefix) (netip.Addr, bool) {
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b), true
}
