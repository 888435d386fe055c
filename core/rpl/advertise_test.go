package rpl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

func TestDAOIsDelayed(t *testing.T) {
	s := newLeaf(t)
	s.random = []uint64{uint64(400 * time.Millisecond)}
	s.mustRecv(nodeA, dio(256))
	s.forget()
	s.advance(400*time.Millisecond - 1)
	s.leaf.AddressesChanged(s.now)
	s.wantIdle("what happens together is told together")
	s.advance(1)
	s.want("now", "to fe80::a: DAO 240 ack, 2001:db8::5e1f, path 240 lifetime 5")
}

func TestDAOIsRepeated(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256))
	s.forget()
	const again = "to fe80::a: DAO 240 ack, 2001:db8::5e1f, path 240 lifetime 5"
	s.advance(0)
	s.want("the first", again)
	for _, wait := range []time.Duration{4, 8, 16} {
		s.advance(wait*time.Second - 1)
		s.wantIdle("not before its time")
		s.advance(1)
		s.want("the same once more", again)
	}
	s.advance(32*time.Second - 1)
	s.wantIdle("four are enough")
	s.advance(1)
	require.EqualValues(t, 1, s.leaf.Counters().Unacked)
	require.Equal(t, nodeA, s.leaf.State().Parent, "there is no other")
	s.advance(time.Minute - 1)
	s.wantIdle("it waits")
	s.advance(1)
	s.want("and tries another time", "to fe80::a: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5")
	s.mustRecv(nodeA, daoAck(241, 0))
	require.True(t, s.leaf.State().Acked)
	s.forget()
	s.advance(2 * time.Minute)
	s.wantIdle("it is acknowledged")
}

func TestDAOUnacknowledgedHasTheNextParentTried(t *testing.T) {
	lasting := with(config(func(c *wire.RPLDODAGConfigurationRepr) { c.DefaultLifetime = wire.RPLInfiniteLifetime }))
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256, lasting))
	s.mustRecv(nodeB, dio(512, lasting))
	s.advance(0)
	s.forget()
	s.advance(59 * time.Second)
	s.forget()
	s.advance(time.Second)
	s.want("the other", "to fe80::a: DAO 241, 2001:db8::5e1f, path 241 lifetime 0", "no route ::/0", "route ::/0 via fe80::b",
		"parent fe80::b", "to fe80::b: DAO 242 ack, 2001:db8::5e1f, path 242 lifetime 255")
	s.mustRecv(nodeB, daoAck(242, 0))
	s.advance(10*time.Minute - 1)
	s.mustRecv(nodeA, dio(256, lasting))
	s.wantIdle("the first is nearer to the root, but did not answer")
	s.advance(1)
	s.mustRecv(nodeA, dio(256, lasting))
	require.Equal(t, nodeA, s.leaf.State().Parent, "that is forgotten some time")
}

func TestDAORefused(t *testing.T) {
	s := newLeaf(t)
	s.mustRecv(nodeA, dio(256))
	s.mustRecv(nodeB, dio(512))
	s.advance(0)
	s.forget()
	s.mustRecv(nodeA, daoAck(240, 128))
	require.Equal(t, nodeB, s.leaf.State().Parent)
	s.advance(0)
	s.forget()
	s.mustRecv(nodeB, daoAck(242, 255))
	require.Equal(t, nodeB, s.leaf.State().Parent, "all refuse: there is no use in changing")
	require.EqualValues(t, 2, s.leaf.Counters().Refused)
	s.advance(time.Minute)
	s.want("it asks again", "to fe80::b: DAO 243 ack, 2001:db8::5e1f, path 243 lifetime 5")
	s.mustRecv(nodeB, daoAck(243, 127))
	require.True(t, s.leaf.State().Acked, "reluctantly, but accepted")
}

func TestDAOAckThatIsNotMeant(t *testing.T) {
	s := newLeaf(t)
	require.Equal(t, Unsolicited, s.recv(nodeA, daoAck(240, 0)))
	s.mustRecv(nodeA, dio(256))
	require.Equal(t, Unsolicited, s.recv(nodeA, daoAck(240, 0)), "it has not been sent yet")
	s.advance(0)
	for _, row := range []struct {
		name  string
		from  netip.Addr
		m     *wire.RPLDAOAckRepr
		cause Cause
	}{
		{"another number", nodeA, daoAck(241, 0), Unsolicited},
		{"another node", nodeB, daoAck(240, 0), WrongSource},
		{"another instance", nodeA, &wire.RPLDAOAckRepr{Instance: 2, Sequence: 240}, WrongInstance},
		{"another DODAG", nodeA, &wire.RPLDAOAckRepr{Instance: 1, Sequence: 240, DODAG: otherID}, WrongDODAG},
		{"the one", nodeA, &wire.RPLDAOAckRepr{Instance: 1, Sequence: 240, DODAG: rootID}, None},
		{"the one, again", nodeA, daoAck(240, 0), Unsolicited},
	} {
		require.Equal(t, row.cause, s.recv(row.from, row.m), row.name)
		require.Equal(t, row.cause == None || row.name == "the one, again", s.leaf.State().Acked, row.name)
	}
}

