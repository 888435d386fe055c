package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Codes of DHCPv6 options.
const (
	DHCPv6OptionClientID         = 1  // RFC 8415, section 21.2
	DHCPv6OptionServerID         = 2  // RFC 8415, section 21.3
	DHCPv6OptionIANA             = 3  // RFC 8415, section 21.4
	DHCPv6OptionIAAddr           = 5  // RFC 8415, section 21.6
	DHCPv6OptionRequest          = 6  // RFC 8415, section 21.7
	DHCPv6OptionPreference       = 7  // RFC 8415, section 21.8
	DHCPv6OptionElapsedTime      = 8  // RFC 8415, section 21.9
	DHCPv6OptionRelayMessage     = 9  // RFC 8415, section 21.10
	DHCPv6OptionStatusCode       = 13 // RFC 8415, section 21.13
	DHCPv6OptionRapidCommit      = 14 // RFC 8415, section 21.14
	DHCPv6OptionDNSServers       = 23 // RFC 3646, section 3
	DHCPv6OptionDomains          = 24 // RFC 3646, section 4
	DHCPv6OptionRefreshTime      = 32 // RFC 8415, section 21.23
	DHCPv6OptionNTPServer        = 56 // RFC 5908
	DHCPv6OptionSolicitMaxRT     = 82 // RFC 8415, section 21.24
	DHCPv6OptionInformationMaxRT = 83 // RFC 8415, section 21.25
)

// Status codes (RFC 8415, section 21.13).
const (
	DHCPv6Success       = 0
	DHCPv6UnspecFail    = 1
	DHCPv6NoAddrsAvail  = 2 // no address can be assigned to the association
	DHCPv6NoBinding     = 3 // the server knows nothing of the association
	DHCPv6NotOnLink     = 4 // the addresses do not belong on the client's link
	DHCPv6UseMulticast  = 5 // the message was not for the server alone
	DHCPv6NoPrefixAvail = 6
)

const (
	dhcpv6OptionHeaderLen = 4
	dhcpv6IANALen         = 12 // IAID, T1, T2
	dhcpv6IAAddrLen       = 24 // address and two lifetimes
	dhcpv6MaxOptionLen    = 0xffff

	// What the option for NTP servers has inside, options of their own.
	dhcpv6NTPAddr  = 1
	dhcpv6NTPGroup = 2
	dhcpv6NTPName  = 3
)

// DHCPv6Options are the octets of options, one after another, unknown ones included. Made by ParseDHCPv6Options, none
// of its methods panics.
type DHCPv6Options []byte

// ParseDHCPv6Options takes all of b for options. The error is ErrTruncated if one runs past b.
func ParseDHCPv6Options(b []byte) (DHCPv6Options, error) {
	options := DHCPv6Options(b)
	for _, ok := options.Next(); ok; _, ok = options.Next() {
	}
	if len(options) > 0 {
		return nil, ErrTruncated
	}
	return b, nil
}

// Next takes the first option off the front and returns it, or false if none is left.
func (o *DHCPv6Options) Next() (DHCPv6Option, bool) {
	b := *o
	if len(b) < dhcpv6OptionHeaderLen {
		return nil, false
	}
	n := dhcpv6OptionHeaderLen + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return nil, false
	}
	*o = b[n:]
	return DHCPv6Option(b[:n:n]), true
}

// Find returns the first option of the given code.
func (o DHCPv6Options) Find(code uint16) (DHCPv6Option, bool) {
	for option, ok := o.Next(); ok; option, ok = o.Next() {
		if option.Code() == code {
			return option, true
		}
	}
	return nil, false
}

// DHCPv6Option is one option: code, length, and what the code has.
type DHCPv6Option []byte

// Code is what the option is, such as DHCPv6OptionIANA.
func (o DHCPv6Option) Code() uint16 { return binary.BigEndian.Uint16(o) }

// Data is what follows code and length. It shares o's octets.
func (o DHCPv6Option) Data() []byte { return o[dhcpv6OptionHeaderLen:] }

