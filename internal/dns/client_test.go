package dns

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

const typeA, typeAAAA = dnsmessage.TypeA, dnsmessage.TypeAAAA

func TestAServerIsAsked(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		answer, err := New(config).Query(t.Context(), "www.Example.", typeA)
		require.NoError(t, err)
		require.Equal(t, []string{"www.Example. 300 A 192.0.2.7"}, lines(answer.Records), "the letters are those that were asked for")
		require.Equal(t, "www.Example.", answer.Name.String())
		require.Equal(t, first, answer.Server)
		require.Equal(t, time.Now().Add(300*time.Second), answer.Expires)
		require.Empty(t, answer.Aliases)
		require.False(t, answer.Cached)
		require.Equal(t, []string{"udp 192.0.2.1 www.example. A"}, f.heard())
	})
}

// What a server may say so that another is asked, and what it is to the caller when all say so.
func TestAServerThatIsOfNoUse(t *testing.T) {
	rows := []struct {
		name      string
		says      script
		err       error
		temporary bool
		timeout   bool
		takes     time.Duration // for a server asked twice
	}{
		{name: "fails", says: func(a *ask) { a.reply(rcode(dnsmessage.RCodeServerFailure)) }, err: ErrServerFailure, temporary: true},
		{name: "refuses", says: func(a *ask) { a.reply(rcode(dnsmessage.RCodeRefused)) }, err: ErrServerMisbehaving},
		{name: "cannot read", says: func(a *ask) { a.reply(rcode(dnsmessage.RCodeFormatError)) }, err: ErrServerMisbehaving},
		{name: "cannot read, not even to repeat", says: func(a *ask) { a.reply(rcode(dnsmessage.RCodeFormatError), noQuestion) },
			err: ErrServerMisbehaving},
		{name: "does not implement", says: func(a *ask) { a.reply(rcode(dnsmessage.RCodeNotImplemented)) }, err: ErrServerMisbehaving},
		{name: "has a bad version", says: func(a *ask) { a.reply(extended(16)) }, err: ErrServerMisbehaving},
		{name: "knows nothing and asks nobody", says: func(a *ask) { a.reply(noRecursion) }, err: ErrLameReferral},
		{name: "refers to others", says: func(a *ask) {
			a.reply(noRecursion, authority("example. 60 NS ns.example."), additional("ns.example. 60 A 192.0.2.53"), optRecord)
		}, err: ErrLameReferral},
		{name: "breaks off", says: func(a *ask) {
			a.reply(answers("www.example. 300 A 192.0.2.7"), func(m *dnsmessage.Message) {
				m.Answers[0].Body = &dnsmessage.UnknownResource{Type: typeA, Data: []byte{1, 2}}
			})
		}, err: ErrMalformed},
		{name: "leads in circles", says: func(a *ask) {
			a.reply(answers("www.example. 300 CNAME b.example.", "b.example. 300 CNAME www.example."))
		}, err: ErrChain},
		{name: "says nothing", err: os.ErrDeadlineExceeded, temporary: true, timeout: true, takes: 10 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, map[netip.AddrPort]script{first: row.says, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
				config.NoEDNS = true
				var failed *Error
				spent := took(func() { failed = wantError(t, New(config), "www.example.", typeA) })
				require.ErrorIs(t, failed, row.err)
				require.Equal(t, first, failed.Server)
				require.Equal(t, "www.example.", failed.Name)
				require.Equal(t, row.temporary, failed.Temporary())
				require.Equal(t, row.timeout, failed.Timeout())
				require.False(t, failed.NotFound())
				require.Len(t, f.heard(), 2, "it is asked twice")
				require.Equal(t, row.takes, spent)

				config.Servers = []netip.AddrPort{first, second}
				answer, err := New(config).Query(t.Context(), "www.example.", typeA)
				require.NoError(t, err)
				require.Equal(t, second, answer.Server)
				require.Equal(t, []string{"udp 192.0.2.1 www.example. A", "udp 192.0.2.2 www.example. A"}, f.heard())
			})
		})
	}
}

