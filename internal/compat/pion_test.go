package compat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v3"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/test"
	"github.com/pion/turn/v4"
	"github.com/stretchr/testify/require"
)

// pions returns the two ends of a network as Pion sees them.
func (n network) pions() (client, server transport.Net) {
	return PionNet{n.client}, PionNet{n.server}
}

func TestPionTCP(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		client, server := n.pions()
		at, err := server.ResolveTCPAddr("tcp", n.address("0"))
		require.NoError(t, err)
		l, err := server.ListenTCP("tcp", at)
		require.NoError(t, err)
		defer l.Close()
		dialed, err := client.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
		require.NoError(t, err)
		defer dialed.Close()
		accepted, err := l.AcceptTCP()
		require.NoError(t, err)
		defer accepted.Close()

		for _, c := range []transport.TCPConn{dialed, accepted} {
			require.NoError(t, c.SetNoDelay(false))
			require.NoError(t, c.SetKeepAlive(true))
			require.NoError(t, c.SetKeepAlivePeriod(time.Minute))
			require.NoError(t, c.SetLinger(-1))
			require.NoError(t, c.SetReadBuffer(1<<20))
			require.NoError(t, c.SetWriteBuffer(1<<20))
		}
		content := random(1 << 20)
		go func() {
			_, err := dialed.ReadFrom(bytes.NewReader(content))
			if err != nil {
				t.Error(err)
			}
		}()
		got := make([]byte, len(content))
		_, err = io.ReadFull(accepted, got)
		require.NoError(t, err)
		requireSame(t, content, got)

		require.NoError(t, dialed.CloseWrite())
		_, err = accepted.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, dialed.CloseRead())

		require.NoError(t, l.SetDeadline(time.Unix(1, 0)))
		none, err := l.AcceptTCP()
		requireDeadline(t, err)
		require.True(t, none == nil, "an interface that is nil, not one that holds nil")
		refused, err := client.DialTCP("tcp", nil, &net.TCPAddr{IP: at.IP, Port: 9})
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.True(t, refused == nil)
	})
}

func TestPionUDP(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		client, server := n.pions()
		at, err := server.ResolveUDPAddr("udp", n.address("0"))
		require.NoError(t, err)
		bound, err := server.ListenUDP("udp", at)
		require.NoError(t, err)
		defer bound.Close()
		require.NoError(t, bound.SetReadBuffer(1<<20))
		require.NoError(t, bound.SetWriteBuffer(1<<20))
		dialed, err := client.DialUDP("udp", nil, bound.LocalAddr().(*net.UDPAddr))
		require.NoError(t, err)
		defer dialed.Close()
		from := dialed.LocalAddr().(*net.UDPAddr)

		b := make([]byte, 100)
		require.NoError(t, bound.SetDeadline(time.Now().Add(limit)))
		require.NoError(t, dialed.SetDeadline(time.Now().Add(limit)))
		for name, receive := range map[string]func() (int, net.Addr, error){
			"ReadFrom":    func() (int, net.Addr, error) { return bound.ReadFrom(b) },
			"ReadFromUDP": func() (int, net.Addr, error) { return bound.ReadFromUDP(b) },
			"ReadMsgUDP": func() (int, net.Addr, error) {
				n, _, _, from, err := bound.ReadMsgUDP(b, nil)
				return n, from, err
			},
		} {
			_, err := dialed.Write([]byte(name))
			require.NoError(t, err)
			k, addr, err := receive()
			require.NoError(t, err)
			require.Equal(t, name, string(b[:k]))
			require.Equal(t, from.String(), addr.String())
		}
		for name, send := range map[string]func(b []byte) (int, error){
			"WriteTo":    func(b []byte) (int, error) { return bound.WriteTo(b, from) },
			"WriteToUDP": func(b []byte) (int, error) { return bound.WriteToUDP(b, from) },
			"WriteMsgUDP": func(b []byte) (int, error) {
				n, _, err := bound.WriteMsgUDP(b, nil, from)
				return n, err
			},
		} {
			k, err := send([]byte(name))
			require.NoError(t, err)
			require.Equal(t, len(name), k)
			k, err = dialed.Read(b)
			require.NoError(t, err)
			require.Equal(t, name, string(b[:k]))
		}

		require.NoError(t, bound.SetReadDeadline(time.Unix(1, 0)))
		_, _, err = bound.ReadFrom(b)
		requireDeadline(t, err)
		taken, err := server.ListenUDP("udp", bound.LocalAddr().(*net.UDPAddr))
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.True(t, taken == nil)
	})
}

