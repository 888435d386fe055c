// Package neterr turns the stack's small errors into those that package net returns, so that whatever works on package
// net's errors works on smolnet's: errors.Is with syscall's error numbers, net.Error's Timeout, a type assertion to
// *net.OpError, and comparison with net.ErrClosed and os.ErrDeadlineExceeded.
//
// Nothing else in the module turns the stack's errors into such. What is wrong with the name of a network, or with the
// form of an address, never reaches the core: that is said where it is found, by package net's own types.
package neterr

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
)

// What package net reports under names that it keeps to itself. The texts are its own.
var (
	// ErrMissingAddress: there is nobody to dial or to send to.
	ErrMissingAddress = errors.New("missing address")

	// ErrNoDestination: a datagram was to be sent without an address, by a socket that is not connected.
	ErrNoDestination = errors.New("destination address required")

	// ErrNotConnected: the connection to be shut down is over.
	ErrNotConnected = errors.New("socket is not connected")

	// ErrOtherFamily: a connection was to lead from an IPv4 address to one of IPv6.
	ErrOtherFamily = errors.New("address family not supported by protocol")

	// ErrNoProtocol: an IP socket for a protocol that there cannot be one for.
	ErrNoProtocol = errors.New("protocol not supported")

	// ErrCanceled is context.Canceled in the words of package net.
	ErrCanceled error = canceledError{}

	// ErrTimeout is context.DeadlineExceeded in the words of package net. It is what a dial that took too long ends
	// with; a deadline set on a connection is os.ErrDeadlineExceeded instead.
	ErrTimeout error = timeoutError{}
)

type canceledError struct{}

func (canceledError) Error() string        { return "operation was canceled" }
func (canceledError) Is(target error) bool { return target == context.Canceled }

type timeoutError struct{}

func (timeoutError) Error() string        { return "i/o timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// numbers are the error numbers that a Unix system has for what can happen to a packet or a connection.
var numbers = []struct {
	err    error
	number syscall.Errno
}{
	{ip.ErrNetworkUnreachable, syscall.ENETUNREACH},
	{ip.ErrHostUnreachable, syscall.EHOSTUNREACH},
	{ip.ErrAddressNotAvailable, syscall.EADDRNOTAVAIL},
	{ip.ErrAddressInUse, syscall.EADDRINUSE},
	{ip.ErrConnectionRefused, syscall.ECONNREFUSED},
	{ip.ErrMessageTooLong, syscall.EMSGSIZE},
	{ip.ErrPermission, syscall.EACCES},
	{ip.ErrProtocolUnreachable, syscall.ENOPROTOOPT},
	{ip.ErrNoBufferSpace, syscall.ENOBUFS},
	{ip.ErrHostDown, syscall.EHOSTDOWN},
	{ip.ErrProtocol, syscall.EPROTO},
	{ip.ErrNotSupported, syscall.EOPNOTSUPP},
	{ip.ErrInvalid, syscall.EINVAL},
	{ip.ErrNoDevice, syscall.ENODEV},
	{ErrNotConnected, syscall.ENOTCONN},
	{ErrNoDestination, syscall.EDESTADDRREQ},
	{ErrOtherFamily, syscall.EAFNOSUPPORT},
	{ErrNoProtocol, syscall.EPROTONOSUPPORT},
	{tcp.ErrReset, syscall.ECONNRESET},
	{tcp.ErrTimeout, syscall.ETIMEDOUT},
	{tcp.ErrAborted, syscall.ECONNABORTED},
	{tcp.ErrWriteClosed, syscall.EPIPE},
	{tcp.ErrTooManyConnections, syscall.ENOBUFS},
	{tcp.ErrNoPorts, syscall.EADDRNOTAVAIL},
}

// Map returns what package net has for err, before it is put into a *net.OpError: for a sentinel of core's,
// *os.SyscallError with the error number that the named system call would fail with, or net.ErrClosed; for a context's
// error, ErrCanceled or ErrTimeout. Any other error is returned as it is.
func Map(call string, err error) error {
	switch err {
	case nil:
		return nil
	case context.Canceled:
		return ErrCanceled
	case context.DeadlineExceeded:
		return ErrTimeout
	case udp.ErrClosed, raw.ErrClosed, tcp.ErrForwarderClosed:
		return net.ErrClosed
	}
	for _, known := range numbers {
		if errors.Is(err, known.err) {
			return os.NewSyscallError(call, known.number)
		}
	}
	return err
}

// Op returns what package net returns when op fails on the network with err, which is mapped as Map does: nil and a
// bare io.EOF as they are, anything else in a *net.OpError. call is the system call that package net would name.
// Either address may be nil, or an interface that holds a nil pointer.
func Op(op, call, network string, source, addr net.Addr, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: network, Source: address(source), Addr: address(addr), Err: Map(call, err)}
}

// address makes the nil pointers of package net's types a nil interface, as net.OpError wants it.
func address(addr net.Addr) net.Addr {
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a == nil {
			return nil
		}
	case *net.UDPAddr:
		if a == nil {
			return nil
		}
	case *net.IPAddr:
		if a == nil {
			return nil
		}
	}
	return addr
}
