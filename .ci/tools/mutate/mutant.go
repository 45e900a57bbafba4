package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"hash/fnv"
	"slices"
	"strings"
)

// mutant is one small change of one file.
type mutant struct {
	// ID is file:function:operator:hash:ordinal. The hash is that of the text
	// that is changed, and the ordinal counts equal texts in the function, so an
	// id outlives edits elsewhere, in the same function too. An edit of the text
	// itself makes a new id: what was known of the old one need not hold.
	ID       string `json:"id"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Operator string `json:"operator"`
	Change   string `json:"change"`
	outcome

	src   *source
	edits []edit
}

// edit replaces the bytes from up to to of a file.
type edit struct {
	from, to int
	text     string
}

// apply returns the file with the mutant in it.
func (m *mutant) apply() []byte {
	var out bytes.Buffer
	at := 0
	for _, e := range m.edits {
		out.Write(m.src.text[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(m.src.text[at:])
	return out.Bytes()
}

// compiles reports whether the mutant is a correct program.
func (m *mutant) compiles() bool { return m.src.pkg.check(m.src, m.apply(), nil) == nil }

// finder makes the mutants of one file.
type finder struct {
	*source
	function string
	found    []*mutant

	whole   map[ast.Expr]bool // all that an if asks: negated anyway
	covered map[ast.Expr]bool // that and its clauses: replaced by true and false anyway
	bounds  map[ast.Expr]bool // conditions of loops: what is not sure to end is not made
	locks   map[ast.Stmt]bool // calls of Lock that are dropped only with their Unlock
}

// mutants returns all mutants of s, in the order of its lines.
func (s *source) mutants() []*mutant {
	f := &finder{
		source: s, whole: make(map[ast.Expr]bool), covered: make(map[ast.Expr]bool),
		bounds: make(map[ast.Expr]bool), locks: make(map[ast.Stmt]bool),
	}
	for _, decl := range s.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			f.function = nameOf(d)
			if d.Body != nil {
				f.body(d.Body)
			}
		case *ast.GenDecl:
			f.function = d.Tok.String()
			if d.Tok == token.VAR {
				ast.Inspect(d, func(n ast.Node) bool {
					if lit, ok := n.(*ast.FuncLit); ok {
						f.body(lit.Body)
						return false
					}
					return true
				})
			}
		}
	}
	slices.SortStableFunc(f.found, func(a, b *mutant) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.edits[0].from, b.edits[0].from))
	})
	seen := make(map[string]int)
	for _, m := range f.found {
		seen[m.ID]++
		m.ID = fmt.Sprintf("%s:%d", m.ID, seen[m.ID])
	}
	return f.found
}

// nameOf returns Type.Method or the name of a function.
func nameOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
			continue
		case *ast.IndexExpr:
			t = e.X
			continue
		case *ast.IndexListExpr:
			t = e.X
			continue
		case *ast.Ident:
			return e.Name + "." + d.Name.Name
		}
		return d.Name.Name
	}
}

// body makes the mutants of a function, with the literals in it.
func (f *finder) body(body *ast.BlockStmt) {
	f.lockPairs(body)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.lockPairs(n.Body)
		case *ast.BlockStmt:
			f.statements(n.List)
		case *ast.CaseClause:
			f.statements(n.Body)
		case *ast.CommClause:
			f.statements(n.Body)
		case *ast.IfStmt:
			f.condition(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag == nil {
				f.cases(n)
			}
		case *ast.ForStmt:
			f.loop(n)
		case *ast.BinaryExpr:
			f.comparison(n)
		case *ast.CallExpr:
			f.call(n)
		}
		return true
	})
}

// add makes a mutant of the operator at n. Its id lacks the ordinal, which counts in
// the order of the lines and not in that of the walk.
func (f *finder) add(operator string, n ast.Node, change string, edits ...edit) {
	var changed strings.Builder
	for _, e := range edits {
		changed.Write(f.source.text[e.from:e.to])
		changed.WriteByte(0)
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	f.found = append(f.found, &mutant{
		ID:   fmt.Sprintf("%s:%s:%s:%s", f.name, f.function, operator, hash(changed.String())),
		File: f.name, Line: f.pkg.fset.PositionFor(n.Pos(), false).Line,
		Operator: operator, Change: change, src: f.source, edits: edits,
	})
}

// hash shortens a text for an id; that of equal words is equal, however they
// are laid out.
func hash(text string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.Join(strings.Fields(text), " ")))
	return fmt.Sprintf("%04x", (h.Sum32()^h.Sum32()>>16)&0xffff)
}

// offsets returns where n lies in the file.
func (f *finder) offsets(n ast.Node) (from, to int) {
	file := f.pkg.fset.File(n.Pos())
	return file.Offset(n.Pos()), file.Offset(n.End())
}

// code returns the text of n.
func (f *finder) code(n ast.Node) string {
	from, to := f.offsets(n)
	return string(f.source.text[from:to])
}

// replace is an edit that puts text in the place of n.
func (f *finder) replace(n ast.Node, text string) edit {
	from, to := f.offsets(n)
	return edit{from, to, text}
}

// short is the text of n for a line of the report.
func (f *finder) short(n ast.Node) string {
	words := []rune(strings.Join(strings.Fields(f.code(n)), " "))
	if len(words) > 50 {
		return string(words[:47]) + "..."
	}
	return string(words)
}
