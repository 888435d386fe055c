package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// A fakeLink is a link with hosts that hear what is sent to the group. It is also the socket on that link.
type fakeLink struct {
	t     *testing.T
	hosts func(*heard)
	fails error // from WriteTo

	in     chan packet
	done   chan struct{}
	closed sync.Once

	asked []dnsmessage.Question
}

type packet struct {
	octets []byte
	from   net.Addr
}

// heard is a question that has come to the group.
type heard struct {
	link    *fakeLink
	message dnsmessage.Message
	times   int // how often it has been asked
}

var (
	mdnsGroup = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	linkLocal = &net.UDPAddr{IP: net.ParseIP("fe80::9"), Port: 5353, Zone: "tap0"}
	printer   = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 5353}
)

func newLink(t *testing.T, hosts func(*heard)) *fakeLink {
	return &fakeLink{t: t, hosts: hosts, in: make(chan packet), done: make(chan struct{})}
}

func (l *fakeLink) WriteTo(octets []byte, to net.Addr) (int, error) {
	require.Equal(l.t, net.Addr(mdnsGroup), to)
	if l.fails != nil {
		return 0, l.fails
	}
	h := &heard{link: l}
	require.NoError(l.t, h.message.Unpack(octets))
	require.Empty(l.t, h.message.Answers, "nothing is known beforehand")
	require.Empty(l.t, h.message.Additionals)
	l.asked = append(l.asked, h.message.Questions...)
	h.times = len(l.asked)
	if l.hosts != nil {
		go l.hosts(h)
	}
	return len(octets), nil
}

func (l *fakeLink) ReadFrom(octets []byte) (int, net.Addr, error) {
	select {
	case p := <-l.in:
		return copy(octets, p.octets), p.from, nil
	case <-l.done:
		return 0, nil, net.ErrClosed
	}
}

func (l *fakeLink) Close() error {
	l.closed.Do(func() { close(l.done) })
	return nil
}

func (l *fakeLink) LocalAddr() net.Addr              { return &net.UDPAddr{Port: 50000} }
func (l *fakeLink) SetDeadline(time.Time) error      { return nil }
func (l *fakeLink) SetReadDeadline(time.Time) error  { return nil }
func (l *fakeLink) SetWriteDeadline(time.Time) error { return nil }

// reply answers as a host without Multicast DNS would expect it, until changes say otherwise.
func (h *heard) reply(from net.Addr, changes ...change) {
	message := h.message
	message.Header = dnsmessage.Header{ID: message.ID, Response: true, Authoritative: true}
	for _, change := range changes {
		change(&message)
	}
	octets, err := message.Pack()
	require.NoError(h.link.t, err)
	h.send(from, octets)
}

func (h *heard) send(from net.Addr, octets []byte) {
	select {
	case h.link.in <- packet{octets, from}:
	case <-h.link.done:
	}
}

// onLink runs a conversation on links.
func onLink(t *testing.T, hosts func(*heard), run func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink)) {
	t.Helper()
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		l := newLink(t, hosts)
		config.Multicast = func(context.Context) ([]MulticastSocket, error) {
			return []MulticastSocket{{Conn: l, Group: mdnsGroup, OnLink: netip.MustParsePrefix("192.0.2.0/24").Contains}}, nil
		}
		run(t, New(config), f, l)
		select {
		case <-l.done:
		default:
			if len(l.asked) > 0 {
				t.Error("the socket is left open")
			}
		}
	})
}

func TestHostOnTheLinkIsAsked(t *testing.T) {
	answers9 := answers("printer.local. 120 A 192.0.2.9")
	rows := map[string]func(*heard){
		"it answers as it is asked": func(h *heard) { h.reply(printer, answers9) },
		"it does not repeat what":   func(h *heard) { h.reply(printer, answers9, noQuestion) },
		"it answers everybody":      func(h *heard) { h.reply(printer, answers9, noQuestion, toAll) },
		"it says that nothing else is": func(h *heard) {
			h.reply(printer, answers9, func(m *dnsmessage.Message) { m.Answers[0].Header.Class |= 1 << 15 })
		},
		"it has other things to say": func(h *heard) {
			h.reply(printer, answers("x.local. 120 A 192.0.2.1", "printer.local. 120 A 192.0.2.9"))
		},
		"its address is a link's own": func(h *heard) { h.reply(linkLocal, answers9) },
		"it says it twice":            func(h *heard) { h.reply(printer, answers9); h.reply(printer, answers9) },
		"it takes its time":           func(h *heard) { time.Sleep(500 * time.Millisecond); h.reply(printer, answers9) },
		"it answers the second time": func(h *heard) {
			if h.times == 2 {
				h.reply(printer, answers9)
			}
		},
		"others talk before": func(h *heard) { talk(h); h.reply(printer, answers9) },
	}
	rows["another has no such record"] = func(h *heard) {
		h.reply(printer, answers("printer.local. 120 NSEC c00c000400000008"))
		h.reply(printer, answers9)
	}
	for row, hosts := range rows {
		t.Run(row, func(t *testing.T) {
			onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				answer, err := c.Query(t.Context(), "Printer.local.", typeA)
				require.NoError(t, err)
				require.Equal(t, []string{"Printer.local. 120 A 192.0.2.9"}, lines(answer.Records))
				require.Equal(t, dnsmessage.ClassINET, answer.Records[0].Header.Class)
				require.False(t, answer.Server.IsValid())
				require.Empty(t, f.heard(), "no server is asked")
				require.Equal(t, dnsmessage.Question{Name: name("Printer.local."), Type: typeA, Class: dnsmessage.ClassINET}, l.asked[0])

				_, err = c.Query(t.Context(), "printer.local.", typeA)
				require.NoError(t, err)
				require.LessOrEqual(t, len(l.asked), 2, "it is kept")
			})
		})
	}
}

