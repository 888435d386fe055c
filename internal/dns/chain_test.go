package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func TestAliasesAreFollowedWithinAnAnswer(t *testing.T) {
	chain := []string{
		"www.example. 300 CNAME host.example.",
		"host.example. 200 CNAME host.example.net.",
		"host.example.net. 250 A 192.0.2.7",
		"host.example.net. 250 A 192.0.2.8",
	}
	backwards := slices.Clone(chain)
	slices.Reverse(backwards)
	for row, order := range map[string][]string{"in order": chain, "out of order": backwards} {
		t.Run(row, func(t *testing.T) {
			speaks := func(a *ask) { a.reply(answers(order...)) }
			test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
				answer, err := New(config).Query(t.Context(), "www.example.", typeA)
				require.NoError(t, err)
				require.Equal(t, "host.example.net.", answer.Name.String())
				require.Equal(t, chain[:2], lines(answer.Aliases))
				require.ElementsMatch(t, chain[2:], lines(answer.Records))
				require.Equal(t, time.Now().Add(200*time.Second), answer.Expires, "the smallest of the chain")
				require.Len(t, f.heard(), 1)
			})
		})
	}
}

func TestAliasItselfIsAskedFor(t *testing.T) {
	speaks := func(a *ask) {
		a.reply(answers("www.example. 300 CNAME host.example.", "host.example. 200 CNAME host.example.net."))
	}
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		answer, err := New(config).Query(t.Context(), "www.example.", dnsmessage.TypeCNAME)
		require.NoError(t, err)
		require.Equal(t, "www.example.", answer.Name.String())
		require.Equal(t, []string{"www.example. 300 CNAME host.example."}, lines(answer.Records))
		require.Empty(t, answer.Aliases)
	})
}

func TestChainThatEndsTooSoonIsAskedForAnew(t *testing.T) {
	speaks := func(a *ask) {
		switch fold(a.message.Questions[0].Name) {
		case "www.example.":
			a.reply(answers("www.example. 300 CNAME b.example."))
		case "b.example.":
			a.reply(answers("b.example. 100 CNAME c.example."))
		case "c.example.":
			a.reply(answers("c.example. 200 A 192.0.2.7"))
		}
	}
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		answer, err := New(config).Query(t.Context(), "www.example.", typeA)
		require.NoError(t, err)
		require.Equal(t, "c.example.", answer.Name.String())
		require.Equal(t, []string{"www.example. 300 CNAME b.example.", "b.example. 100 CNAME c.example."}, lines(answer.Aliases))
		require.Equal(t, []string{"c.example. 200 A 192.0.2.7"}, lines(answer.Records))
		require.Equal(t, time.Now().Add(100*time.Second), answer.Expires)
		require.Len(t, f.heard(), 3)
	})
}

func TestChainThatEndsInNothing(t *testing.T) {
	alias := answers("www.example. 300 CNAME host.example.")
	rows := []struct {
		name string
		says script
		err  error
	}{
		{"no such name", func(a *ask) { a.reply(alias, rcode(dnsmessage.RCodeNameError)) }, ErrNXDomain},
		{"no such record", func(a *ask) { a.reply(alias, authority("example. 60 SOA 60")) }, ErrNoData},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, map[netip.AddrPort]script{first: row.says}, func(t *testing.T, f *fakeNetwork, config Config) {
				answer, err := New(config).Query(t.Context(), "www.example.", typeA)
				require.ErrorIs(t, err, row.err)
				require.Equal(t, "host.example.", answer.Name.String(), "but what it is an alias of is known")
				require.Len(t, answer.Aliases, 1)
				require.Empty(t, answer.Records)
				require.Len(t, f.heard(), 1)
			})
		})
	}
}

func TestChainsHaveAnEnd(t *testing.T) {
	long := func(length int) (chain []string) {
		for i := range length {
			chain = append(chain, fmt.Sprintf("%d.example. 300 CNAME %d.example.", i, i+1))
		}
		return append(chain, fmt.Sprintf("%d.example. 300 A 192.0.2.7", length))
	}
	piecemeal := func(a *ask) {
		var i int
		_, err := fmt.Sscanf(a.message.Questions[0].Name.String(), "%d.", &i)
		require.NoError(t, err)
		a.reply(answers(fmt.Sprintf("%d.example. 300 CNAME %d.example.", i, i+1)))
	}
	rows := []struct {
		name  string
		says  script
		err   error
		asked int
	}{
		{"as long as may be", func(a *ask) { a.reply(answers(long(maxAliases)...)) }, nil, 1},
		{"one more", func(a *ask) { a.reply(answers(long(maxAliases + 1)...)) }, ErrChain, 2},
		{"a bit with every answer", piecemeal, ErrChain, maxAliases + 1},
		{"itself", func(a *ask) { a.reply(answers("0.example. 300 CNAME 0.example.")) }, ErrChain, 2},
		{"in circles", func(a *ask) {
			a.reply(answers("0.example. 300 CNAME 1.example.", "1.example. 300 CNAME 0.example."))
		}, ErrChain, 2},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, map[netip.AddrPort]script{first: row.says}, func(t *testing.T, f *fakeNetwork, config Config) {
				_, err := New(config).Query(t.Context(), "0.example.", typeA)
				require.ErrorIs(t, err, row.err)
				require.Len(t, f.heard(), row.asked)
			})
		})
	}
}

// A server of one name has nothing to say about others.
func TestWhatWasNotAskedForIsLeftOut(t *testing.T) {
	tells := func(a *ask) {
		if fold(a.message.Questions[0].Name) != "www.example." {
			a.reply(rcode(dnsmessage.RCodeNameError))
			return
		}
		a.reply(
			answers("bank.example. 300 A 203.0.113.66", "www.example. 300 A 192.0.2.7", "www.example. 300 AAAA 2001:db8::7",
				"other.example. 300 CNAME bank.example."),
			authority("example. 300 NS ns.example."), additional("ns.example. 300 A 203.0.113.66"))
	}
	test(t, map[netip.AddrPort]script{first: tells}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		require.Equal(t, []string{"www.example. 300 A 192.0.2.7"}, wantAnswer(t, c, "www.example.", typeA))
		for _, name := range []string{"bank.example.", "ns.example.", "other.example."} {
			require.Equal(t, ErrNXDomain, wantError(t, c, name, typeA).Err, "%s is not in the cache either", name)
		}
	})
}
