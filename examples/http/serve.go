package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/examples/device"
)

// serve serves the tree on a device of the system's until ctx is done.
func serve(ctx context.Context, out io.Writer, root string, flags *device.Flags) error {
	d, err := flags.Open(out)
	if err != nil {
		return err
	}
	h, err := newHost("smolnet", flags.Interface(d, device.Own...))
	if err != nil {
		return err
	}
	defer h.stack.Close()
	listener, err := h.listen("tcp", ":80")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(root))}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	var urls []string
	for _, address := range h.addresses {
		urls = append(urls, fmt.Sprintf("http://%v/", netip.AddrPortFrom(address.Addr(), 80)))
	}
	fmt.Fprintf(out, "serving %s on %s at %s until interrupted\n", root, flags.Name, strings.Join(urls, " and "))
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	t := trafficSince(tcp.Counters{}, h.stack.Counters().TCP)
	_, err = fmt.Fprintf(out, "\n%d octets sent in %d segments, %d of them again, %d octets received in %d; round trip %v\n",
		t.octetsOut, t.segmentsOut, t.retransmitted, t.octetsIn, t.segmentsIn, t.roundTrip)
	return err
}
