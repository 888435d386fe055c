package dhcpv6

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// gaps are the times between what the state sends, n times, until it sends something else.
func (s *script) gaps(n int) (gaps []time.Duration) {
	for range n {
		next := s.timers.Next()
		if next == timer.Never {
			break
		}
		gaps = append(gaps, time.Duration(next-s.now))
		state := s.client.State()
		s.advance(time.Duration(next - s.now))
		if s.client.State() != state {
			break
		}
	}
	return gaps
}

const (
	second = time.Second
	milli  = time.Millisecond
)

// The parameters of section 7.6 and the algorithm of section 15, with RAND at its least: -0.1.
func TestRetransmission(t *testing.T) {
	for _, test := range []struct {
		state State
		want  []time.Duration
		then  State
	}{
		{Soliciting, []time.Duration{second + 1, 1900*milli + 2, 3610*milli + 4, 6859*milli + 8, 13032100*time.Microsecond + 16}, Soliciting},
		{Requesting, []time.Duration{900 * milli, 1710 * milli, 3249 * milli, 6173100 * time.Microsecond, 11728890 * time.Microsecond,
			22284891 * time.Microsecond, 27 * second, 27 * second, 27 * second, 27 * second}, Soliciting},
		{Confirming, []time.Duration{900 * milli, 1710 * milli, 3249 * milli, 3600 * milli, 541 * milli}, Assigned},
		{Renewing, []time.Duration{9 * second, 17100 * milli, 32490 * milli, 61731 * milli, 117288900 * time.Microsecond,
			222848910 * time.Microsecond, 423412929 * time.Microsecond, 196128261 * time.Microsecond}, Rebinding},
		{Rebinding, []time.Duration{9 * second, 17100 * milli, 32490 * milli, 61731 * milli, 117288900 * time.Microsecond,
			222848910 * time.Microsecond, 259541190 * time.Microsecond}, Soliciting},
		{Declining, []time.Duration{900 * milli, 1710 * milli, 3249 * milli, 6173100 * time.Microsecond}, Soliciting},
		{Releasing, []time.Duration{900 * milli, 1710 * milli, 3249 * milli, 6173100 * time.Microsecond}, Stopped},
		{Informing, []time.Duration{900 * milli, 1710 * milli, 3249 * milli}, Informing},
	} {
		t.Run(test.state.String(), func(t *testing.T) {
			s := newScript(t)
			s.in(test.state)
			require.Equal(t, test.want, s.gaps(len(test.want)))
			s.wantState(test.then, "after all of it")
		})
	}
}

// However long nobody answers, RT grows to MRT, give or take a tenth.
func TestRetransmissionIsBounded(t *testing.T) {
	for random, want := range map[uint64]time.Duration{0: 3240 * second, math.MaxUint64: 0} {
		s := newScript(t)
		s.in(Soliciting)
		s.random = random
		s.advance(100 * time.Hour)
		gap := time.Duration(s.client.exchange.rt)
		require.GreaterOrEqual(t, gap, solMaxRT*9/10)
		require.LessOrEqual(t, gap, solMaxRT*11/10)
		if want != 0 {
			require.Equal(t, want, gap)
		}
		require.EqualValues(t, s.client.exchange.sent, s.client.Counters().Sent)
		require.Less(t, s.client.exchange.sent, 150)
	}
}

// "The first Solicit message from the client on the interface SHOULD be delayed by a random amount of time between 0 and
// SOL_MAX_DELAY."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.1
func TestFirstMessagesAreDelayed(t *testing.T) {
	for _, stateful := range []bool{false, true} {
		s := newScript(t)
		s.random = uint64(400 * milli)
		s.client.Start(s.now, stateful)
		s.advance(400*milli - 1)
		s.wantIdle("it is not time yet")
		s.advance(1)
		require.Len(t, s.events, 1)
		require.Zero(t, s.sent.Elapsed)
	}
}

// "The client MUST update an "elapsed-time" value within an Elapsed Time option (see Section 21.9) in the retransmitted
// message." And "A client MUST leave the transaction ID unchanged in retransmissions of a message."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-15
func TestElapsedTime(t *testing.T) {
	s := newScript(t)
	s.in(Soliciting)
	first := s.sent
	require.Zero(t, first.Elapsed)
	s.advance(second + 1)
	require.Equal(t, second, s.sent.Elapsed)
	require.Equal(t, first.TransactionID, s.sent.TransactionID)
	s.advance(time.Hour)
	require.Equal(t, wire.DHCPv6MaxElapsed, s.sent.Elapsed)
}

