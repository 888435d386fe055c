package udp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/stretchr/testify/require"
)

func TestHopLimitAndTrafficClass(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("[::]:7"), DualStack: true})
	for _, test := range []struct {
		name, to, from string
		do             func()
		hopLimit       uint8
		class          uint8
	}{
		{"by default", "10.9.9.9:53", "10.0.0.1:7", nil, 0, 0},
		{"by default over IPv6", "[fdaa::9]:53", "[fdaa::1]:7", nil, 0, 0},
		{"by default to a group", "224.0.0.251:53", "192.168.69.1:7", nil, 1, 0},
		{"by default to everybody", "255.255.255.255:53", "192.168.69.1:7", nil, 0, 0},
		{"chosen", "10.9.9.9:53", "10.0.0.1:7", func() { e.SetHopLimit(3); e.SetTrafficClass(0xb8) }, 3, 0xb8},
		{"chosen, not for groups", "224.0.0.251:53", "192.168.69.1:7", nil, 1, 0xb8},
		{"chosen for groups", "224.0.0.251:53", "192.168.69.1:7", func() { e.SetMulticastHopLimit(9) }, 9, 0xb8},
		{"the default again", "10.9.9.9:53", "10.0.0.1:7", func() { e.SetHopLimit(0); e.SetTrafficClass(0) }, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.TB = t
			if test.do != nil {
				test.do()
			}
			e.send("x", test.to)
			link := int32(2)
			if strings.HasPrefix(test.to, "10.") {
				link = 3
			}
			s.want(test.name, datagram{from: test.from, to: test.to, link: link, payload: "x", hopLimit: test.hopLimit, class: test.class})
		})
	}
	options := Options{HopLimit: 5, TrafficClass: 2}
	e = s.bind(BindConfig{Local: at("0.0.0.0:8"), Options: options})
	e.send("x", "192.168.69.9:53")
	s.want("options of the beginning", datagram{from: "192.168.69.1:8", to: "192.168.69.9:53", payload: "x", hopLimit: 5, class: 2})
}

func TestSendErrors(t *testing.T) {
	s := newScript(t)
	s.noRoute = netip.MustParsePrefix("203.0.113.0/24")
	v4, v6 := s.listen("0.0.0.0:53"), s.listen("[::]:53")
	v4.wantSendError("to whom?", "x", "", ip.ErrInvalid)
	v4.wantSendError("there is no port 0", "x", "10.9.9.9:0", ip.ErrInvalid)
	v4.wantSendError("it speaks IPv4", "x", "[fdaa::9]:53", ip.ErrNetworkUnreachable)
	v6.wantSendError("it speaks IPv6", "x", "10.9.9.9:53", ip.ErrNetworkUnreachable)
	v6.wantSendError("on which link?", "x", "[fe80::9]:53", ip.ErrInvalid)
	v4.wantSendError("there is no way", "x", "203.0.113.1:53", ip.ErrNetworkUnreachable)
	v4.SetBroadcast(false)
	v4.wantSendError("not allowed", "x", "255.255.255.255:53", ip.ErrPermission)
	require.EqualValues(t, 7, s.host.Counters().OutErrors)
	s.wantIdle("nothing of it leaves")

	v4.SetBroadcast(true)
	v4.send("x", "255.255.255.255:53")
	s.want("allowed again", datagram{from: "192.168.69.1:53", to: "255.255.255.255:53", payload: "x"})

	require.NoError(t, v6.Send(epoch, text("x"), at("[fe80::9]:53"), 3))
	s.want("the link is named", datagram{from: "[fe80::1]:53", to: "[fe80::9]:53", link: 3, payload: "x"})

	v4.Close()
	v4.wantSendError("it is closed", "x", "10.9.9.9:53", ErrClosed)
}

func TestAddressesInOtherClothes(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("[::]:53"), DualStack: true})
	e.send("x", "[::ffff:192.168.69.9]:53")
	s.want("IPv4 all the same", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "x"})
	require.NoError(t, e.Send(epoch, text("x"), at("[fe80::9%zone]:53"), 2))
	s.want("the link counts, not the zone", datagram{from: "[fe80::1]:53", to: "[fe80::9]:53", payload: "x"})
}

