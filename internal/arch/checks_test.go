package arch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChecksCanFail shows each check a file that it must find fault with, and one like it that it must let pass.
func TestChecksCanFail(t *testing.T) {
	const own = `"` + module + "/"
	for _, tc := range []struct {
		name  string
		path  string
		text  string
		check func(*source) []string
		want  []string // how each line found begins; none: the file is good
	}{
		{"wire knows nobody", "core/wire/a.go", "package wire\nimport _ " + own + "core/packet\"",
			checkArrows, []string{"core/wire/a.go:2: core/wire must not import core/packet"}},
		{"tcp knows core's other parts", "core/tcp/a.go", "package tcp\nimport _ " + own + "core/wire\"",
			checkArrows, nil},
		{"tcp does not know core", "core/tcp/a.go", "package tcp\nimport _ " + own + "core\"",
			checkArrows, []string{"core/tcp/a.go:2: core/tcp must not import core,"}},
		{"core does not know the shell", "core/a.go", "package core\nimport (\n_ " + own + "dev\"\n_ " + own + "smolnet\"\n)",
			checkArrows, []string{"core/a.go:4: core must not import smolnet"}},
		{"core knows no particular device", "core/a.go", "package core\nimport _ " + own + "dev/tap\"",
			checkArrows, []string{"core/a.go:2: core must not import dev/tap"}},
		{"the device contract knows packets alone", "dev/a.go", "package dev\nimport _ " + own + "core/wire\"",
			checkArrows, []string{"dev/a.go:2: dev must not import core/wire"}},
		{"a device knows no stack", "dev/tap/a.go", "package tap\nimport _ " + own + "core\"",
			checkArrows, []string{"dev/tap/a.go:2: dev/tap must not import core,"}},
		{"the dialer does not know the shell", "dialer/a.go", "package dialer\nimport _ " + own + "smolnet\"",
			checkArrows, []string{"dialer/a.go:2: dialer must not import smolnet"}},
		{"the shell does not know the examples", "smolnet/a.go", "package smolnet\nimport _ " + own + "examples/http\"",
			checkArrows, []string{"smolnet/a.go:2: smolnet must not import examples/http"}},
		{"the examples know what is common to them", "examples/http/a.go", "package main\nimport _ " + own + "examples/device\"",
			checkArrows, nil},
		{"an example does not know the others", "examples/http/a.go", "package main\nimport _ " + own + "examples/ping\"",
			checkArrows, []string{"examples/http/a.go:2: examples/http must not import examples/ping"}},
		{"a new folder has no arrows", "extra/a.go", "package extra\nimport _ " + own + "core\"",
			checkArrows, []string{"extra/a.go:2: extra must not import core"}},
		{"tests may import what they like", "core/wire/a_test.go", "package wire\nimport _ " + own + "smolnet\"",
			checkArrows, nil},

		{"an allowed dependency", "smolnet/a.go", "package smolnet\nimport _ \"golang.org/x/net/nettest\"",
			checkDependencies, nil},
		{"another dependency", "smolnet/a.go", "package smolnet\n\nimport _ \"github.com/google/gopacket\"",
			checkDependencies, []string{"smolnet/a.go:3: github.com/google/gopacket is not among"}},
		{"a name that only begins like one", "smolnet/a.go", "package smolnet\nimport _ \"golang.org/x/network\"",
			checkDependencies, []string{"smolnet/a.go:2: golang.org/x/network is not among"}},
		{"testify in a test", "core/a_test.go", "package core\nimport _ \"github.com/stretchr/testify/require\"",
			checkDependencies, nil},
		{"testify elsewhere", "core/a.go", "package core\nimport _ \"github.com/stretchr/testify/require\"",
			checkDependencies, []string{"core/a.go:2: github.com/stretchr/testify/require is not among"}},

		{"a goroutine", "core/tcp/a.go", "package tcp\nfunc f() {\n\tgo f()\n}",
			checkConcurrency, []string{"core/tcp/a.go:3: the core starts no goroutine"}},
		{"a goroutine in a test", "core/tcp/a_test.go", "package tcp\nfunc f() { go f() }",
			checkConcurrency, nil},
		{"a goroutine in the shell", "smolnet/a.go", "package smolnet\nfunc f() { go f() }",
			checkConcurrency, nil},
		{"a channel", "core/a.go", "package core\nvar c chan int",
			checkConcurrency, []string{"core/a.go:2: the core waits for nothing"}},
		{"a lock", "core/a.go", "package core\nimport \"sync\"\nvar l sync.Mutex",
			checkConcurrency, []string{"core/a.go:3: the core takes no lock, so it has no use for sync.Mutex"}},
		{"a lock by another name", "core/a.go", "package core\nimport s \"sync\"\nvar l s.RWMutex",
			checkConcurrency, []string{"core/a.go:3: the core takes no lock, so it has no use for sync.RWMutex"}},
		{"the pool of packets", "core/packet/a.go", "package packet\nimport \"sync\"\nvar p sync.Pool",
			checkConcurrency, nil},
		{"a pool elsewhere", "core/udp/a.go", "package udp\nimport \"sync\"\nvar p sync.Pool",
			checkConcurrency, []string{"core/udp/a.go:3: the core takes no lock, so it has no use for sync.Pool"}},
		{"what is built for debugging only", "core/packet/a.go",
			"//go:build packetdebug\n\npackage packet\nimport \"sync\"\nvar l sync.Mutex",
			checkConcurrency, nil},
		{"what is not built for debugging", "core/packet/a.go",
			"//go:build !packetdebug\n\npackage packet\nimport \"sync\"\nvar l sync.Mutex",
			checkConcurrency, []string{"core/packet/a.go:5: the core takes no lock"}},

		{"the clock", "core/a.go", "package core\nimport \"time\"\nvar (\n\ta = time.Now()\n\tb = time.Second\n\tc = time.Since(a)\n)",
			checkClock, []string{"core/a.go:4: the core is told the time, it does not call time.Now",
				"core/a.go:6: the core is told the time, it does not call time.Since"}},
		{"a field that is called like the package", "core/a.go", "package core\nvar time struct{ Now int }\nvar a = time.Now",
			checkClock, nil},
		{"the clock in the shell", "smolnet/a.go", "package smolnet\nimport \"time\"\nvar a = time.Now()",
			checkClock, nil},

		{"addresses", "core/a.go", "package core\nimport _ \"net/netip\"", checkIO, nil},
		{"sockets", "core/a.go", "package core\nimport _ \"net\"",
			checkIO, []string{"core/a.go:2: the core does no I/O, so it has no use for net"}},
		{"files", "core/ip/a.go", "package ip\nimport _ \"os\"",
			checkIO, []string{"core/ip/a.go:2: the core does no I/O, so it has no use for os"}},
		{"system calls", "core/a.go", "package core\nimport _ \"golang.org/x/sys/unix\"",
			checkIO, []string{"core/a.go:2: the core does no I/O, so it has no use for golang.org/x/sys/unix"}},
		{"an import by dot", "core/a.go", "package core\nimport . \"time\"\nvar a = Now()",
			checkIO, []string{"core/a.go:2: the core imports nothing by dot"}},

		{"a nameless file", "core/tcp/conn_utils.go", "package tcp",
			checkNames, []string{`core/tcp/conn_utils.go:1: "utils" in the name`}},
		{"a nameless package", "internal/common/a.go", "package common",
			checkNames, []string{`internal/common/a.go:1: "common" in the name`}},
		{"a nameless test", "core/helper_test.go", "package core",
			checkNames, []string{`core/helper_test.go:1: "helper" in the name`}},
		{"a name that only contains such a word", "core/utility.go", "package core", checkNames, nil},

		{"a file of the greatest length", "core/a.go", "package core" + strings.Repeat("\n", maxLines), checkLength, nil},
		{"a file too long", "core/a.go", "package core" + strings.Repeat("\n", maxLines+1),
			checkLength, []string{"core/a.go:601: 601 lines, where 600 are the most"}},
		{"a long test", "core/a_test.go", "package core" + strings.Repeat("\n", maxLines+1), checkLength, nil},

		{"a function that nobody describes", "smolnet/a.go", "package smolnet\n\nfunc Open() {}\n\n// Close closes.\nfunc Close() {}",
			checkDocs, []string{"smolnet/a.go:3: nothing says what Open is"}},
		{"a method that nobody describes", "core/a.go", "package core\n\n// T is one.\ntype T[V any] struct{}\n\nfunc (*T[V]) Do() {}",
			checkDocs, []string{"core/a.go:6: nothing says what Do is"}},
		{"a type and a variable that nobody describes", "dev/a.go", "package dev\n\ntype T int\n\nvar V int",
			checkDocs, []string{"dev/a.go:3: nothing says what T is", "dev/a.go:5: nothing says what V is"}},
		{"constants that are described together", "core/a.go", "package core\n\n// What there is.\nconst (\n\tA = 1\n\tB = 2\n)",
			checkDocs, nil},
		{"constants of which one is described", "core/a.go", "package core\n\nconst (\n\tA = 1 // the first\n\tB = 2\n)",
			checkDocs, []string{"core/a.go:5: nothing says what B is"}},
		{"what is not exported", "core/a.go", "package core\n\ntype t int\n\nfunc (t) Do() {}\n\nvar v int", checkDocs, nil},
		{"what users never import", "internal/link/a.go", "package link\n\nfunc Open() {}", checkDocs, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := parse(tc.path, []byte(tc.text))
			require.NoError(t, err)
			found := tc.check(s)
			require.Len(t, found, len(tc.want), "found: %q", found)
			for i, want := range tc.want {
				require.True(t, strings.HasPrefix(found[i], want), "found %q, want %q", found[i], want)
			}
		})
	}
}
