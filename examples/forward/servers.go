package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"golang.org/x/net/dns/dnsmessage"
)

// Ports of the servers, each at both addresses. Nobody is at portNobody.
const (
	portEcho   = 7 // TCP: what has come until its end; UDP: each datagram
	portDNS    = 53
	portHTTP   = 80 // the body of a request is that of the response
	portNobody = 81
)

func at(addr netip.Addr, port uint16) string { return netip.AddrPortFrom(addr, port).String() }

// servers are ordinary ones, of package net.
type servers struct {
	open []io.Closer
}

func startServers() (*servers, error) {
	s := new(servers)
	var err error
	for _, address := range serverAddresses {
		addr := address.Addr()
		err = errors.Join(err,
			s.listen(at(addr, portEcho), func(l net.Listener) { serve(l, echoStream) }),
			s.listen(at(addr, portHTTP), func(l net.Listener) { http.Serve(l, http.HandlerFunc(echoBody)) }),
			s.answer(at(addr, portEcho), func(b []byte) []byte { return b }),
			s.answer(at(addr, portDNS), answerName),
		)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *servers) listen(address string, serve func(net.Listener)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.open = append(s.open, l)
	go serve(l)
	return nil
}

// answer answers every datagram, unless there is no answer.
func (s *servers) answer(address string, to func([]byte) []byte) error {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	s.open = append(s.open, c)
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := to(b[:n]); answer != nil {
				c.WriteTo(answer, from)
			}
		}
	}()
	return nil
}

func (s *servers) close() {
	for _, c := range s.open {
		c.Close()
	}
}

func serve(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go handle(c)
	}
}

func echoStream(c net.Conn) {
	defer c.Close()
	if b, err := io.ReadAll(c); err == nil {
		c.Write(b)
	}
}

func echoBody(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// answerName knows one address for every name, that of the server of the family asked for.
func answerName(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	switch q.Type {
	case dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: serverAddresses[0].Addr().As4()}}}
	case dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: serverAddresses[1].Addr().As16()}}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}
