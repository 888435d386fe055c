package fault

import "net"

// wait is one of the inner device's waits. It runs in a goroutine of its own, so that the wrapper's waits can wait for it
// and for something else, and goes on when they have returned for another reason. It is guarded by the device's mutex.
type wait struct {
	call    func() error
	running bool
	ended   bool  // since somebody last looked
	err     error // what it ended with
}

// start runs the wait unless it is running, and has changed signalled when it ends. The mutex is held.
func (d *Device) start(w *wait, changed ...chan struct{}) {
	if w.running || w.ended {
		return
	}
	w.running = true
	go func() {
		err := w.call()
		d.mu.Lock()
		defer d.mu.Unlock()
		w.running, w.ended, w.err = false, true, err
		for _, c := range changed {
			signal(c)
		}
	}()
}

// WaitReceive waits until Receive has something, or PollAt has changed: because the inner device's has, because a frame
// was put on its way out before all others, or because the inner device has room again for frames that are due.
func (d *Device) WaitReceive() error {
	for {
		ready, err := d.mayReceive()
		if ready || err != nil {
			return err
		}
		select {
		case <-d.readable:
		case <-d.done:
		}
	}
}

func (d *Device) mayReceive() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return false, net.ErrClosed
	case d.receiving.ended:
		d.receiving.ended = false
		return true, d.receiving.err
	case d.moved || d.in.held.due(d.now):
		d.moved = false
		return true, nil
	}
	if !d.stalled {
		d.start(&d.receiving, d.readable)
	}
	if d.stuck() {
		if d.roomy.ended {
			d.roomy.ended, d.full = false, false
			signal(d.writable)
			return true, nil // to have Receive send what is due
		}
		d.start(&d.roomy, d.readable, d.writable)
	}
	return false, nil
}

// WaitSend waits until the inner device, or this one, has room again.
func (d *Device) WaitSend() error {
	for {
		ready, err := d.maySend()
		if ready || err != nil {
			return err
		}
		select {
		case <-d.writable:
		case <-d.done:
		}
	}
}

func (d *Device) maySend() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, net.ErrClosed
	}
	if d.full && d.roomy.ended {
		d.roomy.ended, d.full = false, false
		signal(d.readable)
		if d.roomy.err != nil {
			return false, d.roomy.err
		}
	}
	switch {
	case d.stuck(), d.full && d.out.straight():
		d.start(&d.roomy, d.writable, d.readable)
	case d.pending(), !d.out.held.full():
		return true, nil
	}
	return false, nil
}

// signal wakes who waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
