package smolnet_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireSystemError holds that err is what package net makes of a system call's error: *net.OpError over
// *os.SyscallError over the number.
func requireSystemError(t testing.TB, err error, op, call string, number syscall.Errno) *net.OpError {
	t.Helper()
	require.ErrorIs(t, err, number)
	require.IsType(t, (*net.OpError)(nil), err)
	failure := err.(*net.OpError)
	require.Equal(t, op, failure.Op)
	requireRules(t, kindOf(op), err)
	require.Equal(t, os.NewSyscallError(call, number), failure.Err)
	return failure
}

// expect reads as many octets as are wanted.
func expect(r io.Reader, want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err == nil && !bytes.Equal(want, got) {
		err = fmt.Errorf("%d octets were read, and they are not those that were written", n)
	}
	return err
}

func read(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	require.NoError(t, expect(r, want))
}

// readEOF holds that nothing is left to read.
func readEOF(t testing.TB, r io.Reader) {
	t.Helper()
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)
}

// halfClose: whichever end has said all that it has to say can still be spoken to.
func halfClose(t *testing.T, w way) {
	for _, clientFirst := range []bool{true, false} {
		first, second := w.connect(t)
		if !clientFirst {
			first, second = second, first
		}
		_, err := first.Write([]byte("that is all"))
		require.NoError(t, err)
		require.NoError(t, first.CloseWrite())
		_, err = first.Write([]byte("or is it?"))
		requireSystemError(t, err, "write", "write", syscall.EPIPE)
		read(t, second, []byte("that is all"))
		readEOF(t, second)

		answer := noise(3, 1<<20)
		answered := start(func() error {
			if _, err := second.Write(answer); err != nil {
				return err
			}
			return second.CloseWrite()
		})
		read(t, first, answer)
		require.NoError(t, <-answered)
		readEOF(t, first)
		readEOF(t, second)
		require.NoError(t, first.Close())
		require.NoError(t, second.Close())
	}
}

// reset: an end that closes with a linger time of 0 ends both directions at once.
func reset(t *testing.T, w way) {
	for _, byClient := range []bool{true, false} {
		ends, told := w.connect(t)
		if !byClient {
			ends, told = told, ends
		}
		require.NoError(t, ends.SetLinger(0))
		require.NoError(t, ends.Close())
		_, err := told.Read(make([]byte, 1))
		requireSystemError(t, err, "read", "read", syscall.ECONNRESET)
		_, err = told.Write([]byte("hello?"))
		requireSystemError(t, err, "write", "write", syscall.EPIPE)
	}
}

// closeUnread: an end that closes without having read everything says so by a reset.
func closeUnread(t *testing.T, w way) {
	for _, byClient := range []bool{true, false} {
		writer, reader := w.connect(t)
		if byClient {
			writer, reader = reader, writer
		}
		_, err := writer.Write([]byte("two"))
		require.NoError(t, err)
		read(t, reader, []byte("t"))
		require.NoError(t, reader.Close())
		_, err = writer.Read(make([]byte, 1))
		requireSystemError(t, err, "read", "read", syscall.ECONNRESET)
	}
}

// closeOnWriter: so it does when the other end is busy writing.
func closeOnWriter(t *testing.T, w way) {
	for _, byClient := range []bool{true, false} {
		writer, reader := w.connect(t)
		if byClient {
			writer, reader = reader, writer
		}
		data := noise(4, large)
		writing := start(func() error {
			_, err := writer.Write(data)
			return err
		})
		// Of a segment of so much data there is a rest, and more than the buffers hold is to follow.
		read(t, reader, data[:1])
		require.NoError(t, reader.Close())
		requireSystemError(t, <-writing, "write", "write", syscall.ECONNRESET)
	}
}

