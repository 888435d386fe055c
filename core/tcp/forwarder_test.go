package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// far is where the peers of the forwarders' scripts want to connect to.
var far = netip.MustParseAddrPort("203.0.113.7:443")

// newForwarding returns a script whose peer speaks to somebody else's address, and a forwarder that takes it.
func newForwarding(t *testing.T, configure ...func(*ForwardConfig)) (*script, *Forwarder) {
	s := newScript(t)
	s.local, s.foreign = far, true
	return s, s.forward(configure...)
}

func (s *script) forward(configure ...func(*ForwardConfig)) *Forwarder {
	s.t.Helper()
	cfg := ForwardConfig{Link: intercepted, Owner: s.owner}
	for _, f := range configure {
		f(&cfg)
	}
	f, err := s.host.Forward(cfg)
	require.NoError(s.t, err)
	return f
}

// held has the peer's SYN arrive and returns the request that it makes.
func (s *script) held(f *Forwarder) *Request {
	s.t.Helper()
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.wantIdle("the SYN is held")
	require.Equal(s.t, ip.Accepted, s.owner.take())
	r := f.Next()
	require.NotNil(s.t, r)
	require.Nil(s.t, f.Next(), "each request is returned once")
	return r
}

func (s *script) newPeer() { s.peer = addPort(s.peer, 1); s.iss = 0 }

func TestForwardedConnection(t *testing.T) {
	s, f := newForwarding(t)
	require.True(t, s.net.intercepts, "packets to others come in")
	r := s.held(f)
	require.Equal(t, far, r.LocalAddr(), "whom the peer means")
	require.Equal(t, s.peer, r.RemoteAddr())
	require.Equal(t, 1, f.InFlight())
	require.Equal(t, "held", s.state())

	s.after(3 * time.Second)
	s.wantIdle("the far side takes its time")
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("the peer is answered by whom it has asked", seg{flags: "S.", ack: 1, mss: 1460})
	require.Equal(t, "half-open", s.state())
	require.Nil(t, r.Conn())
	require.Equal(t, 1, f.InFlight())
	s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "hello"})
	require.NotZero(t, owner.take()&ip.Connected)
	require.Zero(t, s.owner.take(), "the forwarder's own owner has nothing to do with it")
	require.Nil(t, f.Accept())
	require.Zero(t, f.InFlight())

	s.conn = r.Conn()
	require.Equal(t, far, s.conn.LocalAddr())
	require.EqualValues(t, intercepted, s.conn.Link())
	s.wantRead("data came with the final ACK", "hello")
	s.write("welcome")
	s.want("and goes the other way", seg{flags: "P.", seq: 1, ack: 6, data: "welcome"})
	s.recv(seg{flags: ".", seq: 6, ack: 8, win: 65535})
	s.wantConsistent()

	s.conn.CloseWrite(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 8, ack: 6})
	s.recv(seg{flags: "F.", seq: 6, ack: 9, win: 65535})
	s.want("the peer's is acknowledged", seg{flags: ".", seq: 9, ack: 7})
	require.Equal(t, "TIME-WAIT", s.state())
	f.Close(s.now)
	require.True(t, s.net.intercepts, "what remains of it still hears its peer")
	s.recv(seg{flags: "F.", seq: 6, ack: 9, win: 65535})
	s.want("again", seg{flags: ".", seq: 9, ack: 7})
	s.after(2 * time.Minute)
	require.False(t, s.net.intercepts, "nothing remains")
	require.Empty(t, s.host.forwards)
	s.wantConsistent()
}

