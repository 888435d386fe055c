package smolnet_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// transfer sends a large body from one end to the other.
func transfer(t *testing.T, from, to stream) {
	t.Helper()
	data := noise(10, large)
	sent := start(func() error {
		if _, err := from.Write(data); err != nil {
			return err
		}
		return from.CloseWrite()
	})
	read(t, to, data)
	readEOF(t, to)
	require.NoError(t, <-sent)
}

// TestKernelOffloads: segments are as large as the link allows, and most of what is sent, and of what is received,
// crosses the device in packets that are many segments each, unless the device was opened without.
func TestKernelOffloads(t *testing.T) {
	for _, tc := range []struct {
		setup
		offloads bool
	}{
		{overTap, true}, {overTapOfJumboFrames, true}, {overTun, true},
		{overTapWithoutOffloads, false}, {overTunWithoutOffloads, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withKernel(t, tc.setup, func(t *testing.T, c *cable) {
				for _, w := range c.ways() {
					if w.client != c.stack {
						continue
					}
					stack, kernel := w.connect(t)
					mss := uint64(w.link.MTU() - 40)
					if w.to.Is6() {
						mss -= 20
					}
					check := func(segments, frames, least uint64) {
						require.GreaterOrEqual(t, segments, large/mss)
						require.Less(t, segments, 2*large/mss)
						if tc.offloads {
							require.Less(t, frames, segments/least)
						} else {
							require.GreaterOrEqual(t, frames, segments)
						}
					}

					before := c.stack.stack.Counters()
					transfer(t, stack, kernel)
					after := c.stack.stack.Counters()
					segments, frames := after.TCP.OutSegs-before.TCP.OutSegs, after.Link.OutFrames-before.Link.OutFrames
					t.Logf("%v: %d segments left in %d frames", w, segments, frames)
					check(segments, frames, 4)

					before = c.stack.stack.Counters()
					transfer(t, kernel, stack)
					after = c.stack.stack.Counters()
					segments, frames = after.TCP.InSegs-before.TCP.InSegs, after.Link.InFrames-before.Link.InFrames
					t.Logf("%v: %d segments came in %d frames", w, segments, frames)
					check(segments, frames, 2) // the kernel merges less when it is slow
					require.Zero(t, c.counters().InErrs, "every checksum was found right, or vouched for")
				}
			})
		})
	}
}

// kernelHas reports whether the kernel has the interface that joins it to the stack.
func kernelHas(t *testing.T) bool {
	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, link := range links {
		if link.Name == kernelInterface {
			return true
		}
	}
	return false
}

// An interface that the device has made goes with it. One that was there before stays, and serves the next stack.
func TestKernelKeepsWhatTheStackDidNotMake(t *testing.T) {
	for _, tc := range []struct {
		setup
		add func(name string) error
	}{{overTap, netns.AddTap}, {overTun, netns.AddTun}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !netns.Test(t) {
				return
			}
			require.NoError(t, tc.add(kernelInterface))
			device := tc.open(t)
			kernel := newKernel(t)
			for _, open := range []func(t *testing.T) dev.Device{func(*testing.T) dev.Device { return device }, tc.open} {
				c := attach(t, open(t), kernel, smolnet.Config{})
				for _, w := range c.ways() {
					client, server := w.connect(t)
					_, err := client.Write([]byte("hello"))
					require.NoError(t, err)
					read(t, server, []byte("hello"))
				}
				require.NoError(t, c.stack.stack.Close())
				require.True(t, kernelHas(t))
			}
			require.NoError(t, netns.Delete(kernelInterface))

			c := tc.join(t)
			require.True(t, kernelHas(t))
			require.NoError(t, c.stack.stack.Close())
			require.False(t, kernelHas(t))
		})
	}
}

// While the interface is down nothing passes and nothing breaks; when it is up again, connections go on.
func TestKernelInterfaceGoesDownAndUp(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		for _, w := range c.ways() {
			if w.to.Is6() {
				continue // the kernel forgets its IPv6 addresses
			}
			client, server := w.connect(t)
			_, err := client.Write([]byte("before"))
			require.NoError(t, err)
			read(t, server, []byte("before"))

			require.NoError(t, netns.Down(kernelInterface))
			for _, end := range []stream{client, server} {
				_, err = end.Write([]byte("meanwhile"))
				require.NoError(t, err)
			}
			require.NoError(t, netns.Up(kernelInterface))
			for _, end := range []stream{client, server} {
				read(t, end, []byte("meanwhile"))
			}
			transfer(t, client, server)
		}
	})
}

// An interface may be deleted from under a stack, which lives on without it.
func TestKernelInterfaceIsDeleted(t *testing.T) {
	withKernel(t, overTap, func(t *testing.T, c *cable) {
		client, _ := c.ways()[2].connect(t)
		reading := start(func() error {
			_, err := client.Read(make([]byte, 1))
			return err
		})
		require.NoError(t, netns.Delete(kernelInterface))
		_, err := client.Write([]byte("hello?"))
		require.NoError(t, err)

		l, err := c.stack.stack.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		dialed, err := c.stack.stack.Dial("tcp", l.Addr().String())
		require.NoError(t, err, "the loopback is not concerned")
		require.NoError(t, dialed.Close())
		require.NoError(t, c.stack.stack.Close())
		require.ErrorIs(t, <-reading, net.ErrClosed)
	})
}
