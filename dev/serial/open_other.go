//go:build !linux

package serial

import (
	"errors"
	"fmt"
	"runtime"
)

// Open is for Linux. The error wraps errors.ErrUnsupported; New makes a device of a line that was opened by other means.
func Open(path string, _ int, _ Config) (*Device, error) {
	return nil, fmt.Errorf("serial: opening %s on %s: %w", path, runtime.GOOS, errors.ErrUnsupported)
}
