package registration

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/smolnet/smolnet/core/slaac"
	"github.com/smolnet/smolnet/core/timer"
	"github.com/smolnet/smolnet/core/wire"
)

// HostOwner is the interface that a host belongs to. A host calls it when its own state is settled, so that the host's
// methods may be called back at once.
type HostOwner interface {
	// Register sends a neighbour solicitation that registers an address: with the option, and a source link-layer address
	// option, which is required. It is sent even from an address that is tentative.
	Register(now int64, r Request)

	// SolicitRouter sends a router solicitation to one router, from the link-local address, with a source link-layer
	// address option and Host.Capabilities. That is to learn anew what is about to expire.
	SolicitRouter(now int64, router netip.Addr)

	// Registered tells that an address is registered with a router, with none before, and so is no longer tentative.
	Registered(now int64, addr netip.Addr)
	// Unregistered tells that an address is registered with no router any longer. Others may not be able to reach it.
	Unregistered(now int64, addr netip.Addr)
	// Duplicate tells that an address is somebody else's. The host has forgotten it; it must not be used.
	Duplicate(now int64, addr netip.Addr)
	// Refused tells that a router does not register an address, for another reason. Others are tried.
	Refused(now int64, addr, router netip.Addr, status wire.RegistrationStatus)
	// Unreachable tells that a router has not answered. For package slaac's host, which has an Unreachable too.
	Unreachable(now int64, router netip.Addr)

	// ContextsChanged tells that Contexts returns something else.
	ContextsChanged(now int64)
}

// Request is a neighbour solicitation that registers an address.
type Request struct {
	Router  netip.Addr // where it goes: a router's link-local address
	Source  netip.Addr // where it comes from
	Target  netip.Addr // what it asks for
	Address netip.Addr // that it registers: Source or Target
	Option  wire.NDAddressRegistrationRepr
}

// Mode is which form of registration a host uses.
type Mode uint8

// The forms of registration.
const (
	ModeAuto     Mode = iota // RFC 8505's with routers that say that they take it, RFC 6775's with others
	ModeBasic                // RFC 6775's
	ModeExtended             // RFC 8505's
)

// Defaults of HostConfig.
const (
	DefaultLifetime     = time.Hour
	DefaultRetransmit   = time.Second // RETRANS_TIMER
	DefaultRegistrars   = 2
	DefaultMaxAddresses = 16
	DefaultMaxRouters   = 8
	DefaultMaxBorder    = 4
)

// HostConfig says how a host behaves. Zero in a number or a time means its default.
type HostConfig struct {
	// Timers, Owner and Rand are what a host works with; all are required. Rand returns uniformly distributed numbers. Package core
	// fills them in, and EUI64, Addresses and Routers.
	Timers *timer.Heap
	Owner  HostOwner
	Rand   func() uint64

	// EUI64 is the interface's, by which routers know the owner of an address. Required.
	EUI64 [8]byte
	// ROVR is what RFC 8505's routers know the owner by. Default: EUI64.
	ROVR wire.ROVR

	// Mode is which form of registration is used. Default ModeAuto.
	Mode Mode
	// Lifetime is how long a registration lasts if it is not renewed, as it is after two thirds of that: whole minutes up
	// to 65,535. Default 1 h.
	Lifetime time.Duration
	// Retransmit is the time between solicitations that are not answered: 10 ms to 1 h. Default 1 s.
	Retransmit time.Duration
	// Registrars is with how many routers each address is registered, if there are so many. Default 2.
	Registrars int
	// Routes says that the node sees to it itself that its addresses can be reached, as a RPL router does. Else routers are
	// asked to, as far as they know how.
	Routes bool

	// Addresses is how many addresses can be registered. Default 16.
	Addresses int
	// Routers is how many routers are known. Default 8.
	Routers int
	// BorderRouters is how many border routers are known. Default 4.
	BorderRouters int
}

// withDefaults fills in what is zero and refuses what cannot be.
func (cfg HostConfig) withDefaults() (HostConfig, error) {
	if cfg.Timers == nil || cfg.Owner == nil || cfg.Rand == nil {
		return cfg, fmt.Errorf("%w: Timers, Owner and Rand are required", ErrInvalid)
	}
	if cfg.EUI64 == ([8]byte{}) {
		return cfg, fmt.Errorf("%w: EUI64 is required", ErrInvalid)
	}
	if cfg.ROVR.IsZero() {
		cfg.ROVR = wire.EUI64ROVR(cfg.EUI64)
	}
	if cfg.Mode > ModeExtended {
		return cfg, fmt.Errorf("%w: Mode %d", ErrInvalid, cfg.Mode)
	}
	if err := bounded("Lifetime", &cfg.Lifetime, DefaultLifetime, time.Minute, wire.NDMaxLowpanLifetime); err != nil {
		return cfg, err
	}
	if cfg.Lifetime%time.Minute != 0 {
		return cfg, fmt.Errorf("%w: Lifetime %v is not whole minutes", ErrInvalid, cfg.Lifetime)
	}
	if err := bounded("Retransmit", &cfg.Retransmit, DefaultRetransmit, minRetransmit, time.Hour); err != nil {
		return cfg, err
	}
	return cfg, counted([]count{
		{"Registrars", &cfg.Registrars, DefaultRegistrars},
		{"Addresses", &cfg.Addresses, DefaultMaxAddresses},
		{"Routers", &cfg.Routers, DefaultMaxRouters},
		{"BorderRouters", &cfg.BorderRouters, DefaultMaxBorder},
	})
}

