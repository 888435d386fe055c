package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/smolnet"
)

// pinger pings one host. One goroutine sends, another receives and keeps the statistics.
type pinger struct {
	options
	out   io.Writer
	conn  *smolnet.PingConn
	name  string // as it was given
	addr  netip.Addr
	start time.Time
	stats statistics
}

func newPinger(stack *smolnet.Stack, out io.Writer, target string, o options) (*pinger, error) {
	addr, err := stack.ResolveIPAddr("ip", target)
	if err != nil {
		return nil, err
	}
	conn, err := stack.OpenPing(smolnet.PingConfig{Network: "ip", Remote: addr, Errors: true})
	if err != nil {
		return nil, err
	}
	if err = errors.Join(conn.SetHopLimit(o.ttl), conn.SetControlMessage(smolnet.ControlHopLimit, true)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	ip, _ := netip.AddrFromSlice(addr.IP)
	return &pinger{options: o, out: out, conn: conn, name: target, addr: ip.Unmap().WithZone(addr.Zone), start: time.Now()}, nil
}

// run pings until all requests are answered, nobody waits any more, or ctx is done, and prints the statistics.
func (p *pinger) run(ctx context.Context) error {
	defer p.conn.Close()
	defer context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Now()) })()
	if p.addr.Is4() {
		fmt.Fprintf(p.out, "PING %s (%v) %d(%d) bytes of data.\n", p.name, p.addr, p.size, p.size+28)
	} else {
		fmt.Fprintf(p.out, "PING %s (%v) %d data bytes\n", p.name, p.addr, p.size)
	}
	received := make(chan error, 1)
	go func() { received <- p.receive() }()
	sent, err := p.send(ctx)
	if err == nil && ctx.Err() == nil {
		p.conn.SetReadDeadline(time.Now().Add(p.timeout))
	} else {
		p.conn.SetReadDeadline(time.Now())
	}
	err = errors.Join(err, <-received)
	p.stats.print(p.out, p.name, sent, time.Since(p.start))
	if err == nil && p.stats.received == 0 {
		err = fmt.Errorf("%s does not answer", p.name)
	}
	return err
}

// send sends the requests and returns how many.
func (p *pinger) send(ctx context.Context) (sent int, err error) {
	ticker := time.NewTicker(max(p.interval, 1))
	defer ticker.Stop()
	for p.count == 0 || sent < p.count {
		if sent > 0 {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return sent, nil
			}
		}
		// What befalls a request is for the receiver to tell: here it is what befell one before.
		if _, err := p.conn.Write(p.request(uint16(sent + 1))); err != nil && !unreachable(err) {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// unreachable reports whether the stack itself has found out that there is nobody, or no way.
func unreachable(err error) bool {
	return errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// request is an echo request whose data begins with the time, if it has room for that.
func (p *pinger) request(seq uint16) []byte {
	data := make([]byte, p.size)
	for i := range data {
		data[i] = byte(i)
	}
	if len(data) >= 8 {
		binary.BigEndian.PutUint64(data, uint64(time.Since(p.start)))
	}
	if p.addr.Is4() {
		echo := wire.ICMPv4EchoRepr{Seq: seq, Data: data}
		b := make([]byte, echo.Len())
		echo.Emit(b)
		return b
	}
	echo := wire.ICMPv6EchoRepr{Seq: seq, Data: data}
	b := make([]byte, echo.Len())
	echo.Emit(b, p.addr, p.addr) // the stack fills in the checksum
	return b
}

// receive reads replies and errors until all requests are accounted for, or the deadline.
func (p *pinger) receive() error {
	b, oob := make([]byte, 1<<16), make([]byte, 128)
	for p.count == 0 || p.stats.received+p.stats.errors < p.count {
		n, oobn, _, from, err := p.conn.ReadMsg(b, oob)
		var control smolnet.ControlMessage
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil && unreachable(err):
			p.stats.errors++
			fmt.Fprintf(p.out, "From %v Destination Host Unreachable\n", p.conn.LocalAddr())
			continue
		case err != nil:
			return err
		}
		if err := control.Parse(oob[:oobn]); err != nil {
			return err
		}
		p.take(b[:n], from, control.HopLimit)
	}
	return nil
}

// take prints a message.
func (p *pinger) take(message []byte, from *net.IPAddr, ttl int) {
	seq, data, reply := p.parse(message)
	if !reply {
		p.stats.errors++
		if p.addr.Is4() {
			fmt.Fprintf(p.out, "From %v: %v\n", from, wire.ICMPv4Packet(message))
		} else {
			fmt.Fprintf(p.out, "From %v: %v\n", from, wire.ICMPv6Packet(message))
		}
		return
	}
	fmt.Fprintf(p.out, "%d bytes from %v: icmp_seq=%d ttl=%d", len(message), from, seq, ttl)
	rtt := time.Duration(-1)
	if len(data) >= 8 {
		rtt = time.Since(p.start) - time.Duration(binary.BigEndian.Uint64(data))
		fmt.Fprintf(p.out, " time=%.3f ms", milliseconds(rtt))
	}
	if !p.stats.add(seq, rtt) {
		fmt.Fprint(p.out, " (DUP!)")
	}
	fmt.Fprintln(p.out)
}

// parse returns what an echo reply says, or false for another message.
func (p *pinger) parse(message []byte) (seq uint16, data []byte, reply bool) {
	if p.addr.Is4() {
		var echo wire.ICMPv4EchoRepr
		err := echo.Parse(wire.ICMPv4Packet(message))
		return echo.Seq, echo.Data, err == nil && echo.Reply
	}
	var echo wire.ICMPv6EchoRepr
	err := echo.Parse(wire.ICMPv6Packet(message))
	return echo.Seq, echo.Data, err == nil && echo.Reply
}
