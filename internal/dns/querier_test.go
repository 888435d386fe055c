package dns

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

const (
	one   = "_ipp.local. 120 PTR one.local."
	two   = "_ipp.local. 120 PTR two.local."
	host9 = "printer.local. 120 A 192.0.2.9"
)

// listening makes the querier listen, and forgets what that takes.
func listening(t *testing.T, c *Client, l *fakeLink) {
	t.Helper()
	wantError(t, c, "nobody.local.", typeA)
	l.questions()
	l.begun = time.Now()
}

// asking asks in the background, and returns what comes.
func asking(t *testing.T, c *Client, name string, qtype dnsmessage.Type) <-chan []string {
	result := make(chan []string, 1)
	go func() {
		answer, _ := c.Query(t.Context(), name, qtype)
		result <- lines(answer.Records)
	}()
	synctest.Wait()
	return result
}

func TestWhatIsToldUnasked(t *testing.T) {
	rows := []struct {
		name   string
		says   []change
		qtype  dnsmessage.Type
		of     string
		known  int  // records
		cached bool // nobody is asked
	}{
		{"all that the owner has", []change{answers(host9), alone}, typeA, "printer.local.", 1, true},
		{"what is added", []change{answers(one), additional(host9), func(m *dnsmessage.Message) {
			m.Additionals[0].Header.Class |= classFlag
		}}, typeA, "printer.local.", 1, true},
		{"what others may have too", []change{answers(one)}, dnsmessage.TypePTR, "_ipp.local.", 1, false},
		{"an alias", []change{answers("www.local. 120 CNAME printer.local.", host9), alone}, typeA, "www.local.", 1, true},
		{"nothing of the kind", []change{answers(host9), alone}, typeAAAA, "printer.local.", 0, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				listening(t, c, l)
				l.say(toGroup, row.says...)
				answer, err := c.Query(t.Context(), row.of, row.qtype)
				require.Equal(t, row.known > 0, err == nil)
				require.Len(t, answer.Records, row.known)
				require.Equal(t, row.cached, answer.Cached)
				require.Equal(t, row.cached, len(l.questions()) == 0)
			})
		})
	}
}

func TestKnownAnswersAreToldOf(t *testing.T) {
	rows := []struct {
		name string
		says func(l *fakeLink)
		asks []string
	}{
		{"one", func(l *fakeLink) { l.say(toGroup, answers(one)) }, []string{" knowing " + one}},
		{"two", func(l *fakeLink) { l.say(toGroup, answers(one, two)) }, []string{" knowing " + one + ", " + two}},
		{"with the time that is left", func(l *fakeLink) {
			l.say(toGroup, answers(one))
			time.Sleep(50 * time.Second)
		}, []string{" knowing _ipp.local. 70 PTR one.local."}},
		{"not in the second half of its time", func(l *fakeLink) {
			l.say(toGroup, answers(one))
			time.Sleep(61 * time.Second)
		}, []string{"", "", ""}},
		{"not of another name", func(l *fakeLink) { l.say(toGroup, answers("_http.local. 120 PTR one.local.")) }, []string{"", "", ""}},
		{"not what was taken back", func(l *fakeLink) {
			l.say(toGroup, answers(one, two))
			l.say(toGroup, answers("_ipp.local. 0 PTR one.local."))
		}, []string{" knowing " + two}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				listening(t, c, l)
				row.says(l)
				l.begun = time.Now()
				<-asking(t, c, "_ipp.local.", dnsmessage.TypePTR)
				asked := l.questions()
				require.Len(t, asked, len(row.asks))
				for i, known := range row.asks {
					_, line, _ := strings.Cut(asked[i], "PTR")
					require.Equal(t, known, line)
				}
			})
		})
	}
}

// Who knows the querier's answers is silent. So what is known is the answer, with what others say meanwhile.
func TestKnownAnswersAreCompleted(t *testing.T) {
	onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		listening(t, c, l)
		l.say(toGroup, answers(one))
		begun := time.Now()
		result := asking(t, c, "_ipp.local.", dnsmessage.TypePTR)
		time.Sleep(200 * time.Millisecond)
		l.say(toGroup, answers(two))
		require.Len(t, <-result, 2)
		require.Equal(t, newsTime, time.Since(begun))
		l.questions()
		require.Len(t, wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR), 2)
		require.Empty(t, l.questions(), "whoever comes now will tell")
	})
}

