package tcpsim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the tables in testdata, once what is asserted of them holds")

// table is what a test has measured, for people to read and to be compared with what was measured before.
type table struct {
	title   []string // lines
	corner  string   // what rows and columns are
	columns []string
	rows    []row
}

type row struct {
	name  string
	cells []string
}

func newTable(title ...string) *table { return &table{title: title} }

// String is the table with its columns aligned.
func (t *table) String() string {
	var b strings.Builder
	for _, line := range t.title {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	write := func(name string, cells []string) {
		fmt.Fprintf(&b, "%-14s", name)
		for _, cell := range cells {
			fmt.Fprintf(&b, " %11s", cell)
		}
		b.WriteByte('\n')
	}
	write(t.corner, t.columns)
	for _, r := range t.rows {
		write(r.name, r.cells)
	}
	return b.String()
}

// golden compares a table with the one in testdata, to the letter: the simulation is exact, and so any difference is one
// in what TCP does. Whoever has meant it runs the tests with -update. Nothing is written of a table whose limits do not
// hold: they are asserted before, here in the code.
func golden(t *testing.T, name string, table *table) {
	t.Helper()
	if t.Failed() {
		t.Logf("%s is not looked at, because its limits do not hold:\n%v", name, table)
		return
	}
	name = filepath.Join("testdata", name)
	got := table.String()
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o777))
		require.NoError(t, os.WriteFile(name, []byte(got), 0o666))
		return
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err, "go test ./internal/tcpsim -run %s -update makes it", t.Name())
	require.Equal(t, string(want), got, "go test ./internal/tcpsim -run %s -update accepts it", t.Name())
}

// measured skips what is too slow for the build.
func measured(t *testing.T) {
	t.Helper()
	if slow {
		t.Skip("too slow for this build")
	}
}

// atLeast and atMost assert a limit; a test goes on, so that it tells of all that do not hold.
func atLeast(t *testing.T, least, got float64, what string, args ...any) {
	t.Helper()
	if got < least {
		t.Errorf("%s: %.4g, not at least %.4g", fmt.Sprintf(what, args...), got, least)
	}
}

func atMost(t *testing.T, most, got float64, what string, args ...any) {
	t.Helper()
	if got > most {
		t.Errorf("%s: %.4g, not at most %.4g", fmt.Sprintf(what, args...), got, most)
	}
}
