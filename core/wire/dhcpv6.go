package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// The UDP ports of DHCPv6.
const (
	DHCPv6ClientPort = 546 // clients listen here
	DHCPv6ServerPort = 547 // servers and relay agents do
)

// DHCPv6Servers is the group that all servers and relay agents of a link are in, and that clients send to.
var DHCPv6Servers = netip.MustParseAddr("ff02::1:2")

// Types of DHCPv6 messages (RFC 8415, section 7.3).
const (
	DHCPv6Solicit            = 1
	DHCPv6Advertise          = 2
	DHCPv6Request            = 3
	DHCPv6Confirm            = 4
	DHCPv6Renew              = 5
	DHCPv6Rebind             = 6
	DHCPv6Reply              = 7
	DHCPv6Release            = 8
	DHCPv6Decline            = 9
	DHCPv6Reconfigure        = 10
	DHCPv6InformationRequest = 11
	DHCPv6RelayForward       = 12
	DHCPv6RelayReply         = 13
)

const (
	dhcpv6HeaderLen      = 4
	dhcpv6RelayHeaderLen = 34
)

// DHCPv6TransactionIDMask has the bits that a transaction ID has.
const DHCPv6TransactionIDMask = 0xffffff

// DHCPv6Packet is a DHCPv6 message: what a datagram between DHCPv6's ports carries. Made by ParseDHCPv6, none of its
// methods panics.
type DHCPv6Packet []byte

// ParseDHCPv6 takes all of b for a message. The error is ErrTruncated if b is shorter than its header, or an option
// runs past its end.
func ParseDHCPv6(b []byte) (DHCPv6Packet, error) {
	p := DHCPv6Packet(b)
	if len(p) < dhcpv6HeaderLen || p.Relayed() && len(p) < dhcpv6RelayHeaderLen {
		return nil, ErrTruncated
	}
	if _, err := ParseDHCPv6Options(p.Options()); err != nil {
		return nil, err
	}
	return p, nil
}

// Type is the message's type, such as DHCPv6Solicit.
func (p DHCPv6Packet) Type() uint8 { return p[0] }

// Relayed reports whether the message is between relay agents and servers: those have another header, with addresses
// in the place of a transaction ID, and another message inside.
func (p DHCPv6Packet) Relayed() bool {
	return p[0] == DHCPv6RelayForward || p[0] == DHCPv6RelayReply
}

// TransactionID is what ties answers to a client's message: 24 bits. Relayed messages have none.
func (p DHCPv6Packet) TransactionID() uint32 {
	return binary.BigEndian.Uint32(p) & DHCPv6TransactionIDMask
}

// HopCount is how many relay agents have passed a relayed message on.
func (p DHCPv6Packet) HopCount() uint8 { return p[1] }

// LinkAddr tells, in a relayed message, which link the client is on.
func (p DHCPv6Packet) LinkAddr() netip.Addr { return netip.AddrFrom16([16]byte(p[2:18])) }

// PeerAddr is, in a relayed message, the client or relay agent that it came from.
func (p DHCPv6Packet) PeerAddr() netip.Addr { return netip.AddrFrom16([16]byte(p[18:34])) }

// Options are the message's options. They share p's octets.
func (p DHCPv6Packet) Options() DHCPv6Options {
	if p.Relayed() {
		return DHCPv6Options(p[dhcpv6RelayHeaderLen:])
	}
	return DHCPv6Options(p[dhcpv6HeaderLen:])
}

// String prints the message as tcpdump -v would, on one line.
func (p DHCPv6Packet) String() string { return string(appendDHCPv6(nil, p, dhcpv6PrintDepth)) }

// dhcpv6PrintDepth is how many relayed messages inside one another are printed.
const dhcpv6PrintDepth = 4