// More is known than a message holds: it takes several, and all but the last say so.
func TestKnownAnswersInSeveralMessages(t *testing.T) {
	var known []string
	for i := range 60 {
		known = append(known, fmt.Sprintf("_ipp.local. 120 PTR printer%02d.local.", i))
	}
	onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		listening(t, c, l)
		l.say(toGroup, answers(known...))
		require.Len(t, wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR), 60)
		asked := l.questions()
		require.Greater(t, len(asked), 1)
		var told []string
		for i, line := range asked {
			question, answers, _ := strings.Cut(line, " knowing ")
			require.Equal(t, i == 0, strings.HasSuffix(question, "_ipp.local. PTR"), "the question is in the first")
			answers, more := strings.CutSuffix(answers, " and more")
			require.Equal(t, i < len(asked)-1, more)
			told = append(told, strings.Split(answers, ", ")...)
		}
		require.Equal(t, known, told)
	})
}

func TestWhatOthersAskNeedsNoRepetition(t *testing.T) {
	const ptr = "_ipp.local. 0 PTR x."
	again := []string{"1s QM _ipp.local. PTR", "3s QM _ipp.local. PTR"}
	later := again[1:]
	own := toGroup
	own.Own = true
	legacy := strangers["another port, to all"]
	rows := []struct {
		name string
		asks func(l *fakeLink)
		then []string
	}{
		{"the same", func(l *fakeLink) { l.ask(toGroup, ptr) }, later},
		{"in other letters", func(l *fakeLink) { l.ask(toGroup, "_IPP.local. 0 PTR x.") }, later},
		{"twice", func(l *fakeLink) { l.ask(toGroup, ptr); l.ask(toGroup, ptr) }, later},
		{"the same, and knows more", func(l *fakeLink) { l.ask(toGroup, ptr, answers(one)) }, again},
		{"the same, and knows of others", func(l *fakeLink) { l.ask(toGroup, ptr, answers(host9)) }, later},
		{"the same, and will tell what it knows", func(l *fakeLink) { l.ask(toGroup, ptr, truncated) }, again},
		{"for an answer to it alone", func(l *fakeLink) {
			l.ask(toGroup, ptr, func(m *dnsmessage.Message) { m.Questions[0].Class |= classFlag })
		}, again},
		{"one alone", func(l *fakeLink) { l.ask(printer, ptr) }, again},
		{"from another port", func(l *fakeLink) { l.ask(legacy, ptr) }, again},
		{"this host itself", func(l *fakeLink) { l.ask(own, ptr) }, again},
		{"another name", func(l *fakeLink) { l.ask(toGroup, "_http.local. 0 PTR x.") }, again},
		{"another type", func(l *fakeLink) { l.ask(toGroup, "_ipp.local. 0 TXT x") }, again},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				result := asking(t, c, "_ipp.local.", dnsmessage.TypePTR)
				time.Sleep(100 * time.Millisecond)
				row.asks(l)
				<-result
				require.Equal(t, append([]string{"0s QU _ipp.local. PTR"}, row.then...), l.questions())
			})
		})
	}
}

func TestWhatIsKnownChanges(t *testing.T) {
	goodbye := answers("printer.local. 0 A 192.0.2.9")
	rows := []struct {
		name  string
		says  func(l *fakeLink)
		known []string
	}{
		{"it lasts", func(l *fakeLink) { time.Sleep(60 * time.Second) }, []string{"printer.local. 60 A 192.0.2.9"}},
		{"it is said again", func(l *fakeLink) {
			time.Sleep(60 * time.Second)
			l.say(toGroup, answers(host9), alone)
		}, []string{host9}},
		{"it expires", func(l *fakeLink) {
			l.say(toGroup, answers("printer.local. 10 A 192.0.2.9"), alone)
			time.Sleep(10 * time.Second)
		}, nil},
		{"its owner leaves", func(l *fakeLink) { l.say(toGroup, goodbye, alone) }, nil},
		{"its owner left", func(l *fakeLink) { l.say(toGroup, goodbye); time.Sleep(lastSecond) }, nil},
		{"somebody leaves, and another has it too", func(l *fakeLink) {
			l.say(toGroup, goodbye)
			time.Sleep(lastSecond / 2)
			l.say(toGroup, answers(host9), alone)
			time.Sleep(lastSecond)
		}, []string{"printer.local. 119 A 192.0.2.9"}},
		{"who never was there leaves", func(l *fakeLink) { l.say(toGroup, answers("printer.local. 0 A 192.0.2.10")) }, []string{host9}},
		{"another address in its place", func(l *fakeLink) {
			time.Sleep(2 * time.Second)
			l.say(toGroup, answers("printer.local. 120 A 192.0.2.10"), alone)
		}, []string{"printer.local. 120 A 192.0.2.10"}},
		{"another in a second message", func(l *fakeLink) {
			time.Sleep(lastSecond)
			l.say(toGroup, answers("printer.local. 120 A 192.0.2.10"), alone)
		}, []string{"printer.local. 119 A 192.0.2.9", "printer.local. 120 A 192.0.2.10"}},
		{"another type in its place", func(l *fakeLink) {
			time.Sleep(2 * time.Second)
			l.say(toGroup, answers("printer.local. 120 AAAA 2001:db8::9"), alone)
		}, []string{"printer.local. 118 A 192.0.2.9"}},
		{"a stranger takes it back", func(l *fakeLink) { l.say(strangers["another network"], goodbye) }, []string{host9}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				listening(t, c, l)
				l.say(toGroup, answers(host9), alone)
				row.says(l)
				answer, err := c.Query(t.Context(), "printer.local.", typeA)
				if row.known == nil {
					require.ErrorIs(t, err, ErrNXDomain)
					require.Len(t, l.questions(), 3)
					return
				}
				require.NoError(t, err)
				require.ElementsMatch(t, row.known, lines(answer.Records))
				require.Empty(t, l.questions())
			})
		})
	}
}

