package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// Every way in which an attempt to connect can end gives its place back, once.
func TestEveryEndFreesItsPlace(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(s *script, l *Listener)
	}{
		{"the peer resets it while half open", func(s *script, l *Listener) {
			s.recv(seg{flags: "R", seq: 1})
		}},
		{"it expires", func(s *script, l *Listener) {
			s.after(time.Minute)
		}},
		{"it is established, accepted and closed", func(s *script, l *Listener) {
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			l.Accept().Close(s.now)
			s.recv(seg{flags: "R", seq: 1})
		}},
		{"it is established, reset, and accepted only then", func(s *script, l *Listener) {
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			s.recv(seg{flags: "R", seq: 1})
			c := l.Accept()
			require.ErrorIs(t, c.Err(), ErrReset)
			c.Close(s.now)
		}},
		{"it is established, and ended by both sides", func(s *script, l *Listener) {
			s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
			l.Accept().Close(s.now)
			require.Equal(t, "ACK FIN", s.answers())
			s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t, func(c *Config) {
				c.SYNRetries, c.Limits.HalfOpen, c.Limits.Connections = 1, 2, 2
			})
			l := s.listen(func(c *ListenConfig) { c.Backlog = 2 })
			for range 20 {
				s.peer = addPort(s.peer, 1)
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("there is always room", seg{flags: "S.", ack: 1})
				row.end(s, l)
				s.answers()
				s.wantConsistent()
				require.Zero(t, l.halfOpen)
				require.Zero(t, l.Pending())
				require.Zero(t, s.host.Connections())
			}
			require.Zero(t, s.host.table.len)
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Connections = 1 })
	l := s.listen()
	first := s.peer
	for i := range uint16(2) {
		s.peer = addPort(first, i)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("half open", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		require.Equal(t, i == 0, l.Accept() != nil)
	}
	require.EqualValues(t, 1, s.host.Counters().ConnectionsFull, "the second stays half open")
	require.Zero(t, s.host.Counters().AcceptQueueFull)
	require.Equal(t, "half-open", s.state())
	_, err := s.host.Dial(s.now, DialConfig{Remote: s.peer})
	require.ErrorIs(t, err, ErrTooManyConnections)
	s.wantConsistent()
}

func TestTimeWaitOutlivesASYNThatIsNotAdmitted(t *testing.T) {
	s := newScript(t)
	l := s.listen(func(c *ListenConfig) { c.Backlog = 1 })
	first := s.peer
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("open", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	l.Accept().Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})

	s.peer = addPort(first, 1)
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("another takes the only place", seg{flags: "S.", ack: 1})
	s.peer = first
	s.irs += 1000
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.wantIdle("the SYN is dropped")
	require.Equal(t, "TIME-WAIT", s.state(), "and what must be known to answer its repetition is kept")
}

func TestTimeWaitAnswersLikeItsConnection(t *testing.T) {
	s := newScript(t)
	c := s.accepted(func(c *ListenConfig) { c.Options = &Options{HopLimit: 7, TrafficClass: 0x20} })
	c.Close(s.now)
	s.answers()
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	require.Len(t, s.net.sent, 1)
	require.EqualValues(t, 7, s.net.sent[0].IP.HopLimit)
	require.EqualValues(t, 0x20, s.net.sent[0].IP.TrafficClass)
	s.answers()
}

func TestListenErrors(t *testing.T) {
	s := newScript(t)
	_, err := s.host.Listen(ListenConfig{})
	require.ErrorIs(t, err, ip.ErrInvalid)
	_, err = s.host.Listen(ListenConfig{Local: s.local, Backlog: -1})
	require.ErrorIs(t, err, ip.ErrInvalid)
	_, err = s.host.Listen(ListenConfig{Local: s.local, Options: &Options{ReceiveBuffer: 1}})
	require.ErrorContains(t, err, "ReceiveBuffer is 1")
	s.listen()
	_, err = s.host.Listen(ListenConfig{Local: s.local})
	require.ErrorIs(t, err, ip.ErrAddressInUse)
	s.net.foreign = true
	_, err = s.host.Listen(ListenConfig{Local: netip.MustParseAddrPort("198.51.100.1:80")})
	require.ErrorIs(t, err, ip.ErrAddressNotAvailable)
}

