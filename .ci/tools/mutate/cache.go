package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// cache is a build cache of the run's own. What is built of a mutant is never
// asked for again, and is tens of megabytes: in the user's cache it would stay for
// days, and a run has thousands. The price is that the standard library is built
// once for each run.
type cache struct {
	dir    string
	mu     sync.RWMutex    // held for reading while something is built
	kept   map[string]bool // what was there before the first mutant
	builds int             // since it was emptied; guarded by count
	count  sync.Mutex
}

// emptyAfter is how many mutants may be in the cache.
const emptyAfter = 10

// build runs a go command with the cache and returns what it printed, and its own
// error apart from that of the cache.
func (c *cache) build(cmd *exec.Cmd) (out []byte, failed, err error) {
	cmd.Env = append(os.Environ(), "GOCACHE="+c.dir)
	c.mu.RLock()
	out, failed = cmd.CombinedOutput()
	c.mu.RUnlock()
	c.count.Lock()
	c.builds++
	full := c.builds >= emptyAfter
	if full {
		c.builds = 0
	}
	c.count.Unlock()
	if full {
		err = c.empty()
	}
	return out, failed, err
}

// freeze declares what is in the cache now worth keeping.
func (c *cache) freeze() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = make(map[string]bool)
	return c.each(func(name string) error { c.kept[name] = true; return nil })
}

// empty removes what was added since freeze, when nothing is being built.
func (c *cache) empty() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		return nil
	}
	return c.each(func(name string) error {
		if c.kept[name] {
			return nil
		}
		return os.Remove(name)
	})
}

// each calls fn for every file of the cache.
func (c *cache) each(fn func(name string) error) error {
	return filepath.WalkDir(c.dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name == c.dir {
			return nil // nothing was built
		}
		if err != nil || d.IsDir() {
			return err
		}
		return fn(name)
	})
}
