package registration

// Transaction IDs order the registrations of an address. They are lollipop counters: from 128 on they count up to 255 once,
// and from there on in the circle from 0 to 127, so that a node that has just started is told from one that has counted.
// https://www.rfc-editor.org/rfc/rfc8505.html#section-5.2.1
// https://www.rfc-editor.org/rfc/rfc6550.html#section-7.2

const (
	// firstTID is 256 less the window, as RFC 6550 recommends.
	firstTID = 256 - tidWindow
	// tidWindow is how far apart two of them may be to be compared.
	tidWindow = 16
	// tidCircle is how many there are in the circle, and where the straight part begins.
	tidCircle = 128
)

// nextTID is the one after t.
func nextTID(t uint8) uint8 {
	if t == tidCircle-1 {
		return 0
	}
	return t + 1 // from 255 on to 0
}

// newerTID reports whether a is newer than b. Of two that cannot be compared neither is: what changes least is done then.
func newerTID(a, b uint8) bool {
	switch {
	case a >= tidCircle && b < tidCircle:
		return tidCircle*2+int(b)-int(a) > tidWindow // b is so far on that a has started anew
	case a < tidCircle && b >= tidCircle:
		return tidCircle*2+int(a)-int(b) <= tidWindow
	case a >= tidCircle:
		return a > b && a-b <= tidWindow
	}
	ahead := (a - b) & (tidCircle - 1)
	return ahead != 0 && ahead <= tidWindow
}
