package smolnet

import (
	"context"
	"net"
	"net/netip"
)

// settle waits for as long as addresses of addr's family that the stack was configured with are being looked for on their links: to
// who dials or binds to an address in a program's first second, the interface is not there yet, rather than broken. Nothing is
// waited for where it makes no difference. The error is the context's, or net.ErrClosed.
//
// The mutex is held, but for while it waits.
func (s *Stack) settle(ctx context.Context, addr netip.Addr) error {
	if !addr.IsValid() || addr.IsUnspecified() || s.core.Local(0, addr.Unmap().WithZone("")) {
		return nil
	}
	for !s.closed && s.core.Settling(addr.Is6() && !addr.Is4In6()) {
		if s.settling == nil {
			s.settling = make(chan struct{})
		}
		settling := s.settling
		s.unlock()
		var err error
		select {
		case <-settling:
		case <-ctx.Done():
			err = ctx.Err()
		case <-s.ctx.Done():
			err = net.ErrClosed
		}
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}
