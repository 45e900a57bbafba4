package main

import "strings"

// A layer says what the code of one module may import besides the standard
// library and its own packages. Test files may also use any other project,
// and the modules nested in their own directory (a conformance suite).
type layer struct {
	dir      string   // the module; a final /... stands for all modules below
	siblings []string // directories of modules, written like dir
	others   []string // paths of foreign modules or packages; "*" is any
	leaf     bool     // nothing comes along with the module but its others
}

// layers is the table of modules, from the leaves upwards: a module may only
// ever import modules of the rows above its own. A new module is not allowed
// anything before it has a row.
var layers = []layer{
	{dir: "core", leaf: true},
	{dir: "queue", others: []string{"golang.org/x/sys/cpu"}, leaf: true},
	{
		dir:      "queue/queuetest",
		siblings: []string{"queue"},
		others:   []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine", "github.com/google/go-cmp"},
	},
	{dir: "scheduler", siblings: []string{"core", "queue"}, others: []string{"github.com/netresearch/go-cron"}},
	{
		dir:      "scheduler/schedulertest",
		siblings: []string{"core"},
		others:   []string{"pgregory.net/rapid", "github.com/google/go-cmp"},
	},
	{dir: "monitor", siblings: []string{"core"}, others: []string{"github.com/HdrHistogram/hdrhistogram-go"}},
	{
		dir:      "middleware",
		siblings: []string{"core"},
		others:   []string{"github.com/failsafe-go/failsafe-go", "github.com/cenkalti/backoff/v5"},
	},
	{dir: "plugins", siblings: []string{"core"}},
	{
		dir:      "contrib/...",
		siblings: []string{"core", "queue", "scheduler", "monitor", "middleware", "plugins"},
		others:   []string{"*"},
	},
	{
		dir:      "docs/...",
		siblings: []string{"core", "queue/...", "scheduler/...", "monitor", "middleware", "plugins", "contrib/..."},
		others:   []string{"*"},
	},
}

// layerOf returns the row for the module in dir.
func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if matchDir(l.dir, dir) {
			return l, true
		}
	}
	return layer{}, false
}

// mayImport reports whether the module in dir, whose row is l, may import the
// module in the directory sibling.
func (l layer) mayImport(dir, sibling string, test bool) bool {
	if dir == sibling {
		return true
	}
	for _, s := range l.siblings {
		if matchDir(s, sibling) {
			return true
		}
	}
	// A driver may use the module it is nested in: contrib/durable/river, contrib/durable.
	if strings.HasPrefix(l.dir, "contrib/") && hasPathPrefix(dir, sibling) {
		return true
	}
	return test && hasPathPrefix(sibling, dir)
}

// mayUse reports whether the module may import the package of another project.
func (l layer) mayUse(pkg string, test bool) bool {
	if test {
		return true
	}
	for _, o := range l.others {
		if o == "*" || hasPathPrefix(pkg, o) {
			return true
		}
	}
	return false
}

// matchDir reports whether dir is what pattern names. The pattern a/... names
// a and everything below it.
func matchDir(pattern, dir string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return hasPathPrefix(dir, base)
	}
	return pattern == dir
}
