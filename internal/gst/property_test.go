// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

var testEnum = &EnumType{Name: "EwtEnum", Values: []EnumValue{{0, "None", "none"}, {7, "Seven", "seven"}}}
var testFlags = &FlagsType{Name: "EwtFlags", Values: []FlagsValue{{1, "One", "one"}, {4, "Four", "four"}}}

type propHolder struct {
	*Element
	mu   sync.Mutex
	s    string
	sd   string
	b    bool
	i    int32
	u    uint32
	i64  int64
	u64  uint64
	d    float64
	e    Enum
	f    Flags
	st   Structure
	caps Caps
	by   []byte
	strv []string
	once string
	sets int
}

func (p *propHolder) Finalize() {
	if !p.caps.IsNil() {
		p.caps.Unref()
	}
}

func held[V any](f func(*propHolder) *V) (func(*propHolder) V, func(*propHolder, V)) {
	return func(p *propHolder) V {
			p.mu.Lock()
			defer p.mu.Unlock()
			return *f(p)
		}, func(p *propHolder, v V) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.sets++
			*f(p) = v
		}
}

var _ = factory("ewtprops", &Class{
	Parent: ParentElement,
	Proto:  (*propHolder)(nil),
	New:    func(e *Element) any { return &propHolder{Element: e, sd: "given", i: -1} },
	Properties: func() []Property {
		gs, ss := held(func(p *propHolder) *string { return &p.s })
		gd, sd := held(func(p *propHolder) *string { return &p.sd })
		gb, sb := held(func(p *propHolder) *bool { return &p.b })
		gi, si := held(func(p *propHolder) *int32 { return &p.i })
		gu, su := held(func(p *propHolder) *uint32 { return &p.u })
		gi64, si64 := held(func(p *propHolder) *int64 { return &p.i64 })
		gu64, su64 := held(func(p *propHolder) *uint64 { return &p.u64 })
		gf, sf := held(func(p *propHolder) *float64 { return &p.d })
		ge, se := held(func(p *propHolder) *Enum { return &p.e })
		gfl, sfl := held(func(p *propHolder) *Flags { return &p.f })
		gst, sst := held(func(p *propHolder) *Structure { return &p.st })
		gby, sby := held(func(p *propHolder) *[]byte { return &p.by })
		gsv, ssv := held(func(p *propHolder) *[]string { return &p.strv })
		go1, so1 := held(func(p *propHolder) *string { return &p.once })
		getCaps := func(p *propHolder) Caps {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.caps.IsNil() {
				return Caps{}
			}
			return p.caps.Ref()
		}
		setCaps := func(p *propHolder, c Caps) {
			if !c.IsNil() {
				c.Ref()
			}
			p.mu.Lock()
			old := p.caps
			p.caps = c
			p.mu.Unlock()
			if !old.IsNil() {
				old.Unref()
			}
		}
		return []Property{
			StringProp("string", "A string", "", MutablePlaying, gs, ss),
			StringProp("string-default", "A string", "given", MutableReady, gd, sd),
			BoolProp("bool", "A bool", false, Controllable, gb, sb),
			IntProp("int", "An int", math.MinInt32, 100, -1, 0, gi, si),
			UintProp("uint", "A uint", 0, math.MaxUint32, 0, 0, gu, su),
			Int64Prop("int64", "An int64", math.MinInt64, math.MaxInt64, 0, 0, gi64, si64),
			Uint64Prop("uint64", "A uint64", 0, math.MaxUint64, 0, 0, gu64, su64),
			DoubleProp("double", "A double", math.Inf(-1), math.Inf(1), 0, 0, gf, sf),
			EnumProp("enum", "An enum", testEnum, 0, 0, ge, se),
			FlagsProp("flags", "Flags", testFlags, 0, 0, gfl, sfl),
			BoxedProp("structure", "A structure", TypeStructure, 0, gst, sst),
			BoxedProp("caps", "Caps", TypeCaps, 0, getCaps, setCaps),
			BoxedProp("bytes", "Bytes", TypeBytes, 0, gby, sby),
			BoxedProp("strv", "Strings", TypeStrv, 0, gsv, ssv),
			StringProp("once", "Set once", "", ConstructOnly, go1, so1),
			UintProp[propHolder]("sets", "How often something was set", 0, math.MaxUint32, 0, 0, func(p *propHolder) uint32 {
				p.mu.Lock()
				defer p.mu.Unlock()
				return uint32(p.sets)
			}, nil),
			StringProp("secret", "Written only", "", Deprecated, nil, ss),
		}
	}(),
})

