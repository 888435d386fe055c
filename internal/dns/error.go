package dns

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Why a question has no answer. Where package net has a text for it, that is the text here, so that a *net.DNSError made of
// it reads the same.
var (
	// ErrNXDomain: there is no such name, or for a name that is asked for on the link: nobody there knows it.
	ErrNXDomain = errors.New("no such host")

	// ErrNoData: the name has no record of that type.
	ErrNoData error = noDataError{}

	// ErrServerFailure: the server failed (SERVFAIL), which may pass.
	ErrServerFailure error = serverFailureError{}

	// ErrServerMisbehaving: the server answered with another error code, REFUSED for one.
	ErrServerMisbehaving = errors.New("server misbehaving")

	// ErrLameReferral: the server knows nothing of the name and will not ask others.
	ErrLameReferral = errors.New("lame referral")

	// ErrMalformed: what the server sent is not a DNS message.
	ErrMalformed = errors.New("cannot unmarshal DNS message")

	// ErrInvalidResponse: what the server sent over TCP is not an answer to the question.
	ErrInvalidResponse = errors.New("invalid DNS response")

	// ErrMarshal: the name cannot be put into a message: it is too long, has an empty or overlong label, or does not end in
	// a dot.
	ErrMarshal = errors.New("cannot marshal DNS message")

	// ErrChain: the name is an alias of an alias and so on, without end or too often.
	ErrChain = errors.New("chain of aliases too long")

	// ErrNoServers: there is no server to ask.
	ErrNoServers = errors.New("no DNS servers")
)

type noDataError struct{}

func (noDataError) Error() string { return "no such host" }

type serverFailureError struct{}

func (serverFailureError) Error() string   { return "server misbehaving" }
func (serverFailureError) Timeout() bool   { return false }
func (serverFailureError) Temporary() bool { return true }

// An Error says which question has no answer, and why. Query returns no other.
type Error struct {
	Err    error // one of this package's errors, the context's, or what Dial, Multicast or a connection returned
	Name   string
	Type   dnsmessage.Type
	Server netip.AddrPort // the server that Err is about; the zero value if about none
	Cached bool           // nobody was asked, it was known already
}

func (e *Error) Error() string {
	text := "lookup " + e.Name
	if e.Server.IsValid() {
		text += " on " + e.Server.String()
	}
	return text + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// NotFound reports whether it is certain that there is nothing to find, as net.DNSError's IsNotFound says.
func (e *Error) NotFound() bool { return e.Err == ErrNXDomain || e.Err == ErrNoData }

// Timeout reports whether an answer did not come in time, as net.DNSError's IsTimeout says.
func (e *Error) Timeout() bool {
	err, ok := e.Err.(interface{ Timeout() bool })
	return ok && err.Timeout()
}

// Temporary reports whether asking again may help, as net.DNSError's IsTemporary says: after SERVFAIL, a timeout, and
// everything that went wrong with a socket.
func (e *Error) Temporary() bool {
	if _, socket := e.Err.(*net.OpError); socket {
		return true
	}
	err, ok := e.Err.(interface{ Temporary() bool })
	return ok && err.Temporary()
}
