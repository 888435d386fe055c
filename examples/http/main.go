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
// Without -device it is netns where that is allowed, else pipe.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/smolnet/smolnet/internal/netns"
)

func main() {
	root := flag.String("root", "", "serve the files below this `directory` (default: the module's own tree)")
	device := flag.String("device", "", "`how` to run: netns, pipe, loopback, tap:NAME or tun:NAME "+
		"(default: netns where that is allowed, else pipe)")
	flag.Parse()
	if flag.NArg() > 0 {
		exit(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if (*device == "" || *device == "netns") && !netns.Inside() {
		switch err := netns.Available(); {
		case err == nil:
			// The same again, in a namespace of its own.
			status, err := netns.Run()
			exit(err)
			os.Exit(status)
		case *device == "":
			fmt.Printf("no private network namespace (%v): ", err)
			*device = "pipe"
		default:
			exit(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Stdout, *root, *device))
}

// exit ends the program if there is an error.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "http:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, root, device string) (err error) {
	if root == "" {
		if root, err = moduleRoot(); err != nil {
			return err
		}
	}
	var net *network
	switch kind, name, named := strings.Cut(device, ":"); {
	case device == "" || device == "netns":
		net, err = withKernel()
	case device == "pipe":
		net, err = withPipe()
	case device == "loopback":
		net, err = withLoopback()
	case named && name != "" && (kind == "tap" || kind == "tun"):
		return serve(ctx, out, root, kind, name)
	default:
		err = fmt.Errorf("-device %s: there is netns, pipe, loopback, tap:NAME and tun:NAME", device)
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