func TestDAOIsRefreshed(t *testing.T) {
	for _, row := range []struct {
		name     string
		lifetime uint8
		unit     uint16
		draw     uint64
		want     time.Duration // 0: never
	}{
		{"half the lifetime", 5, 60, 0, 150 * time.Second},
		{"up to three quarters", 5, 60, uint64(75*time.Second) - 1, 225*time.Second - 1},
		{"a second", 1, 1, 0, time.Second},
		{"infinite", 255, 60, 0, 0},
		{"no unit", 5, 0, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newLeaf(t)
			s.mustRecv(nodeA, dio(256, with(config(func(c *wire.RPLDODAGConfigurationRepr) {
				c.DefaultLifetime, c.LifetimeUnit = row.lifetime, row.unit
			}))))
			s.advance(0)
			s.forget()
			s.random = []uint64{row.draw}
			s.mustRecv(nodeA, daoAck(240, 0))
			if row.want == 0 {
				s.advance(59 * time.Minute)
				s.wantIdle("there is no need")
				return
			}
			s.advance(row.want - 1)
			s.wantIdle("not before its time")
			s.advance(1)
			require.Len(t, s.events, 1)
			require.Contains(t, s.events[0], "to fe80::a: DAO 241 ack, 2001:db8::5e1f, path 241")
		})
	}
}

func TestDTSNAsksForDAOs(t *testing.T) {
	dtsn := func(n uint8) func(*wire.RPLDIORepr) { return func(r *wire.RPLDIORepr) { r.DTSN = n } }
	s := newLeaf(t)
	s.join(nodeA, dio(256))
	s.mustRecv(nodeB, dio(512))
	s.mustRecv(nodeB, dio(512, dtsn(241)))
	s.advance(time.Second)
	s.wantIdle("only the parent's counts")
	s.mustRecv(nodeA, dio(256, dtsn(241)))
	s.advance(0)
	s.want("it asks", "to fe80::a: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5")
	s.mustRecv(nodeA, daoAck(241, 0))
	s.mustRecv(nodeA, dio(256, dtsn(241)))
	s.mustRecv(nodeA, dio(256, dtsn(240)))
	s.advance(time.Second)
	s.wantIdle("it does not ask twice, and an older number does not ask")
}

func TestAddressesChange(t *testing.T) {
	s := newLeaf(t)
	s.addresses = nil
	s.mustRecv(nodeA, dio(256))
	s.forget()
	s.advance(time.Minute)
	s.wantIdle("there is nothing to tell")
	s.addresses = []netip.Addr{ip("fe80::1"), own, globalC}
	s.leaf.AddressesChanged(s.now)
	s.advance(0)
	s.want("now there is", "to fe80::a: DAO 240 ack, 2001:db8::5e1f, 2001:db8::c, path 240 lifetime 5")
	s.mustRecv(nodeA, daoAck(240, 0))
	s.addresses = []netip.Addr{own, globalB}
	s.leaf.AddressesChanged(s.now)
	s.advance(0)
	s.want("one has gone", "to fe80::a: DAO 241 ack, 2001:db8::5e1f, 2001:db8::b, path 241 lifetime 5, 2001:db8::c, path 241 lifetime 0")
	s.addresses = nil
	s.leaf.AddressesChanged(s.now)
	s.advance(0)
	s.want("all have, though nobody has said that they know of the last",
		"to fe80::a: DAO 242 ack, 2001:db8::5e1f, 2001:db8::b, 2001:db8::c, path 242 lifetime 0")
	s.mustRecv(nodeA, daoAck(242, 0))
	s.leaf.Stop(s.now)
	s.want("nothing is left to be taken back", "no route ::/0", "no parent")
}

func TestAddressesAreBounded(t *testing.T) {
	s := newLeaf(t, func(c *LeafConfig) { c.Targets = 3 })
	s.mustRecv(nodeA, dio(256))
	s.advance(0)
	for i := range 100 {
		s.addresses = nil
		for j := range 10 {
			s.addresses = append(s.addresses, netip.AddrFrom16([16]byte{0x20, 1, 13: byte(i), 15: byte(j)}))
		}
		s.leaf.AddressesChanged(s.now)
		s.advance(0)
		require.Len(t, s.leaf.advertiser.current, 3)
		require.LessOrEqual(t, len(s.leaf.advertiser.known), 6)
	}
}

func TestLocalInstanceSaysItsDODAG(t *testing.T) {
	s := newLeaf(t, func(c *LeafConfig) { c.Instances = []uint8{0x81} })
	s.mustRecv(nodeA, dio(256, func(r *wire.RPLDIORepr) { r.Instance = 0x81 }))
	s.advance(0)
	require.Equal(t, rootID, s.leaf.advertiser.message.DODAG)
}

func TestParentChangeInNonStoringMode(t *testing.T) {
	s := newLeaf(t)
	s.join(nodeA, dio(512, nonStoring, with(config(), pio(time.Hour))))
	s.mustRecv(nodeB, dio(256, nonStoring))
	s.advance(0)
	s.want("the root learns the new way in place of the old", "no route ::/0", "route ::/0 via fe80::b", "parent fe80::b",
		"to 2001:db8::1: DAO 241 ack, 2001:db8::5e1f, path 241 lifetime 5 parent 2001:db8::1")
}