func TestBoundToALink(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("[fe80::1]:53"), Link: 3})
	require.EqualValues(t, 3, e.Link())
	e.send("x", "[fe80::9]:53")
	s.want("it needs no naming of the link", datagram{from: "[fe80::1]:53", to: "[fe80::9]:53", link: 3, payload: "x"})
}

func TestMessageTooLong(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("[::]:53"), DualStack: true, SendBuffer: 1 << 20})
	s.links[2].known = 1400
	for _, test := range []struct {
		name    string
		mode    PathMTUDiscovery
		to      string
		from    string
		link    int32
		largest int
		who     packet.Fragmentation
	}{
		{"wanted", PathMTUWant, "192.168.69.9:53", "192.168.69.1:53", 2, 65507, packet.FragmentAtSource},
		{"wanted", PathMTUWant, "[fdaa::9]:53", "[fdaa::1]:53", 2, 65527, packet.FragmentAtSource},
		{"not wanted", PathMTUDont, "192.168.69.9:53", "192.168.69.1:53", 2, 65507, packet.FragmentAnywhere},
		{"not wanted", PathMTUDont, "[fdaa::9]:53", "[fdaa::1]:53", 2, 65527, packet.FragmentAnywhere},
		{"done", PathMTUDo, "192.168.69.9:53", "192.168.69.1:53", 2, 1400 - 20 - 8, packet.DontFragment},
		{"done", PathMTUDo, "[fdaa::9]:53", "[fdaa::1]:53", 2, 1400 - 40 - 8, packet.DontFragment},
		{"probed", PathMTUProbe, "192.168.69.9:53", "192.168.69.1:53", 2, 1500 - 20 - 8, packet.DontFragment},
		{"probed", PathMTUProbe, "[fdaa::9]:53", "[fdaa::1]:53", 2, 1500 - 40 - 8, packet.DontFragment},
		{"done on a link of 65535", PathMTUProbe, "10.9.9.9:53", "10.0.0.1:53", 3, 65507, packet.DontFragment},
	} {
		t.Run(test.name+" to "+test.to, func(t *testing.T) {
			s.TB = t
			e.SetPathMTUDiscovery(test.mode)
			largest := strings.Repeat("x", test.largest)
			e.send(largest, test.to)
			require.Equal(t, test.who, e.sending.Peek().IP.Fragmentation)
			s.want("it may be sent", datagram{from: test.from, to: test.to, link: test.link, payload: largest})
			e.wantSendError("it may not", largest+"x", test.to, ip.ErrMessageTooLong)
		})
	}
}

// Who leaves it to the routers does not hear from them.
func TestPacketTooBigIsToldUnlessRoutersCut(t *testing.T) {
	s := newScript(t)
	for _, test := range []struct {
		name string
		mode PathMTUDiscovery
		want error
	}{
		{"wanted", PathMTUWant, ip.ErrMessageTooLong},
		{"not wanted", PathMTUDont, nil},
		{"done", PathMTUDo, ip.ErrMessageTooLong},
		{"probed", PathMTUProbe, ip.ErrMessageTooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := s.bind(BindConfig{
				Local: at("192.168.69.1:7"), Remote: at("192.168.69.9:53"), Options: Options{PathMTUDiscovery: test.mode}})
			defer e.Close()
			s.host.Error(0, &ip.Error{
				Kind: ip.PacketTooBig, MTU: 1400, Src: e.LocalAddr().Addr(), Dst: e.RemoteAddr().Addr(), Link: 2,
				From: netip.MustParseAddr("192.168.69.254"), Transport: []byte{0, 7, 0, 53, 0, 9, 0, 0},
			})
			require.Equal(t, test.want, e.Err())
		})
	}
}

// What is found out of the way while datagrams wait holds for them, too.
func TestWaitingDatagramsTakeTheLatestPath(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("192.168.69.1:7")})
	e.send("one", "192.168.69.9:53")
	before := s.links[2]
	s.links[2] = &fakePath{link: 2, mtu: 1500, known: 1000}
	e.send("two", "192.168.69.10:53")
	require.Same(t, before, e.path, "that is the way to another")
	e.send("three", "192.168.69.9:53")
	require.Same(t, s.links[2], e.path)
	e.sending.Reset()
}

