package congestion

// None limits nothing: for a link that the stack has to itself, such as a pipe or a point-to-point tunnel, where the
// receiver's window says all there is to say.
type None struct{}

// Name is "none".
func (None) Name() string { return "none" }

// Start opens the window as far as it goes, where it stays.
func (None) Start(w *Window, _ int) { *w = Window{Cwnd: unlimited, Ssthresh: unlimited} }

// Ack does nothing: there is nowhere to grow.
func (None) Ack(*Window, Ack) {}

// Loss leaves nothing to slow down for: who has the link alone has lost by accident, not by congestion.
func (None) Loss(w *Window, _, _ int) { w.Ssthresh = unlimited }

// Recovered takes back what recovery did to the window.
func (None) Recovered(w *Window, _, _ int) { w.Cwnd = unlimited }

// Timeout does nothing, nor does the window shrink for it.
func (None) Timeout(*Window, int, int) {}

// Idle does nothing: the link is as free as it was.
func (None) Idle(*Window, int) {}