// What somebody has looked up again is asked for before it expires, and only that.
func TestWhatIsOfInterestIsKept(t *testing.T) {
	rows := []struct {
		name   string
		does   func(c *Client, l *fakeLink)
		before []time.Duration // when it is asked for, at the earliest
	}{
		{"nobody is interested", func(*Client, *fakeLink) {}, nil},
		{"somebody is, nobody answers", func(c *Client, l *fakeLink) { wantAnswer(l.t, c, "printer.local.", typeA) },
			[]time.Duration{80, 85, 90, 95}},
		{"and then not again", func(c *Client, l *fakeLink) {
			wantAnswer(l.t, c, "printer.local.", typeA)
			l.follow(func(h *heard) { h.reply(toGroup, answers("printer.local. 100 A 192.0.2.9"), alone) })
		}, []time.Duration{80}},
		{"another asks at that time", func(c *Client, l *fakeLink) {
			wantAnswer(l.t, c, "printer.local.", typeA)
			time.Sleep(80 * time.Second)
			l.ask(toGroup, "printer.local. 0 A 192.0.2.9")
		}, []time.Duration{85, 90, 95}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onLink(t, nil, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
				// With the greatest jitter nothing is asked for at 80 seconds sharp.
				c.random.source = octets(255)
				listening(t, c, l)
				l.say(toGroup, answers("printer.local. 100 A 192.0.2.9"), alone)
				row.does(c, l)
				time.Sleep(time.Until(l.begun.Add(110 * time.Second)))
				asked := l.questions()
				require.Len(t, asked, len(row.before))
				for i, line := range asked {
					at, what, _ := strings.Cut(line, " ")
					after, err := time.ParseDuration(at)
					require.NoError(t, err)
					require.Equal(t, "QM printer.local. A", what)
					require.Greater(t, after, row.before[i]*time.Second)
					require.LessOrEqual(t, after, (row.before[i]+2)*time.Second)
				}
			})
		})
	}
}

type octets byte

func (o octets) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(o)
	}
	return len(b), nil
}

// One of those who share a name is not heard of again: that tells that messages get lost, so all are asked.
func TestWhoShareANameAreAskedAgain(t *testing.T) {
	hosts := func(h *heard) { h.reply(printer, answers("_ipp.local. 10 PTR one.local.", two)) }
	onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR)
		time.Sleep(5 * time.Second)
		require.Len(t, wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR), 2)
		require.Len(t, l.questions(), 1)
		l.follow(nil)
		time.Sleep(5 * time.Second)
		l.questions()
		require.Equal(t, []string{"_ipp.local. 110 PTR two.local."}, wantAnswer(t, c, "_ipp.local.", dnsmessage.TypePTR))
		require.Len(t, l.questions(), 1)
	})
}

// The sockets are shared by all questions, until nobody has asked for a while; what has been heard is then forgotten.
func TestSocketsStayOpenForAWhile(t *testing.T) {
	hosts := func(h *heard) { h.reply(printer, answers("printer.local. 4500 A 192.0.2.9"), alone) }
	onLink(t, hosts, func(t *testing.T, c *Client, f *fakeNetwork, l *fakeLink) {
		require.False(t, l.open())
		for range 3 {
			results := []<-chan []string{asking(t, c, "printer.local.", typeA), asking(t, c, "scanner.local.", typeA)}
			for _, result := range results {
				<-result
			}
			require.True(t, l.open())
			time.Sleep(idleTime - 5*time.Second)
		}
		require.Equal(t, 1, l.opened)
		time.Sleep(5 * time.Second)
		require.False(t, l.open())
		l.questions()
		wantAnswer(t, c, "printer.local.", typeA)
		require.Len(t, l.questions(), 1, "it may have changed meanwhile")
		require.Equal(t, 2, l.opened)
	})
}

