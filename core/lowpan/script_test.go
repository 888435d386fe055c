package lowpan

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// script is a conversation with a Reassembly: which fragments come, and what becomes of them.
type script struct {
	t          testing.TB
	now        int64
	timers     timer.Heap
	reassembly *Reassembly
	events     []string
}

var (
	them  = wire.ExtendedAddr([8]byte{0x1a, 0x0b, 0x42, 0xff, 0xfe, 0, 0, 1})
	them2 = wire.ShortAddr(0xbeef)
	us    = wire.ExtendedAddr([8]byte{0x1a, 0x0b, 0x42, 0xff, 0xfe, 0, 0, 2})
)

// longest is the length of the longest datagram, in octets.
const longest = wire.LowpanMaxDatagramSize

func newScript(t testing.TB, change ...func(*ReassemblyConfig)) *script {
	s := &script{t: t}
	cfg := ReassemblyConfig{Timers: &s.timers, Owner: s}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	s.reassembly, err = NewReassembly(cfg)
	require.NoError(t, err)
	before := live()
	t.Cleanup(func() {
		s.reassembly.Close(s.now)
		require.Zero(t, s.reassembly.Len())
		require.Zero(t, s.reassembly.Octets())
		require.Equal(t, timer.Never, s.timers.Next())
		require.Equal(t, before, live(), "packets in nobody's hands")
	})
	return s
}

// Abandon notes down what is given up, by its tag.
func (s *script) Abandon(now int64, cause Cause, key Key) {
	require.Equal(s.t, s.now, now)
	s.events = append(s.events, fmt.Sprintf("%v: tag %d", cause, key.Tag))
}

// keyOf is a datagram from them to us.
func keyOf(size, tag int) Key { return Key{Src: them, Dst: us, Size: uint16(size), Tag: uint16(tag)} }

// content is what a datagram of a length holds: other octets for each content, and no two units the same.
func content(size int, which byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i) ^ byte(i/unit*37) ^ which*0x55
	}
	return b
}

// recv has the octets from up to, but not including, to come of a datagram.
func (s *script) recv(key Key, from, to int) { s.recvContent(key, from, to, 0) }

func (s *script) recvContent(key Key, from, to int, which byte) {
	s.add(Fragment{Key: key, Offset: from}, content(max(int(key.Size), to), which)[from:to])
}

// add has a fragment come. It notes down what was refused, and what is whole.
func (s *script) add(f Fragment, payload []byte) {
	p := packet.New(len(payload))
	copy(p.Append(len(payload)), payload)
	p.IP.Link, p.IP.Group = 7, true
	whole, cause := s.reassembly.Add(s.now, &f, p)
	require.Equal(s.t, len(payload), p.Len(), "it remains ours")
	p.Release()
	if cause != None {
		require.Nil(s.t, whole)
		s.events = append(s.events, fmt.Sprintf("%d %v", f.Offset, cause))
	}
	if whole == nil {
		return
	}
	require.EqualValues(s.t, 7, whole.IP.Link)
	require.True(s.t, whole.IP.Group)
	require.Equal(s.t, packet.ChecksumAssembled, whole.Checksum)
	require.Nil(s.t, whole.Next)
	text := "garbage"
	for which := range byte(3) {
		if string(content(int(f.Size), which)) == string(whole.Head()) {
			text = fmt.Sprintf("whole: tag %d, content %d", f.Tag, which)
		}
	}
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
