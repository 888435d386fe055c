package smolnet_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKernelCloseEndsEverything: a stack that is closed in the middle of things leaves no goroutine behind, and no
// call hangs, whatever the device.
func TestKernelCloseEndsEverything(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTun, overTunWithoutOffloads} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s, func(t *testing.T, c *cable) {
				for range 20 { // stacks
					closeInTheMiddle(t, c)
					requireNoneOfOurs(t)
					c = s.join(t)
				}
			})
		})
	}
}

// closeInTheMiddle uses a stack, has calls of every kind wait, and closes it.
func closeInTheMiddle(t *testing.T, c *cable) {
	for _, w := range c.ways() {
		client, server := w.connect(t)
		_, err := client.Write([]byte("hello"))
		require.NoError(t, err)
		read(t, server, []byte("hello"))
	}
	calls := blockingCalls(t, c)
	var ended []<-chan error
	for _, call := range calls {
		ended = append(ended, start(call))
	}
	until(t, func() bool { return waiting() == len(calls) }, "every call waits")

	for _, closed := range []<-chan error{start(c.stack.stack.Close), start(c.stack.stack.Close)} {
		require.NoError(t, <-closed)
	}
	for i, call := range ended {
		require.ErrorIs(t, <-call, net.ErrClosed, "call %d", i)
	}
}

// blockingCalls are calls on the stack that nothing will ever end but its being closed.
func blockingCalls(t *testing.T, c *cable) []func() error {
	calls, called := c.ways()[2], c.ways()[1]
	idle, _ := calls.connect(t)
	full, _ := calls.connect(t)
	_, accepted := called.connect(t)
	for _, end := range []net.Conn{idle, full, accepted} {
		require.NoError(t, end.SetDeadline(time.Now().Add(time.Hour)))
	}
	l := called.listen(t)
	socket, err := c.stack.listenPacket("udp", ":0")
	require.NoError(t, err)
	return []func() error{
		func() error { _, err := l.Accept(); return err },
		func() error { _, err := idle.Read(make([]byte, 1)); return err },
		func() error { _, err := idle.Read(make([]byte, 1)); return err },
		func() error { _, err := accepted.Read(make([]byte, 1)); return err },
		func() error { _, err := full.Write(make([]byte, 64<<20)); return err },
		func() error { _, _, err := socket.ReadFrom(make([]byte, 1)); return err },
		func() error { _, err := c.stack.dial(context.Background(), "tcp", "192.168.69.77:7"); return err },
	}
}

// waiting is how many of blockingCalls do.
func waiting() (n int) {
	for _, goroutine := range ours() {
		state, _, _ := strings.Cut(goroutine, "\n")
		if strings.Contains(goroutine, "smolnet_test.blockingCalls.func") &&
			(strings.Contains(state, "[chan receive") || strings.Contains(state, "[select")) {
			n++
		}
	}
	return n
}