func TestSends(t *testing.T) {
	s := newScript(t)
	s.bind(BindConfig{Local: at("192.168.69.1:7"), Remote: at("192.168.69.9:53")})
	s.bind(BindConfig{Local: at("0.0.0.0:8")})
	for _, test := range []struct {
		name, local, remote string
		foreign, want       bool
	}{
		{"of a connected endpoint", "192.168.69.1:7", "192.168.69.9:53", false, true},
		{"to another than it is connected to", "192.168.69.1:7", "192.168.69.9:54", false, false},
		{"of one at all addresses", "192.168.69.1:8", "192.168.69.9:54", false, true},
		{"of one at all addresses, but not from there", "192.168.69.1:8", "192.168.69.9:54", true, false},
		{"from a port of nobody's", "192.168.69.1:9", "192.168.69.9:53", false, false},
	} {
		require.Equal(t, test.want, s.host.Sends(at(test.local), at(test.remote), 2, test.foreign), test.name)
	}
}

func TestLargestDatagramArrives(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("0.0.0.0:53"), ReceiveBuffer: 1000})
	largest := strings.Repeat("x", 65507)
	s.recv(datagram{from: "10.9.9.9:1", to: "10.0.0.1:53", link: 3, payload: largest})
	e.want("an empty queue takes any datagram", largest, "10.9.9.9:1")
}

func TestEmptyDatagram(t *testing.T) {
	s := newScript(t)
	e := s.listen("192.168.69.1:53")
	e.send("", "192.168.69.9:53")
	s.want("nothing said is something", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53"})
	s.recv(datagram{from: "192.168.69.9:53", to: "192.168.69.1:53"})
	e.want("and heard", "", "192.168.69.9:53")
}

// A computed checksum of zero is sent as all ones, since zero stands for none.
func TestChecksumOfZero(t *testing.T) {
	s := newScript(t)
	e := s.listen("192.168.69.1:53")
	// The payload is the checksum that the datagram would have with zeros instead.
	d := datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "\x00\x00"}
	p := d.make()
	sum := wire.UDPPacket(p.Head()).Checksum()
	p.Release()
	d.payload = string([]byte{byte(sum >> 8), byte(sum)})
	e.send(d.payload, d.to)
	p = s.pull(2)
	require.EqualValues(t, 0xffff, wire.UDPPacket(p.Head()).Checksum())
	p.Release()
}

func TestChecksumLeftToTheDevice(t *testing.T) {
	s := newScript(t)
	s.links[2].fills = true
	e := s.listen("[::]:53")
	e.send("payload", "[fdaa::9]:53")
	p := s.pull(2)
	require.Equal(t, packet.ChecksumPartial, p.Checksum)
	p.Release()
	e.send("payload", "[fdaa::9]:53")
	s.want("only the pseudo-header is summed", datagram{from: "[fdaa::1]:53", to: "[fdaa::9]:53", payload: "payload"})
}

func TestReferencedPayload(t *testing.T) {
	s := newScript(t)
	e := s.listen("192.168.69.1:53")
	c := packet.NewChunk(100)
	p := text("odd")
	p.Reference(c, append(c.Data()[:0], "referenced"...))
	require.NoError(t, e.Send(epoch, p, at("192.168.69.9:53"), 0))
	s.want("the checksum covers all pieces", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "oddreferenced"})
	require.False(t, c.Shared())
	c.Release()
}

func TestReceiveQueueIsBounded(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("192.168.69.1:53"), ReceiveBuffer: 10_000})
	d := datagram{from: "192.168.69.9:1", to: "192.168.69.1:53", payload: strings.Repeat("x", 1000)}
	s.wantCounters("those for which there is no room are dropped and counted", func(c *Counters) {
		c.InDatagrams, c.InOctets, c.InErrors, c.InReceiveQueueFull = 4, 4000, 6, 6
	}, func() {
		for range 10 {
			s.recv(d)
		}
	})
	require.Equal(t, 4, e.Received())
	require.EqualValues(t, 6, e.Dropped())
	require.LessOrEqual(t, e.receiving.Cost(), 10_000)
	e.want("the first are kept", d.payload, d.from)
	s.recv(d)
	require.Equal(t, 4, e.Received(), "there is room again")
	require.NoError(t, e.SetReceiveBuffer(1))
	require.Equal(t, 4, e.Received(), "what is there stays")
	require.ErrorIs(t, e.SetReceiveBuffer(-1), ip.ErrInvalid)
	require.NoError(t, e.SetReceiveBuffer(1<<30))
	require.Equal(t, 64<<20, e.receiveBuffer)
}

