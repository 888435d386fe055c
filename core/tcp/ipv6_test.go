package tcp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

func TestIPv6(t *testing.T) {
	s := newScript(t)
	s.local, s.peer = netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddrPort("[2001:db8::2]:4242")
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535})
	s.want("the MSS leaves room for IPv6's header", seg{flags: "S.", ack: 1, mss: 1440})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.Equal(t, s.local, s.conn.LocalAddr())
	require.Equal(t, s.peer, s.conn.RemoteAddr())
	require.Zero(t, s.conn.Link())
	s.write(strings.Repeat("x", 2000))
	s.want("1220 is what a peer takes that does not say", seg{flags: ".", seq: 1, ack: 1, len: 1220})
	s.want("the rest", seg{flags: "P.", seq: 1221, ack: 1, len: 780})
	s.icmp(ip.PacketTooBig, 500, 1)
	s.wantIdle("no link of IPv6's carries less than 1280")
	require.Equal(t, 1220, s.conn.Info().SendMSS)
}

// A link-local address means something on one link only.
func TestLinkLocalAddressesBelongToTheirLink(t *testing.T) {
	s := newScript(t)
	s.local, s.peer = netip.MustParseAddrPort("[fe80::1]:80"), netip.MustParseAddrPort("[fe80::2]:4242")
	l, err := s.host.Listen(ListenConfig{Local: s.local, Link: 2})
	require.NoError(t, err)
	p := s.packet(seg{flags: "S", win: 65535, mss: 1440})
	p.IP.Link = 3
	s.recvPacket(p)
	s.want("nobody listens on the other link", seg{flags: "R.", ack: 1})
	s.recv(seg{flags: "S", win: 65535, mss: 1440})
	s.want("on this one somebody does", seg{flags: "S.", ack: 1})
	p = s.packet(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	p.IP.Link = 3
	s.recvPacket(p)
	s.want("the other link's is another connection", seg{flags: "R", seq: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	require.EqualValues(t, 2, s.conn.Link())
}
