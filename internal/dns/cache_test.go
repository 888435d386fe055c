package dns

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func TestAnswersAreKeptWhileTheyHold(t *testing.T) {
	speaks := func(a *ask) {
		a.reply(answers("www.example. 60 CNAME host.example.", "host.example. 300 A 192.0.2.7"))
	}
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		wantAnswer(t, c, "www.example.", typeA)
		expires := time.Now().Add(time.Minute)
		f.heard()

		time.Sleep(30 * time.Second)
		require.Equal(t, []string{"host.example. 270 A 192.0.2.7"}, wantAnswer(t, c, "www.example.", typeA))

		time.Sleep(29 * time.Second)
		answer, err := c.Query(t.Context(), "WWW.example.", typeA)
		require.NoError(t, err)
		require.True(t, answer.Cached)
		require.Equal(t, first, answer.Server)
		require.Equal(t, expires, answer.Expires)
		require.Equal(t, []string{"www.example. 1 CNAME host.example."}, lines(answer.Aliases))
		require.Equal(t, []string{"host.example. 241 A 192.0.2.7"}, lines(answer.Records))
		require.Empty(t, f.heard())

		time.Sleep(time.Second)
		require.Equal(t, []string{"host.example. 300 A 192.0.2.7"}, wantAnswer(t, c, "www.example.", typeA))
		require.Len(t, f.heard(), 1)
	})
}

// How long something is kept, by what the server says.
func TestHowLongItIsKept(t *testing.T) {
	large := []string{"www.example. 300 A 192.0.2.7"}
	for range maxCachedSize / 16 {
		large = append(large, large[0])
	}
	rows := []struct {
		name   string
		config Config
		says   []change
		kept   time.Duration
	}{
		{name: "an answer", says: []change{answers("www.example. 300 A 192.0.2.7")}, kept: 300 * time.Second},
		{name: "an answer for now", says: []change{answers("www.example. 0 A 192.0.2.7")}},
		{name: "a time that makes no sense",
			says: []change{answers(fmt.Sprintf("www.example. %d A 192.0.2.7", uint32(math.MaxUint32)))}},
		{name: "an answer for long", says: []change{answers("www.example. 1000000 A 192.0.2.7")}, kept: 24 * time.Hour},
		{name: "an answer for too long", says: []change{answers("www.example. 300 A 192.0.2.7")},
			config: Config{MaxTTL: time.Minute}, kept: time.Minute},
		{name: "the record that ends first",
			says: []change{answers("www.example. 300 A 192.0.2.7", "www.example. 200 A 192.0.2.8")}, kept: 200 * time.Second},
		{name: "an answer, in no cache", says: []change{answers("www.example. 300 A 192.0.2.7")}, config: Config{CacheEntries: -1}},
		{name: "an answer too large", says: []change{truncated, answers(large...)}},
		{name: "no such name", says: []change{rcode(dnsmessage.RCodeNameError), authority("example. 300 SOA 60")}, kept: time.Minute},
		{name: "no such name, by the record's own time",
			says: []change{rcode(dnsmessage.RCodeNameError), authority("example. 60 SOA 300")}, kept: time.Minute},
		{name: "no such name, nobody knows for how long", says: []change{rcode(dnsmessage.RCodeNameError)}},
		{name: "no such name, by whom it does not concern",
			says: []change{rcode(dnsmessage.RCodeNameError), authority("other. 60 SOA 60")}},
		{name: "no such name, by half a label",
			says: []change{rcode(dnsmessage.RCodeNameError), authority("ample. 60 SOA 60")}},
		{name: "no such name, by the root",
			says: []change{rcode(dnsmessage.RCodeNameError), authority(". 60 SOA 60")}, kept: time.Minute},
		{name: "no such name, for long",
			says: []change{rcode(dnsmessage.RCodeNameError), authority("example. 86400 SOA 86400")}, kept: time.Hour},
		{name: "no such name, for too long", says: []change{rcode(dnsmessage.RCodeNameError), authority("example. 300 SOA 300")},
			config: Config{MaxNegativeTTL: time.Minute}, kept: time.Minute},
		{name: "no such record", says: []change{authority("example. 300 SOA 60")}, kept: time.Minute},
		{name: "no such record behind an alias", says: []change{
			answers("www.example. 30 CNAME host.example."), authority("example. 300 SOA 60")}, kept: 30 * time.Second},
		{name: "no such name behind an alias", says: []change{rcode(dnsmessage.RCodeNameError),
			answers("www.example. 300 CNAME host.example."), authority("example. 300 SOA 60")}, kept: time.Minute},
		{name: "a failure", says: []change{rcode(dnsmessage.RCodeServerFailure)}, kept: time.Second},
		{name: "a refusal", says: []change{rcode(dnsmessage.RCodeRefused)}, kept: time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			says := func(a *ask) { a.reply(row.says...) }
			test(t, map[netip.AddrPort]script{first: says}, func(t *testing.T, f *fakeNetwork, config Config) {
				row.config.Dial, row.config.Servers = config.Dial, config.Servers
				c := New(row.config)
				former, formerErr := c.Query(t.Context(), "www.example.", typeA)
				f.heard()
				ask := func() []string {
					answer, err := c.Query(t.Context(), "www.example.", typeA)
					require.Equal(t, former.Name, answer.Name)
					require.Equal(t, len(former.Records), len(answer.Records))
					if formerErr != nil {
						require.Equal(t, formerErr.(*Error).Err, err.(*Error).Err)
						require.Equal(t, first, err.(*Error).Server)
					}
					return f.heard()
				}
				if row.kept > 0 {
					time.Sleep(row.kept - time.Nanosecond)
					require.Empty(t, ask(), "it is kept that long")
					time.Sleep(time.Nanosecond)
				}
				require.NotEmpty(t, ask(), "and no longer")
			})
		})
	}
}

