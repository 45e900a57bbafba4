package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// source is the tree as the walk sees it. Paths are relative to its root and
// have slashes; the root itself is "". Its methods are called concurrently.
type source interface {
	// ReadDir returns the entries of a directory in any order. With an error
	// it returns those it could read.
	ReadDir(path string) ([]fs.DirEntry, error)
	// Open opens a file for reading. It never waits for another process.
	Open(path string) (fs.File, error)
	// Ring reports whether following a symbolic link would lead back to it.
	Ring(path string) bool
}

// disk is the source below a directory, given by its absolute path without
// symbolic links.
type disk string

func (root disk) name(path string) string {
	return filepath.Join(string(root), filepath.FromSlash(path))
}

func (root disk) ReadDir(path string) ([]fs.DirEntry, error) {
	dir, err := os.OpenFile(root.name(path), os.O_RDONLY|careful, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

func (root disk) Open(path string) (fs.File, error) {
	return os.OpenFile(root.name(path), os.O_RDONLY|careful, 0)
}

// Ring finds links that lead to each other for ever, and links to a directory
// that contains them.
func (root disk) Ring(path string) bool {
	link := root.name(path)
	if _, err := os.Stat(link); err != nil {
		return errors.Is(err, syscall.ELOOP)
	}
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return false
	}
	const separator = string(filepath.Separator)
	return strings.HasPrefix(link, strings.TrimSuffix(target, separator)+separator)
}

// file is what is known of a file that was read from its first byte to its
// last.
type file struct {
	path  string
	bytes int64
	lines int64 // newline characters, as wc counts them
	sum   [sha256.Size]byte
}

// scratch is what it takes to read a file.
type scratch struct {
	buffer [64 << 10]byte
	hash   hash.Hash
}

func newWalk(tree source) *walk {
	w := &walk{tree: tree}
	w.scratch.New = func() any { return &scratch{hash: sha256.New()} }
	return w
}

// read streams a file once. A file that does not stay the same meanwhile has
// no result: what was read may never have been its content.
func (w *walk) read(ctx context.Context, path string) (file, error) {
	f, err := w.tree.Open(path)
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	if !before.Mode().IsRegular() {
		return file{}, errors.New("is no longer a regular file")
	}

	s := w.scratch.Get().(*scratch)
	defer w.scratch.Put(s)
	s.hash.Reset()
	out := file{path: path}
	for size := before.Size(); out.bytes <= size; {
		if err := ctx.Err(); err != nil {
			return file{}, err
		}
		n, err := f.Read(s.buffer[:])
		s.hash.Write(s.buffer[:n])
		out.bytes += int64(n)
		out.lines += int64(bytes.Count(s.buffer[:n], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return file{}, err
		}
	}

	after, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	if err := changed(before, after, out.bytes); err != nil {
		return file{}, err
	}
	s.hash.Sum(out.sum[:0])
	w.seen.files.Add(1)
	w.seen.bytes.Add(out.bytes)
	return out, nil
}

// changed compares a file before and after it was read.
func changed(before, after fs.FileInfo, read int64) error {
	switch size := before.Size(); {
	case read > size:
		return fmt.Errorf("grew beyond its %d bytes while it was read", size)
	case read < size:
		return fmt.Errorf("shrank from %d to %d bytes while it was read", size, read)
	case after.Size() != size || !after.ModTime().Equal(before.ModTime()):
		return errors.New("was changed while it was read")
	}
	return nil
}

// problem is a file or directory that could not be read.
type problem struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

// reason is the text of err without the path, which differs with the root.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Op + ": " + pathError.Err.Error()
	}
	return err.Error()
}
