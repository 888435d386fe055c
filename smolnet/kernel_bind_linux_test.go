package smolnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// Who may have a port when somebody else has it already: every pair of uses of one is tried on the kernel's own addresses and on the
// stack's, and the second must fare alike.

// system is what has addresses of its own: 127.0.0.1, ::1, 192.168.69.1 and fdaa::1.
type system struct {
	name   string
	listen func(u use, address string) (net.Listener, error)
	packet func(u use, address string) (net.PacketConn, error)
	dial   func(network, local, remote string) (net.Conn, error)

	servers map[string]net.Listener // by address
	open    []io.Closer
}

// theKernel is the kernel, in the namespace of the test.
func theKernel(t *testing.T) *system {
	t.Helper()
	for _, prefix := range append(firstAddresses[:1:1], netip.MustParsePrefix("fdaa::1/128")) {
		require.NoError(t, netns.AddAddress("lo", prefix))
	}
	return &system{
		name: "kernel",
		listen: func(u use, address string) (net.Listener, error) {
			return u.kernelConfig().Listen(context.Background(), u.network, address)
		},
		packet: func(u use, address string) (net.PacketConn, error) {
			return u.kernelConfig().ListenPacket(context.Background(), u.network, address)
		},
		dial: func(network, local, remote string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: resolved(network, local)}).Dial(network, remote)
		},
	}
}

func theStack(t *testing.T) *system {
	t.Helper()
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	t.Cleanup(func() { b.Close() })
	s := newStack(t, smolnet.Config{})
	_, err := s.AddInterface(smolnet.Interface{Device: a, DuplicateDetection: core.DetectNone, Addresses: firstAddresses})
	require.NoError(t, err)
	return &system{
		name: "stack",
		listen: func(u use, address string) (net.Listener, error) {
			return (&listener.ListenConfig{Stack: s, ReusePort: u.reusePort}).Listen(context.Background(), u.network, address)
		},
		packet: func(u use, address string) (net.PacketConn, error) {
			config := listener.ListenConfig{Stack: s, ReusePort: u.reusePort, ReuseAddr: u.reuseAddr}
			return config.ListenPacket(context.Background(), u.network, address)
		},
		dial: func(network, local, remote string) (net.Conn, error) {
			return (&dialer.Dialer{Stack: s, LocalAddr: resolved(network, local)}).Dial(network, remote)
		},
	}
}

// resolved is a local address as Dialers want it; nil for none.
func resolved(network, local string) net.Addr {
	if local == "" {
		return nil
	}
	if strings.HasPrefix(network, "udp") {
		addr, err := net.ResolveUDPAddr(network, local)
		if err != nil {
			panic(err)
		}
		return addr
	}
	addr, err := net.ResolveTCPAddr(network, local)
	if err != nil {
		panic(err)
	}
	return addr
}

// use is one way to have a port.
type use struct {
	name    string
	network string
	local   string // with "P" for the port, which is anybody's if it is 0
	remote  string // of a server, if this dials; %d is the server's port
	end     string // how the connection has ended since, if it has
	accept  bool   // it is the accepted connection that has the port; its listener is closed

	reusePort, reuseAddr bool // the port is shared on purpose
}

// chosen reports whether the port is one that the system chooses.
func (u use) chosen() bool { return u.local == "" && u.remote != "" }

// kernelConfig sets what the use asks for.
func (u use) kernelConfig() *net.ListenConfig {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		for _, option := range []struct {
			on     bool
			number int
		}{{u.reusePort, unix.SO_REUSEPORT}, {u.reuseAddr, unix.SO_REUSEADDR}} {
			if option.on {
				c.Control(func(fd uintptr) {
					err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option.number, 1))
				})
			}
		}
		return err
	}}
	config.SetMultipathTCP(false)
	return &config
}

// sharing returns the uses with the port shared on purpose.
func sharing(uses []use, reusePort, reuseAddr bool) []use {
	shared := slices.Clone(uses)
	for i := range shared {
		shared[i].reusePort, shared[i].reuseAddr = reusePort, reuseAddr
		if reusePort {
			shared[i].name += ", SO_REUSEPORT"
		}
		if reuseAddr {
			shared[i].name += ", SO_REUSEADDR"
		}
	}
	return shared
}