// appendDHCPv6 prints a message, legal or not.
func appendDHCPv6(b []byte, p DHCPv6Packet, depth int) []byte {
	if len(p) == 0 {
		return append(b, "dhcp6 [|dhcp6]"...)
	}
	b = fmt.Appendf(b, "dhcp6 %s (", dhcpv6TypeName(p.Type()))
	switch {
	case !p.Relayed() && len(p) >= dhcpv6HeaderLen:
		b = fmt.Appendf(b, "xid=%x", p.TransactionID())
	case p.Relayed() && len(p) >= dhcpv6RelayHeaderLen:
		b = fmt.Appendf(b, "linkaddr=%v peeraddr=%v", p.LinkAddr(), p.PeerAddr())
	default:
		return append(b, "[|dhcp6])"...)
	}
	b = appendDHCPv6Options(b, p.Options(), depth)
	return append(b, ')')
}

func dhcpv6TypeName(kind uint8) string {
	names := [...]string{
		DHCPv6Solicit: "solicit", DHCPv6Advertise: "advertise", DHCPv6Request: "request", DHCPv6Confirm: "confirm",
		DHCPv6Renew: "renew", DHCPv6Rebind: "rebind", DHCPv6Reply: "reply", DHCPv6Release: "release",
		DHCPv6Decline: "decline", DHCPv6Reconfigure: "reconfigure", DHCPv6InformationRequest: "inf-req",
		DHCPv6RelayForward: "relay-fwd", DHCPv6RelayReply: "relay-reply",
	}
	if int(kind) < len(names) && names[kind] != "" {
		return names[kind]
	}
	return fmt.Sprintf("msgtype-%d", kind)
}

// DHCPv6Repr is a message between a client and a server. Messages of relay agents are only printed.
type DHCPv6Repr struct {
	Type          uint8      // DHCPv6Solicit to DHCPv6InformationRequest
	TransactionID uint32     // 24 bits
	ClientID      DHCPv6DUID // nil: not said
	ServerID      DHCPv6DUID // nil: not said

	// Elapsed is how long the client has been at it, of which messages other than a client's say nothing: hundredths of
	// a second, up to DHCPv6MaxElapsed.
	Elapsed     time.Duration
	Requested   []uint16      // codes of the options that the client would like to have
	RapidCommit bool          // an answer to Solicit is to be a Reply at once, or is it
	IAs         []DHCPv6IANA  // associations of addresses, each with its own IAID
	Status      DHCPv6Status  // of the whole message; zero: success
	Preference  uint8         // how much the server wants to be chosen
	DNSServers  []netip.Addr  // DNS recursive name servers
	Domains     []string      // domains to search for names in, as in NDDNSSLRepr
	NTPServers  []netip.Addr  // unicast or multicast addresses of time servers
	NTPNames    []string      // and names of such
	Refresh     time.Duration // when to ask anew, whole seconds from DHCPv6MinRefresh to DHCPv6Infinity; 0: not said

	// SolicitMaxRT and InformationMaxRT take the place of SOL_MAX_RT and INF_MAX_RT: whole seconds from 60 to 86,400.
	// 0: not said.
	SolicitMaxRT, InformationMaxRT time.Duration

	// Unknown are the message's other options, as they came.
	Unknown DHCPv6Options
}

const (
	// DHCPv6MaxElapsed is the longest that Elapsed can say, and stands for anything longer.
	DHCPv6MaxElapsed = 0xffff * 10 * time.Millisecond
	// DHCPv6MinRefresh is the least time to ask anew after: IRT_MINIMUM (RFC 8415, section 7.6).
	DHCPv6MinRefresh = 600 * time.Second
	// DHCPv6Infinity is a time without end (RFC 8415, section 7.7).
	DHCPv6Infinity = 0xffffffff * time.Second

	dhcpv6LeastMaxRT, dhcpv6MostMaxRT = 60 * time.Second, 86400 * time.Second
)

// fromClient reports whether messages of the type are sent by clients.
func dhcpv6FromClient(kind uint8) bool {
	switch kind {
	case DHCPv6Advertise, DHCPv6Reply, DHCPv6Reconfigure:
		return false
	}
	return true
}

