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
	seed(answers("www.example. 120 NSEC c00c000140"))
	f.Fuzz(func(t *testing.T, input []byte) {
		octets := slices.Clone(input)
		multicast, ok := asked.readMulticast(octets)
		if ok {
			checkResponse(t, asked, multicast)
		}
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
