package device_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
)

func TestJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		j := device.NewJournal(&out)
		j.Printf("it begins with %d", 1)
		time.Sleep(12*time.Second + 34*time.Millisecond)
		j.Printf("and goes on")
		j.More("with more to say")
		fmt.Fprintln(j, "a trace")
		require.Equal(t, `   0.000  it begins with 1
  12.034  and goes on
          with more to say
a trace
`, out.String())
	})
}

func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		require.Equal(t, "for ever", device.Left(time.Time{}))
		require.Equal(t, "no longer", device.Left(now))
		require.Equal(t, "no longer", device.Left(now.Add(-time.Hour)))
		require.Equal(t, "for 1m30s", device.Left(now.Add(90*time.Second+time.Millisecond)))
	})
}
