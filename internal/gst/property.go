// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"math"
	"sync"
)

// PropFlags say how a property may be used.
type PropFlags uint32

// The property flags. A property is readable if it has a getter and writable
// if it has a setter; these come on top.
const (
	MutablePlaying PropFlags = C.GST_PARAM_MUTABLE_PLAYING
	MutablePaused  PropFlags = C.GST_PARAM_MUTABLE_PAUSED
	MutableReady   PropFlags = C.GST_PARAM_MUTABLE_READY
	Controllable   PropFlags = C.GST_PARAM_CONTROLLABLE
	ConstructOnly  PropFlags = C.G_PARAM_CONSTRUCT_ONLY
	DocShowDefault PropFlags = C.GST_PARAM_DOC_SHOW_DEFAULT
	Deprecated     PropFlags = 1 << 31 // G_PARAM_DEPRECATED, which C has as a negative int
)

// Property is a GObject property of an element. Make it with the functions
// below (StringProp, UintProp …), which bind it to the instance's Go type.
// Getters and setters are called from any thread: they lock what they share.
type Property struct {
	Name  string
	spec  func(name, nick, blurb *C.gchar, flags C.GParamFlags) *C.GParamSpec
	blurb string
	flags PropFlags
	get   func(inst any) any
	set   func(inst, value any)
}

func newProp[T, V any](name, blurb string, flags PropFlags, get func(*T) V, set func(*T, V),
	spec func(name, nick, blurb *C.gchar, flags C.GParamFlags) *C.GParamSpec) Property {
	p := Property{Name: name, blurb: blurb, flags: flags, spec: spec}
	if get != nil {
		p.get = func(inst any) any { return get(inst.(*T)) }
	}
	if set != nil {
		p.set = func(inst, value any) {
			v, _ := value.(V) // NULL of a boxed type arrives as nil
			set(inst.(*T), v)
		}
	}
	return p
}

func (p *Property) paramSpec() *C.GParamSpec {
	flags := C.GParamFlags(p.flags) | C.G_PARAM_STATIC_STRINGS
	if p.get != nil {
		flags |= C.G_PARAM_READABLE
	}
	if p.set != nil {
		flags |= C.G_PARAM_WRITABLE
	}
	n := (*C.gchar)(cString(p.Name))
	spec := p.spec(n, n, (*C.gchar)(cString(p.blurb)), flags)
	if spec == nil {
		panic("property " + p.Name + ": its default is not within its limits, or its name is none")
	}
	return spec
}

// StringProp is a string property. Without a default (""), the property is NULL
// while it is empty.
func StringProp[T any](name, blurb, def string, flags PropFlags, get func(*T) string, set func(*T, string)) Property {
	p := newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		var d *C.gchar
		if def != "" {
			d = (*C.gchar)(cString(def))
		}
		return C.g_param_spec_string(n, nick, b, d, f)
	})
	if inner := p.get; inner != nil && def == "" {
		p.get = func(inst any) any {
			if s := inner(inst); s != "" {
				return s
			}
			return nil
		}
	}
	return p
}

// BoolProp is a boolean property.
func BoolProp[T any](name, blurb string, def bool, flags PropFlags, get func(*T) bool, set func(*T, bool)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_boolean(n, nick, b, gbool(def), f)
	})
}

// IntProp is an int property.
func IntProp[T any](name, blurb string, low, high, def int32, flags PropFlags, get func(*T) int32, set func(*T, int32)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_int(n, nick, b, C.gint(low), C.gint(high), C.gint(def), f)
	})
}

// UintProp is an unsigned int property.
func UintProp[T any](name, blurb string, low, high, def uint32, flags PropFlags, get func(*T) uint32, set func(*T, uint32)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_uint(n, nick, b, C.guint(low), C.guint(high), C.guint(def), f)
	})
}

// Int64Prop is a 64-bit property.
func Int64Prop[T any](name, blurb string, low, high, def int64, flags PropFlags, get func(*T) int64, set func(*T, int64)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_int64(n, nick, b, C.gint64(low), C.gint64(high), C.gint64(def), f)
	})
}