func TestSmallDatagramsInLargeBuffers(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("192.168.69.1:53"), ReceiveBuffer: 100_000})
	d := datagram{from: "192.168.69.9:1", to: "192.168.69.1:53", payload: "tiny"}
	for range 300 {
		p := packet.New(65_000) // as a device has it that receives into the largest buffers
		small := d.make()
		small.CopyTo(p.Append(small.Len()), 0)
		p.IP = small.IP
		p.IP.Link = 2
		small.Release()
		s.input(p)
	}
	require.Equal(t, 300, e.Received(), "pin little")
	e.want("they are what they were", "tiny", d.from)
}

func TestSendQueueIsBounded(t *testing.T) {
	s := newScript(t)
	e := s.bind(BindConfig{Local: at("192.168.69.1:53"), SendBuffer: 10_000})
	payload := strings.Repeat("x", 1000)
	for range 4 {
		e.send(payload, "192.168.69.9:53")
	}
	e.wantSendError("the queue is full", payload, "192.168.69.9:53", ErrWouldBlock)
	require.EqualValues(t, 1, s.host.Counters().OutQueueFull)
	d := datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: payload}
	s.want("the first leaves", d)
	e.wantEvents("a little room is not worth waking anybody", 0)
	s.want("the second", d)
	e.wantEvents("half of it is", ip.Writable)
	s.want("the third", d)
	s.want("the fourth", d)
	e.wantEvents("once", 0)
	s.wantIdle("the one refused was not taken")

	for range 4 {
		e.send(payload, "192.168.69.9:53")
	}
	e.wantSendError("full again", payload, "192.168.69.9:53", ErrWouldBlock)
	require.NoError(t, e.SetSendBuffer(100_000))
	e.wantEvents("a larger buffer makes room", ip.Writable)
	require.ErrorIs(t, e.SetSendBuffer(-1), ip.ErrInvalid)
}

func TestEndpointsTakeTurns(t *testing.T) {
	s := newScript(t)
	a, b := s.listen("192.168.69.1:1"), s.listen("192.168.69.1:2")
	for range 3 {
		a.send("a", "192.168.69.9:53")
	}
	b.send("b", "192.168.69.9:53")
	da := datagram{from: "192.168.69.1:1", to: "192.168.69.9:53", payload: "a"}
	db := datagram{from: "192.168.69.1:2", to: "192.168.69.9:53", payload: "b"}
	s.want("a was first", da)
	s.want("then it is b's turn", db)
	s.want("then a's again", da)
	s.want("and again", da)
	s.wantIdle("that was all")
}

func TestDestinationsOnSeveralLinks(t *testing.T) {
	s := newScript(t)
	e := s.listen("0.0.0.0:53")
	e.send("1", "192.168.69.9:53")
	e.send("2", "192.168.69.8:53")
	e.send("3", "10.9.9.9:53")
	e.send("4", "10.9.9.9:53")
	e.send("5", "192.168.69.9:53")
	require.Nil(t, s.pull(3), "first things first")
	s.want("by link 2", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "1"})
	s.want("another neighbour", datagram{from: "192.168.69.1:53", to: "192.168.69.8:53", payload: "2"})
	require.Nil(t, s.pull(2), "it stands in line at the other link now")
	s.want("by link 3", datagram{from: "10.0.0.1:53", to: "10.9.9.9:53", link: 3, payload: "3"})
	s.want("by link 3", datagram{from: "10.0.0.1:53", to: "10.9.9.9:53", link: 3, payload: "4"})
	s.want("back at link 2", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "5"})
	s.wantIdle("that was all")
}

