package dns

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

var (
	first  = netip.MustParseAddrPort("192.0.2.1:53")
	second = netip.MustParseAddrPort("192.0.2.2:53")
	third  = netip.MustParseAddrPort("[2001:db8::3]:53")
)

// A script is what a server does with each question that arrives.
type script func(*ask)

// A fakeNetwork has servers that follow scripts. A server without one hears nothing and says nothing.
type fakeNetwork struct {
	t *testing.T

	mu       sync.Mutex
	scripts  map[netip.AddrPort]script
	asked    []string // "udp 192.0.2.1 www.example. A", as it arrived but in small letters
	messages []dnsmessage.Message
	opened   int
	closed   int
}

// An ask is a question that has arrived at a server.
type ask struct {
	t       *testing.T
	conn    net.Conn
	network string
	message dnsmessage.Message
	times   int // how often anything has been asked of anybody
}

func (f *fakeNetwork) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	near, far := net.Pipe()
	f.mu.Lock()
	f.opened++
	f.mu.Unlock()
	go f.serve(network, server, far)
	return &counted{Conn: near, closed: sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.closed++
	})}, nil
}

func (f *fakeNetwork) serve(network string, server netip.AddrPort, conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1<<16)
	n, err := conn.Read(buffer)
	if err != nil {
		return
	}
	octets := buffer[:n]
	if network == "tcp" {
		if n != 2+int(binary.BigEndian.Uint16(octets)) {
			f.t.Errorf("over TCP, length and message come at once and agree: %d octets, %x", n, octets[:2])
			return
		}
		octets = octets[2:]
	}
	a := &ask{t: f.t, conn: conn, network: network}
	if err := a.message.Unpack(octets); err != nil {
		f.t.Errorf("what was asked is no DNS message: %v", err)
		return
	}
	question := a.message.Questions[0]
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf("%s %s %s %s", network, server.Addr(), fold(question.Name), typeName(question.Type)))
	f.messages = append(f.messages, a.message)
	a.times = len(f.messages)
	script := f.scripts[server]
	f.mu.Unlock()
	if script != nil {
		script(a)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// follow gives the servers other scripts.
func (f *fakeNetwork) follow(scripts map[netip.AddrPort]script) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts = scripts
}

// heard returns what has been asked since the last time.
func (f *fakeNetwork) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

func typeName(t dnsmessage.Type) string { return strings.TrimPrefix(t.String(), "Type") }

// A change makes an answer differ from an empty one that fits the question.
type change func(*dnsmessage.Message)

func (a *ask) reply(changes ...change) {
	message := a.message
	message.Header = dnsmessage.Header{ID: message.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}
	message.Questions = slices.Clone(message.Questions)
	message.Additionals = nil
	for _, change := range changes {
		change(&message)
	}
	octets, err := message.Pack()
	if err != nil {
		a.t.Errorf("pack: %v", err)
		return
	}
	a.send(octets)
}

func (a *ask) send(octets []byte) {
	if a.network == "tcp" {
		octets = append(binary.BigEndian.AppendUint16(nil, uint16(len(octets))), octets...)
	}
	_, _ = a.conn.Write(octets) // whoever asked may have gone
}

// edns reports whether the question says that it understands EDNS0, and for which size.
func (a *ask) edns() (size int, ok bool) {
	for _, additional := range a.message.Additionals {
		if additional.Header.Type == dnsmessage.TypeOPT {
			return int(additional.Header.Class), true
		}
	}
	return 0, false
}

func answers(lines ...string) change {
	return func(m *dnsmessage.Message) { m.Answers = records(lines) }
}

func authority(lines ...string) change {
	return func(m *dnsmessage.Message) { m.Authorities = records(lines) }
}

func additional(lines ...string) change {
	return func(m *dnsmessage.Message) { m.Additionals = records(lines) }
}

func rcode(code dnsmessage.RCode) change {
	return func(m *dnsmessage.Message) { m.RCode = code }
}

func truncated(m *dnsmessage.Message)    { m.Truncated = true }
func noRecursion(m *dnsmessage.Message)  { m.RecursionAvailable = false }
func noQuestion(m *dnsmessage.Message)   { m.Questions = nil }
func optRecord(m *dnsmessage.Message)    { m.Additionals = append(m.Additionals, opt(0)) }
func smallLetters(m *dnsmessage.Message) { m.Questions[0].Name = name(fold(m.Questions[0].Name)) }

// extended makes the response code one of those that need EDNS0.
func extended(code dnsmessage.RCode) change {
	return func(m *dnsmessage.Message) {
		m.RCode = code & 15
		m.Additionals = append(m.Additionals, opt(code))
	}
}

func opt(code dnsmessage.RCode) dnsmessage.Resource {
	var header dnsmessage.ResourceHeader
	if err := header.SetEDNS0(1232, code, false); err != nil {
		panic(err)
	}
	return dnsmessage.Resource{Header: header, Body: &dnsmessage.OPTResource{}}
}

