package smolnet_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/pipe"
)

// How to test a program in virtual time: all of it, with both stacks, inside a bubble. While everybody waits, time passes at once.
func TestHourInVirtualTime(t *testing.T) {
	const delay = 30 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		here, there := pipe.New(pipe.Config{Delay: delay})
		client, server := stackOn(here, "192.168.69.1/24"), stackOn(there, "192.168.69.100/24")
		defer client.Close() // before the bubble ends, so that no goroutine is left in it
		defer server.Close()

		l, err := server.Listen("tcp", ":80")
		require.NoError(t, err)
		go (&http.Server{ReadHeaderTimeout: time.Hour}).Serve(l)

		conn, err := client.Dial("tcp", "192.168.69.100:80")
		require.NoError(t, err)
		began := time.Now()
		_, err = conn.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "the server has waited long enough")
		require.Equal(t, time.Hour+2*delay, time.Since(began), "from when it has heard of the connection to when we hear of its end")
	})
}
