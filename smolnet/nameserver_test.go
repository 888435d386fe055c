package smolnet_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/smolnet"
)

// A nameServer answers from a zone, on a stack, over UDP and TCP.
type nameServer struct {
	t    testing.TB
	zone map[string][]dnsmessage.ResourceBody // by absolute names in small letters

	// odd are names for which the answer is made in another way: from what would be said. An empty message is not sent.
	odd map[string]func(network string, answer *dnsmessage.Message)

	mu    sync.Mutex
	asked []string // "udp www.example. A", in small letters
}

// serveNames serves the zone, at all addresses of the stack.
func serveNames(t testing.TB, stack *smolnet.Stack, zone map[string][]dnsmessage.ResourceBody) *nameServer {
	t.Helper()
	s := &nameServer{t: t, zone: zone, odd: make(map[string]func(string, *dnsmessage.Message))}
	datagrams := bind(t, stack, "udp", ":53")
	streams := listen(t, stack, "tcp", ":53")
	go s.answerDatagrams(datagrams)
	go s.answerStreams(streams)
	return s
}

func (s *nameServer) answerDatagrams(c *smolnet.UDPConn) {
	b := make([]byte, 65535)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := s.answer("udp", b[:n]); answer != nil {
			c.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answerStreams(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return
			}
			question := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, question); err != nil {
				return
			}
			if answer := s.answer("tcp", question); answer != nil {
				c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}()
	}
}

// answer returns the answer to a question, nil if there is none.
func (s *nameServer) answer(network string, octets []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(octets); err != nil || len(m.Questions) != 1 {
		s.t.Errorf("what was asked is no question: %v", err)
		return nil
	}
	question := m.Questions[0]
	name := strings.ToLower(question.Name.String())
	s.mu.Lock()
	s.asked = append(s.asked, network+" "+name+" "+strings.TrimPrefix(question.Type.String(), "Type"))
	s.mu.Unlock()

	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}
	m.Additionals = nil
	owner := question.Name
	for range 8 {
		next := dnsmessage.Name{}
		bodies, known := s.zone[strings.ToLower(owner.String())]
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, body := range bodies {
			alias, isAlias := body.(*dnsmessage.CNAMEResource)
			if !isAlias && typeOf(body) != question.Type {
				continue
			}
			header := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET, TTL: 60}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
			if isAlias && question.Type != dnsmessage.TypeCNAME {
				next = alias.CNAME
			}
		}
		if next.Length == 0 {
			break
		}
		owner = next
	}
	if len(m.Answers) == 0 || m.RCode != dnsmessage.RCodeSuccess {
		m.Authorities = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsName("."), Class: dnsmessage.ClassINET, TTL: 60},
			Body:   &dnsmessage.SOAResource{NS: dnsName("ns."), MBox: dnsName("root."), MinTTL: 30},
		}}
	}
	if odd := s.odd[name]; odd != nil {
		odd(network, &m)
	}
	if len(m.Questions) == 0 {
		return nil
	}
	packed, err := m.Pack()
	if err != nil {
		s.t.Errorf("an answer cannot be packed: %v", err)
		return nil
	}
	return packed
}

// heard returns what has been asked since the last time.
func (s *nameServer) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func typeOf(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.CNAMEResource:
		return dnsmessage.TypeCNAME
	case *dnsmessage.MXResource:
		return dnsmessage.TypeMX
	case *dnsmessage.NSResource:
		return dnsmessage.TypeNS
	case *dnsmessage.PTRResource:
		return dnsmessage.TypePTR
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	case *dnsmessage.TXTResource:
		return dnsmessage.TypeTXT
	}
	panic("a record of another type")
}

// Records.

func dnsName(name string) dnsmessage.Name { return dnsmessage.MustNewName(name) }

func address(addr string) dnsmessage.ResourceBody {
	if a := netip.MustParseAddr(addr); a.Is4() {
		return &dnsmessage.AResource{A: a.As4()}
	}
	return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(addr).As16()}
}

func addresses(addrs ...string) (bodies []dnsmessage.ResourceBody) {
	for _, addr := range addrs {
		bodies = append(bodies, address(addr))
	}
	return bodies
}

func alias(of string) []dnsmessage.ResourceBody {
	return []dnsmessage.ResourceBody{&dnsmessage.CNAMEResource{CNAME: dnsName(of)}}
}

func mailServer(preference uint16, host string) dnsmessage.ResourceBody {
	return &dnsmessage.MXResource{Pref: preference, MX: dnsName(host)}
}

func server(priority, weight, port uint16, host string) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsName(host)}
}

func pointer(name string) dnsmessage.ResourceBody { return &dnsmessage.PTRResource{PTR: dnsName(name)} }

func text(texts ...string) dnsmessage.ResourceBody { return &dnsmessage.TXTResource{TXT: texts} }

// Odd answers.

func says(code dnsmessage.RCode) func(string, *dnsmessage.Message) {
	return func(_ string, m *dnsmessage.Message) { m.RCode, m.Answers, m.Authorities = code, nil, nil }
}

func silence(_ string, m *dnsmessage.Message) { m.Questions = nil }

func knowsNothing(_ string, m *dnsmessage.Message) {
	m.RecursionAvailable, m.Answers, m.Authorities = false, nil, nil
}

func truncates(network string, m *dnsmessage.Message) {
	if m.Truncated = network == "udp"; m.Truncated {
		m.Answers = nil
	}
}

// newResolver returns a resolver that asks through the stack.
func newResolver(t testing.TB, stack *smolnet.Stack, config smolnet.ResolverConfig) *smolnet.Resolver {
	t.Helper()
	r, err := smolnet.NewResolver(stack, config)
	require.NoError(t, err)
	return r
}

// nameServers are where a nameServer on the second of a pair of stacks is asked.
var nameServers = []netip.AddrPort{netip.MustParseAddrPort("192.168.69.100:0")}
