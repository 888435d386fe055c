//go:build packetdebug

package raw_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/smolnet/smolnet/core/packet"
)

// TestMain looks, in a debug build, for packets that the tests have left in somebody's hands.
func TestMain(m *testing.M) {
	code := m.Run()
	if traces := packet.Live(); len(traces) > 0 && code == 0 {
		fmt.Println(len(traces), "packets were not released; the first was taken here:")
		fmt.Println(traces[0])
		code = 1
	}
	os.Exit(code)
}
