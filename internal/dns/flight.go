package dns

import (
	"context"

	"golang.org/x/net/dns/dnsmessage"
)

// A key is what makes questions the same.
type key struct {
	name  string // absolute, without capital letters
	qtype dnsmessage.Type
}

// A flight is a question under way, with those who wait for its result.
type flight struct {
	key     key
	waiting int
	cancel  context.CancelFunc
	done    chan struct{} // closed when result is there
	result  result
}

// A result is what became of a question: an answer, or the reason why there is none, and then what the answer says of
// name and server.
type result struct {
	answer Answer
	err    error // nil, or one of those that Error has
}

func (r result) failed(err error) result {
	r.err = err
	return r
}
