package core

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/lowpan"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

// The nodes are those of the capture in package wire's testdata, and a third: A is a router, B this stack, C somebody else.
var (
	euiA, euiB, euiC = [8]byte{2, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0a}, [8]byte{2, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0b},
		[8]byte{2, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x0c}
	nodeA, nodeB, nodeC = wire.ExtendedAddr(euiA), wire.ExtendedAddr(euiB), wire.ExtendedAddr(euiC)
	linkA, linkB, linkC = addr("fe80::11:2233:4455:660a"), addr("fe80::11:2233:4455:660b"), addr("fe80::11:2233:4455:660c")
	meshA, meshB, meshC = addr("fd00::11:2233:4455:660a"), addr("fd00::11:2233:4455:660b"), addr("fd00::11:2233:4455:660c")
)

const (
	radioPAN    = 0x0023
	radioHeader = 21 // octets of the header of a frame between extended addresses
)

// radioNames shortens what is printed of frames.
var radioNames = strings.NewReplacer(nodeA.String(), "A", nodeB.String(), "B", nodeC.String(), "C", "0xffff", "all",
	linkA.String(), "linkA", linkB.String(), "linkB", linkC.String(), "linkC",
	meshA.String(), "meshA", meshB.String(), "meshB", meshC.String(), "meshC")

// radioScript is a conversation with a stack on a radio, the node B: what A says, unless it says otherwise, and what must leave.
type radioScript struct {
	*script
	seq  uint8 // of A's next frame
	tag  uint16
	base uint8  // the sequence number of the stack's first frame in the script
	last []byte // the frame that has left last
}

// newRadioScript makes a stack with the addresses linkB and meshB on a radio. options are newScript's, and func(*IEEE802154Config).
func newRadioScript(t *testing.T, options ...any) *radioScript {
	given := []any{
		func(c *dev.Capabilities) { *c = radioCaps(1280) },
		func(c *InterfaceConfig) {
			c.Name, c.NoGroupReports = "wpan0", false
			c.Addresses = []netip.Prefix{netip.PrefixFrom(meshB, 64)}
			c.IEEE802154 = &IEEE802154Config{PAN: radioPAN, EUI64: euiB}
		},
	}
	for _, option := range options {
		if change, ok := option.(func(*IEEE802154Config)); ok {
			option = func(c *InterfaceConfig) { change(c.IEEE802154) }
		}
		given = append(given, option)
	}
	s := &radioScript{script: newScript(t, given...)}
	s.base = s.link.radio.sending.seq
	return s
}

// unacknowledged has the device see to acknowledgments, for scripts that are about something else.
func unacknowledged(c *dev.Capabilities) { c.Acknowledges = true }

// header is that of A's next frame to us, as RIOT's frames are.
func (s *radioScript) header() wire.IEEE802154Repr {
	s.seq++
	return wire.IEEE802154Repr{Type: wire.IEEE802154Data, Version: wire.IEEE802154Version2006, AckRequest: true, PANCompression: true,
		Seq: s.seq, DstPAN: radioPAN, SrcPAN: radioPAN, Dst: nodeB, Src: nodeA}
}

// frame is A's next to us.
func (s *radioScript) frame(payload []byte) []byte { return radioFrame(s.header(), payload) }

// toAll is A's next to all.
func (s *radioScript) toAll(payload []byte) []byte {
	h := s.header()
	h.Dst, h.AckRequest = wire.BroadcastShortAddr, false
	return radioFrame(h, payload)
}

// radioFrame is a frame with a header.
func radioFrame(h wire.IEEE802154Repr, payload []byte) []byte {
	b := make([]byte, h.Len())
	h.Emit(b)
	return append(b, payload...)
}

// compressed is a whole packet with its headers compressed, from A to us.
func (s *radioScript) compressed(ip []byte) []byte {
	return compress(ip, wire.LowpanLink{Src: nodeA, Dst: nodeB, Contexts: &s.link.radio.contexts})
}

func compress(ip []byte, link wire.LowpanLink) []byte {
	var headers [wire.LowpanMaxHeaderLen]byte
	n, consumed := wire.CompressIPv6(headers[:], ip, len(ip), link)
	return append(headers[:n:n], ip[consumed:]...)
}

// fragments are the frames in which A sends us a packet.
func (s *radioScript) fragments(ip []byte) (frames [][]byte) {
	link := wire.LowpanLink{Src: nodeA, Dst: nodeB, Contexts: &s.link.radio.contexts}
	var headers [wire.LowpanMaxHeaderLen - 30]byte
	n, consumed := wire.CompressIPv6(headers[:], ip, len(ip), link)
	s.tag++
	p := packetOf(append(headers[:n:n], ip[consumed:]...))
	defer p.Release()
	cut, ok := lowpan.NewCut(p, n, consumed, s.tag)
	require.True(s.t, ok)
	for cut.More() {
		h := s.header()
		fragment := cut.Next(p, wire.IEEE802154MaxFrameLen-h.Len())
		h.FramePending = cut.More()
		frames = append(frames, radioFrame(h, octets(fragment)))
	}
	return frames
}