// Pion's own stress test, whose reader wants as many octets as were written at once, wants datagrams.
func TestPionStress(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		client, server := n.pions()
		to, err := server.ResolveUDPAddr("udp", n.address("1000"))
		require.NoError(t, err)
		dialed, err := client.DialUDP("udp", nil, to)
		require.NoError(t, err)
		defer dialed.Close()
		back, err := server.DialUDP("udp", to, dialed.LocalAddr().(*net.UDPAddr))
		require.NoError(t, err)
		defer back.Close()
		require.NoError(t, test.StressDuplex(dialed, back, test.Options{MsgSize: 1200, MsgCount: 100}))
	})
}

// exchangeBy has the client's Dial talk to the server's Listen and ListenPacket.
func exchangeBy(t *testing.T, dial func(network, address string) (net.Conn, error),
	listen func(network, address string) (net.Listener, error), listenPacket func(network, address string) (net.PacketConn, error), address string) {
	t.Helper()
	l, err := listen("tcp", address)
	require.NoError(t, err)
	echoOn(t, l)
	exchangeWith(t, func() (net.Conn, error) { return dial("tcp", l.Addr().String()) })

	socket, err := listenPacket("udp", address)
	require.NoError(t, err)
	defer socket.Close()
	c, err := dial("udp", socket.LocalAddr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 100)
	k, from, err := socket.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b[:k]))
	require.Equal(t, c.LocalAddr().String(), from.String())
}

func TestPionDialerAndListenConfig(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		client, server := n.pions()
		listen := func(network, address string) (net.Listener, error) {
			return server.CreateListenConfig(&net.ListenConfig{KeepAlive: time.Minute}).Listen(t.Context(), network, address)
		}
		exchangeBy(t, client.Dial, listen, server.ListenPacket, n.address("0"))
		exchangeBy(t, client.CreateDialer(&net.Dialer{Timeout: limit, KeepAlive: -1}).Dial, listen,
			func(network, address string) (net.PacketConn, error) {
				return server.CreateListenConfig(new(net.ListenConfig)).ListenPacket(t.Context(), network, address)
			}, n.address("0"))

		late := &net.Dialer{Deadline: time.Unix(1, 0)}
		_, err := client.CreateDialer(late).Dial("tcp", n.address("9"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestPionAddresses(t *testing.T) {
	client, _ := onPipe(t).pions()
	ip, err := client.ResolveIPAddr("ip6", "fd00::1")
	require.NoError(t, err)
	require.Equal(t, "fd00::1", ip.String())
	udp, err := client.ResolveUDPAddr("udp4", "10.0.0.1:domain")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1:53", udp.String())
	tcp, err := client.ResolveTCPAddr("tcp", "[fd00::1]:https")
	require.NoError(t, err)
	require.Equal(t, "[fd00::1]:443", tcp.String())
	_, err = client.ResolveTCPAddr("tcp", "10.0.0.1")
	require.ErrorContains(t, err, "missing port in address")
}

func TestPionInterfaces(t *testing.T) {
	client, _ := onPipe(t).pions()
	all, err := client.Interfaces()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.NotZero(t, all[0].Flags&net.FlagLoopback)
	require.Equal(t, "eth0", all[1].Name)
	require.Equal(t, 1500, all[1].MTU)
	require.Len(t, all[1].HardwareAddr, 6)
	addresses, err := all[1].Addrs()
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(addresses), "10.0.0.2/24")
	require.Contains(t, fmt.Sprint(addresses), "fd00::2/64")

	named, err := client.InterfaceByName("eth0")
	require.NoError(t, err)
	require.Equal(t, all[1], named)
	numbered, err := client.InterfaceByIndex(all[1].Index)
	require.NoError(t, err)
	require.Equal(t, all[1], numbered)
	_, err = client.InterfaceByName("eth1")
	require.ErrorContains(t, err, "no such network interface")
	_, err = client.InterfaceByIndex(77)
	require.ErrorContains(t, err, "no such network interface")
}

// startTURN relays on UDP port 3478 of the server's IPv4 address until the test ends.
func startTURN(t *testing.T, n network) {
	t.Helper()
	socket, err := n.server.ListenPacket("udp4", "10.0.0.1:3478")
	require.NoError(t, err)
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "test",
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, "secret"), user == "alice"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: socket,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.IPv4(10, 0, 0, 1), Address: "10.0.0.1", Net: PionNet{n.server},
			},
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
}

