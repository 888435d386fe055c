package dhcpv4

import (
	"bytes"
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// bindingState is what an address that is not free is.
type bindingState uint8

const (
	offered  bindingState = iota // to a client, which is to answer
	given                        // to a client
	declined                     // found in use by somebody
)

// binding is what a server knows of an address. When its time is over it is only a memory: the client gets it again unless
// somebody else needs it.
type binding struct {
	addr     netip.Addr
	state    bindingState
	client   string // see clientKey
	hardware wire.HardwareAddr
	hostname string
	expire   int64 // timer.Never: never
}

// Binding is an address that a server has given away.
type Binding struct {
	Addr         netip.Addr
	HardwareAddr wire.HardwareAddr
	Hostname     string // what the client says that it is called
	Expire       int64  // nanoseconds since the stack's epoch; timer.Never: never
}

// Bindings returns the leases of the server that are valid at now, by address.
func (s *Server) Bindings(now int64) []Binding {
	var list []Binding
	for _, b := range s.bindings {
		if b.state == given && b.expire > now {
			list = append(list, Binding{b.addr, b.hardware, b.hostname, b.expire})
		}
	}
	slices.SortFunc(list, func(a, b Binding) int { return a.Addr.Compare(b.Addr) })
	return list
}

// clientKey tells clients apart: by their identifier, or else by their hardware address.
//
// "If the client supplies a 'client identifier', [...] the server MUST use that identifier to identify the client. If the
// client does not provide a 'client identifier' option, the server MUST use the contents of the 'chaddr' field to identify
// the client."
// https://www.rfc-editor.org/rfc/rfc2131.html#section-4.2
func clientKey(q *wire.DHCPv4Repr) string {
	if q.ClientID != nil {
		return "i" + string(q.ClientID)
	}
	return "h" + string(q.ClientHardware[:])
}

// static returns the settled address of the client, or nil. An identifier says more than a hardware address does.
func (s *Server) static(q *wire.DHCPv4Repr) *Static {
	i := slices.IndexFunc(s.cfg.Static, func(c Static) bool { return c.ClientID != nil && bytes.Equal(c.ClientID, q.ClientID) })
	if i < 0 {
		i = slices.IndexFunc(s.cfg.Static, func(c Static) bool { return c.ClientID == nil && c.HardwareAddr == q.ClientHardware })
	}
	if i < 0 {
		return nil
	}
	return &s.cfg.Static[i]
}

// allocate returns the binding to offer the client: of its settled address, else of what it has or had, else of the address
// that it wishes, else of a free one, else of one whose lease is over. It is nil if there is none.
func (s *Server) allocate(now int64, q *wire.DHCPv4Repr, wish netip.Addr) *binding {
	if static := s.static(q); static != nil {
		return s.take(now, q, static.Addr)
	}
	if b := s.clients[clientKey(q)]; b != nil && s.hands(b.addr) {
		return b
	}
	if b := s.take(now, q, wish); b != nil {
		return b
	}
	if len(s.bindings) >= s.cfg.Limits.Leases && s.oldest(now) == nil {
		return nil
	}
	// There can be no more addresses in use than bindings, so that one more look than there are finds a free one.
	for range len(s.bindings) + 1 + len(s.cfg.Static) + len(s.cfg.Routers) {
		addr := s.cursor
		if s.cursor = addr.Next(); !addr.Less(s.cfg.Last) {
			s.cursor = s.cfg.First
		}
		if s.bindings[addr] == nil {
			if b := s.take(now, q, addr); b != nil {
				return b
			}
		}
	}
	if old := s.oldest(now); old != nil && s.hands(old.addr) {
		return s.take(now, q, old.addr)
	}
	return nil
}

// take makes addr the client's, if it may have it and nobody else does.
func (s *Server) take(now int64, q *wire.DHCPv4Repr, addr netip.Addr) *binding {
	if static := s.static(q); static != nil && static.Addr != addr || static == nil && !s.hands(addr) {
		return nil
	}
	key := clientKey(q)
	b := s.bindings[addr]
	if b != nil && b.client != key {
		if b.expire > now {
			return nil
		}
		s.free(b)
		b = nil
	}
	if had := s.clients[key]; had != nil && had != b {
		s.free(had) // a client has one address
	}
	if b == nil {
		if len(s.bindings) >= s.cfg.Limits.Leases {
			old := s.oldest(now)
			if old == nil {
				return nil
			}
			s.free(old)
		}
		b = &binding{addr: addr, client: key, hardware: q.ClientHardware}
		s.bindings[addr], s.clients[key] = b, b
	}
	return b
}

// hands reports whether addr is one of those that any client may get.
func (s *Server) hands(addr netip.Addr) bool {
	c := &s.cfg
	return hosts(c.Addr, addr) && !addr.Less(c.First) && !c.Last.Less(addr) && addr != c.Addr.Addr() && !slices.Contains(c.Routers, addr) &&
		!slices.ContainsFunc(c.Static, func(static Static) bool { return static.Addr == addr })
}

// oldest returns the binding whose time has been over for longest, or nil.
func (s *Server) oldest(now int64) *binding {
	var oldest *binding
	for _, b := range s.bindings {
		if b.expire > now || oldest != nil && cmp.Or(cmp.Compare(b.expire, oldest.expire), b.addr.Compare(oldest.addr)) > 0 {
			continue
		}
		oldest = b
	}
	return oldest
}

// free forgets a binding.
func (s *Server) free(b *binding) {
	delete(s.bindings, b.addr)
	if b.client != "" {
		delete(s.clients, b.client)
	}
}

// after is the time d after now.
func after(now int64, d time.Duration) int64 {
	if d >= wire.DHCPv4Infinite || now > math.MaxInt64-int64(d) {
		return timer.Never
	}
	return now + int64(d)
}
