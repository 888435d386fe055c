package netns

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// request is one rtnetlink(7) message that the kernel is to acknowledge.
type request struct {
	kind, flags uint16
	body        bytes.Buffer
}

func newRequest(kind, flags uint16) *request {
	return &request{kind: kind, flags: flags | unix.NLM_F_REQUEST | unix.NLM_F_ACK}
}

// put appends v, a value of fixed size.
func (r *request) put(v any) {
	// It fails only for values without a fixed size, and a bytes.Buffer never.
	if err := binary.Write(&r.body, binary.NativeEndian, v); err != nil {
		panic(err)
	}
	for r.body.Len()%unix.NLMSG_ALIGNTO != 0 {
		r.body.WriteByte(0)
	}
}

// attribute appends a route attribute.
func (r *request) attribute(kind uint16, v any) {
	r.put(unix.RtAttr{Len: uint16(unix.SizeofRtAttr + binary.Size(v)), Type: kind})
	r.put(v)
}

// do sends the request and returns what the kernel says; what is what was tried, for the error.
func (r *request) do(what string) error {
	if _, err := r.ask(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// ask sends the request and returns the body of the message that the kernel answers with, if it is more than an
// acknowledgment.
func (r *request) ask() ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var msg bytes.Buffer
	header := unix.NlMsghdr{Len: uint32(unix.SizeofNlMsghdr + r.body.Len()), Type: r.kind, Flags: r.flags, Seq: 1}
	if err := binary.Write(&msg, binary.NativeEndian, header); err != nil {
		return nil, err
	}
	msg.Write(r.body.Bytes())
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, msg.Bytes(), 0, kernel); err != nil {
		return nil, err
	}

	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return nil, err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return nil, fmt.Errorf("the kernel answered with %d octets", n)
	}
	body := answer[unix.SizeofNlMsghdr:n]
	if binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return body, nil
	}
	// The acknowledgment is an error message with the error 0.
	if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
		return nil, unix.Errno(errno)
	}
	return nil, nil
}
