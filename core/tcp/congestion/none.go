package congestion

// None limits nothing: for a link that the stack has to itself, such as a pipe or a point-to-point tunnel, where the
// receiver's window says all there is to say.
type None struct{}

func (None) Name() string { return "none" }

func (None) Start(w *Window, _ int) { *w = Window{Cwnd: unlimited, Ssthresh: unlimited} }

func (None) Ack(*Window, Ack) {}

func (None) Loss(w *Window, _, _ int) { w.Ssthresh = unlimited }

func (None) Recovered(w *Window, _, _ int) { w.Cwnd = unlimited }

func (None) Timeout(*Window, int, int) {}

func (None) Idle(*Window, int) {}
