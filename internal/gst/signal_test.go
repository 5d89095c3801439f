// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

type signaller struct {
	*Element
	calls []string
}

func (s *signaller) called(name string, r any) any {
	s.calls = append(s.calls, name)
	return r
}

var _ = factory("ewtsignals", &Class{
	Parent: ParentElement,
	Proto:  (*signaller)(nil),
	New:    func(e *Element) any { return &signaller{Element: e} },
	Signals: []Signal{
		{Name: "plain", Params: []Type{TypeString, TypeInt}},
		{Name: "last", Params: []Type{TypeInt}, Return: TypeString,
			Handler: func(i any, _ []any) any { return i.(*signaller).called("last", "class") }},
		{Name: "first-non-null", Params: []Type{TypeInt}, Return: TypeString, Accumulator: AccFirstNonNull,
			Handler: func(i any, _ []any) any { return i.(*signaller).called("first-non-null", "class") }},
		{Name: "true-handled", Params: []Type{TypeInt}, Return: TypeBool, Accumulator: AccTrueHandled,
			Handler: func(i any, _ []any) any { return i.(*signaller).called("true-handled", false) }},
		{Name: "all-true", Params: []Type{TypeInt}, Return: TypeBool, Accumulator: AccAllTrue,
			Handler: func(i any, _ []any) any { return i.(*signaller).called("all-true", true) }},
		{Name: "first-wins", Params: []Type{TypeInt}, Return: TypeInt, Accumulator: AccFirstWins,
			Handler: func(i any, _ []any) any { return i.(*signaller).called("first-wins", int32(9)) }},
		{Name: "boxed", Params: []Type{TypeCaps(), TypeBytes()}, Return: TypeCaps(), Accumulator: AccFirstNonNull},
		{Name: "add", Params: []Type{TypeInt, TypeInt64, TypeDouble, TypeString, TypeBytes(), TypeBuffer(), TypeElement()}, Return: TypeString, Action: true,
			Handler: func(i any, a []any) any {
				size := a[5].(Buffer).Size()
				same := a[6].(Object).Pointer() == i.(*signaller).Pointer()
				return fmt.Sprint(a[0], a[1], a[2], a[3], a[4], size, same)
			}},
		{Name: "make-caps", Return: TypeCaps(), Action: true, Handler: func(any, []any) any { return NewCaps("audio/x-raw") }},
		{Name: "do", Action: true, Handler: func(i any, _ []any) any { return i.(*signaller).called("do", nil) }},
	},
})

func TestActionSignals(t *testing.T) {
	e := makeElement(t, "ewtsignals")
	defer e.Unref()
	b := gsttest.NewBuffer([]byte("12345"), 0, 0)
	defer b.Unref()
	got := e.Emit("add", int32(1), int64(-2), 0.5, "x", []byte{7}, b, e)
	if got != fmt.Sprint(int32(1), int64(-2), 0.5, "x", []byte{7}, 5, true) {
		t.Errorf("add gives %q", got)
	}
	if got := e.Emit("make-caps"); got != gsttest.Raw("audio/x-raw") {
		t.Errorf("make-caps gives %v", got)
	}
	if e.Emit("do") != nil || !reflect.DeepEqual(instOf[signaller](t, e).calls, []string{"do"}) {
		t.Error("do was not called once")
	}
	if e.Refs() != 1 {
		t.Errorf("%d references are left on the element", e.Refs())
	}
}

func TestAccumulators(t *testing.T) {
	for _, c := range []struct {
		signal   string
		handlers []any // what they answer
		want     any
		called   int // of the handlers
		class    bool
	}{
		{"last", []any{"a", "b"}, "class", 2, true},
		{"first-non-null", []any{nil, "b", "c"}, "b", 2, false},
		{"first-non-null", []any{nil, nil}, "class", 2, true},
		{"first-non-null", nil, "class", 0, true},
		{"true-handled", []any{false, true, true}, true, 2, false},
		{"true-handled", []any{false}, false, 1, true},
		{"all-true", []any{true, false, true}, false, 2, false},
		{"all-true", []any{true, true}, true, 2, true},
		{"first-wins", []any{int32(3), int32(4)}, int32(3), 1, false},
		{"first-wins", nil, int32(9), 0, true},
	} {
		e := makeElement(t, "ewtsignals")
		inst := instOf[signaller](t, e)
		called := 0
		for _, answer := range c.handlers {
			e.Connect(c.signal, func(args []any) any {
				called++
				if !reflect.DeepEqual(args, []any{int32(5)}) {
					t.Errorf("%s: arguments %v", c.signal, args)
				}
				return answer
			})
		}
		got := inst.Emit(c.signal, int32(5))
		if got != c.want || called != c.called || (len(inst.calls) == 1) != c.class {
			t.Errorf("%s with %v: %v, %d handlers, class %v", c.signal, c.handlers, got, called, inst.calls)
		}
		e.Unref()
	}
}

func TestSignalsWithoutClassHandler(t *testing.T) {
	e := makeElement(t, "ewtsignals")
	defer e.Unref()
	inst := instOf[signaller](t, e)
	if got := inst.Emit("plain", "a", int32(1)); got != nil {
		t.Errorf("plain gives %v", got)
	}
	var args []any
	e.Connect("plain", func(a []any) any { args = a; return nil })
	inst.Emit("plain", "a", int32(1))
	if !reflect.DeepEqual(args, []any{"a", int32(1)}) {
		t.Errorf("arguments %v", args)
	}

	caps := NewCaps("text/x-raw")
	defer caps.Unref()
	if got := inst.Emit("boxed", caps, []byte{1}); got != nil {
		t.Errorf("boxed gives %v", got)
	}
	e.Connect("boxed", func(a []any) any {
		if !reflect.DeepEqual(a, []any{gsttest.Raw("text/x-raw"), []byte{1}}) {
			t.Errorf("arguments %v", a)
		}
		return gsttest.Raw("audio/x-raw, rate=(int)8000")
	})
	got := inst.Emit("boxed", caps, []byte{1}).(Caps)
	if rate, _ := got.Int("rate"); rate != 8000 || got.String() != "audio/x-raw, rate=(int)8000" {
		t.Errorf("boxed gives %v", got)
	}
	got.Unref() // the last reference: a borrowed one would abort here
}
