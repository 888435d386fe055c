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
	t      *testing.T
	zone   string
	fails  error // from Send
	shared bool  // the port is

	mu     sync.Mutex
	hosts  func(*heard)
	begun  time.Time
	hears  func([]byte, Origin) // nil: the socket is closed
	opened int
	asked  []string // "0s QU printer.local. A", and behind "knowing" what is known
}

// heard is a question that has come to the group.
type heard struct {
	link    *fakeLink
	message dnsmessage.Message
	times   int // how often it has been asked
}

// The ways by which messages come.
var (
	printer   = Origin{From: netip.MustParseAddrPort("192.0.2.9:5353"), OnLink: true, HopLimit: 255}
	toGroup   = Origin{From: printer.From, ToGroup: true, OnLink: true, HopLimit: 255}
	linkLocal = Origin{From: netip.MustParseAddrPort("[fe80::9]:5353"), OnLink: true, HopLimit: 255}
)

func newLink(t *testing.T, hosts func(*heard)) *fakeLink {
	return &fakeLink{t: t, zone: "tap0", hosts: hosts, begun: time.Now()}
}

func (l *fakeLink) link() MulticastLink {
	return MulticastLink{Zone: l.zone, Family: '4', Open: func(hears func([]byte, Origin)) (MulticastSocket, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		require.Nil(l.t, l.hears, "there is one socket for all questions")
		l.hears = hears
		l.opened++
		return l, nil
	}}
}

func (l *fakeLink) Send(octets []byte) error {
	if l.fails != nil {
		return l.fails
	}
	h := &heard{link: l}
	require.NoError(l.t, h.message.Unpack(octets))
	require.Empty(l.t, h.message.Additionals)
	require.Equal(l.t, dnsmessage.Header{Truncated: h.message.Truncated}, h.message.Header)
	line := time.Since(l.begun).String()
	for i, q := range h.message.Questions {
		kind := "QM"
		if q.Class == dnsmessage.ClassINET|classFlag {
			kind = "QU"
		}
		h.message.Questions[i].Class &^= classFlag
		line += fmt.Sprintf(" %s %s %s", kind, q.Name, typeName(q.Type))
	}
	if len(h.message.Answers) > 0 {
		line += " knowing " + strings.Join(lines(h.message.Answers), ", ")
	}
	if h.message.Truncated {
		line += " and more"
	}
	l.mu.Lock()
	l.asked = append(l.asked, line)
	h.times = len(l.asked)
	hosts := l.hosts
	l.mu.Unlock()
	if hosts != nil && len(h.message.Questions) > 0 {
		go hosts(h)
	}
	return nil
}

func (l *fakeLink) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hears = nil
	return nil
}

func (l *fakeLink) Exclusive() bool { return !l.shared }

func (l *fakeLink) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hears != nil
}

// follow gives the link other hosts.
func (l *fakeLink) follow(hosts func(*heard)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = hosts
}

// questions returns what has been asked since the last time.
func (l *fakeLink) questions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}

// send has the socket hear a message.
func (l *fakeLink) send(origin Origin, octets []byte) {
	l.mu.Lock()
	hears := l.hears
	l.mu.Unlock()
	if hears != nil {
		hears(octets, origin)
	}
}

// say has a host tell something that it was not asked for.
func (l *fakeLink) say(origin Origin, changes ...change) {
	(&heard{link: l}).reply(origin, changes...)
}

// ask has a host ask something.
func (l *fakeLink) ask(origin Origin, line string, changes ...change) {
	q := dnsmessage.Question{Class: dnsmessage.ClassINET}
	question := records([]string{line})[0]
	q.Name, q.Type = question.Header.Name, question.Header.Type
	asks := func(m *dnsmessage.Message) { m.Header, m.Questions = dnsmessage.Header{}, []dnsmessage.Question{q} }
	l.say(origin, append([]change{asks}, changes...)...)
}

// reply answers, with the question repeated, until changes say otherwise.
func (h *heard) reply(origin Origin, changes ...change) {
	message := h.message
	message.Header = dnsmessage.Header{Response: true, Authoritative: true}
	message.Answers = nil
	for _, change := range changes {
		change(&message)
	}
	octets, err := message.Pack()
	require.NoError(h.link.t, err)
	h.link.send(origin, octets)
}

// alone marks the answers as being all that there are: by the cache-flush bit.
func alone(m *dnsmessage.Message) {
	for i := range m.Answers {
		m.Answers[i].Header.Class |= classFlag
	}
}

// onLink runs a conversation on a link. Its sockets are closed before the end of the time that synctest waits for.
func onLink(t *testing.T, hosts func(*heard), run func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink)) {
	t.Helper()
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		l := newLink(t, hosts)
		config.Multicast = func() []MulticastLink { return []MulticastLink{l.link()} }
		run(t, New(config), f, l)
		time.Sleep(idleTime + 4*time.Second)
		require.False(t, l.open(), "the socket is closed when nobody asks any longer")
	})
}

