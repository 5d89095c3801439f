// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"slices"
	"strings"
	"text/template/parse"
	"unicode"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// An op is a step of the program.
type op func(r *run)

// A ref is what a name refers to: a node that is read from the dot in a slot, or an expression.
type ref struct {
	node *node
	slot int
	expr *expr // set: a value by itself
}

// list compiles nodes. dot is what fields are of, depth the next free slot.
func (c *compiler) list(l *parse.ListNode, dot ref, depth int) []op {
	outer, scope := c.ops, len(c.scope)
	c.ops = nil
	if l != nil {
		for _, n := range l.Nodes {
			c.node(n, dot, depth)
		}
	}
	c.flush()
	ops := c.ops
	c.ops, c.scope = outer, c.scope[:scope]
	c.t.slots = max(c.t.slots, depth+1)
	return ops
}

// flush makes an op of the text so far.
func (c *compiler) flush() {
	if len(c.lit) == 0 {
		return
	}
	lit := string(c.lit)
	c.lit = c.lit[:0]
	c.ops = append(c.ops, func(r *run) { r.out = append(r.out, lit...) })
}

func (c *compiler) emit(o op) {
	c.flush()
	c.ops = append(c.ops, o)
}

// at is where a node begins. Of a chain of names the parser gives the place of the second one.
func (c *compiler) at(n parse.Node) int {
	pos := c.from + int(n.Position())
	switch n := n.(type) {
	case *parse.FieldNode:
		if len(n.Ident) > 1 {
			pos -= len(n.Ident[0]) + 1
		}
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			pos -= len(n.Ident[0])
		}
	case *parse.PipeNode:
		if len(n.Decl) == 0 && len(n.Cmds) > 0 {
			return c.at(n.Cmds[0])
		}
	case *parse.CommandNode:
		return c.at(n.Args[0])
	case *parse.ActionNode:
		return c.at(n.Pipe)
	}
	return pos
}

func (c *compiler) node(n parse.Node, dot ref, depth int) {
	switch n := n.(type) {
	case *parse.TextNode:
		if c.js != nil {
			c.js.text(c, n.Text, c.at(n))
		} else {
			c.lit = append(c.lit, n.Text...)
		}
	case *parse.ActionNode:
		c.action(n, dot)
	case *parse.IfNode:
		c.branch(&n.BranchNode, dot, depth, false)
	case *parse.WithNode:
		c.branch(&n.BranchNode, dot, depth, true)
	case *parse.RangeNode:
		c.loop(&n.BranchNode, dot, depth)
	case *parse.CommentNode:
	case *parse.BreakNode, *parse.ContinueNode:
		c.fail(c.at(n), "put {{if}} around the rest", "{{break}} and {{continue}} are not for messages")
	case *parse.TemplateNode:
		c.fail(c.at(n), "write it where it is used", "{{template}} is not for messages")
	default:
		c.fail(c.at(n), "", "%s is not for messages", n)
	}
}

// action compiles {{pipeline}}.
func (c *compiler) action(n *parse.ActionNode, dot ref) {
	if len(n.Pipe.Decl) > 0 {
		if n.Pipe.IsAssign || len(n.Pipe.Decl) > 1 {
			c.fail(c.at(n), "declare another with :=", "variables keep their values")
			return
		}
		r, ok := c.pipe(n.Pipe, dot)
		if ok {
			c.scope = append(c.scope, variable{n.Pipe.Decl[0].Ident[0], r})
		}
		return
	}
	r, ok := c.pipe(n.Pipe, dot)
	if ok && r.expr == nil && r.node != nil && r.node.shape == isArray {
		c.array(r, c.at(n))
		return
	}
	var e *expr
	if ok {
		e = c.scalar(r, c.at(n), n.Pipe.String())
	}
	if e == nil {
		if c.js != nil && !c.js.inString {
			c.js.value(c, c.at(n)) // so that no further mistake follows from this one
		}
		return
	}
	eval := e.eval
	switch {
	case c.js == nil:
		c.emit(func(r *run) {
			v := eval(r)
			r.out = v.appendText(r.out)
		})
	case c.js.inString:
		if c.js.beginsEscape(c, c.at(n)) {
			return
		}
		c.emit(func(r *run) {
			v := eval(r)
			r.out = v.appendEscaped(r.out)
		})
	default:
		if !c.js.value(c, c.at(n)) {
			return
		}
		c.emit(func(r *run) {
			v := eval(r)
			r.out = v.appendJSON(r.out)
		})
	}
}