func TestPropertiesRoundTrip(t *testing.T) {
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	for _, c := range []struct {
		name       string
		first, set any // what Get gives before, and what is set
	}{
		{"string", nil, "zwölf"},
		{"string-default", "given", "other"},
		{"bool", false, true},
		{"int", int32(-1), int32(math.MinInt32)},
		{"uint", uint32(0), uint32(math.MaxUint32)},
		{"int64", int64(0), int64(math.MinInt64)},
		{"uint64", uint64(0), uint64(math.MaxUint64)},
		{"double", 0.0, -math.MaxFloat64},
		{"enum", 0, 7},
		{"flags", uint(0), uint(5)},
		{"caps", nil, gsttest.Raw("video/x-raw, width=(int)4")},
		{"bytes", []byte{}, []byte{0, 1, 255, 0}},
		{"strv", []string{}, []string{"a", "", "ü"}},
	} {
		if got := e.Get(c.name); !reflect.DeepEqual(got, c.first) {
			t.Errorf("%s is %#v at first, want %#v", c.name, got, c.first)
		}
		e.SetAny(c.name, c.set)
		if got := e.Get(c.name); !reflect.DeepEqual(got, c.set) {
			t.Errorf("%s is %#v, want %#v", c.name, got, c.set)
		}
	}
	e.SetAny("structure", gsttest.Raw("thing, a=(int)3, inner=(structure)[deep, b=(string)x;];"))
	want := gsttest.Structure{Name: "thing", Fields: map[string]any{"a": int32(3),
		"inner": gsttest.Structure{Name: "deep", Fields: map[string]any{"b": "x"}}}}
	if got := e.Get("structure"); !reflect.DeepEqual(got, want) {
		t.Errorf("structure is %#v", got)
	}
	// Back to NULL, in every type that has it.
	for name, want := range map[string]any{"string": nil, "caps": nil, "bytes": []byte{}, "strv": []string{}} {
		e.SetAny(name, nil)
		if got := e.Get(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v after NULL", name, got)
		}
	}
	// As gst-launch sets them.
	e.Set("enum", "seven")
	e.Set("flags", "one+four")
	e.Set("caps", "audio/x-raw")
	if e.Get("enum") != 7 || e.Get("flags") != uint(5) || e.Get("caps") != gsttest.Raw("audio/x-raw") {
		t.Error(e.Get("enum"), e.Get("flags"), e.Get("caps"))
	}
}

func TestPropertiesLimitsDefaultsFlags(t *testing.T) {
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	e.SetAny("int", int32(1000))
	expectedCriticals++ // GLib refuses it with a warning
	if got := e.Get("int"); got != int32(-1) {
		t.Errorf("int above its limit is %v", got)
	}
	const readable, writable, construct, deprecated = 1, 2, 8, 1 << 31
	for _, c := range []struct {
		name  string
		def   any
		flags uint32
	}{
		{"string", nil, readable | writable | uint32(MutablePlaying)},
		{"string-default", "given", readable | writable | uint32(MutableReady)},
		{"int", int32(-1), readable | writable},
		{"bool", false, readable | writable | uint32(Controllable)},
		{"once", nil, readable | writable | construct},
		{"sets", uint32(0), readable},
		{"secret", nil, writable | deprecated},
	} {
		const static = 0xe0
		def, flags := e.Default(c.name)
		if c.name == "once" {
			flags = flags&^8 | flags&8
			c.flags = readable | writable | uint32(ConstructOnly)
		}
		if !reflect.DeepEqual(def, c.def) || flags&^static != c.flags {
			t.Errorf("%s: default %#v flags %#x, want %#v %#x", c.name, def, flags&^static, c.def, c.flags)
		}
	}
}

func TestPropertyNotify(t *testing.T) {
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	var seen []string
	off := e.Connect("notify::uint", func([]any) any { seen = append(seen, "uint"); return nil })
	e.SetAny("uint", uint32(3))
	e.SetAny("int", int32(3))
	instOf[propHolder](t, e).Notify("uint")
	off()
	e.SetAny("uint", uint32(4))
	if len(seen) != 2 {
		t.Errorf("notified %d times, want 2", len(seen))
	}
}

// A file name need not be UTF-8: a property keeps its bytes.
func TestPropertyKeepsBytes(t *testing.T) {
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	e.SetAny("string", "a\xffb")
	if got := e.Get("string"); got != "a\xffb" {
		t.Errorf("got %q", got)
	}
}

// Caps that one thread replaces while others read them must not be freed under them.
func TestCapsPropertyFromSeveralThreads(t *testing.T) {
	e := makeElement(t, "ewtprops")
	defer e.Unref()
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for range 2000 {
				e.SetAny("caps", gsttest.Raw("video/x-raw, width=(int)4"))
			}
		}()
		go func() {
			defer wg.Done()
			for range 2000 {
				if c := e.Get("caps"); c != nil && c != gsttest.Raw("video/x-raw, width=(int)4") {
					t.Errorf("caps are %v", c)
					return
				}
			}
		}()
	}
	wg.Wait()
}

func TestBadClassesAreRefused(t *testing.T) {
	base := func() *Class {
		return &Class{Name: "EwtBad", Parent: ParentElement, Proto: (*propHolder)(nil), New: func(e *Element) any { return nil }}
	}
	limits, caps, taken := base(), base(), base()
	get, set := held(func(p *propHolder) *int32 { return &p.i })
	expectedCriticals++ // GLib refuses the limits
	limits.Properties = []Property{IntProp("low", "low", 5, 1, 3, 0, get, set)}
	caps.Pads = []PadTemplate{{Name: "sink", Direction: PadSink, Presence: PadAlways, Caps: "no caps, ["}}
	taken.Name = "GstPipeline"
	for want, c := range map[string]*Class{"property low": limits, "no caps": caps, "same name": taken} {
		err := RegisterStatic(&StaticPlugin{Name: "ewtbad", Description: "d", Version: "1", License: "LGPL", Source: "s",
			Package: "p", Origin: "o", Init: func(p Plugin) error { return p.Register("ewtbad", RankNone, c) }})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	err := RegisterStatic(&StaticPlugin{Name: "ewtbad2", Description: "d", Version: "1", License: "LGPL", Source: "s",
		Package: "p", Origin: "o", Init: func(p Plugin) error { panic("boom in init") }})
	if err == nil || !strings.Contains(err.Error(), "boom in init") {
		t.Errorf("a panic in Init gives %v", err)
	}
}
