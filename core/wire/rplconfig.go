package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Objective code points, which name objective functions.
const (
	RPLObjectiveZero  = 0 // OF0, RFC 6552
	RPLObjectiveMRHOF = 1 // RFC 6719
)

// RPLDODAGConfigurationRepr is what the root sets for its whole DODAG (RFC 6550, section 6.7.6).
type RPLDODAGConfigurationRepr struct {
	// SkipOption has the RPL option of packets be of type IPv6OptionRPLSkip instead of IPv6OptionRPL (RFC 9008, section 4.1.3).
	SkipOption    bool
	Authenticated bool // of secure messages: nodes must authenticate themselves before they become routers
	// PathControlSize is one less than how many bits of path control are used, 0 to 7.
	PathControlSize    uint8
	IntervalDoublings  uint8  // by which DIOs slow down
	IntervalMin        uint8  // the least time between DIOs is 2 to the power of it, in ms
	Redundancy         uint8  // how many DIOs of others suppress one's own; 0: never
	MaxRankIncrease    uint16 // by which a node may move away from the root; 0: no limit
	MinHopRankIncrease uint16 // the least by which rank grows a hop: how many ranks make one of DAGRank
	Objective          uint16 // such as RPLObjectiveZero
	DefaultLifetime    uint8  // of routes, in LifetimeUnit; 255: infinite
	LifetimeUnit       uint16 // seconds
}

const (
	rplConfigurationLen = 16

	rplConfigSkipOption    = 0x10
	rplConfigAuthenticated = 0x08
)