func TestRouteGoneBeforeItsTurn(t *testing.T) {
	s := newScript(t)
	e := s.listen("0.0.0.0:53")
	e.send("1", "192.168.69.9:53")
	e.send("lost", "10.9.9.9:53")
	e.send("3", "192.168.69.8:53")
	s.noRoute = netip.MustParsePrefix("10.0.0.0/8")
	s.want("by link 2", datagram{from: "192.168.69.1:53", to: "192.168.69.9:53", payload: "1"})
	s.want("the next that has a way", datagram{from: "192.168.69.1:53", to: "192.168.69.8:53", payload: "3"})
	s.wantIdle("that was all")
	require.EqualValues(t, 1, s.host.Counters().OutErrors)
}

func TestWhatWasSentLeavesAfterClose(t *testing.T) {
	s := newScript(t)
	e := s.dial("192.168.69.1:1000", "192.168.69.9:53")
	e.send("farewell", "")
	e.send("and again", "")
	s.recv(datagram{from: "192.168.69.9:53", to: "192.168.69.1:1000", payload: "never read"})
	e.Close()
	e.Close()
	e.wantNothing("unread datagrams are gone")
	again := s.dial("192.168.69.1:1000", "192.168.69.9:53") // the port is free
	require.Equal(t, 2, s.host.Endpoints())
	s.want("it still leaves", datagram{from: "192.168.69.1:1000", to: "192.168.69.9:53", payload: "farewell"})
	s.want("all of it", datagram{from: "192.168.69.1:1000", to: "192.168.69.9:53", payload: "and again"})
	require.Equal(t, 1, s.host.Endpoints())
	s.recv(datagram{from: "192.168.69.9:53", to: "192.168.69.1:1000", payload: "hello"})
	again.want("the new one hears", "hello", "192.168.69.9:53")
	require.NoError(t, again.Err())
}

func TestOwner(t *testing.T) {
	s := newScript(t)
	e, err := s.host.Bind(BindConfig{Local: at("192.168.69.1:53")})
	require.NoError(t, err)
	d := datagram{from: "192.168.69.9:1", to: "192.168.69.1:53", payload: "x"}
	s.recv(d) // nobody is told
	owner := &endpoint{Endpoint: e, s: s}
	e.SetOwner(owner)
	s.recv(d)
	owner.wantEvents("now somebody is", ip.Readable)
	require.Equal(t, 2, e.Received())
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	if !countsAllocations {
		t.Skip("allocations are not counted under the race detector or in a debug build")
	}
	s := newScript(t)
	a := s.dial("192.168.69.1:1000", "192.168.69.9:53")
	for range 1000 { // other endpoints
		s.listen("0.0.0.0:0")
	}
	in := datagram{from: "192.168.69.9:53", to: "192.168.69.1:1000", payload: "hello"}
	template := in.make()
	template.IP.Link = 2
	defer template.Release()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.host.Input(0, s.links[2], template.Clone())
		p, _, _ := a.Receive()
		if err := a.Send(epoch, p, netip.AddrPort{}, 0); err != nil {
			panic(err)
		}
		p, _, _ = a.Emit(0)
		p.Release()
		a.turn = ip.Turn{}
		s.lines[2] = s.lines[2][:0]
	}))
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{16, 1400, 65507} {
		for _, endpoints := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("octets=%d/endpoints=%d", size, endpoints), func(b *testing.B) {
				s := newScript(b)
				s.links[2].mtu = 65535
				e := s.listen("192.168.69.1:53")
				for range endpoints - 1 {
					s.listen("0.0.0.0:0")
				}
				in := datagram{from: "192.168.69.9:1000", to: "192.168.69.1:53", payload: strings.Repeat("x", size)}
				template := in.make()
				template.IP.Link = 2
				b.SetBytes(int64(2 * size))
				b.ReportAllocs()
				for b.Loop() {
					s.host.Input(0, s.links[2], template.Clone())
					p, from, _ := e.Receive()
					if err := e.Send(epoch, p, from, 0); err != nil {
						b.Fatal(err)
					}
					p, _, _ = e.Emit(0)
					p.Release()
					e.turn = ip.Turn{}
					s.lines[2] = s.lines[2][:0]
				}
				template.Release()
			})
		}
	}
}
