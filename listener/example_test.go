package listener_test

import (
	"context"
	"fmt"
	"log"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

func ExampleListenConfig() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Close()

	lc := listener.ListenConfig{Stack: stack, Backlog: 128, TCP: tcp.Options{Congestion: "bbr"}}
	l, err := lc.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	fmt.Println(l.Addr())
	// Output: [::]:80
}

// Several listeners share a port: one for each processor, say. Each connection goes to one of them.
func ExampleListenConfig_reusePort() {
	stack, err := smolnet.New(smolnet.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Close()

	lc := listener.ListenConfig{Stack: stack, ReusePort: true}
	for range 2 {
		l, err := lc.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			log.Fatal(err)
		}
		defer l.Close()
		fmt.Println(l.Addr())
	}
	// Output:
	// [::]:80
	// [::]:80
}