// appendDHCPv6Option adds an option, unless data is too long for one.
func appendDHCPv6Option(b []byte, code uint16, data []byte) []byte {
	if len(data) > dhcpv6MaxOptionLen {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// DHCPv6IANA is an association of non-temporary addresses, as a message has it. Options inside that are not known are
// not kept.
type DHCPv6IANA struct {
	IAID      uint32         // the client's number for it
	T1, T2    time.Duration  // when to renew and to rebind, whole seconds up to DHCPv6Infinity; 0: as the client likes
	Addresses []DHCPv6IAAddr // at most 65,535 octets of them; the rest is not emitted
	Status    DHCPv6Status   // zero: success
}

// DHCPv6IAAddr is an address in an association.
type DHCPv6IAAddr struct {
	Addr netip.Addr
	// The lifetimes are whole seconds up to DHCPv6Infinity, the preferred one at most the valid one.
	Preferred, Valid time.Duration
	Status           DHCPv6Status // zero: success
}

// parse sets ia to what an option says, and reports whether the client may make use of it. The error is ErrOption.
func (ia *DHCPv6IANA) parse(data []byte) (legal bool, err error) {
	if len(data) < dhcpv6IANALen {
		return false, ErrOption
	}
	*ia = DHCPv6IANA{IAID: binary.BigEndian.Uint32(data), T1: ndSeconds(data[4:]), T2: ndSeconds(data[8:])}
	options, err := ParseDHCPv6Options(data[dhcpv6IANALen:])
	if err != nil {
		return false, ErrOption
	}
	status := false
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		switch option.Code() {
		case DHCPv6OptionIAAddr:
			var addr DHCPv6IAAddr
			legal, err := addr.parse(option.Data())
			if err != nil {
				return false, err
			}
			if legal {
				ia.Addresses = append(ia.Addresses, addr)
			}
		case DHCPv6OptionStatusCode:
			if status {
				continue
			}
			status = true
			if err := ia.Status.parse(option.Data()); err != nil {
				return false, err
			}
		}
	}
	// "If a client receives an IA_NA with T1 greater than T2 and both T1 and T2 are greater than 0, the client discards
	// the IA_NA option and processes the remainder of the message as though the server had not included the invalid
	// IA_NA option."
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.4
	return ia.T2 == 0 || ia.T1 <= ia.T2, nil
}

func (ia *DHCPv6IANA) append(b []byte) []byte {
	data := binary.BigEndian.AppendUint32(nil, ia.IAID)
	data = appendDHCPv6Seconds(data, ia.T1)
	data = appendDHCPv6Seconds(data, ia.T2)
	data = ia.Status.append(data)
	for i := range ia.Addresses {
		data = ia.Addresses[i].append(data)
	}
	return appendDHCPv6Option(b, DHCPv6OptionIANA, data)
}

// parse sets a to what an option says, and reports whether the client may make use of it. The error is ErrOption.
func (a *DHCPv6IAAddr) parse(data []byte) (legal bool, err error) {
	if len(data) < dhcpv6IAAddrLen {
		return false, ErrOption
	}
	*a = DHCPv6IAAddr{
		Addr:      netip.AddrFrom16([16]byte(data[:16])),
		Preferred: ndSeconds(data[16:]), Valid: ndSeconds(data[20:]),
	}
	options, err := ParseDHCPv6Options(data[dhcpv6IAAddrLen:])
	if err != nil {
		return false, ErrOption
	}
	if option, ok := options.Find(DHCPv6OptionStatusCode); ok {
		if err := a.Status.parse(option.Data()); err != nil {
			return false, err
		}
	}
	// "The client MUST discard any addresses for which the preferred lifetime is greater than the valid lifetime."
	// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.6
	return a.Preferred <= a.Valid, nil
}

func (a *DHCPv6IAAddr) append(b []byte) []byte {
	octets := a.Addr.As16()
	data := appendDHCPv6Seconds(octets[:], min(a.Preferred, a.Valid))
	data = appendDHCPv6Seconds(data, a.Valid)
	return appendDHCPv6Option(b, DHCPv6OptionIAAddr, a.Status.append(data))
}

// DHCPv6Status is what became of what was asked for.
type DHCPv6Status struct {
	Code    uint16 // such as DHCPv6NoBinding; 0: success
	Message string // for people
}

// parse sets s to what an option says. The error is ErrOption.
func (s *DHCPv6Status) parse(data []byte) error {
	if len(data) < 2 {
		return ErrOption
	}
	*s = DHCPv6Status{Code: binary.BigEndian.Uint16(data), Message: string(data[2:])}
	return nil
}

// append adds the option, unless it would say nothing.
func (s *DHCPv6Status) append(b []byte) []byte {
	if *s == (DHCPv6Status{}) {
		return b
	}
	return appendDHCPv6Option(b, DHCPv6OptionStatusCode, append([]byte{byte(s.Code >> 8), byte(s.Code)}, s.Message...))
}

// String is the code's name, and the message if there is one.
func (s DHCPv6Status) String() string {
	if s.Message == "" {
		return dhcpv6StatusName(s.Code)
	}
	return fmt.Sprintf("%s (%q)", dhcpv6StatusName(s.Code), s.Message)
}

func dhcpv6StatusName(code uint16) string {
	names := [...]string{
		DHCPv6Success: "Success", DHCPv6UnspecFail: "UnspecFail", DHCPv6NoAddrsAvail: "NoAddrsAvail",
		DHCPv6NoBinding: "NoBinding", DHCPv6NotOnLink: "NotOnLink", DHCPv6UseMulticast: "UseMulticast",
		DHCPv6NoPrefixAvail: "NoPrefixAvail",
	}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("code%d", code)
}

// appendDHCPv6Seconds adds d as 32 bits of seconds, rounded down.
func appendDHCPv6Seconds(b []byte, d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(min(max(d, 0), DHCPv6Infinity)/time.Second))
}

