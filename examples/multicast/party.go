package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/smolnet"
)

// party is a stack that is a member of groups.
type party struct {
	journal *device.Journal
	name    string // with a space; empty: there is no other
	stack   *smolnet.Stack
	conn    *smolnet.UDPConn
	groups  []netip.AddrPort

	hearing sync.WaitGroup
}

// join makes a party with an interface, and has it hear. If it cannot, it closes the interface's device.
func join(journal *device.Journal, name string, ifc smolnet.Interface, o *options, groups []netip.Addr) (*party, error) {
	ifc.DuplicateDetection = core.DetectNone // so that nobody has to wait to speak
	stack, link, err := device.NewStack(smolnet.Config{}, ifc)
	if err != nil {
		return nil, err
	}
	p := &party{journal: journal, name: name, stack: stack}
	if err := p.open(link, o, groups); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	p.hearing.Go(p.hear)
	return p, nil
}

// open makes a socket for all groups, of both families.
func (p *party) open(link *smolnet.Link, o *options, groups []netip.Addr) (err error) {
	if p.conn, err = p.stack.ListenUDP("udp", &net.UDPAddr{Port: o.port}); err != nil {
		return err
	}
	ifi := &net.Interface{Index: link.Index()}
	err = errors.Join(
		p.conn.SetMulticastInterface(ifi),
		p.conn.SetMulticastHopLimit(o.ttl),
		p.conn.SetMulticastLoopback(false),                        // who speaks need not hear it
		p.conn.SetMulticastAll(false),                             // only the groups that are joined here
		p.conn.SetControlMessage(smolnet.ControlPacketInfo, true), // which of them it was
	)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := p.member(ifi, group, o.sources); err != nil {
			return err
		}
		p.groups = append(p.groups, netip.AddrPortFrom(group, uint16(o.port)))
	}
	return nil
}

// member joins a group for all sources, or for those of its family, if there are any.
func (p *party) member(ifi *net.Interface, group netip.Addr, sources []netip.Addr) error {
	joined := false
	for _, source := range sources {
		if source.Is4() != group.Is4() {
			continue
		}
		if err := p.conn.JoinSourceSpecificGroup(ifi, ipAddr(group), ipAddr(source)); err != nil {
			return err
		}
		p.journal.Printf("%sjoins %v for %v", p.name, group, source)
		joined = true
	}
	if joined {
		return nil
	}
	if len(sources) > 0 {
		return fmt.Errorf("%v: no -source is of its family", group)
	}
	p.journal.Printf("%sjoins %v", p.name, group)
	return p.conn.JoinGroup(ifi, ipAddr(group))
}

func ipAddr(addr netip.Addr) *net.IPAddr { return &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()} }

// hear prints what comes until the socket is closed.
func (p *party) hear() {
	b, oob := make([]byte, 1<<16), make([]byte, 128)
	for {
		n, oobn, _, from, err := p.conn.ReadMsgUDPAddrPort(b, oob)
		if err != nil {
			return
		}
		var control smolnet.ControlMessage
		if err := control.Parse(oob[:oobn]); err != nil {
			continue
		}
		p.journal.Printf("%shears %v in %v: %q", p.name, from.Addr().Unmap(), control.Dst.Unmap(), b[:n])
	}
}

// say sends a line to all groups.
func (p *party) say(line string) error {
	for _, group := range p.groups {
		p.journal.Printf("%ssays in %v: %q", p.name, group.Addr(), line)
		if _, err := p.conn.WriteToUDPAddrPort([]byte(line), group); err != nil {
			return err
		}
	}
	return nil
}

// close leaves the groups.
func (p *party) close() {
	p.stack.Close()
	p.hearing.Wait()
}