func TestEachExchangeHasATransactionID(t *testing.T) {
	s := newScript(t)
	s.in(Soliciting)
	s.random = 0x12abcdef
	s.mustRecv(wire.DHCPv6Advertise, serverA, hour, preference(255))
	require.EqualValues(t, 0xabcdef, s.sent.TransactionID)
}

// While the link has no address to send from, nothing counts as sent.
func TestLinkThatCannotSend(t *testing.T) {
	s := newScript(t)
	s.silent = true
	s.client.Start(s.now, true)
	s.advance(10 * second)
	require.Zero(t, s.client.Counters().Sent)
	s.silent = false
	s.advance(second)
	s.want("the link is ready", "solicit")
	require.Zero(t, s.sent.Elapsed)
}

// A server that offers what it then refuses is asked no more often than the rate allows.
func TestRate(t *testing.T) {
	s := newScript(t)
	s.in(Soliciting)
	start, sent := s.now, s.client.Counters().Sent
	for range 2000 {
		s.advance(100 * milli)
		switch s.client.State() {
		case Soliciting:
			if s.client.exchange.sent > 0 {
				s.mustRecv(wire.DHCPv6Advertise, serverA, hour, preference(255))
			}
		case Requesting:
			if s.client.exchange.sent > 0 {
				s.mustRecv(wire.DHCPv6Reply, serverA, iaStatus(wire.DHCPv6NoBinding))
			}
		}
	}
	seconds := uint64(time.Duration(s.now-start) / second)
	require.LessOrEqual(t, s.client.Counters().Sent-sent, seconds+rateBurst)
	require.Greater(t, s.client.Counters().Sent-sent, seconds/2)
}

// The lifetimes and times of an association as seconds, and when what happens with them.
func TestTimes(t *testing.T) {
	const infinite = wire.DHCPv6Infinity / time.Second
	for _, test := range []struct {
		name          string
		ia            func(*wire.DHCPv6Repr)
		renew, rebind time.Duration // 0: never
		end           time.Duration
	}{
		{"as the server says", ia(100, 200, 300, 400, addr1), 100, 200, 400},
		{"as the client likes", ia(0, 0, 300, 400, addr1), 150, 240, 400},
		{"T1 as the client likes", ia(0, 100, 300, 400, addr1), 100, 100, 400},
		{"T2 as the client likes", ia(100, 0, 300, 400, addr1), 100, 240, 400},
		{"T2 as the client likes, but not before T1", ia(290, 0, 300, 400, addr1), 290, 290, 400},
		{"deprecated from the start", ia(0, 0, 0, 400, addr1), 200, 320, 400},
		{"not to be extended", ia(400, 400, 400, 400, addr1), 0, 0, 400},
		{"for ever", ia(0, 0, infinite, infinite, addr1), 0, 0, 0},
		{"never to be renewed", ia(infinite, infinite, 300, 400, addr1), 0, 0, 400},
		{"preferred for ever less a second", ia(0, 0, infinite-1, infinite, addr1), 2147483647, 3435973835, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.in(Requesting)
			s.mustRecv(wire.DHCPv6Reply, serverA, test.ia)
			// The client's own choices are not rounded to seconds.
			approx := func(want time.Duration, at int64) {
				if want == 0 {
					require.GreaterOrEqual(t, at, s.client.leases[0].ValidUntil)
					return
				}
				require.InDelta(t, int64(want*second), at, float64(2*second))
			}
			approx(test.renew, s.client.t1)
			approx(test.rebind, s.client.t2)
			if test.end == 0 {
				require.Equal(t, timer.Never, s.client.leases[0].ValidUntil)
				return
			}
			s.advance(test.end*second - 1)
			require.NotEmpty(t, s.client.Leases())
			s.events = nil
			s.advance(1)
			require.Empty(t, s.client.Leases())
			require.Equal(t, "2001:db8::1 removed", s.events[0])
			require.Equal(t, "lost by A", s.events[1])
			s.wantState(Soliciting, "another server may have another")
		})
	}
}

