package smolnet_test

import (
	"fmt"
	"net"

	"github.com/smolnet/smolnet/smolnet"
)

// An echo server for datagrams, and a client, on one stack's loopback.
func ExampleStack_ListenPacket() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()

	server, err := stack.ListenPacket("udp", "127.0.0.1:7")
	check(err)
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return // net.ErrClosed, in a *net.OpError
			}
			server.WriteTo(b[:n], from)
		}
	}()

	client, err := stack.Dial("udp", "127.0.0.1:7")
	check(err)
	_, err = client.Write([]byte("hello"))
	check(err)
	b := make([]byte, 1500)
	n, err := client.Read(b)
	fmt.Println(string(b[:n]), err)
	// Output: hello <nil>
}

// A server at all addresses learns to which of them a datagram was sent, and answers from there.
func ExampleControlMessage() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()

	server, err := stack.ListenUDP("udp4", &net.UDPAddr{Port: 7})
	check(err)
	check(server.SetControlMessage(smolnet.ControlPacketInfo|smolnet.ControlHopLimit, true))
	client, err := stack.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7})
	check(err)
	check(client.SetHopLimit(3))
	_, err = client.Write([]byte("hello"))
	check(err)

	b, oob := make([]byte, 1500), make([]byte, 128)
	n, oobn, _, from, err := server.ReadMsgUDPAddrPort(b, oob)
	check(err)
	var arrived smolnet.ControlMessage
	check(arrived.Parse(oob[:oobn]))
	fmt.Printf("%s, to %v by interface %d, with a TTL of %d\n", b[:n], arrived.Dst, arrived.IfIndex, arrived.HopLimit)

	answer := smolnet.ControlMessage{Src: arrived.Dst, TrafficClass: 0xb8}
	_, _, err = server.WriteMsgUDPAddrPort([]byte("hello to you"), answer.Marshal(), from)
	check(err)
	n, err = client.Read(b)
	fmt.Println(string(b[:n]), err)
	// Output:
	// hello, to 127.0.0.1 by interface 1, with a TTL of 3
	// hello to you <nil>
}
