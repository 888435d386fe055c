package smolnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// A wayside is all that there is at the other end of a link of IP packets: a router that reports an error about whatever opens a
// connection or is a datagram, and then, as if nothing were wrong, the host that it was for, which answers. So it needs no
// waiting to see which errors a stack ignores.
type wayside struct {
	t      *testing.T
	device dev.Device
	says   atomic.Uint32 // the type and code of the errors, an octet each
}

func (w *wayside) say(kind, code uint8) { w.says.Store(uint32(kind)<<8 | uint32(code)) }

func (w *wayside) run() {
	var batch [16]*packet.Packet
	for w.device.WaitReceive() == nil {
		n, err := w.device.Receive(time.Now(), batch[:])
		if err != nil {
			return
		}
		for _, p := range batch[:n] {
			octets := make([]byte, p.Len())
			p.CopyTo(octets, 0)
			p.Release()
			w.hear(octets)
		}
	}
}

// hear answers a packet; there is more on a link of the kernel's than it asks for.
func (w *wayside) hear(octets []byte) {
	var src, dst netip.Addr
	var protocol uint8
	var payload []byte
	if octets[0]>>4 == 4 {
		header, err := wire.ParseIPv4(octets)
		if err != nil {
			return
		}
		src, dst, protocol, payload = header.Src(), header.Dst(), header.Protocol(), header.Payload()
	} else {
		header, err := wire.ParseIPv6(octets)
		if err != nil {
			return
		}
		src, dst, protocol, payload = header.Src(), header.Dst(), header.NextHeader(), header.Payload()
	}
	if dst.IsMulticast() {
		return
	}
	switch protocol {
	case ip.ProtocolTCP:
		if segment, err := wire.ParseTCP(payload); err == nil && segment.Flags() == wire.TCPSyn {
			w.report(src, octets)
			w.accept(dst, src, segment)
		}
	case ip.ProtocolUDP:
		if datagram, err := wire.ParseUDP(payload); err == nil {
			w.report(src, octets)
			w.reply(dst, src, datagram)
		}
	}
}

func (w *wayside) send(src, dst netip.Addr, protocol uint8, payload []byte) {
	p := packet.New(wire.IPv6HeaderLen + len(payload))
	if dst.Is4() {
		header := wire.IPv4Repr{Src: src, Dst: dst, Protocol: protocol, TTL: 64, PayloadLen: len(payload)}
		b := p.Append(header.Len())
		header.Emit(b)
		wire.IPv4Packet(b).FillChecksum()
	} else {
		header := wire.IPv6Repr{Src: src, Dst: dst, NextHeader: protocol, HopLimit: 64, PayloadLen: len(payload)}
		header.Emit(p.Append(header.Len()))
	}
	copy(p.Append(len(payload)), payload)
	if _, err := w.device.Send(time.Now(), []*packet.Packet{p}); err != nil && !errors.Is(err, net.ErrClosed) { // closed: nobody waits for it any more
		w.t.Errorf("send: %v", err)
	}
}

// report sends the error about a packet to its sender.
func (w *wayside) report(to netip.Addr, about []byte) {
	says := w.says.Load()
	kind, code := uint8(says>>8), uint8(says)
	if to.Is4() {
		r := wire.ICMPv4ErrorRepr{Type: kind, Code: code, Quote: about[:wire.IPv4HeaderLen+8]}
		message := make([]byte, r.Len())
		r.Emit(message)
		w.send(netip.MustParseAddr("192.168.69.254"), to, ip.ProtocolICMPv4, message)
		return
	}
	from := netip.MustParseAddr("fdaa::254")
	r := wire.ICMPv6ErrorRepr{Type: kind, Code: code, Quote: about}
	message := make([]byte, r.Len())
	r.Emit(message, from, to)
	w.send(from, to, ip.ProtocolICMPv6, message)
}

func (w *wayside) accept(src, dst netip.Addr, syn wire.TCPPacket) {
	r := wire.TCPRepr{
		SrcPort: syn.DstPort(), DstPort: syn.SrcPort(), Seq: 1, Ack: syn.Seq() + 1, Window: 65535,
		Flags: wire.TCPSyn | wire.TCPAck,
	}
	segment := make([]byte, r.Len())
	r.Emit(segment)
	wire.TCPPacket(segment).FillChecksum(src, dst)
	w.send(src, dst, ip.ProtocolTCP, segment)
}

