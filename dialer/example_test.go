package dialer_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
)

// loopback is a stack that listens to itself.
func loopback() (*smolnet.Stack, net.Listener) {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	l, err := stack.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	return stack, l
}

func ExampleDialer() {
	stack, _ := loopback()
	defer stack.Close()

	d := dialer.Dialer{Stack: stack, Timeout: 5 * time.Second}
	conn, err := d.Dial("tcp", "127.0.0.1:http")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr())
	// Output: 127.0.0.1:80
}

// A name with addresses of both families: while one does not answer, or as soon as it fails, the other is tried.
func ExampleDialer_happyEyeballs() {
	stack, err := smolnet.New(smolnet.Config{Resolver: smolnet.ResolverConfig{
		Hosts: map[string][]netip.Addr{"server": {netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Close()
	if _, err := stack.Listen("tcp4", ":80"); err != nil { // nobody listens at ::1
		log.Fatal(err)
	}

	d := dialer.Dialer{Stack: stack, FallbackDelay: 250 * time.Millisecond}
	conn, err := d.Dial("tcp", "server:http")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr())
	// Output: 127.0.0.1:80
}

// What package net sets on a socket before it connects, Control sets here: another congestion control for IPv6, say.
func ExampleDialer_control() {
	stack, _ := loopback()
	defer stack.Close()

	d := dialer.Dialer{
		Stack: stack,
		Control: func(_ context.Context, network, address string, options *dialer.Options) error {
			if network == "tcp6" {
				options.TCP.Congestion = "bbr"
			}
			return nil
		},
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80"} {
		conn, err := d.Dial("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		info, err := conn.(*smolnet.TCPConn).Info()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(address, info.CongestionControl)
	}
	// Output:
	// 127.0.0.1:80 cubic
	// [::1]:80 bbr
}