func TestWhoListensWhere(t *testing.T) {
	any4, any6 := netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("[::]:80")
	one4, one6 := netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[2001:db8::1]:80")
	linkLocal := netip.MustParseAddrPort("[fe80::1]:80")
	for _, row := range []struct {
		name          string
		first, second ListenConfig
		clash         bool
	}{
		{"the same address", ListenConfig{Local: one4}, ListenConfig{Local: one4}, true},
		{"another port", ListenConfig{Local: one4}, ListenConfig{Local: addPort(one4, 1)}, false},
		{"all addresses, and one of them", ListenConfig{Local: any4}, ListenConfig{Local: one4}, true},
		{"one of them, and all", ListenConfig{Local: one6}, ListenConfig{Local: any6}, true},
		{"two families", ListenConfig{Local: any4}, ListenConfig{Local: any6}, false},
		{"two families, one of them dual", ListenConfig{Local: one4}, ListenConfig{Local: any6, DualStack: true}, true},
		{"a dual one first", ListenConfig{Local: any6, DualStack: true}, ListenConfig{Local: one4}, true},
		{
			"one link-local address on two links",
			ListenConfig{Local: linkLocal, Link: 1}, ListenConfig{Local: linkLocal, Link: 2}, false,
		},
		{"on one link", ListenConfig{Local: linkLocal, Link: 1}, ListenConfig{Local: linkLocal, Link: 1}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			first, err := s.host.Listen(row.first)
			require.NoError(t, err)
			_, err = s.host.Listen(row.second)
			if row.clash {
				require.ErrorIs(t, err, ip.ErrAddressInUse)
				first.Close(s.now)
				_, err = s.host.Listen(row.second)
			}
			require.NoError(t, err, "free, or free again")
		})
	}
	t.Run("a dual one takes both families", func(t *testing.T) {
		s := newScript(t)
		l, err := s.host.Listen(ListenConfig{Local: any6, DualStack: true})
		require.NoError(t, err)
		require.Same(t, l, s.host.listener(one4, 0))
		require.Same(t, l, s.host.listener(one6, 0))
	})
	t.Run("a port is chosen", func(t *testing.T) {
		s := newScript(t, func(c *Config) { c.FirstPort, c.LastPort = 5000, 5001 })
		ports := make(map[uint16]bool)
		for range 2 {
			l, err := s.host.Listen(ListenConfig{Local: netip.MustParseAddrPort("0.0.0.0:0")})
			require.NoError(t, err)
			ports[l.Addr().Port()] = true
		}
		require.Equal(t, map[uint16]bool{5000: true, 5001: true}, ports)
		_, err := s.host.Listen(ListenConfig{Local: netip.MustParseAddrPort("0.0.0.0:0")})
		require.ErrorIs(t, err, ErrNoPorts)
	})
}

func TestDialErrors(t *testing.T) {
	s := newScript(t, func(c *Config) { c.FirstPort, c.LastPort = 5000, 5001 })
	for _, remote := range []string{"192.0.2.2:0", "224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80", "0.0.0.0:80", "[::]:80"} {
		_, err := s.host.Dial(s.now, DialConfig{Remote: netip.MustParseAddrPort(remote)})
		require.ErrorIs(t, err, ip.ErrInvalid, remote)
	}
	_, err := s.host.Dial(s.now, DialConfig{})
	require.ErrorIs(t, err, ip.ErrInvalid)
	_, err = s.host.Dial(s.now, DialConfig{Remote: s.peer, Options: &Options{SendBuffer: 3}})
	require.ErrorContains(t, err, "SendBuffer is 3")
	fixed := DialConfig{Local: netip.AddrPortFrom(localHost, 7), Remote: s.peer}
	_, err = s.host.Dial(s.now, fixed)
	require.NoError(t, err)
	_, err = s.host.Dial(s.now, fixed)
	require.ErrorIs(t, err, ip.ErrAddressInUse)
	for range 2 {
		_, err = s.host.Dial(s.now, DialConfig{Remote: s.peer})
		require.NoError(t, err)
	}
	_, err = s.host.Dial(s.now, DialConfig{Remote: s.peer})
	require.ErrorIs(t, err, ErrNoPorts)
	_, err = s.host.Dial(s.now, DialConfig{Remote: addPort(s.peer, 1)})
	require.NoError(t, err, "towards another there are ports")
	s.net.err = ip.ErrNetworkUnreachable
	_, err = s.host.Dial(s.now, DialConfig{Remote: addPort(s.peer, 2)})
	require.ErrorIs(t, err, ip.ErrNetworkUnreachable)
	s.net.discard()
}

// An IPv4-mapped address is the IPv4 address.
func TestDialMappedAddress(t *testing.T) {
	s := newScript(t)
	c, err := s.host.Dial(s.now, DialConfig{Remote: netip.MustParseAddrPort("[::ffff:192.0.2.2]:80")})
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddrPort("192.0.2.2:80"), c.RemoteAddr())
	s.net.discard()
}
