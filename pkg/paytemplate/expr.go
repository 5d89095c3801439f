// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"math"
	"slices"
	"strings"
	"text/template/parse"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// An expr is something that has a value.
type expr struct {
	sort sort
	eval func(r *run) value
}

// functionNames are the functions of the language, in the order of the documentation.
var functionNames = []string{"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "len", "default", "int", "fixed", "lower", "upper", "json", "csv"}

// refused are functions of text/template that are not here, and what does their work.
var refused = map[string]string{
	"print": "write the values one after the other", "println": "write the values one after the other",
	"printf": "write {{fixed 2 .x}} for two decimals", "html": "values are escaped by themselves", "js": "values are escaped by themselves",
	"urlquery": "values are escaped by themselves", "call": "", "index": "write {{range}}", "slice": "",
}

func (c *compiler) call(id *parse.IdentifierNode, args []parse.Node, dot ref, last *ref) (ref, bool) {
	pos := c.at(id)
	name := id.Ident
	if !slices.Contains(functionNames, name) {
		remedy, known := refused[name]
		if !known || remedy == "" {
			remedy = "known are " + strings.Join(functionNames, ", ")
			if n, ok := nearest.Of(name, functionNames); ok {
				remedy = "did you mean " + n + "?"
			}
		}
		c.fail(pos, remedy, "there is no function %s in templates of messages", name)
		return ref{}, false
	}
	refs := make([]ref, 0, len(args)+1)
	places := make([]int, 0, len(args)+1)
	for _, a := range args {
		r, ok := c.operand(a, dot)
		if !ok {
			return ref{}, false
		}
		refs, places = append(refs, r), append(places, c.at(a))
	}
	if last != nil {
		refs, places = append(refs, *last), append(places, pos)
	}
	if name == "len" && len(refs) == 1 && refs[0].expr == nil && refs[0].node != nil && (refs[0].node.shape == isList || refs[0].node.shape == isArray) {
		n, slot := refs[0].node, refs[0].slot
		return ref{expr: &expr{sort: numberSort, eval: func(r *run) value { return integer(int64(n.count(r, &r.dots[slot]))) }}}, true
	}
	list := make([]*expr, len(refs))
	for i, r := range refs {
		if name == "and" || name == "or" || name == "not" {
			list[i] = c.truth(r, places[i], "the argument of "+name)
		} else {
			list[i] = c.scalar(r, places[i], "the argument of "+name)
		}
		if list[i] == nil {
			return ref{}, false
		}
	}
	f := &function{c: c, name: name, pos: pos, args: list, places: places}
	e := f.compile()
	if e == nil {
		return ref{}, false
	}
	// A variable stands for its expression: a few that use each other twice would be evaluated without end.
	eval := e.eval
	return ref{expr: &expr{sort: e.sort, eval: func(r *run) value {
		if !r.step() {
			return null()
		}
		return eval(r)
	}}}, true
}

// A function is a call of one.
type function struct {
	c      *compiler
	name   string
	pos    int
	args   []*expr
	places []int
}

// need checks the number of arguments.
func (f *function) need(n int, usage string) bool {
	if len(f.args) == n {
		return true
	}
	f.c.fail(f.pos, "write "+usage, "%s takes %d arguments, not %d", f.name, n, len(f.args))
	return false
}

// is checks the sort of an argument.
func (f *function) is(i int, s sort) bool {
	if have := f.args[i].sort; have != s && have != anySort {
		f.c.fail(f.places[i], "", "%s takes a %v here, and this is a %v", f.name, s, have)
		return false
	}
	return true
}

func (f *function) compile() *expr {
	switch f.name {
	case "eq", "ne", "lt", "le", "gt", "ge":
		return f.comparison()
	case "and", "or":
		if len(f.args) < 2 {
			f.c.fail(f.pos, "write "+f.name+" A B", "%s takes two arguments or more", f.name)
			return nil
		}
		args, stop := f.args, f.name == "or"
		s := args[0].sort
		for _, a := range args {
			if a.sort != s {
				s = anySort
			}
		}
		return &expr{sort: s, eval: func(r *run) (v value) {
			for _, a := range args {
				if v = a.eval(r); v.true() == stop {
					break
				}
			}
			return v
		}}
	case "not":
		if !f.need(1, "not A") {
			return nil
		}
		a := f.args[0].eval
		return &expr{sort: boolSort, eval: func(r *run) value { v := a(r); return boolean(!v.true()) }}
	case "default":
		return f.otherwise()
	}
	if f.name == "fixed" {
		return f.decimals()
	}
	if !f.need(1, f.name+" A") {
		return nil
	}
	a := f.args[0].eval
	switch f.name {
	case "len":
		if !f.is(0, textSort) {
			return nil
		}
		return &expr{sort: numberSort, eval: func(r *run) value {
			v := a(r)
			if v.kind != isText {
				return null()
			}
			r.read(len(v.s))
			return integer(int64(utf8.RuneCountInString(v.s)))
		}}
	case "int":
		if !f.is(0, numberSort) {
			return nil
		}
		return &expr{sort: numberSort, eval: func(r *run) value { v := a(r); return whole(v) }}
	case "lower", "upper":
		change := strings.ToLower
		if f.name == "upper" {
			change = strings.ToUpper
		}
		if !f.is(0, textSort) {
			return nil
		}
		return &expr{sort: textSort, eval: func(r *run) value {
			v := a(r)
			if v.kind == isText {
				r.read(len(v.s))
				v.s = change(v.s)
			}
			return v
		}}
	}
	if f.c.js != nil {
		f.c.fail(f.pos, "leave "+f.name+" out", "values in JSON are escaped by themselves")
		return nil
	}
	quote := func(v value) string { return string(v.appendJSON(nil)) }
	if f.name == "csv" {
		quote = csv
	}
	return &expr{sort: textSort, eval: func(r *run) value { v := a(r); r.read(len(v.s)); return text(quote(v)) }}
}

func (f *function) comparison() *expr {
	if f.name == "eq" && len(f.args) > 2 {
		var either []*expr
		for i := 1; i < len(f.args); i++ {
			g := *f
			g.args, g.places = []*expr{f.args[0], f.args[i]}, []int{f.places[0], f.places[i]}
			e := g.comparison()
			if e == nil {
				return nil
			}
			either = append(either, e)
		}
		return &expr{sort: boolSort, eval: func(r *run) value {
			for _, e := range either {
				if v := e.eval(r); v.true() {
					return v
				}
			}
			return boolean(false)
		}}
	}
	if !f.need(2, f.name+" A B") {
		return nil
	}
	a, b := f.args[0], f.args[1]
	if a.sort != b.sort && a.sort != anySort && b.sort != anySort {
		f.c.fail(f.places[1], "", "%s compares a %v with a %v", f.name, a.sort, b.sort)
		return nil
	}
	var holds func(order int, ok bool) bool
	switch f.name {
	case "eq":
		holds = func(o int, ok bool) bool { return ok && o == 0 }
	case "ne":
		holds = func(o int, ok bool) bool { return !ok || o != 0 }
	case "lt":
		holds = func(o int, ok bool) bool { return ok && o < 0 }
	case "le":
		holds = func(o int, ok bool) bool { return ok && o <= 0 }
	case "gt":
		holds = func(o int, ok bool) bool { return ok && o > 0 }
	default:
		holds = func(o int, ok bool) bool { return ok && o >= 0 }
	}
	return &expr{sort: boolSort, eval: func(r *run) value {
		v, w := a.eval(r), b.eval(r)
		r.read(min(len(v.s), len(w.s)))
		return boolean(holds(v.compare(&w)))
	}}
}

// otherwise is default VALUE FIELD.
func (f *function) otherwise() *expr {
	if !f.need(2, `default "none" .sensor.id`) {
		return nil
	}
	d, a := f.args[0], f.args[1]
	s := a.sort
	if d.sort != s {
		s = anySort
	}
	return &expr{sort: s, eval: func(r *run) value {
		if v := a.eval(r); v.true() || v.kind == isBool {
			return v
		}
		return d.eval(r)
	}}
}

// maxDecimals is more than a float64 has.
const maxDecimals = 17

// decimals is fixed N NUMBER: a number still, in JSON too.
func (f *function) decimals() *expr {
	if !f.need(2, "fixed 2 .confidence") {
		return nil
	}
	if !f.is(0, numberSort) || !f.is(1, numberSort) {
		return nil
	}
	n, a := f.args[0].eval, f.args[1].eval
	return &expr{sort: numberSort, eval: func(r *run) value {
		digits, v := n(r), a(r)
		places, ok := digits.number()
		x, number := v.number()
		if !ok || !number {
			return null()
		}
		if math.Abs(x) >= 1e15 {
			return v
		}
		return value{kind: isFixed, f: x, n: uint64(min(max(places, 0), maxDecimals))}
	}}
}

// whole cuts a number towards zero.
func whole(v value) value {
	if v.kind != isFloat32 && v.kind != isFloat64 && v.kind != isFixed {
		return v
	}
	f, _ := v.number()
	if math.Abs(f) >= 1<<63 {
		return null()
	}
	return integer(int64(f))
}

// csv is a field of RFC 4180: in quotes where it must be.
func csv(v value) string {
	s := string(v.appendText(nil))
	if !strings.ContainsAny(s, ",\"\r\n;") {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}
