package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var anyIPv6 = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)

// inTimeWait brings a connection that the peer opened to TIME-WAIT. With timestamps the peer's last one is 110.
func inTimeWait(t *testing.T, timestamps bool, configure ...func(*Config)) *script {
	s := newScript(t, configure...)
	stamp := func(sg seg, val uint32) seg {
		if timestamps {
			sg.tsval, sg.tsecr = val, 1
		}
		return sg
	}
	l := s.listen()
	s.recv(stamp(seg{flags: "S", win: 65535, mss: 1460}, 100))
	s.want("open", seg{flags: "S.", ack: 1})
	s.recv(stamp(seg{flags: ".", seq: 1, ack: 1, win: 65535}, 101))
	l.Accept().Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(stamp(seg{flags: "F.", seq: 1, ack: 2, win: 65535}, 110))
	s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
	require.Equal(t, "TIME-WAIT", s.state())
	return s
}

// RFC 6191, section 2, row by row.
// https://www.rfc-editor.org/rfc/rfc6191.html#section-2
func TestSYNInTimeWait(t *testing.T) {
	for _, row := range []struct {
		name     string
		before   bool // the connection had timestamps
		disabled bool // the listener has them no more
		tsval    uint32
		seq      uint32
		opens    bool
	}{
		{"a later timestamp", true, false, 111, 0, true},
		{"a later one, and a lower sequence number", true, false, 111, 0x8000_0000, true},
		{"the same timestamp, and a higher sequence number", true, false, 110, 3, true},
		{"the same timestamp, and no higher sequence number", true, false, 110, 2, false},
		{"an older timestamp, and a higher sequence number", true, false, 109, 1 << 20, false},
		{"no timestamp any more, and a higher sequence number", true, false, 0, 3, true},
		{"no timestamp any more, and a lower sequence number", true, false, 0, 0, false},
		{"one that is not used any more, and a higher sequence number", true, true, 109, 3, true},
		{"one that is not used any more, and a lower sequence number", true, true, 111, 0, false},
		{"a timestamp where there was none", false, false, 0x9000_0000, 0, true},
		{"never a timestamp, and a higher sequence number", false, false, 0, 3, true},
		{"never a timestamp, and a lower sequence number", false, false, 0, 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := inTimeWait(t, row.before)
			if row.disabled {
				o := *s.host.listener(s.local, 0).options
				o.NoTimestamps = true
				s.host.listener(s.local, 0).options = &o
			}
			old := s.iss
			s.recv(seg{flags: "S", seq: row.seq, win: 65535, mss: 1460, tsval: row.tsval})
			if !row.opens {
				s.want("challenged", seg{flags: ".", seq: 2, ack: 2})
				require.Equal(t, "TIME-WAIT", s.state())
				s.recv(seg{flags: "S", seq: row.seq, win: 65535, mss: 1460, tsval: row.tsval})
				s.wantIdle("not each of many")
				return
			}
			s.irs += row.seq
			s.want("opened anew", seg{flags: "S.", ack: 1})
			require.GreaterOrEqual(t, distance(old+2, s.iss), 65536, "beyond all that was sent before")
			require.EqualValues(t, 1, s.host.Counters().TimeWaitReused)
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, tsval: row.tsval, tsecr: 1})
			require.Equal(t, "ESTABLISHED", s.state())
		})
	}
	t.Run("where nobody listens any more", func(t *testing.T) {
		s := inTimeWait(t, true)
		s.host.listener(s.local, 0).Close(s.now)
		s.recv(seg{flags: "S", seq: 3, win: 65535, tsval: 111})
		s.want("challenged", seg{flags: ".", seq: 2, ack: 2, tsecr: 110})
	})
}

func TestTimestampsInTimeWait(t *testing.T) {
	s := inTimeWait(t, true)
	s.after(time.Second)
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535, tsval: 111, tsecr: 1})
	s.want("the FIN again: its timestamp is echoed", seg{flags: ".", seq: 2, ack: 2, tsval: 1000, tsecr: 111})
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535, tsval: 110, tsecr: 1})
	s.want("PAWS: one that is older is answered as a suspicious segment", seg{flags: ".", seq: 2, ack: 2, tsecr: 111})
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535, tsval: 109, tsecr: 1})
	s.wantIdle("not each of many")
	require.EqualValues(t, 2, s.host.Counters().TimestampOld)
	s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
	s.wantIdle("one without a timestamp is dropped silently")
	require.EqualValues(t, 1, s.host.Counters().TimestampMissing)
	s.recv(seg{flags: "R", seq: 2})
	require.Equal(t, "CLOSED", s.state(), "a reset needs none")
}

