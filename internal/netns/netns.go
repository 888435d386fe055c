// Package netns runs programs and tests in a private user and network namespace: there they are root, with a loopback
// interface and nothing else, may make taps, addresses and routes, and touch nothing of the system's. When the process
// ends all of it is gone.
//
// A process enters by executing itself anew, so that every thread of it is inside. A test says
//
//	func TestPing(t *testing.T) {
//		if !netns.Test(t) {
//			return
//		}
//		// alone in a namespace
//	}
//
// or, for all tests and benchmarks of a package in one namespace,
//
//	func TestMain(m *testing.M) { os.Exit(netns.Main(m)) }
//
// after which Test only skips where there is no namespace to be had. A program calls Run.
//
// Only Linux has this. Elsewhere, and where the system forbids it, Available says why; tests are skipped then, but
// fail if the environment has CI or SMOLNET_REQUIRE_KERNEL set (to anything but 0 or false).
package netns

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// How a process learns that it was started in a namespace: it is told to probe whether one can be had, or to enter;
// once it has entered, it and what it starts are inside.
const (
	stateVariable = "SMOLNET_NETNS"
	stateProbe    = "probe"
	stateEnter    = "enter"
	stateInside   = "inside"
)

// testVariable names the test that the process was started for, which reports its outcome to outcomeFile.
const (
	testVariable = "SMOLNET_NETNS_TEST"
	outcomeFile  = 3

	outcomePassed  = "passed"
	outcomeSkipped = "skipped"
)

// Inside reports whether this process is in a private namespace.
func Inside() bool { return os.Getenv(stateVariable) == stateInside }

// T is what Test needs of *testing.T, *testing.B and *testing.F.
type T interface {
	Helper()
	Name() string
	Context() context.Context
	Cleanup(func())
	Output() io.Writer
	Failed() bool
	Skipped() bool
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Test reports whether the test runs in a private namespace. If not, it has been run in one, by another process of the
// same program, its output has become t's and so has its outcome, and the caller returns at once. Where there is no
// namespace to be had it skips or fails t, as the package says.
//
// The test is found again by its name, so the caller is the test function itself; a benchmark needs Main.
func Test(t T) (inside bool) {
	t.Helper()
	if Inside() {
		reportOutcome(t)
		return true
	}
	if err := Available(); err != nil {
		if required() {
			t.Fatalf("a private network namespace is required here, and cannot be had: %v", err)
		}
		t.Skipf("no private network namespace: %v", err)
	}
	outcome, err := runTest(t)
	switch {
	case err != nil:
		t.Fatalf("%s failed in its namespace: %v", t.Name(), err)
	case outcome == outcomeSkipped:
		t.Skipf("%s was skipped in its namespace", t.Name())
	case outcome != outcomePassed:
		t.Fatalf("%s did not run in its namespace", t.Name())
	}
	return false
}

// Main runs the tests of m in one private namespace and returns the exit status for os.Exit. Where there is no
// namespace to be had it runs them here, and Test says so for those that need one.
func Main(m interface{ Run() int }) int {
	if Inside() || Available() != nil {
		return m.Run()
	}
	status, err := Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// Run executes this program again, with the same arguments and standard files, in a private namespace, and returns its
// exit status. Signals that ask the program to end are passed on.
func Run() (status int, err error) {
	cmd, err := Command(context.Background(), os.Args[1:]...)
	if err != nil {
		return 0, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = runForwarding(cmd)
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
		return 0, fmt.Errorf("running in a private namespace: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// Command returns a command that executes this program with the arguments given in a private namespace of its own, in
// which Inside is true. The process is killed when the thread that starts it ends, so the caller locks itself to its
// thread (runtime.LockOSThread) until the process has ended. The error is Available's.
func Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	return command(ctx, args...)
}

// required reports whether a test may not be skipped for want of a namespace.
func required() bool {
	for _, name := range []string{"CI", "SMOLNET_REQUIRE_KERNEL"} {
		switch strings.ToLower(os.Getenv(name)) {
		case "", "0", "false":
		default:
			return true
		}
	}
	return false
}

// runTest runs t's test, and no other, in another process.
func runTest(t T) (outcome string, err error) {
	cmd, err := Command(t.Context(), testArguments(t)...)
	if err != nil {
		return "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Env = append(cmd.Env, testVariable+"="+t.Name())
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.ExtraFiles = []*os.File{w}
	err = run(cmd)
	w.Close()
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// testArguments are the arguments by which this test binary runs t's test alone. The program's own flags are kept, and
// those of package testing that neither select tests nor name files which this process writes itself.
func testArguments(t T) []string {
	elements := strings.Split(t.Name(), "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	args := []string{"-test.run=" + strings.Join(elements, "/"), "-test.v=true", "-test.count=1", "-test.paniconexit0"}
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			// A little less than what is left, so that the traces shown are those of the process that hangs.
			args = append(args, "-test.timeout="+max(time.Until(deadline)*9/10, time.Second).String())
		}
	}
	flag.Visit(func(f *flag.Flag) {
		switch {
		case f.Name == "test.short", f.Name == "test.gocoverdir", f.Name == "test.parallel",
			!strings.HasPrefix(f.Name, "test."):
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return append(args, flag.Args()...)
}

// reportOutcome tells the process that started this one for t's sake, if it did, how t ended.
func reportOutcome(t T) {
	if os.Getenv(testVariable) != t.Name() {
		return
	}
	os.Unsetenv(testVariable)
	w := os.NewFile(outcomeFile, "outcome")
	t.Cleanup(func() {
		defer w.Close()
		switch {
		case t.Failed():
		case t.Skipped():
			io.WriteString(w, outcomeSkipped)
		default:
			io.WriteString(w, outcomePassed)
		}
	})
}
