package main

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/smolnet"
)

// acceptFlows takes every flow of UDP, as many at once as are allowed.
func (n *nat) acceptFlows() {
	for {
		near, err := n.udp.AcceptUDP()
		if err != nil {
			return // it was closed
		}
		select {
		case n.slots <- struct{}{}:
			n.goroutines.Go(func() {
				n.carry(near)
				<-n.slots
			})
		default:
			near.Close() // what is lost, as any datagram may be, its sender sends again
			n.counted.flowsBeyond.Add(1)
		}
	}
}

// carry carries a flow until it is idle, or refused.
func (n *nat) carry(near *smolnet.UDPConn) {
	from, to := near.RemoteAddr(), near.LocalAddr().(*net.UDPAddr)
	defer near.Close()
	far, err := n.open(to)
	if err != nil {
		n.refuse(near, err)
		return
	}
	defer far.Close()
	n.counted.flows.Add(1)
	f := flow{near: near, far: far, nat: n, idle: time.AfterFunc(n.idle, func() {
		near.Close()
		far.Close()
	})}
	start := time.Now()
	back := make(chan struct{})
	go func() {
		f.in = f.pass(near, far)
		close(back)
	}()
	f.out = f.pass(far, near)
	<-back
	f.idle.Stop()
	n.counted.datagramsOut.Add(f.out)
	n.counted.datagramsIn.Add(f.in)
	if n.verbose {
		n.print(from, to, "%d datagrams out, %d in, %v", f.out, f.in, time.Since(start).Round(time.Millisecond))
	}
}

// open returns a socket that is connected to the destination: it takes datagrams from nowhere else, and hears of ICMP errors.
func (n *nat) open(to *net.UDPAddr) (*net.UDPConn, error) {
	if !n.permits(to.AddrPort().Addr()) {
		return nil, errNotPermitted
	}
	return net.DialUDP("udp", nil, to)
}

// refuse tells the sender of a flow that nobody is there.
func (n *nat) refuse(near *smolnet.UDPConn, err error) {
	if near.Reject() == nil { // only the first to say so
		n.counted.flowsRefused.Add(1)
		n.print(near.RemoteAddr(), near.LocalAddr(), "%v", reason(err))
	}
}

// flow is what goes between two sockets that are connected, each to its side.
type flow struct {
	nat     *nat
	near    *smolnet.UDPConn
	far     *net.UDPConn
	idle    *time.Timer
	out, in int64 // datagrams
}

// maxDatagram is more than any datagram has. What does not fit the device leaves in fragments.
const maxDatagram = 65535

// pass carries datagrams from src to dst until either is closed, and then closes both. One that cannot be sent is lost, as any may be.
func (f *flow) pass(dst, src net.Conn) (datagrams int64) {
	defer f.near.Close()
	defer f.far.Close()
	b := make([]byte, maxDatagram)
	for {
		octets, err := src.Read(b)
		if err != nil {
			f.ended(src, err)
			return datagrams
		}
		f.idle.Reset(f.nat.idle)
		switch _, err = dst.Write(b[:octets]); {
		case err == nil:
			datagrams++
		case over(err):
			f.ended(dst, err)
			return datagrams
		default:
			f.nat.counted.lost.Add(1)
		}
	}
}

// ended passes on that nobody is on the far side.
func (f *flow) ended(failed net.Conn, err error) {
	if failed == f.far && errors.Is(err, syscall.ECONNREFUSED) {
		f.nat.refuse(f.near, err)
	}
}

// over reports whether a socket that a datagram cannot be sent by has no further use.
func over(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNREFUSED)
}
