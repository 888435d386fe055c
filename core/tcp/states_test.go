package tcp

import (
	"strings"
	"testing"
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
	i := s.name()
	e := s.host.table.lookup(&i)
	if e == nil {
		return "CLOSED"
	}
	switch o := e.occupant.(type) {
	case *Conn:
		return o.State().String()
	case *halfOpen:
		return "half-open"
	case *Request:
		return "held"
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
