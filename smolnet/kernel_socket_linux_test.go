package smolnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// udpSocket is what net.UDPConn and UDPConn have in common.
type udpSocket interface {
	datagramSocket
	ReadFromUDP(b []byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteToUDP(b []byte, addr *net.UDPAddr) (int, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

var (
	_ udpSocket = (*net.UDPConn)(nil)
	_ udpSocket = (*smolnet.UDPConn)(nil)
)

// ownAddr is an address of nobody's.
type ownAddr struct{}

func (ownAddr) Network() string { return "own" }
func (ownAddr) String() string  { return "address" }

// udpPair is an unconnected socket, and one that is connected to it.
type udpPair struct{ server, client udpSocket }

func (p udpPair) to() *net.UDPAddr {
	to := *p.client.RemoteAddr().(*net.UDPAddr)
	return &to
}

// said is what calls have returned, as text, without the numbers of ports.
func (p udpPair) said(results ...any) string {
	var all []string
	for _, r := range results {
		err, ok := r.(error)
		if !ok {
			all = append(all, fmt.Sprint(r))
			continue
		}
		var types []string
		for e := err; e != nil; e = errors.Unwrap(e) {
			types = append(types, fmt.Sprintf("%T", e))
		}
		all = append(all, fmt.Sprintf("%v (%s)", err, strings.Join(types, " ")))
	}
	port := func(c udpSocket) string { return fmt.Sprint(":", c.LocalAddr().(*net.UDPAddr).Port) }
	return strings.NewReplacer(port(p.server), ":server", port(p.client), ":client").Replace(strings.Join(all, ", "))
}

// three makes the results of a call ones that can be handed on with others.
func three[A, B, C any](a A, b B, c C) []any { return []any{a, b, c} }

func two[A, B any](a A, b B) []any { return []any{a, b} }

// TestKernelSocketsAlike: whatever is done with a socket has the same results, errors to the letter and their types.
func TestKernelSocketsAlike(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	kernel, stack := theKernel(t), theStack(t)
	x := []byte("hello")
	type row struct {
		name string
		do   func(p udpPair) []any
	}
	rows := []row{
		{"LocalAddr", func(p udpPair) []any { return two(p.server.LocalAddr(), p.client.LocalAddr()) }},
		{"RemoteAddr", func(p udpPair) []any { return two(p.server.RemoteAddr(), p.client.RemoteAddr()) }},
		{"Write, unconnected", func(p udpPair) []any { return two(p.server.Write(x)) }},
		{"WriteTo, connected", func(p udpPair) []any { return two(p.client.WriteTo(x, p.to())) }},
		{"WriteToUDP, connected", func(p udpPair) []any { return two(p.client.WriteToUDP(x, p.to())) }},
		{"WriteToUDPAddrPort, connected", func(p udpPair) []any { return two(p.client.WriteToUDPAddrPort(x, p.to().AddrPort())) }},
		{"WriteMsgUDP, connected", func(p udpPair) []any { return three(p.client.WriteMsgUDP(x, nil, p.to())) }},
		{"WriteMsgUDPAddrPort, connected", func(p udpPair) []any { return three(p.client.WriteMsgUDPAddrPort(x, nil, p.to().AddrPort())) }},
		{"WriteTo nil, connected", func(p udpPair) []any { return two(p.client.WriteTo(x, nil)) }},
		{"WriteToUDP nil, connected", func(p udpPair) []any { return two(p.client.WriteToUDP(x, nil)) }},
		{"WriteToUDP nil", func(p udpPair) []any { return two(p.server.WriteToUDP(x, nil)) }},
		{"WriteToUDPAddrPort of nothing", func(p udpPair) []any { return two(p.server.WriteToUDPAddrPort(x, netip.AddrPort{})) }},
		{"WriteMsgUDP nil", func(p udpPair) []any { return three(p.server.WriteMsgUDP(x, nil, nil)) }},
		{"WriteMsgUDPAddrPort of nothing", func(p udpPair) []any { return three(p.server.WriteMsgUDPAddrPort(x, nil, netip.AddrPort{})) }},
		{"WriteTo port 0", func(p udpPair) []any { return two(p.server.WriteTo(x, &net.UDPAddr{IP: p.to().IP})) }},
		{"WriteTo no IP, port 0", func(p udpPair) []any { return two(p.server.WriteTo(x, &net.UDPAddr{})) }},
		{"WriteTo an address of five octets", func(p udpPair) []any {
			return two(p.server.WriteTo(x, &net.UDPAddr{IP: net.IP{1, 2, 3, 4, 5}, Port: 7}))
		}},
		{"WriteTo IPv4", func(p udpPair) []any {
			return two(p.server.WriteTo(x, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}))
		}},
		{"WriteTo IPv6", func(p udpPair) []any { return two(p.server.WriteTo(x, &net.UDPAddr{IP: net.IPv6loopback, Port: 7})) }},
		{"WriteToUDPAddrPort IPv6", func(p udpPair) []any {
			return two(p.server.WriteToUDPAddrPort(x, netip.MustParseAddrPort("[::1]:7")))
		}},
		{"WriteToUDPAddrPort IPv4", func(p udpPair) []any {
			return two(p.server.WriteToUDPAddrPort(x, netip.MustParseAddrPort("127.0.0.1:7")))
		}},
		{"WriteToUDPAddrPort of a mapped address", func(p udpPair) []any {
			return two(p.server.WriteToUDPAddrPort(x, netip.MustParseAddrPort("[::ffff:127.0.0.1]:7")))
		}},
		{"an echo", func(p udpPair) []any {
			n, err := p.client.Write(x)
			b := make([]byte, 10)
			got, from, readErr := p.server.ReadFrom(b)
			back, backErr := p.server.WriteTo(b[:got], from)
			return []any{n, err, got, from, readErr, back, backErr, two(p.client.Read(b))}
		}},
		{"WriteTo without IP", func(p udpPair) []any {
			n, err := p.server.WriteTo(x, &net.UDPAddr{Port: p.server.LocalAddr().(*net.UDPAddr).Port})
			return []any{n, err}
		}},
		{"nothing", func(p udpPair) []any {
			n, err := p.client.Write(nil)
			got, from, readErr := p.server.ReadFrom(make([]byte, 10))
			return []any{n, err, got, from, readErr}
		}},
		{"nothing, read into nothing", func(p udpPair) []any {
			p.client.Write(nil)
			return three(p.server.ReadFrom(nil))
		}},
		{"read into little", func(p udpPair) []any {
			for range 6 {
				p.client.Write(x)
			}
			b := make([]byte, 2)
			all := three(p.server.ReadFrom(b))
			all = append(all, three(p.server.ReadFromUDP(b))...)
			all = append(all, three(p.server.ReadFromUDPAddrPort(b))...)
			n, oobn, flags, from, err := p.server.ReadMsgUDP(b, nil)
			all = append(all, n, oobn, flags&^cmsgCloexec, from, err)
			n, oobn, flags, from2, err := p.server.ReadMsgUDPAddrPort(b, nil)
			all = append(all, n, oobn, flags&^cmsgCloexec, from2, err)
			return append(all, three(p.server.ReadFrom(nil))...)
		}},
		{"read after the deadline", func(p udpPair) []any {
			p.server.SetReadDeadline(time.Unix(1, 0))
			n, oobn, flags, _, err := p.server.ReadMsgUDP(make([]byte, 1), nil) // package net has 0.0.0.0:0, or [::]:0, for nobody
			return append(three(p.server.ReadFrom(make([]byte, 1))), n, oobn, flags, err, two(p.server.Read(make([]byte, 1))))
		}},
		{"write after the deadline", func(p udpPair) []any {
			p.server.SetWriteDeadline(time.Unix(1, 0))
			return two(p.server.WriteTo(x, p.to()))
		}},
		{"buffers", func(p udpPair) []any { return two(p.server.SetReadBuffer(1<<16), p.server.SetWriteBuffer(1<<16)) }},
		{"closed", func(p udpPair) []any {
			addr := p.to()
			b := make([]byte, 1)
			first := p.server.Close()
			n, oobn, flags, _, err := p.server.ReadMsgUDP(b, nil)
			return []any{
				first, p.server.Close(), two(p.server.Read(b)), two(p.server.Write(b)), three(p.server.ReadFrom(b)),
				three(p.server.ReadFromUDP(b)), three(p.server.ReadFromUDPAddrPort(b)), n, oobn, flags, err,
				two(p.server.WriteTo(b, addr)), two(p.server.WriteToUDPAddrPort(b, addr.AddrPort())),
				three(p.server.WriteMsgUDP(b, nil, addr)), p.server.SetDeadline(time.Now()), p.server.SetReadDeadline(time.Now()),
				p.server.SetWriteDeadline(time.Now()), p.server.SetReadBuffer(1), p.server.SetWriteBuffer(1), p.server.LocalAddr(),
			}
		}},
	}
	for _, size := range []int{65487, 65507, 65508, 65527, 65528, 65535, 65536, 100_000} {
		rows = append(rows, row{fmt.Sprintf("%d octets", size), func(p udpPair) []any {
			if p.to().IP.To4() == nil && size > 65535-40-8 && size < 65528 {
				return nil // IPv6 could carry it, but no link of the stack's does in one packet
			}
			b := make([]byte, size)
			n, err := p.client.Write(b)
			m, oobn, msgErr := p.server.WriteMsgUDP(b, nil, p.client.LocalAddr().(*net.UDPAddr))
			return []any{n, err, two(p.server.WriteTo(b, p.client.LocalAddr())), m, oobn, msgErr}
		}})
	}
	for _, foreign := range []net.Addr{
		nil, ownAddr{}, &net.UnixAddr{Name: "x", Net: "unixgram"}, (*net.UnixAddr)(nil), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7},
		&net.IPAddr{}, (*net.UDPAddr)(nil),
	} {
		rows = append(rows, row{fmt.Sprintf("WriteTo %T", foreign), func(p udpPair) []any { return two(p.server.WriteTo(x, foreign)) }})
	}
	for _, e := range exchanges {
		for _, row := range rows {
			t.Run(e.name+"/"+row.name, func(t *testing.T) {
				var said [2]string
				for i, s := range []*system{kernel, stack} {
					c, err := s.packet(use{network: e.network}, e.local)
					require.NoError(t, err)
					defer c.Close()
					client, err := s.dial("udp", "", net.JoinHostPort(e.to, fmt.Sprint(c.LocalAddr().(*net.UDPAddr).Port)))
					require.NoError(t, err)
					defer client.Close()
					p := udpPair{c.(udpSocket), client.(udpSocket)}
					require.NoError(t, p.server.SetDeadline(time.Now().Add(patience)))
					require.NoError(t, p.client.SetDeadline(time.Now().Add(patience)))
					said[i] = p.said(flat(row.do(p))...)
				}
				require.Equal(t, said[0], said[1], "by the kernel's sockets, and by the stack's")
			})
		}
	}
}

// cmsgCloexec is set by package net in the flags of the kernel's.
const cmsgCloexec = 0x40000000

// flat makes one list of lists in lists.
func flat(results []any) (all []any) {
	for _, r := range results {
		if list, ok := r.([]any); ok {
			all = append(all, flat(list)...)
		} else {
			all = append(all, r)
		}
	}
	return all
}

// The zero value: errors, no panics, the same. (Of a nil pointer most of package net's methods do panic.)
func TestNoSocketIsAsPackageNetHasIt(t *testing.T) {
	var said [2]string
	for i, c := range []udpSocket{&net.UDPConn{}, &smolnet.UDPConn{}} {
		b := make([]byte, 1)
		n, oobn, flags, from, err := c.ReadMsgUDP(b, nil)
		said[i] = fmt.Sprint(flat([]any{
			c.Close(), c.LocalAddr(), c.RemoteAddr(), two(c.Read(b)), two(c.Write(b)), three(c.ReadFrom(b)), three(c.ReadFromUDP(b)),
			three(c.ReadFromUDPAddrPort(b)), n, oobn, flags, from, err, two(c.WriteTo(b, nil)), two(c.WriteToUDP(b, nil)),
			two(c.WriteToUDPAddrPort(b, netip.AddrPort{})), three(c.WriteMsgUDP(b, nil, nil)), c.SetDeadline(time.Time{}),
			c.SetReadBuffer(1), c.SetWriteBuffer(1),
		}))
	}
	require.Equal(t, said[0], said[1])
}
