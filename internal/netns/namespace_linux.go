package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace beside that of the process, with a loopback interface of its own: for programs that are at
// both ends of something. Its methods may be called by several goroutines at once.
type Namespace struct {
	file *os.File
}

// ownThread is the network namespace of the thread that asks.
const ownThread = "/proc/thread-self/ns/net"

// New makes a namespace. The process must be allowed to, as it is Inside. The namespace lasts until it is closed and nothing that
// was opened in it is left.
func New() (*Namespace, error) {
	n := new(Namespace)
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		var err error
		if n.file, err = os.Open(ownThread); err != nil {
			return err
		}
		return settle()
	})
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	return n, nil
}

// Do calls f in the namespace, and returns its error, or why the namespace cannot be entered. Sockets and devices that f opens are
// of the namespace for good, and so are the processes it starts; goroutines that it starts are not in the namespace.
func (n *Namespace) Do(f func() error) error {
	return elsewhere(func() error { return n.enter() }, f)
}

func (n *Namespace) enter() error {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	// Not by Fd: the namespace may be closed meanwhile.
	failed := conn.Control(func(fd uintptr) { err = unix.Setns(int(fd), unix.CLONE_NEWNET) })
	if failed != nil {
		return failed
	}
	return os.NewSyscallError("setns", err)
}

// Close lets go of the namespace.
func (n *Namespace) Close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// elsewhere calls enter, which changes the thread's namespace, then f, and has the thread return to where it was.
func elsewhere(enter, f func() error) error {
	runtime.LockOSThread()
	file, err := os.Open(ownThread)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	home := &Namespace{file}
	defer func() {
		// A thread that cannot return ends with its goroutine.
		if home.enter() == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	}()
	if err := enter(); err != nil {
		return err
	}
	return f()
}
