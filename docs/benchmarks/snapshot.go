package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A snapshot is what the process has used up to a moment.
type snapshot struct {
	at             time.Time
	cpu            time.Duration // 0 where the system does not tell
	waited         time.Duration // runnable and not running, 0 likewise
	mallocs, bytes uint64
}

// before is taken where something begins: what it allocates itself does not count, and the
// clock is read last.
func before() (s snapshot) {
	s.waited = waited()
	s.readMemory()
	s.cpu = cpuTime()
	s.at = time.Now()
	return s
}

// after is taken where it ends, the other way round.
func after() (s snapshot) {
	s.at = time.Now()
	s.cpu = cpuTime()
	s.readMemory()
	s.waited = waited()
	return s
}

func (s *snapshot) readMemory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.mallocs, s.bytes = m.Mallocs, m.TotalAlloc
}

// waited is how long the kernel has let the threads of this process wait for a processor.
func waited() time.Duration {
	// The file of the process itself is that of its first thread alone.
	names, _ := filepath.Glob("/proc/self/task/*/schedstat")
	var sum time.Duration
	for _, name := range names {
		data, _ := os.ReadFile(name)
		var ran, waited int64
		_, _ = fmt.Sscan(string(data), &ran, &waited)
		sum += time.Duration(waited)
	}
	return sum
}

// status returns a number of a file such as /proc/self/status.
func status(name, field string) (value float64) {
	data, _ := os.ReadFile(name)
	_, rest, _ := strings.Cut("\n"+string(data), "\n"+field+":")
	_, _ = fmt.Sscan(rest, &value)
	return value
}

// peakMemory is the most memory that the process has had so far, in MB, 0 where the
// system does not tell.
func peakMemory() float64 { return status("/proc/self/status", "VmHWM") / 1024 }

// wakeUps is how often threads of the process have slept and been woken.
func wakeUps() (sum float64) {
	names, _ := filepath.Glob("/proc/self/task/*/status")
	for _, name := range names {
		sum += status(name, "voluntary_ctxt_switches")
	}
	return sum
}

// heldMemory is what the runtime has in use for objects and stacks, after a collection.
func heldMemory() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
