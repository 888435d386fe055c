package httpclient_test

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

// A server and a client on one stack's loopback.
func Example() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	l, err := stack.Listen("tcp", ":80")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello")
	}))

	response, err := httpclient.New(stack).Get("http://127.0.0.1/")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(body))
	// Output: hello
}

// A client whose dials have options, and whose transport has another limit than the default.
func ExampleTransport() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	transport := httpclient.Transport(&dialer.Dialer{Stack: stack, Timeout: 3 * time.Second})
	transport.ResponseHeaderTimeout = 10 * time.Second
	client := &http.Client{Transport: transport, Timeout: time.Minute}

	_, err = client.Get("http://127.0.0.1/")
	fmt.Println(err)
	// Output: Get "http://127.0.0.1/": dial tcp 127.0.0.1:80: connect: connection refused
}