func TestHostOnTheLinkIsAsked(t *testing.T) {
	answers9 := answers("printer.local. 120 A 192.0.2.9")
	rows := map[string]func(*heard){
		"it answers as it is asked":    func(h *heard) { h.reply(printer, answers9) },
		"it does not repeat what":      func(h *heard) { h.reply(printer, answers9, noQuestion) },
		"it answers everybody":         func(h *heard) { h.reply(toGroup, answers9, noQuestion) },
		"it says that nothing else is": func(h *heard) { h.reply(printer, answers9, alone) },
		"it has an identifier":         func(h *heard) { h.reply(printer, answers9, func(m *dnsmessage.Message) { m.ID = 7 }) },
		"it is truncated":              func(h *heard) { h.reply(printer, answers9, truncated) },
		"it has other things to say": func(h *heard) {
			h.reply(printer, answers("x.local. 120 A 192.0.2.1", "printer.local. 120 A 192.0.2.9"))
		},
		"it adds it": func(h *heard) {
			h.reply(printer, answers("x.local. 120 PTR printer.local."), additional("printer.local. 120 A 192.0.2.9"))
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
				require.Equal(t, "tap0", answer.Zone)
				require.False(t, answer.Cached)
				require.Empty(t, f.heard(), "no server is asked")
				require.Equal(t, "0s QU Printer.local. A", l.questions()[0])

				answer, err = c.Query(t.Context(), "printer.local.", typeA)
				require.NoError(t, err)
				require.True(t, answer.Cached)
				require.Empty(t, l.questions(), "it is kept")
			})
		})
	}
}

// talk sends what is no answer.
func talk(h *heard) {
	forged := answers("printer.local. 120 A 203.0.113.66")
	h.link.send(printer, []byte("hello"))
	for _, origin := range strangers {
		h.reply(origin, forged)
	}
	h.reply(toGroup, forged, func(m *dnsmessage.Message) { m.Response = false })
	h.reply(toGroup, forged, func(m *dnsmessage.Message) { m.OpCode = 4 })
	h.reply(toGroup, forged, rcode(dnsmessage.RCodeServerFailure))
	h.reply(toGroup, forged, func(m *dnsmessage.Message) { m.Answers[0].Header.Class = dnsmessage.ClassCHAOS })
	h.reply(toGroup, answers("printer.local. 0 A 203.0.113.66"))
	h.reply(printer, answers("other.local. 120 A 203.0.113.66"))
	h.reply(printer, answers("printer.local. 120 AAAA 2001:db8::66"))
	h.reply(printer, rcode(dnsmessage.RCodeNameError))
	h.reply(printer)
}

// strangers are where no answers come from.
var strangers = map[string]Origin{
	"another port":             {From: netip.MustParseAddrPort("192.0.2.9:53"), OnLink: true, HopLimit: 255},
	"another port, to all":     {From: netip.MustParseAddrPort("192.0.2.9:53"), ToGroup: true, OnLink: true, HopLimit: 255},
	"another network":          {From: netip.MustParseAddrPort("203.0.113.66:5353"), HopLimit: 255},
	"behind a router, forging": {From: netip.MustParseAddrPort("192.0.2.9:5353"), OnLink: true, HopLimit: 254},
}

func TestWhoMayAnswer(t *testing.T) {
	rows := map[string]Origin{
		"a host on the link":                          printer,
		"one with a link-local address":               linkLocal,
		"to all, which no router forwards":            toGroup,
		"to all, from an address of some other place": {From: netip.MustParseAddrPort("203.0.113.66:5353"), ToGroup: true, HopLimit: 64},
		"this host itself":                            {From: printer.From, ToGroup: true, OnLink: true, Own: true, HopLimit: 255},
	}
	for row, origin := range rows {
		require.True(t, origin.mayAnswer(), row)
	}
	for row, origin := range strangers {
		require.False(t, origin.mayAnswer(), row)
	}
}

func TestNobodyOnTheLinkKnows(t *testing.T) {
	onLink(t, talk, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		var failed *Error
		spent := took(func() { failed = wantError(t, c, "printer.local.", typeA) })
		require.Equal(t, ErrNXDomain, failed.Err)
		require.True(t, failed.NotFound())
		require.Equal(t, 4*time.Second, spent)
		require.Equal(t, []string{"0s QU printer.local. A", "1s QM printer.local. A", "3s QM printer.local. A"}, l.questions())
		require.Empty(t, f.heard())
	})
}

func TestPortIsShared(t *testing.T) {
	onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		l.shared = true
		wantError(t, c, "printer.local.", typeA)
		require.Equal(t, "0s QM printer.local. A", l.questions()[0], "what comes to this host alone, another may get")
	})
}

