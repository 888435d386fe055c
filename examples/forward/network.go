package main

import (
	"errors"
	"net/netip"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/tap"
	"github.com/smolnet/smolnet/dev/tun"
	"github.com/smolnet/smolnet/smolnet"
)

// Addresses of the two ends of the device.
var (
	ownAddresses    = prefixes("192.168.69.1/24", "fdaa::1/64")
	clientAddresses = prefixes("192.168.69.100/24", "fdaa::100/64")
)

func prefixes(texts ...string) (parsed []netip.Prefix) {
	for _, text := range texts {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// openDevice opens a tap or a tun, and makes it if there is none of that name.
func openDevice(kind, name string) (dev.Device, error) {
	if kind == "tun" {
		return tun.Open(tun.Config{Name: name, Network: clientAddresses[0]})
	}
	return tap.Open(tap.Config{Name: name})
}

// newStack makes a stack with one interface. If it cannot, it closes the device.
func newStack(device dev.Device) (*smolnet.Stack, *smolnet.Link, error) {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, device.Close())
	}
	link, err := stack.AddInterface(smolnet.Interface{Device: device, Addresses: ownAddresses})
	if err != nil {
		return nil, nil, errors.Join(err, device.Close(), stack.Close())
	}
	return stack, link, nil
}
