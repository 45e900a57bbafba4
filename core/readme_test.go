package core_test

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// document returns a file, or skips the test where there is none: a module that was
// downloaded has no parent directory with a README.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not here: the module is used outside its repository", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}

// firstGoBlock returns the first block of Go in a Markdown text.
func firstGoBlock(t *testing.T, text string) string {
	t.Helper()
	_, block, found := strings.Cut(text, "```go\n")
	block, _, ended := strings.Cut(block, "```")
	if !found || !ended {
		t.Fatal("there is no block of Go")
	}
	return block
}

// exampleBody returns the statements of a function, as they are written but for the
// indentation, without the comment that states the output.
func exampleBody(t *testing.T, source, name string) string {
	t.Helper()
	_, body, found := strings.Cut(source, "\nfunc "+name+"() {\n")
	body, _, ended := strings.Cut(body, "\n}\n")
	if !found || !ended {
		t.Fatalf("there is no function %s", name)
	}
	var b strings.Builder
	for line := range strings.Lines(body + "\n") {
		line = strings.TrimPrefix(line, "\t")
		if strings.HasPrefix(line, "// Output:") {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestReadmeShowsTestedLines(t *testing.T) {
	shown := firstGoBlock(t, document(t, filepath.Join("..", "README.md")))
	tested := exampleBody(t, document(t, "example_test.go"), "Example")
	if shown != tested {
		t.Errorf("README.md shows:\n%s\nthe example is:\n%s", shown, tested)
	}
	if n := strings.Count(shown, "\n"); n > 12 {
		t.Errorf("the first lines of code are %d, not about ten", n)
	}
}

// declaredTests returns the names of the tests, benchmarks and examples below dir.
func declaredTests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What the documents name as a proof must exist.
func TestNamedTestsExist(t *testing.T) {
	proof := regexp.MustCompile(`\b(Test|Fuzz|Benchmark|Example)[A-Z]\w*\b`)
	for _, c := range []struct{ name, tests string }{
		{"doc.go", "."},
		{"README.md", "."},
		{filepath.Join("..", "README.md"), ".."},
		{filepath.Join("..", "docs", "README.md"), ".."},
	} {
		t.Run(filepath.ToSlash(c.name), func(t *testing.T) {
			text := document(t, c.name)
			names := declaredTests(t, c.tests)
			for _, name := range proof.FindAllString(text, -1) {
				if !names[name] {
					t.Errorf("%s names %s, which does not exist", c.name, name)
				}
			}
		})
	}
}

// The snippet of doc.go.
func TestDocSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, err := core.New(core.WithRunLimit(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Shutdown(t.Context())

		_, err = core.Run(t.Context(), engine, core.Func(func(ctx context.Context) (int, error) {
			<-ctx.Done() // an hour passes
			return 0, ctx.Err()
		}))
		if !errors.Is(err, core.ErrTaskTimeout) {
			t.Error(err)
		}

		blocked := make(chan struct{})
		if err := engine.Go(func() { <-blocked }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := engine.Stats(); s.Running != 1 || s.Queued != 0 {
			t.Errorf("after Wait %d run and %d are queued, want 1 and 0", s.Running, s.Queued)
		}
		close(blocked)
	})
}
