package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestREADMEShowsThisProgram(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, program, found := strings.Cut(string(source), "func main() {\n")
	require.True(t, found)
	program, _, found = strings.Cut(program, "}\n\nfunc check")
	require.True(t, found)
	require.Contains(t, string(readme), "```go\n"+strings.ReplaceAll("\n"+program, "\n\t", "\n")[1:]+"```\n")
}

func TestHello(t *testing.T) {
	t.Chdir("../..")
	out, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = out
	main()
	os.Stdout = stdout
	got, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	want, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "the file came through the stack")
}
