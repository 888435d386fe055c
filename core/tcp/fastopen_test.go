package tcp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/wire"
)

func fastOpenListener(c *ListenConfig) { c.Options = &Options{FastOpen: true, ReceiveBuffer: 1 << 15} }

// granted is a script with a listener that has granted its peer a cookie, which is returned.
func granted(t *testing.T, configure ...func(*Config)) (*script, *Listener, string) {
	s := newScript(t, configure...)
	l := s.listen(fastOpenListener)
	s.recv(seg{flags: "S", win: 65535, mss: 1460, tfoRequest: true})
	require.Len(t, s.net.sent, 1)
	got, _ := s.decode(s.net.sent[0].Clone())
	require.Len(t, got.tfo, 8)
	s.want("the peer asks for a cookie and gets one", seg{flags: "S.", ack: 1, tfo: got.tfo})
	s.recv(seg{flags: "R", seq: 1})
	return s, l, got.tfo
}

func TestFastOpenServer(t *testing.T) {
	s, l, cookie := granted(t)
	s.after(time.Second)
	l.SetOwner(s.owner)
	s.recv(seg{flags: "S", win: 1000, mss: 1460, ws: 7, tsval: 100, data: "GET", tfo: cookie})
	s.want("the data is acknowledged with the SYN; no cookie, for the peer has it",
		seg{flags: "S.", ack: 4, win: 1<<15 - 3, tsval: 1000, tsecr: 100, noTFO: true})
	require.Equal(t, ip.Accepted, s.owner.take(), "and a connection is there before the handshake is complete")
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	require.Equal(t, SynReceived, s.conn.State())
	s.wantRead("with data", "GET")
	s.write("200")
	s.want("the answer does not wait for the handshake either", seg{flags: "P.", seq: 1, ack: 4, data: "200", tsecr: 100})
	s.wantConsistent()
	s.after(10 * time.Millisecond)
	s.recv(seg{flags: ".", seq: 4, ack: 4, win: 10, tsval: 110, tsecr: 1000})
	require.Equal(t, Established, s.conn.State())
	i := s.conn.Info()
	require.Equal(t, 10*time.Millisecond, i.RTT)
	require.Equal(t, 1280, i.SendWindow)
	require.Zero(t, i.InFlight)
	s.wantIdle("all is said")
	s.wantConsistent()
	c := s.host.Counters()
	require.EqualValues(t, 1, c.FastOpenGranted)
	require.EqualValues(t, 1, c.FastOpenAccepted)
	require.EqualValues(t, 2, c.PassiveOpens)
	require.Zero(t, l.fastOpen.count)
}

func TestFastOpenServerFallsBack(t *testing.T) {
	for _, row := range []struct {
		name   string
		spoil  func(s *script)
		tfo    func(cookie string) seg
		grants bool
	}{
		{"an invalid cookie gets a new one", nil, func(string) seg { return seg{tfo: "invalid!", data: "GET"} }, true},
		{"as does one of another length", nil, func(c string) seg { return seg{tfo: c[:4], data: "GET"} }, true},
		{"data with a request", nil, func(string) seg { return seg{tfoRequest: true, data: "GET"} }, true},
		{
			"a cookie of somebody else's",
			func(s *script) { s.peer = netip.MustParseAddrPort("192.0.2.77:4242") },
			func(c string) seg { return seg{tfo: c, data: "GET"} }, true,
		},
		{
			"a cookie that is too old", func(s *script) { s.after(2 * time.Hour) },
			func(c string) seg { return seg{tfo: c, data: "GET"} }, true,
		},
		{"a cookie without data", nil, func(c string) seg { return seg{tfo: c} }, false},
		{"data without the option", nil, func(string) seg { return seg{data: "GET"} }, false},
		{
			"too many wait for their final ACK", func(s *script) { s.host.config.Limits.FastOpen = 0 },
			func(c string) seg { return seg{tfo: c, data: "GET"} }, false,
		},
		{
			"too many connections", func(s *script) { s.host.config.Limits.Connections = 0 },
			func(c string) seg { return seg{tfo: c, data: "GET"} }, false,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, l, cookie := granted(t)
			if row.spoil != nil {
				row.spoil(s)
			}
			syn := row.tfo(cookie)
			syn.flags, syn.win, syn.mss = "S", 65535, 1460
			s.recv(syn)
			require.Len(t, s.net.sent, 1)
			got, _ := s.decode(s.net.sent[0])
			s.net.sent = nil
			require.Equal(t, "S.", got.flags)
			require.EqualValues(t, 1, got.ack, "the data is not acknowledged")
			require.Equal(t, row.grants, got.tfo != "")
			require.Nil(t, l.Accept())
			require.Equal(t, 1, l.halfOpen)
			s.host.config.Limits.Connections = 9
			s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "GET"})
			s.conn = l.Accept()
			require.NotNil(t, s.conn)
			s.wantRead("the peer sends it again", "GET")
			s.wantConsistent()
		})
	}
	t.Run("it is not switched on", func(t *testing.T) {
		s := newScript(t)
		s.listen()
		s.recv(seg{flags: "S", win: 65535, mss: 1460, tfoRequest: true})
		s.want("no cookie", seg{flags: "S.", ack: 1, noTFO: true})
	})
}