// array compiles {{.embedding}}.
func (c *compiler) array(a ref, pos int) {
	switch {
	case c.js == nil:
		c.fail(pos, "only templates for JSON write it as a whole", "%s is an array of numbers", a.node.name)
		return
	case c.js.inString:
		c.fail(pos, "write it without quotes", "%s is an array of numbers", a.node.name)
		return
	case !c.js.value(c, pos):
		return
	}
	n, slot := a.node, a.slot
	c.emit(func(r *run) {
		r.out = append(r.out, '[')
		d := &r.dots[slot]
		for i := range n.count(r, d) {
			if i > 0 {
				r.out = append(r.out, ',')
			}
			v := n.number(r, d, i)
			r.out = v.appendJSON(r.out)
		}
		r.out = append(r.out, ']')
	})
}

// branch compiles if and with.
func (c *compiler) branch(n *parse.BranchNode, dot ref, depth int, with bool) {
	scope := len(c.scope)
	defer func() { c.scope = c.scope[:scope] }()
	r, ok := c.pipe(n.Pipe, dot)
	var cond *expr
	switch {
	case ok && with && r.expr == nil && r.node.shape == isGroup:
		cond = &expr{sort: boolSort, eval: func(*run) value { return boolean(true) }}
	case ok:
		cond = c.truth(r, c.at(n.Pipe), n.Pipe.String())
	}
	if len(n.Pipe.Decl) > 1 || n.Pipe.IsAssign {
		c.fail(c.at(n.Pipe), "declare one with :=", "a branch has one variable at most")
		return
	}
	if ok && len(n.Pipe.Decl) == 1 {
		c.scope = append(c.scope, variable{n.Pipe.Decl[0].Ident[0], r})
	}
	inner := dot
	if with {
		inner = r
		if !ok {
			inner = ref{}
		}
	}
	c.flush()
	start := c.js.clone()
	yes := c.list(n.List, inner, depth)
	after := c.js
	c.js = start.clone()
	no := c.list(n.ElseList, dot, depth)
	if c.js != nil {
		c.js = merge(c, c.at(n), start, after, c.js, &yes, &no)
	}
	if cond == nil {
		return
	}
	eval := cond.eval
	c.emit(func(r *run) {
		if v := eval(r); v.true() {
			r.do(yes)
		} else {
			r.do(no)
		}
	})
}

// truth is the condition that something makes: a list counts as true if it has elements.
func (c *compiler) truth(r ref, pos int, what string) *expr {
	if r.expr == nil && (r.node.shape == isList || r.node.shape == isArray) {
		n, slot := r.node, r.slot
		return &expr{sort: boolSort, eval: func(r *run) value { return boolean(n.count(r, &r.dots[slot]) > 0) }}
	}
	return c.scalar(r, pos, what)
}

