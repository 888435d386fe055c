package smolnet_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

func TestMethodsOfAListener(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		at, err := listening.ResolveTCPAddr(p.network, p.address)
		require.NoError(t, err)
		l, err := listening.ListenTCP(p.network, at)
		require.NoError(t, err)
		defer l.Close()
		require.NotZero(t, l.Addr().(*net.TCPAddr).Port)
		require.Zero(t, at.Port, "the caller's address is the caller's")
		require.NoError(t, l.SetDeadline(time.Now().Add(30)))
		c, err := l.Accept()
		require.True(t, c == nil)
		wantDeadline(t, err)
		tc, err := l.AcceptTCP()
		require.Nil(t, tc)
		wantDeadline(t, err)

		require.NoError(t, l.SetDeadline(time.Time{}))
		d, err := dialing.DialTCP(p.network, nil, l.Addr().(*net.TCPAddr))
		require.NoError(t, err)
		defer d.Close()
		tc, err = l.AcceptTCP()
		require.NoError(t, err)
		defer tc.Close()
		require.Equal(t, d.LocalAddr().String(), tc.RemoteAddr().String())
	})
}

func TestMethodsOfAConnection(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dialing, listening := p.stacks(t)
		l := listen(t, listening, p.network, p.address)
		echoed := start(func() error {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = io.Copy(c, c)
			return err
		})
		at, err := dialing.ResolveTCPAddr(p.network, l.Addr().String())
		require.NoError(t, err)
		c, err := dialing.DialTCP(p.network, nil, at)
		require.NoError(t, err)
		defer c.Close()
		for _, addr := range []net.Addr{l.Addr(), c.LocalAddr(), c.RemoteAddr()} {
			require.Equal(t, "tcp", addr.Network())
		}
		require.Equal(t, l.Addr().String(), c.RemoteAddr().String())
		require.NoError(t, c.SetKeepAlive(false))
		require.NoError(t, c.SetKeepAlivePeriod(3*time.Second))
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.SetLinger(-1))
		require.NoError(t, c.SetNoDelay(false))
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
			require.NoError(t, set(time.Now().Add(time.Hour)))
		}
		const said = "what is said is heard"
		_, err = io.WriteString(c, said)
		require.NoError(t, err)
		heard := make([]byte, len(said))
		_, err = io.ReadFull(c, heard)
		require.NoError(t, err)
		require.Equal(t, said, string(heard))
		require.NoError(t, c.CloseWrite())
		require.NoError(t, <-echoed)
	})
}

func TestMethodsOfASocket(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		_, s := p.stacks(t)
		network := "udp" + strings.TrimPrefix(p.network, "tcp")
		at, err := s.ResolveUDPAddr(network, p.address)
		require.NoError(t, err)
		c, err := s.ListenUDP(network, at)
		require.NoError(t, err)
		defer c.Close()
		local := c.LocalAddr().(*net.UDPAddr)
		require.True(t, c.RemoteAddr() == nil, "no interface around a nil pointer")
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
			require.NoError(t, set(time.Now().Add(time.Hour)))
		}
		require.NoError(t, c.SetReadBuffer(2048))
		require.NoError(t, c.SetWriteBuffer(2048))

		b := make([]byte, 128)
		n, err := c.WriteToUDP([]byte("to itself"), local)
		require.NoError(t, err)
		require.Equal(t, 9, n)
		n, from, err := c.ReadFromUDP(b)
		require.NoError(t, err)
		require.Equal(t, "to itself", string(b[:n]))
		require.Equal(t, local.String(), from.String())
		n, oobn, err := c.WriteMsgUDP([]byte("again"), nil, local)
		require.NoError(t, err)
		require.Equal(t, []int{5, 0}, []int{n, oobn})
		n, oobn, _, from, err = c.ReadMsgUDP(b, nil)
		require.NoError(t, err)
		require.Zero(t, oobn)
		require.Equal(t, "again", string(b[:n]))
		require.Equal(t, local.String(), from.String())

		_, err = c.WriteToUDP(b, nil)
		require.ErrorContains(t, err, "missing address")
		_, _, err = c.WriteMsgUDP(b, nil, nil)
		require.ErrorContains(t, err, "missing address")
	})
}