// A cookie serves for an hour or two; one of the hour before is replaced.
func TestFastOpenCookieIsRenewed(t *testing.T) {
	s, l, cookie := granted(t)
	s.after(fastOpenSlotDuration)
	s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
	s.conn = l.Accept()
	require.NotNil(t, s.conn)
	got, _ := s.decode(s.net.sent[0])
	s.net.sent = nil
	require.EqualValues(t, 4, got.ack)
	require.Len(t, got.tfo, 8)
	require.NotEqual(t, cookie, got.tfo)
	s.after(time.Second)
	s.want("but not again: it may be the option that does not get through", seg{flags: "S.", ack: 4, noTFO: true})
}

const fastOpenSlotDuration = time.Duration(fastOpenSlot)

func TestFastOpenHandshakeIsRepeated(t *testing.T) {
	s, l, cookie := granted(t, func(c *Config) { c.SYNRetries = 2 })
	open := func() {
		s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
		s.want("opened", seg{flags: "S.", ack: 4})
		s.conn = l.Accept()
		s.wantRead("at once", "GET")
	}
	open()
	s.write("200")
	s.want("answered", seg{flags: "P.", seq: 1, ack: 4, data: "200"})
	s.after(time.Second - 1)
	s.wantIdle("what is in flight waits for the SYN|ACK")
	s.after(1)
	s.want("which is sent again, without option and data", seg{flags: "S.", ack: 4, noTFO: true})
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("as it is when the SYN comes again, be it without its data", seg{flags: "S.", ack: 4})
	s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
	s.wantIdle("not each time")
	s.recv(seg{flags: ".", seq: 4, ack: 1, win: 65535})
	require.Equal(t, Established, s.conn.State(), "the SYN|ACK alone is acknowledged")
	require.Equal(t, 3*time.Second, s.conn.Info().RTO, "and nothing was measured")
	s.after(3 * time.Second)
	s.want("the data is sent again in its turn", seg{flags: "P.", seq: 1, ack: 4, data: "200"})
	s.recv(seg{flags: ".", seq: 4, ack: 4, win: 65535})
	require.Zero(t, s.conn.Info().InFlight)
	s.wantConsistent()

	s.peer = addPort(s.peer, 1)
	open()
	s.after(time.Second)
	s.want("again after 1 s", seg{flags: "S.", ack: 4})
	s.after(2 * time.Second)
	s.want("again after 2 s", seg{flags: "S.", ack: 4})
	s.after(4 * time.Second)
	s.answers()
	require.ErrorIs(t, s.conn.Err(), ErrTimeout)
	require.Zero(t, l.fastOpen.count)
	s.wantConsistent()
}

