package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
)

// An atomic fragment has nothing to do with fragments of the same source, destination and identification that wait for others: it
// neither becomes part of their packet nor spoils it.
//
// https://www.rfc-editor.org/rfc/rfc6946.html#section-4
func TestAtomicFragmentsAreApart(t *testing.T) {
	s := newScript(t)
	e := s.bind("[::]:7")
	said := noise(100)
	fragments := inFragments(udpTo(them6, us6, 1000, 7, said), 1, 48)
	atomic := fragment6(1, 0, false, ip.ProtocolUDP, udpTo(them6, us6, 1000, 7, "atomic")[40:])
	s.recv(toUs(atomic))
	s.wantDatagram(e, "atomic", "[fdaa::100]:1000")
	for _, fragment := range fragments[:len(fragments)-1] {
		s.recv(toUs(fragment))
		s.recv(toUs(atomic))
		s.wantDatagram(e, "atomic", "[fdaa::100]:1000")
	}
	s.recv(toUs(fragments[len(fragments)-1]))
	s.wantDatagram(e, said, "[fdaa::100]:1000")
	require.EqualValues(t, 1, s.link.Counters().IPv6.ReasmOKs)
	require.Zero(t, s.stack.fragments.Len())
}