func TestSilenceIsNotKept(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		wantError(t, c, "www.example.", typeA)
		f.follow(map[netip.AddrPort]script{first: host})
		wantAnswer(t, c, "www.example.", typeA)
	})
}

func TestNameThatDoesNotExistHasNoRecordOfAnyType(t *testing.T) {
	speaks := func(a *ask) {
		question := a.message.Questions[0]
		if strings.HasPrefix(fold(question.Name), "no.") {
			a.reply(rcode(dnsmessage.RCodeNameError), authority("example. 60 SOA 60"))
			return
		}
		a.reply(authority("example. 60 SOA 60"))
	}
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		require.Equal(t, ErrNXDomain, wantError(t, c, "no.example.", typeA).Err)
		failed := wantError(t, c, "no.example.", typeAAAA)
		require.Equal(t, ErrNXDomain, failed.Err)
		require.True(t, failed.Cached)
		require.Len(t, f.heard(), 1)

		require.Equal(t, ErrNoData, wantError(t, c, "yes.example.", typeA).Err)
		require.Equal(t, ErrNoData, wantError(t, c, "yes.example.", typeAAAA).Err)
		require.Len(t, f.heard(), 2, "one that exists may have others")
	})
}

func TestAliasOfNothingMayHaveRecordsOfItsOwn(t *testing.T) {
	speaks := func(a *ask) {
		a.reply(rcode(dnsmessage.RCodeNameError), answers("www.example. 300 CNAME no.example."), authority("example. 300 SOA 60"))
	}
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		require.Equal(t, ErrNXDomain, wantError(t, c, "www.example.", typeA).Err)
		f.follow(map[netip.AddrPort]script{first: func(a *ask) { a.reply(answers("www.example. 300 CNAME no.example.")) }})
		require.Len(t, wantAnswer(t, c, "www.example.", dnsmessage.TypeCNAME), 1, "it is not the name asked for that does not exist")
	})
}

func TestCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	c := cache{bound: 3}
	of := func(i int) key { return key{fmt.Sprintf("%d.", i), typeA} }
	for i := range 3 {
		c.put(of(i), result{answer: Answer{Expires: now.Add(time.Minute)}}, now)
	}
	_, ok := c.get(of(0), now)
	require.True(t, ok)
	c.put(of(3), result{answer: Answer{Expires: now.Add(time.Minute)}}, now)
	for i, want := range []bool{true, false, true, true} {
		_, ok := c.get(of(i), now)
		require.Equal(t, want, ok, "%d: the one that nobody has used for longest is gone", i)
	}
	c.put(of(2), result{answer: Answer{Expires: now.Add(time.Hour)}}, now)
	require.Len(t, c.entries, 3, "a newer answer takes the place of the older")
	known, ok := c.get(of(2), now.Add(2*time.Minute))
	require.True(t, ok)
	require.Equal(t, now.Add(time.Hour), known.answer.Expires)
	_, ok = c.get(of(3), now.Add(2*time.Minute))
	require.False(t, ok)
	require.Len(t, c.entries, 2, "what has expired is gone")
	c.clear()
	require.Empty(t, c.entries)
	require.Zero(t, c.recent.Len())
}

// The records of a message that a cache may keep take forty times as much memory as the message.
func TestCacheIsBoundedInMemory(t *testing.T) {
	now := time.Unix(0, 0)
	const entries = 100
	c := cache{bound: entries}
	large := make([]dnsmessage.Resource, maxCachedSize/14)
	for i := range large {
		large[i].Body = new(dnsmessage.NSResource)
	}
	put := func(i int, records []dnsmessage.Resource, size int) bool {
		k := key{fmt.Sprintf("%d.", i), dnsmessage.TypeNS}
		c.put(k, result{answer: Answer{Expires: now.Add(time.Minute), Records: slices.Clone(records), size: size}}, now)
		_, ok := c.get(k, now)
		return ok
	}
	for i := range entries {
		require.True(t, put(i, large, maxCachedSize), "there is always room for one")
	}
	octets := len(c.entries) * len(large) * int(unsafe.Sizeof(large[0])+unsafe.Sizeof(dnsmessage.NSResource{}))
	require.LessOrEqual(t, octets, entries*costPerEntry)
	for i := range entries {
		put(i, large[:4], 120)
	}
	require.Len(t, c.entries, entries, "ordinary answers are kept all")
	for i := range entries {
		put(i, nil, 0)
	}
	require.Zero(t, c.cost)
}