func (w *wayside) reply(src, dst netip.Addr, to wire.UDPPacket) {
	r := wire.UDPRepr{SrcPort: to.DstPort(), DstPort: to.SrcPort()}
	datagram := make([]byte, r.Len())
	r.Emit(datagram)
	wire.UDPPacket(datagram).FillChecksum(src, dst)
	w.send(src, dst, ip.ProtocolUDP, datagram)
}

// Every error that a router can report means the same to who dials, or reads from a connected socket, as it does over the
// kernel, but for one: that the source is isolated, which no router says any more, is ENONET there, and that is a number that not
// every system has. (What says that a packet is too big has tests of its own.)
func TestKernelMeaningOfICMP(t *testing.T) {
	type report struct {
		to         string
		kind, code uint8
	}
	var reports []report
	for code := range uint8(16) {
		if code != wire.ICMPv4FragmentationNeeded {
			reports = append(reports, report{"192.168.69.1", wire.ICMPv4DestinationUnreachable, code})
		}
	}
	for code := range uint8(2) {
		reports = append(reports, report{"192.168.69.1", wire.ICMPv4TimeExceeded, code})
	}
	reports = append(reports, report{"192.168.69.1", wire.ICMPv4ParameterProblem, 0})
	for code := range uint8(8) {
		reports = append(reports, report{"fdaa::1", wire.ICMPv6DestinationUnreachable, code})
	}
	for code := range uint8(2) {
		reports = append(reports, report{"fdaa::1", wire.ICMPv6TimeExceeded, code})
	}
	for code := range uint8(3) {
		reports = append(reports, report{"fdaa::1", wire.ICMPv6ParameterProblem, code})
	}

	// dialed and read say what becomes of a call, without the ports that were chosen.
	dialed := func(dial func(network, address string) (net.Conn, error), to string) string {
		c, err := dial("tcp", net.JoinHostPort(to, "80"))
		if err != nil {
			return err.Error()
		}
		c.Close()
		return "connected"
	}
	read := func(dial func(network, address string) (net.Conn, error), to string) string {
		c, err := dial("udp", net.JoinHostPort(to, "53"))
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		if _, err := c.Write([]byte("?")); err != nil {
			return err.Error()
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return strings.ReplaceAll(err.Error(), c.LocalAddr().String(), "SELF")
		}
		return "read"
	}

	withKernelAlone(t, func(t *testing.T, kernel *host, device dev.Device) {
		near, far := pipe.New(pipe.Config{Medium: dev.IP})
		stack := newStack(t, smolnet.Config{})
		_, err := stack.AddInterface(smolnet.Interface{Device: near, DuplicateDetection: core.DetectNone, Addresses: kernel.addresses()})
		require.NoError(t, err)
		besideKernel, besideStack := &wayside{t: t, device: device}, &wayside{t: t, device: far}
		t.Cleanup(func() {
			device.Close()
			far.Close()
		})
		go besideKernel.run()
		go besideStack.run()
		for _, r := range reports {
			t.Run(fmt.Sprintf("type %d code %d to %s", r.kind, r.code, r.to), func(t *testing.T) {
				besideKernel.say(r.kind, r.code)
				besideStack.say(r.kind, r.code)
				isolated := strings.NewReplacer("machine is not on the network", "no route to host")
				require.Equal(t, isolated.Replace(dialed(net.Dial, r.to)), dialed(stack.Dial, r.to), "TCP")
				require.Equal(t, isolated.Replace(read(net.Dial, r.to)), read(stack.Dial, r.to), "UDP")
			})
		}
	})
}

// withKernelAlone runs a test in a namespace in which the kernel has an interface, and nobody is at its other end.
func withKernelAlone(t *testing.T, test func(t *testing.T, kernel *host, device dev.Device)) {
	t.Helper()
	t.Parallel()
	if netns.Test(t) {
		device := overTunWithoutOffloads.open(t)
		test(t, newKernel(t), device)
	}
}
