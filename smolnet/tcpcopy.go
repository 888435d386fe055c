package smolnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/internal/neterr"
)

// copySize is how many octets are moved at a time between the connection and a reader or writer.
const copySize = 64 << 10

// ReadFrom writes what r has until it ends, and returns how many octets that was. Files are read straight into the send
// buffer. io.Copy uses it.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	var n int64
	var err error
	if prompt(r) {
		n, err = c.fillFrom(r)
	} else {
		n, err = c.copyFrom(r)
	}
	if err != nil {
		err = neterr.Op("readfrom", "", c.ep.network.String(), c.LocalAddr(), c.RemoteAddr(), err)
	}
	return n, err
}

// prompt reports whether Reads of r return without waiting for anybody, so that they may be done while others wait for
// their turn to write.
func prompt(r io.Reader) bool {
	if limited, ok := r.(*io.LimitedReader); ok {
		r = limited.R
	}
	file, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

// fillFrom reads straight into the send buffer.
func (c *TCPConn) fillFrom(r io.Reader) (written int64, err error) {
	for err == nil {
		var n int
		n, err = c.fillOnce(r)
		written += int64(n)
	}
	if err == io.EOF {
		err = nil
	}
	return written, err
}

// fillOnce does what one Write would do, with what r has. It returns io.EOF at the end of r.
func (c *TCPConn) fillOnce(r io.Reader) (n int, err error) {
	c.ep.write.enter()
	defer c.ep.write.leave()
	s := c.ep.stack
	var fill storage.Fill
	s.mu.Lock()
	err = c.reserve(&fill, 4*copySize)
	s.unlock()
	if err != nil {
		return 0, c.failure("write", "write", err)
	}
	for err == nil && fill.Room() > 0 {
		n, err = r.Read(fill.Buffer())
		fill.Advance(n)
	}
	n = fill.Len()
	s.mu.Lock()
	c.tcp.Commit(time.Now(), &fill)
	s.release()
	return n, err
}

// copyFrom reads into a buffer and writes that.
func (c *TCPConn) copyFrom(r io.Reader) (written int64, err error) {
	chunk := packet.NewChunk(copySize)
	defer chunk.Release()
	for {
		n, readErr := r.Read(chunk.Data())
		if n > 0 {
			n, err = c.Write(chunk.Data()[:n])
			written += int64(n)
		}
		switch {
		case err != nil:
			return written, err
		case readErr == io.EOF:
			return written, nil
		case readErr != nil:
			return written, readErr
		}
	}
}

// WriteTo writes what is read to w until the peer has finished, and returns how many octets that was. Large packets are
// written from where they are. io.Copy uses it.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.copyTo(w)
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		err = neterr.Op("writeto", "", c.ep.network.String(), c.LocalAddr(), c.RemoteAddr(), err)
	}
	return n, err
}

func (c *TCPConn) copyTo(w io.Writer) (written int64, err error) {
	var (
		packets storage.Queue
		chunk   *packet.Chunk // for what came in pieces too small to be written one by one
		pieces  net.Buffers   // for who takes them all at once
	)
	defer func() {
		packets.Reset()
		if chunk != nil {
			chunk.Release()
		}
	}()
	for {
		if err := c.detach(&packets); err != nil {
			return written, c.failure("read", "read", err)
		}
		for packets.Len() > 0 {
			var n int64
			if to, ok := w.(buffersWriter); ok {
				n, err = writePackets(to, &packets, &pieces)
			} else if first := packets.Peek(); first.Len() >= copySize/4 || packets.Len() == 1 {
				n, err = writePacket(w, packets.Pop())
			} else {
				if chunk == nil {
					chunk = packet.NewChunk(copySize)
				}
				n, err = writeAll(w, chunk.Data()[:packets.Read(chunk.Data())])
			}
			written += n
			if err != nil {
				return written, err
			}
		}
	}
}

// detach waits for packets and moves them to the queue, which is empty.
func (c *TCPConn) detach(into *storage.Queue) error {
	c.ep.read.enter()
	defer c.ep.read.leave()
	for p := c.held.Pop(); p != nil; p = c.held.Pop() {
		into.Push(p)
	}
	_, err := c.receive(4*copySize, true, into)
	return err
}

// writePacket writes the packet's octets and releases it.
func writePacket(w io.Writer, p *packet.Packet) (written int64, err error) {
	defer p.Release()
	for _, piece := range p.Pieces() {
		if len(piece) == 0 {
			continue
		}
		n, err := writeAll(w, piece)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func writeAll(w io.Writer, b []byte) (int64, error) {
	n, err := w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return int64(n), err
}

// buffersWriter is what takes many pieces at once, such as another connection.
type buffersWriter interface {
	WriteBuffers(*net.Buffers) (int64, error)
}

// writePackets writes the octets of all packets and releases them. The list of pieces is kept for the next time.
func writePackets(w buffersWriter, packets *storage.Queue, pieces *net.Buffers) (int64, error) {
	defer packets.Reset()
	*pieces = (*pieces)[:0]
	for p := packets.Peek(); p != nil; p = p.Next {
		for _, piece := range p.Pieces() {
			if len(piece) > 0 {
				*pieces = append(*pieces, piece)
			}
		}
	}
	left := *pieces
	return w.WriteBuffers(&left)
}

// WriteBuffers writes all buffers as one Write would write one, and takes from them what was written, as
// net.Buffers.WriteTo does. (That method itself makes one Write of each buffer, because package net recognises its
// own connections only.)
func (c *TCPConn) WriteBuffers(buffers *net.Buffers) (written int64, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	c.ep.write.enter()
	defer c.ep.write.leave()
	left := 0
	for _, b := range *buffers {
		left += len(b)
	}
	s := c.ep.stack
	var fill storage.Fill
	for left > 0 {
		s.mu.Lock()
		err := c.reserve(&fill, left)
		s.unlock()
		if err != nil {
			return written, c.failure("write", "write", err)
		}
		n := fillBuffers(&fill, buffers)
		s.mu.Lock()
		c.tcp.Commit(time.Now(), &fill)
		s.release()
		written += int64(n)
		left -= n
	}
	consumeEmpty(buffers)
	return written, nil
}

// fillBuffers moves what there is room for from the buffers into the fill.
func fillBuffers(fill *storage.Fill, buffers *net.Buffers) (filled int) {
	for fill.Room() > 0 {
		consumeEmpty(buffers)
		if len(*buffers) == 0 {
			break
		}
		first := &(*buffers)[0]
		n := fill.Write(*first)
		*first = (*first)[n:]
		filled += n
	}
	return filled
}

// consumeEmpty drops the empty buffers at the front.
func consumeEmpty(buffers *net.Buffers) {
	for len(*buffers) > 0 && len((*buffers)[0]) == 0 {
		(*buffers)[0] = nil
		*buffers = (*buffers)[1:]
	}
}
