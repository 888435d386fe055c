package smolnet_test

import "testing"

// conversations are held each way over every kind of cable.
var conversations = []struct {
	name string
	hold func(t *testing.T, w way)
}{
	{"http", func(t *testing.T, w way) { w.browse(t, protocol{}) }},
	{"both at once", bothAtOnce},
	{"half close", halfClose},
	{"reset", reset},
	{"close with unread data", closeUnread},
	{"close on a writer", closeOnWriter},
	{"connection refused", refused},
	{"datagrams", datagrams},
	{"datagrams refused", datagramsRefused},
}

func TestKernelConversations(t *testing.T) {
	for _, s := range []setup{overTap, overTapWithoutOffloads, overTapOfJumboFrames, overTun, overTunWithoutOffloads} {
		t.Run(s.name, func(t *testing.T) {
			withKernel(t, s, func(t *testing.T, c *cable) {
				c.inEveryWay(t, func(t *testing.T, w way) {
					for _, conversation := range conversations {
						t.Run(conversation.name, func(t *testing.T) { conversation.hold(t, w) })
					}
				})
			})
		})
	}
}