func TestForwarderAnswersForNobodyInParticular(t *testing.T) {
	s, f := newForwarding(t, func(c *ForwardConfig) { c.Backlog = 1 })
	var accepted []*Conn
	for range 2 {
		require.NoError(t, s.held(f).Answer(s.now, nil))
		s.want("answered", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		if c := f.Accept(); c != nil && len(accepted) == 0 {
			accepted = append(accepted, c)
			require.Equal(t, ip.Accepted, s.owner.take())
		}
		s.newPeer()
	}
	require.Len(t, accepted, 1)
	require.Equal(t, far, accepted[0].LocalAddr())
	require.Zero(t, f.Pending())

	// The accept queue takes no more than its backlog; the final ACK of one beyond is dropped.
	for range 2 {
		s.owner.take()
		require.NoError(t, s.held(f).Answer(s.now, nil))
		s.want("answered", seg{flags: "S.", ack: 1})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		s.wantIdle("no answer to the final ACK")
		s.newPeer()
	}
	require.Equal(t, 1, f.Pending())
	require.EqualValues(t, 1, s.host.Counters().AcceptQueueFull)
	require.Equal(t, 1, f.InFlight(), "it is half-open still")

	var owner recorder
	s.owner.take()
	r := s.held(f)
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	require.NotNil(t, r.Conn(), "that is nothing to whom a connection is for in particular")
	s.wantConsistent()
}

func TestHeldOptionsAreNegotiated(t *testing.T) {
	s, f := newForwarding(t)
	s.recv(seg{flags: "SEW", win: 65535, mss: 1400, ws: 7, sackOK: true, tsval: 100, tfoRequest: true, data: "early"})
	r := f.Next()
	s.after(time.Second)
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("as a listener would", seg{
		flags: "S.E", ack: 1, mss: 1460, ws: windowScaleOf(t, s), sackOK: true, tsval: 1000, tsecr: 100, noTFO: true,
	})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 1000, tsval: 1100, tsecr: 1000})
	s.conn = r.Conn()
	require.NotNil(t, s.conn)
	s.wantRead("data in the SYN is ignored", "")
	require.True(t, s.conn.sackOK && s.conn.ecn.on && s.conn.ts.on)
	require.EqualValues(t, 7, s.conn.sndShift)
}

// windowScaleOf is what the host's listeners offer.
func windowScaleOf(t *testing.T, s *script) int {
	t.Helper()
	_, largest := s.host.receiveBuffer(&s.host.config.Options, 0)
	return int(windowScale(largest))
}

// What can become of a request before it is a connection.
func TestRequestEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(s *script, f *Forwarder, r *Request)
		want error // what is told of it afterwards
	}{
		{"refused", func(s *script, f *Forwarder, r *Request) {
			require.NoError(s.t, r.Refuse(s.now))
			s.want("as by a closed port", seg{flags: "R.", ack: 1})
		}, ErrAborted},
		{"ignored", func(s *script, f *Forwarder, r *Request) { require.NoError(s.t, r.Ignore()) }, ErrAborted},
		{"reset by the peer", func(s *script, f *Forwarder, r *Request) {
			s.recv(seg{flags: "R", seq: 1})
			require.EqualValues(s.t, 1, s.host.Counters().HeldResets)
		}, ErrReset},
		{"nobody decided", func(s *script, f *Forwarder, r *Request) {
			s.after(75*time.Second - 1)
			require.True(s.t, r.Held())
			s.after(1)
			require.EqualValues(s.t, 1, s.host.Counters().HeldTimeouts)
		}, ErrTimeout},
		{"forwarder closed", func(s *script, f *Forwarder, r *Request) {
			f.Close(s.now)
			s.want("the peer need not wait", seg{flags: "R.", ack: 1})
		}, ErrForwarderClosed},
		{"host closed", func(s *script, f *Forwarder, r *Request) {
			s.host.Close(s.now)
			s.want("the peer need not wait", seg{flags: "R.", ack: 1})
		}, ErrForwarderClosed},
		{"no way back", func(s *script, f *Forwarder, r *Request) {
			s.net.err = ip.ErrNetworkUnreachable
			require.ErrorIs(s.t, r.Answer(s.now, &recorder{}), ip.ErrNetworkUnreachable)
		}, ip.ErrNetworkUnreachable},
		{"answered, then reset by the peer", func(s *script, f *Forwarder, r *Request) {
			s.answer(r)
			s.recv(seg{flags: "R", seq: 1})
		}, ErrReset},
		{"answered, and the peer is gone", func(s *script, f *Forwarder, r *Request) {
			s.answer(r)
			s.after(10 * time.Minute)
			for range s.host.config.SYNRetries {
				s.want("again", seg{flags: "S.", ack: 1})
			}
		}, ErrTimeout},
		{"answered, then taken back", func(s *script, f *Forwarder, r *Request) {
			s.answer(r)
			r.Cancel(s.now)
			s.want("the peer is told", seg{flags: "R.", seq: 1, ack: 1})
		}, ErrAborted},
		{"answered, then the forwarder closed", func(s *script, f *Forwarder, r *Request) {
			s.answer(r)
			f.Close(s.now)
		}, ErrForwarderClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := newForwarding(t)
			r := s.held(f)
			tc.do(s, f, r)
			s.wantIdle("and nothing more")
			require.Equal(t, "CLOSED", s.state())
			require.Zero(t, f.InFlight())
			require.Nil(t, r.Conn())
			require.ErrorIs(t, r.Err(), tc.want)
			require.ErrorIs(t, r.Answer(s.now, &recorder{}), tc.want, "it is decided")
			require.ErrorIs(t, r.Refuse(s.now), tc.want)
			require.ErrorIs(t, r.Ignore(), tc.want)
			r.Cancel(s.now)
			s.wantIdle("so nothing happens")
			s.wantConsistent()
			require.Zero(t, s.host.table.len)
		})
	}
}

