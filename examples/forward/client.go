package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// octets returns n octets, which are others for every seed.
func octets(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// atOnce calls do for all of 0 to n-1 at once, and returns what has failed.
func atOnce(n int, do func(i int) error) error {
	results := make(chan error, n)
	for i := range n {
		go func() { results <- do(i) }()
	}
	var err error
	for range n {
		err = errors.Join(err, <-results)
	}
	return err
}

func compare(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d octets came back, not the %d that were sent", len(got), len(want))
	}
	return nil
}

// exchange makes HTTP requests, each on a connection of its own, whose bodies come back.
func (c *client) exchange(ctx context.Context, requests, size int) error {
	transport := &http.Transport{DialContext: c.dial, DisableKeepAlives: true}
	return atOnce(requests, func(i int) error {
		body := octets(byte(i), size)
		request, err := http.NewRequestWithContext(ctx, "POST", "http://"+at(c.server, portHTTP)+"/", bytes.NewReader(body))
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		return errors.Join(err, compare(got, body))
	})
}

// halfClose sends octets and their end, upon which they come back.
func (c *client) halfClose(ctx context.Context, size int) error {
	conn, err := c.dial(ctx, "tcp", at(c.server, portEcho))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer closeWhenDone(ctx, conn)()
	sent := octets(0, size)
	if _, err := conn.Write(sent); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(conn)
	return errors.Join(err, compare(got, sent))
}

// closeWhenDone closes c when ctx ends, unless it is called off before.
func closeWhenDone(ctx context.Context, c io.Closer) (callOff func() bool) {
	return context.AfterFunc(ctx, func() { c.Close() })
}

// refusedConnection dials where nobody listens.
func (c *client) refusedConnection(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", at(c.server, portNobody))
	if err == nil {
		conn.Close()
	}
	return wantRefused(err)
}

// refusedDatagram sends one where nobody listens.
func (c *client) refusedDatagram(ctx context.Context) error {
	conn, err := c.dial(ctx, "udp", at(c.server, portNobody))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer closeWhenDone(ctx, conn)()
	if _, err := conn.Write([]byte("is there anybody?")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return wantRefused(err)
}

func wantRefused(err error) error {
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("not refused: %v", err)
	}
	return nil
}

// lookUp asks the server, over UDP, for the addresses of a name.
func (c *client) lookUp(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.dial(ctx, network, at(c.server, portDNS))
	}}
	network := "ip4"
	if c.server.Is6() {
		network = "ip6"
	}
	addrs, err := resolver.LookupNetIP(ctx, network, "server.test.")
	if err == nil && (len(addrs) != 1 || addrs[0].Unmap() != c.server) {
		err = fmt.Errorf("the answer is %v", addrs)
	}
	return err
}

// flows sends datagrams from many ports at once, each after the answer to the one before.
func (c *client) flows(ctx context.Context, flows, datagrams int) error {
	return atOnce(flows, func(i int) error {
		conn, err := c.dial(ctx, "udp", at(c.server, portEcho))
		if err != nil {
			return err
		}
		defer conn.Close()
		defer closeWhenDone(ctx, conn)()
		for j := range datagrams {
			if err := echoDatagram(conn, octets(byte(i+j), 1+j*100)); err != nil {
				return fmt.Errorf("flow %d, datagram %d: %w", i, j, err)
			}
		}
		return nil
	})
}

// echoDatagram sends a datagram, again if the answer is long in coming, as it may get lost.
func echoDatagram(conn net.Conn, sent []byte) error {
	const patience, tries = time.Second, 10
	b := make([]byte, 1<<16)
	for range tries {
		if _, err := conn.Write(sent); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		for {
			n, err := conn.Read(b)
			if err, ok := errors.AsType[net.Error](err); ok && err.Timeout() {
				break
			}
			if err != nil {
				return err
			}
			if bytes.Equal(b[:n], sent) {
				return nil // else it answers one that was sent twice
			}
		}
	}
	return fmt.Errorf("no answer, %d times", tries)
}

// dialing is a number of connections that are being made, and are not expected to be.
type dialing struct {
	cancel context.CancelFunc
	ended  chan error
	dials  int
}

func (c *client) startDialing(ctx context.Context, to netip.Addr, dials int) *dialing {
	ctx, cancel := context.WithCancel(ctx)
	d := &dialing{cancel: cancel, ended: make(chan error, dials), dials: dials}
	for range dials {
		go func() {
			conn, err := c.dial(ctx, "tcp", at(to, portHTTP))
			if err == nil {
				conn.Close()
			}
			d.ended <- err
		}()
	}
	return d
}

// waiting returns an error if one of the dials has ended.
func (d *dialing) waiting(context.Context) error {
	select {
	case err := <-d.ended:
		d.ended <- err
		return fmt.Errorf("one has ended: %v", err)
	default:
		return nil
	}
}

func (d *dialing) stop() {
	d.cancel()
	for range d.dials {
		<-d.ended
	}
}
