package smolnet_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/registration"
	"github.com/smolnet/smolnet/core/route"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// Two nodes of an IEEE 802.15.4 network, which share a key. Neighbours know each other by link-local addresses, made from the EUI-64,
// with the interface's name for a zone.
func Example_radio() {
	medium := radio.New(radio.Config{Seed: 1, Loss: 0.05})
	node := func(number byte) *smolnet.Stack {
		stack, err := smolnet.New(smolnet.Config{})
		check(err)
		_, err = stack.AddInterface(smolnet.Interface{
			Name:   "radio",
			Device: medium.Node(radio.NodeConfig{}), // or one of zep.Open, serial.Open and rawsock.Open
			IEEE802154: &core.IEEE802154Config{
				PAN:   0x23,
				EUI64: [8]byte{0: 0x02, 7: number},
				Security: &ieee802154.SecurityConfig{
					Keys: []ieee802154.Key{{Mode: wire.IEEE802154KeyIndex, Index: 1, Secret: [16]byte([]byte("sixteen octets!!"))}},
					// FrameCounter: what Link.FrameCounter was at last, if the key has been in use before
				},
			},
		})
		check(err)
		return stack
	}
	client, server := node(1), node(2)
	defer client.Close()
	defer server.Close()

	l, err := server.Listen("tcp", "[fe80::2%radio]:7")
	check(err)
	go func() {
		c, err := l.Accept()
		check(err)
		_, _ = io.Copy(c, c)
		c.Close()
	}()
	conn, err := client.Dial("tcp", "[fe80::2%radio]:7")
	check(err)
	_, err = io.WriteString(conn, "over the air")
	check(err)
	check(conn.(*smolnet.TCPConn).CloseWrite())
	echo, err := io.ReadAll(conn)
	fmt.Println(string(echo), err)
	// Output: over the air <nil>
}

// A border router tells nodes on the radio of a prefix, and they register with it the addresses that they make. It forwards for them,
// and would have another interface, to wherever the rest of the world is: see examples/borderrouter.
func ExampleInterface_borderRouter() {
	medium := radio.New(radio.Config{})
	own := netip.MustParsePrefix("2001:db8:6::1/64")
	router, err := smolnet.New(smolnet.Config{})
	check(err)
	defer router.Close()
	link, err := router.AddInterface(smolnet.Interface{
		Device:    medium.Node(radio.NodeConfig{}), // 02:00:00:00:00:00:00:01
		Forward:   true,
		Addresses: []netip.Prefix{own},
		IEEE802154: &core.IEEE802154Config{Router: &registration.RouterConfig{
			Prefixes:     []registration.Prefix{{Prefix: own.Masked()}},
			Contexts:     []wire.NDContextRepr{{Prefix: own.Masked(), Compress: true, Lifetime: 24 * time.Hour}},
			BorderRouter: own.Addr(),
			Version:      uint32(time.Now().Unix()), // more than whenever it ran before
			Delay:        time.Millisecond,          // by default it answers within two seconds, for the sake of slower radios
		}},
	})
	check(err)

	node, err := smolnet.New(smolnet.Config{})
	check(err)
	defer node.Close()
	watch := node.Watch()
	_, err = node.AddInterface(smolnet.Interface{Device: medium.Node(radio.NodeConfig{}), Autoconf: true})
	check(err)
	for {
		event, err := watch.Next(context.Background())
		check(err)
		if own := event.Address; event.Kind == core.AddressChanged && own.Origin == route.Autoconf && own.State == core.Preferred {
			fmt.Println("the node is", own.Prefix)
			break
		}
	}
	for _, host := range link.Registrations() {
		if own.Contains(host.Addr) { // else it is the node's link-local address
			fmt.Println("registered:", host.Addr, "at", host.LinkAddr)
		}
	}
	// Output:
	// the node is 2001:db8:6::2/64
	// registered: 2001:db8:6::2 at 02:00:00:00:00:00:00:02
}