// What is certain is not asked of another server.
func TestAServerThatKnowsBetter(t *testing.T) {
	rows := []struct {
		name string
		says script
		err  error
	}{
		{"no such name", func(a *ask) { a.reply(rcode(dnsmessage.RCodeNameError)) }, ErrNXDomain},
		{"no such name, by one who asks nobody", func(a *ask) { a.reply(rcode(dnsmessage.RCodeNameError), noRecursion) }, ErrNXDomain},
		{"no such record", func(a *ask) { a.reply(authority("example. 60 SOA 60")) }, ErrNoData},
		{"no such record, no more to say", func(a *ask) { a.reply() }, ErrNoData},
		{"no such record, by a forwarder with EDNS0", func(a *ask) { a.reply(noRecursion, optRecord) }, ErrNoData},
		{"no such record, by one who has the zone and asks nobody", func(a *ask) {
			a.reply(noRecursion, authority("example. 60 NS ns.example.", "example. 60 SOA 60"), optRecord)
		}, ErrNoData},
		{"a record of another type", func(a *ask) { a.reply(answers("www.example. 300 AAAA 2001:db8::7")) }, ErrNoData},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			test(t, map[netip.AddrPort]script{first: row.says, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
				config.Servers = []netip.AddrPort{first, second}
				failed := wantError(t, New(config), "www.example.", typeA)
				require.Equal(t, row.err, failed.Err)
				require.Equal(t, "no such host", failed.Err.Error())
				require.Equal(t, first, failed.Server)
				require.True(t, failed.NotFound())
				require.False(t, failed.Temporary())
				require.Len(t, f.heard(), 1)
			})
		})
	}
}

func TestAServerThatFailedIsAskedAgain(t *testing.T) {
	recovers := func(a *ask) {
		if a.times == 2 {
			host(a)
		}
	}
	test(t, map[netip.AddrPort]script{first: recovers}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Timeout = 3 * time.Second
		spent := took(func() { wantAnswer(t, New(config), "www.example.", typeA) })
		require.Equal(t, 3*time.Second, spent)
	})
}

func TestServersAreGoneThroughInOrder(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Servers, config.Attempts = []netip.AddrPort{first, second, third}, 2
		failed := wantError(t, New(config), "www.example.", typeA)
		require.Equal(t, third, failed.Server, "the error is the last one's")
		require.Equal(t, []string{
			"udp 192.0.2.1 www.example. A", "udp 192.0.2.2 www.example. A", "udp 2001:db8::3 www.example. A",
			"udp 192.0.2.1 www.example. A", "udp 192.0.2.2 www.example. A", "udp 2001:db8::3 www.example. A",
		}, f.heard())
	})
}

func TestServersTakeTurns(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Servers, config.Rotate = []netip.AddrPort{first, second, third}, true
		c := New(config)
		for _, name := range []string{"a.", "b.", "c.", "d."} {
			wantAnswer(t, c, name, typeA)
		}
		require.Equal(t, []string{"udp 192.0.2.1 a. A", "udp 192.0.2.2 b. A",
			"udp 2001:db8::3 c. A", "udp 192.0.2.1 c. A", "udp 192.0.2.1 d. A"}, f.heard(), "the third is dead")
	})
}

func TestServersAreReplaced(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		c := New(config)
		wantAnswer(t, c, "www.example.", typeA)
		c.SetServers([]netip.AddrPort{first})
		wantAnswer(t, c, "www.example.", typeA)
		require.Equal(t, []string{"udp 192.0.2.1 www.example. A"}, f.heard(), "nothing has changed")

		c.SetServers([]netip.AddrPort{second})
		require.Equal(t, []netip.AddrPort{second}, c.Servers())
		wantAnswer(t, c, "www.example.", typeA)
		require.Equal(t, []string{"udp 192.0.2.2 www.example. A"}, f.heard(), "the new server may know another world")

		c.SetServers(nil)
		failed := wantError(t, c, "www.example.", typeA)
		require.Equal(t, ErrNoServers, failed.Err)
		require.False(t, failed.Server.IsValid())
	})
}

func TestASocketThatFails(t *testing.T) {
	test(t, map[netip.AddrPort]script{second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		broken := &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("connect", os.ErrPermission)}
		config.Dial = func(context.Context, string, netip.AddrPort) (net.Conn, error) { return nil, broken }
		failed := wantError(t, New(config), "www.example.", typeA)
		require.Equal(t, error(broken), failed.Err)
		require.True(t, failed.Temporary(), "as package net has it for sockets")
		require.False(t, failed.Timeout())
	})
}

func TestNamesThatCannotBeAsked(t *testing.T) {
	rows := map[string]string{
		"empty":               "",
		"relative":            "www.example",
		"an empty label":      "www..example.",
		"a label too long":    strings.Repeat("a", 64) + ".example.",
		"altogether too long": strings.Repeat("a.", 130),
	}
	for row, name := range rows {
		t.Run(row, func(t *testing.T) {
			test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
				require.Equal(t, ErrMarshal, wantError(t, New(config), name, typeA).Err)
				require.Empty(t, f.heard())
			})
		})
	}
}

func TestErrorText(t *testing.T) {
	err := &Error{Err: ErrServerFailure, Name: "www.example.", Server: first}
	require.EqualError(t, err, "lookup www.example. on 192.0.2.1:53: server misbehaving")
	err.Server = netip.AddrPort{}
	require.EqualError(t, err, "lookup www.example.: server misbehaving")
	require.ErrorIs(t, err, ErrServerFailure)
}
