//go:build !linux && !darwin && !windows

package tuntap

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/songgao/water"

	"github.com/smolnet/smolnet/dev"
)

// open says that water has nothing for this system.
func open(dev.Medium, Config) (*water.Interface, error) {
	return nil, fmt.Errorf("taps and tuns on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