// alsoIPv4 reports whether the kernel's socket could have had IPv4 addresses as well, had it not been connected by IPv6. The kernel holds
// such a socket for one of IPv4 with all its addresses. The stack does not: nobody would receive what was meant for another.
func (u use) alsoIPv4() bool {
	v6 := strings.Contains(u.name, "::1") || strings.Contains(u.name, "over IPv6") || u.accept && u.local == ":P"
	return v6 && !strings.HasSuffix(u.network, "6") && !strings.HasPrefix(u.local, "[")
}

// allIPv4 reports whether the use is of all IPv4 addresses, and of those only.
func (u use) allIPv4() bool {
	return u.local == ":P" && (strings.HasSuffix(u.network, "4") || strings.HasPrefix(u.remote, "127"))
}

func (u use) String() string { return u.name }

// make has s use the port, any other if it is 0, and returns which.
func (s *system) make(u use, port, server int) (int, error) {
	local := strings.Replace(u.local, "P", fmt.Sprint(port), 1)
	switch {
	case u.accept:
		return port, s.accepted(u, local)
	case u.remote != "":
		return s.dialed(u, local, strings.Replace(u.remote, "S", fmt.Sprint(server), 1))
	case strings.HasPrefix(u.network, "udp"):
		c, err := s.packet(u, local)
		if err != nil {
			return 0, err
		}
		s.open = append(s.open, c)
		return c.LocalAddr().(*net.UDPAddr).Port, nil
	}
	l, err := s.listen(u, local)
	if err != nil {
		return 0, err
	}
	s.open = append(s.open, l)
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *system) accepted(u use, local string) error {
	l, err := s.listen(u, local)
	if err != nil {
		return err
	}
	defer l.Close()
	peer, err := s.dial(u.network, "", l.Addr().String())
	if err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	return s.finish(u, c, peer)
}

func (s *system) dialed(u use, local, remote string) (int, error) {
	if strings.HasPrefix(u.network, "udp") {
		c, err := s.dial(u.network, local, remote)
		if err != nil {
			return 0, err
		}
		s.open = append(s.open, c)
		return c.LocalAddr().(*net.UDPAddr).Port, nil
	}
	if s.servers == nil {
		s.servers = make(map[string]net.Listener)
	}
	if s.servers[remote] == nil {
		l, err := s.listen(use{network: "tcp"}, remote)
		if err != nil {
			return 0, fmt.Errorf("server: %w", err)
		}
		s.servers[remote] = l
	}
	c, err := s.dial(u.network, local, remote)
	if err != nil {
		return 0, err
	}
	peer, err := s.servers[remote].Accept()
	if err != nil {
		return 0, err
	}
	return c.LocalAddr().(*net.TCPAddr).Port, s.finish(u, c, peer)
}

