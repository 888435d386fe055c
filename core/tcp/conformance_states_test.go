package tcp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// stateRow is a cell of RFC 9293 section 3.10.7 as a table: an event in a state, what must leave, by how much RCV.NXT moves, the
// state after, and the sentence that says so.
type stateRow struct {
	state, event, leaves string
	takes                uint32
	after, holds         string
}

// What may leave, as the RFC writes it.
const (
	nothing     = ""
	ack         = "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>"
	resetAtAck  = "<SEQ=SEG.ACK><CTL=RST>"
	resetAtZero = "<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"
	synAck      = "<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>"
	synAckOfIt  = "<SEQ=ISS><ACK=SEG.SEQ+1><CTL=SYN,ACK>"
)

// offered is the window that the host's SYN or SYN|ACK offers, the most that goes without scaling. Its right edge never moves
// left.
const offered = 65535

// events are what may arrive. Those of one column of the table have all states as rows.
var events = []struct {
	name string
	in   func(s situation) seg
}{
	{"SYN in the window", func(s situation) seg { return seg{flags: "S", seq: s.rcv + 10, win: 65535} }},
	{"SYN before the window", func(s situation) seg { return seg{flags: "S", seq: s.rcv - 10, win: 65535} }},
	{"SYN beyond the window", func(s situation) seg { return seg{flags: "S", seq: s.rcv + 1<<20, win: 65535} }},
	{"first SYN again", func(s situation) seg { return seg{flags: "S", win: 65535} }},
	{"SYN|ACK", func(s situation) seg { return seg{flags: "S.", ack: 1, win: 65535} }},
	{"SYN|ACK of what was never sent", func(s situation) seg { return seg{flags: "S.", ack: s.snd + 1, win: 65535} }},
	{"ACK of all", func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.snd, win: 65535} }},
	{"ACK of nothing new", func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.una, win: 65535} }},
	{"ACK of what was never sent", func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.snd + 1, win: 65535} }},
	{"ACK older than any window", func(s situation) seg { return seg{flags: ".", seq: s.rcv, ack: s.una - 1<<20, win: 65535} }},
	{"no ACK", func(s situation) seg { return seg{seq: s.rcv, data: "hello"} }},
	{"RST in sequence", func(s situation) seg { return seg{flags: "R", seq: s.rcv} }},
	{"RST in the window", func(s situation) seg { return seg{flags: "R", seq: s.rcv + 10} }},
	{"RST at the window's end", func(s situation) seg { return seg{flags: "R", seq: offered} }},
	{"RST beyond the window", func(s situation) seg { return seg{flags: "R", seq: s.rcv + offered} }},
	{"RST before the window", func(s situation) seg { return seg{flags: "R", seq: s.rcv - 1} }},
	{"RST|ACK", func(s situation) seg { return seg{flags: "R.", seq: s.rcv, ack: s.snd} }},
	{"RST|ACK of what was never sent", func(s situation) seg { return seg{flags: "R.", seq: s.rcv, ack: s.snd + 1} }},
	{"FIN in sequence", func(s situation) seg { return seg{flags: "F.", seq: s.rcv, ack: s.snd, win: 65535} }},
	{"FIN that acknowledges nothing", func(s situation) seg { return seg{flags: "F.", seq: s.rcv, ack: s.una, win: 65535} }},
	{"FIN out of order", func(s situation) seg { return seg{flags: "F.", seq: s.rcv + 5, ack: s.snd, win: 65535} }},
	{"FIN beyond the window", func(s situation) seg { return seg{flags: "F.", seq: s.rcv + 1<<20, ack: s.snd, win: 65535} }},
	{"FIN again", func(s situation) seg { return seg{flags: "F.", seq: s.rcv - 1, ack: s.una, win: 65535} }},
	{"FIN again that acknowledges all", func(s situation) seg { return seg{flags: "F.", seq: s.rcv - 1, ack: s.snd, win: 65535} }},
	{"data in sequence", func(s situation) seg { return seg{flags: "P.", seq: s.rcv, ack: s.snd, win: 65535, data: "hello"} }},
	{"data out of order", func(s situation) seg {
		return seg{flags: "P.", seq: s.rcv + 5, ack: s.snd, win: 65535, data: "hello"}
	}},
	{"data before the window", func(s situation) seg {
		return seg{flags: "P.", seq: s.rcv - 3, ack: s.una, win: 65535, data: "old"}
	}},
	{"data partly before the window", func(s situation) seg {
		return seg{flags: "P.", seq: s.rcv - 3, ack: s.snd, win: 65535, data: "oldnew"}
	}},
	{"data beyond the window", func(s situation) seg {
		return seg{flags: "P.", seq: s.rcv + 1<<20, ack: s.snd, win: 65535, data: "far"}
	}},
	{"keep-alive probe", func(s situation) seg { return seg{flags: ".", seq: s.rcv - 1, ack: s.una, win: 65535} }},
}

