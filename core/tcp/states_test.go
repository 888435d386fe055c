package tcp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// situation is a conversation that has come to a certain state. Whatever it took, the peer's next sequence number is rcv,
// ours is snd, and the oldest of ours that the peer has not acknowledged una.
type situation struct {
	*script
	snd, rcv, una uint32
}

// situations bring a conversation to every state there is. Acknowledgments are not delayed.
var situations = []struct {
	state string
	begin func(t *testing.T) situation
}{
	{"SYN-SENT", func(t *testing.T) situation {
		s := newScript(t)
		s.dial(nil)
		s.want("our SYN", seg{flags: "S"})
		return situation{s, 1, 1, 0}
	}},
	{"SYN-RECEIVED", func(t *testing.T) situation {
		s := newScript(t)
		s.dial(&Options{DelayedACK: -1})
		s.want("our SYN", seg{flags: "S"})
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("the peer's crossed it", seg{flags: "S.", ack: 1})
		return situation{s, 1, 1, 0}
	}},
	{"half-open", func(t *testing.T) situation {
		s := newScript(t)
		s.listen(atOnce)
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("the SYN is answered", seg{flags: "S.", ack: 1})
		return situation{s, 1, 1, 0}
	}},
	{"ESTABLISHED", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce)
		return situation{s, 1, 1, 1}
	}},
	{"FIN-WAIT-1", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce).CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		return situation{s, 2, 1, 1}
	}},
	{"FIN-WAIT-2", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce).CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: ".", seq: 1, ack: 2, win: 65535})
		return situation{s, 2, 1, 2}
	}},
	{"CLOSE-WAIT", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce)
		s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
		s.want("the peer's FIN", seg{flags: ".", seq: 1, ack: 2})
		return situation{s, 1, 2, 1}
	}},
	{"CLOSING", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce).CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
		s.want("the peer's crossed it", seg{flags: ".", seq: 2, ack: 2})
		return situation{s, 2, 2, 1}
	}},
	{"LAST-ACK", func(t *testing.T) situation {
		s := newScript(t)
		c := s.accepted(atOnce)
		s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
		s.want("the peer's FIN", seg{flags: ".", seq: 1, ack: 2})
		c.CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 2})
		return situation{s, 2, 2, 1}
	}},
	{"TIME-WAIT", func(t *testing.T) situation {
		s := newScript(t)
		s.accepted(atOnce).CloseWrite(s.now)
		s.want("our FIN", seg{flags: "F.", seq: 1, ack: 1})
		s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
		s.want("the peer's FIN", seg{flags: ".", seq: 2, ack: 2})
		return situation{s, 2, 2, 2}
	}},
}

func atOnce(c *ListenConfig) { c.Options = &Options{DelayedACK: -1} }

// state is what stands in the host's table under the script's connection.
func (s *script) state() string {
	i := newID(s.local, s.peer, 0)
	e := s.host.table.lookup(&i)
	if e == nil {
		return "CLOSED"
	}
	switch o := e.occupant.(type) {
	case *Conn:
		return o.State().String()
	case *halfOpen:
		return "half-open"
	}
	return "TIME-WAIT"
}

// answers names the segments that have left since it was last called.
func (s *script) answers() string {
	s.net.collect(s.since())
	var names []string
	for _, p := range s.net.sent {
		got, _ := s.decode(p)
		names = append(names, map[string]string{".": "ACK", "R": "RST", "R.": "RST", "S.": "SYN|ACK", "F.": "FIN"}[got.flags])
	}
	s.net.sent = nil
	return strings.Join(names, " ")
}