// finish ends c, which has the port, and its peer as the use says.
func (s *system) finish(u use, c, peer net.Conn) error {
	s.open = append(s.open, c, peer)
	var steps []func() error
	switch u.end {
	case "half closed":
		steps = append(steps, c.(stream).CloseWrite, ended(peer))
	case "half closed by the peer":
		steps = append(steps, peer.(stream).CloseWrite, ended(c))
	case "closed first":
		steps = append(steps, c.Close, ended(peer), peer.Close)
	case "closed second":
		steps = append(steps, peer.Close, ended(c), c.Close)
	case "reset":
		steps = append(steps, func() error { return c.(stream).SetLinger(0) }, c.Close)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ended waits for the end of what c reads.
func ended(c net.Conn) func() error {
	return func() error {
		_, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		return err
	}
}

// clear closes all but the servers.
func (s *system) clear() {
	for _, c := range s.open {
		if c, ok := c.(stream); ok {
			c.SetLinger(0)
		}
		c.Close()
	}
	s.open = nil
}

// Uses of a TCP port: who listens, who dials from it, and what is left of whom.
var (
	listens = []use{
		{name: "listen on 127.0.0.1", network: "tcp", local: "127.0.0.1:P"},
		{name: "listen on 192.168.69.1", network: "tcp", local: "192.168.69.1:P"},
		{name: "listen on all IPv4", network: "tcp4", local: ":P"},
		{name: "listen on ::1", network: "tcp", local: "[::1]:P"},
		{name: "listen on all IPv6", network: "tcp6", local: ":P"},
		{name: "listen on everything", network: "tcp", local: ":P"},
	}
	dials = []use{
		{name: "dial from 127.0.0.1", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S"},
		{name: "dial from 192.168.69.1", network: "tcp", local: "192.168.69.1:P", remote: "192.168.69.1:S"},
		{name: "dial from any address to 127.0.0.1", network: "tcp", local: ":P", remote: "127.0.0.1:S"},
		{name: "dial from ::1", network: "tcp", local: "[::1]:P", remote: "[::1]:S"},
		{name: "dial from any address to ::1", network: "tcp", local: ":P", remote: "[::1]:S"},
		{name: "dial from any IPv6 address to ::1", network: "tcp6", local: ":P", remote: "[::1]:S"},
	}
	remains = []use{
		{name: "dialed from 127.0.0.1, half closed", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S", end: "half closed"},
		{name: "dialed from 127.0.0.1, half closed by the peer", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S", end: "half closed by the peer"},
		{name: "dialed from 127.0.0.1, closed first", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S", end: "closed first"},
		{name: "dialed from 127.0.0.1, closed second", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S", end: "closed second"},
		{name: "dialed from 127.0.0.1, reset", network: "tcp", local: "127.0.0.1:P", remote: "127.0.0.1:S", end: "reset"},
		{name: "dialed from whatever port", network: "tcp", remote: "127.0.0.1:S"},
		{name: "dialed from whatever port, closed first", network: "tcp", remote: "127.0.0.1:S", end: "closed first"},
		{name: "dialed from whatever port, closed second", network: "tcp", remote: "127.0.0.1:S", end: "closed second"},
		{name: "dialed over IPv6 from whatever port", network: "tcp", remote: "[::1]:S"},
		{name: "accepted on 127.0.0.1", network: "tcp", local: "127.0.0.1:P", accept: true},
		{name: "accepted on everything", network: "tcp", local: ":P", accept: true},
		{name: "accepted, half closed", network: "tcp", local: "127.0.0.1:P", accept: true, end: "half closed"},
		{name: "accepted, half closed by the peer", network: "tcp", local: "127.0.0.1:P", accept: true, end: "half closed by the peer"},
		{name: "accepted, closed first", network: "tcp", local: "127.0.0.1:P", accept: true, end: "closed first"},
		{name: "accepted, closed second", network: "tcp", local: "127.0.0.1:P", accept: true, end: "closed second"},
		{name: "accepted over IPv6", network: "tcp", local: "[::1]:P", accept: true},
	}
	sockets = []use{
		{name: "socket at 127.0.0.1", network: "udp", local: "127.0.0.1:P"},
		{name: "socket at 192.168.69.1", network: "udp", local: "192.168.69.1:P"},
		{name: "socket at all IPv4", network: "udp4", local: ":P"},
		{name: "socket at ::1", network: "udp", local: "[::1]:P"},
		{name: "socket at all IPv6", network: "udp6", local: ":P"},
		{name: "socket at everything", network: "udp", local: ":P"},
		{name: "connected from 127.0.0.1", network: "udp", local: "127.0.0.1:P", remote: "127.0.0.1:S"},
		{name: "connected from 192.168.69.1", network: "udp", local: "192.168.69.1:P", remote: "192.168.69.1:S"},
		{name: "connected from any address to 127.0.0.1", network: "udp", local: ":P", remote: "127.0.0.1:S"},
		{name: "connected from any address to ::1", network: "udp", local: ":P", remote: "[::1]:S"},
		{name: "connected from ::1", network: "udp", local: "[::1]:P", remote: "[::1]:S"},
	}
	autoSockets = []use{
		{name: "connected to 127.0.0.1 from whatever port", network: "udp", remote: "127.0.0.1:S"},
		{name: "connected to ::1 from whatever port", network: "udp", remote: "[::1]:S"},
	}
)

func TestKernelSharesPortsAlike(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	systems := []*system{theKernel(t), theStack(t)}
	sharingListens := slices.Concat(listens, sharing(listens, true, false))
	sharingSockets := slices.Concat(sockets[:6], sharing(sockets[:6], true, false), sharing(sockets[:6], false, true),
		sharing(sockets[:6], true, true))
	port := 10_000
	for _, table := range []struct {
		name          string
		first, second []use
	}{
		{"TCP", slices.Concat(listens, dials, remains), slices.Concat(listens, dials)},
		{"TCP sharing", sharingListens, sharingListens},
		{"UDP", slices.Concat(sockets, autoSockets), sockets},
		{"UDP sharing", sharingSockets, sharingSockets},
	} {
		for _, first := range table.first {
			for _, second := range table.second {
				for _, server := range []int{9000, 9001} {
					if server == 9001 && second.remote == "" {
						continue
					}
					port++
					t.Run(fmt.Sprintf("%s/%s/%s to %d", table.name, first, second, server), func(t *testing.T) {
						var fates [2]string
						for i, s := range systems {
							fates[i] = s.fateOf(t, first, second, port, server)
						}
						if fates[0] != fates[1] && first.chosen() {
							// The port that was chosen may be one that a test before had, and that is not quite free again.
							for i, s := range systems {
								fates[i] = s.fateOf(t, first, second, port, server)
							}
						}
						restarts := first.accept && second.remote == ""
						if first.alsoIPv4() && second.allIPv4() && !restarts {
							require.Contains(t, fates[0], "address already in use")
							require.Equal(t, "ok", fates[1])
							return
						}
						require.Equal(t, fates[0], fates[1], "on the kernel, and on the stack")
					})
				}
			}
		}
	}
}

// fateOf is what becomes of the second use of a port while there is the first.
func (s *system) fateOf(t *testing.T, first, second use, port, server int) string {
	taken, err := s.make(first, port, 9000)
	require.NoError(t, err, s.name)
	_, err = s.make(second, taken, server)
	if err != nil && s.name == "stack" && first.end == "closed second" {
		until(t, func() bool {
			_, err = s.make(second, taken, server)
			return err == nil
		}, "the last acknowledgment comes")
	}
	s.clear()
	return fate(err, taken)
}

// fate is the error, without the number of the port, or "ok".
func fate(err error, port int) string {
	if err == nil {
		return "ok"
	}
	return strings.ReplaceAll(err.Error(), fmt.Sprint(port), "P")
}

// TestKernelGivesToSharersAlike: of those who share a port one gets each flow.
func TestKernelGivesToSharersAlike(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	const sharers, flows = 4, 64
	for _, s := range []*system{theKernel(t), theStack(t)} {
		t.Run(s.name+", UDP, SO_REUSEADDR", func(t *testing.T) {
			defer s.clear()
			u := use{network: "udp", local: "127.0.0.1:7000", reuseAddr: true}
			var bound [2]net.PacketConn
			for i := range bound {
				c, err := s.packet(u, u.local)
				require.NoError(t, err)
				defer c.Close()
				require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
				bound[i] = c
			}
			client, err := s.dial("udp", "", u.local)
			require.NoError(t, err)
			defer client.Close()
			b := make([]byte, 10)
			for i, why := range []string{"the last gets it", "the last is gone"} {
				_, err = client.Write([]byte("x"))
				require.NoError(t, err)
				_, _, err = bound[1-i].ReadFrom(b)
				require.NoError(t, err, why)
				require.NoError(t, bound[1-i].Close())
			}
		})
		t.Run(s.name+", UDP, SO_REUSEPORT", func(t *testing.T) {
			u := use{network: "udp", local: "127.0.0.1:7000", reusePort: true}
			heard := make(chan [2]string, 3*flows) // who has heard whom
			for i := range sharers {
				c, err := s.packet(u, u.local)
				require.NoError(t, err)
				defer c.Close()
				go func() {
					b := make([]byte, 10)
					for {
						_, from, err := c.ReadFrom(b)
						if err != nil {
							return
						}
						heard <- [2]string{fmt.Sprint(i), from.String()}
					}
				}()
			}
			for range flows {
				client, err := s.dial("udp", "", u.local)
				require.NoError(t, err)
				defer client.Close()
				for range 3 {
					_, err = client.Write([]byte("x"))
					require.NoError(t, err)
				}
			}
			who, by := map[string]string{}, map[string]bool{}
			for range 3 * flows {
				h := <-heard
				if before := who[h[1]]; before != "" {
					require.Equal(t, before, h[0], "a flow stays with one")
				}
				who[h[1]], by[h[0]] = h[0], true
			}
			require.Len(t, who, flows)
			require.Len(t, by, sharers, "everybody gets some")
		})
		t.Run(s.name+", TCP, SO_REUSEPORT", func(t *testing.T) {
			u := use{network: "tcp", local: "127.0.0.1:7000", reusePort: true}
			accepted := make(chan int, flows)
			for i := range sharers {
				l, err := s.listen(u, u.local)
				require.NoError(t, err)
				defer l.Close()
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						defer c.Close()
						accepted <- i
					}
				}()
			}
			by := map[int]bool{}
			for range flows {
				c, err := s.dial("tcp", "", u.local)
				require.NoError(t, err)
				defer c.Close()
				by[<-accepted] = true
			}
			require.Len(t, by, sharers, "everybody gets some")
		})
	}
}
