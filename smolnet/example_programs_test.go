package smolnet_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// Deadlines are package net's: they end calls under way, and a later one makes the connection usable again.
func Example_deadlines() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	l, err := stack.Listen("tcp", "127.0.0.1:7")
	check(err)
	conn, err := stack.Dial("tcp", l.Addr().String())
	check(err)

	check(conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(err.(net.Error).Timeout(), errors.Is(err, os.ErrDeadlineExceeded))

	check(conn.SetReadDeadline(time.Time{}))
	accepted, err := l.Accept()
	check(err)
	_, err = io.WriteString(accepted, "x")
	check(err)
	n, err := conn.Read(make([]byte, 1))
	fmt.Println(n, err)
	// Output:
	// true true
	// 1 <nil>
}

// TLS goes around any connection. (tls.Dialer cannot be used: it wants a *net.Dialer.)
func Example_tls() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	l, err := stack.Listen("tcp", "127.0.0.1:443")
	check(err)
	server := httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}} // it has a certificate for example.com
	server.StartTLS()
	defer server.Close()

	conn, err := stack.Dial("tcp", "127.0.0.1:https")
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	secure := tls.Client(conn, &tls.Config{ServerName: "example.com", RootCAs: roots})
	defer secure.Close()
	_, err = io.WriteString(secure, "GET / HTTP/1.0\r\n\r\n")
	check(err)
	status, err := bufio.NewReader(secure).ReadString('\n')
	fmt.Printf("%s: %q %v\n", tls.VersionName(secure.ConnectionState().Version), status, err)
	// Output: TLS 1.3: "HTTP/1.0 404 Not Found\r\n" <nil>
}

// A server of net/http lets its clients finish before it ends.
func Example_shutdown() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	l, err := stack.Listen("tcp", "127.0.0.1:80")
	check(err)
	begun := make(chan bool)
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		fmt.Fprint(w, "done")
	})}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()

	conn, err := stack.Dial("tcp", "127.0.0.1:80")
	check(err)
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	check(err)
	<-begun
	fmt.Println(server.Shutdown(context.Background()))
	fmt.Println(<-served)
	all, err := io.ReadAll(conn)
	check(err)
	fmt.Println(string(all[len(all)-4:]))
	// Output:
	// <nil>
	// http: Server closed
	// done
}

// What is said first travels with the SYN, once the server has granted a cookie: that takes a round trip less.
func ExampleStack_DialFastOpen() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	lc := listener.ListenConfig{Stack: stack, TCP: tcp.Options{FastOpen: true}}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:7")
	check(err)
	for range 2 {
		conn, err := stack.DialFastOpen(context.Background(), "tcp", "127.0.0.1:7", []byte("hello"))
		check(err)
		accepted, err := l.Accept()
		check(err)
		b := make([]byte, 5)
		_, err = io.ReadFull(accepted, b)
		check(err)
		info, err := conn.(*smolnet.TCPConn).Info()
		check(err)
		fmt.Println(string(b), info.FastOpen)
	}
	// Output:
	// hello false
	// hello true
}

// The interfaces of a stack, as package net describes interfaces.
func ExampleStack_Interfaces() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	defer stack.Close()
	interfaces, err := stack.Interfaces()
	check(err)
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		fmt.Println(i.Index, i.Flags, addrs, err)
	}
	// Output: 1 up|loopback|running [127.0.0.1/8 ::1/128] <nil>
}
