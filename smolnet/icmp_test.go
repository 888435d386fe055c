package smolnet_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/smolnet"
)

// reported are ICMP errors, and what package net's users see of them.
var reported = []struct {
	name string
	kind uint8
	code uint8
	want syscall.Errno
}{
	{"port unreachable", wire.ICMPv4DestinationUnreachable, wire.ICMPv4PortUnreachable, syscall.ECONNREFUSED},
	{"host unreachable", wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostUnreachable, syscall.EHOSTUNREACH},
	{"net unreachable", wire.ICMPv4DestinationUnreachable, wire.ICMPv4NetUnreachable, syscall.ENETUNREACH},
	{"time exceeded", wire.ICMPv4TimeExceeded, wire.ICMPv4TTLExceeded, syscall.EHOSTUNREACH},
}

// RFC 1122 section 4.2.3.9 has unreachable networks and hosts not abort a connection. While one is being opened they do, as RFC
// 5461 describes it of other systems: whoever dials wants to try the next address, not to wait for minutes.
func TestDialFailsByICMP(t *testing.T) {
	for _, tc := range reported {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, far := newBare(t)
				began, dialed := time.Now(), make(chan error)
				go func() {
					_, err := s.Dial("tcp", "192.168.69.100:80")
					dialed <- err
				}()
				synctest.Wait()
				ip, _ := far.last()
				far.reports(ip, tc.kind, tc.code)
				err := <-dialed
				requireOp(t, err, "dial")
				require.Equal(t, os.NewSyscallError("connect", tc.want), err.(*net.OpError).Err)
				require.Zero(t, time.Since(began), "nobody has waited")
			})
		})
	}
}

// Once a connection is established the same errors end nothing: they may be a route that is being mended. But if in the end the
// connection times out, they say why.
func TestICMPIsReportedInsteadOfATimeout(t *testing.T) {
	open := func(t *testing.T) (*smolnet.TCPConn, *bare) {
		s, far := newBare(t)
		go func() {
			synctest.Wait()
			ip, segment := far.last()
			far.answers(ip, segment, wire.TCPSyn)
		}()
		c, err := s.Dial("tcp", "192.168.69.100:80")
		require.NoError(t, err)
		require.NoError(t, c.(*smolnet.TCPConn).SetUserTimeout(10*time.Second))
		synctest.Wait()
		far.hears()
		return c.(*smolnet.TCPConn), far
	}
	fails := func(t *testing.T, c *smolnet.TCPConn, began time.Time, want syscall.Errno) {
		t.Helper()
		_, err := c.Read(make([]byte, 1))
		requireOp(t, err, "read")
		require.Equal(t, os.NewSyscallError("read", want), err.(*net.OpError).Err)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.NoError(t, c.Close())
	}
	for _, tc := range reported {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, far := open(t)
				began := time.Now()
				_, err := c.Write([]byte("hello"))
				require.NoError(t, err)
				synctest.Wait()
				ip, _ := far.last()
				far.reports(ip, tc.kind, tc.code)
				fails(t, c, began, tc.want)
			})
		})
	}
	t.Run("nothing is reported", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := open(t)
			began := time.Now()
			_, err := c.Write([]byte("hello"))
			require.NoError(t, err)
			fails(t, c, began, syscall.ETIMEDOUT)
		})
	})
	t.Run("it was reported before the peer was heard again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, far := open(t)
			_, err := c.Write([]byte("hello"))
			require.NoError(t, err)
			synctest.Wait()
			ip, segment := far.last()
			far.reports(ip, wire.ICMPv4DestinationUnreachable, wire.ICMPv4HostUnreachable)
			far.answers(ip, segment, 0)
			synctest.Wait()
			began := time.Now()
			_, err = c.Write([]byte("again"))
			require.NoError(t, err)
			fails(t, c, began, syscall.ETIMEDOUT)
		})
	})
}
