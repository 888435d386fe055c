package core

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ieee802154"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
)

var radioKey = ieee802154.Key{Mode: wire.IEEE802154KeyIndex, Index: 1, Secret: [16]byte{1, 2, 3}}

// secured has frames be secured at a level, with radioKey.
func secured(level uint8) func(*IEEE802154Config) {
	return func(c *IEEE802154Config) {
		c.Security = &ieee802154.SecurityConfig{Keys: []ieee802154.Key{radioKey}, Level: level}
	}
}

// as has the stack be another node.
func as(eui [8]byte) func(*IEEE802154Config) { return func(c *IEEE802154Config) { c.EUI64 = eui } }

// frameFrom is the only frame in which a stack says something to B, or A if it is B itself.
func (s *radioScript) frameFrom(payload string) []byte {
	s.t.Helper()
	to := linkB
	if s.link.LinkAddr() == nodeB {
		to = linkA
	}
	e := s.bind("[::]:0")
	defer e.Close()
	require.NoError(s.t, e.Send(s.now, packetOf([]byte(payload)), netip.AddrPortFrom(to, 7), s.link.Index()))
	sent := s.send()
	require.Len(s.t, sent, 1)
	return sent[0]
}

func TestRadioSecurity(t *testing.T) {
	for level := uint8(1); level <= 7; level++ {
		t.Run(fmt.Sprintf("level %d, both ways", level), func(t *testing.T) {
			a, b := newRadioScript(t, unacknowledged, secured(level), as(euiA)), newRadioScript(t, unacknowledged, secured(level))
			ea, eb := a.bind("[::]:7"), b.bind("[::]:7")
			secured := 0
			for range 3 {
				require.EqualValues(t, secured, b.link.FrameCounter(), "one more for each frame")
				frame := b.frameFrom("hello")
				require.Equal(t, level < 4, strings.Contains(string(frame), "hello"), "it is encrypted")
				a.recv(frame)
				receivesHello(t, ea)
				b.recv(a.frameFrom("hello"))
				receivesHello(t, eb)
				long := noise(500)
				require.NoError(t, eb.Send(b.now, packetOf([]byte(long)), netip.AddrPortFrom(linkA, 7), b.link.Index()))
				fragments := b.send()
				secured += 1 + len(fragments)
				for _, fragment := range fragments {
					require.LessOrEqual(t, len(fragment), wire.IEEE802154MaxFrameLen)
					a.recv(fragment)
				}
				p, _, ok := ea.Receive()
				require.True(t, ok)
				require.Equal(t, long, string(octets(p)))
			}
			require.Zero(t, a.link.Counters().Drops.Total(), "%v", a.link.Counters().Drops)
			require.Zero(t, b.link.Counters().Drops.Total(), "%v", b.link.Counters().Drops)
		})
	}
	for _, tc := range []struct {
		name  string
		peer  []any // what A is like
		frame func(a *radioScript) []byte
		cause DropCause
	}{
		{"not secured", nil, func(a *radioScript) []byte { return a.frameFrom("hello") }, DropRadioUnsecured},
		{"secured less", []any{secured(1)}, func(a *radioScript) []byte { return a.frameFrom("hello") }, DropRadioUnsecured},
		{"encrypted without a code", []any{secured(4)}, func(a *radioScript) []byte { return a.frameFrom("hello") }, DropRadioUnsecured},
		{"by another key", []any{func(c *IEEE802154Config) {
			key := radioKey
			key.Secret[0]++
			c.Security = &ieee802154.SecurityConfig{Keys: []ieee802154.Key{key}}
		}}, func(a *radioScript) []byte { return a.frameFrom("hello") }, DropRadioForged},
		{"by a key of another name", []any{func(c *IEEE802154Config) {
			key := radioKey
			key.Index++
			c.Security = &ieee802154.SecurityConfig{Keys: []ieee802154.Key{key}}
		}}, func(a *radioScript) []byte { return a.frameFrom("hello") }, DropRadioKey},
		{"changed on the way", []any{secured(5)}, func(a *radioScript) []byte {
			frame := a.frameFrom("hello")
			return patched(frame, len(frame)-5, frame[len(frame)-5]^1)
		}, DropRadioForged},
		{"with a counter that was changed", []any{secured(5)}, func(a *radioScript) []byte {
			frame := a.frameFrom("hello")
			return patched(frame, radioHeader+1, 9)
		}, DropRadioForged},
		{"by somebody else", []any{secured(5)}, func(a *radioScript) []byte {
			frame := a.frameFrom("hello")
			return patched(frame, 13, 0x0c)
		}, DropRadioForged},
		{"from a short address that is nobody's", []any{secured(5)}, func(a *radioScript) []byte {
			h := a.header()
			h.Src, h.Secured = wire.ShortAddr(9), true
			h.Security = wire.IEEE802154Security{Level: 5, KeyMode: wire.IEEE802154KeyIndex, KeyIndex: 1}
			return radioFrame(h, make([]byte, 20))
		}, DropRadioKey},
	} {
		t.Run("a frame "+tc.name+" is refused", func(t *testing.T) {
			a := newRadioScript(t, append([]any{unacknowledged, as(euiA)}, tc.peer...)...)
			b := newRadioScript(t, unacknowledged, secured(5))
			e := b.bind("[::]:7")
			b.recv(tc.frame(a))
			require.Equal(t, 1, b.drops(tc.cause), "%v", b.link.Counters().Drops)
			require.EqualValues(t, 1, b.link.Counters().Drops.Total())
			_, _, ok := e.Receive()
			require.False(t, ok)
		})
	}
	t.Run("a copy is acknowledged by who is secured, and refused", func(t *testing.T) {
		a, b := newRadioScript(t, secured(5), as(euiA)), newRadioScript(t, secured(5))
		e := b.bind("[::]:7")
		one, two := a.frameFrom("hello"), []byte(nil)
		a.acked()
		two = a.frameFrom("hello")
		a.acked()
		b.recv(one)
		b.recv(one)
		b.recv(two)
		b.recv(one)
		require.Len(t, b.send(), 4, "A may not have heard the acknowledgment")
		require.Equal(t, 2, b.drops(DropRadioReplay))
		receivesHello(t, e)
		receivesHello(t, e)
		_, _, ok := e.Receive()
		require.False(t, ok)
	})
	t.Run("who takes others too takes them", func(t *testing.T) {
		a := newRadioScript(t, unacknowledged, as(euiA))
		b := newRadioScript(t, unacknowledged, secured(5), func(c *IEEE802154Config) { c.Security.AcceptUnsecured = true })
		e := b.bind("[::]:7")
		b.recv(a.frameFrom("hello"))
		receivesHello(t, e)
	})
	t.Run("more sources than can be remembered are refused", func(t *testing.T) {
		b := newRadioScript(t, unacknowledged, secured(5), func(c *Config) { c.Limits.Lowpan.FrameCounters = 2 })
		for i := range byte(3) {
			b.recv(newRadioScript(t, unacknowledged, secured(5), as([8]byte{2, 7: i})).frameFrom("hello"))
		}
		require.Equal(t, 1, b.drops(DropRadioSources))
	})
	t.Run("a code vouches for a payload without a checksum", func(t *testing.T) {
		for level, taken := range map[uint8]bool{4: false, 5: true, 2: true} {
			a, b := mustSecurityOf(t, euiA, level), newRadioScript(t, unacknowledged, secured(level))
			e := b.bind("[::]:7")
			ip := udpTo(linkA, linkB, 1000, 7, "hello")
			p := packetOf(compress(ip, wire.LowpanLink{Src: nodeA, Dst: nodeB, ElideChecksum: true}))
			h := b.header()
			require.NoError(t, a.Protect(&h, p))
			b.recv(octets(p))
			p, _, ok := e.Receive()
			require.Equal(t, taken, ok, "level %d", level)
			if ok {
				p.Release()
			} else {
				require.Equal(t, 1, b.drops(DropLowpanChecksum))
			}
		}
	})
	t.Run("a key that is used up secures no more", func(t *testing.T) {
		b := newRadioScript(t, unacknowledged, secured(5), func(c *IEEE802154Config) { c.Security.FrameCounter = 0xfffffffe })
		b.frameFrom("hello")
		e := b.bind("[::]:9")
		for _, payload := range []string{"hello", noise(500)} {
			require.NoError(t, e.Send(b.now, packetOf([]byte(payload)), netip.AddrPortFrom(linkA, 7), b.link.Index()))
			require.Empty(t, b.send())
		}
		require.Equal(t, 2, b.drops(DropRadioSecurity))
	})
}

func mustSecurityOf(t *testing.T, eui [8]byte, level uint8) *ieee802154.Security {
	s, err := ieee802154.NewSecurity(ieee802154.SecurityConfig{Address: eui, Keys: []ieee802154.Key{radioKey}, Level: level})
	require.NoError(t, err)
	return s
}

// receivesHello requires that "hello" has come.
func receivesHello(t *testing.T, e interface {
	Receive() (*packet.Packet, netip.AddrPort, bool)
}) {
	t.Helper()
	p, _, ok := e.Receive()
	require.True(t, ok)
	require.Equal(t, "hello", string(octets(p)))
}
