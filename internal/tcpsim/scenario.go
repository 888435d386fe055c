package tcpsim

import (
	"errors"
	"fmt"
	"time"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev/fault"
)

// Scenario is a network and the flows in it.
type Scenario struct {
	Config
	Flows []FlowConfig

	// Limit is how much virtual time the flows have. Default: a day.
	Limit time.Duration
}

// Result is what came of a scenario.
type Result struct {
	Took   time.Duration // until the last flow was done
	Frames int           // sent by all stacks
	Trace  uint64        // see Network.Trace
	Flows  []FlowResult
	TCP    []tcp.Counters // each stack's
	Faults []LinkFaults   // each link's
}

// FlowResult is what came of a flow.
type FlowResult struct {
	Took   [2]time.Duration // from the dialling until each end's user had read everything
	Info   [2]tcp.Info      // when both were done
	ISN    [2]uint32        // initial sequence numbers
	Octets [2]int           // sent by each end
	Resets int              // segments with RST sent
}

// LinkFaults are what a link has done.
type LinkFaults struct{ AtoB, BtoA fault.Counters }

// Goodput is the rate, in octets a second, at which what one end has sent has reached the other's user.
func (r *FlowResult) Goodput(from int) float64 {
	return float64(r.Octets[from]) / r.Took[1-from].Seconds()
}

// Run runs a scenario until all its flows are done and nothing is left of them. The error says what must not have
// happened, whether or not anything else did.
func Run(s Scenario) (*Result, error) {
	n, err := New(s.Config)
	if err != nil {
		return nil, err
	}
	for _, cfg := range s.Flows {
		if _, err := n.Add(cfg); err != nil {
			return nil, errors.Join(err, n.Abandon())
		}
	}
	if s.Limit == 0 {
		s.Limit = 24 * time.Hour
	}
	if err := n.Run(s.Limit, n.done); err != nil {
		return nil, errors.Join(err, n.Abandon())
	}
	if !n.done() {
		return nil, errors.Join(n.unfinished(), n.Abandon())
	}
	r := n.result()
	if err := n.Close(); err != nil {
		return nil, err
	}
	r.Trace, r.Frames = n.trace, n.frames
	return r, nil
}

func (n *Network) done() bool {
	for _, f := range n.flows {
		if !f.Done() {
			return false
		}
	}
	return true
}

// unfinished says how far the flows have come that are not done.
func (n *Network) unfinished() error {
	var errs []error
	for _, f := range n.flows {
		for _, e := range f.ends {
			if !e.finished {
				err := fmt.Errorf("tcpsim: %v: after %v, %d octets are written and %d read", e, n.Elapsed(), e.wrote, e.read)
				if e.conn != nil {
					err = fmt.Errorf("%w: %+v", err, e.conn.Info())
				}
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (n *Network) result() *Result {
	r := &Result{Took: n.Elapsed()}
	for _, f := range n.flows {
		result := FlowResult{Octets: f.config.Octets, Resets: f.resets}
		for side, e := range f.ends {
			result.Took[side] = f.Took(side)
			result.Info[side] = e.conn.Info()
			result.ISN[side] = e.isn
		}
		r.Flows = append(r.Flows, result)
	}
	for _, s := range n.stacks {
		r.TCP = append(r.TCP, s.TCP().Counters())
	}
	for i := range n.links {
		a, b := n.Faults(i)
		r.Faults = append(r.Faults, LinkFaults{a, b})
	}
	return r
}

// Accepts reports whether the stack has a congestion control of that name.
func Accepts(congestion string) bool {
	_, err := core.New(epoch, core.Config{TCP: tcp.Config{Options: tcp.Options{Congestion: congestion}}})
	return err == nil
}
