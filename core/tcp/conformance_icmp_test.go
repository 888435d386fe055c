package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// errorKinds are what ICMP can say, as far as TCP hears of it.
var errorKinds = map[string]ip.ErrorKind{
	"network unreachable": ip.NetUnreachable, "host unreachable": ip.HostUnreachable,
	"protocol unreachable": ip.ProtocolUnreachable, "port unreachable": ip.PortUnreachable,
	"prohibited": ip.AdminProhibited, "packet too big": ip.PacketTooBig, "time exceeded": ip.TimeExceeded,
	"parameter problem": ip.ParameterProblem, "source route failed": ip.SourceRouteFailed,
}

// TestBlindICMP: what somebody who is not on the path claims in ICMP errors does no harm to a connection.
// https://www.rfc-editor.org/rfc/rfc5927.html#section-4.1
func TestBlindICMP(t *testing.T) {
	const (
		inFlight = `RFC 5927, 4.1: "the TCP sequence number contained in the payload of the ICMP error message is within the ` +
			`range SND.UNA =< SEG.SEQ < SND.NXT"`
		remembered = `RFC 9293, 3.9.2.2: "some implementations do not abort connections when an ICMP hard error is received ` +
			`for a connection that is in any of the synchronized states"`
		available = `RFC 9293, 3.9.2.2: "it SHOULD make the information available to the application (SHLD-25)"`
	)
	for name, kind := range errorKinds {
		for _, quoted := range []struct {
			name  string
			seq   uint32
			heard bool
		}{
			{"before SND.UNA", 1460, false},
			{"SND.UNA", 1461, true},
			{"the last in flight", 4380, true},
			{"SND.NXT", 4381, false},
			{"beyond SND.NXT", 5000, false},
			{"far away", 1 << 31, false},
		} {
			t.Run(fmt.Sprintf("%s about %s", name, quoted.name), func(t *testing.T) {
				s := newScript(t, func(c *Config) { c.DataRetries = 1 })
				c := s.accepted()
				s.writeSome(strings.Repeat("x", 4380))
				s.answers()
				s.recv(seg{flags: ".", seq: 1, ack: 1461, win: 65535})
				s.icmp(kind, 1000, quoted.seq)
				require.Equal(t, Established, c.State(), remembered)
				if kind == ip.PacketTooBig {
					want := map[bool]int{true: 960, false: 1460}[quoted.heard]
					require.Equal(t, want, c.Info().SendMSS, inFlight)
					if !quoted.heard {
						s.wantIdle(inFlight)
					}
					s.answers()
					return
				}
				s.wantIdle("it is remembered, no more")
				s.after(time.Hour)
				if quoted.heard {
					require.ErrorIs(t, c.Err(), kind.Err(), available)
				} else {
					require.ErrorIs(t, c.Err(), ErrTimeout, inFlight)
				}
				s.answers()
			})
		}
		t.Run(name+" to one with nothing in flight", func(t *testing.T) {
			s := newScript(t, func(c *Config) { c.DataRetries = 1 })
			c := s.accepted()
			for _, seq := range []uint32{0, 1, 2} {
				s.icmp(kind, 576, seq)
			}
			require.Equal(t, 1460, c.Info().SendMSS, inFlight)
			s.write("x")
			s.after(time.Hour)
			require.ErrorIs(t, c.Err(), ErrTimeout, inFlight)
			s.answers()
		})
		t.Run(name+" to one half open", func(t *testing.T) {
			s := newScript(t)
			l := s.listen()
			s.recv(seg{flags: "S", win: 65535, mss: 1460})
			s.want("the SYN is answered", seg{flags: "S.", ack: 1})
			s.icmp(kind, 576, 0)
			s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
			require.Equal(t, 1, l.Pending(), "nobody on the way ends it")
		})
		t.Run(name+" in TIME-WAIT", func(t *testing.T) {
			s := newScript(t)
			s.accepted().Close(s.now)
			s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
			s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
			s.want("the peer's", seg{flags: ".", seq: 2, ack: 2})
			s.icmp(kind, 576, 1)
			require.Equal(t, "TIME-WAIT", s.state())
		})
		t.Run(name+" about a SYN that was not sent", func(t *testing.T) {
			s := newScript(t)
			c := s.dial(nil)
			s.want("our SYN", seg{flags: "S"})
			for _, seq := range []uint32{1<<32 - 1, 1, 2, 1 << 31} {
				s.icmp(kind, 576, seq)
			}
			require.Equal(t, SynSent, c.State(), inFlight)
		})
	}
}

// TestForgedPathMTU: RFC 5927 section 7 is about errors that claim a tiny MTU.
func TestForgedPathMTU(t *testing.T) {
	for _, row := range []struct {
		name      string
		mtu, want int
	}{
		{"one octet", 1, 512},
		{"as small as IPv4 allows", 68, 512},
		{"what is common", 1280, 1240},
		{"no value at all", 0, 512},
		{"no smaller than what is sent", 1500, 1460},
		{"larger than what is sent", 9000, 1460},
		{"larger than a packet can be", 1 << 30, 1460},
		{"negative", -1, 512},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScript(t)
			c := s.accepted()
			s.writeSome(strings.Repeat("x", 1460))
			s.want("a full segment", seg{flags: "P.", seq: 1, ack: 1, len: 1460})
			s.icmp(ip.PacketTooBig, row.mtu, 1)
			require.Equal(t, row.want, c.Info().SendMSS)
			if row.want == 1460 {
				s.wantIdle("nothing that was sent was too large")
			}
			for range 100 { // again and again, each about a segment that is in flight
				s.answers()
				s.icmp(ip.PacketTooBig, row.mtu, 1)
			}
			s.wantIdle("what it claims is known: nothing is sent again")
			require.Equal(t, row.want, c.Info().SendMSS)
		})
	}
}
