package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// NDPreference is how much a router, or a route by it, is preferred to others (RFC 4191, section 2.1).
type NDPreference int8

const (
	NDPreferenceLow    NDPreference = -1 // used if there is no other
	NDPreferenceMedium NDPreference = 0  // what routers say that know of no preferences
	NDPreferenceHigh   NDPreference = 1  // used before any other

	// ndPreferenceReserved is what the fourth value of the field is read as.
	ndPreferenceReserved NDPreference = -2
)

// String prints the preference as tcpdump -v would.
func (p NDPreference) String() string {
	switch p {
	case NDPreferenceLow:
		return "low"
	case NDPreferenceMedium:
		return "medium"
	case NDPreferenceHigh:
		return "high"
	}
	return "reserved"
}

// The preference is a two-bit signed number in bits 3 and 4 of an octet of flags, in router advertisements and in
// route information alike.
const ndPreferenceShift = 3

func ndPreference(flags uint8) NDPreference { return NDPreference(int8(flags<<3) >> 6) }

func (p NDPreference) flags() uint8 {
	p = min(max(p, NDPreferenceLow), NDPreferenceHigh)
	return uint8(p) & 3 << ndPreferenceShift
}

// NDRouteInformationRepr tells hosts of a route by the router that sends it (RFC 4191, section 2.3).
type NDRouteInformationRepr struct {
	Prefix     netip.Prefix // its bits beyond its length are zero
	Preference NDPreference
	Lifetime   time.Duration // whole seconds up to NDInfiniteLifetime
}

// Parse sets r to what o says.
func (r *NDRouteInformationRepr) Parse(o NDOption) error {
	if !ndOptionIs(o, NDOptionRouteInformation, ndOptionUnit) || len(o) > ndMaxRouteLen {
		return ErrOption
	}
	// "If Prefix Length is greater than 64, then Length must be 3. If Prefix Length is greater than 0, then Length
	// must be 2 or 3. If Prefix Length is zero, then Length must be 1, 2, or 3."
	// https://www.rfc-editor.org/rfc/rfc4191.html#section-2.3
	bits := int(o[2])
	if bits > 128 || bits > (len(o)-8)*8 {
		return ErrOption
	}
	// "If the Reserved (10) value is received, the Route Information Option MUST be ignored."
	// https://www.rfc-editor.org/rfc/rfc4191.html#section-2.3
	preference := ndPreference(o[3])
	if preference == ndPreferenceReserved {
		return ErrOption
	}
	var octets [16]byte
	copy(octets[:], o[8:])
	*r = NDRouteInformationRepr{
		Prefix:     netip.PrefixFrom(netip.AddrFrom16(octets), bits).Masked(),
		Preference: preference,
		Lifetime:   ndSeconds(o[4:]),
	}
	return nil
}

// Len is the number of octets that Emit writes, as few as the prefix needs.
func (r *NDRouteInformationRepr) Len() int { return 8 + roundUp8((int(ndPrefixBits(r.Prefix))+7)/8) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDRouteInformationRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putNDOptionHeader(b, NDOptionRouteInformation)
	b[2], b[3] = ndPrefixBits(r.Prefix), r.Preference.flags()
	putNDSeconds(b[4:], r.Lifetime)
	octets := r.Prefix.Masked().Addr().As16()
	copy(b[8:], octets[:])
}

// String prints the option as tcpdump -v would.
func (r *NDRouteInformationRepr) String() string {
	b := fmt.Appendf(nil, "route info %v, pref=%v, lifetime=", r.Prefix, r.Preference)
	return string(appendNDLifetime(b, r.Lifetime))
}

// NDRDNSSRepr tells hosts of recursive DNS servers (RFC 8106, section 5.1).
type NDRDNSSRepr struct {
	Lifetime time.Duration // whole seconds up to NDInfiniteLifetime; 0: no longer to be used
	Servers  []netip.Addr  // at least one, at most 127; the rest is not emitted
}

const ndMaxServers = 127

