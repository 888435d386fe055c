package dhcpv4

import (
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/wire"
)

// Server hands out the addresses of one network. It keeps what it has given away in memory only.
type Server struct {
	cfg      ServerConfig
	bindings map[netip.Addr]*binding // by address: given, offered, or declined
	clients  map[string]*binding     // the same, but for those that were declined, by client
	cursor   netip.Addr              // where the search for a free address goes on
}

// NewServer returns a server that has given away nothing yet. The error wraps ErrInvalid and names the value.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, bindings: make(map[netip.Addr]*binding), clients: make(map[string]*binding), cursor: cfg.First}, nil
}

// Receive takes in a message that arrived at port 67, keeps none of it, and returns the answer with where it is to be sent
// from port 67: a client's address, 255.255.255.255 on the server's link, or a relay agent's. An answer of nil says that
// there is none.
//
// The server broadcasts what goes to a client without address, rather than telling its link of a neighbour that does not
// answer for the address yet, which RFC 2131 allows in section 4.1.
func (s *Server) Receive(now int64, message []byte) (answer []byte, to netip.AddrPort) {
	p, err := wire.ParseDHCPv4(message)
	if err != nil {
		return nil, to
	}
	var q wire.DHCPv4Repr
	if q.Parse(p) != nil || q.RelayAddr.IsValid() && !s.cfg.Addr.Contains(q.RelayAddr) {
		return nil, to // another network's relay agent
	}
	var r *wire.DHCPv4Repr
	switch q.Type {
	case wire.DHCPv4Discover:
		r = s.discover(now, &q)
	case wire.DHCPv4Request:
		r = s.request(now, &q)
	case wire.DHCPv4Inform:
		if unicast(q.ClientAddr) {
			r = s.answer(wire.DHCPv4ACK, &q, nil)
		}
	case wire.DHCPv4Decline:
		s.decline(now, &q)
	case wire.DHCPv4Release:
		s.release(now, &q)
	}
	if r == nil {
		return nil, to
	}
	shrink(r, q.MaxMessageSize)
	answer = make([]byte, r.Len())
	r.Emit(answer)
	return answer, destination(&q, r)
}

// destination is where the answer r to q goes.
func destination(q, r *wire.DHCPv4Repr) netip.AddrPort {
	switch {
	case q.RelayAddr.IsValid():
		return netip.AddrPortFrom(q.RelayAddr, wire.DHCPv4ServerPort)
	case r.Type != wire.DHCPv4NAK && unicast(q.ClientAddr):
		return netip.AddrPortFrom(q.ClientAddr, wire.DHCPv4ClientPort)
	default:
		// "In all cases, when 'giaddr' is zero, the server broadcasts any DHCPNAK messages to 0xffffffff."
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.1
		return netip.AddrPortFrom(broadcastAddr, wire.DHCPv4ClientPort)
	}
}

func (s *Server) discover(now int64, q *wire.DHCPv4Repr) *wire.DHCPv4Repr {
	b := s.allocate(now, q, q.RequestedAddr)
	if b == nil {
		return nil
	}
	if b.state != given || b.expire <= now {
		b.state, b.expire = offered, now+int64(offerTime)
	}
	r := s.answer(wire.DHCPv4Offer, q, b)
	r.LeaseTime = s.leaseTime(q)
	return r
}

func (s *Server) request(now int64, q *wire.DHCPv4Repr) *wire.DHCPv4Repr {
	addr := q.RequestedAddr
	if !addr.IsValid() {
		addr = q.ClientAddr
	}
	b := s.clients[clientKey(q)]
	selecting := q.ServerID.IsValid()
	if selecting && q.ServerID != s.cfg.Addr.Addr() {
		if b != nil && b.state == offered { // the client has chosen another server
			s.free(b)
		}
		return nil
	}
	if !s.cfg.Addr.Contains(addr) {
		// "If the DHCP server detects that the client is on the wrong net [...] then the server SHOULD send a DHCPNAK
		// message to the client."
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.3.2
		return s.refuse(q, "wrong network")
	}
	if b == nil || b.addr != addr {
		// "If the DHCP server has no record of this client, then it MUST remain silent"
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.3.2
		if b == nil && !selecting && !s.cfg.Authoritative {
			return nil
		}
		if b = s.take(now, q, addr); b == nil {
			return s.refuse(q, "address not available")
		}
	}
	lease := s.leaseTime(q)
	b.state, b.expire, b.hostname = given, after(now, lease), q.Hostname
	r := s.answer(wire.DHCPv4ACK, q, b)
	r.ClientAddr, r.LeaseTime = q.ClientAddr, lease
	return r
}