// hear has A send us a packet, in as many frames as it takes, and takes our acknowledgments of those.
func (s *radioScript) hear(ip []byte) {
	s.t.Helper()
	for _, frame := range s.frames(ip) {
		s.recv(frame)
		if s.link.radio.acks {
			require.Equal(s.t, fmt.Sprintf("ack %d", frame[2]), s.print(s.next()), "before all else")
		}
	}
}

// frames are those in which A sends us a packet.
func (s *radioScript) frames(ip []byte) [][]byte {
	if whole := s.compressed(ip); len(whole) <= wire.IEEE802154MaxFrameLen-radioHeader {
		return [][]byte{s.frame(whole)}
	}
	return s.fragments(ip)
}

// hearAll has A send a packet to a group.
func (s *radioScript) hearAll(ip []byte) {
	s.recv(s.toAll(compress(ip, wire.LowpanLink{Src: nodeA, Dst: wire.BroadcastShortAddr, Contexts: &s.link.radio.contexts})))
}

// next takes one frame.
func (s *radioScript) next() []byte {
	s.t.Helper()
	var one [1]*packet.Packet
	require.Equal(s.t, 1, s.stack.Output(s.now, s.link, one[:]), "a frame leaves")
	return s.left(octets(one[0]))
}

// left takes note of a frame that has left.
func (s *radioScript) left(b []byte) []byte {
	if wire.IEEE802154Frame(b).Type() != wire.IEEE802154Ack {
		s.last = b
	}
	return b
}

// send takes what leaves now.
func (s *radioScript) send() [][]byte {
	frames := s.script.send()
	for _, b := range frames {
		s.left(b)
	}
	return frames
}

func (s *radioScript) skip() { s.send() }

// want requires that exactly these frames leave now. Those of the stack's own are numbered from 0, acknowledgments as what they
// acknowledge.
func (s *radioScript) want(why string, frames ...string) [][]byte {
	s.t.Helper()
	sent := s.send()
	var printed []string
	for _, b := range sent {
		printed = append(printed, s.print(b))
	}
	require.Equal(s.t, frames, printed, why)
	return sent
}

func (s *radioScript) wantIdle(why string) {
	s.t.Helper()
	s.want(why)
}

// print is a frame that has left, in short.
func (s *radioScript) print(b []byte) string {
	s.t.Helper()
	require.LessOrEqual(s.t, len(b), wire.IEEE802154MaxFrameLen)
	var h wire.IEEE802154Repr
	require.NoError(s.t, h.Parse(wire.IEEE802154Frame(b)))
	if h.Type == wire.IEEE802154Ack {
		return fmt.Sprintf("ack %d", h.Seq)
	}
	require.Equal(s.t, nodeB, h.Src)
	require.EqualValues(s.t, radioPAN, h.DstPAN)
	require.Equal(s.t, s.link.radio.asksForAck(h.Dst), h.AckRequest)
	text := fmt.Sprintf("%d to %v", h.Seq-s.base, h.Dst)
	if h.FramePending {
		text += ", more"
	}
	if h.Secured {
		return radioNames.Replace(fmt.Sprintf("%s: level %d, counter %d, length %d", text, h.Security.Level, h.Security.FrameCounter, len(b)))
	}
	link := wire.LowpanLink{Src: h.Src, Dst: h.Dst, Contexts: &s.link.radio.contexts}
	carried := wire.LowpanPacket(h.Payload(wire.IEEE802154Frame(b))).Format(link)
	carried = strings.TrimPrefix(carried, "6LoWPAN ")
	if from, to := strings.Index(carried, "IPHC "), strings.Index(carried, "IP6 "); from >= 0 && to > from {
		carried = carried[:from] + carried[to:] // the headers' compression has tests of its own in package wire
	}
	return radioNames.Replace(text + ": " + carried)
}

// acked has our last frame be acknowledged.
func (s *radioScript) acked() {
	s.recv(radioFrame(wire.IEEE802154Repr{Type: wire.IEEE802154Ack, Seq: s.last[2]}, nil))
}

// drops is how many were dropped for the cause.
func (s *radioScript) drops(cause DropCause) int { return int(s.link.Counters().Drops[cause]) }

// ndPacket is a packet with a neighbor discovery message.
func ndPacket(src, dst netip.Addr, r ndMessage) []byte {
	return nd(src, dst, r)[wire.EthernetHeaderLen:]
}
