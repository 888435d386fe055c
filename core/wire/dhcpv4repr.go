package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// DHCPv4Repr is a DHCP message of a client on an Ethernet, or to one. An address that is not valid stands for 0.0.0.0 in
// the header, and for no option; so do, for no option, other zero values. Times are whole seconds, up to DHCPv4Infinite.
//
// Addresses are of IPv4. Strings are of printable ASCII characters. Domains are names such as "example.com", without a
// dot at the end: labels of 1 to 63 characters, at most 253 in all. What is otherwise is not emitted.
type DHCPv4Repr struct {
	Type           DHCPv4MessageType
	XID            uint32       // the transaction's identifier
	Secs           uint16       // seconds since the client began
	Hops           uint8        // relay agents on the way
	Broadcast      bool         // replies are to be broadcast
	ClientAddr     netip.Addr   // ciaddr: the address that the client has
	YourAddr       netip.Addr   // yiaddr: the address that it is given
	NextServer     netip.Addr   // siaddr: the server to boot from
	RelayAddr      netip.Addr   // giaddr: the relay agent
	ClientHardware HardwareAddr // chaddr

	// About the message.
	ServerID       netip.Addr
	RequestedAddr  netip.Addr
	ClientID       []byte  // the first octet is its type
	Parameters     []uint8 // codes of the options that the client wants
	MaxMessageSize uint16  // octets
	VendorClass    string
	Message        string // why a NAK or DECLINE was sent

	// The lease. T1 and T2 are as the server sent them: they may contradict each other.
	LeaseTime     time.Duration
	RenewalTime   time.Duration // T1
	RebindingTime time.Duration // T2

	// The configuration.
	SubnetBits    int // of the subnet mask, 1 to 32
	BroadcastAddr netip.Addr
	Routers       []netip.Addr
	Routes        []DHCPv4Route // instead of Routers, if there are any
	DNSServers    []netip.Addr
	NTPServers    []netip.Addr
	Hostname      string
	DomainName    string
	DomainSearch  []string
	MTU           uint16

	// Options are all others, as they are.
	Options []DHCPv4Option
}

const (
	dhcpv4HardwareEthernet = 1
	dhcpv4MaxData          = 255 // octets of data in one instance of an option
)

// Parse sets r to what p says. ClientID, Parameters and the data of Options may share p's octets. An option whose length or value is not
// allowed is as if it were not there. The errors are ErrTruncated if an option runs past the end, ErrVersion for
// hardware other than Ethernet, and ErrMalformed if there is no message type, or one that contradicts the operation.
func (r *DHCPv4Repr) Parse(p DHCPv4Packet) error {
	options, err := p.Options()
	if err != nil {
		return err
	}
	if p.HardwareType() != dhcpv4HardwareEthernet || p.HardwareLen() != len(HardwareAddr{}) {
		return ErrVersion
	}
	kind, _ := options.uint8(DHCPv4OptionMessageType)
	if op := DHCPv4MessageType(kind).op(); op == 0 || op != p.Op() {
		return ErrMalformed
	}
	*r = DHCPv4Repr{
		Type: DHCPv4MessageType(kind), XID: p.XID(), Secs: p.Secs(), Hops: p.Hops(), Broadcast: p.Broadcast(),
		ClientAddr: dhcpv4Addr(p[12:]), YourAddr: dhcpv4Addr(p[16:]), NextServer: dhcpv4Addr(p[20:]), RelayAddr: dhcpv4Addr(p[24:]),
		ClientHardware: HardwareAddr(p.ClientHardware()),
	}
	for _, option := range options {
		r.parseOption(options, option)
	}
	return nil
}