func toAll(m *dnsmessage.Message) { m.ID = 0 }

// talk sends what is no answer.
func talk(h *heard) {
	forged := answers("printer.local. 120 A 203.0.113.66")
	h.send(printer, []byte("hello"))
	h.reply(&net.UDPAddr{IP: printer.IP, Port: 53}, forged)
	h.reply(&net.UDPAddr{IP: net.IPv4(203, 0, 113, 66), Port: 5353}, forged)
	h.reply(&net.TCPAddr{IP: printer.IP, Port: 5353}, forged)
	h.reply(printer, forged, func(m *dnsmessage.Message) { m.ID++ })
	h.reply(printer, forged, func(m *dnsmessage.Message) { m.Response = false })
	h.reply(printer, forged, func(m *dnsmessage.Message) { m.OpCode = 4 })
	h.reply(printer, forged, rcode(dnsmessage.RCodeServerFailure))
	h.reply(printer, answers("other.local. 120 A 203.0.113.66"))
	h.reply(printer, answers("printer.local. 120 AAAA 2001:db8::66"))
	h.reply(printer, rcode(dnsmessage.RCodeNameError))
	h.reply(printer)
}

func TestNobodyOnTheLinkKnows(t *testing.T) {
	onLink(t, talk, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		var failed *Error
		spent := took(func() { failed = wantError(t, c, "printer.local.", typeA) })
		require.Equal(t, ErrNXDomain, failed.Err)
		require.True(t, failed.NotFound())
		require.Equal(t, 2*time.Second, spent)
		require.Len(t, l.asked, 2, "it is asked twice")
		require.Empty(t, f.heard())
	})
}

func TestHostOnTheLinkHasNoSuchRecord(t *testing.T) {
	const onlyA = "printer.local. 120 NSEC c00c000140" // the next name is a reference, window 0 has one octet
	rows := map[string]change{
		"among the answers": answers(onlyA),
		"added":             additional("x.local. 120 A 192.0.2.9", onlyA),
		"to everybody": func(m *dnsmessage.Message) {
			answers(onlyA)(m)
			noQuestion(m)
			toAll(m)
			m.Answers[0].Header.Class |= 1 << 15
		},
		"with the name in full": answers("printer.local. 120 NSEC 077072696e746572056c6f63616c00000140"),
		"other windows before":  answers("printer.local. 120 NSEC c00c010180ff0101"),
	}
	for row, says := range rows {
		t.Run(row, func(t *testing.T) {
			hosts := func(h *heard) { h.reply(printer, says) }
			onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				spent := took(func() { require.Equal(t, ErrNoData, wantError(t, c, "printer.local.", typeAAAA).Err) })
				require.Equal(t, multicastGather, spent)
				require.True(t, wantError(t, c, "printer.local.", typeAAAA).Cached)
				require.Len(t, l.asked, 1)
			})
		})
	}
}

func TestHostOnTheLinkSaysNothingOfTheRecord(t *testing.T) {
	rows := map[string]string{
		"it has it":                "printer.local. 120 NSEC c00c000440000008",
		"it has an alias":          "printer.local. 120 NSEC c00c000104",
		"another name":             "other.local. 120 NSEC c00c000140",
		"a bitmap that breaks off": "printer.local. 120 NSEC c00c000540",
		"a window that breaks off": "printer.local. 120 NSEC c00c00",
		"a name that breaks off":   "printer.local. 120 NSEC 07",
		"a name without an end":    "printer.local. 120 NSEC 0161",
		"half a reference":         "printer.local. 120 NSEC c0",
		"a label too long":         "printer.local. 120 NSEC 40" + strings.Repeat("61", 64) + "00000140",
	}
	for row, line := range rows {
		t.Run(row, func(t *testing.T) {
			hosts := func(h *heard) { h.reply(printer, answers(line)) }
			onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				require.Equal(t, ErrNXDomain, wantError(t, c, "printer.local.", typeAAAA).Err)
				require.Len(t, l.asked, 2)
			})
		})
	}
}

