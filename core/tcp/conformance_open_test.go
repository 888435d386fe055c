package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// TestOpeningAtOnce is RFC 9293 section 3.5: "A TCP implementation MUST support simultaneous open attempts (MUST-10)."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.5
func TestOpeningAtOnce(t *testing.T) {
	// crossed is a connection whose SYN has crossed the peer's.
	crossed := func(t *testing.T) *script {
		s := newScript(t)
		s.dial(&Options{DelayedACK: -1})
		s.want("our SYN", seg{flags: "S"})
		s.recv(seg{flags: "S", win: 65535, mss: 1460})
		s.want("our SYN|ACK", seg{flags: "S.", ack: 1})
		return s
	}
	flows := func(s *script) {
		s.t.Helper()
		require.Equal(s.t, Established, s.conn.State())
		s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "theirs"})
		s.want("data flows", seg{flags: ".", seq: 1, ack: 7})
		s.wantRead("theirs", "theirs")
		s.write("ours")
		s.want("both ways", seg{flags: "P.", seq: 1, ack: 7, data: "ours"})
	}
	playRules(t, []rule{
		{"figure 7", `"ESTABLISHED <-- <SEQ=300><ACK=101><CTL=SYN,ACK>"`, func(t *testing.T, holds string) {
			s := crossed(t)
			s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
			s.want(holds, seg{flags: ".", seq: 1, ack: 1})
			flows(s)
		}},
		{"the peer's SYN|ACK is lost, its acknowledgment not", `"If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state"`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				s.wantIdle(holds)
				flows(s)
			}},
		{"our SYN|ACK is lost", `3.10.8: "send the segment at the front of the retransmission queue again"`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.wantAgainAfter(holds, time.Second, seg{flags: "S.", ack: 1})
				s.wantAgainAfter(holds, 2*time.Second, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
				flows(s)
			}},
		{"our SYN was lost", `"enter SYN-RECEIVED, form a SYN,ACK segment": which then is the first the peer hears of us`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dial(&Options{DelayedACK: -1})
				s.want("our SYN", seg{flags: "S"})
				s.after(time.Second)
				s.want("again", seg{flags: "S"})
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want(holds, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535}) // the peer was in SYN-SENT, and had it all from our SYN|ACK
				flows(s)
			}},
		{"the peer's SYN again",
			`"if the SYN bit is set, irrespective of the sequence number, TCP endpoints MUST send a "challenge ACK""`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want(holds, seg{flags: ".", seq: 1, ack: 1})
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.want("the handshake", seg{flags: ".", seq: 1, ack: 1})
				flows(s)
			}},
		{"data on the SYN",
			`3.10.7.3: "If there are other controls or text in the segment, queue them for processing after the ESTABLISHED ` +
				`state has been reached": or have the peer repeat them`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.dial(&Options{DelayedACK: -1})
				s.want("our SYN", seg{flags: "S"})
				s.recv(seg{flags: "S", win: 65535, mss: 1460, data: "early"})
				s.want("of which not more is acknowledged than was kept", seg{flags: "S.", ack: 1})
				s.wantRead("nothing is delivered yet", "")
				s.recv(seg{flags: "P.", seq: 1, ack: 1, win: 65535, data: "early"})
				s.want(holds, seg{flags: ".", seq: 1, ack: 6})
				s.wantRead(holds, "early")
			}},
		{"refused", `"If this connection was initiated with an active OPEN [...], then the connection was refused"`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.recv(seg{flags: "R", seq: 1})
				require.ErrorIs(t, s.conn.Err(), ip.ErrConnectionRefused, holds)
			}},
		{"closed before it is established", `3.10.4, SYN-RECEIVED: the CLOSE is queued until the connection is established`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.conn.CloseWrite(s.now)
				s.wantIdle("not yet")
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.want(holds, seg{flags: "F.", seq: 1, ack: 1})
				require.Equal(t, FinWait1, s.conn.State())
			}},
		{"never completed",
			`3.8.3: "R2 for a SYN segment MUST be set large enough to provide retransmission of the segment for at least 3 ` +
				`minutes"`,
			func(t *testing.T, holds string) {
				s := crossed(t)
				s.after(3 * time.Minute)
				require.Equal(t, SynReceived, s.conn.State(), holds)
				s.after(2 * time.Minute)
				require.ErrorIs(t, s.conn.Err(), ErrTimeout)
				s.count()
			}},
	})
}

