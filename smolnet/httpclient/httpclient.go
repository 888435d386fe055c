// Package httpclient makes clients of net/http whose connections go through a smolnet stack.
//
//	client := httpclient.New(stack)
//	response, err := client.Get("https://example.org/")
//
// New is for who wants a client, Transport for who wants to put something around it, or change its fields. Servers need nothing of
// the kind: http.Serve takes a stack's listener.
//
// It is a package of its own because net/http makes a program larger by 1.4 MB, which a program that speaks no HTTP should not
// have to carry.
package httpclient

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Dialer is what connections are made by: a *smolnet.Stack, or a *dialer.Dialer for who wants options.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a client with a Transport of its own and no overall timeout, as http.DefaultClient has none. Once it is not used
// any more its CloseIdleConnections ends what waits to be used again; closing the stack does too.
func New(d Dialer) *http.Client {
	return &http.Client{Transport: Transport(d)}
}

// dialTimeout is how long a connection may take, names included.
const dialTimeout = 30 * time.Second

// Transport returns a transport that dials through d, speaks HTTP/2 where the server does, and has http.DefaultTransport's
// limits and timeouts. Unlike that it takes no proxy from the environment: the environment is the host's, not the stack's. Its fields
// may be changed before it is first used.
//
// Events of package httptrace that package net reports, which are those of looking up names and of connecting, do not come: nobody
// outside the standard library can report them.
func Transport(d Dialer) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return d.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:     true, // which a DialContext of one's own would switch off
		MaxIdleConns:          100,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}