// loop compiles range.
func (c *compiler) loop(n *parse.BranchNode, dot ref, depth int) {
	scope := len(c.scope)
	defer func() { c.scope = c.scope[:scope] }()
	r, ok := c.pipe(n.Pipe, dot)
	if ok && (r.expr != nil || r.node.shape != isList) {
		c.fail(c.at(n.Pipe), "lists are .objects, .classifications, .labels, .joints and .custom", "%s is no list", n.Pipe)
		ok = false
	}
	if n.Pipe.IsAssign {
		c.fail(c.at(n.Pipe), "declare it with :=", "variables keep their values")
		return
	}
	element := ref{}
	if ok {
		element = ref{node: &node{name: r.node.name, shape: isGroup, fields: r.node.fields}, slot: depth}
		index := &expr{sort: numberSort, eval: func(r *run) value { return integer(int64(r.dots[depth].i)) }}
		decl := n.Pipe.Decl
		if len(decl) == 2 {
			c.scope = append(c.scope, variable{decl[0].Ident[0], ref{expr: index}})
			decl = decl[1:]
		}
		if len(decl) == 1 {
			c.scope = append(c.scope, variable{decl[0].Ident[0], element})
		}
	}
	c.flush()
	start := c.js.clone()
	var mark op
	if c.js != nil {
		mark = c.js.enterLoop()
	}
	entry := c.js.clone()
	body := c.list(n.List, element, depth+1)
	if c.js != nil {
		c.js = endLoop(c, c.at(n), start, entry, &body)
	}
	var otherwise []op
	if n.ElseList != nil {
		after := c.js
		c.js = start.clone()
		otherwise = c.list(n.ElseList, dot, depth)
		if c.js != nil {
			c.js = merge(c, c.at(n), start, after, c.js, &body, &otherwise)
		}
	}
	if !ok {
		return
	}
	list, slot := r.node, r.slot
	c.emit(func(r *run) {
		count := list.count(r, &r.dots[slot])
		if count == 0 && otherwise != nil {
			r.do(otherwise)
			return
		}
		if mark != nil {
			mark(r)
		}
		for i := range count {
			if !r.step() {
				return
			}
			list.item(r, &r.dots[slot], i, &r.dots[depth])
			r.do(body)
		}
	})
}

// pipe compiles a pipeline to what it stands for.
func (c *compiler) pipe(p *parse.PipeNode, dot ref) (ref, bool) {
	var last *ref
	for _, cmd := range p.Cmds {
		r, ok := c.command(cmd, dot, last)
		if !ok {
			return ref{}, false
		}
		last = &r
	}
	return *last, true
}

func (c *compiler) command(cmd *parse.CommandNode, dot ref, last *ref) (ref, bool) {
	first := cmd.Args[0]
	if id, ok := first.(*parse.IdentifierNode); ok {
		return c.call(id, cmd.Args[1:], dot, last)
	}
	if len(cmd.Args) > 1 || last != nil {
		c.fail(c.at(first), "known functions are "+strings.Join(functionNames, ", "), "%s is no function, and takes nothing", first)
		return ref{}, false
	}
	return c.operand(first, dot)
}

// operand compiles what stands alone: a field, a variable, a constant, a pipeline in parentheses.
func (c *compiler) operand(n parse.Node, dot ref) (ref, bool) {
	constant := func(s sort, v value) (ref, bool) {
		return ref{expr: &expr{sort: s, eval: func(*run) value { return v }}}, true
	}
	switch n := n.(type) {
	case *parse.DotNode:
		return dot, dot.node != nil || dot.expr != nil
	case *parse.FieldNode:
		return c.path(dot, n.Ident, c.at(n), "")
	case *parse.VariableNode:
		name := n.Ident[0]
		for _, v := range slices.Backward(c.scope) {
			if v.name == name {
				if len(n.Ident) == 1 {
					return v.ref, true
				}
				return c.path(v.ref, n.Ident[1:], c.at(n)+len(name), name)
			}
		}
		return ref{}, false // its declaration has failed
	case *parse.StringNode:
		return constant(textSort, text(n.Text))
	case *parse.BoolNode:
		return constant(boolSort, boolean(n.True))
	case *parse.NumberNode:
		switch {
		case n.IsInt:
			return constant(numberSort, integer(n.Int64))
		case n.IsUint:
			return constant(numberSort, unsigned(n.Uint64))
		case n.IsFloat:
			return constant(numberSort, double(n.Float64))
		}
	case *parse.PipeNode:
		if len(n.Decl) == 0 {
			return c.pipe(n, dot)
		}
	case *parse.IdentifierNode:
		return c.call(n, nil, dot, nil)
	case *parse.ChainNode:
		r, ok := c.operand(n.Node, dot)
		if !ok {
			return r, false
		}
		return c.path(r, n.Field, c.at(n), n.Node.String())
	}
	c.fail(c.at(n), "", "%s is not for messages", n)
	return ref{}, false
}

