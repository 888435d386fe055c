package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

// commands are what can be done with another node, by the names of the command line.
var commands = map[string]func(*node, context.Context, netip.Addr) error{
	"ping": (*node).ping, "udp": (*node).udp, "tcp": (*node).tcp, "get": (*node).get,
}

// do executes a command.
func (n *node) do(ctx context.Context, command, address string) error {
	addr, err := n.parse(address)
	if err != nil {
		return err
	}
	if err := commands[command](n, ctx, addr); err != nil {
		return fmt.Errorf("%s %v: %w", command, addr, err)
	}
	return nil
}

// data is what is sent to be echoed.
func data(octets int) []byte {
	b := make([]byte, octets)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// ping sends echo requests.
func (n *node) ping(ctx context.Context, to netip.Addr) error {
	c, err := n.stack.DialPing("ip6", nil, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()})
	if err != nil {
		return err
	}
	defer c.Close()
	return n.exchange(ctx, c, to, func(number int) []byte {
		echo := wire.ICMPv6EchoRepr{Seq: uint16(number), Data: data(n.size)}
		b := make([]byte, echo.Len())
		echo.Emit(b, to, to) // the stack fills in identifier and checksum
		return b
	}, func(number int, b []byte) bool {
		var echo wire.ICMPv6EchoRepr
		err := echo.Parse(wire.ICMPv6Packet(b))
		return err == nil && echo.Reply && echo.Seq == uint16(number) && bytes.Equal(echo.Data, data(n.size))
	})
}

// udp sends datagrams that are to be echoed.
func (n *node) udp(ctx context.Context, to netip.Addr) error {
	c, err := n.stack.DialContext(ctx, "udp6", net.JoinHostPort(to.String(), echoPort))
	if err != nil {
		return err
	}
	defer c.Close()
	request := func(number int) []byte {
		b := fmt.Appendf(nil, "%d:", number)
		return append(b, data(max(n.size-len(b), 0))...)
	}
	return n.exchange(ctx, c, to, request, func(number int, b []byte) bool { return bytes.Equal(b, request(number)) })
}

// exchange sends requests, a while apart, waits for each to be answered, and prints how long that took. answers reports whether something
// that came is the answer to the request with the number.
func (n *node) exchange(
	ctx context.Context, c net.Conn, to netip.Addr, request func(number int) []byte, answers func(number int, b []byte) bool,
) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	answered := 0
	b := make([]byte, wire.IPv6MinMTU)
	for number := range n.count {
		start := time.Now()
		if err := c.SetReadDeadline(start.Add(n.timeout)); err != nil {
			return err
		}
		if _, err := c.Write(request(number)); err != nil && !unanswered(err) {
			return err
		}
		octets, err := await(c, b, func(b []byte) bool { return answers(number, b) })
		switch {
		case err == nil:
			answered++
			fmt.Fprintf(n.out, "%d octets from %v: number %d, %v\n", octets, to, number+1, time.Since(start))
		case unanswered(err):
			fmt.Fprintf(n.out, "nothing from %v: number %d\n", to, number+1)
		default:
			return err
		}
		if number+1 < n.count {
			select {
			case <-time.After(time.Until(start.Add(n.interval))):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	fmt.Fprintf(n.out, "%d of %d answered\n", answered, n.count)
	if answered == 0 {
		return errors.New("no answer")
	}
	return nil
}

// unanswered reports whether nothing came, or the stack has found out that there is nobody.
func unanswered(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.EHOSTUNREACH)
}

// await reads until the answer has come, and returns its length.
func await(c net.Conn, b []byte, answers func([]byte) bool) (octets int, err error) {
	for octets, err = c.Read(b); err == nil && !answers(b[:octets]); {
		octets, err = c.Read(b)
	}
	return octets, err
}

// tcp sends a stream that is to be echoed.
func (n *node) tcp(ctx context.Context, to netip.Addr) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	c, err := n.stack.DialContext(ctx, "tcp6", net.JoinHostPort(to.String(), echoPort))
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := data(100 * n.size)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- errors.Join(err, c.(*smolnet.TCPConn).CloseWrite())
	}()
	received, err := io.ReadAll(c)
	if err = errors.Join(err, <-written, context.Cause(ctx)); err != nil {
		return err
	}
	if !bytes.Equal(sent, received) {
		return errors.New("what came back is not what was sent")
	}
	took := time.Since(start)
	fmt.Fprintf(n.out, "%d octets to %v and back in %v: %.1f kbit/s\n", len(sent), to, took, float64(len(sent))*8/1000/took.Seconds())
	return nil
}

// get prints what the HTTP server tells.
func (n *node) get(ctx context.Context, to netip.Addr) error {
	client := httpclient.New(n.stack)
	client.Timeout = n.timeout
	defer client.CloseIdleConnections()
	page := url.URL{Scheme: "http", Host: net.JoinHostPort(to.String(), httpPort), Path: "/"} // which escapes the zone
	response, err := client.Get(page.String())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(n.out, "%s\n%s", response.Status, body)
	return err
}