// Who holds a request hears of it when it ends by itself, not what he has done himself.
func TestOwnerOfAHeldRequest(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(s *script, f *Forwarder, r *Request)
		want ip.Event
	}{
		{"reset by the peer", func(s *script, f *Forwarder, r *Request) { s.recv(seg{flags: "R", seq: 1}) }, ip.Failed},
		{"nobody decided", func(s *script, f *Forwarder, r *Request) { s.after(75 * time.Second) }, ip.Failed},
		{"forwarder closed", func(s *script, f *Forwarder, r *Request) { f.Close(s.now) }, ip.Failed},
		{"refused", func(s *script, f *Forwarder, r *Request) { require.NoError(s.t, r.Refuse(s.now)) }, 0},
		{"ignored", func(s *script, f *Forwarder, r *Request) { require.NoError(s.t, r.Ignore()) }, 0},
		{"answered for another", func(s *script, f *Forwarder, r *Request) { s.answer(r); s.recv(seg{flags: "R", seq: 1}) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := newForwarding(t)
			r := s.held(f)
			var owner recorder
			r.SetOwner(&owner)
			tc.do(s, f, r)
			require.Equal(t, tc.want, owner.take())
		})
	}
}

// answer answers a request, and checks that somebody hears of it if it comes to nothing.
func (s *script) answer(r *Request) {
	s.t.Helper()
	owner := &recorder{}
	require.NoError(s.t, r.Answer(s.now, owner))
	s.want("answered", seg{flags: "S.", ack: 1})
	s.t.Cleanup(func() { require.Equal(s.t, ip.Failed, owner.take()) })
}