func TestLinksComeAndGo(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		answering := func(h *heard) { h.reply(printer, answers(one)) }
		first, second := newLink(t, answering), newLink(t, answering)
		second.zone = "tap1"
		links := []MulticastLink{first.link()}
		config.Multicast = func() []MulticastLink { return links }
		c := New(config)
		ask := func() Answer {
			answer, err := c.Query(t.Context(), "_ipp.local.", dnsmessage.TypePTR)
			require.NoError(t, err)
			return answer
		}
		require.Equal(t, "tap0", ask().Zone)
		require.True(t, ask().Cached)
		links = append(links, second.link())
		require.False(t, ask().Cached, "there may be others on the new link")
		require.Len(t, second.questions(), 1)
		links = links[1:]
		answer := ask()
		require.Equal(t, "tap1", answer.Zone)
		require.True(t, answer.Cached)
		require.False(t, first.open())
		c.link.mu.Lock()
		for k := range c.link.cache.sets {
			require.Equal(t, "tap1", k.zone, "what changes elsewhere is not heard any longer")
		}
		c.link.mu.Unlock()
		time.Sleep(idleTime + time.Second)
		require.False(t, second.open())
	})
}

func TestNothingIsKeptOfTheLink(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		l := newLink(t, func(h *heard) { h.reply(printer, answers(host9), alone) })
		config.Multicast = func() []MulticastLink { return []MulticastLink{l.link()} }
		config.CacheEntries = -1
		c := New(config)
		for range 3 {
			require.Equal(t, []string{host9}, wantAnswer(t, c, "printer.local.", typeA))
			require.Len(t, l.questions(), 1)
		}
	})
}

// Hosts on the link can fill the cache, but not have it grow beyond its bounds.
func TestLinkCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	hear := func(c *linkCache, lines ...string) { c.hear("tap0", records(lines), now, 0) }
	count := func(c *linkCache) (n int) {
		for _, set := range c.sets {
			n += len(set.records)
		}
		require.Equal(t, n, c.count)
		require.Equal(t, len(c.sets), c.recent.Len())
		return n
	}
	t.Run("records of one name", func(t *testing.T) {
		c := linkCache{bound: 10000}
		for i := range 2 * maxSetRecords {
			hear(&c, fmt.Sprintf("_ipp.local. 100 PTR %d.local.", i))
		}
		require.Equal(t, maxSetRecords, count(&c))
	})
	t.Run("names", func(t *testing.T) {
		c := linkCache{bound: 10}
		hear(&c, host9)
		for i := range 100 {
			r, ok := c.answer("tap0", name("printer.local."), typeA, now)
			require.True(t, ok, "what is in use stays")
			c.use(&r.response, typeA, now)
			hear(&c, fmt.Sprintf("host%d.local. 100 A 192.0.2.1", i))
			require.LessOrEqual(t, count(&c), 10)
		}
	})
	t.Run("memory", func(t *testing.T) {
		c := linkCache{bound: 4}
		for i := range 100 {
			large := records([]string{fmt.Sprintf("host%d.local. 100 TXT x", i)})
			large[0].Header.Length = 2000
			c.hear("tap0", large, now, 0)
			require.LessOrEqual(t, c.cost, 4*costPerEntry)
		}
	})
	t.Run("time", func(t *testing.T) {
		c := linkCache{bound: 10, maxTTL: time.Minute, maxNegativeTTL: time.Second}
		hear(&c, host9, "printer.local. 120 NSEC c00c000140")
		c.expire(now.Add(time.Second))
		require.Equal(t, 1, count(&c))
		c.expire(now.Add(time.Minute))
		require.Zero(t, count(&c))
	})
	t.Run("all kinds of things", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		c := linkCache{bound: 20}
		for range 5000 {
			line := fmt.Sprintf("host%d.local. %d A 192.0.2.%d", random.IntN(9), random.IntN(4), random.IntN(9))
			heard := records([]string{line})
			if random.IntN(2) == 0 {
				heard[0].Header.Class |= classFlag
			}
			c.hear("tap0", heard, now, random.IntN(256))
			now = now.Add(time.Duration(random.IntN(1000)) * time.Millisecond)
			c.expire(now)
			require.LessOrEqual(t, count(&c), 20)
		}
		c.expire(now.Add(time.Hour))
		require.Zero(t, count(&c))
		require.Zero(t, c.cost)
	})
}
