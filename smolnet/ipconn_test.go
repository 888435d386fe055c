package smolnet_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// bubble runs a test of two stacks joined by a pipe in virtual time.
func bubble(t *testing.T, test func(t *testing.T, first, second *smolnet.Stack)) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPair(t, pipe.Config{})
		test(t, first, second)
	})
}

func ipAddr(text string) *net.IPAddr {
	addr := netip.MustParseAddr(text)
	return &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
}

func TestMethodsOfAnIPSocket(t *testing.T) {
	for _, tc := range []struct{ name, network, first, second string }{
		{"IPv4", "ip4:99", "192.168.69.1", "192.168.69.100"},
		{"IPv6", "ip6:99", "fdaa::1", "fdaa::100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
				l, err := second.ListenPacket(tc.network, tc.second)
				require.NoError(t, err)
				defer l.Close()
				c, err := first.Dial(tc.network, tc.second)
				require.NoError(t, err)
				defer c.Close()
				require.Equal(t, []string{tc.first, "ip", tc.second}, []string{c.LocalAddr().String(), c.LocalAddr().Network(), c.RemoteAddr().String()})
				require.Nil(t, l.(*smolnet.IPConn).RemoteAddr())
				for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
					require.NoError(t, set(time.Now().Add(time.Hour)))
				}
				ours := c.(*smolnet.IPConn)
				require.NoError(t, errors.Join(ours.SetReadBuffer(2048), ours.SetWriteBuffer(2048)))
				require.ErrorIs(t, errors.Join(ours.SetHopLimit(256)), syscall.EINVAL)
				require.NoError(t, errors.Join(ours.SetHopLimit(7), ours.SetMulticastHopLimit(8), ours.SetTrafficClass(9)))
				require.NoError(t, l.(*smolnet.IPConn).SetControlMessage(smolnet.ControlHopLimit|smolnet.ControlTrafficClass|smolnet.ControlPacketInfo, true))

				_, err = c.Write([]byte("what is said"))
				require.NoError(t, err)
				b, oob := make([]byte, 100), make([]byte, 200)
				n, oobn, flags, from, err := l.(*smolnet.IPConn).ReadMsgIP(b, oob)
				require.NoError(t, err)
				require.Zero(t, flags)
				require.Equal(t, tc.first, from.String())
				require.True(t, strings.HasSuffix(string(b[:n]), "what is said"))
				var control smolnet.ControlMessage
				require.NoError(t, control.Parse(oob[:oobn]))
				require.Equal(t, smolnet.ControlMessage{HopLimit: 7, TrafficClass: 9, Dst: netip.MustParseAddr(tc.second), IfIndex: 2}, control)

				oob = (&smolnet.ControlMessage{HopLimit: 3}).Marshal()
				_, _, err = l.(*smolnet.IPConn).WriteMsgIP([]byte("answer"), oob, from)
				require.NoError(t, err)
				n, headers, _, err := ours.ReadPacket(b)
				require.NoError(t, err)
				require.Equal(t, "answer", string(b[headers:n]))
				if tc.name == "IPv4" {
					require.EqualValues(t, 3, wire.IPv4Packet(b).TTL())
				} else {
					require.EqualValues(t, 3, wire.IPv6Packet(b).HopLimit(), "the header can be had of IPv6, too")
				}

				// Whoever waits is told.
				closed := start(func() error {
					_, _, err := l.ReadFrom(b)
					return err
				})
				synctest.Wait()
				require.NoError(t, l.Close())
				require.ErrorIs(t, <-closed, net.ErrClosed)
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				begun := time.Now()
				_, err = c.Read(b)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, time.Second, time.Since(begun))
			})
		})
	}
}

