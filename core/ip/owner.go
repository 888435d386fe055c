package ip

// Owner is told what happened to an endpoint. It is called while the stack works, so it only takes note: it must not
// call back into the stack.
type Owner interface {
	Notify(events Event)
}

// Event says what happened to an endpoint; several may come at once.
type Event uint8

const (
	Connected Event = 1 << iota // the handshake is complete
	Readable                    // there is something to receive, be it the end of the stream or an error
	Writable                    // there is room to send again, or an error
	Accepted                    // a listener has a connection to accept
	Failed                      // the endpoint has an error that ends it
	Closed                      // the endpoint is gone: nothing of it remains in the stack
)
