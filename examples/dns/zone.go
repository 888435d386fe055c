package main

import (
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// record is a line of the zone.
type record struct {
	name string
	kind dnsmessage.Type
	body dnsmessage.ResourceBody
}

// zone is what the program's own server knows.
var zone = []record{
	{"example.", dnsmessage.TypeNS, &dnsmessage.NSResource{NS: name("ns.example.")}},
	{"example.", dnsmessage.TypeMX, &dnsmessage.MXResource{Pref: 10, MX: name("mail.example.")}},
	{"example.", dnsmessage.TypeMX, &dnsmessage.MXResource{Pref: 20, MX: name("ns.example.")}},
	{"example.", dnsmessage.TypeTXT, &dnsmessage.TXTResource{TXT: []string{"a zone ", "for show"}}},
	address("ns.example.", "192.168.69.100"),
	address("mail.example.", "192.168.69.25"),
	address("www.example.", "192.168.69.80"),
	address("www.example.", "fdaa::80"),
	{"web.example.", dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: name("www.example.")}},
	{"_http._tcp.example.", dnsmessage.TypeSRV, &dnsmessage.SRVResource{Priority: 1, Weight: 1, Port: 80, Target: name("www.example.")}},
	{"80.69.168.192.in-addr.arpa.", dnsmessage.TypePTR, &dnsmessage.PTRResource{PTR: name("www.example.")}},
	// More than fits a datagram, so it comes over TCP.
	{"long.example.", dnsmessage.TypeTXT, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("very ", 50), strings.Repeat("very ", 50), "long"}}},
}

// everything is what there is to ask that server for.
var everything = []question{
	{"www.example", ""},
	{"web.example", "A"},
	{"web.example", "CNAME"},
	{"example", "NS"},
	{"example", "MX"},
	{"example", "TXT"},
	{"long.example", "TXT"},
	{"_http._tcp.example", "SRV"},
	{"192.168.69.80", "PTR"},
	{"localhost", ""},
	{"nobody.example", ""},
}

func name(text string) dnsmessage.Name { return dnsmessage.MustNewName(text) }

func address(of, addr string) record {
	a := netip.MustParseAddr(addr)
	if a.Is4() {
		return record{of, dnsmessage.TypeA, &dnsmessage.AResource{A: a.As4()}}
	}
	return record{of, dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: a.As16()}}
}
