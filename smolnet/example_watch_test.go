package smolnet_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// A program waits for its stack to have an IPv4 address, wherever that comes from, and looks at what it is.
func ExampleStack_Watch() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Close()
	watch := stack.Watch() // before there is anything to miss
	defer watch.Close()

	cable, _ := pipe.New(pipe.Config{})
	link, err := stack.AddInterface(smolnet.Interface{
		Device:    cable,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24")}, // or DHCPv4: &dhcpv4.Config{}
	})
	if err != nil {
		log.Fatal(err)
	}
	for {
		event, err := watch.Next(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		if a := event.Address; a.Prefix.Addr().Is4() && a.State == core.Preferred {
			break
		}
	}
	for _, address := range link.Addresses() {
		if address.Prefix.Addr().Is4() {
			fmt.Println(address)
		}
	}
	for _, route := range stack.Routes() {
		if route.Destination.Addr().Is4() {
			fmt.Println(route)
		}
	}
	// Output:
	// 192.168.69.1/24 preferred
	// 192.168.69.0/24 link 2 metric 0
}
