package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/smolnet"
)

// The ports that are served: RFC 862's, and HTTP's.
const (
	echoPort = "7"
	httpPort = "80"
)

// servers are what a node serves.
type servers struct {
	node    *node
	packets *smolnet.UDPConn
	streams net.Listener
	pages   net.Listener
	http    http.Server
}

// serve serves until ctx is done.
func (n *node) serve(ctx context.Context) error {
	s, err := n.listen()
	if err != nil {
		return err
	}
	return s.serve(ctx)
}

// listen opens the ports. They close with the stack.
func (n *node) listen() (*servers, error) {
	s := &servers{node: n}
	packets, err := n.stack.ListenPacket("udp6", ":"+echoPort)
	if err != nil {
		return nil, err
	}
	s.packets = packets.(*smolnet.UDPConn)
	if s.streams, err = n.stack.Listen("tcp6", ":"+echoPort); err != nil {
		return nil, err
	}
	if s.pages, err = n.stack.Listen("tcp6", ":"+httpPort); err != nil {
		return nil, err
	}
	s.http.Handler = http.HandlerFunc(s.page)
	return s, nil
}

// serve serves until ctx is done. Then no port is open any more.
func (s *servers) serve(ctx context.Context) error {
	own := s.node.linkLocal()
	fmt.Fprintf(s.node.out, "%v echoes at port %s, and tells of itself at http://[%v]:%s/\n", own, echoPort, own, httpPort)
	defer context.AfterFunc(ctx, func() {
		s.packets.Close()
		s.streams.Close()
		s.http.Close()
	})()
	var all sync.WaitGroup
	var errs [3]error
	all.Go(func() { errs[0] = s.echoPackets() })
	all.Go(func() { errs[1] = s.echoStreams(ctx) })
	all.Go(func() { errs[2] = s.http.Serve(s.pages) })
	all.Wait()
	for i, err := range errs {
		if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
			errs[i] = nil
		}
	}
	return errors.Join(errs[:]...)
}

// echoPackets sends every datagram back.
func (s *servers) echoPackets() error {
	b := make([]byte, wire.IPv6MinMTU)
	for {
		n, from, err := s.packets.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.node.out, "%d octets from %v by UDP\n", n, from)
		// What cannot be sent is as good as lost on the way.
		_, _ = s.packets.WriteToUDPAddrPort(b[:n], from)
	}
}

// echoStreams sends every stream back.
func (s *servers) echoStreams(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := s.streams.Accept()
		if err != nil {
			return err
		}
		all.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			n, err := io.Copy(c, c)
			if err != nil {
				fmt.Fprintf(s.node.out, "%d octets from %v by TCP, and then %v\n", n, c.RemoteAddr(), err)
				return
			}
			fmt.Fprintf(s.node.out, "%d octets from %v by TCP\n", n, c.RemoteAddr())
		})
	}
}

// page tells what the node is, and what has passed.
func (s *servers) page(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(s.node.out, "%s of %s from %s\n", r.Method, r.URL.Path, r.RemoteAddr)
	fmt.Fprintf(w, "PAN %#04x\n", s.node.Config.PAN)
	for _, own := range s.node.link.Addresses() {
		fmt.Fprintf(w, "address %v\n", own.Prefix)
	}
	for id, context := range s.node.Config.Contexts {
		if context.Prefix != (netip.Prefix{}) {
			fmt.Fprintf(w, "context %d %v\n", id, context.Prefix)
		}
	}
	counters := s.node.link.Counters().Link
	fmt.Fprintf(w, "%d frames of %d octets received, %d of %d sent\n",
		counters.InFrames, counters.InOctets, counters.OutFrames, counters.OutOctets)
}
