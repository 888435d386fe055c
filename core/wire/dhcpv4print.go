package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// formatDHCPv4 prints a DHCP message as tcpdump -v does, on one line.
func formatDHCPv4(b []byte) string {
	if len(b) < DHCPv4HeaderLen {
		return fmt.Sprintf("BOOTP/DHCP, length %d [|bootp]", len(b))
	}
	p := DHCPv4Packet(b)
	s, client := []byte("BOOTP/DHCP, "), "of"
	switch p.Op() {
	case dhcpv4RequestOp:
		s, client = append(s, "Request"...), "from"
	case dhcpv4ReplyOp:
		s, client = append(s, "Reply"...), "to"
	default:
		s = fmt.Appendf(s, "operation %d", p.Op())
	}
	if p.HardwareType() == dhcpv4HardwareEthernet && p.HardwareLen() == 6 {
		s = fmt.Appendf(s, " %s %v", client, HardwareAddr(p.ClientHardware()))
	} else {
		s = fmt.Appendf(s, ", hardware %d (len %d)", p.HardwareType(), p.HardwareLen())
	}
	s = fmt.Appendf(s, ", length %d", len(p))
	if p.Hops() != 0 {
		s = fmt.Appendf(s, ", hops %d", p.Hops())
	}
	s = fmt.Appendf(s, ", xid 0x%x", p.XID())
	if p.Secs() != 0 {
		s = fmt.Appendf(s, ", secs %d", p.Secs())
	}
	if p.Broadcast() {
		s = append(s, ", Flags [Broadcast]"...)
	} else {
		s = append(s, ", Flags [none]"...)
	}
	for _, field := range []struct {
		name string
		addr netip.Addr
	}{
		{"Client-IP", p.ClientAddr()}, {"Your-IP", p.YourAddr()}, {"Server-IP", p.NextServer()}, {"Gateway-IP", p.RelayAddr()},
	} {
		if !field.addr.IsUnspecified() {
			s = fmt.Appendf(s, ", %s %v", field.name, field.addr)
		}
	}
	if binary.BigEndian.Uint32(p[dhcpv4CookieOffset:]) != dhcpv4Cookie {
		return string(append(s, ", no DHCP"...))
	}
	options, err := p.Options()
	for _, option := range options {
		s = append(s, ", "...)
		s = appendDHCPv4OptionText(s, options, option)
	}
	if err != nil {
		s = append(s, " [|dhcp]"...)
	}
	return string(s)
}

// dhcpv4OptionName is the option's name as tcpdump has it, "" for options that this package does not know.
func dhcpv4OptionName(code uint8) string {
	switch code {
	case DHCPv4OptionSubnetMask:
		return "Subnet-Mask"
	case DHCPv4OptionRouters:
		return "Default-Gateway"
	case DHCPv4OptionDNSServers:
		return "Domain-Name-Server"
	case DHCPv4OptionHostname:
		return "Hostname"
	case DHCPv4OptionDomainName:
		return "Domain-Name"
	case DHCPv4OptionMTU:
		return "MTU"
	case DHCPv4OptionBroadcastAddr:
		return "BR"
	case DHCPv4OptionNTPServers:
		return "NTP"
	case DHCPv4OptionRequestedAddr:
		return "Requested-IP"
	case DHCPv4OptionLeaseTime:
		return "Lease-Time"
	case DHCPv4OptionOverload:
		return "OO"
	case DHCPv4OptionMessageType:
		return "DHCP-Message"
	case DHCPv4OptionServerID:
		return "Server-ID"
	case DHCPv4OptionParameters:
		return "Parameter-Request"
	case DHCPv4OptionMessage:
		return "MSG"
	case DHCPv4OptionMaxMessageSize:
		return "MSZ"
	case DHCPv4OptionRenewalTime:
		return "RN"
	case DHCPv4OptionRebindingTime:
		return "RB"
	case DHCPv4OptionVendorClass:
		return "Vendor-Class"
	case DHCPv4OptionClientID:
		return "Client-ID"
	case DHCPv4OptionDomainSearch:
		return "Domain-Search"
	case DHCPv4OptionClasslessRoutes:
		return "Classless-Static-Route"
	}
	return ""
}

