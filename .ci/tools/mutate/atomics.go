package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"
)

// call makes the mutants of a call that has to be one step for all others, or
// wakes all of them.
func (f *finder) call(call *ast.CallExpr) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	if f.isMethodOf(sel, "sync", "Broadcast") {
		f.add("signal", call, f.short(call)+" -> Signal", f.replace(call, f.code(sel.X)+".Signal()"))
		return
	}
	name := f.atomicName(call)
	for _, s := range splits {
		if !strings.HasPrefix(name, s.method) {
			continue
		}
		load, store, args := f.access(call, sel, strings.TrimPrefix(name, s.method))
		if load == "" || len(args) == 0 {
			return
		}
		last := args[len(args)-1]
		result := types.TypeString(f.pkg.info.Types[call].Type, f.qualifier)
		f.add(s.operator, call, f.short(call)+" -> "+s.short, f.replace(call, fmt.Sprintf(s.form, result, load, store, last, f.code(call))))
		return
	}
}

// splits are the steps that are taken apart. In their forms %[1]s is the type of
// the result, %[2]s a load, %[3]s the beginning of a store, %[4]s the last
// argument and %[5]s the call as it was. Nothing is put between the two halves: whether the tests meet the
// gap is the question.
var splits = []struct{ method, operator, short, form string }{
	{"CompareAndSwap", "cas-store", "Store", "func() %[1]s { if false { return %[5]s }; %[3]s(%[4]s)); return true }()"},
	{"Swap", "split-swap", "Load, Store", "func() %[1]s { mutatedOld := %[2]s; %[3]s(%[4]s)); return mutatedOld }()"},
	{"Add", "split-add", "Load, Store", "func() %[1]s { mutatedNew := %[2]s + (%[4]s); %[3]smutatedNew); return mutatedNew }()"},
	{"And", "split-and", "Load, Store", "func() %[1]s { mutatedOld := %[2]s; %[3]smutatedOld & (%[4]s)); return mutatedOld }()"},
	{"Or", "split-or", "Load, Store", "func() %[1]s { mutatedOld := %[2]s; %[3]smutatedOld | (%[4]s)); return mutatedOld }()"},
}

// access returns how the variable of an atomic call is loaded, how a store to it
// begins, and the texts of the other arguments. kind is what follows the name of
// the step in a function of the package: Int32 and so on; a method has none.
func (f *finder) access(call *ast.CallExpr, sel *ast.SelectorExpr, kind string) (load, store string, args []string) {
	for _, a := range call.Args {
		args = append(args, f.code(a))
	}
	if kind == "" {
		on := f.code(sel.X)
		return on + ".Load()", on + ".Store(", args
	}
	if len(args) == 0 {
		return "", "", nil
	}
	pkg := f.code(sel.X)
	return fmt.Sprintf("%s.Load%s(%s)", pkg, kind, args[0]), fmt.Sprintf("%s.Store%s(%s, ", pkg, kind, args[0]), args[1:]
}

// atomicName returns the name of the method or function of sync/atomic that is
// called, or nothing.
func (f *finder) atomicName(call *ast.CallExpr) string {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	fn, ok := f.pkg.info.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != "sync/atomic" {
		return ""
	}
	return fn.Name()
}

func (f *finder) isMethodOf(sel *ast.SelectorExpr, path, name string) bool {
	fn, ok := f.pkg.info.Uses[sel.Sel].(*types.Func)
	return ok && fn.Name() == name && fn.Pkg() != nil && fn.Pkg().Path() == path
}

// qualifier writes a package the way the file imports it.
func (f *finder) qualifier(p *types.Package) string {
	if p.Path() == f.pkg.path {
		return ""
	}
	for _, spec := range f.source.ast.Imports {
		if spec.Name != nil && strings.Trim(spec.Path.Value, `"`) == p.Path() {
			return spec.Name.Name
		}
	}
	return p.Name()
}
