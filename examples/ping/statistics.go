package main

import (
	"fmt"
	"io"
	"math"
	"time"
)

// statistics are what ping prints at the end.
type statistics struct {
	received, errors, duplicates int
	seen                         map[uint16]bool
	least, most                  time.Duration
	sum, squares                 float64 // of the round-trip times, in milliseconds
	timed                        int     // how many those are
}

// add takes note of a reply and its round-trip time, negative if that is not known. It reports false for one that came before.
func (s *statistics) add(seq uint16, rtt time.Duration) bool {
	if s.seen[seq] {
		s.duplicates++
		return false
	}
	if s.seen == nil {
		s.seen = make(map[uint16]bool)
	}
	s.seen[seq] = true
	delete(s.seen, seq-1<<15) // half the sequence numbers later, it is another's
	s.received++
	if rtt < 0 {
		return true
	}
	if s.timed == 0 || rtt < s.least {
		s.least = rtt
	}
	s.most = max(s.most, rtt)
	s.timed++
	s.sum += milliseconds(rtt)
	s.squares += milliseconds(rtt) * milliseconds(rtt)
	return true
}

func (s *statistics) print(out io.Writer, name string, sent int, took time.Duration) {
	fmt.Fprintf(out, "\n--- %s ping statistics ---\n%d packets transmitted, %d received", name, sent, s.received)
	if s.duplicates > 0 {
		fmt.Fprintf(out, ", +%d duplicates", s.duplicates)
	}
	if s.errors > 0 {
		fmt.Fprintf(out, ", +%d errors", s.errors)
	}
	lost := 0.0
	if sent > 0 {
		lost = 100 * float64(sent-s.received) / float64(sent)
	}
	fmt.Fprintf(out, ", %.4g%% packet loss, time %dms\n", lost, took.Milliseconds())
	if s.timed > 0 {
		mean := s.sum / float64(s.timed)
		deviation := math.Sqrt(max(0, s.squares/float64(s.timed)-mean*mean))
		fmt.Fprintf(out, "rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n",
			milliseconds(s.least), mean, milliseconds(s.most), deviation)
	}
	fmt.Fprintln(out)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