func TestAnswersOfManyHostsAreGathered(t *testing.T) {
	hosts := func(h *heard) {
		h.reply(printer, answers("_ipp.local. 120 PTR one.local."))
		time.Sleep(100 * time.Millisecond)
		h.reply(printer, answers("_ipp.local. 60 PTR two.local.", "_ipp.local. 120 PTR one.local."))
		time.Sleep(100 * time.Millisecond)
		h.reply(printer, answers("_ipp.local. 60 PTR late.local."))
	}
	onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		spent := took(func() {
			answer, err := c.Query(t.Context(), "_ipp.local.", dnsmessage.TypePTR)
			require.NoError(t, err)
			require.Equal(t, []string{"_ipp.local. 120 PTR one.local.", "_ipp.local. 60 PTR two.local."}, lines(answer.Records))
			require.Equal(t, 60*time.Second, time.Until(answer.Expires))
		})
		require.Equal(t, multicastGather, spent)
		time.Sleep(time.Second) // until the last has finished
	})
}

func TestAnswersOfManyHostsAreBounded(t *testing.T) {
	of := func(line string) response {
		r := response{name: name("_ipp.local."), records: records([]string{line})}
		r.ttl = r.records[0].Header.TTL
		return r
	}
	all := of("_ipp.local. 120 PTR first.local.")
	for i := range 2 * maxMulticastRecords {
		all.merge(of(fmt.Sprintf("_ipp.local. 100 PTR %d.local.", i)))
	}
	require.Len(t, all.records, maxMulticastRecords)
	require.EqualValues(t, 100, all.ttl)

	elsewhere := response{name: name("_http.local."), records: records([]string{"_http.local. 60 PTR other.local."})}
	one := of("_ipp.local. 120 PTR first.local.")
	one.merge(elsewhere)
	require.Len(t, one.records, 1, "an alias may lead each host's answer to another name")
}

func TestWhichNamesAreOfTheLink(t *testing.T) {
	rows := map[string]bool{
		"local.":                          true,
		"printer.local.":                  true,
		"a.b.LOCAL.":                      true,
		"1.2.254.169.in-addr.arpa.":       true,
		"1.0.8.e.f.ip6.arpa.":             true,
		"1.0.B.E.F.ip6.arpa.":             true,
		"1.0.c.e.f.ip6.arpa.":             false,
		"1.2.0.192.in-addr.arpa.":         false,
		"notlocal.":                       false,
		"local.example.":                  false,
		".":                               false,
		"1.1254.169.in-addr.arpa.":        false,
		"printer.local.254.in-addr.arpa.": false,
	}
	for row, of := range rows {
		require.Equal(t, of, OfLink(row), row)
	}
}

func TestWithoutMulticastTheServersAreAsked(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		require.Len(t, wantAnswer(t, New(config), "printer.local.", typeA), 1)
	})
}

func TestLinksThatCannotBeAsked(t *testing.T) {
	down := errors.New("network is down")
	answering := func(h *heard) { h.reply(printer, answers("printer.local. 120 A 192.0.2.9")) }
	broken := func(t *testing.T) *fakeLink {
		l := newLink(t, nil)
		l.fails = down
		return l
	}
	rows := []struct {
		name  string
		links func(t *testing.T) ([]*fakeLink, error)
		err   error
	}{
		{"one of them", func(t *testing.T) ([]*fakeLink, error) { return []*fakeLink{broken(t), newLink(t, answering)}, nil }, nil},
		{"all", func(t *testing.T) ([]*fakeLink, error) { return []*fakeLink{broken(t), broken(t)}, nil }, down},
		{"there are none", func(t *testing.T) ([]*fakeLink, error) { return nil, nil }, ErrNoServers},
		{"they cannot be opened", func(t *testing.T) ([]*fakeLink, error) { return nil, down }, down},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
				links, opened := row.links(t)
				config.Multicast = func(context.Context) (sockets []MulticastSocket, err error) {
					for _, l := range links {
						sockets = append(sockets, MulticastSocket{Conn: l, Group: mdnsGroup})
					}
					return sockets, opened
				}
				_, err := New(config).Query(t.Context(), "printer.local.", typeA)
				require.ErrorIs(t, err, row.err)
				synctest.Wait()
				for _, l := range links {
					<-l.done
				}
			})
		})
	}
}

func TestWhoLeavesTheLinkLeavesNothing(t *testing.T) {
	onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.Query(ctx, "printer.local.", typeA)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		<-l.done
		require.Len(t, l.asked, 1)
	})
}

func TestAliasFromTheLinkLeadsAway(t *testing.T) {
	hosts := func(h *heard) {
		h.reply(printer, answers("www.local. 120 CNAME printer.local.", "printer.local. 120 A 192.0.2.9"))
	}
	onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		answer, err := c.Query(t.Context(), "www.local.", typeA)
		require.NoError(t, err)
		require.Equal(t, "printer.local.", answer.Name.String())
	})
}
