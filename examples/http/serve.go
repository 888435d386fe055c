package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/smolnet/smolnet/core/tcp"
)

// serve serves the tree on a device of the system's until ctx is done.
func serve(ctx context.Context, out io.Writer, root, kind, name string) error {
	device, err := openDevice(kind, name)
	if err != nil {
		return err
	}
	h, err := newHost("smolnet", device, stackAddresses)
	if err != nil {
		return errors.Join(err, device.Close())
	}
	defer h.stack.Close()
	listener, err := h.listen("tcp", ":80")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(root))}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintf(out, "serving %s on %s %s at http://192.168.69.1/ and http://[fdaa::1]/ until interrupted\n", root, kind, name)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	t := trafficSince(tcp.Counters{}, h.stack.Counters().TCP)
	_, err = fmt.Fprintf(out, "\n%d octets sent in %d segments, %d of them again, %d octets received in %d; round trip %v\n",
		t.octetsOut, t.segmentsOut, t.retransmitted, t.octetsIn, t.segmentsIn, t.roundTrip)
	return err
}
