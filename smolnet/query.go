package smolnet

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/internal/dns"
	"github.com/smolnet/smolnet/internal/neterr"
)

// query asks for the records of one type that an absolute name has.
func (r *Resolver) query(ctx context.Context, name string, qtype dnsmessage.Type) (dns.Answer, error) {
	if r.stack.ctx.Err() != nil {
		return dns.Answer{}, net.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(r.stack.ctx, cancel)
	defer stop()
	r.follow()
	return r.client.Query(ctx, name, qtype)
}

// A reply is what became of a query.
type reply struct {
	dns.Answer
	err error
}

// queryAll asks for the records of several types at the same time.
func (r *Resolver) queryAll(ctx context.Context, name string, types []dnsmessage.Type) []reply {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	enough := sync.OnceFunc(func() {
		if !r.config.NoMulticastDNS && below(name, multicastDomain) {
			time.AfterFunc(multicastGrace, cancel)
		}
	})
	replies := make([]reply, len(types))
	var wg sync.WaitGroup
	for i, qtype := range types {
		wg.Go(func() {
			if replies[i].Answer, replies[i].err = r.query(ctx, name, qtype); replies[i].err == nil {
				enough()
			}
		})
	}
	wg.Wait()
	return replies
}

const (
	multicastDomain = "local"

	// multicastGrace is how much longer than for the records of one type those of the others are waited for on the link. There
	// nobody says that there are none, and hosts that have some answer at the same time.
	multicastGrace = 300 * time.Millisecond
)

// endsLookup reports whether the error of a query is one with which the whole lookup ends.
func (r *Resolver) endsLookup(ctx context.Context, err error) bool {
	temporary, ok := err.(interface{ Temporary() bool })
	return ctx.Err() != nil || r.config.StrictErrors && ok && temporary.Temporary()
}

// failure is the error of a lookup of the name that failed because a query did.
func (r *Resolver) failure(ctx context.Context, name string, err error) error {
	var asked *dns.Error
	switch {
	case ctx.Err() != nil:
		asked = &dns.Error{Err: ctx.Err()}
	case r.stack.ctx.Err() != nil:
		// Whatever else has gone wrong, it is because of that.
		return &net.DNSError{Err: net.ErrClosed.Error(), UnwrapErr: net.ErrClosed, Name: name}
	case !errors.As(err, &asked):
		return &net.DNSError{Err: err.Error(), Name: name}
	case asked.Err == dns.ErrNoServers:
		return noSuchHost(name)
	}
	cause := neterr.Map("", asked.Err)
	failure := &net.DNSError{
		Err: cause.Error(), Name: name,
		IsNotFound: asked.NotFound(), IsTimeout: asked.Timeout(), IsTemporary: asked.Temporary(),
	}
	if asked.Server.IsValid() {
		failure.Server = asked.Server.String()
	}
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		failure.UnwrapErr = cause
	}
	return failure
}

// noSuchHost is the error of a lookup for which nobody needs to be asked.
func noSuchHost(name string) error {
	return &net.DNSError{Err: dns.ErrNXDomain.Error(), Name: name, IsNotFound: true}
}
