package dns

import (
	"context"
	"math"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve asks until the records are found, it is certain that there are none, or nobody can tell.
func (c *Client) resolve(ctx context.Context, name dnsmessage.Name, qtype dnsmessage.Type, servers []netip.AddrPort) result {
	found := result{answer: Answer{Name: name}}
	ttl := uint32(math.MaxUint32)
	for {
		r, server, err := c.ask(ctx, found.answer.Name, qtype, servers)
		found.answer.Server = server
		if err != nil {
			found.answer.Cached = false
			return found.failed(err)
		}
		found.answer.Name = r.name
		found.answer.Aliases = append(found.answer.Aliases, r.aliases...)
		found.answer.Records, found.answer.Zone = r.records, r.zone
		found.answer.size += r.size
		found.answer.ofLink, found.answer.Cached = found.answer.ofLink || r.ofLink, r.cached
		ttl = min(ttl, r.ttl)
		switch {
		case len(found.answer.Aliases) > maxAliases:
			return found.failed(ErrChain)
		case r.rcode == dnsmessage.RCodeNameError:
			return c.missing(found, ErrNXDomain, min(ttl, r.negativeTTL))
		case len(r.records) > 0:
			found.answer.Expires = expiry(ttl, c.config.MaxTTL)
			return found
		case len(r.aliases) == 0 || r.certain:
			return c.missing(found, ErrNoData, min(ttl, r.negativeTTL))
		}
		// The server has left us on the way: it has the alias, but not what it stands for.
	}
}

// missing returns that there is no such name or record. Without an SOA record the time it holds is zero:
//
//	Negative responses without SOA records SHOULD NOT be cached
//
// https://www.rfc-editor.org/rfc/rfc2308.html#section-5
func (c *Client) missing(found result, err error, ttl uint32) result {
	found.answer.Records = nil
	found.answer.Expires = expiry(ttl, c.config.MaxNegativeTTL)
	return found.failed(err)
}

func expiry(ttl uint32, bound time.Duration) time.Time {
	return time.Now().Add(min(time.Duration(ttl)*time.Second, bound))
}

// ask puts one question to those who may know: to the hosts on the link, or to the servers one after another until one says
// something of use. The error is the last server's.
func (c *Client) ask(
	ctx context.Context, name dnsmessage.Name, qtype dnsmessage.Type, servers []netip.AddrPort,
) (r response, server netip.AddrPort, err error) {
	if c.config.Multicast != nil && ofLink(name) {
		r, err = c.link.ask(ctx, name, qtype)
		return r, netip.AddrPort{}, err
	}
	err = ErrNoServers
	for range c.config.Attempts {
		for _, server = range servers {
			r, err = c.exchange(ctx, server, name, qtype)
			if err == nil {
				err = r.failure()
			}
			if err == nil {
				return r, server, nil
			}
			if ctx.Err() != nil {
				return response{}, netip.AddrPort{}, ctx.Err()
			}
		}
	}
	return response{}, server, err
}
