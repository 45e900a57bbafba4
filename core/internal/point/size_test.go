package point

import (
	"os/exec"
	"regexp"
	"testing"
)

// Without the build tag a point costs nothing: the compiled function is as long
// as the one without it.
func TestSize_PointsAreNothingWithoutTheTag(t *testing.T) {
	off, on := sizes(t), sizes(t, "-tags=goman_points")
	if off["Without"] == "" || off["With"] != off["Without"] {
		t.Errorf("with points %s bytes, without %s", off["With"], off["Without"])
	}
	if on["With"] == on["Without"] {
		t.Errorf("with the tag, too, both are %s bytes: the comparison proves nothing", on["With"])
	}
	t.Logf("bytes, tag off: %v; tag on: %v", off, on)
}

// sizes compiles testdata/size and returns how many bytes its functions take.
func sizes(t *testing.T, flags ...string) map[string]string {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("it compiles: put the go tool into PATH, and run go test ./core/internal/point")
	}
	arguments := append([]string{"build", "-gcflags=-S"}, flags...)
	out, err := exec.Command(tool, append(arguments, "./testdata/size")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := map[string]string{}
	line := regexp.MustCompile(`(?m)^\S*\.(\w+) STEXT .*?size=(\d+)`)
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		found[m[1]] = m[2]
	}
	return found
}
