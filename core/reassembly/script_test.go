package reassembly

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
)

// script is a conversation with a table: which fragments come, and what becomes of them.
type script struct {
	t      testing.TB
	now    int64
	timers timer.Heap
	table  *Table
	events []string
	lost   int // fragments that the table has given up

	checksHeaders bool // of first fragments that are given up
}

var (
	them4, us4 = netip.MustParseAddr("192.168.69.100"), netip.MustParseAddr("192.168.69.1")
	them6, us6 = netip.MustParseAddr("fdaa::100"), netip.MustParseAddr("fdaa::1")
)

// The datagrams of the scripts, by the version that they are of.
var (
	key4 = Key{Src: them4, Dst: us4, ID: 1, Protocol: 17}
	key6 = Key{Src: them6, Dst: us6, ID: 1}
)

const (
	headers = "the headers of a fragment, as many as IPv6's are"
	ect0    = 2
	ect1    = 1
	ce      = 3
)

var causeNames = [Causes]string{"", "empty", "unaligned", "too long", "duplicate", "overlap", "too many", "ECN", "evicted",
	"timed out", "closed"}

func newScript(t testing.TB, change ...func(*Config)) *script {
	s := &script{t: t, checksHeaders: true}
	cfg := Config{Timers: &s.timers, Owner: s}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.table, err = New(cfg)
	require.NoError(t, err)
	before := live()
	t.Cleanup(func() {
		s.table.Close(s.now)
		require.Zero(t, s.table.Len())
		require.Zero(t, s.table.Octets())
		require.Equal(t, timer.Never, s.timers.Next())
		require.Equal(t, before, live(), "packets in nobody's hands")
	})
	return s
}

// Abandon notes down what is given up: each fragment as its offset, and the headers of the first.
func (s *script) Abandon(now int64, cause Cause, fragments *packet.Packet, headerLen int) {
	require.Equal(s.t, s.now, now)
	text := causeNames[cause] + ":"
	if headerLen > 0 {
		require.Zero(s.t, fragments.Seq)
		before := fragments.Prepend(headerLen)
		if s.checksHeaders {
			require.Equal(s.t, headers, string(before), "the headers are still there")
		}
		fragments.TrimFront(headerLen)
		text += " first"
	}
	for p := fragments; p != nil; {
		next := p.Next
		text += fmt.Sprintf(" %d", p.Seq)
		p.Release()
		p = next
		s.lost++
	}
	s.events = append(s.events, text)
}

// fragment makes a packet of the headers and the payload.
func fragment(headers, payload string) *packet.Packet {
	p := packet.New(len(headers) + len(payload))
	copy(p.Append(len(headers)), headers)
	copy(p.Append(len(payload)), payload)
	return p
}

// recv has a fragment come. A payload that ends with a plus is of one that others follow.
func (s *script) recv(key Key, offset int, payload string) { s.recvMarked(key, offset, payload, 0) }

func (s *script) recvMarked(key Key, offset int, payload string, ecn uint8) {
	payload, more := strings.CutSuffix(payload, "+")
	p := fragment(headers, payload)
	p.IP = packet.IPInfo{Src: key.Src, Dst: key.Dst, Protocol: key.Protocol, TrafficClass: 0xb8 | ecn}
	s.add(Fragment{Key: key, Offset: offset, More: more, HeaderLen: len(headers)}, p)
}

func (s *script) add(f Fragment, p *packet.Packet) {
	whole, cause := s.table.Add(s.now, &f, p)
	if cause != None {
		require.Nil(s.t, whole)
		s.events = append(s.events, fmt.Sprintf("%d %s", f.Offset, causeNames[cause]))
		p.Release()
		return
	}
	if whole == nil {
		return
	}
	require.Equal(s.t, f.Src, whole.IP.Src)
	require.Equal(s.t, f.Protocol, whole.IP.Protocol)
	require.Equal(s.t, packet.ChecksumAssembled, whole.Checksum)
	require.Nil(s.t, whole.Next)
	text, ok := strings.CutPrefix(string(whole.Head()), headers)
	require.True(s.t, ok, "it begins with the headers of the first fragment")
	if ecn := whole.IP.TrafficClass & 3; ecn != 0 {
		text += fmt.Sprintf(", ECN %d", ecn)
	}
	require.Equal(s.t, uint8(0xb8), whole.IP.TrafficClass&^3)
	s.events = append(s.events, text)
	whole.Release()
}

// after lets time pass, and the timers expire that are due meanwhile, each at its time.
func (s *script) after(d time.Duration) {
	until := s.now + int64(d)
	for s.timers.Next() <= until {
		s.now = max(s.now, s.timers.Next())
		s.timers.Expire(s.now, 1)
	}
	s.now = until
}

// want checks what has happened since the last time.
func (s *script) want(why string, events ...string) {
	s.t.Helper()
	require.Equal(s.t, events, s.events, why)
	s.events = nil
}

func (s *script) wantIdle(why string) {
	s.t.Helper()
	require.Empty(s.t, s.events, why)
}

// inBothVersions runs a conversation about a datagram of IPv4, and of IPv6.
func inBothVersions(t *testing.T, conversation func(t *testing.T, key Key)) {
	t.Run("IPv4", func(t *testing.T) { conversation(t, key4) })
	t.Run("IPv6", func(t *testing.T) { conversation(t, key6) })
}