// appendDHCPv4OptionText prints an option: what its data means, or the data if it is not as it should be.
func appendDHCPv4OptionText(s []byte, options DHCPv4Options, option DHCPv4Option) []byte {
	code, data := option.Code, option.Data
	name := dhcpv4OptionName(code)
	if name == "" {
		name = fmt.Sprintf("Option-%d", code)
	}
	s = append(append(s, name...), ' ')
	n := len(s)
	switch code {
	case DHCPv4OptionMessageType:
		if kind, ok := options.uint8(code); ok {
			s = append(s, DHCPv4MessageType(kind).String()...)
		}
	case DHCPv4OptionSubnetMask, DHCPv4OptionBroadcastAddr, DHCPv4OptionRequestedAddr, DHCPv4OptionServerID,
		DHCPv4OptionRouters, DHCPv4OptionDNSServers, DHCPv4OptionNTPServers:
		s = appendDHCPv4AddrsText(s, data)
	case DHCPv4OptionHostname, DHCPv4OptionDomainName, DHCPv4OptionMessage, DHCPv4OptionVendorClass:
		s = fmt.Appendf(s, "%q", data)
	case DHCPv4OptionMTU, DHCPv4OptionMaxMessageSize:
		if v, ok := options.uint16(code); ok {
			s = fmt.Appendf(s, "%d", v)
		}
	case DHCPv4OptionLeaseTime, DHCPv4OptionRenewalTime, DHCPv4OptionRebindingTime:
		if len(data) == 4 {
			s = appendDHCPv4SecondsText(s, options.seconds(code))
		}
	case DHCPv4OptionClientID:
		if len(data) == 7 && data[0] == dhcpv4HardwareEthernet {
			s = fmt.Appendf(s, "ether %v", HardwareAddr(data[1:]))
		}
	case DHCPv4OptionParameters:
		s = appendDHCPv4ParametersText(s, data)
	case DHCPv4OptionDomainSearch:
		for i, domain := range dhcpv4Domains(data) {
			s = appendDHCPv4Separator(s, i)
			s = fmt.Appendf(s, "%s.", domain)
		}
	case DHCPv4OptionClasslessRoutes:
		for i, route := range parseDHCPv4Routes(data) {
			s = appendDHCPv4Separator(s, i)
			if route.Prefix.Bits() == 0 {
				s = fmt.Appendf(s, "(default:%v)", route.Router)
			} else {
				s = fmt.Appendf(s, "(%v:%v)", route.Prefix, route.Router)
			}
		}
	}
	if len(s) == n {
		s = appendDHCPv4Octets(s, data)
	}
	return s
}

func appendDHCPv4Separator(s []byte, i int) []byte {
	if i > 0 {
		s = append(s, ',')
	}
	return s
}

func appendDHCPv4AddrsText(s, data []byte) []byte {
	if len(data)%4 != 0 {
		return s
	}
	for i := 0; i < len(data); i += 4 {
		s = appendDHCPv4Separator(s, i)
		s = netip.AddrFrom4([4]byte(data[i : i+4])).AppendTo(s)
	}
	return s
}

func appendDHCPv4SecondsText(s []byte, d time.Duration) []byte {
	if d == DHCPv4Infinite {
		return append(s, "infinite"...)
	}
	return fmt.Appendf(s, "%d", d/time.Second)
}

func appendDHCPv4ParametersText(s, data []byte) []byte {
	for i, code := range data {
		s = appendDHCPv4Separator(s, i)
		if name := dhcpv4OptionName(code); name != "" {
			s = append(s, name...)
		} else {
			s = fmt.Appendf(s, "%d", code)
		}
	}
	return s
}

// appendDHCPv4Octets prints data whose meaning is not known, and of much of it the beginning.
func appendDHCPv4Octets(s, data []byte) []byte {
	const enough = 32
	if len(data) > enough {
		return fmt.Appendf(s, "length %d: %x…", len(data), data[:enough])
	}
	return fmt.Appendf(s, "length %d: %x", len(data), data)
}