// TestEverySegmentInEveryState is RFC 9293 section 3.10.7 as a table. A cell says what is answered and, behind an arrow, which state
// is entered if another is.
func TestEverySegmentInEveryState(t *testing.T) {
	for _, row := range []struct {
		name  string
		in    func(s situation) seg
		usual string            // where cells does not name the state
		cells map[string]string // "-": the segment does not make sense there
	}{
		{
			"RST in sequence",
			func(s situation) seg { return seg{flags: "R", seq: s.rcv} },
			"→ CLOSED", map[string]string{"SYN-SENT": ""},
		},
		{
			"RST that acknowledges our SYN",
			func(s situation) seg { return seg{flags: "R.", ack: s.snd} },
			"-", map[string]string{"SYN-SENT": "→ CLOSED"},
		},
		{
			"RST in the window, not in sequence",
			func(s situation) seg { return seg{flags: "R", seq: s.rcv + 10} },
			"ACK", map[string]string{"SYN-SENT": "", "half-open": "SYN|ACK", "TIME-WAIT": ""},
		},
		{
			"RST at the right edge of the window",
			func(s situation) seg {
				if s.conn == nil {
					return seg{flags: "R", seq: s.rcv + 65535}
				}
				return seg{flags: "R", seq: s.conn.rcvEdge - s.irs}
			},
			"", nil,
		},
		{
			"RST before the window",
			func(s situation) seg { return seg{flags: "R", seq: s.rcv - 1} },
			"", nil,
		},
		{
			"SYN in the window",
			func(s situation) seg { return seg{flags: "S", seq: s.rcv + 10, win: 65535} },
			"ACK", map[string]string{
				"SYN-SENT": "SYN|ACK → SYN-RECEIVED", "half-open": "SYN|ACK", "TIME-WAIT": "SYN|ACK → half-open",
			},
		},
		{
			"SYN before the window",
			func(s situation) seg { return seg{flags: "S", seq: s.rcv - 10, win: 65535} },
			"ACK", map[string]string{"SYN-SENT": "SYN|ACK → SYN-RECEIVED", "half-open": "SYN|ACK"},
		},
		{
			"the peer's SYN|ACK",
			func(s situation) seg { return seg{flags: "S.", ack: 1, win: 65535} },
			"ACK", map[string]string{
				"SYN-SENT": "ACK → ESTABLISHED", "SYN-RECEIVED": "ACK → ESTABLISHED", "half-open": "SYN|ACK",
			},
		},
		{
			"acknowledgment",
			func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.snd, win: 65535} },
			"", map[string]string{
				"SYN-RECEIVED": "→ ESTABLISHED", "half-open": "→ ESTABLISHED", "FIN-WAIT-1": "→ FIN-WAIT-2",
				"CLOSING": "→ TIME-WAIT", "LAST-ACK": "→ CLOSED",
			},
		},
		{
			"acknowledgment of what was not sent",
			func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.snd + 1, win: 65535} },
			"ACK", map[string]string{"SYN-SENT": "RST", "SYN-RECEIVED": "RST", "half-open": "RST"},
		},
		{
			"acknowledgment of what is long past",
			func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.una - 1<<20, win: 65535} },
			"ACK", map[string]string{"SYN-SENT": "RST", "SYN-RECEIVED": "RST", "half-open": "RST", "TIME-WAIT": ""},
		},
		{
			"acknowledgment from before the window",
			func(s situation) seg { return seg{flags: ".", seq: s.rcv - 1, ack: s.una, win: 65535} },
			"ACK", map[string]string{"SYN-SENT": "RST", "half-open": "SYN|ACK"},
		},
		{
			"no ACK at all",
			func(s situation) seg { return seg{seq: s.rcv, data: "hello"} },
			"", nil,
		},
		{
			"data in sequence",
			func(s situation) seg { return seg{flags: "P.", seq: s.rcv, ack: s.snd, win: 65535, data: "hello"} },
			"", map[string]string{
				"SYN-RECEIVED": "ACK → ESTABLISHED", "half-open": "ACK → ESTABLISHED", "ESTABLISHED": "ACK",
				"FIN-WAIT-1": "ACK → FIN-WAIT-2", "FIN-WAIT-2": "ACK", "CLOSING": "→ TIME-WAIT", "LAST-ACK": "→ CLOSED",
				"TIME-WAIT": "ACK",
			},
		},
		{
			"data out of sequence",
			func(s situation) seg { return seg{flags: "P.", seq: s.rcv + 5, ack: s.una, win: 65535, data: "hello"} },
			"ACK", map[string]string{
				"SYN-SENT": "RST", "SYN-RECEIVED": "RST", "half-open": "RST", "CLOSE-WAIT": "", "CLOSING": "", "LAST-ACK": "",
			},
		},
		{
			"old data",
			func(s situation) seg { return seg{flags: "P.", seq: s.rcv - 3, ack: s.una, win: 65535, data: "old"} },
			"ACK", map[string]string{"SYN-SENT": "RST", "half-open": "SYN|ACK"},
		},
		{
			"data beyond the window",
			func(s situation) seg {
				return seg{flags: "P.", seq: s.rcv + 2<<20, ack: s.snd, win: 65535, data: "far"}
			},
			"ACK", map[string]string{"SYN-SENT": "", "half-open": "SYN|ACK"},
		},
		{
			"FIN",
			func(s situation) seg { return seg{flags: "F.", seq: s.rcv, ack: s.snd, win: 65535} },
			"", map[string]string{
				"SYN-RECEIVED": "ACK → CLOSE-WAIT", "half-open": "ACK → CLOSE-WAIT", "ESTABLISHED": "ACK → CLOSE-WAIT",
				"FIN-WAIT-1": "ACK → TIME-WAIT", "FIN-WAIT-2": "ACK → TIME-WAIT", "CLOSING": "→ TIME-WAIT",
				"LAST-ACK": "→ CLOSED", "TIME-WAIT": "ACK",
			},
		},
		{
			"FIN that does not acknowledge ours",
			func(s situation) seg { return seg{flags: "F.", seq: s.rcv, ack: s.una, win: 65535} },
			"-", map[string]string{"FIN-WAIT-1": "ACK → CLOSING"},
		},
		{
			"the peer's FIN again",
			func(s situation) seg { return seg{flags: "F.", seq: s.rcv - 1, ack: s.una, win: 65535} },
			"-", map[string]string{"CLOSE-WAIT": "ACK", "CLOSING": "ACK", "LAST-ACK": "ACK", "TIME-WAIT": "ACK"},
		},
		{
			"the peer's FIN again, acknowledging ours",
			func(s situation) seg { return seg{flags: "F.", seq: s.rcv - 1, ack: s.snd, win: 65535} },
			"-", map[string]string{"CLOSING": "ACK → TIME-WAIT", "LAST-ACK": "→ CLOSED"},
		},
	} {
		for _, column := range situations {
			want, named := row.cells[column.state]
			if !named {
				want = row.usual
			}
			if want == "-" {
				continue
			}
			t.Run(fmt.Sprintf("%s in %s", row.name, column.state), func(t *testing.T) {
				s := column.begin(t)
				require.Equal(t, column.state, s.state())
				s.wantIdle("nothing is left to say")
				s.recv(row.in(s))
				got := s.answers()
				if state := s.state(); state != column.state {
					got = strings.TrimSpace(got + " → " + state)
				}
				require.Equal(t, want, got)
				s.wantConsistent()
			})
		}
	}
}
