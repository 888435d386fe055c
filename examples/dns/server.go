package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smolnet/smolnet/smolnet"
)

// maxDatagram is how large an answer over UDP may be, in octets, to those who have not asked for more.
const maxDatagram = 512

// serve answers questions about the zone, over UDP and over TCP, until the stack is closed.
func serve(stack *smolnet.Stack) error {
	datagrams, err := stack.ListenPacket("udp", ":53")
	if err != nil {
		return err
	}
	streams, err := stack.Listen("tcp", ":53")
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, maxDatagram)
		for {
			n, from, err := datagrams.ReadFrom(b)
			if err != nil {
				return
			}
			if answer, err := answerTo(b[:n], maxDatagram); err == nil {
				datagrams.WriteTo(answer, from)
			}
		}
	}()
	go func() {
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			go answerStream(c)
		}
	}()
	return nil
}

// answerStream answers one question, before which, as before the answer, stands its length.
func answerStream(c net.Conn) {
	defer c.Close()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	if answer, err := answerTo(b, 1<<16-1); err == nil {
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

// answerTo returns the answer to the question in b. If it is longer than limit, it is one that says so instead.
func answerTo(b []byte, limit int) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(b)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RCode: dnsmessage.RCodeNameError},
		Questions: []dnsmessage.Question{question},
	}
	// An alias leads on to another name, and so at most through the whole zone.
	for name, ends := question.Name, false; !ends; {
		ends = true
		for _, r := range zone {
			if !strings.EqualFold(r.name, name.String()) {
				continue
			}
			m.RCode = dnsmessage.RCodeSuccess
			alias, isAlias := r.body.(*dnsmessage.CNAMEResource)
			if r.kind != question.Type && !isAlias {
				continue
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 300}, Body: r.body,
			})
			if isAlias && question.Type != dnsmessage.TypeCNAME {
				name, ends = alias.CNAME, len(m.Answers) > len(zone)
			}
		}
	}
	answer, err := m.Pack()
	if err == nil && len(answer) > limit {
		m.Truncated, m.Answers = true, nil
		return m.Pack()
	}
	return answer, err
}