// path follows names. pos is where the first one begins with its dot; before is what stands before them.
func (c *compiler) path(r ref, names []string, pos int, before string) (ref, bool) {
	if r.node == nil && r.expr == nil {
		return ref{}, false // a mistake that is told already
	}
	sofar := before
	for i, name := range names {
		switch {
		case r.expr != nil || r.node.shape == isScalar:
			c.fail(pos, "", "%s is a value and has no field %s", orDot(sofar), name)
			return ref{}, false
		case r.node.shape == isMap:
			look, slot, name := r.node.look, r.slot, name
			r = ref{expr: &expr{eval: func(r *run) value { return look(r, &r.dots[slot], name) }}}
		case r.node.shape == isList || r.node.shape == isArray:
			c.fail(pos, "write {{range "+orDot(sofar)+"}}…{{end}}", "%s is a list and has no field %s", orDot(sofar), name)
			return ref{}, false
		default:
			f := r.node.field(name)
			if f == nil {
				c.unknown(pos, r.node, sofar, names[i:])
				return ref{}, false
			}
			r.node = f
		}
		sofar += "." + name
		pos += len(name) + 1
	}
	if r.expr == nil && r.node.shape == isScalar {
		get, slot := r.node.get, r.slot
		r = ref{expr: &expr{sort: r.node.sort, eval: func(r *run) value { return get(r, &r.dots[slot]) }}}
	}
	return r, true
}

func orDot(s string) string {
	if s == "" {
		return "."
	}
	return s
}

// unknown reports a field that is not there. One that stands elsewhere is named with its place.
func (c *compiler) unknown(pos int, n *node, sofar string, names []string) {
	name := names[0]
	remedy := "known are ." + strings.Join(n.names(), ", .")
	near, ok := nearest.Of(name, n.names())
	switch {
	case n == c.root && sofar != "$" && name == "object":
		remedy = "objects are in {{range .objects}}…{{end}}, or write per=object in the header"
	case ok:
		remedy = "did you mean " + sofar + "." + near + "?"
	case sofar == "" && n != c.root && c.root.field(name) != nil:
		remedy = "outside of the object it is $." + strings.Join(names, ".")
	case sofar == "" && n == c.root && c.t.perObject && objectType.field(name) != nil:
		remedy = "did you mean .object." + strings.Join(names, ".") + "?"
	case n == c.root && sofar != "$" && objectType.field(name) != nil:
		remedy = "objects are in {{range .objects}}…{{end}}, or write per=object in the header"
	}
	c.fail(pos, remedy, "there is no field %s.%s", sofar, name)
}

// scalar makes an expression of a reference, or says why it is none.
func (c *compiler) scalar(r ref, pos int, what string) *expr {
	if r.expr != nil {
		return r.expr
	}
	what = strings.TrimFunc(what, unicode.IsSpace)
	if r.node == nil {
		return nil
	}
	switch r.node.shape {
	case isGroup:
		c.fail(pos, "its fields are ."+strings.Join(r.node.names(), ", ."), "%s is no value but a group of fields", what)
	case isList:
		c.fail(pos, "write {{range "+what+"}}…{{end}}, or len "+what, "%s is no value but a list", what)
	case isArray:
		c.fail(pos, "write it alone, or len "+what, "%s is no value but an array of numbers", what)
	case isMap:
		c.fail(pos, "write a name behind it, as in "+what+".color", "%s is no value but a group of fields", what)
	}
	return nil
}
