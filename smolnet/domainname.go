package smolnet

import "strings"

const (
	maxNameLen  = 253 // octets of a name without its final dot: https://www.rfc-editor.org/rfc/rfc1035.html#section-2.3.4
	maxLabelLen = 63
)

// isDomainName reports whether a host, or a service as in SRV records, may have the name, which may end in a dot: labels of
// letters, digits, hyphens and underscores, and not of digits alone, which would be an address. It is what package net takes
// for a name.
func isDomainName(name string) bool {
	if name == "." {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxNameLen {
		return false
	}
	numeric := true
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabelLen || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case '0' <= c && c <= '9':
			case 'a' <= c|0x20 && c|0x20 <= 'z', c == '-', c == '_':
				numeric = false
			default:
				return false
			}
		}
	}
	return !numeric
}

// below reports whether the name is the domain, which is in small letters and has no final dot, or lies below it.
func below(name, domain string) bool {
	name = folded(name)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// candidates returns the absolute names that a name may stand for, in the order in which to try them. A name with a final dot
// stands for itself alone.
func (r *Resolver) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return askable(name)
	}
	var names []string
	for _, domain := range r.searchList() {
		names = append(names, askable(name+"."+domain)...)
	}
	itself := askable(name + ".")
	if strings.Count(name, ".") >= r.config.NDots {
		return append(itself, names...)
	}
	return append(names, itself...)
}

// askable returns the name, unless it is too long, or one of Tor's hidden services, whose names must not be told to anybody:
// https://www.rfc-editor.org/rfc/rfc7686.html#section-2
func askable(name string) []string {
	if len(name) > maxNameLen+1 || below(name, "onion") {
		return nil
	}
	return []string{name}
}
