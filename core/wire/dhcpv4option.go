package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Codes of DHCP options (RFC 2132, and what is named besides).
const (
	DHCPv4OptionPad             = 0
	DHCPv4OptionSubnetMask      = 1
	DHCPv4OptionRouters         = 3
	DHCPv4OptionDNSServers      = 6
	DHCPv4OptionHostname        = 12
	DHCPv4OptionDomainName      = 15
	DHCPv4OptionMTU             = 26
	DHCPv4OptionBroadcastAddr   = 28
	DHCPv4OptionNTPServers      = 42
	DHCPv4OptionRequestedAddr   = 50
	DHCPv4OptionLeaseTime       = 51
	DHCPv4OptionOverload        = 52
	DHCPv4OptionMessageType     = 53
	DHCPv4OptionServerID        = 54
	DHCPv4OptionParameters      = 55
	DHCPv4OptionMessage         = 56
	DHCPv4OptionMaxMessageSize  = 57
	DHCPv4OptionRenewalTime     = 58 // T1
	DHCPv4OptionRebindingTime   = 59 // T2
	DHCPv4OptionVendorClass     = 60
	DHCPv4OptionClientID        = 61
	DHCPv4OptionDomainSearch    = 119 // RFC 3397
	DHCPv4OptionClasslessRoutes = 121 // RFC 3442
	DHCPv4OptionEnd             = 255
)

// What the option overload says holds options.
const (
	dhcpv4OverloadFile       = 1
	dhcpv4OverloadServerName = 2
)

// DHCPv4Infinite is a time without end, in options that have times.
const DHCPv4Infinite = 0xffffffff * time.Second

// DHCPv4Option is one option: its code, and all of its data, however many instances it came in.
type DHCPv4Option struct {
	Code uint8
	Data []byte
}

// DHCPv4Options are the options of a message in the order in which their codes came first, each code once.
type DHCPv4Options []DHCPv4Option

// parse adds the options of one field of a message, up to its end option.
func (o *DHCPv4Options) parse(b []byte) error {
	for len(b) > 0 {
		code := b[0]
		b = b[1:]
		if code == DHCPv4OptionPad {
			continue
		}
		if code == DHCPv4OptionEnd {
			break
		}
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return ErrTruncated
		}
		n := 1 + int(b[0])
		o.add(code, b[1:n:n])
		b = b[n:]
	}
	return nil
}

// add adds an option. Instances of one code are parts of one option, to be put together in their order, unless there
// can be no more to it:
//
// "The client concatenates the values of multiple instances of the same option into a single parameter list for
// configuration."
// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.1
func (o *DHCPv4Options) add(code uint8, data []byte) {
	i := slices.IndexFunc(*o, func(option DHCPv4Option) bool { return option.Code == code })
	switch {
	case i < 0:
		*o = append(*o, DHCPv4Option{code, data})
	case !dhcpv4OptionIsSingle(code):
		(*o)[i].Data = append((*o)[i].Data, data...) // parse has cut off the capacity: a copy, the first time
	}
}

// dhcpv4OptionIsSingle reports whether the code's option has a fixed length. Some servers and relays repeat one of those
// instead of splitting it, and then it is the first that counts.
func dhcpv4OptionIsSingle(code uint8) bool {
	switch code {
	case DHCPv4OptionSubnetMask, DHCPv4OptionMTU, DHCPv4OptionBroadcastAddr, DHCPv4OptionRequestedAddr,
		DHCPv4OptionLeaseTime, DHCPv4OptionOverload, DHCPv4OptionMessageType, DHCPv4OptionServerID,
		DHCPv4OptionMaxMessageSize, DHCPv4OptionRenewalTime, DHCPv4OptionRebindingTime:
		return true
	}
	return false
}

// Find returns the data of the option of the code.
func (o DHCPv4Options) Find(code uint8) ([]byte, bool) {
	for _, option := range o {
		if option.Code == code {
			return option.Data, true
		}
	}
	return nil, false
}

// The readers of single options return their zero value and false if the option is not there, or is not as long as it
// must be: it is then as if it were not there.

func (o DHCPv4Options) uint8(code uint8) (uint8, bool) {
	if data, ok := o.Find(code); ok && len(data) == 1 {
		return data[0], true
	}
	return 0, false
}

func (o DHCPv4Options) uint16(code uint8) (uint16, bool) {
	if data, ok := o.Find(code); ok && len(data) == 2 {
		return binary.BigEndian.Uint16(data), true
	}
	return 0, false
}

