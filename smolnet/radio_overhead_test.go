package smolnet_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/radio"
	"github.com/smolnet/smolnet/smolnet"
)

// sniffed returns the frames that a node has heard since it was asked last.
func sniffed(t *testing.T, sniffer dev.Device) (frames [][]byte) {
	t.Helper()
	var pkts [16]*packet.Packet
	for {
		n, err := sniffer.Receive(time.Now(), pkts[:])
		require.NoError(t, err)
		if n == 0 {
			return frames
		}
		for _, p := range pkts[:n] {
			frames = append(frames, bytes.Clone(p.Header(p.Len())))
			p.Release()
		}
	}
}

// datagram is an IPv6 packet as it was on the air.
type datagram struct {
	frames     int
	octets     int // of all frames
	mac        int // of these, in headers of the MAC
	fragments  int // in fragmentation headers
	compressed int // what the IPv6 header has become
	headers    int // uncompressed
	payload    int // of IPv6: TCP's header, and what it carries
	left       int // of that, what has not come yet
}

// datagramsOf puts datagrams together, of which each node sends one after the other.
func datagramsOf(t *testing.T, frames [][]byte, contexts *wire.LowpanContexts) (all []datagram) {
	t.Helper()
	under := map[wire.LinkAddr]*datagram{} // way, by sender
	for _, f := range frames {
		var mac wire.IEEE802154Repr
		frame, err := wire.ParseIEEE802154(f)
		require.NoError(t, err)
		require.NoError(t, mac.Parse(frame))
		require.Equal(t, wire.IEEE802154Data, mac.Type)
		d := under[mac.Src]
		if d == nil {
			d = new(datagram)
			under[mac.Src] = d
		}
		d.frames, d.octets, d.mac = d.frames+1, d.octets+len(f), d.mac+mac.Len()
		b, size := f[mac.Len():], 0
		var fragment wire.LowpanFragment
		if kind := wire.ParseLowpanDispatch(b); kind == wire.LowpanFRAG1 || kind == wire.LowpanFRAGN {
			require.NoError(t, fragment.Parse(b))
			size = fragment.DatagramSize
			d.fragments += fragment.Len()
			b = b[fragment.Len():]
		}
		if size == 0 || fragment.First() {
			require.Zero(t, d.left, "the datagram before it is complete")
			var headers [wire.LowpanMaxDecompressedLen]byte
			h, err := wire.DecompressIPv6(headers[:], b, size, wire.LowpanLink{Src: mac.Src, Dst: mac.Dst, Contexts: contexts})
			require.NoError(t, err)
			d.compressed, d.headers = h.Consumed, h.Len
			b = b[h.Consumed:]
			if d.left = len(b); size > 0 {
				d.left = size - h.Len
			}
		}
		d.payload += len(b)
		if d.left -= len(b); d.left == 0 {
			all = append(all, *d)
			delete(under, mac.Src)
		}
	}
	require.Empty(t, under, "all datagrams are complete")
	return all
}

// What headers take up. An IPv6 header has 40 octets. RFC 6282 leaves of it the 2 of the dispatch, 1 for the next header, and
//
//   - 3 for the flow label, unless there is none;
//   - 1 if any context but the first is used;
//   - of an address nothing if it is made of a link-local prefix, or a context's, and the link-layer address; 8 if of anything else
//     after such a prefix; and otherwise all 16.
//
// The header of the MAC has 21, as both addresses are extended, that of TCP 32, of which 12 are for timestamps, and those of fragments
// have 4 and 5. Frames have 125 at most, without their check sequence.
func TestRadioOverhead(t *testing.T) {
	const macHeader, tcpHeader, firstFragment, laterFragment = 21, 32, 4, 5
	const context = "2001:db8:6::"
	for _, tc := range []struct {
		name     string
		from, to string // of nodes 1 and 2; with a context
		contexts wire.LowpanContexts
		noLabels bool

		header  int // the IPv6 header
		payload int // of a segment
		frames  int // of such a segment
		octets  int // of these frames
	}{
		{name: "link-local", from: "fe80::1", to: "fe80::2", header: 6, payload: 411, frames: 5, octets: 578},
		{name: "link-local, no flow labels", from: "fe80::1", to: "fe80::2", noLabels: true, header: 3, payload: 411, frames: 5, octets: 575},
		{
			name: "context 0", from: context + "1", to: context + "2", contexts: wire.LowpanContexts{0: {Prefix: meshPrefix, Compress: true}},
			header: 6, payload: 411, frames: 5, octets: 578,
		},
		{
			name: "context 0, no flow labels", from: context + "1", to: context + "2", noLabels: true,
			contexts: wire.LowpanContexts{0: {Prefix: meshPrefix, Compress: true}},
			header:   3, payload: 411, frames: 5, octets: 575,
		},
		{
			name: "context 5", from: context + "1", to: context + "2", contexts: wire.LowpanContexts{5: {Prefix: meshPrefix, Compress: true}},
			header: 7, payload: 411, frames: 5, octets: 579,
		},
		{
			name: "context 0, addresses of no link-layer address", from: context + "1:0:0:1", to: context + "1:0:0:2",
			contexts: wire.LowpanContexts{0: {Prefix: meshPrefix, Compress: true}},
			header:   6 + 8 + 8, payload: 411, frames: 5, octets: 594,
		},
		{name: "no context", from: context + "1", to: context + "2", header: 6 + 16 + 16, payload: 411, frames: 5, octets: 610},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				medium := radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Acknowledges: true})
				var nodes [2]*smolnet.Stack
				from, to := netip.MustParseAddr(tc.from), netip.MustParseAddr(tc.to)
				for i, own := range []netip.Addr{from, to} {
					nodes[i] = newStack(t, smolnet.Config{NoFlowLabels: tc.noLabels})
					ifc := smolnet.Interface{
						Name: "radio", Device: medium.Node(radio.NodeConfig{}),
						IEEE802154: &core.IEEE802154Config{Contexts: tc.contexts},
					}
					if !own.IsLinkLocalUnicast() {
						ifc.Addresses = []netip.Prefix{netip.PrefixFrom(own, 64)}
					}
					_, err := nodes[i].AddInterface(ifc)
					require.NoError(t, err)
				}
				if to.IsLinkLocalUnicast() {
					to = to.WithZone("radio")
				} else {
					testRadioPing(t, nodes[0], to) // whoever has to ask for link-layer addresses has done so
				}
				sniffer := medium.Node(radio.NodeConfig{})
				const segments = 20
				require.NoError(t, radioTransfer(nodes[0], nodes[1], netip.AddrPortFrom(to, 7), segments*tc.payload))

				full := 0
				for _, d := range datagramsOf(t, sniffed(t, sniffer), &tc.contexts) {
					require.Equal(t, 40, d.headers)
					require.Equal(t, d.octets, d.mac+d.fragments+d.compressed+d.payload)
					require.Equal(t, d.frames*macHeader, d.mac)
					require.Equal(t, tc.header, d.compressed)
					switch d.payload {
					case tcpHeader: // an acknowledgment
						require.Equal(t, 1, d.frames)
						require.Equal(t, macHeader+tc.header+tcpHeader, d.octets)
					case tcpHeader + tc.payload:
						full++
						require.Equal(t, tc.frames, d.frames)
						require.Equal(t, tc.frames*macHeader+firstFragment+(tc.frames-1)*laterFragment+tc.header+tcpHeader+tc.payload, d.octets)
						require.Equal(t, tc.octets, d.octets)
					}
				}
				require.Equal(t, segments, full)
			})
		})
	}
}