// tell has from send what it has to say to an address, of which to hears.
func tell(t *testing.T, from net.PacketConn, at net.Addr, to net.PacketConn) (heardFrom *net.UDPAddr) {
	t.Helper()
	said := fmt.Sprintf("from %v to %v", from.LocalAddr(), at)
	n, err := from.WriteTo([]byte(said), at)
	require.NoError(t, err, said)
	require.Equal(t, len(said), n)
	b := make([]byte, 256)
	n, who, err := to.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, said, string(b[:n]))
	return who.(*net.UDPAddr)
}

func TestPacketConnsTalk(t *testing.T) {
	for _, wildcard := range []bool{false, true} {
		t.Run(fmt.Sprintf("wildcard %v", wildcard), func(t *testing.T) {
			everywhere(t, func(t *testing.T, p place) {
				dialing, listening := p.stacks(t)
				network := "udp" + strings.TrimPrefix(p.network, "tcp")
				at := netip.MustParseAddrPort(p.address)
				server := bind(t, listening, network, p.address)
				if wildcard {
					server = bind(t, listening, network, ":0")
				}
				to := &net.UDPAddr{IP: at.Addr().AsSlice(), Port: server.LocalAddr().(*net.UDPAddr).Port}
				client := bind(t, dialing, network, ":0")
				from := tell(t, client, to, server)
				require.Equal(t, client.LocalAddr().(*net.UDPAddr).Port, from.Port)
				require.False(t, from.IP.IsUnspecified(), "the address that the route has")
				answering := tell(t, server, from, client)
				require.True(t, answering.IP.Equal(to.IP), "%v", answering)
				require.Equal(t, to.Port, answering.Port)
			})
		})
	}
}

func TestConnAndPacketConnTalk(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		server, c := p.exchange(t)
		for _, addr := range []net.Addr{server.LocalAddr(), c.LocalAddr(), c.RemoteAddr()} {
			require.Equal(t, "udp", addr.Network())
		}
		_, err := c.Write([]byte("hello"))
		require.NoError(t, err)
		b := make([]byte, 128)
		n, from, err := server.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b[:n]))
		require.Equal(t, c.LocalAddr().String(), from.String())
		_, err = server.WriteTo([]byte("and hello to you"), from)
		require.NoError(t, err)
		n, err = c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "and hello to you", string(b[:n]))
	})
}

// The zone says through which interface a link-local address is reached.
func TestZonesOfDatagrams(t *testing.T) {
	first, second := newPair(t, pipe.Config{})
	linkLocal := func(s *smolnet.Stack) netip.Addr {
		for _, prefix := range prefixes(s.Links()[1]) {
			if prefix.Addr().IsLinkLocalUnicast() {
				return prefix.Addr()
			}
		}
		t.Fatal("an Ethernet interface has a link-local address")
		return netip.Addr{}
	}
	here, there := linkLocal(first), linkLocal(second)
	server := bind(t, second, "udp6", "["+there.WithZone("second").String()+"]:7")
	client := bind(t, first, "udp6", "["+here.WithZone("first").String()+"]:0")
	for _, zone := range []string{"first", "2"} {
		from := tell(t, client, &net.UDPAddr{IP: there.AsSlice(), Port: 7, Zone: zone}, server)
		require.Equal(t, here.WithZone("second").String(), from.AddrPort().Addr().String(), "as the listening stack names it")
		answering := tell(t, server, from, client)
		require.Equal(t, there.WithZone("first").String(), answering.AddrPort().Addr().String())
	}
	_, err := client.WriteTo([]byte("x"), &net.UDPAddr{IP: there.AsSlice(), Port: 7, Zone: "nowhere"})
	requireWellFormed(t, err, "write")
	require.ErrorContains(t, err, "invalid argument")
}
