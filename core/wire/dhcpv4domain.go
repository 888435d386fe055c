package wire

import "strings"

// dhcpv4Domains reads a domain search list: names one after another, as in DNS messages, compressed or not, pointers
// counting from the list's first octet (RFC 3397, section 2). Names that are not as DHCPv4Repr.DomainSearch has them are left out; it
// returns nil if the octets are not names at all.
func dhcpv4Domains(b []byte) []string {
	var domains []string
	for at := 0; at < len(b); {
		name, end, ok := dhcpv4Domain(b, at)
		if !ok {
			return nil
		}
		if validNDDomain(name) {
			domains = append(domains, name)
		}
		at = end
	}
	return domains
}

// dhcpv4Domain reads the name at b[at:] and returns where the next one begins. Pointers lead backwards only, so that
// following them comes to an end.
func dhcpv4Domain(b []byte, at int) (name string, end int, ok bool) {
	var text []byte
	limit := len(b) // what a pointer has led from, and the part of the name that it has led to must not reach
	for {
		if at >= limit {
			return "", 0, false
		}
		n := int(b[at])
		switch {
		case n == 0:
			if end == 0 {
				end = at + 1
			}
			return string(text), end, true
		case n >= 0xc0:
			if at+2 > limit {
				return "", 0, false
			}
			if end == 0 {
				end = at + 2
			}
			at, limit = (n&0x3f)<<8|int(b[at+1]), at
		case n > 63 || at+1+n > limit || len(text)+n > ndMaxDomainLen:
			return "", 0, false
		default:
			if len(text) > 0 {
				text = append(text, '.')
			}
			label := b[at+1 : at+1+n]
			if strings.IndexByte(string(label), '.') >= 0 {
				label = []byte{0} // a dot within a label has no place in text; this makes the name one that is left out
			}
			text = append(text, label...)
			at += 1 + n
		}
	}
}

// appendDHCPv4Domains writes a domain search list, without the names that DHCPv4Repr.DomainSearch must not have. As RFC
// 3397 wants it, a name's end that is there already becomes a pointer.
func appendDHCPv4Domains(b []byte, domains []string) []byte {
	start := len(b)
	at := make(map[string]int)
next:
	for _, name := range domains {
		if !validNDDomain(name) {
			continue
		}
		for rest := name; rest != ""; {
			if to, ok := at[rest]; ok {
				b = append(b, 0xc0|uint8(to>>8), uint8(to))
				continue next
			}
			if to := len(b) - start; to < 1<<14 {
				at[rest] = to
			}
			var label string
			label, rest, _ = strings.Cut(rest, ".")
			b = append(b, uint8(len(label)))
			b = append(b, label...)
		}
		b = append(b, 0)
	}
	return b
}
