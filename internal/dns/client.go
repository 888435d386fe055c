// Package dns asks questions of DNS servers, and of the hosts on the link, and keeps the answers.
//
// It knows nothing of stacks: it reaches the network through functions in its Config. Whoever puts a search list, a hosts
// table and package net's errors around it has a resolver.
package dns

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A Client asks. Its methods may be called by any goroutine at any time. It has no goroutine while no question is open. Sockets on
// links it keeps for two minutes after the last question that needed them, and so needs no closing.
type Client struct {
	config Config
	random random

	mu      sync.Mutex // held over no call out
	servers serverList
	cache   cache
	flights map[key]*flight

	link *querier
}

// New returns a Client.
func New(config Config) *Client {
	config = config.withDefaults()
	c := &Client{
		config:  config,
		random:  random{source: config.Rand},
		servers: serverList{rotate: config.Rotate},
		cache:   cache{bound: config.CacheEntries},
		flights: make(map[key]*flight),
	}
	c.link = newQuerier(&c.config, &c.random)
	c.servers.set(config.Servers)
	return c
}

// SetServers replaces the servers that are asked, in order, and forgets what the former ones said. Questions that are under
// way stay with the former ones.
func (c *Client) SetServers(servers []netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.servers.set(servers) {
		c.cache.clear()
		c.flights = make(map[key]*flight)
	}
}

// Servers returns the servers that are asked.
func (c *Client) Servers() []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers.all()
}

// Query asks for the records of one type that a name has, in class IN. The name is absolute: it ends in a dot. It is taken for
// the same in any case of its letters. Aliases are followed, but not when it is they that are asked for (TypeCNAME).
//
// Questions that are the same and are asked at the same time go out once. When the context ends, Query returns at once; the
// question is given up when nobody waits for it any longer.
//
// The error is always an *Error. If it is ErrNXDomain or ErrNoData, the Answer tells the canonical name, the aliases that lead
// to it, and how long that holds.
func (c *Client) Query(ctx context.Context, name string, qtype dnsmessage.Type) (Answer, error) {
	absolute, err := dnsmessage.NewName(name)
	if err != nil || !valid(absolute) {
		return Answer{}, &Error{Err: ErrMarshal, Name: name, Type: qtype}
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, &Error{Err: err, Name: name, Type: qtype}
	}
	result, f := c.join(ctx, absolute, qtype)
	if f != nil {
		select {
		case <-f.done:
			result = f.result
		case <-ctx.Done():
			c.leave(f)
			result = result.failed(ctx.Err())
		}
	}
	if result.err != nil {
		return result.answer.clone(), &Error{
			Err: result.err, Name: name, Type: qtype, Server: result.answer.Server, Cached: result.answer.Cached,
		}
	}
	return result.answer.clone(), nil
}

// join returns what is known, or else the flight to wait for.
func (c *Client) join(ctx context.Context, name dnsmessage.Name, qtype dnsmessage.Type) (result, *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key{fold(name), qtype}
	if known, ok := c.cache.get(k, time.Now()); ok {
		return known, nil
	}
	f, ok := c.flights[k]
	if !ok {
		// The question outlives the caller who happens to be the first to ask it.
		flying, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{key: k, done: make(chan struct{}), cancel: cancel}
		c.flights[k] = f
		go c.fly(flying, f, name, c.servers.order())
	}
	f.waiting++
	return result{}, f
}

// leave takes one of those who wait from the flight, and ends it when it was the last.
func (c *Client) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		c.forget(f)
	}
}

// fly asks the flight's question and tells all who wait for it.
func (c *Client) fly(ctx context.Context, f *flight, name dnsmessage.Name, servers []netip.AddrPort) {
	defer f.cancel()
	f.result = c.resolve(ctx, name, f.key.qtype, servers)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forget(f) && !f.result.answer.ofLink {
		c.cache.put(f.key, f.result, time.Now())
	}
	close(f.done)
}

// forget makes sure that nobody joins the flight any longer. It reports false if that was so already: then it has ended, or
// the servers have changed, and its result is not to be kept.
func (c *Client) forget(f *flight) bool {
	if c.flights[f.key] != f {
		return false
	}
	delete(c.flights, f.key)
	return true
}