// standings are the states there are: those of situations, and the two in which there is no connection yet.
func standings() map[string]func(t *testing.T) situation {
	all := map[string]func(t *testing.T) situation{
		"CLOSED": func(t *testing.T) situation { return situation{newScript(t), 100, 1, 100} },
		"LISTEN": func(t *testing.T) situation {
			s := newScript(t)
			s.listen()
			return situation{s, 100, 1, 100}
		},
	}
	for _, column := range situations {
		all[column.state] = column.begin
	}
	return all
}

// stands is the state that s is in; where somebody listens, and began as one who does, nothing left means LISTEN.
func (s situation) stands(began string) string {
	now := s.state()
	if now == "CLOSED" && (began == "LISTEN" || began == "half-open") {
		return "LISTEN"
	}
	return now
}

// answer is the segment that leaves stands for.
func (s situation) answer(leaves string, in seg, takes uint32) seg {
	return map[string]seg{
		ack:         {flags: ".", seq: s.snd, ack: s.rcv + takes},
		resetAtAck:  {flags: "R", seq: in.ack},
		resetAtZero: {flags: "R.", ack: in.seq + in.length()},
		synAck:      {flags: "S.", ack: s.rcv},
		synAckOfIt:  {flags: "S.", ack: in.seq + 1},
	}[leaves]
}

// play has the row's event happen.
func (row stateRow) play(t *testing.T) {
	s := standings()[row.state](t)
	require.Equal(t, row.state, s.stands(row.state))
	s.wantIdle("nothing is left to say")
	var in seg
	for _, e := range events {
		if e.name == row.event {
			in = e.in(s)
		}
	}
	s.recv(in)
	if row.leaves != nothing {
		s.want(row.holds, s.answer(row.leaves, in, row.takes))
	}
	s.wantIdle(row.holds)
	require.Equal(t, row.after, s.stands(row.state), row.holds)
	s.conn = s.standing()
	if s.conn != nil {
		taken := in.octets()[len(in.octets())-min(int(row.takes), len(in.octets())):]
		s.wantRead(row.holds, taken)
	}
	switch row.holds {
	case rstAborts:
		require.Error(t, s.conn.Err(), row.holds)
	case receivedRSTActive:
		require.ErrorIs(t, s.conn.Err(), ip.ErrConnectionRefused, row.holds)
	case rstEnds:
		require.NoError(t, s.conn.Err(), "both streams were closed anyway")
	}
	if row.holds == heldForLater {
		s.recv(seg{flags: "P.", seq: s.rcv, ack: s.snd, win: 65535, data: "01234"})
		next := s.rcv + 5 + in.length()
		s.want("what was missing makes it count", seg{flags: ".", seq: s.snd, ack: next})
		s.wantRead("in order", "01234"+in.data)
	}
	s.wantConsistent()
}

// standing is the connection in the host's table, also if nobody has accepted it yet.
func (s situation) standing() *Conn {
	i := newID(s.local, s.peer, 0)
	if e := s.host.table.lookup(&i); e != nil {
		if c, ok := e.occupant.(*Conn); ok {
			return c
		}
	}
	return s.conn
}

// length is SEG.LEN.
func (s seg) length() uint32 {
	return uint32(len(s.octets()) + strings.Count(s.flags, "S") + strings.Count(s.flags, "F"))
}