// Parse sets r to what p says; DUIDs and Unknown share p's octets. Options that are not as they should be are as if
// they were not there, unless the message means nothing without them. Of an option that should be there once, the
// first counts. The errors are ErrMalformed if the message is of another type, ErrTruncated, and ErrOption.
func (r *DHCPv6Repr) Parse(p DHCPv6Packet) error {
	if len(p) < dhcpv6HeaderLen {
		return ErrTruncated
	}
	if p.Type() < DHCPv6Solicit || p.Type() > DHCPv6InformationRequest {
		return ErrMalformed
	}
	options, err := ParseDHCPv6Options(p.Options())
	if err != nil {
		return err
	}
	*r = DHCPv6Repr{Type: p.Type(), TransactionID: p.TransactionID()}
	var seen dhcpv6Seen
	for option, ok := options.Next(); ok; option, ok = options.Next() {
		if err := r.parseOption(option, &seen); err != nil {
			return err
		}
	}
	return nil
}

// dhcpv6Seen is which options that count once have been there.
type dhcpv6Seen [DHCPv6OptionInformationMaxRT + 1]bool

func (s *dhcpv6Seen) first(code uint16) bool {
	again := s[code]
	s[code] = true
	return !again
}

func (r *DHCPv6Repr) parseOption(option DHCPv6Option, seen *dhcpv6Seen) error {
	code, data := option.Code(), option.Data()
	switch code {
	case DHCPv6OptionDNSServers:
		r.DNSServers = appendDHCPv6Addrs(r.DNSServers, data)
		return nil
	case DHCPv6OptionDomains:
		r.Domains = appendDHCPv6Domains(r.Domains, data)
		return nil
	case DHCPv6OptionNTPServer:
		r.parseNTP(data)
		return nil
	case DHCPv6OptionIANA:
		var ia DHCPv6IANA
		legal, err := ia.parse(data)
		if err == nil && legal && !r.hasIA(ia.IAID) {
			r.IAs = append(r.IAs, ia)
		}
		return err
	case DHCPv6OptionClientID, DHCPv6OptionServerID, DHCPv6OptionRequest, DHCPv6OptionPreference, DHCPv6OptionElapsedTime,
		DHCPv6OptionStatusCode, DHCPv6OptionRapidCommit, DHCPv6OptionRefreshTime, DHCPv6OptionSolicitMaxRT,
		DHCPv6OptionInformationMaxRT:
		if seen.first(code) {
			return r.parseOnce(code, data)
		}
		return nil
	}
	r.Unknown = append(r.Unknown, option...)
	return nil
}

// parseOnce takes an option of which the first counts.
func (r *DHCPv6Repr) parseOnce(code uint16, data []byte) (err error) {
	switch code {
	case DHCPv6OptionClientID:
		r.ClientID, err = parseDHCPv6DUID(data)
	case DHCPv6OptionServerID:
		r.ServerID, err = parseDHCPv6DUID(data)
	case DHCPv6OptionStatusCode:
		err = r.Status.parse(data)
	case DHCPv6OptionRequest:
		for ; len(data) >= 2; data = data[2:] {
			r.Requested = append(r.Requested, binary.BigEndian.Uint16(data))
		}
	case DHCPv6OptionPreference:
		if len(data) == 1 {
			r.Preference = data[0]
		}
	case DHCPv6OptionElapsedTime:
		if len(data) == 2 && dhcpv6FromClient(r.Type) {
			r.Elapsed = time.Duration(binary.BigEndian.Uint16(data)) * 10 * time.Millisecond
		}
	case DHCPv6OptionRapidCommit:
		r.RapidCommit = len(data) == 0
	case DHCPv6OptionRefreshTime:
		if len(data) == 4 {
			// "A client MUST use the refresh time IRT_MINIMUM if it receives the option with a value less than
			// IRT_MINIMUM."
			// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.23
			r.Refresh = max(ndSeconds(data), DHCPv6MinRefresh)
		}
	case DHCPv6OptionSolicitMaxRT:
		r.SolicitMaxRT = dhcpv6MaxRT(data)
	case DHCPv6OptionInformationMaxRT:
		r.InformationMaxRT = dhcpv6MaxRT(data)
	}
	return err
}