// What arrives while a SYN is held, and what is left of that.
func TestSegmentsForAHeldRequest(t *testing.T) {
	for _, tc := range []struct {
		name    string
		arrives seg
		answer  *seg
		counter func(c *Counters) uint64
		state   string
	}{
		{"the SYN again", seg{flags: "S", win: 65535}, nil, func(c *Counters) uint64 { return c.HeldDuplicates }, "held"},
		{"an exact reset", seg{flags: "R", seq: 1}, nil, func(c *Counters) uint64 { return c.HeldResets }, "CLOSED"},
		{"a reset in the window", seg{flags: "R", seq: 2}, nil, func(c *Counters) uint64 { return c.InRstsIgnored }, "held"},
		{"a reset with the SYN's number", seg{flags: "R", seq: 0}, nil, func(c *Counters) uint64 { return c.InRstsIgnored }, "held"},
		{"an ACK of nothing", seg{flags: ".", seq: 1, ack: 7, win: 9}, &seg{flags: "R", seq: 7},
			func(c *Counters) uint64 { return c.OutRsts }, "held"},
		{"a SYN|ACK", seg{flags: "S.", ack: 7, win: 9}, &seg{flags: "R", seq: 7},
			func(c *Counters) uint64 { return c.OutRsts }, "held"},
		{"neither SYN nor ACK", seg{flags: "P", seq: 1, data: "x"}, nil, func(c *Counters) uint64 { return c.InNoAck }, "held"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := newForwarding(t)
			s.held(f)
			before := s.host.Counters()
			s.recv(tc.arrives)
			if tc.answer != nil {
				s.want("it is answered", *tc.answer)
			}
			s.wantIdle("and that is all")
			after := s.host.Counters()
			require.Equal(t, tc.counter(&before)+1, tc.counter(&after))
			require.Equal(t, tc.state, s.state())
			require.Zero(t, s.owner.take(), "nobody is told")
			s.wantConsistent()
		})
	}
}

// A peer that gave up without a word, and connects anew from the same port, is answered as of its new SYN.
func TestHeldRequestBegunAnew(t *testing.T) {
	s, f := newForwarding(t)
	r := s.held(f)
	s.irs += 1_000_000
	s.recv(seg{flags: "S", win: 4096, mss: 1000})
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("the later SYN is acknowledged", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 4096})
	s.conn = r.Conn()
	require.NotNil(t, s.conn)
	require.EqualValues(t, 1000, s.conn.sndMSS)
	require.EqualValues(t, 1, s.host.Counters().Held)
}

func TestInFlightIsBounded(t *testing.T) {
	s, f := newForwarding(t, func(c *ForwardConfig) { c.InFlight = 3 })
	first := s.held(f)
	s.newPeer()
	var owner recorder
	require.NoError(t, s.held(f).Answer(s.now, &owner))
	s.want("half-open ones count as held ones do", seg{flags: "S.", ack: 1})
	half := s.peer
	s.newPeer()
	s.held(f)
	require.Equal(t, 3, f.InFlight())

	s.newPeer()
	s.recv(seg{flags: "S", win: 65535})
	s.wantIdle("dropped, not reset, so that the peer tries again")
	require.EqualValues(t, 1, s.host.Counters().InFlightFull)
	require.Nil(t, f.Next())
	beyond := s.peer
	for name, free := range map[string]func(){
		"a refusal": func() { require.NoError(t, first.Refuse(s.now)); s.net.discard() },
		"the end of a handshake": func() {
			s.peer = half
			i := s.name()
			s.iss = s.host.table.lookup(&i).occupant.(*halfOpen).iss
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
		},
	} {
		free()
		require.Equal(t, 2, f.InFlight(), "%s makes room", name)
		s.owner.take()
		s.peer = beyond
		s.held(f)
		s.newPeer()
		beyond = s.peer
		s.recv(seg{flags: "S", win: 65535})
		require.Nil(t, f.Next())
	}
	s.wantConsistent()
}

// One peer, or who forges its address, does not hold up the others.
func TestInFlightOfOnePeerIsBounded(t *testing.T) {
	s, f := newForwarding(t, func(c *ForwardConfig) { c.InFlight, c.InFlightPerPeer = 40, 2 })
	busy := s.peer.Addr()
	first := s.held(f)
	s.newPeer()
	var owner recorder
	second := s.held(f)
	require.NoError(t, second.Answer(s.now, &owner))
	s.want("an answer still counts", seg{flags: "S.", ack: 1})
	refused := func(why string) {
		t.Helper()
		before := s.host.Counters().InFlightPeerFull
		s.newPeer()
		s.recv(seg{flags: "S", win: 65535})
		s.wantIdle("dropped, not reset")
		require.Nil(t, f.Next(), why)
		require.EqualValues(t, 1, s.host.Counters().InFlightPeerFull-before, why)
	}
	refused("it has two already")
	s.peer = netip.AddrPortFrom(busy.Next(), s.peer.Port())
	s.iss = 0
	other := s.held(f)
	require.Equal(t, 3, f.InFlight(), "another has room")

	s.peer = netip.AddrPortFrom(busy, s.peer.Port()+1)
	require.NoError(t, first.Ignore())
	s.newPeer()
	third := s.held(f)
	refused("it has two again")
	second.Cancel(s.now)
	s.net.discard()
	require.Equal(t, ip.Failed, owner.take())
	s.newPeer()
	fourth := s.held(f)
	for _, r := range []*Request{other, third, fourth} {
		require.NoError(t, r.Ignore())
	}
	require.Empty(t, f.listener.perPeer.requests, "nobody is remembered")
	s.wantConsistent()
}