// Until the final ACK nothing is believed that is not exact.
func TestFastOpenBeforeTheFinalAck(t *testing.T) {
	for _, row := range []struct {
		name  string
		in    seg
		want  string
		state string
	}{
		{"an acknowledgment of nothing", seg{flags: ".", seq: 4, ack: 0, win: 65535}, "RST", "SYN-RECEIVED"},
		{"an acknowledgment of what was not sent", seg{flags: ".", seq: 4, ack: 2, win: 65535}, "RST", "SYN-RECEIVED"},
		{"the final ACK", seg{flags: ".", seq: 4, ack: 1, win: 65535}, "", "ESTABLISHED"},
		{"it, with a FIN", seg{flags: "F.", seq: 4, ack: 1, win: 65535}, "ACK", "CLOSE-WAIT"},
		{"a reset in sequence", seg{flags: "R", seq: 4}, "", "CLOSED"},
		{"a reset out of sequence", seg{flags: "R", seq: 9}, "ACK", "SYN-RECEIVED"},
		{"another SYN", seg{flags: "S", seq: 100, win: 65535}, "ACK", "SYN-RECEIVED"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, l, cookie := granted(t)
			s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
			s.want("opened", seg{flags: "S.", ack: 4})
			s.conn = l.Accept()
			s.recv(row.in)
			require.Equal(t, row.want, s.answers())
			require.Equal(t, row.state, s.state())
			s.wantConsistent()
		})
	}
	t.Run("an ICMP error", func(t *testing.T) {
		s, l, cookie := granted(t)
		s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
		s.want("opened", seg{flags: "S.", ack: 4})
		s.conn = l.Accept()
		s.icmp(ip.HostUnreachable, 0, 0)
		require.NoError(t, s.conn.Err())
	})
	t.Run("Close", func(t *testing.T) {
		s, l, cookie := granted(t)
		s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
		s.want("opened", seg{flags: "S.", ack: 4})
		s.conn = l.Accept()
		s.wantRead("it is served", "GET")
		s.write("200")
		s.conn.Close(s.now)
		s.want("at once", seg{flags: "P.", seq: 1, ack: 4, data: "200"})
		s.want("to the end", seg{flags: "F.", seq: 4, ack: 4})
		s.recv(seg{flags: "F.", seq: 4, ack: 5, win: 65535})
		s.want("which the peer acknowledges together with the handshake", seg{flags: ".", seq: 5, ack: 5})
		require.Equal(t, "TIME-WAIT", s.state())
		require.Zero(t, l.fastOpen.count)
		s.wantConsistent()
	})
}

// Those that are reset before the final ACK go on counting for a minute: else it would cost an attacker nothing to open one after the
// other.
func TestFastOpensThatAreResetCount(t *testing.T) {
	s, l, cookie := granted(t, func(c *Config) { c.Limits.FastOpen = 2 })
	open := func() bool {
		s.peer = addPort(s.peer, 1)
		s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "GET", tfo: cookie})
		s.net.discard()
		defer func() {
			s.recv(seg{flags: "R", seq: 4})
			s.recv(seg{flags: "R", seq: 1})
		}()
		if c := l.Accept(); c != nil {
			c.CloseRead(s.now)
			return true
		}
		return false
	}
	require.True(t, open())
	s.after(time.Second)
	require.True(t, open())
	require.Zero(t, l.fastOpen.count)
	require.False(t, open())
	require.EqualValues(t, 1, s.host.Counters().FastOpenFull)
	s.after(59 * time.Second)
	require.True(t, open(), "the first no longer counts")
	require.False(t, open())
	s.after(time.Hour)
	require.Equal(t, 0, l.fastOpen.count)
	s.wantConsistent()
}

