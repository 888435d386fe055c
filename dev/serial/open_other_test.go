//go:build !linux

package serial_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/serial"
)

func TestOnlyLinuxHasTerminals(t *testing.T) {
	_, err := serial.Open("COM1", 115200, serial.Config{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
