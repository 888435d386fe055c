package dns

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// Whatever a server sends, what is taken from it is about the name that was asked for, and bounded.
func FuzzAnswer(f *testing.F) {
	asked, err := newQuery(name("www.example."), name("wWw.eXample."), typeA, 0x1234, true, 1232)
	require.NoError(f, err)
	seed := func(changes ...change) {
		message := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: asked.id, Response: true, RecursionAvailable: true},
			Questions: []dnsmessage.Question{{Name: asked.sent, Type: typeA, Class: dnsmessage.ClassINET}},
		}
		for _, change := range changes {
			change(&message)
		}
		octets, err := message.Pack()
		require.NoError(f, err)
		f.Add(octets)
	}
	seed()
	seed(noQuestion, rcode(dnsmessage.RCodeFormatError))
	seed(answers("wWw.eXample. 300 CNAME host.eXample.", "host.example. 300 A 192.0.2.7"), optRecord)
	seed(answers("www.example. 300 CNAME www.example."))
	seed(rcode(dnsmessage.RCodeNameError), authority("example. 300 SOA 60"), extended(16))
	seed(noRecursion, authority("example. 60 NS ns.example."), additional("ns.example. 60 A 192.0.2.53"))
	seed(smallLetters, truncated)
	f.Fuzz(func(t *testing.T, input []byte) {
		octets := slices.Clone(input)
		size := len(octets)
		parser, header, fit := asked.fits(octets)
		if fit == foreign {
			return
		}
		r, err := asked.readSized(parser, header, size)
		if err != nil {
			return
		}
		checkResponse(t, asked, r)
		c := cache{bound: 1}
		c.put(key{"www.example.", typeA}, result{answer: Answer{
			Name: r.name, Aliases: r.aliases, Records: r.records, size: r.size,
			Expires: time.Unix(0, 0).Add(time.Duration(r.ttl) * time.Second),
		}}, time.Unix(0, 0))
		_, kept := c.get(key{"www.example.", typeA}, time.Unix(0, 0))
		require.Equal(t, r.ttl > 0 && size <= maxCachedSize, kept)
	})
}

func checkResponse(t *testing.T, asked *query, r response) {
	at := asked.name
	require.LessOrEqual(t, len(r.aliases), maxAliases)
	for _, alias := range r.aliases {
		require.Equal(t, at, alias.Header.Name)
		at = alias.Body.(*dnsmessage.CNAMEResource).CNAME
		require.LessOrEqual(t, r.ttl, alias.Header.TTL)
	}
	require.Equal(t, at, r.name)
	require.LessOrEqual(t, len(r.records), r.size/11, "a record has that many octets at least")
	for _, record := range r.records {
		require.Equal(t, at, record.Header.Name)
		require.Equal(t, asked.qtype, record.Header.Type)
		require.LessOrEqual(t, r.ttl, record.Header.TTL)
	}
}

// Whatever hosts on the link send, what is taken from it is about the name that was asked for, and bounded. It can be told to
// others.
func FuzzLink(f *testing.F) {
	asked, err := newQuery(name("www.local."), name("www.local."), typeA, 0, false, 0)
	require.NoError(f, err)
	seed := func(changes ...change) {
		message := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
		for _, change := range changes {
			change(&message)
		}
		octets, err := message.Pack()
		require.NoError(f, err)
		f.Add(octets)
	}
	seed(answers("www.local. 120 A 192.0.2.9"), alone)
	seed(answers("www.local. 120 CNAME host.local."), additional("host.local. 120 A 192.0.2.9"))
	seed(answers("www.local. 120 CNAME www.local."))
	seed(answers("www.local. 0 A 192.0.2.9", "www.local. 120 NSEC c00c000140"))
	seed(func(m *dnsmessage.Message) {
		m.Header = dnsmessage.Header{Truncated: true}
		m.Questions = []dnsmessage.Question{{Name: asked.name, Type: typeA, Class: dnsmessage.ClassINET | classFlag}}
	})
	f.Fuzz(func(t *testing.T, octets []byte) {
		m, ok := readLink(octets)
		if !ok {
			return
		}
		require.LessOrEqual(t, len(m.records), len(octets)/11, "a record has that many octets at least")
		now := time.Unix(0, 0)
		c := linkCache{bound: 3}
		for range 2 {
			c.hear("tap0", m.records, now, 0)
			c.expire(now)
			require.True(t, c.count <= 3 || len(c.sets) == 1)
		}
		if f, ok := c.answer("tap0", asked.name, typeA, now); ok {
			checkResponse(t, asked, f.response)
		}
		_, err := linkQuestion(asked.name, typeA, false, c.known(linkKey{"tap0", key{"www.local.", typeA}}, now))
		require.NoError(t, err)
		c.expire(now.Add(1 << 62))
		require.Zero(t, c.count)
		require.Zero(t, c.cost)
		require.Empty(t, c.sets)
	})
}
