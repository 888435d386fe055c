package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/examples/device"
	"github.com/smolnet/smolnet/internal/netns"
)

// on is what the command line says of the device.
func on(t *testing.T, name string, args ...string) *device.Flags {
	t.Helper()
	fs := flag.NewFlagSet("http", flag.ContinueOnError)
	flags := device.Register(fs, "netns", "pipe", "loopback")
	require.NoError(t, fs.Parse(append([]string{"-device", name}, args...)))
	return flags
}

// makeTree writes a small tree that has what is awkward to serve.
func makeTree(t *testing.T) (root string) {
	root = t.TempDir()
	large := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(large)
	for name, text := range map[string][]byte{
		"empty":                  nil,
		"small":                  []byte("small\n"),
		"large":                  large,
		"index.html":             []byte("<p>is served at / instead</p>"),
		"below/there/is/another": []byte("another\n"),
		"a name%20 & #ü?.txt":    []byte("is escaped in a URL\n"),
		".git/config":            []byte("is left out\n"),
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, text, 0o666))
	}
	return root
}

func TestReadTree(t *testing.T) {
	files, err := readTree(makeTree(t))
	require.NoError(t, err)
	found := map[string]file{}
	for _, f := range files {
		found[f.path] = f
	}
	require.Len(t, found, 6, "all but .git")
	require.Equal(t, file{"small", 6, sha256.Sum256([]byte("small\n"))}, found["small"])

	_, err = readTree(t.TempDir())
	require.ErrorContains(t, err, "there is no file in ")
	_, err = readTree("not there")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestEveryFileArrives(t *testing.T) {
	for name, how := range map[string]string{
		"pipe":     "two stacks, joined by an in-memory link; 6 files",
		"loopback": "one stack, over its own loopback; 6 files",
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), device.Lines(&out), makeTree(t), on(t, name)))
			require.Contains(t, out.String(), how)
			require.Contains(t, out.String(), "every file came with the SHA-256 that it has on disk")
			t.Logf("\n%s", &out)
		})
	}
}

func TestEveryFileArrivesOverABadNetwork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record.pcapng")
	require.NoError(t, run(t.Context(), io.Discard, makeTree(t), on(t, "pipe", "-drop-chance", "0.01", "-seed", "1", "-pcap", file)))
	record, err := os.Stat(file)
	require.NoError(t, err)
	require.Greater(t, record.Size(), int64(2*2*3<<20), "it has all of it, both ways and by both families")
}

func TestEveryFileArrivesAtTheKernelAndBack(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, makeTree(t), on(t, "netns")))
	require.Contains(t, out.String(), "every file came with the SHA-256 that it has on disk")
	t.Logf("\n%s", &out)
}

func TestServesOnADeviceUntilInterrupted(t *testing.T) {
	for kind, add := range map[string]func(string) error{"tap": netns.AddTap, "tun": netns.AddTun} {
		t.Run(kind, func(t *testing.T) {
			if !netns.Test(t) {
				return
			}
			root := makeTree(t)
			require.NoError(t, add("smol0"))
			for _, address := range device.Peer {
				require.NoError(t, netns.AddAddress("smol0", address))
			}
			require.NoError(t, netns.Up("smol0"))

			ctx, interrupt := context.WithCancel(t.Context())
			out, written := io.Pipe()
			served := make(chan error, 1)
			go func() { served <- run(ctx, written, root, on(t, kind+":smol0")) }()
			lines := bufio.NewScanner(out)
			require.True(t, lines.Scan())
			require.Contains(t, lines.Text(), "on "+kind+":smol0 at http://192.168.69.1:80/ and http://[fdaa::1]:80/")
			for _, host := range []string{"192.168.69.1", "[fdaa::1]"} {
				response, err := http.Get("http://" + host + "/small")
				require.NoError(t, err)
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Equal(t, "small\n", string(body))
			}

			go io.Copy(io.Discard, out)
			interrupt()
			require.NoError(t, <-served)
			_, err := net.InterfaceByName("smol0")
			require.NoError(t, err, "the device was there before and stays")
		})
	}
}

func TestWhatDiffersIsAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(name string) error
		want   string
	}{
		"an octet changed": {func(name string) error { return os.WriteFile(name, []byte("smell\n"), 0o666) },
			"small: SHA-256 "},
		"an octet more": {func(name string) error { return os.WriteFile(name, []byte("small\n\n"), 0o666) },
			"small: 7 octets came, there are 6 on disk"},
		"gone": {os.Remove, "small: 404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			root := makeTree(t)
			files, err := readTree(root)
			require.NoError(t, err)
			require.NoError(t, tc.change(filepath.Join(root, "small")))
			n, err := withPipe(new(device.Flags), io.Discard)
			require.NoError(t, err)
			defer n.close()
			err = exchangeAll(t.Context(), io.Discard, n, root, files)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestUnknownDevice(t *testing.T) {
	for _, name := range []string{"token-ring", "tap", "tap:", "pipe:1"} {
		err := run(t.Context(), io.Discard, t.TempDir(), on(t, name))
		require.ErrorContains(t, err, "-device "+name+": there is netns, pipe, loopback, tap:NAME and tun:NAME")
	}
}

func TestStacksDialByName(t *testing.T) {
	n, err := withPipe(new(device.Flags), io.Discard)
	require.NoError(t, err)
	defer n.close()
	stack, peer := n.hosts[0], n.hosts[1]
	for _, address := range peer.addresses {
		require.Equal(t, "peer.test", stack.nameOf(address.Addr()))
		require.Equal(t, "smolnet.test", peer.nameOf(device.Own[0].Addr()))
	}
	require.Equal(t, "localhost", stack.nameOf(loopbackAddresses[1].Addr()))
	require.Equal(t, "127.0.0.1", (&host{}).nameOf(loopbackAddresses[0].Addr()), "the kernel dials numbers")

	l, err := peer.listen("tcp", ":80")
	require.NoError(t, err)
	defer l.Close()
	c, err := stack.dial(t.Context(), "tcp", "peer.test:http")
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
