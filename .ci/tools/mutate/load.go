package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is what -dir names: the packages whose files are changed, with the
// types of everything they import.
type module struct {
	dir      string // of its go.mod
	packages []*pkg
}

// pkg is one package of the module. Its own tests are run against its mutants.
type pkg struct {
	path   string
	dir    string
	tested bool // it has test files
	fset   *token.FileSet
	files  []*source
	info   *types.Info
	deps   types.Importer
}

// source is one file that is changed, by edits of its bytes: comments and the
// lines of everything else stay where they are.
type source struct {
	name string // relative to the module, with slashes
	path string // absolute
	text []byte
	ast  *ast.File
	pkg  *pkg
}

// listed is the part of the output of go list that is used.
type listed struct {
	ImportPath   string
	Dir          string
	Export       string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	DepOnly      bool
	Module       *struct{ Dir string }
	Error        *struct{ Err string }
}

// load reads and type-checks the packages under dir. The types of what they
// import come from the compiler's export data, which go list builds with flags.
func load(ctx context.Context, dir string, flags []string) (*module, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,TestGoFiles,XTestGoFiles,DepOnly,Module,Error"}
	args = append(args, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./...")...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", dir, err)
	}
	m := &module{}
	exports := make(map[string]string)
	var own []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if l.Error != nil {
			return nil, fmt.Errorf("%s: %s", l.ImportPath, l.Error.Err)
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly && l.Module != nil {
			m.dir = l.Module.Dir
			own = append(own, l)
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("no package of a module in %s", dir)
	}
	for _, l := range own {
		p, err := parse(l, m.dir, exports)
		if err != nil {
			return nil, err
		}
		m.packages = append(m.packages, p)
	}
	return m, nil
}

// parse reads one package and finds the types of its expressions.
func parse(l listed, root string, exports map[string]string) (*pkg, error) {
	p := &pkg{
		path: l.ImportPath, dir: l.Dir, fset: token.NewFileSet(),
		tested: len(l.TestGoFiles)+len(l.XTestGoFiles) > 0,
	}
	p.deps = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, name := range l.GoFiles {
		s := &source{path: filepath.Join(l.Dir, name), pkg: p}
		relative, err := filepath.Rel(root, s.path)
		if err != nil {
			return nil, err
		}
		s.name = filepath.ToSlash(relative)
		if s.text, err = os.ReadFile(s.path); err != nil {
			return nil, err
		}
		if s.ast, err = parser.ParseFile(p.fset, s.path, s.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		p.files = append(p.files, s)
	}
	p.info = &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue),
		Defs:  make(map[*ast.Ident]types.Object),
		Uses:  make(map[*ast.Ident]types.Object),
	}
	if err := p.check(nil, nil, p.info); err != nil {
		return nil, fmt.Errorf("%s does not compile as it is: %w", p.path, err)
	}
	return p, nil
}

// check type-checks p with the text of one file replaced. It takes some tens of
// milliseconds where a build takes seconds.
func (p *pkg) check(changed *source, text []byte, info *types.Info) error {
	files := make([]*ast.File, 0, len(p.files))
	for _, s := range p.files {
		file := s.ast
		if s == changed {
			var err error
			if file, err = parser.ParseFile(p.fset, s.path, text, parser.SkipObjectResolution); err != nil {
				return err
			}
		}
		files = append(files, file)
	}
	config := types.Config{Importer: p.deps}
	_, err := config.Check(p.path, p.fset, files, info)
	return err
}
