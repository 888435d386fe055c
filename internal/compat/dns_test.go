package compat

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// startDNS answers the handler's answers on port 53, over UDP and TCP, until the test ends.
func startDNS(t testing.TB, n network, handler dns.HandlerFunc) {
	t.Helper()
	packets, err := n.server.ListenPacket("udp", n.address("53"))
	require.NoError(t, err)
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: handler},
		{Listener: n.listen(t, "53"), Handler: handler},
	} {
		started, done := make(chan struct{}), make(chan error, 1)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { done <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			require.NoError(t, server.Shutdown())
			require.NoError(t, <-done)
		})
	}
}

// texts answers with as many texts as the name's first label says, and says when the transport has no room for them.
func texts(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg).SetReply(question)
	var count int
	name := question.Question[0].Name
	fmt.Sscan(strings.SplitN(name, ".", 2)[0], &count)
	for i := range count {
		record, err := dns.NewRR(fmt.Sprintf("%s 60 IN TXT %q", name, fmt.Sprintf("text %d of %d", i, count)))
		if err != nil {
			panic(err)
		}
		answer.Answer = append(answer.Answer, record)
	}
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if option := question.IsEdns0(); option != nil {
			size = int(option.UDPSize())
		}
		answer.Truncate(size)
	}
	w.WriteMsg(answer)
}

// startNames tells the client's stack to ask the server's for names, which knows "server.test" and its texts until the test ends.
func startNames(t testing.TB, n network) {
	t.Helper()
	host := net.ParseIP(n.host)
	startDNS(t, n, func(w dns.ResponseWriter, question *dns.Msg) {
		asked := question.Question[0]
		if asked.Qtype == dns.TypeTXT {
			texts(w, question)
			return
		}
		answer := new(dns.Msg).SetReply(question)
		header := dns.RR_Header{Name: asked.Name, Rrtype: asked.Qtype, Class: dns.ClassINET, Ttl: 60}
		known := dns.CanonicalName(asked.Name) == "server.test." // in whatever letters
		switch {
		case !known:
			answer.SetRcode(question, dns.RcodeNameError)
		case asked.Qtype == dns.TypeA && host.To4() != nil:
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: host}}
		case asked.Qtype == dns.TypeAAAA && host.To4() == nil:
			answer.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: host}}
		}
		w.WriteMsg(answer)
	})
	require.NoError(t, n.client.Resolver().SetServers([]netip.AddrPort{netip.MustParseAddrPort(n.address("53"))}))
}

// exchangeDNS asks over a connection of the stack's: the client's own Exchange would dial through the host.
func exchangeDNS(n network, network string, question *dns.Msg) (*dns.Msg, error) {
	c, err := n.client.Dial(network, n.address("53"))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	client := &dns.Client{Net: network, Timeout: limit}
	answer, _, err := client.ExchangeWithConn(question, &dns.Conn{Conn: c})
	return answer, err
}

func ask(count int) *dns.Msg {
	return new(dns.Msg).SetQuestion(fmt.Sprintf("%d.texts.test.", count), dns.TypeTXT)
}

func requireTexts(t testing.TB, count int, answer *dns.Msg) {
	t.Helper()
	require.Len(t, answer.Answer, count)
	for i, record := range answer.Answer {
		require.Equal(t, []string{fmt.Sprintf("text %d of %d", i, count)}, record.(*dns.TXT).Txt)
	}
}

func TestDNSOverUDPAndTCP(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, n network) {
				startDNS(t, n, texts)
				var clients sync.WaitGroup
				for i := range 20 {
					clients.Go(func() {
						answer, err := exchangeDNS(n, transport, ask(i%10))
						if err != nil || len(answer.Answer) != i%10 {
							t.Errorf("question %d: %v, %v", i, answer, err)
						}
					})
				}
				clients.Wait()
			})
		})
	}
}

func TestDNSTruncatedAnswerIsAskedForOverTCP(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		startDNS(t, n, texts)
		question := ask(1000)
		answer, err := exchangeDNS(n, "udp", question)
		require.NoError(t, err)
		require.True(t, answer.Truncated)
		require.Less(t, len(answer.Answer), 1000)
		answer, err = exchangeDNS(n, "tcp", question)
		require.NoError(t, err)
		require.False(t, answer.Truncated)
		requireTexts(t, 1000, answer)
	})
}

