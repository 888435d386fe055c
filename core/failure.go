package core

import (
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// failures are packets that could not be sent, whose senders are to be told. That happens from a timer that is due at
// once, because the sender may be just about to hand down the packet, and be surprised if it were called back.
type failures struct {
	stack *Stack
	timer timer.Timer
	list  []failure
}

// failure is why a packet, which begins with its transport header, could not be sent.
type failure struct {
	kind   ip.ErrorKind
	mtu    int   // for ip.PacketTooBig
	link   int32 // that it would have left by
	packet *packet.Packet
}

func (f *failures) add(failed failure) {
	if len(f.list) >= f.stack.limits.Failures {
		failed.packet.Release()
		return
	}
	f.list = append(f.list, failed)
	if !f.timer.Armed() {
		f.stack.timers.Arm(&f.timer, f, f.stack.now)
	}
}

// Expire tells the senders. What fails because of that is told the next time.
func (f *failures) Expire(now int64) {
	n := len(f.list)
	for i := range n {
		f.list[i].report(f.stack, now)
		f.list[i].packet = nil
	}
	f.list = f.list[:copy(f.list, f.list[n:])]
}

func (f *failure) report(s *Stack, now int64) {
	p := f.packet
	info := &p.IP
	e := ip.Error{
		Kind: f.kind, MTU: f.mtu, Src: info.Src, Dst: info.Dst, Link: f.link, Foreign: info.Foreign,
		Transport: p.Header(min(quotedTransport, p.Len())),
	}
	s.raw.Error(info.Protocol, &e, nil)
	s.reportError(now, info.Protocol, &e)
	p.Release()
}

// quotedTransport is how much of the transport header an error has at most: that of TCP with all options.
const quotedTransport = 60

// forget releases what has not been told.
func (f *failures) forget() {
	for i := range f.list {
		f.list[i].packet.Release()
	}
	f.list = nil
	f.stack.timers.Remove(&f.timer)
}

// reportError hands an error about one of the stack's own packets to the transport that sent it.
func (s *Stack) reportError(now int64, protocol uint8, e *ip.Error) bool {
	if len(e.Transport) < minQuotedTransport {
		return false
	}
	switch protocol {
	case ip.ProtocolTCP:
		s.tcp.Error(now, e)
	case ip.ProtocolUDP:
		s.udp.Error(now, e)
	default:
		return false
	}
	return true
}

// minQuotedTransport is how much of a packet every ICMP error quotes at least beyond the IP header: RFC 792. The
// ports are in it, and TCP's sequence number.
const minQuotedTransport = 8

// refuse ends a packet that is too large for the link, and lets its sender know.
func (by *path) refuse(p *packet.Packet) {
	l := by.link
	l.counters.drop(DropTooBig, l.counters.ip(p.IP.Dst.Is6()))
	if l.stack.log.debug {
		l.stack.log.dropped(l, DropTooBig, p)
	}
	l.stack.failures.add(failure{kind: ip.PacketTooBig, mtu: by.most(p), link: errorLink(l, p), packet: p})
}

// errorLink is the link that the sender of p knows it by.
func errorLink(l *Interface, p *packet.Packet) int32 {
	if p.IP.Link != 0 {
		return p.IP.Link
	}
	return l.index
}