// refused: where nobody listens, a caller is told at once.
func refused(t *testing.T, w way) {
	l := w.listen(t)
	address := l.Addr()
	require.NoError(t, l.Close())
	_, err := w.dial("tcp", address.String())
	failure := requireSystemError(t, err, "dial", "connect", syscall.ECONNREFUSED)
	require.Equal(t, "tcp", failure.Net)
	require.Equal(t, address.String(), failure.Addr.String())
	require.Nil(t, failure.Source)
	require.False(t, failure.Timeout())
	require.EqualError(t, err, "dial tcp "+address.String()+": connect: connection refused")
}

// bothAtOnce: both ends write what neither could hold, and read meanwhile.
func bothAtOnce(t *testing.T, w way) {
	client, server := w.connect(t)
	said := [2][]byte{noise(6, large/4), noise(7, large/4)}
	var done []<-chan error
	for i, end := range []stream{client, server} {
		done = append(done,
			start(func() error {
				if _, err := end.Write(said[i]); err != nil {
					return err
				}
				return end.CloseWrite()
			}),
			start(func() error { return expect(end, said[1-i]) }))
	}
	for _, err := range done {
		require.NoError(t, <-err)
	}
	readEOF(t, client)
	readEOF(t, server)
}

// TestKernelZeroWindow: a reader reads nothing for five seconds, in which the writer finds neither room nor the end;
// then it reads everything.
func TestKernelZeroWindow(t *testing.T) {
	const long = 5 * time.Second
	for _, stackWrites := range []bool{true, false} {
		name := "kernel writes to stack"
		if stackWrites {
			name = "stack writes to kernel"
		}
		t.Run(name, func(t *testing.T) {
			withKernel(t, overTap, func(t *testing.T, c *cable) {
				var writers, readers []stream
				for _, w := range c.ways() {
					if (w.client == c.stack) == stackWrites {
						client, server := w.connect(t)
						writers, readers = append(writers, client), append(readers, server)
					}
				}
				data := noise(5, large)
				type progress struct {
					n   int
					err error
				}
				stuck := make([]chan progress, len(writers))
				for i, writer := range writers {
					stuck[i] = make(chan progress, 1)
					require.NoError(t, writer.SetWriteDeadline(time.Now().Add(long)))
					go func() {
						n, err := writer.Write(data)
						stuck[i] <- progress{n, err}
					}()
				}
				written := make([]int, len(writers))
				for i := range writers {
					p := <-stuck[i]
					require.ErrorIs(t, p.err, os.ErrDeadlineExceeded)
					require.Positive(t, p.n)
					require.Less(t, p.n, len(data))
					written[i] = p.n
				}
				if stackWrites {
					require.GreaterOrEqual(t, c.counters().ZeroWindowProbes, uint64(2*len(writers)))
				} else {
					require.GreaterOrEqual(t, kernelCounter(t, "TCPWinProbe"), 2*len(writers))
				}

				var rest []<-chan error
				for i, writer := range writers {
					require.NoError(t, writer.SetDeadline(time.Now().Add(patience)))
					rest = append(rest, start(func() error {
						if _, err := writer.Write(data[written[i]:]); err != nil {
							return err
						}
						return writer.CloseWrite()
					}))
				}
				for i, reader := range readers {
					require.NoError(t, reader.SetDeadline(time.Now().Add(patience)))
					read(t, reader, data)
					readEOF(t, reader)
					require.NoError(t, <-rest[i])
				}
				require.Zero(t, c.counters().EstabResets)
			})
		})
	}
}

// The peer of a stack that stops learns of it.
func TestKernelIsToldThatTheStackCloses(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		var peers []stream
		for _, w := range c.ways() {
			client, server := w.connect(t)
			if w.client == c.stack {
				client = server
			}
			peers = append(peers, client)
		}
		require.NoError(t, c.stack.stack.Close())
		for _, peer := range peers {
			_, err := peer.Read(make([]byte, 1))
			requireSystemError(t, err, "read", "read", syscall.ECONNRESET)
		}
	})
}