// The shortest lifetime decides when to renew; each address ends with its own.
func TestSeveralAddresses(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(0, 0, 300, 400, addr1), func(r *wire.DHCPv6Repr) {
		r.IAs[0].Addresses = append(r.IAs[0].Addresses, wire.DHCPv6IAAddr{Addr: addr2, Preferred: 200 * second, Valid: 800 * second})
	})
	s.want("both are the client's", "2001:db8::1 5m0s, 6m40s", "2001:db8::2 3m20s, 13m20s", "bound by A")
	s.advance(100 * second)
	s.want("half of the shortest", "renew to A 2001:db8::1 2001:db8::2")
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(0, 0, 1000, 1000, addr2))
	s.want("the other stays as it is", "2001:db8::2 16m40s, 16m40s", "renewed by A")
	s.advance(300 * second)
	s.want("its time is over", "2001:db8::1 removed")
	s.wantState(Assigned, "there is another")
	s.client.Duplicate(s.now, addr2)
	s.want("the last is somebody else's", "decline to A 2001:db8::2", "declined by A")
	s.mustRecv(wire.DHCPv6Reply, serverA)
	s.wantState(Soliciting, "there is none left")
}

func TestDeclineKeepsOthers(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(1800, 2880, 3600, 3600, addr1, addr2))
	s.events = nil
	s.client.Duplicate(s.now, addr1)
	s.want("the server hears of it", "decline to A 2001:db8::1", "declined by A")
	s.mustRecv(wire.DHCPv6Reply, serverA, status(wire.DHCPv6NoBinding))
	s.wantState(Assigned, "the other is the client's still")
	s.advance(1800 * second)
	s.want("and renewed in time", "renew to A 2001:db8::2")
}

func TestDeclineInTheMiddleOfARenewal(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(1800, 2880, 3600, 3600, addr1, addr2))
	s.advance(1800 * second)
	s.client.Duplicate(s.now, addr1)
	s.events = nil
	s.mustRecv(wire.DHCPv6Reply, serverA)
	s.advance(0)
	s.want("the renewal goes on", "renew to A 2001:db8::2")
}

// Those with the highest preference come first, then those with the most addresses, then the first.
func TestChoiceOfServers(t *testing.T) {
	two := ia(0, 0, 3600, 3600, addr1, addr2)
	s := newScript(t)
	s.in(Soliciting)
	s.mustRecv(wire.DHCPv6Advertise, duid('C'), hour)
	s.mustRecv(wire.DHCPv6Advertise, duid('D'), hour)
	s.mustRecv(wire.DHCPv6Advertise, duid('E'), two)
	s.mustRecv(wire.DHCPv6Advertise, duid('F'), hour, preference(9))
	s.mustRecv(wire.DHCPv6Advertise, duid('C'), hour, preference(99)) // heard already
	s.wantIdle("the first RT is not over")
	s.advance(2 * second)
	require.Equal(t, "request to F 2001:db8::1", s.events[0])
	for _, next := range []string{"E 2001:db8::1 2001:db8::2", "C 2001:db8::1", "D 2001:db8::1"} {
		s.events = nil
		require.NoError(t, s.recv(s.answer(wire.DHCPv6Reply, s.client.Server(), iaStatus(wire.DHCPv6NoAddrsAvail))))
		require.Equal(t, "request to "+next, s.events[1])
	}
	require.NoError(t, s.recv(s.answer(wire.DHCPv6Reply, s.client.Server(), iaStatus(wire.DHCPv6NoAddrsAvail))))
	s.wantState(Soliciting, "there is no other")
}

func TestSilentServerIsGivenUp(t *testing.T) {
	s := newScript(t)
	s.in(Soliciting)
	s.mustRecv(wire.DHCPv6Advertise, serverA, hour, preference(1))
	s.mustRecv(wire.DHCPv6Advertise, serverB, hour)
	s.advance(5 * time.Minute)
	s.mustRecv(wire.DHCPv6Reply, serverB, hour)
	s.wantState(Assigned, "the next server answers")
	require.Equal(t, 10, strings.Count(strings.Join(s.events, "\n"), "request to A"), "REQ_MAX_RC")
}

func TestRapidCommit(t *testing.T) {
	rapid := func(r *wire.DHCPv6Repr) { r.RapidCommit = true }
	s := newScript(t, func(c *Config) { c.RapidCommit = true })
	s.in(Soliciting)
	require.True(t, s.sent.RapidCommit)
	require.ErrorIs(t, s.recv(s.answer(wire.DHCPv6Reply, serverA, hour)), ErrUnexpected)
	s.mustRecv(wire.DHCPv6Reply, serverA, hour, rapid)
	s.want("at once", "2001:db8::1 1h0m0s, 1h0m0s", "bound by A")
	require.Equal(t, serverA, s.client.Server())

	s = newScript(t, func(c *Config) { c.RapidCommit = true })
	s.in(Soliciting)
	s.mustRecv(wire.DHCPv6Reply, serverA, rapid, status(wire.DHCPv6NotOnLink))
	s.wantState(Soliciting, "a server that refuses is no server")
	s.advance(2 * second)
	s.mustRecv(wire.DHCPv6Advertise, serverB, hour)
	s.wantState(Requesting, "one that knows nothing of it will do")
}