func TestHostOnTheLinkHasNoSuchRecord(t *testing.T) {
	const onlyA = "printer.local. 120 NSEC c00c000140" // the next name is a reference, window 0 has one octet
	rows := map[string]change{
		"among the answers":     answers(onlyA),
		"added":                 additional("x.local. 120 A 192.0.2.9", onlyA),
		"to everybody":          func(m *dnsmessage.Message) { answers(onlyA)(m); noQuestion(m); alone(m) },
		"with the name in full": answers("printer.local. 120 NSEC 077072696e746572056c6f63616c00000140"),
		"other windows before":  answers("printer.local. 120 NSEC c00c010180ff0101"),
	}
	for row, says := range rows {
		t.Run(row, func(t *testing.T) {
			hosts := func(h *heard) { h.reply(printer, says) }
			onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				spent := took(func() { require.Equal(t, ErrNoData, wantError(t, c, "printer.local.", typeAAAA).Err) })
				require.Equal(t, gatherTime, spent)
				require.True(t, wantError(t, c, "printer.local.", typeAAAA).Cached)
				require.Len(t, l.questions(), 1)
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
				require.Len(t, l.questions(), 3)
			})
		})
	}
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
		})
		require.Equal(t, gatherTime, spent)
		time.Sleep(100 * time.Millisecond)
		require.Len(t, wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR), 3, "who was late is known the next time")
		require.Len(t, l.questions(), 1)
	})
}

func TestAnswerOfOneHostIsNotWaitedAfter(t *testing.T) {
	hosts := func(h *heard) {
		time.Sleep(20 * time.Millisecond)
		h.reply(printer, answers("printer.local. 120 A 192.0.2.9", "printer.local. 120 A 192.0.2.10"), alone)
	}
	onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		require.Equal(t, 20*time.Millisecond, took(func() { require.Len(t, wantAnswer(t, c, "printer.local.", typeA), 2) }))
	})
}

func TestAliasFromTheLinkLeadsAway(t *testing.T) {
	rows := map[string]change{
		"to a name of the link": answers("www.local. 120 CNAME printer.local.", "printer.local. 120 A 192.0.2.9"),
		"to another":            answers("www.local. 120 CNAME host.example."),
	}
	for row, says := range rows {
		t.Run(row, func(t *testing.T) {
			hosts := func(h *heard) { h.reply(printer, says) }
			onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				for range 2 {
					answer, err := c.Query(t.Context(), "www.local.", typeA)
					require.NoError(t, err)
					require.Len(t, answer.Aliases, 1)
					require.Equal(t, answer.Aliases[0].Body.(*dnsmessage.CNAMEResource).CNAME, answer.Name)
				}
				require.Len(t, l.questions(), 1)
			})
		})
	}
}

func TestLinksThatCannotBeAsked(t *testing.T) {
	down := errors.New("network is down")
	answering := func(h *heard) { h.reply(printer, answers("printer.local. 120 A 192.0.2.9")) }
	failing := func(t *testing.T, zone string, err error) *fakeLink {
		l := newLink(t, answering)
		l.zone, l.fails = zone, err
		return l
	}
	rows := []struct {
		name  string
		links func(t *testing.T) []*fakeLink
		err   error
	}{
		{"one of them", func(t *testing.T) []*fakeLink { return []*fakeLink{failing(t, "a", down), failing(t, "b", nil)} }, nil},
		{"all", func(t *testing.T) []*fakeLink { return []*fakeLink{failing(t, "a", down), failing(t, "b", down)} }, down},
		{"closed by others", func(t *testing.T) []*fakeLink { return []*fakeLink{failing(t, "a", net.ErrClosed)} }, net.ErrClosed},
		{"there are none", func(t *testing.T) []*fakeLink { return nil }, ErrNoServers},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
				links := row.links(t)
				config.Multicast = func() (all []MulticastLink) {
					for _, l := range links {
						all = append(all, l.link())
					}
					return all
				}
				_, err := New(config).Query(t.Context(), "printer.local.", typeA)
				require.ErrorIs(t, err, row.err)
			})
		})
	}
	t.Run("they cannot be opened", func(t *testing.T) {
		test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
			config.Multicast = func() []MulticastLink {
				return []MulticastLink{{Open: func(func([]byte, Origin)) (MulticastSocket, error) { return nil, down }}}
			}
			_, err := New(config).Query(t.Context(), "printer.local.", typeA)
			require.ErrorIs(t, err, down)
		})
	})
}

func TestWhoLeavesTheLinkLeavesNothing(t *testing.T) {
	onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.Query(ctx, "printer.local.", typeA)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		time.Sleep(10 * time.Second)
		require.Len(t, l.questions(), 1, "nobody waits for the answer")
	})
}