// dhcpv6MaxRT reads a value for SOL_MAX_RT or INF_MAX_RT, 0 if it is none.
//
// "A DHCP client MUST ignore any SOL_MAX_RT option values that are less than 60 or more than 86400."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-21.24
func dhcpv6MaxRT(data []byte) time.Duration {
	if len(data) != 4 {
		return 0
	}
	if d := ndSeconds(data); d >= dhcpv6LeastMaxRT && d <= dhcpv6MostMaxRT {
		return d
	}
	return 0
}

func (r *DHCPv6Repr) hasIA(iaid uint32) bool {
	for i := range r.IAs {
		if r.IAs[i].IAID == iaid {
			return true
		}
	}
	return false
}

// Len is the number of octets that Emit writes.
func (r *DHCPv6Repr) Len() int { return len(r.Append(nil)) }

// Emit writes the message to the front of b. It panics if b is shorter than Len.
func (r *DHCPv6Repr) Emit(b []byte) {
	message := r.Append(nil)
	copy(b[:len(message)], message)
}

// Append adds the message to b. What does not fit in a message, or is not legal, is left out.
func (r *DHCPv6Repr) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(r.Type)<<24|r.TransactionID&DHCPv6TransactionIDMask)
	if r.ClientID != nil {
		b = appendDHCPv6Option(b, DHCPv6OptionClientID, r.ClientID)
	}
	if r.ServerID != nil {
		b = appendDHCPv6Option(b, DHCPv6OptionServerID, r.ServerID)
	}
	if dhcpv6FromClient(r.Type) {
		elapsed := min(max(r.Elapsed, 0), DHCPv6MaxElapsed) / (10 * time.Millisecond)
		b = appendDHCPv6Option(b, DHCPv6OptionElapsedTime, []byte{byte(elapsed >> 8), byte(elapsed)})
	}
	if r.RapidCommit {
		b = appendDHCPv6Option(b, DHCPv6OptionRapidCommit, nil)
	}
	for i := range r.IAs {
		b = r.IAs[i].append(b)
	}
	if len(r.Requested) > 0 {
		var codes []byte
		for _, code := range r.Requested {
			codes = binary.BigEndian.AppendUint16(codes, code)
		}
		b = appendDHCPv6Option(b, DHCPv6OptionRequest, codes)
	}
	b = r.Status.append(b)
	if r.Preference > 0 {
		b = appendDHCPv6Option(b, DHCPv6OptionPreference, []byte{r.Preference})
	}
	if len(r.DNSServers) > 0 {
		b = appendDHCPv6Option(b, DHCPv6OptionDNSServers, dhcpv6AddrOctets(r.DNSServers))
	}
	if domains := dhcpv6DomainOctets(r.Domains); len(domains) > 0 {
		b = appendDHCPv6Option(b, DHCPv6OptionDomains, domains)
	}
	if times := r.ntpOctets(); len(times) > 0 {
		b = appendDHCPv6Option(b, DHCPv6OptionNTPServer, times)
	}
	for _, d := range []struct {
		code  uint16
		value time.Duration
	}{
		{DHCPv6OptionRefreshTime, r.Refresh},
		{DHCPv6OptionSolicitMaxRT, r.SolicitMaxRT},
		{DHCPv6OptionInformationMaxRT, r.InformationMaxRT},
	} {
		if d.value > 0 {
			b = appendDHCPv6Option(b, d.code, appendDHCPv6Seconds(nil, d.value))
		}
	}
	return append(b, r.Unknown...)
}

// String prints the message as tcpdump -v would.
func (r *DHCPv6Repr) String() string { return DHCPv6Packet(r.Append(nil)).String() }

