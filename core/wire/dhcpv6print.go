package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// dhcpv6OptionName names an option as tcpdump does, or, where it knows no name, as RFC 8415 does.
func dhcpv6OptionName(code uint16) string {
	names := [...]string{
		DHCPv6OptionClientID: "client-ID", DHCPv6OptionServerID: "server-ID", DHCPv6OptionIANA: "IA_NA", 4: "IA_TA",
		DHCPv6OptionIAAddr: "IA_ADDR", DHCPv6OptionRequest: "option-request", DHCPv6OptionPreference: "preference",
		DHCPv6OptionElapsedTime: "elapsed-time", DHCPv6OptionRelayMessage: "relay-message", 11: "authentication",
		12: "server-unicast", DHCPv6OptionStatusCode: "status-code", DHCPv6OptionRapidCommit: "rapid-commit",
		15: "user-class", 16: "vendor-class", 17: "vendor-specific-info", 18: "interface-ID", 19: "reconfigure-message",
		20: "reconfigure-accept", 21: "SIP-servers-domain", 22: "SIP-servers-address", DHCPv6OptionDNSServers: "DNS-server",
		DHCPv6OptionDomains: "DNS-search-list", 25: "IA_PD", 26: "IA_PD-prefix", 31: "SNTP-servers",
		DHCPv6OptionRefreshTime: "lifetime", 37: "Remote-ID", 38: "Subscriber-ID", 39: "Client-FQDN",
		41: "POSIX-timezone", 42: "POSIX-tz-database", DHCPv6OptionNTPServer: "NTP-server",
		DHCPv6OptionSolicitMaxRT: "SOL_MAX_RT", DHCPv6OptionInformationMaxRT: "INF_MAX_RT",
	}
	if int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return fmt.Sprintf("opt_%d", code)
}

// appendDHCPv6Options prints options, each after a blank, legal or not. depth bounds how many messages inside one
// another are printed.
func appendDHCPv6Options(b []byte, options DHCPv6Options, depth int) []byte {
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		b = append(b, " ("...)
		b = append(b, dhcpv6OptionName(option.Code())...)
		b = appendDHCPv6OptionData(b, option.Code(), option.Data(), depth)
		b = append(b, ')')
	}
	if len(options) > 0 {
		b = append(b, " [|dhcp6ext]"...)
	}
	return b
}

// appendDHCPv6OptionData prints what an option says, if there is more to it than its name: as tcpdump has it a
// question mark, if it is not as its code should be.
func appendDHCPv6OptionData(b []byte, code uint16, data []byte, depth int) []byte {
	const bad = " ?"
	switch code {
	case DHCPv6OptionClientID, DHCPv6OptionServerID:
		return fmt.Appendf(b, " %v", DHCPv6DUID(data))
	case DHCPv6OptionIANA:
		if len(data) < dhcpv6IANALen {
			return append(b, bad...)
		}
		b = fmt.Appendf(b, " IAID:%d T1:%d T2:%d", binary.BigEndian.Uint32(data),
			binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:]))
		return appendDHCPv6Nested(b, data[dhcpv6IANALen:], depth)
	case DHCPv6OptionIAAddr:
		if len(data) < dhcpv6IAAddrLen {
			return append(b, bad...)
		}
		b = fmt.Appendf(b, " %v pltime:%d vltime:%d", netip.AddrFrom16([16]byte(data[:16])),
			binary.BigEndian.Uint32(data[16:]), binary.BigEndian.Uint32(data[20:]))
		return appendDHCPv6Nested(b, data[dhcpv6IAAddrLen:], depth)
	case DHCPv6OptionRequest:
		if len(data)%2 != 0 {
			return append(b, bad...)
		}
		for ; len(data) > 0; data = data[2:] {
			b = fmt.Appendf(b, " %s", dhcpv6OptionName(binary.BigEndian.Uint16(data)))
		}
		return b
	case DHCPv6OptionPreference:
		if len(data) != 1 {
			return append(b, bad...)
		}
		return fmt.Appendf(b, " %d", data[0])
	case DHCPv6OptionElapsedTime:
		if len(data) != 2 {
			return append(b, bad...)
		}
		return fmt.Appendf(b, " %d", binary.BigEndian.Uint16(data))
	case DHCPv6OptionRelayMessage:
		if depth == 0 {
			return append(b, " ..."...)
		}
		b = append(b, " ("...)
		return append(appendDHCPv6(b, data, depth-1), ')')
	case DHCPv6OptionStatusCode:
		var status DHCPv6Status
		if status.parse(data) != nil {
			return append(b, bad...)
		}
		return fmt.Appendf(b, " %s", dhcpv6StatusName(status.Code))
	case DHCPv6OptionDNSServers:
		if len(data)%16 != 0 {
			return append(b, bad...)
		}
		for _, addr := range appendDHCPv6Addrs(nil, data) {
			b = fmt.Appendf(b, " %v", addr)
		}
		return b
	case DHCPv6OptionDomains:
		return appendDHCPv6Names(b, data)
	case DHCPv6OptionNTPServer:
		return appendDHCPv6NTP(b, data)
	case DHCPv6OptionRefreshTime, DHCPv6OptionSolicitMaxRT, DHCPv6OptionInformationMaxRT:
		if len(data) != 4 {
			return append(b, bad...)
		}
		return fmt.Appendf(b, " %d", binary.BigEndian.Uint32(data))
	}
	return b
}

// appendDHCPv6Nested prints options inside another option. Those nest as deep as octets go: an address in an
// association is all that has a meaning.
func appendDHCPv6Nested(b []byte, options DHCPv6Options, depth int) []byte {
	if depth == 0 {
		return append(b, " ..."...)
	}
	return appendDHCPv6Options(b, options, depth-1)
}

// appendDHCPv6Names prints a list of names, each after a blank.
func appendDHCPv6Names(b, data []byte) []byte {
	for len(data) > 0 {
		name, n := ndDomain(data)
		if n == 0 {
			return append(b, " [|domain]"...)
		}
		b = fmt.Appendf(b, " %s.", name)
		data = data[n:]
	}
	return b
}

// appendDHCPv6NTP prints what is in the option for time servers.
func appendDHCPv6NTP(b, data []byte) []byte {
	options := DHCPv6Options(data)
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		b = fmt.Appendf(b, " subopt:%d", option.Code())
		switch {
		case option.Code() <= dhcpv6NTPGroup && len(option.Data()) == 16:
			b = fmt.Appendf(b, " %v", netip.AddrFrom16([16]byte(option.Data())))
		case option.Code() == dhcpv6NTPName:
			b = appendDHCPv6Names(b, option.Data())
		default:
			b = append(b, " ?"...)
		}
	}
	if len(options) > 0 {
		b = append(b, " ?"...)
	}
	return b
}