func TestPeersOfIPv6AreNetworks(t *testing.T) {
	p := newPerPeer(1, 40)
	of := func(addr string) *id {
		i := foreignID(netip.MustParseAddrPort("[2001:db8::1]:80"), netip.AddrPortFrom(netip.MustParseAddr(addr), 1), 2)
		return &i
	}
	p.enter(of("2001:db8:0:1::1"))
	require.True(t, p.full(of("2001:db8:0:1:ffff::2")), "whoever has one has the rest")
	require.False(t, p.full(of("2001:db8:0:2::1")))
	require.Equal(t, 20, newPerPeer(0, 40).most)
	require.Equal(t, 3, newPerPeer(0, 3).most)
	require.Equal(t, 16, newPerPeer(0, 20).most)
	require.Equal(t, 40, newPerPeer(99, 40).most)
}

func TestRequestsCountAmongTheHalfOpen(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.HalfOpen = 2 })
	s.local, s.foreign = far, true
	f := s.forward()
	for range 2 {
		s.held(f)
		s.newPeer()
	}
	s.recv(seg{flags: "S", win: 65535})
	require.Nil(t, f.Next())
	require.EqualValues(t, 1, s.host.Counters().InFlightFull)
}

// A health check that sends a SYN and then a reset, held or answered, leaves nothing, however often it comes; nor if nobody looks.
func TestProbesOfAForwarderLeaveNothing(t *testing.T) {
	for _, tc := range []struct {
		name  string
		probe func(s *script, f *Forwarder)
	}{
		{"that nobody looks at", func(s *script, f *Forwarder) {}},
		{"that are taken", func(s *script, f *Forwarder) { require.NotNil(s.t, f.Next()) }},
		{"that are answered", func(s *script, f *Forwarder) {
			require.NoError(s.t, f.Next().Answer(s.now, &recorder{}))
			s.want("answered", seg{flags: "S.", ack: 1})
		}},
		{"that are answered for nobody in particular", func(s *script, f *Forwarder) {
			require.NoError(s.t, f.Next().Answer(s.now, nil))
			s.want("answered", seg{flags: "S.", ack: 1})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := newForwarding(t, func(c *ForwardConfig) { c.InFlight = 2 })
			for range 100 {
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				tc.probe(s, f)
				s.recv(seg{flags: "R", seq: 1})
				s.newPeer()
			}
			s.wantIdle("nobody is answered")
			require.Zero(t, s.host.Counters().InFlightFull)
			require.Zero(t, f.InFlight())
			require.Zero(t, s.host.table.len)
			require.Nil(t, f.Next(), "nothing waits for somebody to look")
			require.Zero(t, s.host.Connections())
			s.wantConsistent()
		})
	}
}