// appendDHCPv6Addrs adds the addresses that data is a list of, all or none.
func appendDHCPv6Addrs(addrs []netip.Addr, data []byte) []netip.Addr {
	if len(data)%16 != 0 {
		return addrs
	}
	for ; len(data) > 0; data = data[16:] {
		addrs = append(addrs, netip.AddrFrom16([16]byte(data[:16])))
	}
	return addrs
}

func dhcpv6AddrOctets(addrs []netip.Addr) (b []byte) {
	for _, addr := range addrs {
		octets := addr.As16()
		b = append(b, octets[:]...)
	}
	return b
}

// appendDHCPv6Domains adds the names that data is a list of, as far as they are legal.
func appendDHCPv6Domains(domains []string, data []byte) []string {
	for len(data) > 0 {
		domain, n := ndDomain(data)
		if n == 0 {
			break
		}
		domains = append(domains, domain)
		data = data[n:]
	}
	return domains
}

// dhcpv6DomainOctets are the names, without those that are not legal.
func dhcpv6DomainOctets(domains []string) (b []byte) {
	for _, domain := range domains {
		if !validNDDomain(domain) {
			continue
		}
		for label := range strings.SplitSeq(domain, ".") {
			b = append(b, byte(len(label)))
			b = append(b, label...)
		}
		b = append(b, 0)
	}
	return b
}

// parseNTP takes the time servers of an option; those it does not understand are left out.
func (r *DHCPv6Repr) parseNTP(data []byte) {
	options := DHCPv6Options(data)
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		switch option.Code() {
		case dhcpv6NTPAddr, dhcpv6NTPGroup:
			if len(option.Data()) == 16 {
				r.NTPServers = appendDHCPv6Addrs(r.NTPServers, option.Data())
			}
		case dhcpv6NTPName:
			if name, n := ndDomain(option.Data()); n > 0 && n == len(option.Data()) {
				r.NTPNames = append(r.NTPNames, name)
			}
		}
	}
}

// ntpOctets are the time servers as an option has them.
func (r *DHCPv6Repr) ntpOctets() (b []byte) {
	for i := range r.NTPServers {
		code := uint16(dhcpv6NTPAddr)
		if r.NTPServers[i].IsMulticast() {
			code = dhcpv6NTPGroup
		}
		b = appendDHCPv6Option(b, code, dhcpv6AddrOctets(r.NTPServers[i:i+1]))
	}
	for i := range r.NTPNames {
		if name := dhcpv6DomainOctets(r.NTPNames[i : i+1]); len(name) > 0 {
			b = appendDHCPv6Option(b, dhcpv6NTPName, name)
		}
	}
	return b
}
