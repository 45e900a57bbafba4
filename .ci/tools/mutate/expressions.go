package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
)

// condition makes the mutants of what an if asks: the opposite, the answer
// always yes (the re-check dropped), the answer always no (what it guards
// dropped), and each clause of it left out. The condition stays in the text
// behind a constant, so that what it uses stays used; it is not evaluated.
func (f *finder) condition(e ast.Expr) {
	f.whole[ast.Unparen(e)], f.covered[ast.Unparen(e)] = true, true
	if f.steered(e) {
		return
	}
	code := f.code(e)
	f.add("negate", e, f.short(e)+" -> !", f.replace(e, "!("+code+")"))
	f.add("always", e, f.short(e)+" -> true", f.replace(e, "(true || ("+code+"))"))
	f.add("never", e, f.short(e)+" -> false", f.replace(e, "(false && ("+code+"))"))
}

// cases makes the mutants of a switch that is a chain of ifs.
func (f *finder) cases(s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		for _, e := range c.(*ast.CaseClause).List {
			f.condition(e)
		}
	}
}

// loop turns a loop that waits for something, or tries it again, into one turn
// of it. Loops that count are left alone. The body's break and continue go on
// working.
func (f *finder) loop(s *ast.ForStmt) {
	if s.Cond != nil {
		ast.Inspect(s.Cond, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				f.bounds[e] = true
			}
			return true
		})
	}
	if s.Init != nil || s.Post != nil {
		return
	}
	from, _ := f.offsets(s)
	to, _ := f.offsets(s.Body)
	cond := ""
	if s.Cond != nil {
		cond = " && (" + f.code(s.Cond) + ")"
	}
	head := fmt.Sprintf("for mutatedOnce := true; mutatedOnce%s; mutatedOnce = false ", cond)
	what := strings.TrimSpace(string(f.source.text[from:to]))
	f.add("loop-once", s, what+" -> if", edit{from, to, head})
}

// shifted is what an off-by-one makes of a comparison.
var shifted = map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}

// opposite is what is made of a test for equality.
var opposite = map[token.Token]token.Token{token.EQL: token.NEQ, token.NEQ: token.EQL}

// comparison makes the mutants of a comparison of integers, and drops clauses.
func (f *finder) comparison(e *ast.BinaryExpr) {
	if f.isConstant(e) {
		return
	}
	switch e.Op {
	case token.LAND:
		f.clauses(e, "(true || (%s))", "true")
	case token.LOR:
		f.clauses(e, "(false && (%s))", "false")
	}
	at := f.pkg.fset.File(e.Pos()).Offset(e.OpPos)
	if op, ok := shifted[e.Op]; ok && f.isInteger(e.X) && !(f.covered[e] && f.aboveNothing(e)) {
		f.add("boundary", e, f.short(e)+" -> "+op.String(), f.operator(e, at, op))
	}
	if op, ok := opposite[e.Op]; ok && f.isInteger(e.X) && !f.bounds[e] && !f.whole[e] {
		f.add("equality", e, f.short(e)+" -> "+op.String(), f.operator(e, at, op))
	}
}

// operator is an edit of the operator alone. What is hashed for the id has to be
// the whole comparison, so the edit spans it.
func (f *finder) operator(e *ast.BinaryExpr, at int, op token.Token) edit {
	from, to := f.offsets(e)
	text := string(f.source.text[from:at]) + op.String() + string(f.source.text[at+len(e.Op.String()):to])
	return edit{from, to, text}
}

// clauses replaces each operand of an "and" or an "or" by what changes nothing.
func (f *finder) clauses(e *ast.BinaryExpr, form, word string) {
	for _, x := range []ast.Expr{e.X, e.Y} {
		if inner, ok := ast.Unparen(x).(*ast.BinaryExpr); ok && inner.Op == e.Op {
			continue // its own operands are
		}
		if f.steered(x) {
			continue
		}
		if !f.bounds[x] || word == "false" { // a loop whose end is dropped may not end
			f.covered[ast.Unparen(x)] = true
			f.add("clause", x, f.short(x)+" -> "+word, f.replace(x, fmt.Sprintf(form, f.code(x))))
		}
	}
}

func (f *finder) isInteger(e ast.Expr) bool {
	t := f.pkg.info.Types[e].Type
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}

// aboveNothing reports whether e asks if a length is above zero: at least zero it
// always is, and that mutant is made already.
func (f *finder) aboveNothing(e *ast.BinaryExpr) bool {
	x, y := e.X, e.Y
	if e.Op == token.LSS {
		x, y = y, x
	}
	call, ok := ast.Unparen(x).(*ast.CallExpr)
	zero := f.pkg.info.Types[y].Value
	return ok && (e.Op == token.LSS || e.Op == token.GTR) && f.isBuiltin(call, "len", "cap") &&
		zero != nil && constant.Sign(zero) == 0
}
