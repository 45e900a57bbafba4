package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// A consumer is a small module outside the repository that uses some of its
// modules as any user would: through a module proxy, with an empty module
// cache, and without the workspace and the replacements.
type consumer struct {
	dir     string // of the consumer's module; the module cache lies beside it
	cache   string
	goLine  string
	proxies string // the value of GOPROXY
}

// newConsumer prepares a consumer in the new directory dir, which fetches what
// it needs from proxies.
func newConsumer(dir, goLine, proxies string) (*consumer, error) {
	c := &consumer{
		dir:     filepath.Join(dir, "module"),
		cache:   filepath.Join(dir, "cache"),
		goLine:  goLine,
		proxies: proxies,
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	return c, c.write("go.mod", "module outside.example\n\ngo "+goLine+"\n")
}

// write makes a file of the consumer's module.
func (c *consumer) write(name, content string) error {
	return os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644)
}

// goTool runs the go command in the consumer's module and returns what it wrote.
func (c *consumer) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(),
		"PWD="+c.dir,
		"GOWORK=off",
		"GOENV=off",
		"GOMODCACHE="+c.cache,
		"GOFLAGS=-mod=mod -modcacherw -buildvcs=false",
		"GOPROXY="+c.proxies,
		"GOSUMDB=off",
		"GONOPROXY=none",
		"GOPRIVATE=",
		"GOOS=", "GOARCH=",
	)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("outside the repository, go %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// get adds the planned versions of the modules to the consumer's requirements.
func (c *consumer) get(ctx context.Context, modules []*Module) error {
	args := []string{"get"}
	for _, m := range modules {
		args = append(args, m.Path()+"@"+m.Version)
	}
	_, err := c.goTool(ctx, args...)
	return err
}

// importable returns the packages of the modules that the consumer can import:
// neither programs nor internal ones.
func (c *consumer) importable(ctx context.Context, modules []*Module) ([]string, error) {
	args := []string{"list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`}
	for _, m := range modules {
		args = append(args, m.Path()+"/...")
	}
	out, err := c.goTool(ctx, args...)
	if err != nil {
		return nil, err
	}
	packages := strings.Fields(out)
	packages = slices.DeleteFunc(packages, isInternal)
	slices.Sort(packages)
	return slices.Compact(packages), nil
}

// use writes a program that imports the packages, then builds and vets it. It
// returns the path of the binary.
func (c *consumer) use(ctx context.Context, packages []string) (string, error) {
	var source strings.Builder
	source.WriteString("package main\n\nimport (\n")
	for _, p := range packages {
		fmt.Fprintf(&source, "\t_ %q\n", p)
	}
	source.WriteString(")\n\nfunc main() {}\n")
	if err := c.write("main.go", source.String()); err != nil {
		return "", err
	}
	binary := filepath.Join(filepath.Dir(c.dir), "program")
	if _, err := c.goTool(ctx, "build", "-o", binary, "."); err != nil {
		return "", err
	}
	_, err := c.goTool(ctx, "vet", ".")
	return binary, err
}

// foreign returns the packages in the program that neither belong to the
// standard library nor to the consumer itself.
func (c *consumer) foreign(ctx context.Context) ([]string, error) {
	out, err := c.goTool(ctx, "list", "-deps", "-f", `{{if not (or .Standard .Module.Main)}}{{.ImportPath}}{{end}}`, ".")
	return strings.Fields(out), err
}

// linkedIn returns the modules in a binary, from its build information.
func linkedIn(binary string) ([]module.Version, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var linked []module.Version
	for _, dep := range info.Deps {
		linked = append(linked, module.Version{Path: dep.Path, Version: dep.Version})
	}
	return linked, nil
}

// downloaded returns the modules whose code the consumer had to fetch.
func (c *consumer) downloaded() ([]module.Version, error) {
	root := filepath.Join(c.cache, "cache", "download")
	var modules []module.Version
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".zip" {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		escaped, file, ok := strings.Cut(filepath.ToSlash(rel), "/@v/")
		if !ok {
			return nil
		}
		modPath, err := module.UnescapePath(escaped)
		if err != nil {
			return err
		}
		version, err := module.UnescapeVersion(strings.TrimSuffix(file, ".zip"))
		modules = append(modules, module.Version{Path: modPath, Version: version})
		return err
	})
	module.Sort(modules)
	return modules, err
}
