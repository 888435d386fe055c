// Command http runs net/http through smolnet and holds every octet to account.
//
//	go run ./examples/http [-root DIR] [-device netns|pipe|loopback|tap:NAME|tun:NAME]
//
// It serves the files below a directory with http.Server and fetches each with http.Client, over IPv4 and IPv6, and
// compares the SHA-256 of what comes with what is on disk. A stack dials the server by name:
//
//   - netns: between a stack and the Linux kernel, each serving in turn, joined by a tap in a private network namespace.
//     Nothing of the host's network is touched, and where the system allows user namespaces it needs no root;
//   - pipe: between two stacks in this process, joined by an in-memory link;
//   - loopback: within one stack, at 127.0.0.1 and ::1;
//   - tap:NAME, tun:NAME: serves on that device until interrupted.
//
// Without -device it is netns where that is allowed, else pipe. The other flags are those of package examples/device; what they say of
// packets is not for loopback, where no device is.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

func main() {
	root := flag.String("root", "", "serve the files below this `directory` (default: the module's own tree)")
	flags := device.Register(flag.CommandLine, "netns", "pipe", "loopback")
	flags.Name = "" // netns where that is allowed, else pipe
	flag.Parse()
	if flag.NArg() > 0 {
		exit(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if (flags.Name == "" || flags.Name == "netns") && !netns.Inside() {
		switch err := netns.Available(); {
		case err == nil:
			// The same again, in a namespace of its own.
			status, err := netns.Run()
			exit(err)
			os.Exit(status)
		case flags.Name == "":
			fmt.Printf("no private network namespace (%v): ", err)
			flags.Name = "pipe"
		default:
			exit(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, device.Lines(os.Stdout), *root, flags))
}

// exit ends the program if there is an error.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "http:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, root string, flags *device.Flags) (err error) {
	if root == "" {
		if root, err = moduleRoot(); err != nil {
			return err
		}
	}
	var net *network
	switch flags.Name {
	case "", "netns":
		net, err = withKernel(flags, out)
	case "pipe":
		net, err = withPipe(flags, out)
	case "loopback":
		net, err = withLoopback()
	default:
		return serve(ctx, out, root, flags)
	}
	if err != nil {
		return err
	}
	defer net.close()
	files, err := readTree(root)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s; %d files below %s\n", net.how, len(files), root)
	return exchangeAll(ctx, out, net, root, files)
}
