package main

import (
	"go/ast"
	"slices"
)

// unlockOf names the method that ends what a method began.
var unlockOf = map[string]string{"Lock": "Unlock", "RLock": "RUnlock", "lock": "unlock"}

// lockCall is a call of Lock or Unlock, or one that is deferred.
type lockCall struct {
	stmt   ast.Stmt
	on     string // the text of what is locked
	method string
}

// lockPairs drops each Lock of a function together with all Unlocks of the same
// thing that follow before it is locked again: on a function with several ways
// out there are several. Deleted alone, a Lock would only be told by the runtime
// as an Unlock too many.
func (f *finder) lockPairs(body *ast.BlockStmt) {
	calls := f.lockCalls(body)
	for i, c := range calls {
		unlock := unlockOf[c.method]
		if unlock == "" || f.locks[c.stmt] {
			continue
		}
		edits := []edit{f.drop(c.stmt)}
		for _, d := range calls[i+1:] {
			if d.on == c.on && d.method == c.method {
				break
			}
			if d.on == c.on && d.method == unlock {
				edits = append(edits, f.drop(d.stmt))
			}
		}
		if len(edits) > 1 {
			f.locks[c.stmt] = true
			f.add("drop-lock", c.stmt, "- "+f.short(c.stmt)+" ... "+unlock+"()", edits...)
		}
	}
}

// lockCalls lists the calls of locks and their opposites that are statements of
// the function itself; a literal's are its own, unless it is deferred.
func (f *finder) lockCalls(body *ast.BlockStmt) []lockCall {
	var calls []lockCall
	ast.Inspect(body, func(n ast.Node) bool {
		var e ast.Expr
		var s ast.Stmt
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.DeferStmt:
			if lit, ok := n.Call.Fun.(*ast.FuncLit); ok {
				calls = append(calls, f.lockCalls(lit.Body)...)
				return false
			}
			e, s = n.Call, n
		case *ast.ExprStmt:
			e, s = ast.Unparen(n.X), n
		default:
			return true
		}
		call, ok := e.(*ast.CallExpr)
		if !ok || len(call.Args) > 0 {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && isLock(sel.Sel.Name) {
			calls = append(calls, lockCall{s, f.code(sel.X), sel.Sel.Name})
		}
		return true
	})
	return calls
}

func isLock(name string) bool {
	for lock, unlock := range unlockOf {
		if slices.Contains([]string{lock, unlock}, name) {
			return true
		}
	}
	return false
}
