package dns

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// capitals makes every letter that is sent a capital.
type capitals struct{}

func (capitals) Read(octets []byte) (int, error) {
	for i := range octets {
		octets[i] = 0xff
	}
	return len(octets), nil
}

func TestTruncatedAnswerIsAskedForOverTCP(t *testing.T) {
	var many []string
	for range 100 {
		many = append(many, "www.example. 300 TXT "+strings.Repeat("x", 200))
	}
	speaks := func(a *ask) {
		if a.network == "udp" {
			a.reply(truncated, answers(many[0]))
			return
		}
		a.reply(answers(many...))
	}
	test(t, map[netip.AddrPort]script{second: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Servers = []netip.AddrPort{second, first}
		spent := took(func() {
			require.Len(t, wantAnswer(t, New(config), "www.example.", dnsmessage.TypeTXT), 100)
		})
		require.Zero(t, spent, "at once")
		require.Equal(t, []string{"udp 192.0.2.2 www.example. TXT", "tcp 192.0.2.2 www.example. TXT"}, f.heard(), "the same server")
	})
}

func TestTruncatedEvenOverTCP(t *testing.T) {
	speaks := func(a *ask) { a.reply(truncated, answers("www.example. 300 A 192.0.2.7")) }
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		require.Equal(t, []string{"www.example. 300 A 192.0.2.7"}, wantAnswer(t, New(config), "www.example.", typeA))
	})
}

func TestWhatIsWrongOverTCP(t *testing.T) {
	rows := []struct {
		name string
		says script // over TCP
		err  error
	}{
		{"another name", func(a *ask) { a.reply(ofOther) }, ErrInvalidResponse},
		{"no message", func(a *ask) { a.send([]byte("hello")) }, ErrInvalidResponse},
		{"nothing", func(a *ask) { a.conn.Close() }, io.EOF},
		{"less than promised", func(a *ask) { _, _ = a.conn.Write([]byte{0, 200, 1, 2}); a.conn.Close() }, io.ErrUnexpectedEOF},
		{"silence", func(a *ask) {}, os.ErrDeadlineExceeded},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			speaks := func(a *ask) {
				if a.network == "udp" {
					a.reply(truncated)
					return
				}
				row.says(a)
			}
			test(t, map[netip.AddrPort]script{first: speaks, second: host}, func(t *testing.T, f *fakeNetwork, config Config) {
				require.ErrorIs(t, wantError(t, New(config), "www.example.", typeA), row.err)
				config.Servers = []netip.AddrPort{first, second}
				require.Len(t, wantAnswer(t, New(config), "www.example.", typeA), 1, "the next server is asked")
			})
		})
	}
}

func ofOther(m *dnsmessage.Message) { m.Questions[0].Name = name("other.example.") }

func TestEDNS(t *testing.T) {
	rows := []struct {
		name   string
		config func(*Config)
		size   int
		sent   bool
	}{
		{"default", func(*Config) {}, 1232, true},
		{"larger", func(c *Config) { c.UDPSize = 4096 }, 4096, true},
		{"no smaller than 512", func(c *Config) { c.UDPSize = 100 }, 512, true},
		{"not wanted", func(c *Config) { c.NoEDNS = true }, 0, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			speaks := func(a *ask) {
				size, sent := a.edns()
				require.Equal(t, row.size, size)
				require.Equal(t, row.sent, sent)
				require.True(t, a.message.RecursionDesired)
				host(a)
			}
			test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
				row.config(&config)
				wantAnswer(t, New(config), "www.example.", typeA)
			})
		})
	}
}

func TestServerWithoutEDNSIsAskedOnceMoreWithoutIt(t *testing.T) {
	rows := map[string][]change{
		"cannot read it":            {rcode(dnsmessage.RCodeFormatError)},
		"cannot read it nor repeat": {rcode(dnsmessage.RCodeFormatError), noQuestion},
		"does not implement it":     {rcode(dnsmessage.RCodeNotImplemented)},
	}
	for row, refusal := range rows {
		t.Run(row, func(t *testing.T) {
			speaks := func(a *ask) {
				if _, edns := a.edns(); edns {
					a.reply(refusal...)
					return
				}
				host(a)
			}
			test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
				wantAnswer(t, New(config), "www.example.", typeA)
				require.Len(t, f.heard(), 2)
			})
		})
	}
}

