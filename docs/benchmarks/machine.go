package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine tells where and of what the figures are.
func machine() (lines []string) {
	line := fmt.Sprintf("%s on %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, model, _ := strings.Cut(string(data), "model name")
		model, _, _ = strings.Cut(strings.TrimLeft(model, "\t :"), "\n")
		if model != "" {
			line += ", " + model
		}
	}
	lines = append(lines, line)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return lines
	}
	var versions []string
	for _, dep := range info.Deps {
		if isPeer(dep.Path) {
			versions = append(versions, fmt.Sprintf("%s %s", dep.Path, dep.Version))
		}
	}
	return append(lines, "peers: "+strings.Join(versions, ", "))
}

// isPeer tells whether a module is one of those that goman is compared with.
func isPeer(path string) bool {
	for _, part := range []string{
		"alitto/pond", "panjf2000/ants", "sourcegraph/conc", "gammazero/workerpool", "golang.org/x/sync", "bytedance/gopkg",
		"puzpuzpuz/xsync", "samber/lo", "Workiva/go-datastructures", "zyedidia/generic", "tidwall/btree",
	} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}
