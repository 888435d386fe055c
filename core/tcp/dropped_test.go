package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

// changedCounters names the counters that say that something was dropped, and have moved.
func changedCounters(c Counters) map[string]uint64 {
	changed := make(map[string]uint64)
	for name, n := range map[string]uint64{
		"InErrs": c.InErrs, "InFlagErrors": c.InFlagErrors, "InChecksumErrors": c.InChecksumErrors,
		"InHeaderErrors": c.InHeaderErrors, "InGroup": c.InGroup, "NoListener": c.NoListener, "InNoAck": c.InNoAck,
		"InNoSyn": c.InNoSyn, "InAfterFin": c.InAfterFin, "OutNoRoutes": c.OutNoRoutes, "InRstsIgnored": c.InRstsIgnored,
		"OutOfWindow": c.OutOfWindow, "AcceptQueueFull": c.AcceptQueueFull, "SynQueueFull": c.SynQueueFull,
		"ConnectionsFull": c.ConnectionsFull,
	} {
		if n != 0 {
			changed[name] = n
		}
	}
	return changed
}

// TestEveryDropIsCounted: what is dropped is counted for its cause, and who listens is told of it.
func TestEveryDropIsCounted(t *testing.T) {
	fresh := func(t *testing.T) situation { return situation{script: newScript(t), snd: 1, rcv: 1} }
	listening := func(t *testing.T) situation {
		s := fresh(t)
		s.listen()
		return s
	}
	in := func(state string) func(*testing.T) situation {
		for _, column := range situations {
			if column.state == state {
				return column.begin
			}
		}
		panic(state)
	}
	type counted = map[string]uint64
	for _, row := range []struct {
		name  string
		begin func(*testing.T) situation
		in    seg
		want  counted
		cause string
	}{
		{"SYN and FIN to nobody", fresh, seg{flags: "FS"}, counted{"InErrs": 1, "InFlagErrors": 1}, "contradictory flags"},
		{"SYN and FIN to a listener", listening, seg{flags: "FS"}, counted{"InErrs": 1, "InFlagErrors": 1}, "contradictory flags"},
		{"SYN and RST to a listener", listening, seg{flags: "SR"}, counted{"InErrs": 1, "InFlagErrors": 1}, "contradictory flags"},
		{"all flags to a connection", in("ESTABLISHED"), seg{flags: "FSRP.", seq: 1, ack: 1},
			counted{"InErrs": 1, "InFlagErrors": 1}, "contradictory flags"},
		{"SYN|ACK with FIN to who dials", in("SYN-SENT"), seg{flags: "FS.", ack: 1},
			counted{"InErrs": 1, "InFlagErrors": 1}, "contradictory flags"},
		{"no flags to a listener", listening, seg{}, counted{"InNoAck": 1}, "no ACK"},
		{"FIN alone to a listener", listening, seg{flags: "F"}, counted{"InNoAck": 1}, "no ACK"},
		{"no ACK, half open", in("half-open"), seg{seq: 1, data: "x"}, counted{"InNoAck": 1}, "no ACK"},
		{"no ACK, established", in("ESTABLISHED"), seg{seq: 1, data: "x"}, counted{"InNoAck": 1}, "no ACK"},
		{"no ACK, TIME-WAIT", in("TIME-WAIT"), seg{flags: "F", seq: 1}, counted{"InNoAck": 1}, "no ACK"},
		{"no SYN to who dials", in("SYN-SENT"), seg{flags: ".", ack: 1}, counted{"InNoSyn": 1}, "before the peer's SYN"},
		{"no flags to who dials", in("SYN-SENT"), seg{}, counted{"InNoSyn": 1}, "before the peer's SYN"},
		{"SYN to nobody", fresh, seg{flags: "S"}, counted{"NoListener": 1}, "nothing is open there"},
		{"ACK to a listener", listening, seg{flags: "."}, counted{"NoListener": 1}, "nothing is open there"},
		{"RST to nobody", fresh, seg{flags: "R"}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST to a listener", listening, seg{flags: "R"}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST without ACK to who dials", in("SYN-SENT"), seg{flags: "R"}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST with a wrong ACK to who dials", in("SYN-SENT"), seg{flags: "R.", ack: 9}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST in the window, half open", in("half-open"), seg{flags: "R", seq: 9}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST in the window", in("ESTABLISHED"), seg{flags: "R", seq: 9}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST before the window", in("ESTABLISHED"), seg{flags: "R", seq: 0}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"RST in TIME-WAIT", in("TIME-WAIT"), seg{flags: "R", seq: 9}, counted{"InRstsIgnored": 1}, "unacceptable reset"},
		{"data behind the FIN", in("CLOSE-WAIT"), seg{flags: ".", seq: 2, ack: 1, data: "x"}, counted{"InAfterFin": 1}, "data after the FIN"},
		{"another FIN behind the FIN", in("CLOSE-WAIT"), seg{flags: "F.", seq: 2, ack: 1}, counted{"InAfterFin": 1}, "data after the FIN"},
		{"data beyond the window", in("ESTABLISHED"), seg{flags: ".", seq: 2 << 20, ack: 1, data: "x"},
			counted{"OutOfWindow": 1}, "outside the window"},
		{"data beyond the window, half open", in("half-open"), seg{flags: ".", seq: 2 << 20, ack: 1, data: "x"},
			counted{"OutOfWindow": 1}, "outside the window"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := row.begin(t)
			var causes []string
			s.host.config.Dropped = func(p *packet.Packet, cause string) {
				require.Equal(t, s.peer.Addr(), p.IP.Src)
				causes = append(causes, cause)
			}
			state := s.state()
			s.recv(row.in)
			require.Equal(t, row.want, changedCounters(s.host.Counters()))
			require.Equal(t, []string{row.cause}, causes)
			require.Equal(t, state, s.state())
			s.answers()
			s.wantConsistent()
		})
	}
}

