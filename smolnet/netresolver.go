package smolnet

import (
	"context"
	"net"

	"github.com/smolnet/smolnet/internal/dns"
	"github.com/smolnet/smolnet/internal/neterr"
)

// NetResolver returns a *net.Resolver whose questions go to this resolver's servers by its stack: for code that demands the
// concrete type. That type was not made for it, so it is second best wherever a Resolver will do:
//
//   - Of this resolver it has the servers only, as they are at each question. Search list, number of attempts and timeout are
//     those of the host's resolv.conf. Whichever server it means to ask, it is the next of ours by turns that is asked, over UDP
//     and when an answer was truncated over TCP; so an error may name the wrong one.
//   - It reads the host's hosts file and, where there is one, nsswitch.conf, and may find "localhost" there, or nothing else.
//   - It sorts addresses by the host's routes, for which it opens sockets of the host's, though it sends nothing by them.
//   - It knows no cache, no Multicast DNS, and none of Hosts. It works by the real clock.
func (r *Resolver) NetResolver() *net.Resolver {
	return &net.Resolver{
		PreferGo:     true, // or else the system's resolver is asked, which does not dial
		StrictErrors: r.config.StrictErrors,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			servers := r.Servers()
			if len(servers) == 0 {
				return nil, neterr.Op("dial", "", network, nil, nil, dns.ErrNoServers)
			}
			return r.dial(ctx, network, servers[int(r.turn.Add(1)-1)%len(servers)])
		},
	}
}
