package tcp

// Sequence numbers are compared modulo 2^32: "It is essential to remember that the actual sequence number space is
// finite, though large."
// https://www.rfc-editor.org/rfc/rfc9293.html#section-3.4

func before(a, b uint32) bool { return int32(a-b) < 0 }

func beforeEq(a, b uint32) bool { return int32(a-b) <= 0 }

func latest(a, b uint32) uint32 {
	if before(a, b) {
		return b
	}
	return a
}

// distance is how far b lies ahead of a; negative if it lies behind.
func distance(a, b uint32) int { return int(int32(b - a)) }

func earliest(a, b uint32) uint32 {
	if before(b, a) {
		return b
	}
	return a
}