// Over UDP anybody may send something that looks as if it came from the server.
func TestWhatDoesNotFitIsIgnored(t *testing.T) {
	rows := map[string]func(*ask){
		"noise":             func(a *ask) { a.send([]byte{1, 2, 3}) },
		"nothing":           func(a *ask) { a.send(make([]byte, 12)) },
		"another id":        func(a *ask) { a.reply(forged, func(m *dnsmessage.Message) { m.ID++ }) },
		"a question":        func(a *ask) { a.reply(forged, func(m *dnsmessage.Message) { m.Response = false }) },
		"another operation": func(a *ask) { a.reply(forged, func(m *dnsmessage.Message) { m.OpCode = 5 }) },
		"another name": func(a *ask) {
			a.reply(forged, ofOther)
		},
		"another type":  func(a *ask) { a.reply(forged, func(m *dnsmessage.Message) { m.Questions[0].Type = typeAAAA }) },
		"another class": func(a *ask) { a.reply(forged, func(m *dnsmessage.Message) { m.Questions[0].Class = 3 }) },
		"no question":   func(a *ask) { a.reply(forged, noQuestion) },
		"two questions": func(a *ask) {
			a.reply(forged, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) })
		},
		"another case":                   func(a *ask) { a.reply(forged, smallLetters) },
		"truncated, but in another case": func(a *ask) { a.reply(forged, smallLetters, truncated) },
	}
	for row, forge := range rows {
		t.Run(row, func(t *testing.T) {
			speaks := func(a *ask) {
				for range 100 {
					forge(a)
				}
				time.Sleep(100 * time.Millisecond)
				host(a)
			}
			test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
				config.Rand = capitals{}
				require.Equal(t, []string{"www.example. 300 A 192.0.2.7"}, wantAnswer(t, New(config), "www.example.", typeA))
				require.Equal(t, []string{"udp 192.0.2.1 www.example. A"}, f.heard())
			})
			onlyForge := func(a *ask) {
				if a.network == "udp" {
					forge(a)
				}
			}
			test(t, map[netip.AddrPort]script{first: onlyForge}, func(t *testing.T, f *fakeNetwork, config Config) {
				config.Rand = capitals{}
				require.True(t, wantError(t, New(config), "www.example.", typeA).Timeout(), "nor is it an answer if nothing else comes")
			})
		})
	}
}

func forged(m *dnsmessage.Message) {
	m.Answers = records([]string{"www.example. 300 A 203.0.113.66"})
}

func TestServerThatLosesTheCaseIsAskedOverTCP(t *testing.T) {
	folds := func(a *ask) { a.reply(smallLetters, answers("www.example. 300 A 192.0.2.7")) }
	test(t, map[netip.AddrPort]script{first: folds}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Rand = capitals{}
		spent := took(func() {
			require.Equal(t, []string{"www.example. 300 A 192.0.2.7"}, wantAnswer(t, New(config), "www.example.", typeA))
		})
		require.Equal(t, caseGrace, spent)
		require.Equal(t, []string{"udp 192.0.2.1 www.example. A", "tcp 192.0.2.1 www.example. A"}, f.heard())

		config.KeepCase = true
		wantAnswer(t, New(config), "www.example.", typeA)
		require.Equal(t, []string{"udp 192.0.2.1 www.example. A"}, f.heard(), "unless the letters are sent as they are")
	})
}

func TestEveryQuestionIsDrawnAnew(t *testing.T) {
	speaks := func(a *ask) { a.reply(rcode(dnsmessage.RCodeServerFailure)) }
	test(t, map[netip.AddrPort]script{first: speaks}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Attempts = 100
		wantError(t, New(config), "www.a-rather-long-name.example.", typeA)
		ids, spellings := make(map[uint16]bool), make(map[string]bool)
		for _, message := range f.messages {
			ids[message.ID] = true
			spellings[message.Questions[0].Name.String()] = true
		}
		require.Greater(t, len(ids), 90)
		require.Greater(t, len(spellings), 90)
		require.Equal(t, 100, f.opened, "and from a port of its own")
	})
}

func TestRandomSourceThatFails(t *testing.T) {
	test(t, map[netip.AddrPort]script{first: host}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Rand = strings.NewReader("")
		require.ErrorIs(t, wantError(t, New(config), "www.example.", typeA), io.EOF)
		require.Empty(t, f.heard(), "nothing that could be guessed is sent")
	})
}

// The letters of the question come back in whatever refers to it, and are not what the caller wrote.
func TestCaseThatWasSentIsNotSeen(t *testing.T) {
	echoes := func(a *ask) {
		sent := a.message.Questions[0].Name.String()
		require.Equal(t, "EXAMPLE.ORG.", sent)
		a.reply(answers(sent+" 300 MX mail."+sent, sent+" 300 MX mail.other."))
	}
	test(t, map[netip.AddrPort]script{first: echoes}, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Rand = capitals{}
		require.Equal(t, []string{"example.org. 300 MX mail.example.org.", "example.org. 300 MX mail.other."},
			wantAnswer(t, New(config), "example.org.", dnsmessage.TypeMX))
	})
}

func TestDialIsToldWhenTheAttemptEnds(t *testing.T) {
	test(t, nil, func(t *testing.T, f *fakeNetwork, config Config) {
		config.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		spent := took(func() { require.True(t, wantError(t, New(config), "www.example.", typeA).Timeout()) })
		require.Equal(t, 10*time.Second, spent)
	})
}