func TestIPSocketWithHeaderIncluded(t *testing.T) {
	bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
		all, err := second.ListenAllIP("ip4", nil)
		require.NoError(t, err)
		defer all.Close()
		c, err := first.ListenIP("ip4:255", nil)
		require.NoError(t, err)
		defer c.Close()
		header := wire.IPv4Repr{Src: netip.MustParseAddr("192.168.69.9"), Dst: secondAddresses[0].Addr(), Protocol: 99, TTL: 5, PayloadLen: 4}
		b := make([]byte, header.Len(), 100)
		header.Emit(b)
		b = append(b, "data"...)
		_, err = c.WriteToIP(b, ipAddr("192.168.69.100"))
		require.NoError(t, err)
		got := make([]byte, 100)
		n, headers, from, err := all.ReadPacket(got)
		require.NoError(t, err)
		require.Equal(t, b, got[:n], "byte for byte")
		require.Equal(t, 20, headers)
		require.Equal(t, "192.168.69.9", from.String())
		require.NoError(t, c.SetIncludeHeader(false))
		_, err = c.WriteToIP([]byte("data"), ipAddr("192.168.69.100"))
		require.NoError(t, err)
		n, err = all.Read(got)
		require.NoError(t, err)
		require.EqualValues(t, 255, wire.IPv4Packet(got[:n]).Protocol())
		_, err = all.WriteTo([]byte("no header"), ipAddr("192.168.69.1"))
		require.ErrorIs(t, err, syscall.EINVAL)
		for _, network := range []string{"ip", "ip4:99", "tcp"} {
			_, err = first.ListenAllIP(network, nil)
			require.ErrorAs(t, err, new(net.UnknownNetworkError), network)
		}
	})
}

func TestDialersAndListenersOfIP(t *testing.T) {
	bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
		var network, address string
		lc := listener.ListenConfig{Stack: second, Control: func(n, a string, o *listener.Options) error {
			network, address, o.UDP.HopLimit = n, a, 9
			return nil
		}}
		l, err := lc.ListenPacket(t.Context(), "ip:99", "192.168.69.100")
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, []string{"ip4", "192.168.69.100"}, []string{network, address})
		d := dialer.Dialer{Stack: first}
		c, err := d.DialIP(t.Context(), "ip4:99", netip.Addr{}, netip.MustParseAddr("192.168.69.100"))
		require.NoError(t, err)
		defer c.Close()
		_, err = l.WriteTo([]byte("hello"), c.LocalAddr())
		require.NoError(t, err)
		b := make([]byte, 100)
		n, err := c.Read(b)
		require.NoError(t, err)
		require.EqualValues(t, 9, wire.IPv4Packet(b[:n]).TTL())
		_, err = d.DialIP(t.Context(), "udp4", netip.Addr{}, netip.Addr{})
		require.EqualError(t, err, "dial udp4 ->: unknown network udp4", "as package net has it")
		_, err = lc.Listen(t.Context(), "ip4:99", "192.168.69.100")
		require.EqualError(t, err, "listen ip4:99 192.168.69.100: address 192.168.69.100: unexpected address type")
	})
}

// The flood: raw sockets that nobody reads, while a connection transfers.
func TestTransferPastSocketsThatNobodyReads(t *testing.T) {
	for _, tc := range []struct {
		name string
		link pipe.Config
	}{{"Ethernet", pipe.Config{}}, {"IP packets with offloads", offloading}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPair(t, tc.link)
				transfer := func() {
					l := listen(t, second, "tcp", "192.168.69.100:0")
					c, peer := dial(t, first, l)
					const size = 4 << 20
					sent := start(func() error {
						_, err := c.Write(make([]byte, size))
						return errors.Join(err, c.CloseWrite())
					})
					got, err := io.Copy(io.Discard, peer)
					require.NoError(t, err)
					require.EqualValues(t, size, got)
					require.NoError(t, <-sent)
				}
				transfer()
				for range 3 {
					c, err := second.ListenAllIP("ip4", nil)
					require.NoError(t, err)
					defer c.Close()
				}
				tcp, err := second.ListenIP("ip4:tcp", nil)
				require.NoError(t, err)
				defer tcp.Close()
				if link := second.Links()[1]; !link.HardwareAddr().IsZero() {
					frames, err := link.ListenFrames(0)
					require.NoError(t, err)
					defer frames.Close()
				}
				begun, before := time.Now(), second.Counters()
				transfer()
				require.Zero(t, time.Since(begun), "the memory of a pipe takes no time")
				after := second.Counters()
				require.Greater(t, after.Raw.InReceiveQueueFull, uint64(100))
				require.Equal(t, before.TCP.RetransSegs, after.TCP.RetransSegs)
				require.NotZero(t, after.Raw.InPackets)
			})
		})
	}
}

