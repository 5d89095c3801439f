// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestStructureRoundTrip(t *testing.T) {
	caps := NewCaps("video/x-raw, width=(int)[ 1, 10 ]; audio/x-raw")
	buffer := NewBuffer([]byte("payload"))
	defer caps.Unref()
	defer buffer.Unref()
	in := Structure{Name: "everything"}
	in.Add("bool", true)
	in.Add("int", int32(math.MinInt32))
	in.Add("uint", uint32(math.MaxUint32))
	in.Add("int64", int64(math.MinInt64))
	in.Add("uint64", uint64(math.MaxUint64))
	in.Add("float", float32(0.5))
	in.Add("double", math.Pi)
	in.Add("string", "ein \"Wort\" ≠ zwei")
	in.Add("empty", "")
	in.Add("bytes", []byte{0, 255})
	in.Add("strings", []string{"a", ""})
	in.Add("array", []any{[]any{3.0}, []any{4.0, 5.0}})
	in.Add("words", []any{"a", "b"})
	in.Add("structure", Structure{Name: "inner", Fields: []Field{{"x", int32(1)}}})
	c := in.toC()
	out := structureFromC(c)
	if !reflect.DeepEqual(in, out) {
		t.Errorf("in  %#v\nout %#v", in, out)
	}
	freeStructure(t, in)

	in = Structure{Name: "references"}
	in.Add("caps", caps)
	in.Add("buffer", buffer)
	in.Add("plain-int", 5)
	in.Add("plain-uint", uint(6))
	out = structureFromC(in.toC())
	if got := out.Get("caps").(Caps); got.Pointer() != caps.Pointer() {
		t.Errorf("caps %v", got)
	}
	if got := out.Get("buffer").(Buffer); got.Pointer() != buffer.Pointer() {
		t.Error("another buffer came back")
	}
	if out.Get("plain-int") != int32(5) || out.Get("plain-uint") != uint32(6) || out.Get("nothing") != nil {
		t.Errorf("%#v", out)
	}
}

// freeStructure sends a structure through an element message without a bus,
// which frees it: a double free would end the test here.
func freeStructure(t *testing.T, s Structure) {
	t.Helper()
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	if instOf[propHolder](t, e).PostMessage(s) {
		t.Error("there is no bus, yet one took the message")
	}
}

func TestStructureTextBecomesUTF8(t *testing.T) {
	in := Structure{Name: "text", Fields: []Field{{"a", "x\xffy"}, {"b", "x\x00y"}, {"c", []any{"\xff"}}}}
	want := Structure{Name: "text", Fields: []Field{{"a", "x\uFFFDy"}, {"b", "x\uFFFDy"}, {"c", []any{"\uFFFD"}}}}
	if out := structureFromC(in.toC()); !reflect.DeepEqual(out, want) {
		t.Errorf("%#v", out)
	}
}

func TestValuesThatAreNone(t *testing.T) {
	for what, s := range map[string]Structure{
		"no name for":    {Name: "0 bad name"},
		"no GType":       {Name: "a", Fields: []Field{{"f", struct{}{}}}},
		"use int64":      {Name: "a", Fields: []Field{{"f", math.MaxInt}}},
		"use uint64":     {Name: "a", Fields: []Field{{"f", uint(math.MaxUint)}}},
		"a Go <nil>":     {Name: "a", Fields: []Field{{"f", nil}}},
		"beside a int32": {Name: "a", Fields: []Field{{"f", []any{int32(1), "x"}}}},
		"a Go gst.Enum":  {Name: "a", Fields: []Field{{"f", Enum(1)}}},
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(strings.ReplaceAll(v, "is no name", "no name for"), what) {
					t.Errorf("%q: %q", what, v)
				}
			}()
			s.toC()
		}()
	}
}

func TestCaps(t *testing.T) {
	a, b := NewCaps("video/x-raw, width=(int)[1,10]; audio/x-raw"), NewCaps("video/x-raw, width=(int)4")
	defer a.Unref()
	defer b.Unref()
	both := a.Intersect(b)
	defer both.Unref()
	if w, ok := both.Int("width"); !ok || w != 4 {
		t.Errorf("width %d %v", w, ok)
	}
	if _, ok := both.Int("height"); ok {
		t.Error("a height that is not there")
	}
	if !b.IsSubset(a) || a.IsSubset(b) || !a.CanIntersect(b) || a.Size() != 2 || a.Name(1) != "audio/x-raw" || a.Name(2) != "" {
		t.Error("relations of caps")
	}
	merged := b.Ref().Merge(NewCaps("text/x-raw"))
	defer merged.Unref()
	if merged.String() != "video/x-raw, width=(int)4; text/x-raw" || b.Size() != 1 {
		t.Errorf("%v from %v", merged, b)
	}
	any := NewCaps("ANY")
	defer any.Unref()
	if !any.IsAny() || any.Size() != 0 {
		t.Error("ANY")
	}
	var none Caps
	if _, ok := none.Int("x"); ok || none.String() != "NULL" || none.Size() != 0 || none.IsAny() || none.Name(0) != "" || !none.IsNil() {
		t.Error("nil caps")
	}
}

func TestBuffers(t *testing.T) {
	// A slice that lies in a Go object with pointers: cgo must not object.
	var object struct {
		p    *int
		data [8]byte
	}
	object.p = new(int)
	copy(object.data[:], "12345678")
	for _, data := range [][]byte{nil, {}, []byte("x"), object.data[2:6], make([]byte, 1<<20)} {
		b := NewBuffer(data)
		ok := b.Map(func(got []byte) {
			if string(got) != string(data) {
				t.Errorf("%d bytes came back as %d", len(data), len(got))
			}
		})
		if !ok || b.Size() != len(data) || !b.IsWritable() || b.PTS() != ClockTimeNone || b.Duration() != ClockTimeNone {
			t.Errorf("buffer of %d bytes", len(data))
		}
		b.SetTimes(5, 6)
		c := NewBuffer(nil)
		c.CopyMetadata(b)
		if c.PTS() != 5 || c.Duration() != 6 {
			t.Error("CopyMetadata")
		}
		c.Unref()
		b.Ref()
		if b.IsWritable() {
			t.Error("a shared buffer is writable")
		}
		b.Unref()
		b.Unref()
	}
	v := Structure{Name: "x", Fields: []Field{{"b", object.data[:]}}}
	if got := structureFromC(v.toC()).Get("b"); string(got.([]byte)) != "12345678" {
		t.Errorf("%q", got)
	}
}