func name(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }

// records reads lines like "www.example. 300 A 192.0.2.7". An SOA record has only its minimum.
func records(lines []string) (found []dnsmessage.Resource) {
	for _, line := range lines {
		var owner, kind, data string
		var ttl uint32
		if _, err := fmt.Sscan(line, &owner, &ttl, &kind, &data); err != nil {
			panic(line + ": " + err.Error())
		}
		body := map[string]func() dnsmessage.ResourceBody{
			"A": func() dnsmessage.ResourceBody { return &dnsmessage.AResource{A: netip.MustParseAddr(data).As4()} },
			"AAAA": func() dnsmessage.ResourceBody {
				return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(data).As16()}
			},
			"CNAME": func() dnsmessage.ResourceBody { return &dnsmessage.CNAMEResource{CNAME: name(data)} },
			"NS":    func() dnsmessage.ResourceBody { return &dnsmessage.NSResource{NS: name(data)} },
			"PTR":   func() dnsmessage.ResourceBody { return &dnsmessage.PTRResource{PTR: name(data)} },
			"MX":    func() dnsmessage.ResourceBody { return &dnsmessage.MXResource{Pref: 10, MX: name(data)} },
			"TXT":   func() dnsmessage.ResourceBody { return &dnsmessage.TXTResource{TXT: []string{data}} },
			"NSEC": func() dnsmessage.ResourceBody {
				octets, err := hex.DecodeString(data)
				if err != nil {
					panic(line)
				}
				return &dnsmessage.UnknownResource{Type: typeNSEC, Data: octets}
			},
			"SOA": func() dnsmessage.ResourceBody {
				var minimum uint32
				if _, err := fmt.Sscan(data, &minimum); err != nil {
					panic(line)
				}
				return &dnsmessage.SOAResource{NS: name("ns.example."), MBox: name("hostmaster.example."), MinTTL: minimum}
			},
		}[kind]()
		types := map[string]dnsmessage.Type{
			"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "NS": dnsmessage.TypeNS,
			"PTR": dnsmessage.TypePTR, "MX": dnsmessage.TypeMX, "TXT": dnsmessage.TypeTXT, "NSEC": typeNSEC, "SOA": dnsmessage.TypeSOA,
		}
		found = append(found, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name(owner), Type: types[kind], Class: dnsmessage.ClassINET, TTL: ttl}, Body: body,
		})
	}
	return found
}

// lines writes records as records reads them.
func lines(resources []dnsmessage.Resource) (found []string) {
	for _, resource := range resources {
		var data string
		switch body := resource.Body.(type) {
		case *dnsmessage.AResource:
			data = netip.AddrFrom4(body.A).String()
		case *dnsmessage.AAAAResource:
			data = netip.AddrFrom16(body.AAAA).String()
		case *dnsmessage.CNAMEResource:
			data = body.CNAME.String()
		case *dnsmessage.MXResource:
			data = body.MX.String()
		case *dnsmessage.PTRResource:
			data = body.PTR.String()
		case *dnsmessage.TXTResource:
			data = strings.Join(body.TXT, "")
		}
		header := resource.Header
		found = append(found, fmt.Sprintf("%s %d %s %s", header.Name, header.TTL, typeName(header.Type), data))
	}
	return found
}

// test runs a conversation in virtual time, and then makes sure that nothing is left of it: synctest waits for goroutines.
func test(t *testing.T, scripts map[netip.AddrPort]script, run func(t *testing.T, f *fakeNetwork, c Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{t: t, scripts: scripts}
		run(t, f, Config{Dial: f.dial, Servers: []netip.AddrPort{first}})
		synctest.Wait()
		require.Equal(t, f.opened, f.closed, "every connection is closed")
	})
}

// host answers every question for an address with one.
func host(a *ask) {
	a.reply(answers(fmt.Sprintf("%s 300 A 192.0.2.7", a.message.Questions[0].Name)))
}

// wantError asks and returns what comes instead of an answer.
func wantError(t *testing.T, c *Client, name string, qtype dnsmessage.Type) *Error {
	t.Helper()
	_, err := c.Query(t.Context(), name, qtype)
	require.Error(t, err)
	var failed *Error
	require.ErrorAs(t, err, &failed)
	return failed
}

// wantAnswer asks and returns the records.
func wantAnswer(t *testing.T, c *Client, name string, qtype dnsmessage.Type) []string {
	t.Helper()
	answer, err := c.Query(t.Context(), name, qtype)
	require.NoError(t, err)
	return lines(answer.Records)
}

// took runs something and returns how long it took in virtual time.
func took(run func()) time.Duration {
	start := time.Now()
	run()
	return time.Since(start)
}
