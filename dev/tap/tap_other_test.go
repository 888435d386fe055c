//go:build !linux && !darwin && !windows

package tap_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev/tap"
)

func TestWhereThereIsNoneTheErrorSaysUnsupported(t *testing.T) {
	_, err := tap.Open(tap.Config{Name: "tap0"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