func TestPingSocket(t *testing.T) {
	for _, tc := range []struct{ network, to string }{{"ip4", "192.168.69.100"}, {"ip6", "fdaa::100"}} {
		t.Run(tc.network, func(t *testing.T) {
			bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
				c, err := first.ListenPing(tc.network, nil)
				require.NoError(t, err)
				defer c.Close()
				require.NotZero(t, c.Ident())
				require.NoError(t, c.SetControlMessage(smolnet.ControlHopLimit, true))
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
				b, oob := make([]byte, 100), make([]byte, 100)
				for seq, addr := range []net.Addr{ipAddr(tc.to), &net.UDPAddr{IP: ipAddr(tc.to).IP}} {
					request := echoRequest(tc.network, uint16(seq))
					_, err = c.WriteTo(request, addr)
					require.NoError(t, err)
					n, oobn, _, from, err := c.ReadMsg(b, oob)
					require.NoError(t, err)
					require.Equal(t, tc.to, from.String())
					ident, gotSeq, data := echoReply(t, tc.network, b[:n])
					require.Equal(t, []any{c.Ident(), uint16(seq), "data"}, []any{ident, gotSeq, string(data)})
					var control smolnet.ControlMessage
					require.NoError(t, control.Parse(oob[:oobn]))
					require.Equal(t, 64, control.HopLimit)
				}
				other, err := first.OpenPing(smolnet.PingConfig{Network: tc.network, Ident: c.Ident()})
				require.Nil(t, other)
				require.ErrorIs(t, err, syscall.EADDRINUSE)
				_, err = c.WriteTo([]byte("no echo request"), ipAddr(tc.to))
				require.ErrorIs(t, err, syscall.EINVAL)
				_, err = c.Write(echoRequest(tc.network, 1))
				require.ErrorIs(t, err, syscall.EDESTADDRREQ)

				d, err := first.DialPing("ip", nil, ipAddr(tc.to))
				require.NoError(t, err)
				defer d.Close()
				require.Equal(t, tc.to, d.RemoteAddr().String())
				_, err = d.Write(echoRequest(tc.network, 9))
				require.NoError(t, err)
				n, err := d.Read(b)
				require.NoError(t, err)
				_, seq, _ := echoReply(t, tc.network, b[:n])
				require.EqualValues(t, 9, seq)
				_, err = d.WriteTo(echoRequest(tc.network, 9), ipAddr(tc.to))
				require.ErrorIs(t, err, net.ErrWriteToConnected)
			})
		})
	}
}

func echoRequest(network string, seq uint16) []byte {
	if network == "ip4" {
		echo := wire.ICMPv4EchoRepr{Seq: seq, Data: []byte("data")}
		b := make([]byte, echo.Len())
		echo.Emit(b)
		return b
	}
	echo := wire.ICMPv6EchoRepr{Seq: seq, Data: []byte("data")}
	b := make([]byte, echo.Len())
	echo.Emit(b, netip.IPv6Loopback(), netip.IPv6Loopback())
	return b
}

func echoReply(t *testing.T, network string, b []byte) (ident, seq uint16, data []byte) {
	t.Helper()
	if network == "ip4" {
		var echo wire.ICMPv4EchoRepr
		require.NoError(t, echo.Parse(wire.ICMPv4Packet(b)))
		require.True(t, echo.Reply)
		return echo.Ident, echo.Seq, echo.Data
	}
	var echo wire.ICMPv6EchoRepr
	require.NoError(t, echo.Parse(wire.ICMPv6Packet(b)))
	require.True(t, echo.Reply)
	return echo.Ident, echo.Seq, echo.Data
}