func TestSolMaxRT(t *testing.T) {
	at := func(seconds time.Duration) func(*wire.DHCPv6Repr) {
		return func(r *wire.DHCPv6Repr) { r.SolicitMaxRT = seconds * second }
	}
	s := newScript(t)
	s.in(Soliciting)
	s.mustRecv(wire.DHCPv6Advertise, serverA, at(60), status(wire.DHCPv6NoAddrsAvail))
	require.Equal(t, 60*second, s.client.solicitMax.value, "even if nothing else of it is of use")
	s.advance(time.Hour)
	require.Equal(t, int64(54*second), s.client.exchange.rt)
	s.mustRecv(wire.DHCPv6Advertise, serverB, at(61), status(wire.DHCPv6NoAddrsAvail))
	require.Equal(t, solMaxRT, s.client.solicitMax.value, "the servers disagree")
	s.mustRecv(wire.DHCPv6Advertise, serverB, at(61), status(wire.DHCPv6NoAddrsAvail))
	require.Equal(t, solMaxRT, s.client.solicitMax.value, "and still do")

	s = newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, at(120), status(wire.DHCPv6UnspecFail))
	require.Equal(t, 120*second, s.client.solicitMax.value)
	s = newScript(t)
	s.in(Informing)
	s.mustRecv(wire.DHCPv6Reply, serverA, func(r *wire.DHCPv6Repr) { r.InformationMaxRT = 90 * second })
	require.Equal(t, 90*second, s.client.informMax.value)
}

func TestRefreshTime(t *testing.T) {
	s := newScript(t)
	s.in(Informing)
	s.mustRecv(wire.DHCPv6Reply, serverA, func(r *wire.DHCPv6Repr) { r.Refresh = 600 * second })
	s.events = nil
	s.random = uint64(milli)
	s.advance(600 * second)
	s.wantIdle("the first message is delayed, again")
	s.advance(milli)
	s.want("refresh", "inf-req")
	s.mustRecv(wire.DHCPv6Reply, serverA, func(r *wire.DHCPv6Repr) { r.Refresh = wire.DHCPv6Infinity })
	require.False(t, s.client.timer.Armed(), "there is nothing to wait for")
}

// "When a client received a configuration option in an earlier Reply and then sends a Renew, Rebind, or
// Information-request and the requested option is not present in the Reply, the client SHOULD stop using the previously
// received configuration information."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-18.2.10.5
func TestInformationIsRevoked(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, hour, nameServers(dns1))
	s.advance(1800 * second)
	s.events = nil
	s.mustRecv(wire.DHCPv6Reply, serverA, hour, nameServers(dns1))
	s.want("nothing new of name servers", "2001:db8::1 1h0m0s, 1h0m0s", "renewed by A")
	s.advance(1800 * second)
	s.events = nil
	s.mustRecv(wire.DHCPv6Reply, serverA, hour)
	s.want("no longer", "2001:db8::1 1h0m0s, 1h0m0s", "informed [] [] [] []", "renewed by A")
}

func TestBounds(t *testing.T) {
	s := newScript(t, func(c *Config) { c.MaxAddresses, c.MaxServers, c.MaxInformation = 2, 3, 2 })
	s.in(Soliciting)
	var addrs []netip.Addr
	for i := range 50 {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)))
	}
	many := ia(0, 0, 3600, 3600, addrs...)
	for i := range 50 {
		s.mustRecv(wire.DHCPv6Advertise, duid(byte(i)), many)
	}
	require.Len(t, s.client.offers, 3)
	require.Len(t, s.client.offers[0].addrs, 2)
	s.advance(2 * second)
	names := []string{"a", "b", "c"}
	require.NoError(t, s.recv(s.answer(wire.DHCPv6Reply, s.client.Server(), many, func(r *wire.DHCPv6Repr) {
		r.DNSServers, r.Domains, r.NTPServers, r.NTPNames = addrs, names, addrs, names
	})))
	require.Len(t, s.client.Leases(), 2)
	require.Equal(t, Information{addrs[:2], names[:2], addrs[:2], names[:2]}, s.client.Information())
	// Others cannot take their place before they are gone.
	s.advance(1800 * second)
	require.NoError(t, s.recv(s.answer(wire.DHCPv6Reply, s.client.Server(), ia(0, 0, 3600, 3600, addrs[2:]...))))
	require.Equal(t, addrs[0], s.client.Leases()[0].Addr)
}

