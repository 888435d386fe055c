package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connections = 8               // keep-alive connections that fetch side by side
	patience    = 2 * time.Minute // for one request, the body included
)

// fetcher fetches files from a server and compares them with what is on disk.
type fetcher struct {
	client  *http.Client
	host    string // and port
	fetched atomic.Int64
}

// fetchAll fetches every file once, and stops at the first that fails or differs.
func (f *fetcher) fetchAll(ctx context.Context, files []file) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := f.fetch(ctx, files[i]); err != nil {
					fail(fmt.Errorf("%s: %w", files[i].path, err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (f *fetcher) fetch(ctx context.Context, want file) error {
	target := url.URL{Scheme: "http", Host: f.host, Path: "/" + want.path}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	size, digest, err := readAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return errors.New(response.Status)
	case size != want.size:
		return fmt.Errorf("%d octets came, there are %d on disk", size, want.size)
	case digest != want.digest:
		return fmt.Errorf("SHA-256 %x came, it is %x on disk", digest, want.digest)
	}
	f.fetched.Add(1)
	return nil
}
