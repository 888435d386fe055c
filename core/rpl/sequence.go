package rpl

// Sequence is a counter that begins in a straight line and then goes round in a circle, like a lollipop, so that one that has
// begun anew is told from one that has gone on.
// https://www.rfc-editor.org/rfc/rfc6550.html#section-7.2
type Sequence uint8

const (
	// sequenceWindow is SEQUENCE_WINDOW: how far apart two counters may be to be compared.
	sequenceWindow = 16
	// firstSequence is where counters begin.
	firstSequence Sequence = 256 - sequenceWindow
	// circle is how many values go round: those below it. The line is made of the others.
	circle = 128
)

// Next is the counter incremented.
func (s Sequence) Next() Sequence {
	if s == circle-1 {
		return 0
	}
	return s + 1 // from the end of the line to the circle, too
}

// Compare is negative if s is older than other, positive if it is newer, and 0 if they are equal. ok is false if they are too far
// apart to be compared.
func (s Sequence) Compare(other Sequence) (order int, ok bool) {
	switch {
	case s >= circle && other < circle:
		// The circle follows soon after the line; from further on, the line is a new beginning.
		if circle*2+int(other)-int(s) <= sequenceWindow {
			return -1, true
		}
		return 1, true
	case s < circle && other >= circle:
		order, ok = other.Compare(s)
		return -order, ok
	}
	order = int(s) - int(other)
	if s < circle { // the short way round
		switch {
		case order > circle/2:
			order -= circle
		case order < -circle/2:
			order += circle
		}
	}
	return order, order >= -sequenceWindow && order <= sequenceWindow
}

// newer reports whether s is certainly newer than other.
func (s Sequence) newer(other Sequence) bool {
	order, ok := s.Compare(other)
	return ok && order > 0
}

// older reports whether s is certainly older than other.
func (s Sequence) older(other Sequence) bool { return other.newer(s) }
