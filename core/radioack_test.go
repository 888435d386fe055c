package core

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/core/wire"
)

// say has the endpoint send to A.
func (s *radioScript) say(e *udp.Endpoint, payload string) {
	s.t.Helper()
	require.NoError(s.t, e.Send(s.now, packetOf([]byte(payload)), netip.AddrPortFrom(linkA, 7), s.link.Index()))
}

// due lets the time pass until something is due, at most d.
func (s *radioScript) due(d time.Duration) (passed time.Duration) {
	begin := s.now
	if at, ok := s.stack.PollAt(); ok && at.Sub(s.now) < d {
		d = max(at.Sub(s.now), 0)
	}
	s.after(d)
	return s.now.Sub(begin)
}

// pass lets time pass by and by, so that what is due has been done in time.
func (s *radioScript) pass(d time.Duration) {
	const step = 100 * time.Millisecond
	for ; d > 0; d -= step {
		s.after(min(step, d))
	}
}

func TestRadioAcknowledges(t *testing.T) {
	ping := echo6(linkA, linkB, "hello")
	t.Run("a frame is acknowledged before it is answered", func(t *testing.T) {
		s := newRadioScript(t)
		s.recv(s.frame(s.compressed(ping)))
		s.want("first the acknowledgment", "ack 1", "0 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
	})
	t.Run("several frames before they are", func(t *testing.T) {
		s := newRadioScript(t)
		s.recvPackets(packetOf(s.frame(s.compressed(ping))), packetOf(s.frame(s.compressed(echo6(linkA, linkB, "again")))))
		s.want("the second answer waits for the first's acknowledgment", "ack 1", "ack 2",
			"0 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
		s.acked()
		s.want("then it leaves", "1 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
	})
	t.Run("before the frames that wait already", func(t *testing.T) {
		s := newRadioScript(t)
		e := s.bind("[::]:7")
		s.say(e, "one")
		s.say(e, "two")
		s.recv(s.frame(s.compressed(ping)))
		require.Equal(t, "ack 1", s.print(s.next()))
		s.skip()
	})
	t.Run("and while one of ours is not acknowledged", func(t *testing.T) {
		s := newRadioScript(t)
		s.say(s.bind("[::]:7"), "one")
		s.want("ours", "0 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
		s.recv(s.frame(s.compressed(ping)))
		s.want("no more", "ack 1")
	})
	t.Run("a copy is acknowledged too, and not answered", func(t *testing.T) {
		s := newRadioScript(t)
		frame := s.frame(s.compressed(ping))
		s.recv(frame)
		s.skip()
		s.acked()
		for range 4 {
			s.recv(frame)
			s.want("its sender has not heard the last", "ack 1")
		}
		require.Equal(t, 4, s.drops(DropRadioDuplicate))
		s.after(2 * time.Second)
		s.recv(frame)
		s.want("much later it is another", "ack 1", "1 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
	})
	t.Run("a frame of 2015's edition by an enhanced acknowledgment", func(t *testing.T) {
		s := newRadioScript(t)
		h := s.header()
		h.Version = wire.IEEE802154Version2015
		h.Dst, h.Src = wire.ShortAddr(0xbeef), nodeA
		s.link.radio.node.Short = h.Dst
		s.recv(radioFrame(h, s.compressed(ping)))
		b := s.next()
		require.Equal(t, "IEEE 802.15.4 Ack, seq 1, pan 0x0023, none > "+nodeA.String(), wire.IEEE802154Frame(b).String())
		s.skip()
	})
	t.Run("no more than ControlQueue at once", func(t *testing.T) {
		s := newRadioScript(t, func(c *Config) { c.Limits.ControlQueue = 3 })
		for range 5 {
			s.recv(s.frame(nil))
		}
		s.want("the rest is sent again by A", "ack 1", "ack 2", "ack 3")
		require.Equal(t, 2, s.drops(DropControlQueue))
	})
	for name, option := range map[string]any{
		"not if it is configured so": func(c *IEEE802154Config) { c.NoAcknowledgments = true },
		"not if the device does it":  unacknowledged,
	} {
		t.Run(name, func(t *testing.T) {
			s := newRadioScript(t, option)
			e := s.bind("[::]:7")
			s.recv(s.frame(s.compressed(ping)))
			s.say(e, "one")
			s.want("the answer alone, and nothing waits", "0 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13",
				"1 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
			s.after(time.Second)
			s.wantIdle("nor is sent again")
		})
	}
}

func TestRadioRetransmits(t *testing.T) {
	const first = "0 to A: IP6 linkB.7 > linkA.7: UDP, length 3"
	times := func(c *IEEE802154Config) {
		c.Sender = ieee802154.SenderConfig{AckWait: 10 * time.Millisecond, OctetTime: -1, Backoff: -1}
	}
	t.Run("three times, and then no more", func(t *testing.T) {
		s := newRadioScript(t, times)
		e := s.bind("[::]:7")
		s.say(e, "one")
		s.say(e, "two")
		s.want("the first", first)
		for range 3 {
			s.after(10*time.Millisecond - 1)
			s.wantIdle("its acknowledgment may come yet")
			s.after(1)
			s.want("again, with the same number", first)
		}
		s.after(10 * time.Millisecond)
		s.want("the next", "1 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
		require.Equal(t, 1, s.drops(DropRadioNoAck))
		s.acked()
		s.after(time.Second)
		s.wantIdle("that is all")
		require.Equal(t, 1, s.drops(DropRadioNoAck))
		etx, ok := s.link.radio.links.ETX(nodeA)
		require.True(t, ok)
		require.Greater(t, etx, uint16(ieee802154.ETXUnit), "the link is not as good as was thought")
	})
	t.Run("by default when others may have finished, and a little later each time", func(t *testing.T) {
		s := newRadioScript(t)
		s.say(s.bind("[::]:7"), "one")
		octets := time.Duration(len(s.want("the first", first)[0]) + 8)
		least := octets*lowpan.OctetTime + ieee802154.DefaultAckWait + othersTurn
		for attempt, units := range []time.Duration{7, 15, 31} {
			var passed time.Duration
			for sent := []string(nil); sent == nil; {
				passed += s.due(time.Second)
				for _, b := range s.send() {
					sent = append(sent, s.print(b))
				}
				require.LessOrEqual(t, passed, least+units*ieee802154.DefaultBackoff, "retransmission %d", attempt+1)
			}
			require.GreaterOrEqual(t, passed, least, "retransmission %d", attempt+1)
		}
		s.after(time.Second)
		s.wantIdle("it is given up")
		_, ok := s.stack.PollAt()
		require.False(t, ok && s.link.Neighbours().Len() == 0)
		require.Equal(t, 1, s.drops(DropRadioNoAck))
	})
	t.Run("as often as is configured", func(t *testing.T) {
		for retries, sent := range map[int]int{-1: 1, 1: 2, 7: 8} {
			s := newRadioScript(t, times, func(c *IEEE802154Config) { c.Sender.MaxRetries = retries })
			s.say(s.bind("[::]:7"), "one")
			n := 0
			for range 20 {
				n += len(s.send())
				s.after(10 * time.Millisecond)
			}
			require.Equal(t, sent, n)
		}
	})
	t.Run("not once it is acknowledged, however late", func(t *testing.T) {
		s := newRadioScript(t, times, func(c *IEEE802154Config) { c.Sender.Backoff = 5 * time.Millisecond })
		s.say(s.bind("[::]:7"), "one")
		s.want("the first", first)
		s.after(10 * time.Millisecond)
		s.acked()
		s.after(time.Minute)
		for _, b := range s.send() {
			require.NotContains(t, s.print(b), "UDP", "what is left is to see whether A is there")
		}
		require.Zero(t, s.drops(DropRadioNoAck))
	})
	t.Run("not because of another acknowledgment", func(t *testing.T) {
		s := newRadioScript(t, times)
		s.say(s.bind("[::]:7"), "one")
		s.want("the first", first)
		s.last = patched(s.last, 2, s.last[2]+1)
		s.acked()
		s.after(10 * time.Millisecond)
		s.want("it is none of ours", first)
		s.acked()
		s.acked()
		s.acked()
		s.after(time.Second)
		s.wantIdle("three are one")
	})
	t.Run("the last acknowledgment after it was given up", func(t *testing.T) {
		s := newRadioScript(t, times)
		e := s.bind("[::]:7")
		s.say(e, "one")
		for range 4 {
			s.skip()
			s.after(10 * time.Millisecond)
		}
		s.acked()
		s.say(e, "two")
		s.want("is of no use", "1 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
		require.Equal(t, 1, s.drops(DropRadioNoAck))
	})
	t.Run("what is sent again, before what waits", func(t *testing.T) {
		s := newRadioScript(t, times)
		e := s.bind("[::]:7")
		s.say(e, "one")
		s.want("the first", first)
		require.NoError(t, e.Send(s.now, packetOf(nil), addrPort("[ff02::123]:7"), s.link.Index()))
		s.wantIdle("not even to all, whom nobody acknowledges")
		s.after(10 * time.Millisecond)
		s.want("again", first)
		s.acked()
		s.want("to all", "1 to all: IP6 linkB.7 > ff02::123.7: UDP, length 0")
	})
	t.Run("nothing once the interface is removed", func(t *testing.T) {
		s := newRadioScript(t, times)
		e := s.bind("[::]:7")
		s.say(e, noise(300))
		s.say(e, "two")
		require.NotEmpty(t, s.next())
		require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
		s.after(time.Minute)
		require.Equal(t, 0, s.stack.Output(s.now, s.link, nil))
	})
}

// What does not fit in a frame leaves in several, each of which is to be acknowledged before the next.
func TestRadioFragments(t *testing.T) {
	said := noise(250)
	whole := []string{
		"0 to A, more: FRAG1 size 298, tag T: IP6 linkB.7 > linkA.7: UDP, length 250 [162 octets missing]",
		"1 to A, more: FRAGN size 298, tag T, offset 136, length 96",
		"2 to A: FRAGN size 298, tag T, offset 232, length 66",
	}
	tagged := func(s *radioScript, frames ...string) (printed []string) {
		for _, f := range frames {
			printed = append(printed, strings.ReplaceAll(f, "tag T", "tag "+tagOf(s)))
		}
		return printed
	}
	t.Run("each waits for the acknowledgment of the last", func(t *testing.T) {
		s := newRadioScript(t)
		s.say(s.bind("[::]:7"), said)
		expected := tagged(s, whole...)
		for _, frame := range expected {
			s.want("one at a time", frame)
			s.acked()
		}
		s.wantIdle("that was all")
	})
	t.Run("what comes meanwhile is acknowledged between them", func(t *testing.T) {
		s := newRadioScript(t)
		s.say(s.bind("[::]:7"), said)
		expected := tagged(s, whole...)
		s.want("the first", expected[0])
		for i := range 2 {
			s.recv(s.frame(s.compressed(echo6(linkA, linkB, "hello"))))
			s.acked()
			s.want("the acknowledgment, and the packet goes on", "ack "+string(rune('1'+i)), expected[i+1])
		}
		s.acked()
		s.want("the answers come behind it", "3 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 13")
		s.acked()
		s.skip()
	})
	t.Run("one that is given up takes the rest with it", func(t *testing.T) {
		s := newRadioScript(t)
		e := s.bind("[::]:7")
		s.say(e, said)
		expected := tagged(s, whole...)
		s.say(e, "two")
		s.want("the first", expected[0])
		s.acked()
		for range 4 {
			s.want("the second", expected[1])
			s.due(time.Second)
			s.due(time.Second)
		}
		s.want("of the third nobody would make anything", "2 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
		require.Equal(t, 1, s.drops(DropRadioNoAck))
		require.EqualValues(t, 1, s.link.Counters().IPv6.OutDiscards)
	})
	t.Run("without acknowledgments they leave at once", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		e := s.bind("[::]:7")
		expected := tagged(s, whole...)
		s.say(e, said)
		s.want("all of them", expected...)
		s.say(e, noise(1232))
		require.Len(t, s.send(), 13, "of as much as there may be in a packet")
	})
	t.Run("or as fast as they may", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged, func(c *IEEE802154Config) {
			c.Pacing = lowpan.Pacing{Gap: 2 * time.Millisecond, Octet: lowpan.OctetTime}
		})
		e := s.bind("[::]:7")
		expected := tagged(s, whole...)
		s.say(e, said)
		for i, frame := range expected {
			sent := s.want("one", frame)
			length := time.Duration(len(sent[0]) + 8)
			s.recv(s.frame(nil))
			require.Equal(t, 2*time.Millisecond+length*lowpan.OctetTime, s.due(time.Second), "frame %d", i)
		}
		s.wantIdle("that was all")
	})
	t.Run("acknowledgments are not paced", func(t *testing.T) {
		s := newRadioScript(t, func(c *IEEE802154Config) { c.Pacing = lowpan.Pacing{Gap: time.Second} })
		s.say(s.bind("[::]:7"), "one")
		s.want("ours", "0 to A: IP6 linkB.7 > linkA.7: UDP, length 3")
		s.recv(s.frame(nil))
		s.want("theirs", "ack 1")
	})
	t.Run("they come in any order, and twice", func(t *testing.T) {
		s := newRadioScript(t)
		e := s.bind("[::]:7")
		frames := s.fragments(udpTo(linkA, linkB, 1000, 7, said))
		require.Len(t, frames, 3)
		for _, i := range []int{2, 0, 0, 2, 1, 1, 0} {
			s.recv(frames[i])
		}
		require.Len(t, s.send(), 7, "each is acknowledged")
		s.wantDatagram(e, said, netip.AddrPortFrom(linkA, 1000).String())
		_, _, ok := e.Receive()
		require.False(t, ok)
		require.Equal(t, 4, s.drops(DropRadioDuplicate))
		require.Zero(t, s.link.radio.reassembly.Octets())
	})
	t.Run("copies with another number, and overlaps", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		frames := s.fragments(udpTo(linkA, linkB, 1000, 7, said))
		s.recv(frames[1])
		s.recv(patched(frames[1], 2, 99))
		require.Equal(t, 1, s.drops(DropLowpanDuplicate))
		s.recv(patched(frames[1], 2, 100)[:len(frames[1])-8])
		require.Equal(t, 1, s.drops(DropLowpanOverlap))
		require.Equal(t, 1, s.link.radio.reassembly.Len(), "a new one is begun")
		s.after(lowpan.DefaultTimeout)
		require.Equal(t, 1, s.drops(DropLowpanTimeout))
		require.Zero(t, s.link.radio.reassembly.Octets())
	})
	t.Run("too many datagrams at once", func(t *testing.T) {
		s := newRadioScript(t, unacknowledged)
		for range lowpan.DefaultMaxPerSource + 3 {
			s.recv(s.fragments(udpTo(linkA, linkB, 1000, 7, said))[0])
		}
		require.Equal(t, 3, s.drops(DropLowpanEvicted))
	})
}

// tagOf is the tag of the stack's next datagram in fragments.
func tagOf(s *radioScript) string {
	return strings.Fields((&wire.LowpanFragment{Tag: s.link.radio.sending.tag}).String())[4]
}
