//go:build !linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
)

var errUnsupported = fmt.Errorf("network namespaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Available reports why there is no private namespace to be had: the error wraps errors.ErrUnsupported.
func Available() error { return errUnsupported }

func command(context.Context, ...string) (*exec.Cmd, error) { return nil, errUnsupported }
func run(*exec.Cmd) error                                   { return errUnsupported }
func runForwarding(*exec.Cmd) error                         { return errUnsupported }

// Namespace is for Linux.
type Namespace struct{}

// New is for Linux.
func New() (*Namespace, error) { return nil, errUnsupported }

// Do is for Linux.
func (*Namespace) Do(f func() error) error { return errUnsupported }

// Close is for Linux.
func (*Namespace) Close() error { return errUnsupported }

// Up is for Linux.
func Up(name string) error { return errUnsupported }

// Down is for Linux.
func Down(name string) error { return errUnsupported }

// SetMTU is for Linux.
func SetMTU(name string, mtu int) error { return errUnsupported }

// SetHardwareAddr is for Linux.
func SetHardwareAddr(name string, addr [6]byte) error { return errUnsupported }

// AddAddress is for Linux.
func AddAddress(name string, prefix netip.Prefix) error { return errUnsupported }

// RemoveAddress is for Linux.
func RemoveAddress(name string, prefix netip.Prefix) error { return errUnsupported }

// AddRoute is for Linux.
func AddRoute(destination netip.Prefix, gateway netip.Addr, name string) error { return errUnsupported }

// AddNeighbour is for Linux.
func AddNeighbour(name string, addr netip.Addr, hardware [6]byte) error { return errUnsupported }

// AddTap is for Linux.
func AddTap(name string) error { return errUnsupported }

// AddTun is for Linux.
func AddTun(name string) error { return errUnsupported }

// Delete is for Linux.
func Delete(name string) error { return errUnsupported }