// With EDNS an answer may be as large as a packet.
func TestDNSLargeAnswerOverUDP(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		startDNS(t, n, texts)
		answer, err := exchangeDNS(n, "udp", ask(40).SetEdns0(1400, false))
		require.NoError(t, err)
		require.False(t, answer.Truncated)
		answer.Compress = true
		require.Greater(t, answer.Len(), 2*dns.MinMsgSize)
		requireTexts(t, 40, answer)
	})
}

// The stack's own resolver asks, and dialing by name does.
func TestDNSServesTheStacksResolver(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		startNames(t, n)
		resolver := n.client.Resolver()
		found, err := resolver.LookupHost(t.Context(), "server.test")
		require.NoError(t, err)
		require.Equal(t, []string{n.host}, found)
		_, err = resolver.LookupHost(t.Context(), "nowhere.test")
		var failure *net.DNSError
		require.ErrorAs(t, err, &failure)
		require.True(t, failure.IsNotFound)
		many, err := resolver.LookupTXT(t.Context(), "1000.texts.test") // truncated, and then over TCP
		require.NoError(t, err)
		require.Len(t, many, 1000)

		serveHTTP(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Host)
		})}, n.listen(t, "80"))
		client, _ := newHTTPClient(t, n)
		_, got, err := exchange(client, "http://server.test/", nil)
		require.NoError(t, err)
		require.Equal(t, "server.test", string(got))
	})
}

// Many questions on one connection, whose answers come in any order.
func TestDNSPipelining(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		startDNS(t, n, texts)
		raw, err := n.client.Dial("tcp", n.address("53"))
		require.NoError(t, err)
		defer raw.Close()
		c := &dns.Conn{Conn: raw}
		want := make(map[uint16]int)
		for i := range 50 {
			question := ask(i)
			question.Id = uint16(i)
			want[question.Id] = i
			require.NoError(t, c.WriteMsg(question))
		}
		for range 50 {
			answer, err := c.ReadMsg()
			require.NoError(t, err)
			count, ok := want[answer.Id]
			require.True(t, ok)
			requireTexts(t, count, answer)
		}
	})
}

func TestDNSZoneTransfer(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		soa, err := dns.NewRR("zone.test. 60 IN SOA ns.zone.test. root.zone.test. 1 2 3 4 5")
		require.NoError(t, err)
		startDNS(t, n, func(w dns.ResponseWriter, question *dns.Msg) {
			envelopes := make(chan *dns.Envelope)
			go func() {
				defer close(envelopes)
				envelopes <- &dns.Envelope{RR: []dns.RR{soa}}
				for i := range 100 {
					var records []dns.RR
					for j := range 100 {
						a := net.IPv4(10, 1, byte(i), byte(j))
						records = append(records, &dns.A{A: a, Hdr: dns.RR_Header{Name: "host.zone.test.", Rrtype: dns.TypeA, Class: dns.ClassINET}})
					}
					envelopes <- &dns.Envelope{RR: records}
				}
				envelopes <- &dns.Envelope{RR: []dns.RR{soa}}
			}()
			if err := new(dns.Transfer).Out(w, question, envelopes); err != nil {
				t.Error(err)
			}
		})
		c, err := n.client.Dial("tcp", n.address("53"))
		require.NoError(t, err)
		transfer := &dns.Transfer{Conn: &dns.Conn{Conn: c}}
		envelopes, err := transfer.In(new(dns.Msg).SetAxfr("zone.test."), n.address("53"))
		require.NoError(t, err)
		var records []dns.RR
		for e := range envelopes {
			require.NoError(t, e.Error)
			records = append(records, e.RR...)
		}
		require.Len(t, records, 100*100+2)
		require.Equal(t, "10.1.99.99", records[100*100].(*dns.A).A.String())
	})
}

func TestDNSServerIsSilent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n network) {
		startDNS(t, n, func(dns.ResponseWriter, *dns.Msg) {})
		for _, transport := range []string{"udp", "tcp"} {
			c, err := n.client.Dial(transport, n.address("53"))
			require.NoError(t, err)
			defer c.Close()
			start := time.Now()
			client := &dns.Client{Net: transport, Timeout: time.Second}
			_, _, err = client.ExchangeWithConn(ask(1), &dns.Conn{Conn: c})
			requireDeadline(t, err)
			require.InDelta(t, 1, time.Since(start).Seconds(), 0.1)
		}
	})
}