func (o DHCPv4Options) seconds(code uint8) time.Duration {
	if data, ok := o.Find(code); ok && len(data) == 4 {
		return time.Duration(binary.BigEndian.Uint32(data)) * time.Second
	}
	return 0
}

// addr returns an address, the zero Addr if there is none or it is 0.0.0.0.
func (o DHCPv4Options) addr(code uint8) netip.Addr {
	if data, ok := o.Find(code); ok && len(data) == 4 {
		return dhcpv4Addr(data)
	}
	return netip.Addr{}
}

// addrs returns a list of addresses, without those that are 0.0.0.0: some servers fill up a list of servers with them.
func (o DHCPv4Options) addrs(code uint8) []netip.Addr {
	data, ok := o.Find(code)
	if !ok || len(data)%4 != 0 {
		return nil
	}
	var addrs []netip.Addr
	for ; len(data) > 0; data = data[4:] {
		if addr := dhcpv4Addr(data); addr.IsValid() {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// text returns a string without the zero octets that some servers put at its end, and "" if it has others than printable
// ASCII characters: such strings end up in logs and configuration files.
func (o DHCPv4Options) text(code uint8) string {
	data, _ := o.Find(code)
	data = bytes.TrimRight(data, "\x00")
	if !dhcpv4IsText(string(data)) {
		return ""
	}
	return string(data)
}

// domain is text for a domain's name, which is without a dot at its end.
func (o DHCPv4Options) domain(code uint8) string {
	name := o.text(code)
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	if !validNDDomain(name) {
		return ""
	}
	return name
}

// mask returns the number of bits of the subnet mask, 0 if there is none or its bits are not contiguous.
func (o DHCPv4Options) mask() int {
	data, ok := o.Find(DHCPv4OptionSubnetMask)
	if !ok || len(data) != 4 {
		return 0
	}
	mask, bits := binary.BigEndian.Uint32(data), 0
	for ; mask&(1<<31) != 0; bits++ {
		mask <<= 1
	}
	if mask != 0 {
		return 0
	}
	return bits
}

// dhcpv4Addr reads an address, the zero Addr if it is 0.0.0.0.
func dhcpv4Addr(b []byte) netip.Addr {
	addr := netip.AddrFrom4([4]byte(b[:4]))
	if addr.IsUnspecified() {
		return netip.Addr{}
	}
	return addr
}

func dhcpv4IsText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// DHCPv4Route is a route of the classless static routes (RFC 3442).
type DHCPv4Route struct {
	Prefix netip.Prefix // of IPv4, its bits beyond the length zero; 0.0.0.0/0: the default route
	Router netip.Addr   // 0.0.0.0: the prefix is on the link
}

// parseDHCPv4Routes reads classless static routes: for each the prefix's length in bits, as many octets of the prefix as
// that needs, and the router. It returns nil if anything is wrong with one of them.
// https://www.rfc-editor.org/rfc/rfc3442.html
func parseDHCPv4Routes(b []byte) []DHCPv4Route {
	var routes []DHCPv4Route
	for len(b) > 0 {
		bits := int(b[0])
		significant := (bits + 7) / 8
		if bits > 32 || len(b) < 1+significant+4 {
			return nil
		}
		var prefix [4]byte
		copy(prefix[:], b[1:1+significant])
		b = b[1+significant:]
		// What the mask does not cover is cleared, as the RFC's "DHCP Client Behavior" has it.
		routes = append(routes, DHCPv4Route{
			Prefix: netip.PrefixFrom(netip.AddrFrom4(prefix), bits).Masked(),
			Router: netip.AddrFrom4([4]byte(b[:4])),
		})
		b = b[4:]
	}
	return routes
}

func appendDHCPv4Routes(b []byte, routes []DHCPv4Route) []byte {
	for _, route := range routes {
		if !route.valid() {
			continue
		}
		prefix := route.Prefix.Addr().As4()
		b = append(b, uint8(route.Prefix.Bits()))
		b = append(b, prefix[:(route.Prefix.Bits()+7)/8]...)
		b = append(b, make([]byte, 4)...)
		putIPv4Addr(b[len(b)-4:], route.Router)
	}
	return b
}

func (r DHCPv4Route) valid() bool {
	return r.Prefix.IsValid() && r.Prefix.Addr().Is4() && r.Router.Is4()
}