// The sentences that the table holds. Those without a number are RFC 9293's section 3.10.7.4.
const (
	closedDiscards = `3.10.7.1: "An incoming segment containing a RST is discarded."`
	closedAck      = `3.10.7.1: "An incoming segment not containing a RST causes a RST to be sent in response."`
	closedNoAck    = `3.10.7.1: "If the ACK bit is off, sequence number zero is used"`

	listenRST = `3.10.7.2: "An incoming RST should be ignored."`
	listenACK = `3.10.7.2: "An acceptable reset segment should be formed for any arriving ACK-bearing segment."`
	listenSYN = `3.10.7.2: "ISS should be selected and a SYN segment sent [...] connection state should be changed to ` +
		`SYN-RECEIVED."`
	listenOther = `3.10.7.2: "This should not be reached. Drop the segment and return."`

	sentBadACK   = `3.10.7.3: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set [...])"`
	sentBadRST   = `3.10.7.3: "(unless the RST bit is set, if so drop the segment and return)"`
	sentRST      = `3.10.7.3: "If the ACK was acceptable, then [...] drop the segment, enter CLOSED state"`
	sentRSTNoACK = `3.10.7.3: "Otherwise (no ACK), drop the segment and return."`
	sentOpens    = `3.10.7.3: "If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED"`
	sentCrossed  = `3.10.7.3: "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment [...] and send it."`
	sentNeither  = `3.10.7.3: "Fifth, if neither of the SYN or RST bits is set, then drop the segment and return."`

	unacceptable = `"If an incoming segment is not acceptable, an acknowledgment should be sent in reply"`
	straddles    = `"If a segment's contents straddle the boundary between old and new, only the new parts are processed."`
	heldForLater = `"Segments with higher beginning sequence numbers SHOULD be held for later processing (SHLD-31)."`

	rstOutside = `"If the RST bit is set and the sequence number is outside the current receive window, silently drop the ` +
		`segment."`
	rstInside = `"does not exactly match the next expected sequence value, yet is within the current receive window, [...] ` +
		`MUST send an acknowledgment (challenge ACK)"`
	rstAborts          = `"any outstanding RECEIVEs and SEND should receive "reset" responses. [...] Enter the CLOSED state"`
	rstEnds            = `"If the RST bit is set, then enter the CLOSED state, delete the TCB, and return."`
	receivedRSTPassive = `"then return this connection to LISTEN state and return. The user need not be informed."`
	receivedRSTActive  = `"(i.e., came from SYN-SENT state), then the connection was refused"`

	synChallenged     = `"if the SYN bit is set, irrespective of the sequence number, TCP endpoints MUST send a "challenge ACK""`
	receivedSYNActive = `SYN-RECEIVED: "Otherwise, handle per the directions for synchronized states below."`
	timeWaitReopens   = `3.6.1: "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly"`

	noACK      = `"if the ACK bit is off, drop the segment and return"`
	ackOutside = `"All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent ` +
		`back."`
	ackUnsent      = `"If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return."`
	duplicateACK   = `"If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored."`
	receivedACK    = `SYN-RECEIVED: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing"`
	receivedBadACK = `SYN-RECEIVED: "If the segment acknowledgment is not acceptable, form a reset segment [...] and send it."`
	figure7        = `3.5, figure 7: the peer's SYN,ACK completes a simultaneous open`

	finAckedWait    = `"if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state"`
	finAckedClosing = `"if the ACK acknowledges our FIN, then enter the TIME-WAIT state; otherwise, ignore the segment"`
	finAckedLast    = `"If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."`
	timeWaitACK     = `TIME-WAIT: "The only thing that can arrive in this state is a retransmission of the remote FIN."`
	timeWaitFIN     = `TIME-WAIT: "The only thing that can arrive in this state is a retransmission of the remote FIN. ` +
		`Acknowledge it"`

	textTaken = `"When the TCP endpoint takes responsibility for delivering the data to the user, it must also acknowledge the ` +
		`receipt of the data."`
	textIgnored    = `"This should not occur since a FIN has been received from the remote side. Ignore the segment text."`
	finIgnored     = `CLOSE-WAIT, CLOSING, LAST-ACK: "This should not occur since a FIN has been received from the remote side."`
	finEstablished = `SYN-RECEIVED, ESTABLISHED: "send an acknowledgment for the FIN. [...] Enter the CLOSE-WAIT state."`
	finWait1       = `FIN-WAIT-1: "If our FIN has been ACKed [...], then enter TIME-WAIT [...]; otherwise, enter the CLOSING ` +
		`state."`
	finWait1Acked = `FIN-WAIT-1: "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT"`
	finWait2      = `FIN-WAIT-2: "Enter the TIME-WAIT state. Start the time-wait timer, turn off the other timers."`

	// What is old is trimmed rather than dropped, so that its acknowledgment counts.
	oldButAcks = `A.2: "There are cases where the TCP sequence number validation rules can prevent ACK fields from being ` +
		`processed. [...] implementers should consider the problems"`

	// Where the record of a half-open connection departs from the letter: all it can say is its SYN|ACK again, which acknowledges
	// RCV.NXT as the RFC's answer does. A peer that means what it sent answers it with a reset that is exact.
	openOutside = unacceptable + `; here by the SYN|ACK again, whose acknowledgment is the same`
	openRST     = rstInside + `; here by the SYN|ACK again, whose acknowledgment is the same`
	// "If the connection was initiated with a passive OPEN, then return this connection to the LISTEN state and return" would let
	// a forged SYN end what RFC 5961 protects from a forged RST.
	openSYN = `RFC 5961, 4.2, for SYN-RECEIVED too: a SYN is challenged, here by the SYN|ACK again, and ends nothing`
)

// TestSegmentArrives is RFC 9293 section 3.10.7.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.10.7
func TestSegmentArrives(t *testing.T) {
	for _, row := range segmentArrives {
		t.Run(row.state+"/"+row.event, row.play)
	}
}

// TestTheTableIsComplete: every event has one row in every state.
func TestTheTableIsComplete(t *testing.T) {
	rows := make(map[[2]string]int)
	for _, row := range segmentArrives {
		rows[[2]string{row.state, row.event}]++
	}
	for state := range standings() {
		for _, e := range events {
			require.Equal(t, 1, rows[[2]string{state, e.name}], "%s in %s", e.name, state)
		}
	}
	require.Len(t, rows, len(standings())*len(events))
}
