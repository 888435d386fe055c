package netns

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Up brings an interface up; when it returns, its addresses are usable.
func Up(name string) error {
	dad := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/accept_dad", []byte("0"), 0) // see settle
	if err := setFlags(name, unix.IFF_UP, unix.IFF_UP); err != nil {
		return err
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	addresses, err := link.Addrs()
	if err != nil {
		return err
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() && dad != nil {
			continue
		}
		if err := awaitUsable(prefix.Addr(), link.Index); err != nil {
			return err
		}
	}
	return nil
}

// Down takes an interface down. The kernel forgets its IPv6 addresses, and its routes.
func Down(name string) error { return setFlags(name, unix.IFF_UP, 0) }

// setFlags sets those of an interface's flags that are in mask.
func setFlags(name string, mask, flags uint32) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_NEWLINK, 0)
	r.put(unix.IfInfomsg{Family: unix.AF_UNSPEC, Index: index, Flags: flags, Change: mask})
	return r.do("changing the state of " + name)
}

// SetMTU sets an interface's MTU, the size in octets of the largest IP packet.
func SetMTU(name string, mtu int) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_NEWLINK, 0)
	r.put(unix.IfInfomsg{Family: unix.AF_UNSPEC, Index: index})
	r.attribute(unix.IFLA_MTU, uint32(mtu))
	return r.do(fmt.Sprintf("setting the MTU of %s to %d", name, mtu))
}

// SetHardwareAddr sets the Ethernet address of the kernel's end of a tap.
func SetHardwareAddr(name string, addr [6]byte) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_NEWLINK, 0)
	r.put(unix.IfInfomsg{Family: unix.AF_UNSPEC, Index: index})
	r.attribute(unix.IFLA_ADDRESS, addr)
	return r.do(fmt.Sprintf("setting the hardware address of %s to %x", name, addr))
}

// AddRoute adds a route by a gateway, or for the zero gateway straight by the interface.
func AddRoute(destination netip.Prefix, gateway netip.Addr, name string) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	msg := unix.RtMsg{
		Family:   family(destination.Addr()),
		Dst_len:  uint8(destination.Bits()),
		Table:    unix.RT_TABLE_MAIN,
		Protocol: unix.RTPROT_STATIC,
		Scope:    unix.RT_SCOPE_LINK,
		Type:     unix.RTN_UNICAST,
	}
	if gateway.IsValid() {
		msg.Scope = unix.RT_SCOPE_UNIVERSE
	}
	r := newRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.put(msg)
	r.attribute(unix.RTA_DST, destination.Masked().Addr().AsSlice())
	r.attribute(unix.RTA_OIF, uint32(index))
	if gateway.IsValid() {
		r.attribute(unix.RTA_GATEWAY, gateway.AsSlice())
	}
	return r.do(fmt.Sprintf("adding a route to %v", destination))
}

// AddNeighbour tells the kernel for good which hardware address a neighbour has.
func AddNeighbour(name string, addr netip.Addr, hardware [6]byte) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	r.put(unix.NdMsg{Family: family(addr), Ifindex: index, State: unix.NUD_PERMANENT})
	r.attribute(unix.NDA_DST, addr.AsSlice())
	r.attribute(unix.NDA_LLADDR, hardware)
	return r.do(fmt.Sprintf("adding the neighbour %v", addr))
}

// AddTap makes a tap that exists, without carrier, also while no program holds it.
func AddTap(name string) error { return addPersistent(name, unix.IFF_TAP) }

// AddTun makes a tun that exists, without carrier, also while no program holds it.
func AddTun(name string) error { return addPersistent(name, unix.IFF_TUN) }

func addPersistent(name string, kind uint16) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(kind | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

// Delete removes an interface, also from under a program that holds it.
func Delete(name string) error {
	index, err := linkIndex(name)
	if err != nil {
		return err
	}
	r := newRequest(unix.RTM_DELLINK, 0)
	r.put(unix.IfInfomsg{Family: unix.AF_UNSPEC, Index: index})
	return r.do("deleting " + name)
}

func linkIndex(name string) (int32, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return int32(link.Index), nil
}

func family(addr netip.Addr) uint8 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
