package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// init makes a process that was started in a namespace at home there, before anything else in the program looks.
func init() {
	state := os.Getenv(stateVariable)
	if state != stateProbe && state != stateEnter {
		return
	}
	if err := settle(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if state == stateProbe {
		os.Exit(0)
	}
	if os.Getenv(testVariable) != "" {
		unix.CloseOnExec(outcomeFile)
	}
	os.Setenv(stateVariable, stateInside)
}

// settle brings the loopback interface up and sees to it that taps can be had.
func settle() error {
	// Without duplicate address detection an IPv6 address is usable at once. The kernel looks at both settings, and
	// /proc/sys may be read-only, as in containers: then the addresses that AddAddress makes are usable at once all
	// the same, and only the link-local ones that the kernel makes have to wait.
	for _, which := range []string{"all", "default"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/accept_dad", []byte("0"), 0)
	}
	if err := Up("lo"); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	return unix.Close(fd)
}

// Available reports why there is no private namespace to be had, with loopback and taps in it; nil: there is, or this
// process is in one.
func Available() error {
	if Inside() {
		return nil
	}
	_, err := mapping()
	return err
}

// mapping finds out, once, which mapping of user ids the system allows.
var mapping = sync.OnceValues(func() (ids idMapping, err error) {
	for _, ids := range candidates() {
		if err = probe(ids); err == nil {
			return ids, nil
		}
	}
	return idMapping{}, err
})

// idMapping says which user and group ids exist in the namespace, and whose they are outside.
type idMapping struct {
	users, groups []syscall.SysProcIDMap
	setgroups     bool
}

// candidates are the mappings to try. As root every id, so that programs which change user, as tcpdump and radvd do,
// can; as anybody else, or with the capability gone, the own ids become root's.
func candidates() []idMapping {
	own := idMapping{
		users:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		groups: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if os.Geteuid() != 0 {
		return []idMapping{own}
	}
	all := idMapping{users: sameIDs("/proc/self/uid_map"), groups: sameIDs("/proc/self/gid_map"), setgroups: true}
	if len(all.users) == 0 || len(all.groups) == 0 {
		return []idMapping{own}
	}
	return []idMapping{all, own}
}

// sameIDs maps every id up to 65535 that exists here, as the file (user_namespaces(7)) says, to itself.
func sameIDs(file string) []syscall.SysProcIDMap {
	const ids = 1 << 16
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var maps []syscall.SysProcIDMap
	for line := range strings.Lines(string(b)) {
		var first, outside, size int
		if _, err := fmt.Sscan(line, &first, &outside, &size); err != nil || first >= ids {
			continue
		}
		maps = append(maps, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: min(size, ids-first)})
	}
	return maps
}

// probe starts this program in a namespace and has it only settle.
func probe(ids idMapping) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd, err := commandWith(ctx, ids, stateProbe)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	err = run(cmd)
	if said.Len() > 0 {
		return errors.New(strings.TrimSpace(said.String()))
	}
	return err
}

func command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	ids, err := mapping()
	if err != nil {
		return nil, err
	}
	return commandWith(ctx, ids, stateEnter, args...)
}

func commandWith(ctx context.Context, ids idMapping, state string, args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), stateVariable+"="+state)
	if os.Getenv("GORACE") == "" {
		// A program with the race detector in it otherwise takes a second to end, and here every test is a program.
		cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings:                ids.users,
		GidMappings:                ids.groups,
		GidMappingsEnableSetgroups: ids.setgroups,
		Pdeathsig:                  syscall.SIGKILL,
	}
	return cmd, nil
}

// run runs cmd, whose parent-death signal is tied to the thread that starts it.
func run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// runForwarding runs cmd and passes signals on to it.
func runForwarding(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	return cmd.Wait()
}