// decline takes an address out of use for a while. Only who was given it may say that somebody else has it.
func (s *Server) decline(now int64, q *wire.DHCPv4Repr) {
	b := s.clients[clientKey(q)]
	if b == nil || b.addr != q.RequestedAddr || q.ServerID != s.cfg.Addr.Addr() {
		return
	}
	delete(s.clients, b.client)
	b.state, b.client, b.expire = declined, "", now+int64(s.cfg.DeclineTime)
}

// release ends a lease. Its address stays the client's until another needs it.
func (s *Server) release(now int64, q *wire.DHCPv4Repr) {
	if b := s.clients[clientKey(q)]; b != nil && b.addr == q.ClientAddr && q.ServerID == s.cfg.Addr.Addr() {
		b.expire = now
	}
}

// refuse is a NAK.
func (s *Server) refuse(q *wire.DHCPv4Repr, why string) *wire.DHCPv4Repr {
	return &wire.DHCPv4Repr{
		Type: wire.DHCPv4NAK, XID: q.XID, ClientHardware: q.ClientHardware, ServerID: s.cfg.Addr.Addr(), ClientID: q.ClientID,
		RelayAddr: q.RelayAddr, Message: why,
		// "If 'giaddr' is set in the DHCPREQUEST message, [...] The server MUST set the broadcast bit in the DHCPNAK"
		// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.3.2
		Broadcast: q.Broadcast || q.RelayAddr.IsValid(),
	}
}

// answer is an OFFER or ACK with what the client wants to know, about an address if there is a binding.
func (s *Server) answer(kind wire.DHCPv4MessageType, q *wire.DHCPv4Repr, b *binding) *wire.DHCPv4Repr {
	r := &wire.DHCPv4Repr{
		Type: kind, XID: q.XID, ClientHardware: q.ClientHardware, ServerID: s.cfg.Addr.Addr(), RelayAddr: q.RelayAddr,
		Broadcast: q.Broadcast, SubnetBits: s.cfg.Addr.Bits(),
		// A server returns the identifier that the client sent, so that clients with the same hardware address can tell
		// their answers apart.
		// https://www.rfc-editor.org/rfc/rfc6842.html#section-3
		ClientID: q.ClientID,
	}
	if b != nil {
		r.YourAddr = b.addr
	} else {
		r.ClientAddr = q.ClientAddr
	}
	c := &s.cfg
	for _, code := range s.wanted(q) {
		switch code {
		case wire.DHCPv4OptionRouters:
			r.Routers = c.Routers
		case wire.DHCPv4OptionClasslessRoutes:
			r.Routes = c.Routes
		case wire.DHCPv4OptionDNSServers:
			r.DNSServers = c.DNSServers
		case wire.DHCPv4OptionNTPServers:
			r.NTPServers = c.NTPServers
		case wire.DHCPv4OptionDomainName:
			r.DomainName = c.DomainName
		case wire.DHCPv4OptionDomainSearch:
			r.DomainSearch = c.DomainSearch
		case wire.DHCPv4OptionMTU:
			r.MTU = c.MTU
		case wire.DHCPv4OptionBroadcastAddr:
			if c.Addr.Bits() < 31 {
				r.BroadcastAddr = broadcast(c.Addr)
			}
		case wire.DHCPv4OptionHostname:
			if static := s.static(q); static != nil {
				r.Hostname = static.Hostname
			}
		}
	}
	return r
}

// wanted are the codes of the options that the client wants: those that it asks for, or all.
func (s *Server) wanted(q *wire.DHCPv4Repr) []uint8 {
	if q.Parameters == nil {
		return DefaultParameters()
	}
	return q.Parameters
}

// leaseTime is how long a lease the client gets: as it wishes, up to the most there is.
func (s *Server) leaseTime(q *wire.DHCPv4Repr) time.Duration {
	if q.LeaseTime == 0 {
		return s.cfg.LeaseTime
	}
	return min(q.LeaseTime, s.cfg.MaxLeaseTime)
}

// headers are the octets of the IP and UDP headers, which the greatest length of a message counts in.
const headers = wire.IPv4HeaderLen + wire.UDPHeaderLen

// shrink leaves out options, the least important first, until the message is as short as the client can take.
func shrink(r *wire.DHCPv4Repr, size uint16) {
	most := int(min(max(size, 576), 1500)) - headers // nothing longer than an Ethernet carries
	for _, leave := range []func(){
		func() { r.NTPServers = nil }, func() { r.DomainSearch = nil }, func() { r.DNSServers = nil },
		func() { r.DomainName = "" }, func() { r.Routes = nil }, func() { r.Routers = nil },
	} {
		if r.Len() <= most {
			return
		}
		leave()
	}
}