// TestOldDuplicatesWhileOpening is RFC 9293 section 3.5, figures 8 to 11.
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.5
func TestOldDuplicatesWhileOpening(t *testing.T) {
	playRules(t, []rule{
		{"figure 8, dialing",
			`"TCP Peer A detects that the ACK field is incorrect and returns a RST (reset) with its SEQ field selected to make ` +
				`the segment believable."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				irs := s.irs
				s.irs += 300
				s.recv(seg{flags: "S.", ack: 1<<32 - 9, win: 65535, mss: 1460}) // to an old SYN of ours, ten before
				s.want(holds, seg{flags: "R", seq: 1<<32 - 9})
				require.Equal(t, SynSent, c.State())
				s.irs = irs
				s.recv(seg{flags: "S.", ack: 1, win: 65535, mss: 1460})
				s.want("the real one opens", seg{flags: ".", seq: 1, ack: 1})
				require.Equal(t, Established, c.State())
			}},
		{"figure 8, listening",
			`"TCP Peer B, on receiving the RST, returns to the LISTEN state. When the original SYN finally arrives at line 6, ` +
				`the synchronization proceeds normally."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.irs -= 10
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("it cannot tell", seg{flags: "S.", ack: 1})
				s.recv(seg{flags: "R", seq: 1})
				s.irs += 10
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want(holds, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Equal(t, 1, l.Pending())
			}},
		{"figure 8, the SYN before the RST",
			`"If the SYN at line 6 had arrived before the RST, a more complex exchange might have occurred"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.irs -= 10
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("the old one's", seg{flags: "S.", ack: 1})
				s.irs += 10
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.irs -= 10
				s.want("the same again", seg{flags: "S.", ack: 1})
				s.recv(seg{flags: "R", seq: 1})
				s.recv(seg{flags: "R", seq: 1})
				s.wantIdle("resets are not answered")
				s.irs += 10
				s.after(time.Second)
				s.recv(seg{flags: "S", win: 65535, mss: 1460}) // repeated by the peer's timer
				s.want(holds, seg{flags: "S.", ack: 1})
				s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535})
				require.Equal(t, 1, l.Pending())
			}},
		{"figure 9, who has restarted",
			`"TCP Peer A sees that this segment does not acknowledge anything it sent and, being unsynchronized, sends a reset ` +
				`(RST)"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				c := s.dial(nil)
				s.want("our SYN", seg{flags: "S"})
				s.recv(seg{flags: ".", seq: 1 << 20, ack: 1 << 20, win: 65535})
				s.want(holds, seg{flags: "R", seq: 1 << 20})
				require.Equal(t, SynSent, c.State())
				s.wantAgainAfter(`"TCP Peer A will continue to try to establish the connection"`, time.Second, seg{flags: "S"})
			}},
		{"figure 10",
			`"the data arriving at TCP Peer A from TCP Peer B (line 2) is unacceptable because no such connection exists, so ` +
				`TCP Peer A sends a RST"`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				s.recv(seg{flags: ".", seq: 300, ack: 100, win: 65535, data: "0123456789"})
				s.want(holds, seg{flags: "R", seq: 100})
			}},
		{"figure 11", `"TCP Peer B accepts the reset and returns to its passive LISTEN state."`,
			func(t *testing.T, holds string) {
				s := newScript(t)
				l := s.listen()
				s.recv(seg{flags: "S", win: 65535, mss: 1460})
				s.want("an old duplicate", seg{flags: "S.", ack: 1})
				s.recv(seg{flags: "R", seq: 1})
				s.after(time.Hour)
				s.wantIdle(holds)
				require.Zero(t, l.Pending())
			}},
	})
}