func TestWhoIsThereFirst(t *testing.T) {
	s := newScript(t)
	f := s.forward()
	l := s.listen()
	s.recv(seg{flags: "S", win: 65535, mss: 1460})
	s.want("a listener on an own address comes first", seg{flags: "S.", ack: 1})
	require.Nil(t, f.Next())

	s.local, s.iss = addPort(s.local, 1), 0
	require.NoError(t, s.held(f).Refuse(s.now))
	s.want("where nothing listens the forwarder does", seg{flags: "R.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 9})
	s.want("what belongs to nothing is reset", seg{flags: "R", seq: 1})

	_, err := s.host.Listen(ListenConfig{Local: netip.AddrPortFrom(netip.IPv4Unspecified(), far.Port())})
	require.NoError(t, err)
	s.local, s.foreign = far, true
	require.NotNil(t, s.held(f), "a listener on every own address listens on no other's")
	l.Close(s.now)
}

func TestForwardRefuses(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Limits.Listeners = 1 })
	for _, tc := range []struct {
		name string
		cfg  ForwardConfig
		want error
	}{
		{"an interface that there is not", ForwardConfig{Link: 9}, ip.ErrInvalid},
		{"none", ForwardConfig{}, ip.ErrInvalid},
		{"a negative bound", ForwardConfig{Link: intercepted, InFlight: -1}, ip.ErrInvalid},
		{"a negative backlog", ForwardConfig{Link: intercepted, Backlog: -1}, ip.ErrInvalid},
		{"a negative time", ForwardConfig{Link: intercepted, HoldTime: -1}, ip.ErrInvalid},
	} {
		_, err := s.host.Forward(tc.cfg)
		require.ErrorIs(t, err, tc.want, tc.name)
	}
	f := s.forward()
	_, err := s.host.Forward(ForwardConfig{Link: intercepted})
	require.ErrorIs(t, err, ErrTooManyListeners)
	s.host.config.Limits.Listeners = 2
	_, err = s.host.Forward(ForwardConfig{Link: intercepted})
	require.ErrorIs(t, err, ip.ErrAddressInUse, "who is there first keeps it")
	f.Close(s.now)
	f.Close(s.now)
	s.forward()
}

func TestBehindAClosedForwarder(t *testing.T) {
	s, f := newForwarding(t)
	r := s.held(f)
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = r.Conn()
	f.Close(s.now)
	first := s.peer
	s.newPeer()
	s.recv(seg{flags: "S", win: 65535})
	s.wantIdle("what is for others is none of ours any more")
	require.EqualValues(t, 1, s.host.Counters().NotForwarded)
	s.peer = first
	s.conn.Abort(s.now)
	s.net.discard()
	require.False(t, s.net.intercepts)
	s.wantConsistent()
}

// A peer may use its port again while its last connection is in TIME-WAIT here.
func TestForwardedTimeWaitGivesWay(t *testing.T) {
	s, f := newForwarding(t)
	r := s.held(f)
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = r.Conn()
	s.conn.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
	before := s.iss
	s.irs += 1000
	s.owner.take()
	r = s.held(f)
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("a new one", seg{flags: "S.", ack: 1})
	require.True(t, beforeEq(before+2+65536, s.iss), "whose numbers are beyond the old one's")
	require.EqualValues(t, 1, s.host.Counters().TimeWaitReused)
}

// An error about what was sent from somebody else's address reaches the connection.
func TestErrorsOfForwardedConnections(t *testing.T) {
	s, f := newForwarding(t)
	r := s.held(f)
	var owner recorder
	require.NoError(t, r.Answer(s.now, &owner))
	s.want("answered", seg{flags: "S.", ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
	s.conn = r.Conn()
	s.write("hello")
	s.want("data", seg{flags: "P.", seq: 1, ack: 1, data: "hello"})
	for _, foreign := range []bool{false, true} {
		transport := make([]byte, 8)
		transport[0], transport[1] = byte(far.Port()>>8), byte(far.Port())
		transport[2], transport[3] = byte(s.peer.Port()>>8), byte(s.peer.Port())
		seq := s.iss + 1
		transport[4], transport[5], transport[6], transport[7] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
		s.host.Error(s.since(), &ip.Error{
			Kind: ip.HostUnreachable, Src: far.Addr(), Dst: s.peer.Addr(), Link: intercepted, Foreign: foreign, Transport: transport,
		})
		require.Equal(t, foreign, s.conn.softErr == ip.HostUnreachable)
	}
}
