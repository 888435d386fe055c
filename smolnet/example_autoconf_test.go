package smolnet_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/dhcpv4"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// An interface gets its address, routes and name servers from a DHCP server. For IPv6 it would listen to routers, if there were any.
func ExampleInterface() {
	device, others := pipe.New(pipe.Config{})
	server := dhcpServer(others)
	defer server.Close()

	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	watch := stack.Watch()
	link, err := stack.AddInterface(smolnet.Interface{
		Device:   device,
		DHCPv4:   &dhcpv4.Config{Hostname: "guest"},
		Autoconf: true,

		DuplicateDetection: core.DetectNone, // without it, this takes some five seconds
	})
	check(err)
	for {
		event, err := watch.Next(context.Background())
		check(err)
		if event.Kind == core.LeaseBound {
			fmt.Println(event.Lease.Prefix, "from", event.Lease.Server)
			break
		}
	}
	fmt.Println(stack.Resolver().Servers(), stack.Resolver().Search())
	i := slices.IndexFunc(stack.Routes(), func(r core.Route) bool { return r.Destination.Bits() == 0 })
	fmt.Println(stack.Routes()[i])
	link.StopDHCPv4() // gives the lease back, as Close would
	_, err = stack.Dial("tcp", "203.0.113.1:80")
	fmt.Println(err)
	// Output:
	// 192.168.69.10/24 from 192.168.69.1
	// [192.168.69.53:53] [example.]
	// 0.0.0.0/0 via 192.168.69.1 link 2 metric 0
	// dial tcp 203.0.113.1:80: connect: network is unreachable
}

// dhcpServer is a stack that hands out addresses.
func dhcpServer(device dev.Device) *smolnet.Stack {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	own := netip.MustParsePrefix("192.168.69.1/24")
	_, err = stack.AddInterface(smolnet.Interface{
		Device:    device,
		Addresses: []netip.Prefix{own},
		DHCPv4Server: &dhcpv4.ServerConfig{
			First:      netip.MustParseAddr("192.168.69.10"),
			Last:       netip.MustParseAddr("192.168.69.99"),
			Routers:    []netip.Addr{own.Addr()},
			DNSServers: []netip.Addr{netip.MustParseAddr("192.168.69.53")},
			DomainName: "example",
		},
	})
	check(err)
	return stack
}