func (r *DHCPv4Repr) parseOption(options DHCPv4Options, option DHCPv4Option) {
	switch code := option.Code; code {
	case DHCPv4OptionMessageType, DHCPv4OptionOverload:
	case DHCPv4OptionServerID:
		r.ServerID = options.addr(code)
	case DHCPv4OptionRequestedAddr:
		r.RequestedAddr = options.addr(code)
	case DHCPv4OptionClientID:
		// It is two octets at least, of which the first is a type.
		// https://www.rfc-editor.org/rfc/rfc2132.html#section-9.14
		if len(option.Data) >= 2 {
			r.ClientID = option.Data
		}
	case DHCPv4OptionParameters:
		if len(option.Data) > 0 {
			r.Parameters = option.Data
		}
	case DHCPv4OptionMaxMessageSize:
		r.MaxMessageSize, _ = options.uint16(code)
	case DHCPv4OptionVendorClass:
		r.VendorClass = options.text(code)
	case DHCPv4OptionMessage:
		r.Message = options.text(code)
	case DHCPv4OptionLeaseTime:
		r.LeaseTime = options.seconds(code)
	case DHCPv4OptionRenewalTime:
		r.RenewalTime = options.seconds(code)
	case DHCPv4OptionRebindingTime:
		r.RebindingTime = options.seconds(code)
	case DHCPv4OptionSubnetMask:
		r.SubnetBits = options.mask()
	case DHCPv4OptionBroadcastAddr:
		r.BroadcastAddr = options.addr(code)
	case DHCPv4OptionRouters:
		r.Routers = options.addrs(code)
	case DHCPv4OptionClasslessRoutes:
		r.Routes = parseDHCPv4Routes(option.Data)
	case DHCPv4OptionDNSServers:
		r.DNSServers = options.addrs(code)
	case DHCPv4OptionNTPServers:
		r.NTPServers = options.addrs(code)
	case DHCPv4OptionHostname:
		r.Hostname = options.text(code)
	case DHCPv4OptionDomainName:
		r.DomainName = options.domain(code)
	case DHCPv4OptionDomainSearch:
		r.DomainSearch = dhcpv4Domains(option.Data)
	case DHCPv4OptionMTU:
		r.MTU, _ = options.uint16(code)
	default:
		r.Options = append(r.Options, option)
	}
}

// Len is the number of octets that Emit writes: at least DHCPv4MinLen.
func (r *DHCPv4Repr) Len() int { return max(DHCPv4MinLen, DHCPv4HeaderLen+len(r.appendOptions(nil))) }

// Emit writes the message to the front of b. It panics if b is shorter than Len.
func (r *DHCPv4Repr) Emit(b []byte) {
	options := r.appendOptions(nil)
	b = b[:max(DHCPv4MinLen, DHCPv4HeaderLen+len(options))]
	clear(b)
	b[0], b[1], b[2], b[3] = r.Type.op(), dhcpv4HardwareEthernet, uint8(len(r.ClientHardware)), r.Hops
	binary.BigEndian.PutUint32(b[4:], r.XID)
	binary.BigEndian.PutUint16(b[8:], r.Secs)
	if r.Broadcast {
		binary.BigEndian.PutUint16(b[10:], dhcpv4Broadcast)
	}
	putIPv4Addr(b[12:], r.ClientAddr)
	putIPv4Addr(b[16:], r.YourAddr)
	putIPv4Addr(b[20:], r.NextServer)
	putIPv4Addr(b[24:], r.RelayAddr)
	copy(b[28:], r.ClientHardware[:])
	binary.BigEndian.PutUint32(b[dhcpv4CookieOffset:], dhcpv4Cookie)
	copy(b[DHCPv4HeaderLen:], options)
}

