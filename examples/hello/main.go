// Command hello is the program of README.md: net/http through a stack and back, without leaving the process.
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"github.com/smolnet/smolnet/smolnet"
	"github.com/smolnet/smolnet/smolnet/httpclient"
)

func main() {
	stack, err := smolnet.New(smolnet.Config{})
	check(err)
	listener, err := stack.Listen("tcp", "127.0.0.1:80")
	check(err)
	go http.Serve(listener, http.FileServer(http.Dir(".")))
	client := httpclient.New(stack)
	response, err := client.Get("http://127.0.0.1/README.md")
	check(err)
	_, err = io.Copy(os.Stdout, response.Body)
	check(err)
	check(stack.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
