package compat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// startGRPC serves gRPC's own test service on a port until the test ends.
func startGRPC(t testing.TB, n network, port string, options ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	server := grpc.NewServer(options...)
	grpc_testing.RegisterTestServiceServer(server, interop.NewTestServer())
	l, done := n.listen(t, port), make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	return server
}

// newGRPCClient returns a client for target whose connections go through the client's stack.
func newGRPCClient(t testing.TB, n network, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return n.client.DialContext(ctx, "tcp", address)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// gRPC's own cases for telling whether two implementations work together. They end the process when they do not.
func TestGRPCInteroperability(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		startGRPC(t, n, "80")
		c := newGRPCClient(t, n, "passthrough:///"+n.address("80"))
		tests, ctx := grpc_testing.NewTestServiceClient(c), within(t, limit)
		var all sync.WaitGroup
		for _, test := range []func(context.Context, grpc_testing.TestServiceClient, ...grpc.CallOption){
			interop.DoEmptyUnaryCall,
			interop.DoLargeUnaryCall,
			interop.DoClientStreaming,
			interop.DoServerStreaming,
			interop.DoPingPong,
			interop.DoEmptyStream,
			interop.DoTimeoutOnSleepingServer,
			interop.DoCancelAfterBegin,
			interop.DoCancelAfterFirstResponse,
			interop.DoCustomMetadata,
			interop.DoStatusCodeAndMessage,
			interop.DoSpecialStatusMessage,
		} {
			all.Go(func() { test(ctx, tests) })
		}
		all.Wait()
		interop.DoUnimplementedMethod(ctx, c)
	})
}

func TestGRPCOverTLS(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		authority := newAuthority(t)
		startGRPC(t, n, "443", grpc.Creds(credentials.NewTLS(authority.server(t, "h2"))))
		c := newGRPCClient(t, n, "passthrough:///"+n.address("443"),
			grpc.WithTransportCredentials(credentials.NewTLS(authority.client("h2"))))
		var from peer.Peer
		tests := grpc_testing.NewTestServiceClient(c)
		_, err := tests.EmptyCall(within(t, limit), new(grpc_testing.Empty), grpc.Peer(&from))
		require.NoError(t, err)
		require.Equal(t, "tls", from.AuthInfo.AuthType())
		require.IsType(t, (*net.TCPAddr)(nil), from.Addr)
		require.Equal(t, n.address("443"), from.Addr.String())
	})
}

// echoService answers with what it was told.
type echoService struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (echoService) UnaryCall(_ context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Payload: r.Payload}, nil
}

func (echoService) FullDuplexCall(s grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		r, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&grpc_testing.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

// Messages larger than a window go in both directions of many streams at once, each different.
func TestGRPCEchoes(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		server := grpc.NewServer()
		grpc_testing.RegisterTestServiceServer(server, echoService{})
		l, done := n.listen(t, "80"), make(chan error, 1)
		go func() { done <- server.Serve(l) }()
		tests := grpc_testing.NewTestServiceClient(newGRPCClient(t, n, "passthrough:///"+n.address("80")))
		ctx := within(t, limit)

		var calls sync.WaitGroup
		for i := range 20 {
			content := random(i * 10000)
			calls.Go(func() {
				response, err := tests.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: content}})
				if err != nil || !bytes.Equal(content, response.Payload.Body) {
					t.Errorf("call %d: %v", i, err)
				}
			})
			calls.Go(func() {
				stream, err := tests.FullDuplexCall(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				for k := range 5 { // one message waits for the other's echo
					body := content[:len(content)*k/4]
					err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: body}})
					if err != nil {
						t.Error(err)
						return
					}
					response, err := stream.Recv()
					if err != nil || !bytes.Equal(body, response.Payload.Body) {
						t.Errorf("message %d of stream %d: %v", k, i, err)
						return
					}
				}
				stream.CloseSend()
				if _, err := stream.Recv(); err != io.EOF {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		server.GracefulStop()
		require.NoError(t, <-done)
	})
}