func TestPingSocketOfErrors(t *testing.T) {
	bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
		u, err := first.ListenPacket("udp", "192.168.69.1:5000")
		require.NoError(t, err)
		defer u.Close()
		c, err := first.OpenPing(smolnet.PingConfig{Network: "ip4", Transport: "udp", Port: 5000})
		require.NoError(t, err)
		defer c.Close()
		require.Zero(t, c.Ident())
		_, err = u.WriteTo([]byte("is anybody there?"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.168.69.100:9")))
		require.NoError(t, err)
		b := make([]byte, 100)
		n, from, err := c.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "192.168.69.100", from.String())
		require.Equal(t, "ICMP 192.168.69.100 udp port 9 unreachable", strings.Split(wire.ICMPv4Packet(b[:n]).String(), ",")[0])
		_, err = c.WriteTo(echoRequest("ip4", 1), ipAddr("192.168.69.100"))
		require.ErrorIs(t, err, syscall.EOPNOTSUPP)
		_, err = first.OpenPing(smolnet.PingConfig{Network: "ip4", Transport: "sctp"})
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
	})
}

func TestFrameSockets(t *testing.T) {
	bubble(t, func(t *testing.T, first, second *smolnet.Stack) {
		const experimental = wire.EtherType(0x88b5)
		a, err := first.Links()[1].ListenFrames(experimental)
		require.NoError(t, err)
		defer a.Close()
		b, err := second.Links()[1].ListenFrames(experimental)
		require.NoError(t, err)
		defer b.Close()
		require.Equal(t, first.Links()[1].HardwareAddr().String()+"%first", a.LocalAddr().String())
		header := wire.EthernetRepr{Dst: second.Links()[1].HardwareAddr(), Src: first.Links()[1].HardwareAddr(), EtherType: experimental}
		frame := make([]byte, header.Len(), 100)
		header.Emit(frame)
		frame = append(frame, "what is said"...)
		_, err = a.Write(frame)
		require.NoError(t, err)
		got := make([]byte, 100)
		n, err := b.Read(got)
		require.NoError(t, err)
		require.Equal(t, frame, got[:n])
		_, err = a.Write(frame[:13])
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = a.Write(make([]byte, 2000))
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = b.Read(got)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = first.Links()[0].ListenFrames(0)
		require.ErrorIs(t, err, syscall.EOPNOTSUPP)
		require.NoError(t, b.Close())
		require.ErrorIs(t, b.Close(), net.ErrClosed)
	})
}

// What nobody has opened says so, and what a closed stack had is closed.
func TestRawSocketsThatAreNotOpen(t *testing.T) {
	for name, c := range map[string]net.Conn{
		"IPConn": new(smolnet.IPConn), "PingConn": (*smolnet.PingConn)(nil), "FrameConn": new(smolnet.FrameConn),
	} {
		_, err := c.Read(make([]byte, 1))
		require.Equal(t, syscall.EINVAL, err, name)
		_, err = c.Write(make([]byte, 1))
		require.Equal(t, syscall.EINVAL, err, name)
		require.Equal(t, syscall.EINVAL, c.Close(), name)
		require.Equal(t, syscall.EINVAL, c.SetDeadline(time.Time{}), name)
		require.Nil(t, c.LocalAddr(), name)
	}
	s, err := smolnet.New(smolnet.Config{})
	require.NoError(t, err)
	c, err := s.ListenIP("ip4:99", nil)
	require.NoError(t, err)
	p, err := s.ListenPing("ip4", nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for _, c := range []net.Conn{c, p} {
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	}
	_, err = s.ListenIP("ip4:99", nil)
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = s.ListenPing("ip4", nil)
	require.ErrorIs(t, err, net.ErrClosed)
}