// minRetransmit keeps solicitations from becoming a flood.
const minRetransmit = 10 * time.Millisecond

// Host registers the addresses of one interface, and keeps the contexts that routers advertise.
type Host struct {
	cfg       HostConfig
	counters  Counters
	timer     timer.Timer
	routers   []*registrar // as they are to be used, the best first
	addresses []*address
	contexts  contextTable
	border    []borderRouter
	// retransmit is the time between solicitations.
	retransmit time.Duration
	told       []told // what the owner has yet to be told
}

// told is what the owner has yet to be told.
type told struct {
	kind    toldKind
	request Request // of it, only Router and Address, unless it is a request
	status  wire.RegistrationStatus
}

type toldKind uint8

const (
	tellRequest toldKind = iota
	tellSolicit
	tellRegistered
	tellUnregistered
	tellDuplicate
	tellRefused
	tellUnreachable
	tellContexts
)

// address is one of the interface's that is to be registered.
type address struct {
	addr       netip.Addr
	own        bool // it is the link-local address that follows from the EUI-64
	tid        uint8
	moved      int   // how many times in succession a router knew of a newer registration
	renewAt    int64 // when it is registered anew
	registered bool  // the owner has been told so
	bindings   []*binding
}

// binding is an address at a router.
type binding struct {
	address *address
	router  *registrar
	state   bindingState
	until   int64 // the end of the registration; 0: there is none
	retryAt int64 // when a router that refuses it is asked again
}

type bindingState uint8

const (
	idle    bindingState = iota // nothing is to be done
	due                         // the router is to be asked
	asked                       // the router has been asked
	refused                     // the router does not register the address, until retryAt
)

// registrar is a router.
type registrar struct {
	addr      netip.Addr
	listed    bool  // it is a default router
	reachable bool  // as far as is known
	extended  bool  // it takes RFC 8505's registrations
	unasked   int64 // it did not answer, and is not asked until then

	// At most one request is under way: RFC 6775's answers do not say which address an error is about.
	request *binding
	sent    int   // how many times it has been
	bare    bool  // it was answered, but without the option
	retryAt int64 // when it is sent again, or has failed

	refreshAt int64 // when it is asked for another advertisement
	refreshes int   // how many times it has been since the last
}

// NewHost returns a host that knows of no addresses and no routers. The error wraps ErrInvalid and names the value.
func NewHost(cfg HostConfig) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Host{cfg: cfg, retransmit: cfg.Retransmit}, nil
}

// Counters returns what the host has counted.
func (h *Host) Counters() Counters { return h.counters }

// HostRegistration is a registration of one of a host's addresses with a router.
type HostRegistration struct {
	Addr, Router netip.Addr
	Until        int64
}

// Registrations returns the registrations that routers have confirmed, by address in the order in which they were added.
func (h *Host) Registrations() []HostRegistration {
	var registrations []HostRegistration
	for _, a := range h.addresses {
		for _, b := range a.bindings {
			if b.until != 0 {
				registrations = append(registrations, HostRegistration{a.addr, b.router.addr, b.until})
			}
		}
	}
	return registrations
}

// Contexts returns the contexts that are known, by identifier.
func (h *Host) Contexts() []Context { return h.contexts.list() }

// Capabilities is the option that goes with every router solicitation, nil if the mode is ModeBasic.
//
// "The 6CIO MUST be present in both RS and RA messages, unless the 6CIO information was already shared in recent exchanges or
// pre-configured in all nodes in a network."
// https://www.rfc-editor.org/rfc/rfc8505.html#section-6.1
func (h *Host) Capabilities() wire.NDOptions {
	if h.cfg.Mode == ModeBasic {
		return nil
	}
	return wire.NDOptions{}.Append(&wire.NDCapabilitiesRepr{Flags: wire.NDCapabilityExtendedRegistration})
}