// DHCPv6DUID is who a client or a server is: a type and what belongs to it, which only printing looks at.
//
// "Clients and servers MUST treat DUIDs as opaque values and MUST only compare DUIDs for equality."
// https://www.rfc-editor.org/rfc/rfc8415.html#section-11
type DHCPv6DUID []byte

// Types of DUIDs.
const (
	dhcpv6DUIDLinkAddrTime = 1
	dhcpv6DUIDEnterprise   = 2
	dhcpv6DUIDLinkAddr     = 3
	dhcpv6DUIDUUID         = 4

	dhcpv6Ethernet   = 1 // hardware type
	dhcpv6MinDUIDLen = 2 + 1
	dhcpv6MaxDUIDLen = 2 + 128
)

// DHCPv6DUIDLinkAddr makes a DUID-LL, from a hardware address that stays with the host.
func DHCPv6DUIDLinkAddr(addr HardwareAddr) DHCPv6DUID {
	return append(DHCPv6DUID{0, dhcpv6DUIDLinkAddr, 0, dhcpv6Ethernet}, addr[:]...)
}

// DHCPv6DUIDLinkAddrTime makes a DUID-LLT, from a hardware address and the time at which it is made. It is to be
// stored.
func DHCPv6DUIDLinkAddrTime(addr HardwareAddr, now time.Time) DHCPv6DUID {
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	d := DHCPv6DUID{0, dhcpv6DUIDLinkAddrTime, 0, dhcpv6Ethernet}
	d = binary.BigEndian.AppendUint32(d, uint32(now.Sub(epoch)/time.Second))
	return append(d, addr[:]...)
}

// DHCPv6DUIDEnterprise makes a DUID-EN, from a vendor's number and what the vendor calls the host, at most 124 octets.
func DHCPv6DUIDEnterprise(enterprise uint32, id []byte) DHCPv6DUID {
	d := binary.BigEndian.AppendUint32(DHCPv6DUID{0, dhcpv6DUIDEnterprise}, enterprise)
	return append(d, id...)
}

// DHCPv6DUIDUUID makes a DUID-UUID.
func DHCPv6DUIDUUID(id [16]byte) DHCPv6DUID {
	return append(DHCPv6DUID{0, dhcpv6DUIDUUID}, id[:]...)
}

// Valid reports whether d is as long as a DUID may be: 3 to 130 octets.
func (d DHCPv6DUID) Valid() bool { return len(d) >= dhcpv6MinDUIDLen && len(d) <= dhcpv6MaxDUIDLen }

// Equal reports whether the DUIDs are the same.
func (d DHCPv6DUID) Equal(other DHCPv6DUID) bool { return bytes.Equal(d, other) }

func parseDHCPv6DUID(data []byte) (DHCPv6DUID, error) {
	d := DHCPv6DUID(data)
	if !d.Valid() {
		return nil, ErrOption
	}
	return d, nil
}

// String prints the DUID as tcpdump would.
func (d DHCPv6DUID) String() string {
	if len(d) < 2 {
		return "?"
	}
	octets := []byte(d) // which print as such, not as a DUID
	switch kind := binary.BigEndian.Uint16(d); {
	case kind == dhcpv6DUIDLinkAddrTime && len(d) >= 8:
		return fmt.Sprintf("hwaddr/time type %d time %d %x", binary.BigEndian.Uint16(octets[2:]), binary.BigEndian.Uint32(octets[4:]), octets[8:])
	case kind == dhcpv6DUIDEnterprise && len(d) >= 6:
		return fmt.Sprintf("vid %x", octets[2:])
	case kind == dhcpv6DUIDLinkAddr && len(d) >= 4:
		return fmt.Sprintf("hwaddr type %d %x", binary.BigEndian.Uint16(octets[2:]), octets[4:])
	case kind == dhcpv6DUIDUUID && len(d) == 18:
		return fmt.Sprintf("uuid %x-%x-%x-%x-%x", octets[2:6], octets[6:8], octets[8:10], octets[10:12], octets[12:18])
	default:
		return fmt.Sprintf("type %d %x", kind, octets[2:])
	}
}
