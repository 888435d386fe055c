package smolnet_test

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

func TestConn(t *testing.T) {
	inPlaces(t, func(t *testing.T, p place) {
		t.Parallel() // most of the time it waits
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			dialing, listening := p.stacks(t)
			l, err := listening.Listen(p.network, p.address)
			if err != nil {
				return nil, nil, nil, err
			}
			c1, err = dialing.Dial(p.network, l.Addr().String())
			if err != nil {
				return nil, nil, nil, err
			}
			c2, err = l.Accept()
			return c1, c2, func() {
				c1.Close()
				c2.Close()
				l.Close()
				dialing.Close()
				listening.Close()
			}, err
		})
	})
}
