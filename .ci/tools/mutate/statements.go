package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// statements makes the mutants of a list of statements: each alone deleted,
// neighbours swapped.
func (f *finder) statements(list []ast.Stmt) {
	list = slices.DeleteFunc(slices.Clone(list), f.steers)
	for i, s := range list {
		if operator := f.deletion(s); operator != "" && !f.locks[s] {
			f.add(operator, s, "- "+f.short(s), f.drop(s))
		}
		if i > 0 {
			f.swap(list[i-1], s)
		}
	}
}

// steers reports whether s is a call of a package named point, and steered whether e
// is one, or its opposite.
func (f *finder) steers(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	return ok && f.steered(e.X)
}

func (f *finder) steered(e ast.Expr) bool {
	e = ast.Unparen(e)
	if not, ok := e.(*ast.UnaryExpr); ok && not.Op == token.NOT {
		return f.steered(not.X)
	}
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	name, ok := selector.X.(*ast.Ident)
	if !ok {
		return false
	}
	of, ok := f.pkg.info.Uses[name].(*types.PkgName)
	return ok && of.Imported().Name() == "point"
}

// drop is an edit that leaves a statement out. It still stands there where it is
// never reached, so that the names and imports it uses stay used.
func (f *finder) drop(s ast.Stmt) edit { return f.replace(s, "if false { "+f.code(s)+" }") }

// deletion returns the operator that deletes s, or nothing. Definitions stay: what
// comes after would not compile without them.
func (f *finder) deletion(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := ast.Unparen(s.X).(*ast.CallExpr)
		switch {
		case !ok:
			return "delete-receive"
		case f.forgets(call):
			return "delete-clearing"
		}
		return "delete-call"
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE || !slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool { return !isBlank(e) }) {
			return ""
		}
		if s.Tok == token.ASSIGN && !slices.ContainsFunc(s.Rhs, func(e ast.Expr) bool { return !f.isZero(e) }) {
			return "delete-clearing"
		}
		return "delete-assign"
	case *ast.SendStmt:
		return "delete-send"
	case *ast.IncDecStmt:
		return "delete-incdec"
	case *ast.DeferStmt:
		return "delete-defer"
	case *ast.GoStmt:
		return "delete-go"
	}
	return ""
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// forgets reports whether a call empties something that would otherwise be kept
// from the garbage collector, or be found by the next who looks.
func (f *finder) forgets(call *ast.CallExpr) bool {
	if f.isBuiltin(call, "clear") {
		return true
	}
	return f.atomicName(call) == "Store" && len(call.Args) == 1 && f.isZero(call.Args[0]) && !f.isConstant(call.Args[0])
}

// isZero reports whether e is nil or an empty composite literal.
func (f *finder) isZero(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return f.pkg.info.Types[e].IsNil()
	case *ast.CompositeLit:
		return len(e.Elts) == 0
	}
	return false
}

func (f *finder) isConstant(e ast.Expr) bool { return f.pkg.info.Types[e].Value != nil }

func (f *finder) isBuiltin(call *ast.CallExpr, names ...string) bool {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	return ok && f.pkg.info.Types[id].IsBuiltin() && (len(names) == 0 || slices.Contains(names, id.Name))
}

// swap makes the mutant in which a and b take turns the other way round. Only
// what another goroutine could notice is made: one of the two synchronises, and
// the other does so too or touches memory that may be shared. The change of two
// plain writes is seen by nobody who is allowed to look. If both are stores, one
// of them atomic, it is a change of the order in which memory is published, and
// has a name of its own.
func (f *finder) swap(a, b ast.Stmt) {
	if !movable(a) || !movable(b) || f.defines(a, b) || f.defines(b, a) {
		return
	}
	if isDefer(a) && !returns(b) || isDefer(b) && !returns(a) {
		return
	}
	if f.code(a) == f.code(b) {
		return
	}
	sa, sb := f.synchronises(a), f.synchronises(b)
	if !sa && !sb || !sa && !f.shares(a) || !sb && !f.shares(b) {
		return
	}
	operator := "swap"
	aa, ab := f.storesAtomically(a), f.storesAtomically(b)
	if aa && (ab || f.stores(b)) || ab && f.stores(a) {
		operator = "swap-stores"
	}
	f.add(operator, a, f.short(a)+" <-> "+f.short(b), f.replace(a, f.code(b)), f.replace(b, f.code(a)))
}

// movable reports whether control goes on after s, or may.
func movable(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.ReturnStmt, *ast.BranchStmt, *ast.LabeledStmt, *ast.DeclStmt, *ast.EmptyStmt, *ast.CaseClause, *ast.CommClause:
		return false
	}
	return true
}

func isDefer(s ast.Stmt) bool { _, ok := s.(*ast.DeferStmt); return ok }

// returns reports whether s may end the function.
func returns(s ast.Stmt) bool {
	found := false
	ast.Inspect(s, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = true
		}
		return !found
	})
	return found
}

// defines reports whether b uses a name that a makes.
func (f *finder) defines(a, b ast.Stmt) bool {
	assign, ok := a.(*ast.AssignStmt)
	if !ok || assign.Tok != token.DEFINE {
		return false
	}
	made := make(map[types.Object]bool)
	for _, e := range assign.Lhs {
		if id, ok := e.(*ast.Ident); ok && f.pkg.info.Defs[id] != nil {
			made[f.pkg.info.Defs[id]] = true
		}
	}
	found := false
	ast.Inspect(b, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && made[f.pkg.info.Uses[id]] {
			found = true
		}
		return !found
	})
	return found
}

// synchronises reports whether s calls, sends, receives or starts something. A
// literal that is only made does not count.
func (f *finder) synchronises(s ast.Stmt) bool {
	found := false
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			converts := f.pkg.info.Types[n.Fun].IsType()
			found = found || !converts && (!f.isBuiltin(n) || f.isBuiltin(n, "close"))
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		case *ast.SendStmt, *ast.GoStmt, *ast.SelectStmt:
			found = true
		}
		return !found
	})
	return found
}

// shares reports whether s reads or writes memory that others may have: a field,
// an element, what a pointer points to, or a variable of the package.
func (f *finder) shares(s ast.Stmt) bool {
	found := false
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.IndexExpr, *ast.StarExpr:
			found = true
		case *ast.SelectorExpr:
			v, ok := f.pkg.info.Uses[n.Sel].(*types.Var)
			found = found || ok && v.IsField()
		case *ast.Ident:
			v, ok := f.pkg.info.Uses[n].(*types.Var)
			found = found || ok && v.Parent() != nil && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
		}
		return !found
	})
	return found
}

// stores reports whether s is a plain write to memory that others may have.
func (f *finder) stores(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE && f.shares(s)
	case *ast.IncDecStmt:
		return f.shares(s)
	}
	return false
}

// storesAtomically reports whether s is a call that changes an atomic variable.
func (f *finder) storesAtomically(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := ast.Unparen(e.X).(*ast.CallExpr)
	name := ""
	if ok {
		name = f.atomicName(call)
	}
	return name != "" && !strings.HasPrefix(name, "Load")
}
