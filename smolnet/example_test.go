package smolnet_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// Two stacks on an in-memory link: one serves HTTP, the other fetches.
func Example() {
	here, there := pipe.New(pipe.Config{})
	client, server := stackOn(here, "192.168.69.1/24"), stackOn(there, "192.168.69.100/24")
	defer client.Close()
	defer server.Close()

	l, err := server.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.URL.Path)
	}))

	transport := &http.Transport{DialContext: client.DialContext}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://192.168.69.100/world")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: hello, /world <nil>
}

// check ends an example that has failed.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// stackOn returns a stack with one interface.
func stackOn(device *pipe.Device, address string) *smolnet.Stack {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = stack.AddInterface(smolnet.Interface{
		Device:    device,
		Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
	})
	if err != nil {
		log.Fatal(err)
	}
	return stack
}

// A resolver with a table of hosts, and one server for all other names.
func ExampleNewResolver() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Close()
	resolver, err := smolnet.NewResolver(stack, smolnet.ResolverConfig{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.168.69.100:53")},
		Search:  []string{"example"},
		Hosts:   map[string][]netip.Addr{"printer": {netip.MustParseAddr("192.168.69.7")}},
	})
	if err != nil {
		log.Fatal(err)
	}
	addrs, err := resolver.LookupHost(context.Background(), "printer")
	fmt.Println(addrs, err)
	names, err := resolver.LookupAddr(context.Background(), "192.168.69.7")
	fmt.Println(names, err)
	// Output:
	// [192.168.69.7] <nil>
	// [printer] <nil>
}
