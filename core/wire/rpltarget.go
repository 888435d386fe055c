package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// RPLTargetRepr is a destination that a DAO tells of (RFC 6550, section 6.7.7).
type RPLTargetRepr struct {
	Prefix netip.Prefix // its bits beyond its length are zero
}

const rplTargetMinLen = 4 // without prefix

// Parse sets r to what o says.
func (r *RPLTargetRepr) Parse(o RPLOption) error {
	d := o.data(RPLOptionTarget, rplTargetMinLen-rplOptionHeaderLen)
	if d == nil {
		return ErrOption
	}
	prefix, ok := rplPrefix(d[1], d[2:])
	if !ok {
		return ErrOption
	}
	*r = RPLTargetRepr{Prefix: prefix}
	return nil
}

// Len is the number of octets that Emit writes, as few as the prefix needs.
func (r *RPLTargetRepr) Len() int { return rplTargetMinLen + rplPrefixOctets(r.Prefix) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLTargetRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putRPLOptionHeader(b, RPLOptionTarget)
	b[2], b[3] = 0, ndPrefixBits(r.Prefix)
	putRPLPrefix(b[rplTargetMinLen:], r.Prefix)
}

// String prints the option.
func (r *RPLTargetRepr) String() string { return fmt.Sprintf("target %v", r.Prefix) }

// RPLTransitInformationRepr is how the targets before it are reached (RFC 6550, section 6.7.8).
type RPLTransitInformationRepr struct {
	External     bool // the targets are not nodes of the DODAG, but behind the sender
	PathControl  uint8
	PathSequence uint8 // counts the news of the targets, a lollipop counter
	// PathLifetime is how long, in the DODAG's lifetime units; 0: no longer; 255: for ever.
	PathLifetime uint8
	Parent       netip.Addr // where the targets are attached, in non-storing mode; zero: not said
}

// RPLInfiniteLifetime is a path lifetime without end.
const RPLInfiniteLifetime = 255

const (
	rplTransitMinLen = 6 // without parent

	rplFlagExternal = 0x80
)

// Parse sets r to what o says.
func (r *RPLTransitInformationRepr) Parse(o RPLOption) error {
	d := o.data(RPLOptionTransitInformation, rplTransitMinLen-rplOptionHeaderLen)
	if d == nil || len(d) != 4 && len(d) != 20 {
		return ErrOption
	}
	*r = RPLTransitInformationRepr{External: d[0]&rplFlagExternal != 0, PathControl: d[1], PathSequence: d[2], PathLifetime: d[3]}
	if len(d) == 20 {
		r.Parent = netip.AddrFrom16([16]byte(d[4:20]))
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLTransitInformationRepr) Len() int { return rplTransitMinLen + rplDODAGLen(r.Parent) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLTransitInformationRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putRPLOptionHeader(b, RPLOptionTransitInformation)
	b[2], b[3], b[4], b[5] = 0, r.PathControl, r.PathSequence, r.PathLifetime
	if r.External {
		b[2] = rplFlagExternal
	}
	if r.Parent.IsValid() {
		putAddr16(b[rplTransitMinLen:], r.Parent)
	}
}

// String prints the option.
func (r *RPLTransitInformationRepr) String() string {
	s := fmt.Sprintf("transit control 0x%02x, seq %d, lifetime %d", r.PathControl, r.PathSequence, r.PathLifetime)
	if r.External {
		s += ", external"
	}
	if r.Parent.IsValid() {
		s += fmt.Sprintf(", parent %v", r.Parent)
	}
	return s
}

// RPLSolicitedInformationRepr says whom a DIS asks: nodes for which all that it names is so (RFC 6550, section 6.7.9).
type RPLSolicitedInformationRepr struct {
	// MatchInstance, MatchDODAG and MatchVersion say what must be the same.
	MatchInstance, MatchDODAG, MatchVersion bool

	Instance uint8
	DODAG    netip.Addr
	Version  uint8
}

const (
	rplSolicitedLen = 21

	rplMatchVersion  = 0x80
	rplMatchInstance = 0x40
	rplMatchDODAG    = 0x20
)

// Parse sets r to what o says.
func (r *RPLSolicitedInformationRepr) Parse(o RPLOption) error {
	if len(o) != rplSolicitedLen || o.Type() != RPLOptionSolicitedInformation {
		return ErrOption
	}
	*r = RPLSolicitedInformationRepr{
		MatchVersion:  o[3]&rplMatchVersion != 0,
		MatchInstance: o[3]&rplMatchInstance != 0,
		MatchDODAG:    o[3]&rplMatchDODAG != 0,
		Instance:      o[2],
		DODAG:         netip.AddrFrom16([16]byte(o[4:20])),
		Version:       o[20],
	}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLSolicitedInformationRepr) Len() int { return rplSolicitedLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len. The zero DODAG is written as ::.
func (r *RPLSolicitedInformationRepr) Emit(b []byte) {
	b = b[:rplSolicitedLen]
	clear(b)
	putRPLOptionHeader(b, RPLOptionSolicitedInformation)
	b[2], b[20] = r.Instance, r.Version
	if r.MatchVersion {
		b[3] |= rplMatchVersion
	}
	if r.MatchInstance {
		b[3] |= rplMatchInstance
	}
	if r.MatchDODAG {
		b[3] |= rplMatchDODAG
	}
	if r.DODAG.IsValid() {
		putAddr16(b[4:], r.DODAG)
	}
}

// Matches reports whether a node of the DODAG is asked.
func (r *RPLSolicitedInformationRepr) Matches(instance uint8, dodag netip.Addr, version uint8) bool {
	return (!r.MatchInstance || r.Instance == instance) && (!r.MatchDODAG || r.DODAG == dodag) &&
		(!r.MatchVersion || r.Version == version)
}

// String prints the option.
func (r *RPLSolicitedInformationRepr) String() string {
	s := "solicited"
	if r.MatchInstance {
		s += fmt.Sprintf(" instance %d", r.Instance)
	}
	if r.MatchDODAG {
		s += fmt.Sprintf(" dodagid %v", r.DODAG)
	}
	if r.MatchVersion {
		s += fmt.Sprintf(" version %d", r.Version)
	}
	return s
}

// RPLTargetDescriptorRepr is a tag on the target before it, which means something to whoever set it (RFC 6550, section 6.7.11).
type RPLTargetDescriptorRepr struct {
	Descriptor uint32
}

const rplDescriptorLen = 6

// Parse sets r to what o says.
func (r *RPLTargetDescriptorRepr) Parse(o RPLOption) error {
	if len(o) != rplDescriptorLen || o.Type() != RPLOptionTargetDescriptor {
		return ErrOption
	}
	*r = RPLTargetDescriptorRepr{Descriptor: binary.BigEndian.Uint32(o[2:])}
	return nil
}

// Len is the number of octets that Emit writes.
func (r *RPLTargetDescriptorRepr) Len() int { return rplDescriptorLen }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLTargetDescriptorRepr) Emit(b []byte) {
	putRPLOptionHeader(b[:rplDescriptorLen], RPLOptionTargetDescriptor)
	binary.BigEndian.PutUint32(b[2:], r.Descriptor)
}

// String prints the option.
func (r *RPLTargetDescriptorRepr) String() string {
	return fmt.Sprintf("descriptor 0x%08x", r.Descriptor)
}
