//go:build goman_points

package point

import (
	"runtime"
	"sync"
	"testing"
)

// The quick look tells the same as the stack.
func TestGoroutineNumber_IsTheRuntimes(t *testing.T) {
	if goidOffset == 0 && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") {
		t.Error("the place of the number was not found: every point takes the slow way")
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if want, _ := whoami(); goroutineNumber() != want {
				t.Errorf("%d, not %d", goroutineNumber(), want)
			}
		})
	}
	all.Wait()
}