func TestMalformedSegmentsAreTold(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*packet.Packet)
		want   map[string]uint64
		cause  string
	}{
		{"short", func(p *packet.Packet) { p.Truncate(19) }, map[string]uint64{"InErrs": 1, "InHeaderErrors": 1}, "truncated header"},
		{"longer than itself", func(p *packet.Packet) { p.Head()[12] = 0xf0 },
			map[string]uint64{"InErrs": 1, "InHeaderErrors": 1}, "truncated header"},
		{"header of four words", func(p *packet.Packet) { p.Head()[12] = 0x40 },
			map[string]uint64{"InErrs": 1, "InHeaderErrors": 1}, "contradictory header length"},
		{"checksum", func(p *packet.Packet) { p.Head()[16]++ }, map[string]uint64{"InErrs": 1, "InChecksumErrors": 1}, "wrong checksum"},
		{"port 0", func(p *packet.Packet) {
			wire.TCPPacket(p.Head()).SetSrcPort(0)
			p.Checksum = packet.ChecksumVerified
		}, map[string]uint64{"InErrs": 1, "InHeaderErrors": 1}, "port zero"},
		{"group", func(p *packet.Packet) { p.IP.Group = true }, map[string]uint64{"InGroup": 1}, "sent to a group"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var causes []string
			s := newScript(t, func(c *Config) {
				c.Dropped = func(_ *packet.Packet, cause string) { causes = append(causes, cause) }
			})
			s.listen()
			p := s.packet(seg{flags: "S", win: 65535})
			row.change(p)
			s.recvPacket(p)
			require.Equal(t, row.want, changedCounters(s.host.Counters()))
			require.Equal(t, []string{row.cause}, causes)
			s.wantIdle("nothing is answered")
		})
	}
}

func TestAnswersWithoutARoute(t *testing.T) {
	for _, row := range []struct {
		name string
		open bool
		in   seg
	}{
		{"a reset", false, seg{flags: "."}},
		{"a SYN|ACK", true, seg{flags: "S", win: 65535}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var causes []string
			s := newScript(t, func(c *Config) {
				c.Dropped = func(p *packet.Packet, cause string) {
					require.True(t, p.IP.Dst.IsValid())
					causes = append(causes, cause)
				}
			})
			if row.open {
				s.listen()
			}
			s.net.err = ip.ErrNetworkUnreachable
			s.recv(row.in)
			require.EqualValues(t, 1, s.host.Counters().OutNoRoutes)
			require.Contains(t, causes, "no route for an answer")
			s.wantIdle("it cannot be answered")
		})
	}
}

func TestConnectionsTellWhatBecomesOfThem(t *testing.T) {
	for _, row := range []struct {
		name string
		play func(s *script)
		want []string
	}{
		{"accepted and reset", func(s *script) { s.accepted(); s.recv(seg{flags: "R", seq: 1}) },
			[]string{"established", "failed: connection reset by peer"}},
		{"dialed and aborted", func(s *script) { s.dialed(nil); s.conn.Abort(s.now); s.answers() },
			[]string{"opened", "established", "failed: connection aborted"}},
		{"refused", func(s *script) { s.dial(nil); s.answers(); s.recv(seg{flags: "R.", ack: 1}) },
			[]string{"opened", "failed: connection refused"}},
		{"closed by the peer first", func(s *script) {
			s.accepted(atOnce)
			s.recv(seg{flags: "F.", seq: 1, ack: 1, win: 65535})
			s.conn.Close(s.now)
			s.answers()
			s.recv(seg{flags: ".", seq: 2, ack: 2, win: 65535})
		}, []string{"established", "closed"}},
		{"closed by this side first", func(s *script) {
			s.accepted(atOnce)
			s.conn.Close(s.now)
			s.answers()
			s.recv(seg{flags: "F.", seq: 1, ack: 2, win: 65535})
			s.answers()
		}, []string{"established", "closed"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var told []string
			s := newScript(t, func(c *Config) {
				c.Event = func(c *Conn, what string) {
					if c.Err() != nil {
						what += ": " + c.Err().Error()
					}
					told = append(told, what)
				}
			})
			row.play(s)
			require.Equal(t, row.want, told)
		})
	}
}
