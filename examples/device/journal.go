package device

import (
	"fmt"
	"io"
	"time"
)

// Journal prints what happens, and when. Several goroutines may use it.
type Journal struct {
	out   io.Writer
	start time.Time
}

// NewJournal returns a journal whose time begins now. Its Write is out's, as of Lines, for -trace.
func NewJournal(out io.Writer) *Journal { return &Journal{Lines(out), time.Now()} }

// Printf prints a line that begins with the time since the journal's start, in seconds.
func (j *Journal) Printf(format string, values ...any) {
	fmt.Fprintf(j.out, "%8.3f  %s\n", time.Since(j.start).Seconds(), fmt.Sprintf(format, values...))
}

// More prints a line that belongs to the one before.
func (j *Journal) More(format string, values ...any) {
	fmt.Fprintf(j.out, "          %s\n", fmt.Sprintf(format, values...))
}

// Write prints b as it is.
func (j *Journal) Write(b []byte) (int, error) { return j.out.Write(b) }

// Left says how long it is until t, in whole seconds: "for 5s", "no longer", or "for ever" for the zero time.
func Left(t time.Time) string {
	left := time.Until(t)
	switch {
	case t.IsZero():
		return "for ever"
	case left <= 0:
		return "no longer"
	}
	return "for " + left.Round(time.Second).String()
}