func TestGRPCErrors(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		ctx := within(t, limit)
		impatient := grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond},
			MinConnectTimeout: limit,
		})
		tests := grpc_testing.NewTestServiceClient(newGRPCClient(t, n, "passthrough:///"+n.address("80"), impatient))
		_, err := tests.EmptyCall(ctx, new(grpc_testing.Empty))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "connect: connection refused")

		t.Log("a listener that accepts nobody")
		n.listen(t, "81")
		silent := grpc_testing.NewTestServiceClient(newGRPCClient(t, n, "passthrough:///"+n.address("81")))
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err = silent.EmptyCall(short, new(grpc_testing.Empty))
		require.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)

		t.Log("a server that appears, is stopped within a call, and appears again")
		server := startGRPC(t, n, "80")
		_, err = tests.EmptyCall(ctx, new(grpc_testing.Empty), grpc.WaitForReady(true))
		require.NoError(t, err)
		stream, err := tests.FullDuplexCall(ctx)
		require.NoError(t, err)
		server.Stop()
		_, err = stream.Recv()
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		startGRPC(t, n, "80")
		_, err = tests.EmptyCall(ctx, new(grpc_testing.Empty), grpc.WaitForReady(true))
		require.NoError(t, err)
	})
}

// hostLookup is what turns a name into addresses: *smolnet.Resolver and *net.Resolver have the method.
type hostLookup interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// dnsResolver is gRPC's scheme "dns" with another way to look names up. gRPC's own asks the host's resolver, whatever the
// dialer: with a stack either the scheme is "passthrough", and the dialer is told the name, or it is replaced, as here.
type dnsResolver struct{ lookup hostLookup }

func (dnsResolver) Scheme() string { return "dns" }

func (r dnsResolver) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	host, port, err := net.SplitHostPort(target.Endpoint())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &dnsWatch{lookup: r.lookup, host: host, port: port, cc: cc, again: make(chan struct{}, 1), cancel: cancel}
	w.ResolveNow(resolver.ResolveNowOptions{})
	w.done.Go(func() { w.run(ctx) })
	return w, nil
}

// dnsWatch looks one name up whenever gRPC asks for it.
type dnsWatch struct {
	lookup     hostLookup
	host, port string
	cc         resolver.ClientConn
	again      chan struct{}
	cancel     context.CancelFunc
	done       sync.WaitGroup
}

func (w *dnsWatch) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.again:
		}
		found, err := w.lookup.LookupHost(ctx, w.host)
		if err != nil {
			w.cc.ReportError(err)
			continue
		}
		var state resolver.State
		for _, address := range found {
			state.Addresses = append(state.Addresses, resolver.Address{Addr: net.JoinHostPort(address, w.port)})
		}
		w.cc.UpdateState(state)
	}
}

func (w *dnsWatch) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

func (w *dnsWatch) Close() {
	w.cancel()
	w.done.Wait()
}

func TestGRPCTargets(t *testing.T) {
	inPlaces(t, func(t *testing.T, n network) {
		startGRPC(t, n, "80")
		startNames(t, n)
		replaced := grpc.WithResolvers(dnsResolver{n.client.Resolver()})
		for _, tc := range []struct {
			name, target string
			options      []grpc.DialOption
			failure      string
		}{
			{"an address for the dialer", "passthrough:///" + n.address("80"), nil, ""},
			{"an address for gRPC, which looks nothing up", "dns:///" + n.address("80"), nil, ""},
			{"a name for the dialer", "passthrough:///server.test:80", nil, ""},
			{"a name", "dns:///server.test:80", []grpc.DialOption{replaced}, ""},
			{"a name without a scheme", "server.test:80", []grpc.DialOption{replaced}, ""},
			{"an unknown name", "dns:///nowhere.test:80", []grpc.DialOption{replaced}, "lookup nowhere.test on "},
			{"an unknown name for the dialer", "passthrough:///nowhere.test:80", nil, "lookup nowhere.test on "},
		} {
			t.Log(tc.name)
			tests := grpc_testing.NewTestServiceClient(newGRPCClient(t, n, tc.target, tc.options...))
			var from peer.Peer
			_, err := tests.EmptyCall(within(t, limit), new(grpc_testing.Empty), grpc.Peer(&from))
			if tc.failure != "" {
				require.Equal(t, codes.Unavailable, status.Code(err))
				require.ErrorContains(t, err, tc.failure)
				require.ErrorContains(t, err, "no such host")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, n.address("80"), fmt.Sprint(from.Addr))
		}
	})
}
