package core

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/wire"
)

// radioCaptured is a frame of the capture of RIOT's nodes in package wire's testdata.
type radioCaptured struct {
	number int // from 1
	at     time.Duration
	frame  []byte // without its check sequence
}

// radioCapture is the whole of it.
func radioCapture(t testing.TB) (frames []radioCaptured) {
	t.Helper()
	b, err := os.ReadFile("wire/testdata/6lowpan/riot.pcap")
	require.NoError(t, err)
	var begin time.Duration
	for b = b[24:]; len(b) > 0; {
		at := time.Duration(binary.LittleEndian.Uint32(b))*time.Second + time.Duration(binary.LittleEndian.Uint32(b[4:]))*time.Microsecond
		if begin == 0 {
			begin = at
		}
		n := 16 + int(binary.LittleEndian.Uint32(b[8:]))
		frames = append(frames, radioCaptured{len(frames) + 1, at - begin, b[16 : n-2]})
		b = b[n:]
	}
	require.Len(t, frames, 828)
	return frames
}

// A node that hears all that RIOT's nodes said, as one of them: what was for it is taken, and answered as that one did, and all else
// is dropped for its cause. Whoever it answers hears it.
func TestRadioCapture(t *testing.T) {
	foreign := [8]byte{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01}
	for name, tc := range map[string]struct {
		eui       [8]byte
		addresses []netip.Prefix
		pings     int // it was asked
		pongs     int // of what it answered, in one frame
	}{
		"A":                              {euiA, []netip.Prefix{prefix("2001:db8::1/64"), netip.PrefixFrom(globalA, 64), prefix("2001:db8:1::a/64")}, 5, 5},
		"B":                              {euiB, []netip.Prefix{netip.PrefixFrom(globalB, 64), prefix("2001:db8:1::b/64")}, 32, 19},
		"the one that is none of RIOT's": {foreign, nil, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRadioScript(t, func(c *InterfaceConfig) { c.Addresses = tc.addresses }, func(c *IEEE802154Config) {
				c.EUI64 = tc.eui
				c.Contexts[0] = wire.LowpanContext{Prefix: prefix("2001:db8::/64"), Compress: true}
				c.Contexts[1] = wire.LowpanContext{Prefix: prefix("2001:db8:1::/64"), Compress: true}
			})
			self := wire.ExtendedAddr(tc.eui)
			for addr, hw := range map[netip.Addr]wire.LinkAddr{globalA: nodeA, addr("2001:db8::1"): nodeA, addr("2001:db8:1::a"): nodeA,
				globalB: nodeB, addr("2001:db8:1::b"): nodeB, linkA: nodeA, linkB: nodeB} {
				require.NoError(t, s.link.Neighbours().Static(0, addr, hw)) // they answer who looks for them
			}
			expected := make(map[DropCause]int)
			forIt, acks := 0, 0
			last := make(map[string]time.Duration)
			answers, itsOwn := make(map[string]bool), make(map[string]bool)
			for _, c := range radioCapture(t) {
				s.after(epoch.Add(c.at).Sub(s.now))
				frame := wire.IEEE802154Frame(c.frame)
				if frame.Type() == wire.IEEE802154Data {
					before, again := last[string(frame)]
					switch {
					case frame.Dst() != self && !frame.Dst().IsMulticast():
						expected[DropOtherHost]++
					case frame.Src() == self:
						expected[DropFrameSource]++
					case again && c.at-before < ieee802154.DefaultLifetime:
						expected[DropRadioDuplicate]++
					}
					last[string(frame)] = c.at
					if frame.Dst() == self && frame.AckRequest() {
						forIt++
					}
					if ip := s.pong(c.frame); ip != "" && frame.Src() == self {
						itsOwn[ip] = true
					}
				}
				s.recv(c.frame)
				for sent := s.send(); sent != nil; sent = s.send() {
					for _, b := range sent {
						if wire.IEEE802154Frame(b).Type() == wire.IEEE802154Ack {
							acks++
							require.Equal(t, c.frame[2], b[2])
							continue
						}
						answers[s.pong(b)] = true
						s.acked()
					}
				}
			}
			counters := s.stack.Counters()
			for cause, name := DropCause(0), ""; cause <= DropLowpanTimeout; cause++ {
				name = cause.String()
				require.EqualValues(t, expected[cause], counters.Drops[cause], name)
			}
			require.Equal(t, forIt, acks, "each is acknowledged, copies too")
			require.EqualValues(t, tc.pings, counters.ICMPv6.InType[wire.ICMPv6EchoRequest])
			require.EqualValues(t, tc.pings, counters.ICMPv6.OutType[wire.ICMPv6EchoReply])
			require.Equal(t, tc.pongs, len(itsOwn))
			for ip := range itsOwn {
				require.True(t, answers[ip], "it answered %s", wire.FormatIP([]byte(ip)))
			}
			require.Zero(t, s.link.radio.reassembly.Octets())
		})
	}
}

// pong is the packet in a frame if that is an echo reply, whole.
func (s *radioScript) pong(b []byte) string {
	if ip := s.packet(b); len(ip) > 40 && echoReply(ip) {
		return string(ip)
	}
	return ""
}

// packet is the packet in a frame; nil if there is none, whole.
func (s *radioScript) packet(b []byte) []byte {
	frame := wire.IEEE802154Frame(b)
	var headers [wire.LowpanMaxDecompressedLen]byte
	link := wire.LowpanLink{Src: frame.Src(), Dst: frame.Dst(), Contexts: &s.link.radio.contexts}
	h, err := wire.DecompressIPv6(headers[:], frame.Payload(), 0, link)
	if err != nil {
		return nil
	}
	return append(headers[:h.Len:h.Len], frame.Payload()[h.Consumed:]...)
}