// ICE agents on two stacks find a way to each other: of all kinds, and with what only a relay can reach.
func TestPionICE(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kinds []ice.CandidateType
		types []ice.NetworkType
		want  string // the client's own end of what was found
	}{
		{"directly over IPv4", []ice.CandidateType{ice.CandidateTypeHost}, []ice.NetworkType{ice.NetworkTypeUDP4}, "10.0.0.2"},
		{"directly over IPv6", []ice.CandidateType{ice.CandidateTypeHost}, []ice.NetworkType{ice.NetworkTypeUDP6}, "fd00::2"},
		{"by a relay", []ice.CandidateType{ice.CandidateTypeRelay}, []ice.NetworkType{ice.NetworkTypeUDP4}, "10.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := onPipe(t)
			startTURN(t, n)
			ctx := within(t, limit)
			agent := func(own transport.Net) *ice.Agent {
				options := []ice.AgentOption{
					ice.WithNet(own), ice.WithNetworkTypes(tc.types), ice.WithCandidateTypes(tc.kinds),
					ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
				}
				if tc.kinds[0] == ice.CandidateTypeRelay {
					options = append(options, ice.WithUrls([]*stun.URI{{
						Scheme: stun.SchemeTypeTURN, Proto: stun.ProtoTypeUDP, Host: "10.0.0.1", Port: 3478,
						Username: "alice", Password: "secret",
					}}))
				}
				a, err := ice.NewAgentWithOptions(options...)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, a.Close()) })
				return a
			}
			client, server := n.pions()
			a, b := agent(client), agent(server)
			introduce(t, a, b)
			introduce(t, b, a)
			nameA, passwordA, err := a.GetLocalUserCredentials()
			require.NoError(t, err)
			nameB, passwordB, err := b.GetLocalUserCredentials()
			require.NoError(t, err)
			accepted := make(chan *ice.Conn, 1)
			go func() {
				c, err := b.Accept(ctx, nameA, passwordA)
				if err != nil {
					t.Error(err)
				}
				accepted <- c
			}()
			dialed, err := a.Dial(ctx, nameB, passwordB)
			require.NoError(t, err)
			other := <-accepted
			require.NotNil(t, other)

			pair, err := a.GetSelectedCandidatePair()
			require.NoError(t, err)
			require.Equal(t, tc.want, pair.Local.Address())
			require.Equal(t, tc.kinds[0], pair.Local.Type())
			message := make([]byte, 1000)
			for _, way := range [][2]net.Conn{{dialed, other}, {other, dialed}} {
				sent := random(len(message))
				_, err = way[0].Write(sent)
				require.NoError(t, err)
				k, err := way[1].Read(message)
				require.NoError(t, err)
				requireSame(t, sent, message[:k])
			}
		})
	}
}

// introduce tells to where from can be reached.
func introduce(t *testing.T, from, to *ice.Agent) {
	t.Helper()
	require.NoError(t, from.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			return
		}
		if err := to.AddRemoteCandidate(c); err != nil {
			t.Error(err)
		}
	}))
	require.NoError(t, from.GatherCandidates())
}
