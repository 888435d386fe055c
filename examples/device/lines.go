package device

import (
	"io"
	"sync"
)

// Lines returns a writer that several goroutines may use: what each call writes stays together. Examples print with one, since -trace
// does so when packets pass.
func Lines(out io.Writer) io.Writer { return &lines{out: out} }

type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}
