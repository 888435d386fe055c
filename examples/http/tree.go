package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// file is one file of the tree that is served, as it is on disk.
type file struct {
	path   string // from the root, with slashes
	size   int64
	digest [sha256.Size]byte
}

// readTree reads every regular file below root, those of .git excepted.
func readTree(root string) (files []file, err error) {
	tree := os.DirFS(root)
	err = fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == ".git" && entry.IsDir():
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		f, err := tree.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		size, digest, err := readAll(f)
		files = append(files, file{path, size, digest})
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no file in %s", root)
	}
	return files, err
}

// readAll reads to the end and keeps nothing but the length and the digest.
func readAll(r io.Reader) (size int64, digest [sha256.Size]byte, err error) {
	hash := sha256.New()
	size, err = io.Copy(hash, r)
	return size, [sha256.Size]byte(hash.Sum(nil)), err
}

// moduleRoot finds the module that the working directory lies in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			err = errors.New("no go.mod here or above: name a directory with -root")
		}
		dir = above
	}
	return "", err
}
