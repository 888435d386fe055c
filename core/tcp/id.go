package tcp

import "net/netip"

// id names a connection: "the local and remote IP addresses and port numbers" (RFC 9293, section 3.3.1), as fixed octets so
// that it is compared and hashed at once. IPv4 addresses are in their IPv4-mapped form, which never occurs
// on the wire. Link-local addresses mean something on one link only, so there the link belongs to the name; so it does where the
// local address is not the stack's own: peers behind different forwarders may have the same addresses.
type id struct {
	local, remote         [16]byte
	localPort, remotePort uint16
	scope                 int32 // the link's index; 0: any; its negative: the local address is not the stack's own
}

func newID(local, remote netip.AddrPort, link int32) id {
	if !remote.Addr().IsLinkLocalUnicast() && !local.Addr().IsLinkLocalUnicast() {
		link = 0
	}
	return id{local.Addr().As16(), remote.Addr().As16(), local.Port(), remote.Port(), link}
}

// foreignID is newID for a local address that is not the stack's own.
func foreignID(local, remote netip.AddrPort, link int32) id {
	return id{local.Addr().As16(), remote.Addr().As16(), local.Port(), remote.Port(), -link}
}

// link is the index of the link that belongs to the name, 0 if none does.
func (i *id) link() int32 { return max(i.scope, -i.scope) }

// foreign reports whether the local address is not the stack's own.
func (i *id) foreign() bool { return i.scope < 0 }

func (i *id) localAddr() netip.Addr  { return netip.AddrFrom16(i.local).Unmap() }
func (i *id) remoteAddr() netip.Addr { return netip.AddrFrom16(i.remote).Unmap() }

func (i *id) is4() bool {
	return i.local[10] == 0xff && i.local[11] == 0xff && [10]byte(i.local[:10]) == [10]byte{}
}

func (i *id) localAddrPort() netip.AddrPort  { return netip.AddrPortFrom(i.localAddr(), i.localPort) }
func (i *id) remoteAddrPort() netip.AddrPort { return netip.AddrPortFrom(i.remoteAddr(), i.remotePort) }