// dialedTimeWait dials from the given port, or any, and brings the connection to TIME-WAIT; it returns its Dial's error.
func (s *script) dialedTimeWait(port uint16, timestamps bool) error {
	c, err := s.host.Dial(s.now, DialConfig{Local: netip.AddrPortFrom(localHost, port), Remote: s.peer})
	if err != nil {
		return err
	}
	s.local = c.LocalAddr()
	stamp := func(sg seg) seg {
		if timestamps {
			sg.tsval, sg.tsecr = uint32(s.since()/1e6)+1, uint32(s.since()/1e6)
		}
		return sg
	}
	s.want("our SYN", seg{flags: "S"})
	s.recv(stamp(seg{flags: "S.", ack: 1, win: 65535, mss: 1460}))
	s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
	c.Close(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
	s.recv(stamp(seg{flags: "F.", seq: 1, ack: 2, win: 65535}))
	s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
	return nil
}

func TestDialOverTimeWait(t *testing.T) {
	for _, row := range []struct {
		name       string
		timestamps bool
		wait       time.Duration
		reused     bool
	}{
		{"a second after its last timestamp", true, 1100 * time.Millisecond, true},
		{"earlier", true, 900 * time.Millisecond, false},
		{"without timestamps", false, 30 * time.Second, false},
	} {
		for _, port := range []uint16{0, 5000} {
			t.Run(row.name, func(t *testing.T) {
				s := newScript(t, func(c *Config) { c.FirstPort, c.LastPort = 5000, 5000 })
				require.NoError(t, s.dialedTimeWait(port, row.timestamps))
				s.host.timeWaits.first.sndNxt += 1 << 24 // more was sent than the clock of sequence numbers has ticked
				old := s.iss + 1<<24
				s.after(row.wait)
				err := s.dialedTimeWait(port, row.timestamps)
				if !row.reused || port != 0 { // who asks for the port itself has bound it, before anybody knows where to
					require.Error(t, err)
					require.Equal(t, "TIME-WAIT", s.state())
					return
				}
				require.NoError(t, err)
				require.GreaterOrEqual(t, distance(old+2, s.iss), 65536, "beyond all that was sent before")
				require.EqualValues(t, 1, s.host.Counters().TimeWaitReused)
				s.wantConsistent()
			})
		}
	}
}

// A free port is preferred to one in TIME-WAIT, if there is one near.
func TestDialPrefersAFreePort(t *testing.T) {
	s := newScript(t, func(c *Config) { c.FirstPort, c.LastPort = 5000, 5003 })
	ports := map[uint16]bool{}
	for range 4 {
		require.NoError(t, s.dialedTimeWait(0, true))
		ports[s.local.Port()] = true
		s.after(2 * time.Second)
	}
	require.Len(t, ports, 4)
	require.Zero(t, s.host.Counters().TimeWaitReused)
}

// A client that connects again and again to one place would run out of ports otherwise: each is in TIME-WAIT for a minute.
func TestSixtyThousandSequentialDials(t *testing.T) {
	s := newScript(t)
	answer := func(sg seg) {
		sg.tsval, sg.tsecr, sg.win = uint32(s.since()/1e6)+1, uint32(s.since()/1e6), 65535
		s.recv(sg)
		s.net.discard()
	}
	for n := range 60_000 {
		c, err := s.host.Dial(s.now, DialConfig{Remote: s.peer})
		if err != nil {
			require.NoError(t, err, "the %dth", n)
		}
		s.local, s.iss = c.LocalAddr(), c.iss
		s.net.collect(s.since())
		answer(seg{flags: "S.", ack: 1})
		c.Close(s.now)
		s.net.collect(s.since())
		answer(seg{flags: "F.", seq: 1, ack: 2})
		if c.State() != TimeWait {
			require.Equal(t, TimeWait, c.State(), "the %dth", n)
		}
		s.now = s.now.Add(100 * time.Microsecond)
	}
	require.Greater(t, s.host.Counters().TimeWaitReused, uint64(60_000-49152-1))
	s.wantConsistent()
}

// The peer of a connection that is reopened at once, from its own TIME-WAIT, is a listener here.
func TestSameNameReopenedAtOnce(t *testing.T) {
	s := inTimeWait(t, true)
	for i := range uint32(10) {
		s.irs += 1000
		s.recv(seg{flags: "S", win: 65535, mss: 1460, tsval: 111 + i})
		s.want("opened anew", seg{flags: "S.", ack: 1, tsecr: 111 + i})
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, tsval: 111 + i, tsecr: 1})
		s.host.listener(s.local, 0).Accept().Close(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535, tsval: 111 + i, tsecr: 1})
		s.want("acknowledged", seg{flags: ".", seq: 2, ack: 2})
	}
	require.EqualValues(t, 10, s.host.Counters().TimeWaitReused)
	require.Equal(t, 1, s.host.timeWaits.len)
}
