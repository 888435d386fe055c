package smolnet_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/smolnet"
)

// nameServing answers questions for addresses, whatever the name, with one of IPv4.
func nameServing(c net.PacketConn, addr netip.Addr) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if question := m.Questions[0]; question.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60},
				Body:   &dnsmessage.AResource{A: addr.As4()},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			c.WriteTo(answer, from)
		}
	}
}

// A stack that asks a name server whom to dial. The server is another goroutine's, on the stack's loopback.
func ExampleConfig_resolver() {
	stack, err := smolnet.New(smolnet.Config{Resolver: smolnet.ResolverConfig{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")},
	}})
	check(err)
	defer stack.Close()
	names, err := stack.ListenPacket("udp", "127.0.0.1:53")
	check(err)
	go nameServing(names, netip.MustParseAddr("127.0.0.9"))
	_, err = stack.Listen("tcp", ":80")
	check(err)

	addrs, err := stack.LookupHost("server.example")
	fmt.Println(addrs, err)
	conn, err := stack.Dial("tcp", "server.example:http")
	check(err)
	fmt.Println(conn.RemoteAddr())
	// Output:
	// [127.0.0.9] <nil>
	// 127.0.0.9:80
}

// For code that demands a *net.Resolver. What is found also depends on files of the host's: see NetResolver.
func ExampleResolver_NetResolver() {
	stack, err := smolnet.New(smolnet.Config{Resolver: smolnet.ResolverConfig{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.168.69.100:53")},
	}})
	check(err)
	defer stack.Close()

	resolver := stack.Resolver().NetResolver()
	addrs, err := resolver.LookupNetIP(context.Background(), "ip4", "server.example.")
	fmt.Println(addrs, err)
}
