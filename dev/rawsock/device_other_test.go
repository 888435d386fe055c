//go:build !linux

package rawsock_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/rawsock"
)

func TestOnlyLinuxHasThem(t *testing.T) {
	_, err := rawsock.Open("wpan0", rawsock.Config{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