// Uint64Prop is an unsigned 64-bit property.
func Uint64Prop[T any](name, blurb string, low, high, def uint64, flags PropFlags, get func(*T) uint64, set func(*T, uint64)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_uint64(n, nick, b, C.guint64(low), C.guint64(high), C.guint64(def), f)
	})
}

// DoubleProp is a double property; math.Inf is no bound: the limits are ±MaxFloat64.
func DoubleProp[T any](name, blurb string, low, high, def float64, flags PropFlags, get func(*T) float64, set func(*T, float64)) Property {
	clamp := func(v float64) C.gdouble {
		return C.gdouble(math.Max(-math.MaxFloat64, math.Min(math.MaxFloat64, v)))
	}
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_double(n, nick, b, clamp(low), clamp(high), C.gdouble(def), f)
	})
}

// BoxedProp is a property of a boxed type: Structure, Caps, []byte or []string,
// as t says. Caps that a setter gets are borrowed: Ref them to keep them. Caps
// that a getter gives are handed over: Ref them under the lock that guards them.
// Caps inside a Structure are borrowed in a setter too; whoever keeps the
// Structure must Ref them, or leave them out.
func BoxedProp[T, V any](name, blurb string, t func() Type, flags PropFlags, get func(*T) V, set func(*T, V)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_boxed(n, nick, b, C.GType(t()), f)
	})
}

// EnumProp is a property of an enum type.
func EnumProp[T any](name, blurb string, t *EnumType, def Enum, flags PropFlags, get func(*T) Enum, set func(*T, Enum)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_enum(n, nick, b, C.GType(t.Type()), C.gint(def), f)
	})
}

// FlagsProp is a property of a flags type.
func FlagsProp[T any](name, blurb string, t *FlagsType, def Flags, flags PropFlags, get func(*T) Flags, set func(*T, Flags)) Property {
	return newProp(name, blurb, flags, get, set, func(n, nick, b *C.gchar, f C.GParamFlags) *C.GParamSpec {
		return C.g_param_spec_flags(n, nick, b, C.GType(t.Type()), C.guint(def), f)
	})
}

// EnumValue is one value of an EnumType: the number, what gst-inspect prints,
// and the nick that gst-launch reads.
type EnumValue struct {
	Value int32
	Name  string
	Nick  string
}

// EnumType is a GEnum type, registered when it is first asked for.
type EnumType struct {
	Name   string
	Values []EnumValue
	once   sync.Once
	t      Type
}

// Type is the GType.
func (e *EnumType) Type() Type {
	e.once.Do(func() {
		// GLib keeps the table.
		p := (*C.GEnumValue)(C.g_malloc0(C.gsize(len(e.Values)+1) * C.sizeof_GEnumValue))
		for i, v := range e.Values {
			at(p, i).value = C.gint(v.Value)
			at(p, i).value_name = (*C.gchar)(cString(v.Name))
			at(p, i).value_nick = (*C.gchar)(cString(v.Nick))
		}
		e.t = Type(C.g_enum_register_static((*C.gchar)(cString(e.Name)), p))
	})
	return e.t
}

// Nick is the nick of a value, for error texts.
func (e *EnumType) Nick(v Enum) string {
	for _, x := range e.Values {
		if x.Value == int32(v) {
			return x.Nick
		}
	}
	return fmt.Sprint(int32(v))
}

// FlagsValue is one flag of a FlagsType.
type FlagsValue struct {
	Value uint32
	Name  string
	Nick  string
}

// FlagsType is a GFlags type, registered when it is first asked for.
type FlagsType struct {
	Name   string
	Values []FlagsValue
	once   sync.Once
	t      Type
}

// Type is the GType.
func (e *FlagsType) Type() Type {
	e.once.Do(func() {
		p := (*C.GFlagsValue)(C.g_malloc0(C.gsize(len(e.Values)+1) * C.sizeof_GFlagsValue))
		for i, v := range e.Values {
			at(p, i).value = C.guint(v.Value)
			at(p, i).value_name = (*C.gchar)(cString(v.Name))
			at(p, i).value_nick = (*C.gchar)(cString(v.Nick))
		}
		e.t = Type(C.g_flags_register_static((*C.gchar)(cString(e.Name)), p))
	})
	return e.t
}
