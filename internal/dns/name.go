package dns

import (
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// fold returns the name without capital letters, so that names that are the same look the same. Only those of ASCII count:
// https://www.rfc-editor.org/rfc/rfc4343.html#section-3
func fold(name dnsmessage.Name) string {
	octets := name.Data[:name.Length]
	lower := make([]byte, len(octets))
	for i, octet := range octets {
		if 'A' <= octet && octet <= 'Z' {
			octet |= 0x20
		}
		lower[i] = octet
	}
	return string(lower)
}

// within reports whether a folded name is the domain or lies below it.
func within(name, domain string) bool {
	return name == domain || domain == "." || strings.HasSuffix(name, "."+domain)
}

// valid reports whether the name can be put into a message.
func valid(name dnsmessage.Name) bool {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	if err := builder.StartQuestions(); err != nil {
		return false
	}
	return builder.Question(dnsmessage.Question{Name: name}) == nil
}

// linkDomains are asked about on the link. The reverse ones are those of 169.254/16 and fe80::/10.
// https://www.rfc-editor.org/rfc/rfc6762.html#section-4
var linkDomains = []string{
	"local.", "254.169.in-addr.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.",
}

// OfLink reports whether a name, which ends in a dot, is one that only the hosts on the link can know: those that a Client with
// Multicast asks for there.
func OfLink(name string) bool {
	absolute, err := dnsmessage.NewName(name)
	return err == nil && ofLink(absolute)
}

func ofLink(name dnsmessage.Name) bool {
	folded := fold(name)
	for _, domain := range linkDomains {
		if within(folded, domain) {
			return true
		}
	}
	return false
}
