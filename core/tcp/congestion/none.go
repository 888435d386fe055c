package congestion

// None limits nothing: for a link that the stack has to itself, such as a pipe or a point-to-point tunnel, where the
// receiver's window says all there is to say.
type None struct{}

// Name is "none".
func (None) Name() string { return "none" }

// Start opens the window as far as it goes, where it stays.
func (None) Start(w *Window, _ int) {
	*w = Window{Cwnd: unlimited, Ssthresh: unlimited, Autonomous: true}
}

// Ack does nothing: there is nowhere to grow.
func (None) Ack(*Window, *Ack) {}

// Loss leaves nothing to slow down for: who has the link alone has lost by accident, not by congestion.
func (None) Loss(*Window, Loss) {}

// Recovered does nothing, nor did recovery.
func (None) Recovered(*Window, Loss) {}

// Timeout does nothing: the window does not shrink for it.
func (None) Timeout(*Window, Loss) {}

// Undo does nothing, as there was nothing done.
func (None) Undo(*Window) {}

// Restart does nothing: the link is as free as it was.
func (None) Restart(*Window, int64, int64) {}
