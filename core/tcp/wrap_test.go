package tcp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startAt has the clock of a script begin when the initial sequence number of its connection will be iss.
func (s *script) startAt(iss uint32) {
	i := newID(s.local, s.peer, 0)
	s.now = epoch.Add(4 * time.Microsecond * time.Duration(iss-s.host.isn(0, &i)))
	require.Equal(s.t, iss, s.host.isn(s.since(), &i))
}

func TestSequenceNumbersWrap(t *testing.T) {
	s := newScript(t)
	s.startAt(1<<32 - 3)
	s.irs = 1<<32 - 5
	c := s.accepted()
	require.Equal(t, uint32(1<<32-3), s.iss)

	s.recv(seg{flags: ".", seq: 8, ack: 1, win: 65535, data: "hijk"})
	s.want("out of order, beyond the wrap", seg{flags: ".", seq: 1, ack: 1})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "abcdefg"})
	s.want("across it", seg{flags: ".", seq: 1, ack: 12})
	s.wantRead("in order", "abcdefghijk")

	s.write("0123456789")
	s.want("ours", seg{flags: "P.", seq: 1, ack: 12, data: "0123456789"})
	s.recv(seg{flags: ".", seq: 12, ack: 2, win: 65535})
	s.after(time.Second)
	s.want("the rest again", seg{flags: "P.", seq: 2, ack: 12, data: "123456789"})
	s.answers()
	s.recv(seg{flags: ".", seq: 12, ack: 11, win: 65535})
	require.Zero(t, c.Info().InFlight)

	c.CloseWrite(s.now)
	s.want("our FIN", seg{flags: "F.", seq: 11, ack: 12})
	s.recv(seg{flags: "F.", seq: 12, ack: 12, win: 65535})
	s.want("the peer's", seg{flags: ".", seq: 12, ack: 13})
}

// Each number of the handshake, of the data and of the FIN may be the one at which the sequence space ends.
func TestSequenceNumbersWrapAnywhere(t *testing.T) {
	for back := range uint32(10) {
		s := newScript(t)
		s.startAt(-back)
		s.irs = -back
		c := s.accepted()
		s.recv(seg{flags: ".", seq: 1, ack: 1, win: 0, data: "abc"})
		s.write("xyz")
		c.CloseWrite(s.now)
		s.after(200 * time.Millisecond)
		s.want("the delayed acknowledgment", seg{flags: ".", seq: 1, ack: 4})
		s.want("a probe", seg{flags: ".", seq: 1, ack: 4, data: "x"})
		s.recv(seg{flags: "F.", seq: 4, ack: 2, win: 100})
		s.want("the rest", seg{flags: "FP.", seq: 2, ack: 5, data: "yz"})
		require.Equal(t, Closing, c.State())
		s.wantConsistent()
		s.recv(seg{flags: ".", seq: 5, ack: 5, win: 100})
		require.Equal(t, "TIME-WAIT", s.state())
		s.irs += 5
		s.recv(seg{flags: "S", seq: 3, win: 65535})
		s.want("a higher number, over the wrap too", seg{flags: "S.", ack: 4})
	}
}

// TestTransferWraps crosses the end of the sequence space in both directions, with losses.
func TestTransferWraps(t *testing.T) {
	w := newWorld(t, simulatedPath{delay: time.Millisecond, loss: 0.02, reorder: 0.02})
	a, b := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:80")
	w.hosts[0].choose(newID(a, b, 0))
	w.hosts[1].choose(newID(b, a, 0))
	l, err := w.hosts[1].Listen(ListenConfig{Local: b})
	require.NoError(t, err)
	client, err := w.hosts[0].Dial(w.time(), DialConfig{Local: a, Remote: b})
	require.NoError(t, err)
	w.until("established", func() bool { return l.Pending() > 0 && client.State() == Established })
	server := l.Accept()
	for _, c := range []*Conn{client, server} {
		require.Greater(t, c.iss, uint32(1<<32-1<<18), "near the end")
	}
	w.transfer(client, server, 1<<20)
	w.transfer(server, client, 1<<20)
	for _, c := range []*Conn{client, server} {
		require.Less(t, c.sndUna, uint32(1<<21), "the end was crossed")
	}
	w.closeBoth(client, server)
}

// choose gives the host a secret that makes the initial sequence number of i lie less than 2^17 before the end.
func (h *Host) choose(i id) {
	for n := uint32(0); h.isn(0, &i) < 1<<32-1<<17; n++ {
		binary.BigEndian.PutUint32(h.secret[:], n)
		h.hashed = id{} // it was made with another secret
	}
}

func TestSegmentTrimsAcrossTheWrap(t *testing.T) {
	s := newScript(t)
	s.irs = 1<<32 - 2
	s.accepted()
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "ab"})
	s.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "ab" + strings.Repeat("c", 3)})
	s.want("old octets before the wrap, new ones behind", seg{flags: ".", seq: 1, ack: 6})
	s.wantRead("each once", "abccc")
}
