package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// UDP ports of DHCP for IPv4.
const (
	DHCPv4ServerPort = 67
	DHCPv4ClientPort = 68
)

const (
	// DHCPv4HeaderLen is the length in octets of what precedes the options of a DHCP message, the magic cookie included.
	DHCPv4HeaderLen = 240
	// DHCPv4MinLen is what messages are padded to: what relay agents and servers of BOOTP expect (RFC 1542, section 2.1).
	DHCPv4MinLen = 300

	dhcpv4ServerNameOffset, dhcpv4ServerNameLen = 44, 64
	dhcpv4BootFileOffset, dhcpv4BootFileLen     = 108, 128
	dhcpv4CookieOffset                          = 236

	dhcpv4Cookie    = 0x63825363
	dhcpv4Broadcast = 0x8000

	dhcpv4RequestOp = 1
	dhcpv4ReplyOp   = 2
)

// DHCPv4MessageType is what a DHCP message is for (RFC 2132, section 9.6).
type DHCPv4MessageType uint8

const (
	DHCPv4Discover DHCPv4MessageType = 1 // a client looks for servers
	DHCPv4Offer    DHCPv4MessageType = 2 // a server answers that
	DHCPv4Request  DHCPv4MessageType = 3 // a client takes up an offer, or wants to keep its address
	DHCPv4Decline  DHCPv4MessageType = 4 // a client has found its address in use by somebody else
	DHCPv4ACK      DHCPv4MessageType = 5 // a server grants a request
	DHCPv4NAK      DHCPv4MessageType = 6 // a server refuses a request
	DHCPv4Release  DHCPv4MessageType = 7 // a client gives its address back
	DHCPv4Inform   DHCPv4MessageType = 8 // a client with an address wants the rest
)

// String is the type's name as tcpdump prints it: "Discover", or "type 9".
func (t DHCPv4MessageType) String() string {
	if t >= DHCPv4Discover && t <= DHCPv4Inform {
		return [...]string{"Discover", "Offer", "Request", "Decline", "ACK", "NACK", "Release", "Inform"}[t-1]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// op is the operation of BOOTP that messages of the type have, 0 if there is no such type.
func (t DHCPv4MessageType) op() uint8 {
	switch t {
	case DHCPv4Discover, DHCPv4Request, DHCPv4Decline, DHCPv4Release, DHCPv4Inform:
		return dhcpv4RequestOp
	case DHCPv4Offer, DHCPv4ACK, DHCPv4NAK:
		return dhcpv4ReplyOp
	}
	return 0
}

// DHCPv4Packet is a DHCP message as it is in a UDP datagram (RFC 2131, section 2). Made by ParseDHCPv4, none of its
// methods panics.
type DHCPv4Packet []byte

// ParseDHCPv4 takes all of b for a DHCP message. The errors are ErrTruncated if b is shorter than DHCPv4HeaderLen, and
// ErrVersion if the options do not begin with DHCP's magic cookie.
func ParseDHCPv4(b []byte) (DHCPv4Packet, error) {
	if len(b) < DHCPv4HeaderLen {
		return nil, ErrTruncated
	}
	if binary.BigEndian.Uint32(b[dhcpv4CookieOffset:]) != dhcpv4Cookie {
		return nil, ErrVersion
	}
	return b, nil
}

// Op is 1 in messages of clients and 2 in messages of servers.
func (p DHCPv4Packet) Op() uint8 { return p[0] }

// HardwareType is the kind of the client's hardware address: 1 for Ethernet.
func (p DHCPv4Packet) HardwareType() uint8 { return p[1] }

// HardwareLen is the length of the client's hardware address as the message has it, which may be more than 16.
func (p DHCPv4Packet) HardwareLen() int { return int(p[2]) }

// Hops is how many relay agents the message has passed.
func (p DHCPv4Packet) Hops() uint8 { return p[3] }

// XID is the transaction's identifier, which the client chose.
func (p DHCPv4Packet) XID() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// Secs is how many seconds ago the client has begun.
func (p DHCPv4Packet) Secs() uint16 { return binary.BigEndian.Uint16(p[8:]) }

// Broadcast reports whether the client can be reached by broadcasts only.
func (p DHCPv4Packet) Broadcast() bool { return binary.BigEndian.Uint16(p[10:])&dhcpv4Broadcast != 0 }

// ClientAddr is ciaddr: the address that the client has and answers ARP for.
func (p DHCPv4Packet) ClientAddr() netip.Addr { return p.addr(12) }

// YourAddr is yiaddr: the address that the server gives the client.
func (p DHCPv4Packet) YourAddr() netip.Addr { return p.addr(16) }

// NextServer is siaddr: the server to boot from next. It need not be the DHCP server.
func (p DHCPv4Packet) NextServer() netip.Addr { return p.addr(20) }

// RelayAddr is giaddr: the relay agent that the message came by.
func (p DHCPv4Packet) RelayAddr() netip.Addr { return p.addr(24) }

func (p DHCPv4Packet) addr(i int) netip.Addr { return netip.AddrFrom4([4]byte(p[i : i+4])) }

// ClientHardware is chaddr, as much of its 16 octets as HardwareLen says.
func (p DHCPv4Packet) ClientHardware() []byte { return p[28:][:min(p.HardwareLen(), 16)] }

// ServerName is the field sname, all of its 64 octets. The option overload may say that it holds options.
func (p DHCPv4Packet) ServerName() []byte {
	return p[dhcpv4ServerNameOffset:][:dhcpv4ServerNameLen]
}

// BootFile is the field file, all of its 128 octets. The option overload may say that it holds options.
func (p DHCPv4Packet) BootFile() []byte { return p[dhcpv4BootFileOffset:][:dhcpv4BootFileLen] }

// Options collects the message's options, wherever they are: in the options field and, if the option overload says so,
// in file and sname. The error is ErrTruncated if one of them runs past the end of its field; what comes before it is
// returned even then.
func (p DHCPv4Packet) Options() (DHCPv4Options, error) {
	var options DHCPv4Options
	err := options.parse(p[DHCPv4HeaderLen:])
	if err != nil {
		return options, err
	}
	// "The options in the 'options' field MUST be interpreted first, so that any 'option overload' options may be
	// interpreted. The 'file' field MUST be interpreted next (if the 'option overload' option indicates that the 'file'
	// field contains DHCP options), followed by the 'sname' field."
	// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.1
	overload, _ := options.uint8(DHCPv4OptionOverload)
	if overload&dhcpv4OverloadFile != 0 {
		if err := options.parse(p.BootFile()); err != nil {
			return options, err
		}
	}
	if overload&dhcpv4OverloadServerName != 0 {
		err = options.parse(p.ServerName())
	}
	return options, err
}

// String prints the message as tcpdump -v would, on one line.
func (p DHCPv4Packet) String() string { return formatDHCPv4(p) }
