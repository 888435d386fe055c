package tcp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimestampOffsetBelongsToTheConnection(t *testing.T) {
	s := newScript(t)
	a, b := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:80")
	offset := func(local, remote netip.AddrPort) uint32 {
		i := newID(local, remote, 0)
		return s.host.tsOffset(&i)
	}
	is := offset(a, b)
	require.Equal(t, is, offset(a, b), "the same whenever the name is used again")
	for name, other := range map[string]uint32{
		"another local port":     offset(addPort(a, 1), b),
		"another remote port":    offset(a, addPort(b, 1)),
		"another local address":  offset(netip.MustParseAddrPort("192.0.2.3:1000"), b),
		"another remote address": offset(a, netip.MustParseAddrPort("192.0.2.3:80")),
		"the other direction":    offset(b, a),
	} {
		require.NotEqual(t, is, other, name)
	}
	other := newScript(t)
	other.host.secret[0]++
	i := newID(a, b, 0)
	require.NotEqual(t, is, other.host.tsOffset(&i), "nobody without the secret can know it")
	require.NotEqual(t, s.host.isn(0, &i), is, "nor tell it from an initial sequence number")
}

// A segment that was delayed while the sequence space went round once, and so fits again: the timestamp tells that it is old. Without,
// it is taken for what is to come.
func TestOldDuplicateFromBeforeAWrap(t *testing.T) {
	for _, row := range []struct {
		name string
		ts   bool
		want string
	}{{"with timestamps", true, "right"}, {"without", false, "wrong"}} {
		t.Run(row.name, func(t *testing.T) {
			s := sacking(t, row.ts)
			old := seg{flags: ".", seq: 11, ack: 1, win: 65535, data: "wrong"}
			first := seg{flags: ".", seq: 1, ack: 1, win: 65535, data: "0123456789"}
			again := seg{flags: ".", seq: 11, ack: 1, win: 65535, data: "right"}
			if row.ts {
				old.tsval, first.tsval, again.tsval = 1000, 50_000, 50_000
			}
			s.recv(first)
			s.recv(old)
			s.recv(again)
			s.answers()
			s.wantRead("what is read", "0123456789"+row.want)
		})
	}
}