func TestFastOpenClient(t *testing.T) {
	const cookie = "ABCDEFGH"
	s := newScript(t)
	fast := &Options{FastOpen: true}
	dial := func(data string) *Conn {
		c, err := s.host.Dial(s.now, DialConfig{Remote: s.peer, Options: fast, Data: []byte(data), Owner: s.owner})
		require.NoError(t, err)
		s.conn, s.local = c, c.LocalAddr()
		return c
	}
	dial("hello")
	s.want("without a cookie the SYN asks for one, and carries no data", seg{flags: "S", tfoRequest: true})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1000, tfo: cookie})
	s.want("the data follows, and acknowledges", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	s.wantIdle("no more")

	c := dial("hello")
	s.want("with it the data goes with the SYN", seg{flags: "S", data: "hello", tfo: cookie})
	s.recv(seg{flags: "S.", ack: 6, win: 65535, mss: 1000})
	s.want("and is acknowledged by the SYN|ACK", seg{flags: ".", seq: 6, ack: 1})
	require.Equal(t, ip.Connected|ip.Writable, s.owner.take()&(ip.Connected|ip.Writable))
	require.EqualValues(t, 1, s.host.Counters().FastOpenUsed)
	require.EqualValues(t, 5, c.Info().OctetsSent)
	require.Zero(t, c.Info().Unsent)
	s.write("more")
	s.want("what follows goes on from there", seg{flags: "P.", seq: 6, ack: 1, data: "more"})
	s.recv(seg{flags: ".", seq: 1, ack: 10, win: 65535})
	s.wantConsistent()

	c = dial("hello")
	s.want("another", seg{flags: "S", data: "hello", tfo: cookie})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1000, tfo: "12345678"})
	s.want("if only the SYN is acknowledged the data is sent again at once", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	require.EqualValues(t, 5, c.Info().OctetsSent)
	require.Zero(t, c.Info().Retransmits)

	c = dial("hello")
	s.want("with the cookie that came instead", seg{flags: "S", data: "hello", tfo: "12345678"})
	s.recv(seg{flags: "S.", ack: 4, win: 65535, mss: 1000})
	s.want("what is left when a part was taken follows", seg{flags: "P.", seq: 4, ack: 1, data: "lo"})
	require.Equal(t, 2, c.Info().InFlight)

	dial("")
	s.want("without data the cookie is of no use", seg{flags: "S", noTFO: true})
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1000})
	s.want("established", seg{flags: ".", seq: 1, ack: 1})

	dial(strings.Repeat("x", 3000))
	s.net.collect(s.since())
	got, _ := s.decode(s.net.sent[0].Clone())
	require.Equal(t, 1000-32, len(got.data), "as much as the MSS of before lets through beside the options")
	s.want("the SYN", seg{flags: "S", len: 968})
	s.recv(seg{flags: "S.", ack: 969, win: 65535, mss: 1460})
	s.want("the rest follows", seg{flags: ".", seq: 969, ack: 1, len: 1460})
	s.want("the rest follows", seg{flags: "P.", seq: 2429, ack: 1, len: 572})
	s.wantConsistent()

	s.dial(nil)
	s.want("it is off by default", seg{flags: "S", noTFO: true})
}