// Segments are as large as SegmentFrames has it, whatever becomes of their headers: these are compressed here, and fit even if they
// are not.
func TestRadioSegmentFrames(t *testing.T) {
	for _, tc := range []struct{ frames, payload, octets int }{
		{1, 36, 95},
		{2, 123, 212},
		{0, 411, 578}, // the default, 5
		{8, 699, 944},
		{12, 1083, 1432},
	} {
		synctest.Test(t, func(t *testing.T) {
			medium := radio.New(radio.Config{Bitrate: radio.Bitrate2450MHz, Acknowledges: true})
			ifc := smolnet.Interface{IEEE802154: &core.IEEE802154Config{SegmentFrames: tc.frames}}
			first := radioNode(t, medium, 1, radio.NodeConfig{}, ifc)
			second := radioNode(t, medium, 2, radio.NodeConfig{}, ifc)
			sniffer := medium.Node(radio.NodeConfig{})
			require.NoError(t, radioTransfer(first, second, netip.AddrPortFrom(radioAddr(t, second), 7), 20<<10))
			var largest datagram
			for _, d := range datagramsOf(t, sniffed(t, sniffer), nil) {
				if d.payload > largest.payload {
					largest = d
				}
			}
			const tcpHeader = 32
			require.Equal(t, cmp.Or(tc.frames, 5), largest.frames)
			require.Equal(t, tcpHeader+tc.payload, largest.payload)
			require.Equal(t, tc.octets, largest.octets)
		})
	}
}

// On a link that takes its time nothing is sent again that was not lost, neither by TCP nor by the MAC.
//
// Stacks that acknowledge frames send one after the other, each when the one before it has been acknowledged, so that a latency counts
// for every frame: they are for radios that are as near as the standard has it.
func TestRadioNothingIsSentAgainInVain(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name      string
		kind      radio.Config
		config    core.IEEE802154Config
		latencies []time.Duration
	}{
		{
			"acknowledged by the radios", radio.Config{Acknowledges: true}, core.IEEE802154Config{},
			[]time.Duration{0, 20 * ms, 50 * ms, 100 * ms, 250 * ms},
		},
		{
			"not acknowledged", radio.Config{}, core.IEEE802154Config{NoAcknowledgments: true},
			[]time.Duration{0, 20 * ms, 50 * ms, 100 * ms, 250 * ms},
		},
		{"acknowledged by the stacks", radio.Config{}, core.IEEE802154Config{}, []time.Duration{0}},
	} {
		for _, latency := range tc.latencies {
			t.Run(fmt.Sprintf("%s, %v", tc.name, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tc.kind.Bitrate, tc.kind.Latency = radio.Bitrate2450MHz, latency
					medium := radio.New(tc.kind)
					ifc := smolnet.Interface{IEEE802154: &tc.config}
					first := radioNode(t, medium, 1, radio.NodeConfig{}, ifc)
					second := radioNode(t, medium, 2, radio.NodeConfig{}, ifc)
					testRadioTransfer(t, first, second, netip.AddrPortFrom(radioAddr(t, second), 7), 100<<10)
					testRadioHTTP(t, first, second, radioAddr(t, second))
					for _, s := range []*smolnet.Stack{first, second} {
						c := s.Counters().TCP
						require.Zero(t, c.RetransSegs)
						require.Zero(t, c.RetransTimeouts)
						require.Zero(t, c.TailLossProbes)
						require.Zero(t, c.SpuriousRecoveries)
						require.Zero(t, c.InDuplicates)
						require.Zero(t, s.Counters().Drops.Total(), "frames that come again are dropped")
					}
				})
			})
		}
	}
}
