package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// operation is a kind of call, as far as the errors are concerned that it may return.
type operation int

const (
	opening      operation = iota // Dial and Listen in all their forms
	reading                       // Read, ReadFrom and their like
	writing                       // Write, WriteTo and their like
	closing                       // Close, again
	shuttingDown                  // CloseRead, CloseWrite
	accepting                     // Accept
	setting                       // SetDeadline and all other setters
	free                          // calls that package net has no rules for
)

// What may be inside a *net.OpError of every operation, apart from an error number, bare or in an *os.SyscallError: errors that
// are the same, and texts of those that package net does not export.
var inside = map[operation]struct {
	errors []error
	texts  []string
	types  bool // also those that are wrong addresses and names
}{
	opening: {
		[]error{net.ErrClosed, context.Canceled, context.DeadlineExceeded},
		[]string{"operation was canceled", "missing address", "i/o timeout", "no suitable address found"},
		true,
	},
	reading: {[]error{net.ErrClosed, os.ErrDeadlineExceeded}, nil, false},
	writing: {
		[]error{net.ErrClosed, os.ErrDeadlineExceeded, net.ErrWriteToConnected, io.ErrUnexpectedEOF},
		[]string{"operation was canceled", "missing address"},
		true,
	},
	closing:      {[]error{net.ErrClosed}, nil, false},
	shuttingDown: {[]error{net.ErrClosed}, nil, false},
	accepting:    {[]error{net.ErrClosed, os.ErrDeadlineExceeded}, nil, false},
	setting:      {[]error{net.ErrClosed}, nil, false},
}

// breaks says which of the rules that package net's own tests hold its errors to err breaks, or is nil. No error breaks none.
func (op operation) breaks(err error) error {
	switch {
	case err == nil || op == free:
		return nil
	case op == reading && err == io.EOF:
		return nil
	case op == closing && !errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%v is not net.ErrClosed", err)
	case op == closing && !strings.Contains(err.Error(), "use of closed network connection"):
		return fmt.Errorf("programs look for another text than %q", err) // those that are older than net.ErrClosed
	}
	outer, ok := err.(*net.OpError)
	if !ok {
		return fmt.Errorf("%T, not a *net.OpError, is outermost", err)
	}
	if err := incomplete(outer); err != nil {
		return err
	}
	if call, ok := outer.Err.(*os.SyscallError); ok {
		if _, ok := call.Err.(syscall.Errno); !ok {
			return fmt.Errorf("%T, not an error number, is in the *os.SyscallError", call.Err)
		}
		if call.Syscall == "" {
			return fmt.Errorf("%v is of no system call", err)
		}
		return nil
	}
	allowed := inside[op]
	switch outer.Err.(type) {
	case syscall.Errno:
		return nil
	case *net.AddrError, *net.DNSError, net.InvalidAddrError, *net.ParseError, net.UnknownNetworkError:
		if allowed.types {
			return nil
		}
	}
	if slices.Contains(allowed.errors, outer.Err) || slices.Contains(allowed.texts, outer.Err.Error()) {
		return nil
	}
	return fmt.Errorf("%T (%v) is in the *net.OpError", outer.Err, outer.Err)
}

// incomplete says which field of e lacks what package net always has there.
func incomplete(e *net.OpError) error {
	switch {
	case e.Op == "":
		return fmt.Errorf("no Op: %v", e)
	case e.Net == "":
		return fmt.Errorf("no Net: %v", e)
	case e.Err == nil:
		return errors.New("no Err")
	}
	for _, addr := range []net.Addr{e.Source, e.Addr} {
		if typedNil(addr) {
			return fmt.Errorf("an address is a nil %T: %v", addr, e)
		}
		switch addr.(type) {
		case nil, *net.TCPAddr, *net.UDPAddr, *net.IPAddr:
		default:
			// Package net returns what it was given, and for a netip.AddrPort a type of its own.
			if addr.Network() == "" {
				return fmt.Errorf("an address of the type %T: %v", addr, e)
			}
		}
	}
	return nil
}

// typedNil reports whether v is not nil, and yet there is nothing in it.
func typedNil(v any) bool {
	switch v := v.(type) {
	case *net.TCPAddr:
		return v == nil
	case *net.UDPAddr:
		return v == nil
	case *net.IPAddr:
		return v == nil
	}
	return false
}

// kindOf is the kind of call that has the Op in its errors. Closing and shutting down have the same: then it is what has fewer rules.
func kindOf(op string) operation {
	switch op {
	case "dial", "listen":
		return opening
	case "read":
		return reading
	case "write":
		return writing
	case "close":
		return shuttingDown
	case "accept":
		return accepting
	case "set":
		return setting
	}
	return free
}

// requireRules requires that err, which is not nil, is as package net's errors of the operation are.
func requireRules(t testing.TB, op operation, err error) {
	t.Helper()
	require.Error(t, err)
	require.NoError(t, op.breaks(err))
}

func TestRulesOfErrors(t *testing.T) {
	closed := &net.OpError{Op: "close", Net: "tcp", Err: net.ErrClosed}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for _, tc := range []struct {
		name string
		op   operation
		err  error
		ok   bool
	}{
		{"no error", reading, nil, true},
		{"the end, bare", reading, io.EOF, true},
		{"the end, of a dial", opening, io.EOF, false},
		{"the end, wrapped", reading, &net.OpError{Op: "read", Net: "tcp", Err: io.EOF}, false},
		{"closed", closing, closed, true},
		{"closed, bare", closing, net.ErrClosed, false},
		{"closed with a failure", closing, &net.OpError{Op: "close", Net: "tcp", Err: refused}, false},
		{"shut down with a failure", shuttingDown, &net.OpError{Op: "close", Net: "tcp", Err: refused}, true},
		{"refused", opening, &net.OpError{Op: "dial", Net: "tcp", Err: refused}, true},
		{"refused, without an Op", opening, &net.OpError{Net: "tcp", Err: refused}, false},
		{"refused, without a Net", opening, &net.OpError{Op: "dial", Err: refused}, false},
		{"nothing inside", opening, &net.OpError{Op: "dial", Net: "tcp"}, false},
		{"a nil address", opening, &net.OpError{Op: "dial", Net: "tcp", Addr: (*net.TCPAddr)(nil), Err: refused}, false},
		{"a number, bare", reading, syscall.EINVAL, false},
		{"a number without a call", writing, &net.OpError{Op: "write", Net: "udp", Err: syscall.EINVAL}, true},
		{"something else in the call", reading, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", io.EOF)}, false},
		{"a number of no call", reading, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("", syscall.EINVAL)}, false},
		{"deadline", reading, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, true},
		{"deadline of a dial", opening, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, true},
		{"wrong address", opening, &net.OpError{Op: "dial", Net: "tcp", Err: &net.AddrError{}}, true},
		{"wrong address to read", reading, &net.OpError{Op: "read", Net: "tcp", Err: &net.AddrError{}}, false},
		{"twice wrapped", writing, &net.OpError{Op: "write", Net: "tcp", Err: closed}, false},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.ok, tc.op.breaks(tc.err) == nil, "%v", tc.op.breaks(tc.err)) })
	}
}
