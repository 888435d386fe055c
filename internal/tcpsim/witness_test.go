package tcpsim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// said is a segment that one end sends, and that reaches the other. Sequence numbers count from the initial ones, which
// are near the end of the space.
type said struct {
	from int
	segment
}

// greeting is a good conversation: the handshake, and a hundred octets, of 999 that are written, into a window of 500.
var greeting = []said{
	{0, segment{flags: wire.TCPSyn, window: 1000}},
	{1, segment{flags: wire.TCPSyn, ack: 1, window: 500}},
	{0, segment{seq: 1, ack: 1, window: 1000}},
	{0, segment{seq: 1, ack: 1, window: 1000, length: 100}},
	{1, segment{seq: 1, ack: 101, window: 400}},
}

// The witness must be able to object: each row ends with a segment that is wrong, or with nothing wrong at all.
func TestWitness(t *testing.T) {
	ack := said{1, segment{seq: 1, ack: 101, window: 400}}
	fin := said{0, segment{seq: 101, ack: 1, window: 1000, flags: wire.TCPFin}}
	closed := said{1, segment{seq: 1, ack: 101}}
	for _, tc := range []struct {
		name    string
		then    []said
		objects string
	}{
		{"the window to its edge", []said{{0, segment{seq: 101, ack: 1, window: 1000, length: 400}}}, ""},
		{"a hole", []said{{0, segment{seq: 102, ack: 1, window: 1000, length: 10}}}, "only 101 have been sent"},
		{"what was not written", []said{{0, segment{seq: 101, ack: 1, window: 1000, length: 900}}}, "only 999 have been written"},
		{"beyond the window", []said{{0, segment{seq: 101, ack: 1, window: 1000, length: 401}}}, "the window, which ends at 501"},
		{
			"a probe of a full window",
			[]said{{0, segment{seq: 101, ack: 1, window: 1000, length: 400}}, {0, segment{seq: 501, ack: 1, window: 1000, length: 1}}}, "",
		},
		{
			"a probe of two octets",
			[]said{{0, segment{seq: 101, ack: 1, window: 1000, length: 400}}, {0, segment{seq: 501, ack: 1, window: 1000, length: 2}}},
			"beyond the window",
		},
		{"what was not sent is acknowledged", []said{{1, segment{seq: 1, ack: 102, window: 400}}}, "and 101 have been sent"},
		{"an acknowledgment goes back", []said{{1, segment{seq: 1, ack: 50, window: 451}}}, "101 was acknowledged before"},
		{"the right edge moves left", []said{{1, segment{seq: 1, ack: 101, window: 399}}}, "from 501 to 500"},
		{"the window closes after the FIN", []said{fin, {1, segment{seq: 1, ack: 102}}}, ""},
		{"the window closes before the FIN has come", []said{fin, closed}, "from 501 to 101"},
		{"the FIN moves", []said{fin, {0, segment{seq: 101, ack: 1, window: 1000, length: 1}}}, "the FIN is at 101"},
		{
			"another initial sequence number",
			[]said{{0, segment{seq: 7, flags: wire.TCPSyn, window: 1000}}}, "the initial sequence number",
		},
		{"acknowledgments without a cause", []said{ack, ack, ack, ack}, "without a cause"},
		{"acknowledgments of repeated octets", []said{greeting[3], ack, greeting[3], ack, greeting[3], ack, greeting[3], ack}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &Flow{network: &Network{}}
			for side := range f.ends {
				f.ends[side] = &end{flow: f, side: side, wrote: 999}
			}
			for _, s := range greeting {
				require.NoError(t, f.pass(s))
			}
			last := len(tc.then) - 1
			for _, s := range tc.then[:last] {
				require.NoError(t, f.pass(s))
			}
			err := f.pass(tc.then[last])
			if tc.objects == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.objects)
			}
		})
	}
}

// pass has a segment pass from one end to the other.
func (f *Flow) pass(s said) error {
	first := [2]uint32{1<<32 - 50, 1<<32 - 1}
	s.seq += first[s.from]
	if s.ack != 0 {
		s.flags |= wire.TCPAck
		s.ack += first[1-s.from]
	}
	if err := f.sent(s.from, &s.segment); err != nil {
		return err
	}
	f.received(1-s.from, &s.segment)
	return nil
}
