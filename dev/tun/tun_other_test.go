//go:build !linux && !darwin && !windows

package tun_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/tun"
)

func TestWhereThereIsNoneTheErrorSaysUnsupported(t *testing.T) {
	_, err := tun.Open(tun.Config{Name: "tun0"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