// Parse sets r to what o says. It reuses the memory of Servers.
func (r *NDRDNSSRepr) Parse(o NDOption) error {
	// "[...] whether the value of the Length field in the RDNSS option is greater than or equal to the minimum
	// value (3) and satisfies the requirement that (Length - 1) % 2 == 0."
	// https://www.rfc-editor.org/rfc/rfc8106.html#section-5.3.1
	if !ndOptionIs(o, NDOptionRDNSS, ndLifetimeHeaderLen+16) || (len(o)-ndLifetimeHeaderLen)%16 != 0 {
		return ErrOption
	}
	r.Lifetime = ndSeconds(o[4:])
	r.Servers = r.Servers[:0]
	for rest := o[ndLifetimeHeaderLen:]; len(rest) > 0; rest = rest[16:] {
		r.Servers = append(r.Servers, netip.AddrFrom16([16]byte(rest[:16])))
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *NDRDNSSRepr) Len() int { return ndLifetimeHeaderLen + 16*min(len(r.Servers), ndMaxServers) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDRDNSSRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putNDOptionHeader(b, NDOptionRDNSS)
	b[2], b[3] = 0, 0
	putNDSeconds(b[4:], r.Lifetime)
	for i, server := range r.Servers[:min(len(r.Servers), ndMaxServers)] {
		putAddr16(b[ndLifetimeHeaderLen+16*i:], server)
	}
}

// String prints the option as tcpdump -v would.
func (r *NDRDNSSRepr) String() string {
	b := appendNDLifetime([]byte("rdnss lifetime "), r.Lifetime)
	for _, server := range r.Servers {
		b = fmt.Appendf(b, ", addr: %v", server)
	}
	return string(b)
}

// NDDNSSLRepr tells hosts of domains to search for names in (RFC 8106, section 5.2).
type NDDNSSLRepr struct {
	Lifetime time.Duration // whole seconds up to NDInfiniteLifetime; 0: no longer to be used
	// Domains are names such as "example.com", at least one, without a dot at the end: labels of 1 to 63 printable
	// ASCII characters, at most 253 in all. Other names are not emitted, and neither are those that no longer fit
	// in the option's 2,032 octets.
	Domains []string
}

// ndMaxDomainLen is the most characters of a name, without a dot at the end, that fit in the 255 octets that DNS
// allows it.
const ndMaxDomainLen = 253

// Parse sets r to what o says. It reuses the memory of Domains.
func (r *NDDNSSLRepr) Parse(o NDOption) error {
	if !ndOptionIs(o, NDOptionDNSSL, ndLifetimeHeaderLen+8) {
		return ErrOption
	}
	domains := r.Domains[:0]
	for rest := o[ndLifetimeHeaderLen:]; len(rest) > 0; {
		// A name without labels is padding.
		// https://www.rfc-editor.org/rfc/rfc8106.html#section-5.2
		if rest[0] == 0 {
			rest = rest[1:]
			continue
		}
		domain, n := ndDomain(rest)
		if n == 0 {
			return ErrOption
		}
		domains = append(domains, domain)
		rest = rest[n:]
	}
	if len(domains) == 0 {
		return ErrOption
	}
	r.Lifetime, r.Domains = ndSeconds(o[4:]), domains
	return nil
}

// ndDomain returns the name that b begins with, and the octets that it takes, 0 if it is not a legal one. Names
// are never compressed.
func ndDomain(b []byte) (domain string, n int) {
	var name []byte
	for n < len(b) {
		label := int(b[n])
		n++
		if label == 0 {
			if validNDDomain(string(name)) {
				return string(name), n
			}
			break
		}
		if label > 63 || n+label > len(b) || len(name) > ndMaxDomainLen {
			break
		}
		if strings.IndexByte(string(b[n:n+label]), '.') >= 0 {
			break
		}
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = append(name, b[n:n+label]...)
		n += label
	}
	return "", 0
}

// validNDDomain reports whether domain is of the kind that NDDNSSLRepr holds. Names end up in the lines of
// configuration files: what could break out of one is refused.
func validNDDomain(domain string) bool {
	if len(domain) > ndMaxDomainLen {
		return false
	}
	label := 0
	for i := range len(domain) {
		switch c := domain[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
		case c <= ' ' || c > '~' || label == 63:
			return false
		default:
			label++
		}
	}
	return label > 0
}

// Len is the number of octets that Emit writes.
func (r *NDDNSSLRepr) Len() int {
	n := ndLifetimeHeaderLen
	for _, domain := range r.Domains {
		if size := len(domain) + 2; validNDDomain(domain) && n+size <= ndMaxOptionLen {
			n += size
		}
	}
	return roundUp8(n)
}

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *NDDNSSLRepr) Emit(b []byte) {
	b = b[:r.Len()]
	clear(b)
	putNDOptionHeader(b, NDOptionDNSSL)
	binary.BigEndian.PutUint16(b[2:], 0)
	putNDSeconds(b[4:], r.Lifetime)
	n := ndLifetimeHeaderLen
	for _, domain := range r.Domains {
		if !validNDDomain(domain) || n+len(domain)+2 > len(b) {
			continue
		}
		for label := range strings.SplitSeq(domain, ".") {
			b[n] = uint8(len(label))
			n += 1 + copy(b[n+1:], label)
		}
		n++ // the root's label, which has no octets
	}
}

// String prints the option as tcpdump -v would.
func (r *NDDNSSLRepr) String() string {
	b := appendNDLifetime([]byte("dnssl lifetime "), r.Lifetime)
	for _, domain := range r.Domains {
		b = fmt.Appendf(b, ", domain: %s.", domain)
	}
	return string(b)
}
