// Command sixlowpan is a node of an IEEE 802.15.4 network.
//
//	go run ./examples/sixlowpan [-device radio|zep:LOCAL,REMOTE|serial:PATH[,BAUD]|rawsock:NAME] [-pan ID] [-channel N]
//	    [-eui64 ADDRESS] [-context ID=PREFIX,...] [-autoconf|-rpl] [-c COUNT] [-i INTERVAL] [-s SIZE] [-W TIMEOUT] [COMMAND [ADDRESS]]
//
// Without a COMMAND it echoes what comes to port 7, by UDP and by TCP, and has an HTTP server tell of itself at port 80, until it is
// interrupted. The commands are for another such node:
//
//	ping ADDRESS    echo requests
//	udp ADDRESS     datagrams that are to be echoed
//	tcp ADDRESS     a stream that is to be echoed
//	get ADDRESS     what its HTTP server tells
//
// and for virtual radios, more than two of which take somebody who hands on what each of them sends:
//
//	dispatch LOCAL  at a host:port, the REMOTE of their devices, until interrupted
//
// Two nodes, in two terminals:
//
//	go run ./examples/sixlowpan -device zep:[::1]:17754,[::1]:17755 -eui64 02:00:00:00:00:00:00:01
//	go run ./examples/sixlowpan -device zep:[::1]:17755,[::1]:17754 -eui64 02:00:00:00:00:00:00:02 ping fe80::1
//
// Without -device there are two in this process, on a radio medium in memory; one serves, and unless there is a COMMAND the other one
// tries all that take an ADDRESS. The other flags are those of package examples/device: -addr and -ack for instance, and -trace.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/dev/zep"
	"github.com/smolnet/smolnet/examples/device"
)

func main() {
	o := register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, device.Lines(os.Stdout), o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sixlowpan:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	*device.Radio
	autoconf bool
	rpl      bool
	count    int
	interval time.Duration
	size     int
	timeout  time.Duration
}

// inMemory is the -device of two nodes in this process.
const inMemory = "radio"

func register(fs *flag.FlagSet) *options {
	o := &options{Radio: device.RegisterRadio(fs, inMemory)}
	fs.BoolVar(&o.autoconf, "autoconf", false, "get addresses and contexts from border routers")
	fs.BoolVar(&o.rpl, "rpl", false, "get an address from a root of RPL, and be reached by RPL; contexts are told with -autoconf only")
	fs.IntVar(&o.count, "c", 4, "ping, udp: send this `many`")
	fs.DurationVar(&o.interval, "i", time.Second, "ping, udp: `time` between two")
	fs.IntVar(&o.size, "s", 56, "`octets` of data; of a stream a hundred times that")
	fs.DurationVar(&o.timeout, "W", 10*time.Second, "`time` to wait for an answer, or for all of a stream")
	return o
}

func run(ctx context.Context, out io.Writer, o *options, args []string) error {
	if o.count < 1 || o.interval < 0 || o.size < 0 || o.timeout <= 0 {
		return errors.New("-c and -W are more than nothing, -i and -s are not negative")
	}
	if o.Name == inMemory && (o.autoconf || o.rpl) {
		return fmt.Errorf("-autoconf and -rpl take a border router, which there is none of on a %s in memory", inMemory)
	}
	if len(args) > 2 {
		return fmt.Errorf("unexpected argument %q", args[2])
	}
	command, address := "", ""
	if len(args) > 0 {
		command = args[0]
	}
	if len(args) > 1 {
		address = args[1]
	}
	switch {
	case command == "dispatch":
		return dispatch(ctx, out, address)
	case command != "" && commands[command] == nil:
		return fmt.Errorf("there is no command %q", command)
	case o.Name == inMemory:
		return show(ctx, out, o, command, address)
	}
	d, err := o.Open(out)
	if err != nil {
		return err
	}
	n, err := newNode(ctx, out, o, d)
	if err != nil {
		return err
	}
	if command == "" {
		err = n.serve(ctx)
	} else {
		err = n.do(ctx, command, address)
	}
	return errors.Join(err, n.stack.Close())
}

// dispatch hands on what virtual radios send, until ctx is done.
func dispatch(ctx context.Context, out io.Writer, local string) error {
	d, err := zep.NewDispatcher(zep.DispatcherConfig{Local: local})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { d.Close() })()
	fmt.Fprintf(out, "dispatching at %v until interrupted\n", d.LocalAddr())
	err = d.Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
