package neterr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
)

func TestSentinelsBecomeErrorNumbers(t *testing.T) {
	for _, tc := range []struct {
		err     error
		want    syscall.Errno
		timeout bool
	}{
		{ip.ErrNetworkUnreachable, syscall.ENETUNREACH, false},
		{ip.ErrHostUnreachable, syscall.EHOSTUNREACH, false},
		{ip.ErrAddressNotAvailable, syscall.EADDRNOTAVAIL, false},
		{ip.ErrAddressInUse, syscall.EADDRINUSE, false},
		{ip.ErrConnectionRefused, syscall.ECONNREFUSED, false},
		{ip.ErrMessageTooLong, syscall.EMSGSIZE, false},
		{ip.ErrPermission, syscall.EACCES, false},
		{ip.ErrProtocolUnreachable, syscall.ENOPROTOOPT, false},
		{ip.ErrHostDown, syscall.EHOSTDOWN, false},
		{ip.ErrProtocol, syscall.EPROTO, false},
		{ip.ErrNotSupported, syscall.EOPNOTSUPP, false},
		{ip.ErrNoBufferSpace, syscall.ENOBUFS, false},
		{ip.ErrInvalid, syscall.EINVAL, false},
		{ip.ErrNoDevice, syscall.ENODEV, false},
		{tcp.ErrReset, syscall.ECONNRESET, false},
		{tcp.ErrTimeout, syscall.ETIMEDOUT, true},
		{tcp.ErrAborted, syscall.ECONNABORTED, false},
		{tcp.ErrWriteClosed, syscall.EPIPE, false},
		{tcp.ErrTooManyConnections, syscall.ENOBUFS, false},
		{tcp.ErrNoPorts, syscall.EADDRNOTAVAIL, false},
		{ErrNotConnected, syscall.ENOTCONN, false},
		{ErrNoDestination, syscall.EDESTADDRREQ, false},
		{ErrOtherFamily, syscall.EAFNOSUPPORT, false},
		{ErrNoProtocol, syscall.EPROTONOSUPPORT, false},
		{fmt.Errorf("remote address [::]:0: %w", ip.ErrInvalid), syscall.EINVAL, false},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			err := Op("read", "recvmsg", "tcp", nil, nil, tc.err)
			require.ErrorIs(t, err, tc.want)

			// net/http and others look for exactly these types, one inside the other.
			op, ok := err.(*net.OpError)
			require.True(t, ok, "%T", err)
			call, ok := op.Err.(*os.SyscallError)
			require.True(t, ok, "%T", op.Err)
			require.Equal(t, "recvmsg", call.Syscall)
			require.Equal(t, tc.want, call.Err)
			require.Equal(t, tc.timeout, op.Timeout())
		})
	}
}

func TestEverySentinelIsMapped(t *testing.T) {
	for _, known := range numbers {
		var call *os.SyscallError
		require.ErrorAs(t, Map("read", known.err), &call, "%v", known.err)
	}
	require.Len(t, numbers, 24, "a row of the table above is missing")
}

func TestClosedEndpoint(t *testing.T) {
	require.Equal(t, net.ErrClosed, Map("sendto", udp.ErrClosed))
	require.Equal(t, net.ErrClosed, Map("accept", tcp.ErrForwarderClosed))
}

func TestMapLeavesAlone(t *testing.T) {
	other := errors.New("other")
	for _, err := range []error{
		nil, other, io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, net.ErrWriteToConnected, ErrMissingAddress,
		net.UnknownNetworkError("foo"), os.NewSyscallError("bind", syscall.EADDRINUSE),
	} {
		require.Equal(t, err, Map("connect", err))
	}
}

func TestContextErrors(t *testing.T) {
	err := Op("dial", "connect", "tcp", nil, nil, context.Canceled)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "operation was canceled")
	require.False(t, err.(net.Error).Timeout())

	err = Op("dial", "connect", "tcp", nil, nil, context.DeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "package net keeps a dial's timeout apart from a deadline")
	require.ErrorContains(t, err, "i/o timeout")
	require.True(t, err.(net.Error).Timeout())
}

func TestContextErrorsReadAsPackageNets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, theirs := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1")
	require.Equal(t, errors.Unwrap(theirs).Error(), Map("", context.Canceled).Error())

	_, theirs = (&net.Dialer{Timeout: -1}).Dial("tcp", "127.0.0.1:1")
	require.Equal(t, errors.Unwrap(theirs).Error(), Map("", context.DeadlineExceeded).Error())

	_, theirs = (&net.Dialer{}).Dial("tcp", "")
	require.Equal(t, errors.Unwrap(theirs).Error(), ErrMissingAddress.Error())
}

func TestOp(t *testing.T) {
	require.NoError(t, Op("read", "read", "tcp", nil, nil, nil))
	require.Equal(t, io.EOF, Op("read", "read", "tcp", nil, nil, io.EOF), "the end of a stream is bare")

	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	remote := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2}
	err := Op("read", "read", "tcp4", local, remote, tcp.ErrReset)
	require.EqualError(t, err, "read tcp4 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer")

	for _, nothing := range []net.Addr{nil, (*net.TCPAddr)(nil), (*net.UDPAddr)(nil), (*net.IPAddr)(nil)} {
		op := Op("dial", "connect", "tcp", nothing, nothing, tcp.ErrReset).(*net.OpError)
		require.True(t, op.Source == nil && op.Addr == nil, "a nil pointer of type %T is no address", nothing)
		require.EqualError(t, op, "dial tcp: connect: connection reset by peer")
	}
}

func TestAcceptErrorsAreNotTemporary(t *testing.T) {
	// Otherwise http.Server.Serve would try for ever.
	err := Op("accept", "accept", "tcp", nil, nil, net.ErrClosed)
	require.False(t, err.(*net.OpError).Temporary())
	require.ErrorIs(t, err, net.ErrClosed)
}