// appendOptions writes all options, the message type first.
func (r *DHCPv4Repr) appendOptions(b []byte) []byte {
	b = appendDHCPv4Option(b, DHCPv4OptionMessageType, []byte{uint8(r.Type)})
	b = appendDHCPv4Addrs(b, DHCPv4OptionServerID, r.ServerID)
	if len(r.ClientID) >= 2 {
		b = appendDHCPv4Option(b, DHCPv4OptionClientID, r.ClientID)
	}
	b = appendDHCPv4Addrs(b, DHCPv4OptionRequestedAddr, r.RequestedAddr)
	b = appendDHCPv4Seconds(b, DHCPv4OptionLeaseTime, r.LeaseTime)
	b = appendDHCPv4Seconds(b, DHCPv4OptionRenewalTime, r.RenewalTime)
	b = appendDHCPv4Seconds(b, DHCPv4OptionRebindingTime, r.RebindingTime)
	b = appendDHCPv4Uint16(b, DHCPv4OptionMaxMessageSize, r.MaxMessageSize)
	if len(r.Parameters) > 0 {
		b = appendDHCPv4Option(b, DHCPv4OptionParameters, r.Parameters)
	}
	if r.SubnetBits > 0 && r.SubnetBits <= 32 {
		mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-r.SubnetBits))
		b = appendDHCPv4Option(b, DHCPv4OptionSubnetMask, mask)
	}
	// Routes come before routers: who understands them needs no routers.
	if routes := appendDHCPv4Routes(nil, r.Routes); len(routes) > 0 {
		b = appendDHCPv4Option(b, DHCPv4OptionClasslessRoutes, routes)
	}
	b = appendDHCPv4Addrs(b, DHCPv4OptionRouters, r.Routers...)
	b = appendDHCPv4Addrs(b, DHCPv4OptionDNSServers, r.DNSServers...)
	b = appendDHCPv4Text(b, DHCPv4OptionHostname, r.Hostname)
	if validNDDomain(r.DomainName) {
		b = appendDHCPv4Option(b, DHCPv4OptionDomainName, []byte(r.DomainName))
	}
	if domains := appendDHCPv4Domains(nil, r.DomainSearch); len(domains) > 0 {
		b = appendDHCPv4Option(b, DHCPv4OptionDomainSearch, domains)
	}
	b = appendDHCPv4Uint16(b, DHCPv4OptionMTU, r.MTU)
	b = appendDHCPv4Addrs(b, DHCPv4OptionBroadcastAddr, r.BroadcastAddr)
	b = appendDHCPv4Addrs(b, DHCPv4OptionNTPServers, r.NTPServers...)
	b = appendDHCPv4Text(b, DHCPv4OptionVendorClass, r.VendorClass)
	b = appendDHCPv4Text(b, DHCPv4OptionMessage, r.Message)
	for _, option := range r.Options {
		if !dhcpv4OptionIsKnown(option.Code) {
			b = appendDHCPv4Option(b, option.Code, option.Data)
		}
	}
	return append(b, DHCPv4OptionEnd)
}

// dhcpv4OptionIsKnown reports whether the code has a place elsewhere than in DHCPv4Repr.Options.
func dhcpv4OptionIsKnown(code uint8) bool {
	return code == DHCPv4OptionPad || code == DHCPv4OptionEnd || dhcpv4OptionName(code) != ""
}

// appendDHCPv4Option writes an option, in as many instances as its data needs.
// https://www.rfc-editor.org/rfc/rfc3396.html#section-5
func appendDHCPv4Option(b []byte, code uint8, data []byte) []byte {
	for {
		n := min(len(data), dhcpv4MaxData)
		b = append(b, code, uint8(n))
		b = append(b, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return b
		}
	}
}

func appendDHCPv4Addrs(b []byte, code uint8, addrs ...netip.Addr) []byte {
	var data []byte
	for _, addr := range addrs {
		if addr.Is4() && !addr.IsUnspecified() {
			data = append(data, addr.AsSlice()...)
		}
	}
	if data == nil {
		return b
	}
	return appendDHCPv4Option(b, code, data)
}

func appendDHCPv4Seconds(b []byte, code uint8, d time.Duration) []byte {
	if d < time.Second {
		return b
	}
	seconds := uint32(min(d, DHCPv4Infinite) / time.Second)
	return appendDHCPv4Option(b, code, binary.BigEndian.AppendUint32(nil, seconds))
}

func appendDHCPv4Uint16(b []byte, code uint8, v uint16) []byte {
	if v == 0 {
		return b
	}
	return appendDHCPv4Option(b, code, binary.BigEndian.AppendUint16(nil, v))
}

func appendDHCPv4Text(b []byte, code uint8, s string) []byte {
	if s == "" || !dhcpv4IsText(s) {
		return b
	}
	return appendDHCPv4Option(b, code, []byte(s))
}

// String prints the message as tcpdump -v would, on one line.
func (r *DHCPv4Repr) String() string {
	b := make([]byte, r.Len())
	r.Emit(b)
	return formatDHCPv4(b)
}