// Parse sets r to what o says.
func (r *RPLDODAGConfigurationRepr) Parse(o RPLOption) error {
	d := o.data(RPLOptionDODAGConfiguration, rplConfigurationLen-rplOptionHeaderLen)
	if len(o) != rplConfigurationLen || d == nil {
		return ErrOption
	}
	*r = RPLDODAGConfigurationRepr{
		SkipOption:         d[0]&rplConfigSkipOption != 0,
		Authenticated:      d[0]&rplConfigAuthenticated != 0,
		PathControlSize:    d[0] & 7,
		IntervalDoublings:  d[1],
		IntervalMin:        d[2],
		Redundancy:         d[3],
		MaxRankIncrease:    binary.BigEndian.Uint16(d[4:]),
		MinHopRankIncrease: binary.BigEndian.Uint16(d[6:]),
		Objective:          binary.BigEndian.Uint16(d[8:]),
		DefaultLifetime:    d[11],
		LifetimeUnit:       binary.BigEndian.Uint16(d[12:]),
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLDODAGConfigurationRepr) Len() int { return rplConfigurationLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLDODAGConfigurationRepr) Emit(b []byte) {
	b = b[:rplConfigurationLen]
	putRPLOptionHeader(b, RPLOptionDODAGConfiguration)
	d := b[rplOptionHeaderLen:]
	d[0] = r.PathControlSize & 7
	if r.SkipOption {
		d[0] |= rplConfigSkipOption
	}
	if r.Authenticated {
		d[0] |= rplConfigAuthenticated
	}
	d[1], d[2], d[3] = r.IntervalDoublings, r.IntervalMin, r.Redundancy
	binary.BigEndian.PutUint16(d[4:], r.MaxRankIncrease)
	binary.BigEndian.PutUint16(d[6:], r.MinHopRankIncrease)
	binary.BigEndian.PutUint16(d[8:], r.Objective)
	d[10], d[11] = 0, r.DefaultLifetime
	binary.BigEndian.PutUint16(d[12:], r.LifetimeUnit)
}

// String prints the option.
func (r *RPLDODAGConfigurationRepr) String() string {
	flags := ""
	if r.SkipOption {
		flags += " skip-option"
	}
	if r.Authenticated {
		flags += " authenticated"
	}
	return fmt.Sprintf("config%s pcs %d, imin %d, doublings %d, k %d, max-rank-inc %d, min-hop-rank-inc %d, ocp %d, lifetime %d x %ds",
		flags, r.PathControlSize, r.IntervalMin, r.IntervalDoublings, r.Redundancy, r.MaxRankIncrease, r.MinHopRankIncrease,
		r.Objective, r.DefaultLifetime, r.LifetimeUnit)
}

// RPLPrefixInformationRepr is a prefix for addresses, as NDPrefixInformationRepr is (RFC 6550, section 6.7.10).
type RPLPrefixInformationRepr struct {
	Prefix     netip.Prefix // its bits beyond its length are zero
	OnLink     bool         // its addresses are on the link, which on a mesh they seldom are
	Autonomous bool         // it is for autoconfiguration of addresses
	// Router is the sender's own address in the prefix; zero: not said. What is emitted for it takes the prefix's place.
	Router netip.Addr
	// The lifetimes are whole seconds up to NDInfiniteLifetime, the preferred one at most the valid one.
	ValidLifetime, PreferredLifetime time.Duration
}

const (
	rplPrefixLen = 32

	rplFlagRouter = 0x20
)

// Parse sets r to what o says.
func (r *RPLPrefixInformationRepr) Parse(o RPLOption) error {
	if len(o) != rplPrefixLen || o.Type() != RPLOptionPrefixInformation || o[2] > 128 {
		return ErrOption
	}
	valid, preferred := ndSeconds(o[4:]), ndSeconds(o[8:])
	if preferred > valid { // as of Neighbor Discovery's option
		return ErrOption
	}
	addr := netip.AddrFrom16([16]byte(o[16:32]))
	*r = RPLPrefixInformationRepr{
		Prefix:            netip.PrefixFrom(addr, int(o[2])).Masked(),
		OnLink:            o[3]&ndFlagOnLink != 0,
		Autonomous:        o[3]&ndFlagAutonomous != 0,
		ValidLifetime:     valid,
		PreferredLifetime: preferred,
	}
	if o[3]&rplFlagRouter != 0 {
		r.Router = addr
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLPrefixInformationRepr) Len() int { return rplPrefixLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLPrefixInformationRepr) Emit(b []byte) {
	b = b[:rplPrefixLen]
	clear(b)
	putRPLOptionHeader(b, RPLOptionPrefixInformation)
	b[2] = ndPrefixBits(r.Prefix)
	if r.OnLink {
		b[3] |= ndFlagOnLink
	}
	if r.Autonomous {
		b[3] |= ndFlagAutonomous
	}
	putNDSeconds(b[4:], r.ValidLifetime)
	putNDSeconds(b[8:], min(r.PreferredLifetime, r.ValidLifetime))
	if r.Router.IsValid() {
		b[3] |= rplFlagRouter
		putAddr16(b[16:], r.Router)
	} else {
		putAddr16(b[16:], r.Prefix.Masked().Addr())
	}
}

// String prints the option.
func (r *RPLPrefixInformationRepr) String() string {
	nd := NDPrefixInformationRepr{r.Prefix, r.OnLink, r.Autonomous, r.ValidLifetime, r.PreferredLifetime}
	if r.Router.IsValid() {
		return fmt.Sprintf("%s, router %v", nd.String(), r.Router)
	}
	return nd.String()
}

// RPLRouteInformationRepr is a route by the sender (RFC 6550, section 6.7.5).
type RPLRouteInformationRepr struct {
	Prefix     netip.Prefix // its bits beyond its length are zero
	Preference NDPreference
	Lifetime   time.Duration // whole seconds up to NDInfiniteLifetime
}

const rplRouteMinLen = 8 // without prefix

// Parse sets r to what o says.
func (r *RPLRouteInformationRepr) Parse(o RPLOption) error {
	d := o.data(RPLOptionRouteInformation, rplRouteMinLen-rplOptionHeaderLen)
	if d == nil {
		return ErrOption
	}
	preference := ndPreference(d[1])
	prefix, ok := rplPrefix(d[0], d[6:])
	if !ok || preference == ndPreferenceReserved {
		return ErrOption
	}
	*r = RPLRouteInformationRepr{Prefix: prefix, Preference: preference, Lifetime: ndSeconds(d[2:])}
	return nil
}

// Len is the number of octets that Emit writes, as few as the prefix needs.
func (r *RPLRouteInformationRepr) Len() int { return rplRouteMinLen + rplPrefixOctets(r.Prefix) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLRouteInformationRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putRPLOptionHeader(b, RPLOptionRouteInformation)
	b[2], b[3] = ndPrefixBits(r.Prefix), r.Preference.flags()
	putNDSeconds(b[4:], r.Lifetime)
	putRPLPrefix(b[rplRouteMinLen:], r.Prefix)
}

// String prints the option.
func (r *RPLRouteInformationRepr) String() string {
	nd := NDRouteInformationRepr(*r)
	return nd.String()
}

// rplPrefix is the prefix of so many bits whose octets are given, as many as are needed or more.
func rplPrefix(bits uint8, octets []byte) (p netip.Prefix, ok bool) {
	if bits > 128 || int(bits) > 8*len(octets) || len(octets) > 16 {
		return p, false
	}
	var addr [16]byte
	copy(addr[:], octets)
	return netip.PrefixFrom(netip.AddrFrom16(addr), int(bits)).Masked(), true
}

// rplPrefixOctets is how many octets a prefix takes.
func rplPrefixOctets(p netip.Prefix) int { return (int(ndPrefixBits(p)) + 7) / 8 }

// putRPLPrefix writes the octets of a prefix.
func putRPLPrefix(b []byte, p netip.Prefix) {
	addr := p.Masked().Addr().As16()
	copy(b[:rplPrefixOctets(p)], addr[:])
}