// AddAddress registers a unicast address with routers, from now on until it is removed. tentative says that it is not to be
// used before Registered: so are all but the link-local address that follows from the EUI-64. The error wraps ErrInvalid:
// the address is none to register, or there are too many.
//
// A host begins to register "when a new address is configured, when it discovers a new default router, or well before the
// Registration Lifetime expires."
// https://www.rfc-editor.org/rfc/rfc6775.html#section-5.5.1
func (h *Host) AddAddress(now int64, addr netip.Addr) (tentative bool, err error) {
	addr = addr.WithZone("")
	if !unicast(addr) {
		return false, fmt.Errorf("%w: address %v is not IPv6 unicast", ErrInvalid, addr)
	}
	if a := h.address(addr); a != nil {
		return !a.own && !a.registered, nil
	}
	if len(h.addresses) >= h.cfg.Addresses {
		return false, fmt.Errorf("%w: more than %d addresses", ErrInvalid, h.cfg.Addresses)
	}
	a := &address{
		addr: addr, own: addr == wire.ExtendedAddr(h.cfg.EUI64).LinkLocal(), tid: firstTID, renewAt: timer.Never,
	}
	for _, r := range h.routers {
		a.bindings = append(a.bindings, &binding{address: a, router: r})
	}
	h.addresses = append(h.addresses, a)
	h.settle(now)
	return !a.own, nil
}

// RemoveAddress ends the registrations of an address. It is for before the interface loses the address.
func (h *Host) RemoveAddress(now int64, addr netip.Addr) {
	if a := h.address(addr.WithZone("")); a != nil {
		h.withdraw(a)
		h.settle(now)
	}
}

// withdraw forgets an address after it has ended its registrations.
func (h *Host) withdraw(a *address) {
	a.tid = nextTID(a.tid)
	for _, b := range a.bindings {
		if b.router.request == b {
			b.router.request = nil
		}
		// A registration whose answer is outstanding may be one too.
		if b.until != 0 || b.state == asked {
			h.tellRequest(b, 0)
		}
	}
	h.addresses = slices.DeleteFunc(h.addresses, func(other *address) bool { return other == a })
}

// SetRouters says which routers are known: those of package slaac's host, whenever they change.
func (h *Host) SetRouters(now int64, routers []slaac.Router) {
	for _, r := range h.routers {
		r.listed = false
	}
	for _, router := range routers {
		if router.Until == 0 {
			continue // it is no default router
		}
		r := h.learnRouter(router.Addr)
		if r == nil {
			continue
		}
		r.listed = true
		if router.Reachable && !r.reachable {
			r.unasked = 0
		}
		r.reachable = router.Reachable
	}
	rank := func(r *registrar) int {
		i := slices.IndexFunc(routers, func(other slaac.Router) bool { return other.Addr == r.addr })
		if i < 0 {
			return 1 << 20
		}
		n := i - int(routers[i].Preference)<<10
		if !routers[i].Reachable {
			n += 1 << 16
		}
		return n
	}
	slices.SortStableFunc(h.routers, func(a, b *registrar) int { return rank(a) - rank(b) })
	for i := len(h.routers) - 1; i >= 0; i-- {
		if !h.routers[i].listed {
			h.forgetRouter(h.routers[i])
		}
	}
	h.settle(now)
}

// learnRouter returns the router with the address, a new one if there is room for it, or nil.
func (h *Host) learnRouter(addr netip.Addr) *registrar {
	if r := h.router(addr); r != nil {
		return r
	}
	if len(h.routers) >= h.cfg.Routers {
		i := slices.IndexFunc(h.routers, func(r *registrar) bool { return !r.listed })
		if i < 0 {
			h.counters.refuse(CauseFull)
			return nil
		}
		h.forgetRouter(h.routers[i])
	}
	r := &registrar{addr: addr, reachable: true, extended: h.cfg.Mode == ModeExtended, refreshAt: timer.Never}
	h.routers = append(h.routers, r)
	for _, a := range h.addresses {
		a.bindings = append(a.bindings, &binding{address: a, router: r})
	}
	return r
}

func (h *Host) forgetRouter(r *registrar) {
	h.routers = slices.DeleteFunc(h.routers, func(other *registrar) bool { return other == r })
	for _, a := range h.addresses {
		a.bindings = slices.DeleteFunc(a.bindings, func(b *binding) bool { return b.router == r })
	}
}

// SetRetransmit sets the time between solicitations, as routers say it: slaac.Parameters has it. Zero stands for the
// configured one.
func (h *Host) SetRetransmit(t time.Duration) {
	h.retransmit = h.cfg.Retransmit
	if t != 0 {
		h.retransmit = min(max(t, minRetransmit), time.Hour)
	}
}

// Stop ends all registrations and forgets all that was learnt. The owner is told only of the former.
func (h *Host) Stop(now int64) {
	for n := len(h.addresses); n > 0; n = len(h.addresses) {
		h.withdraw(h.addresses[n-1]) // the link-local one, which others' registrations are ended from, tends to be the first
	}
	h.routers, h.border, h.contexts = nil, nil, contextTable{}
	h.settle(now)
	h.cfg.Timers.Remove(&h.timer)
}

func (h *Host) address(addr netip.Addr) *address {
	for _, a := range h.addresses {
		if a.addr == addr {
			return a
		}
	}
	return nil
}

func (h *Host) router(addr netip.Addr) *registrar {
	for _, r := range h.routers {
		if r.addr == addr {
			return r
		}
	}
	return nil
}

// at returns the binding of an address at a router.
func (a *address) at(r *registrar) *binding {
	for _, b := range a.bindings {
		if b.router == r {
			return b
		}
	}
	return nil
}