// No address that is not one for a host is taken from a server.
func TestAddressesOfNoUse(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	var addrs []netip.Addr
	for _, a := range []string{"::", "::1", "ff02::1", "fe80::1", "::ffff:10.0.0.1"} {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(0, 0, 3600, 3600, append(addrs, addr1)...))
	s.want("one is", "2001:db8::1 1h0m0s, 1h0m0s", "bound by A")
	s.advance(1800 * second)
	s.events = nil
	s.mustRecv(wire.DHCPv6Reply, serverA, hour, nameServers(append(addrs, dns1)...))
	s.want("a name server may be a neighbour", "2001:db8::1 1h0m0s, 1h0m0s", "informed [fe80::1 2001:db8::53] [] [] []", "renewed by A")
}

func TestCloseLeavesNothing(t *testing.T) {
	for _, state := range []State{Stopped, Soliciting, Assigned, Renewing, Informed} {
		s := newScript(t)
		s.in(state)
		s.client.Close()
		require.Equal(t, timer.Never, s.timers.Next())
		s.wantIdle("the link is no more")
	}
}

// Whatever comes, in whatever state, changes nothing that it should not.
func FuzzReceive(f *testing.F) {
	for _, kind := range []uint8{wire.DHCPv6Advertise, wire.DHCPv6Reply, wire.DHCPv6Reconfigure} {
		r := wire.DHCPv6Repr{Type: kind, ClientID: clientID, ServerID: serverA, DNSServers: []netip.Addr{dns1}}
		hour(&r)
		for state := range byte(len(states)) {
			f.Add(state, r.Append(nil))
		}
	}
	f.Fuzz(func(t *testing.T, state byte, message []byte) {
		s := newScript(t)
		s.in(State(state % byte(len(states))))
		for range 3 {
			_ = s.client.Receive(s.now, message)
			require.LessOrEqual(t, len(s.client.Leases()), DefaultMaxAddresses)
			s.advance(3 * second)
		}
		s.client.Stop(s.now)
		require.Equal(t, timer.Never, s.timers.Next())
	})
}

func TestLinkChangesAgain(t *testing.T) {
	s := newScript(t)
	s.in(Confirming)
	s.mustRecv(wire.DHCPv6Reply, serverA, status(wire.DHCPv6NotOnLink))
	s.client.LinkChanged(s.now)
	s.advance(11 * second)
	s.wantState(Assigned, "nobody has said that the addresses are wrong for this link")
}

func TestT2PassesDuringAConfirm(t *testing.T) {
	s := newScript(t)
	s.in(Renewing)
	s.advance(1079 * second)
	s.client.LinkChanged(s.now)
	s.advance(9 * second)
	s.events = nil
	s.mustRecv(wire.DHCPv6Reply, serverA)
	s.advance(0)
	s.want("it is too late to renew", "rebind 2001:db8::1")
}

func TestServersOfAnotherTimeDoNotDisagree(t *testing.T) {
	at := func(seconds time.Duration) func(*wire.DHCPv6Repr) {
		return func(r *wire.DHCPv6Repr) { r.SolicitMaxRT = seconds * second }
	}
	s := newScript(t)
	s.in(Soliciting)
	s.mustRecv(wire.DHCPv6Advertise, serverA, at(60))
	s.client.LinkChanged(s.now)
	s.advance(0)
	s.mustRecv(wire.DHCPv6Advertise, serverB, at(70))
	require.Equal(t, 70*second, s.client.solicitMax.value)
}

func TestLastLeaseExpiresDuringADecline(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(0, 0, 10, 10, addr1, addr2))
	s.advance(9 * second)
	s.client.Duplicate(s.now, addr1)
	s.advance(second)
	s.wantState(Declining, "the server is still to hear of it")
	require.Empty(t, s.client.Leases())
}

func TestDeclinesOneAfterTheOther(t *testing.T) {
	s := newScript(t)
	s.in(Requesting)
	s.mustRecv(wire.DHCPv6Reply, serverA, ia(1800, 2880, 3600, 3600, addr1, addr2))
	s.client.Duplicate(s.now, addr1)
	s.advance(time.Minute)
	s.wantState(Assigned, "nobody answers")
	s.events = nil
	s.client.Duplicate(s.now, addr2)
	s.want("the first is over", "decline to A 2001:db8::2", "declined by A")
}
