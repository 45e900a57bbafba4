package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// checkImports holds every import of every Go file against the table of
// layers, and against the rule that no module uses another one's internal
// packages: the compiler allows that, because it goes by the path alone, and
// then it breaks when a user mixes two versions.
//
// The files are parsed, not built, so that the files for other systems and
// with build tags count too.
func checkImports(_ context.Context, r *Repo, files []string) ([]string, error) {
	var problems []string
	for _, m := range r.Modules {
		if _, ok := layerOf(m.Dir); !ok {
			problems = append(problems, fmt.Sprintf("%s has no row in the table of layers", m.Dir))
		}
	}
	for _, name := range files {
		if path.Ext(name) != ".go" || outsideModules(name) {
			continue
		}
		m := r.holder(name)
		if m == nil {
			problems = append(problems, name+": belongs to no module")
			continue
		}
		imports, err := importsOf(r.Root, name)
		if err != nil {
			return nil, err
		}
		for _, pkg := range imports {
			if why := r.forbidden(m, pkg, strings.HasSuffix(name, "_test.go")); why != "" {
				problems = append(problems, fmt.Sprintf("%s: imports %s: %s", name, pkg, why))
			}
		}
	}
	return problems, nil
}

// importsOf returns the import paths of a Go file, none if it is a script
// that no build includes.
func importsOf(root, name string) ([]string, error) {
	file := filepath.Join(root, filepath.FromSlash(name))
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if isScript(syntax) {
		return nil, nil
	}
	var imports []string
	for _, spec := range syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		imports = append(imports, p)
	}
	return imports, nil
}

// isScript reports whether a file is marked with the tag ignore, as programs
// for 'go run file.go' are: no build of a package includes it.
func isScript(file *ast.File) bool {
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, c := range group.List {
			expr, err := constraint.Parse(c.Text)
			if err != nil {
				continue
			}
			if tag, ok := expr.(*constraint.TagExpr); ok && tag.Tag == "ignore" {
				return true
			}
		}
	}
	return false
}

// forbidden says why a file of m may not import pkg, or returns "".
func (r *Repo) forbidden(m *Module, pkg string, test bool) string {
	row, ok := layerOf(m.Dir)
	if !ok || isStandard(pkg) {
		return ""
	}
	if !hasPathPrefix(pkg, Prefix) {
		if !row.mayUse(pkg, test) {
			return fmt.Sprintf("not among the projects that %s may use", m.Dir)
		}
		return ""
	}
	sibling := r.owner(pkg)
	switch {
	case sibling == nil:
		return "no module of this repository"
	case sibling != m && isInternal(pkg):
		return "internal to another module"
	case !row.mayImport(m.Dir, sibling.Dir, test):
		return fmt.Sprintf("%s may not depend on %s", m.Dir, sibling.Dir)
	}
	return ""
}

// isStandard reports whether a package belongs to the standard library, whose
// paths have no dot in their first element. The pseudo-package C counts too.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// isInternal reports whether the path has an element called internal.
func isInternal(pkg string) bool {
	return strings.Contains("/"+pkg+"/", "/internal/")
}