func TestFastOpenClientRefused(t *testing.T) {
	s := newScript(t)
	s.learnCookie("ABCDEFGH")
	c := s.dialFast("hello")
	s.want("the SYN", seg{flags: "S", data: "hello"})
	s.recv(seg{flags: "R.", ack: 6})
	require.ErrorIs(t, c.Err(), ip.ErrConnectionRefused, "the reset acknowledges SYN and data")
	c = s.dialFast("hello")
	s.want("the SYN", seg{flags: "S", data: "hello"})
	s.recv(seg{flags: "S.", ack: 7, win: 65535})
	require.Equal(t, "RST", s.answers(), "more than was sent")
	require.Equal(t, SynSent, c.State())
	s.recv(seg{flags: "P.", seq: 1, ack: 6, win: 65535, data: "200"})
	require.Empty(t, s.answers(), "but data that overtakes the SYN|ACK is no reason for a reset")
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("both sides open", seg{flags: "S.", ack: 1, noTFO: true})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.want("and the data follows", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	s.wantConsistent()
}

// learnCookie has the host know a cookie of the peer's.
func (s *script) learnCookie(cookie string) {
	i := newID(netip.AddrPortFrom(localHost, 0), s.peer, 0)
	c, _ := wire.NewFastOpenCookie([]byte(cookie))
	s.host.servers.learn(fastOpenKeyOf(&i), c, 1460)
}

func (s *script) dialFast(data string) *Conn {
	s.t.Helper()
	c, err := s.host.Dial(s.now, DialConfig{Remote: s.peer, Options: &Options{FastOpen: true}, Data: []byte(data)})
	require.NoError(s.t, err)
	s.conn, s.local = c, c.LocalAddr()
	return c
}

// A path that drops SYNs with data or with options that it does not know costs one timeout, not one for each connection.
func TestFastOpenBlackHole(t *testing.T) {
	s := newScript(t)
	s.learnCookie("ABCDEFGH")
	for pause := time.Minute; pause <= 2*time.Hour; pause *= 2 {
		s.dialFast("hello")
		s.want("the SYN", seg{flags: "S", data: "hello", tfo: "ABCDEFGH"})
		s.after(time.Second)
		s.want("nobody answers: it is repeated without option and data", seg{flags: "S", noTFO: true})
		s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
		s.want("and the data follows", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
		s.conn.Abort(s.now)
		s.answers()
		s.after(min(pause, time.Hour) - 1)
		s.dialFast("hello")
		s.want("for a while it is not tried", seg{flags: "S", noTFO: true})
		s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
		s.answers()
		s.conn.Abort(s.now)
		s.answers()
		s.after(1)
	}
	require.EqualValues(t, 7, s.host.Counters().FastOpenTimeouts)

	s.dialFast("hello")
	s.want("the SYN", seg{flags: "S", data: "hello", tfo: "ABCDEFGH"})
	s.after(time.Second)
	s.want("late", seg{flags: "S", noTFO: true})
	s.recv(seg{flags: "S.", ack: 6, win: 65535, mss: 1460})
	s.want("it was the answer that was late: the data is not sent again", seg{flags: ".", seq: 6, ack: 1})
	s.dialFast("hello")
	s.want("and the path is fine", seg{flags: "S", data: "hello", tfo: "ABCDEFGH"})
}

func TestFastOpenCookiesAreBounded(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.FastOpenPeers = 2 })
	first := s.peer.Addr()
	for range 3 {
		s.learnCookie("ABCDEFGH")
		s.peer = netip.AddrPortFrom(s.peer.Addr().Next(), s.peer.Port())
	}
	require.Len(t, s.host.servers.byKey, 2)
	require.Equal(t, 2, s.host.servers.order.Len())
	s.peer = netip.AddrPortFrom(first, s.peer.Port())
	s.dialFast("hello")
	s.want("the oldest is forgotten", seg{flags: "S", tfoRequest: true})
	s.peer = netip.AddrPortFrom(first.Next(), s.peer.Port())
	s.dialFast("hello")
	s.want("the others are not", seg{flags: "S", data: "hello", tfo: "ABCDEFGH"})
}

func TestDialWithData(t *testing.T) {
	s := newScript(t)
	data := []byte("hello")
	c, err := s.host.Dial(s.now, DialConfig{Remote: s.peer, Data: data})
	require.NoError(t, err)
	copy(data, "XXXXX")
	s.conn, s.local = c, c.LocalAddr()
	s.want("the SYN", seg{flags: "S", noTFO: true})
	s.write(", world")
	s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
	s.want("before what was written later", seg{flags: "P.", seq: 1, ack: 1, data: "hello, world"})
	_, err = s.host.Dial(s.now, DialConfig{Remote: s.peer, Data: make([]byte, 65), Options: &Options{SendBuffer: 64}})
	require.ErrorIs(t, err, ip.ErrInvalid)
	require.ErrorContains(t, err, "data of 65 octets for a send buffer of 64")
}
