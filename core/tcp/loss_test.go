package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/storage"
)

// conversations open a connection, transfer something and close it, in every order that there is.
var conversations = []struct {
	name string
	hold func(w *world)
}{
	{"the client sends and closes first", func(w *world) {
		client, server := w.connect(nil)
		w.transfer(client, server, 5000)
		w.transfer(server, client, 3000)
		w.closeBoth(client, server)
	}},
	{"the server sends and closes first", func(w *world) {
		client, server := w.connect(nil)
		w.transfer(server, client, 5000)
		w.transfer(client, server, 3000)
		w.closeBoth(client, server)
	}},
	{"both send and close at once", func(w *world) {
		client, server := w.connect(nil)
		w.exchange(client, server)
	}},
	{"both open at once", func(w *world) {
		a, b := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:2000")
		first, err := w.hosts[0].Dial(w.time(), DialConfig{Local: a, Remote: b})
		require.NoError(w.t, err)
		second, err := w.hosts[1].Dial(w.time(), DialConfig{Local: b, Remote: a})
		require.NoError(w.t, err)
		w.exchange(first, second)
	}},
	{"the client closes as soon as it has written", func(w *world) {
		client, server := w.connect(nil)
		w.write(client, 5000)
		client.Close(w.time())
		w.until("all has arrived", func() bool { return server.ReadClosed() && server.Received() == 5000 })
		w.read(server, 5000)
		w.closeBoth(client, server)
	}},
	{"data travels in the SYN, and the answer before the handshake is complete", func(w *world) {
		address := netip.MustParseAddrPort("192.0.2.2:80")
		l, err := w.hosts[1].Listen(ListenConfig{Local: address, Options: &Options{FastOpen: true}})
		require.NoError(w.t, err)
		i := newID(netip.AddrPortFrom(localHost, 0), address, 0)
		granted := newID(address, netip.AddrPortFrom(localHost, 0), 0)
		w.hosts[0].servers.learn(fastOpenKeyOf(&i), w.hosts[1].fastOpen.cookie(&granted, 0), 1460)
		data := make([]byte, 2000)
		for n := range data {
			data[n] = byte(n)
		}
		client, err := w.hosts[0].Dial(w.time(), DialConfig{Remote: address, Options: &Options{FastOpen: true}, Data: data})
		require.NoError(w.t, err)
		var server *Conn
		w.until("it is accepted", func() bool { server = l.Accept(); return server != nil })
		w.write(server, 3000)
		w.until("all has arrived", func() bool { return client.Received() == 3000 && server.Received() == 2000 })
		w.read(client, 3000)
		w.read(server, 2000)
		w.closeBoth(client, server)
	}},
	{"a SYN cookie opens it", func(w *world) {
		w.hosts[1].config.SYNCookies = CookiesAlways
		address := netip.MustParseAddrPort("192.0.2.2:80")
		l, err := w.hosts[1].Listen(ListenConfig{Local: address})
		require.NoError(w.t, err)
		client, err := w.hosts[0].Dial(w.time(), DialConfig{Remote: address, Data: make([]byte, 1000)})
		require.NoError(w.t, err)
		var server *Conn
		w.until("it is accepted", func() bool { server = l.Accept(); return server != nil })
		w.transfer(server, client, 3000)
		w.until("all has arrived", func() bool { return server.Received() == 1000 })
		w.closeBoth(client, server)
	}},
	{"through buffers of 700 octets", func(w *world) {
		client, server := w.connect(&Options{ReceiveBuffer: 700, SendBuffer: 700, Nagle: true})
		w.transfer(client, server, 3000)
		w.transfer(server, client, 2000)
		w.closeBoth(client, server)
	}},
}

// exchange has both sides send at once and close behind what they sent.
func (w *world) exchange(a, b *Conn) {
	w.t.Helper()
	for _, c := range []*Conn{a, b} {
		w.write(c, 3000)
	}
	w.until("both are established", func() bool { return a.State() >= Established && b.State() >= Established })
	a.CloseWrite(w.time())
	b.CloseWrite(w.time())
	w.until("all has arrived", func() bool { return a.ReadClosed() && b.ReadClosed() })
	w.read(a, 3000)
	w.read(b, 3000)
	w.closeBoth(a, b)
}

func (w *world) write(c *Conn, n int) {
	var f storage.Fill
	room, err := c.Reserve(&f, n)
	require.NoError(w.t, err)
	require.Equal(w.t, n, room)
	for f.Room() > 0 {
		f.Write([]byte{byte(f.Len())})
	}
	c.Commit(w.time(), &f)
}

func (w *world) read(c *Conn, n int) {
	w.t.Helper()
	var q storage.Queue
	require.Equal(w.t, n, c.Receive(n, &q))
	b := make([]byte, n)
	q.Read(b)
	for i := range b {
		require.Equal(w.t, byte(i), b[i])
	}
	c.Consumed(w.time(), n)
}

// until lets time pass until something is so.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for w.send(); !is(); {
		require.True(w.t, w.step(), "never: %s", what)
		for _, h := range w.hosts {
			wantConsistent(w.t, h)
		}
	}
}

// TestAnyPacketMayBeLost loses each packet of a conversation, and each two of them. Everything must end well.
func TestAnyPacketMayBeLost(t *testing.T) {
	for _, conversation := range conversations {
		t.Run(conversation.name, func(t *testing.T) {
			hold := func(lose func(int) bool) (packets int, took time.Duration) {
				w := newWorld(t, simulatedPath{delay: 10 * time.Millisecond})
				w.lose = lose
				conversation.hold(w)
				for i, h := range w.hosts {
					require.Zero(t, h.table.len, "host %d", i)
					require.Zero(t, h.timeWaits.len, "host %d", i)
					require.Zero(t, h.halfOpen, "host %d", i)
					require.Zero(t, h.counters.CurrEstab, "host %d", i)
					require.Zero(t, h.counters.EstabResets+h.counters.AttemptFails+h.counters.Timeouts, "host %d", i)
				}
				return w.sent, time.Duration(w.now)
			}
			n, took := hold(nil)
			require.Less(t, took, 62*time.Second, "nothing but TIME-WAIT takes long")
			var longest time.Duration
			for i := range n {
				for j := i; j < n+2; j++ {
					_, took = hold(func(n int) bool { return n == i || n == j })
					longest = max(longest, took)
					require.Less(t, took, 2*time.Minute, "packets %d and %d were lost", i, j)
				}
			}
			t.Logf("%d packets; with two lost it took %v at most", n, longest)
		})
	}
}
