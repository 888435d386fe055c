package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

// behindGateway returns a stack that reaches all the world by another one, and that with its interface.
func behindGateway() (client, gateway *smolnet.Stack, inside *smolnet.Link) {
	here, there := pipe.New(pipe.Config{})
	client, err := smolnet.New(smolnet.Config{})
	check(err)
	_, err = client.AddInterface(smolnet.Interface{
		Device:    here,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.1/24")},
		Routes: []core.Route{
			{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.69.100")},
		},
	})
	check(err)
	gateway, err = smolnet.New(smolnet.Config{})
	check(err)
	inside, err = gateway.AddInterface(smolnet.Interface{
		Device:    there,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.100/24")},
	})
	check(err)
	return client, gateway, inside
}

// A gateway connects its client once it has reached the far side, and refuses it if it cannot. Here there is one far side, in memory.
func ExampleStack_ForwardTCP() {
	client, gateway, inside := behindGateway()
	defer client.Close()
	defer gateway.Close()
	reach := func(_ context.Context, address string) (io.ReadWriteCloser, error) {
		if address != "203.0.113.7:80" {
			return nil, syscall.ECONNREFUSED
		}
		near, far := net.Pipe()
		go io.WriteString(far, "hello from "+address)
		return near, nil
	}

	forwarder, err := gateway.ForwardTCP(smolnet.ForwardConfig{Link: inside})
	check(err)
	go func() {
		for {
			request, err := forwarder.AcceptRequest()
			if err != nil {
				return // net.ErrClosed, in a *net.OpError
			}
			go func() { // so that one far side does not hold up the others
				far, err := reach(request.Context(), request.LocalAddr().String())
				if err != nil {
					request.Reject()
					return
				}
				defer far.Close()
				conn, err := request.Accept(request.Context())
				if err != nil {
					return // the client has given up
				}
				defer conn.Close()
				io.Copy(conn, far)
			}()
		}
	}()

	_, err = client.Dial("tcp", "203.0.113.8:80")
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	conn, err := client.Dial("tcp", "203.0.113.7:80")
	check(err)
	b := make([]byte, len("hello from 203.0.113.7:80"))
	_, err = io.ReadFull(conn, b)
	fmt.Println(string(b), err)
	// Output:
	// true
	// hello from 203.0.113.7:80 <nil>
}

// A gateway that answers every datagram itself, whomever it was sent to.
func ExampleStack_ForwardUDP() {
	client, gateway, inside := behindGateway()
	defer client.Close()
	defer gateway.Close()

	forwarder, err := gateway.ForwardUDP(smolnet.ForwardConfig{Link: inside})
	check(err)
	go func() {
		for {
			flow, err := forwarder.AcceptUDP()
			if err != nil {
				return // net.ErrClosed, in a *net.OpError
			}
			go func() {
				defer flow.Close() // a real one would wait for more, until a deadline
				b := make([]byte, 1500)
				if n, err := flow.Read(b); err == nil {
					fmt.Fprintf(flow, "%s is not at %v", b[:n], flow.LocalAddr())
				}
			}()
		}
	}()

	conn, err := client.Dial("udp", "203.0.113.7:53")
	check(err)
	_, err = io.WriteString(conn, "anybody")
	check(err)
	b := make([]byte, 1500)
	n, err := conn.Read(b)
	fmt.Println(string(b[:n]), err)
	// Output: anybody is not at 203.0.113.7:53 <nil>
}
