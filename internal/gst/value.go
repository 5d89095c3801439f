// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"bytes"
	"fmt"
	"regexp"
	"unsafe"
)

// Type is a GType.
type Type uint64

// The fundamental GTypes.
const (
	TypeNone    Type = C.G_TYPE_NONE
	TypeBool    Type = C.G_TYPE_BOOLEAN
	TypeInt     Type = C.G_TYPE_INT
	TypeUint    Type = C.G_TYPE_UINT
	TypeInt64   Type = C.G_TYPE_INT64
	TypeUint64  Type = C.G_TYPE_UINT64
	TypeFloat   Type = C.G_TYPE_FLOAT
	TypeDouble  Type = C.G_TYPE_DOUBLE
	TypeString  Type = C.G_TYPE_STRING
	typeEnum    Type = C.G_TYPE_ENUM
	typeFlags   Type = C.G_TYPE_FLAGS
	typeBoxed   Type = C.G_TYPE_BOXED
	typeObject  Type = C.G_TYPE_OBJECT
	typeLong    Type = C.G_TYPE_LONG
	typeUlong   Type = C.G_TYPE_ULONG
	typeUchar   Type = C.G_TYPE_UCHAR
	TypePointer Type = C.G_TYPE_POINTER
)

// TypeStructure is GST_TYPE_STRUCTURE; Go side: Structure.
func TypeStructure() Type { return Type(C.gst_structure_get_type()) }

// TypeCaps is GST_TYPE_CAPS; Go side: Caps.
func TypeCaps() Type { return Type(C.gst_caps_get_type()) }

// TypeBytes is G_TYPE_BYTES; Go side: []byte.
func TypeBytes() Type { return Type(C.ew_type_bytes()) }

// TypeStrv is G_TYPE_STRV; Go side: []string.
func TypeStrv() Type { return Type(C.ew_type_strv()) }

// TypeBuffer is GST_TYPE_BUFFER; Go side: Buffer.
func TypeBuffer() Type { return Type(C.gst_buffer_get_type()) }

// TypeElement is GST_TYPE_ELEMENT; Go side: Object.
func TypeElement() Type { return Type(C.gst_element_get_type()) }

// Enum is the value of an enum property or field.
type Enum int32

// Flags is the value of a flags property or field.
type Flags uint32

// Field is one named value of a Structure.
type Field struct {
	Name  string
	Value any
}

// Structure is a GstStructure as a Go value: a name and fields in order.
// Values are bool, int32, uint32, int64, uint64, float32, float64, string,
// []byte (GBytes), []string (GStrv), []any of one type (GstValueArray), Structure, Caps and
// Buffer; int and uint are taken for int32 and uint32, and must fit. Read from C,
// a field may also be Enum, Flags or Object; one of a type without a Go side is
// nil. A string is made valid UTF-8, as GstStructure demands.
//
// Caps, Buffer and Object in a Structure that C gave are borrowed: they are valid
// only during the callback. Those in a Structure for C stay the caller's.
type Structure struct {
	Name   string
	Fields []Field
}

// Add appends a field.
func (s *Structure) Add(name string, value any) {
	s.Fields = append(s.Fields, Field{name, value})
}

// Get finds a field's value, nil if there is none.
func (s Structure) Get(name string) any {
	for _, f := range s.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// structureName is what gst_structure_validate_name takes.
var structureName = regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9/_.:+]*$`)

// toC makes a GstStructure that the caller owns.
func (s Structure) toC() *C.GstStructure {
	if !structureName.MatchString(s.Name) {
		panic(fmt.Sprintf("%q is no name for a GstStructure", s.Name))
	}
	name := C.CString(s.Name)
	defer C.free(unsafe.Pointer(name))
	c := C.gst_structure_new_empty((*C.gchar)(name))
	for _, f := range s.Fields {
		var v C.GValue
		initValue(&v, typeOf(f.Value))
		setText(&v, f.Value)
		field := cText(f.Name)
		C.gst_structure_take_value(c, (*C.gchar)(field), &v)
		C.free(unsafe.Pointer(field))
	}
	return c
}

func structureFromC(c *C.GstStructure) Structure {
	s := Structure{Name: goString(C.gst_structure_get_name(c))}
	for i := C.gint(0); i < C.gst_structure_n_fields(c); i++ {
		name := C.gst_structure_nth_field_name(c, C.guint(i))
		s.Add(goString(name), getValue(C.gst_structure_get_value(c, name)))
	}
	return s
}

// typeOf tells which GType holds a Go value.
func typeOf(v any) Type {
	switch v.(type) {
	case bool:
		return TypeBool
	case int32, int:
		return TypeInt
	case uint32, uint:
		return TypeUint
	case int64:
		return TypeInt64
	case uint64:
		return TypeUint64
	case float32:
		return TypeFloat
	case float64:
		return TypeDouble
	case string:
		return TypeString
	case []byte:
		return TypeBytes()
	case []string:
		return TypeStrv()
	case []any:
		return Type(C.gst_value_array_get_type())
	case Structure:
		return TypeStructure()
	case Caps:
		return TypeCaps()
	case Buffer:
		return TypeBuffer()
	}
	panic(fmt.Sprintf("no GType holds a Go %T", v))
}

func initValue(v *C.GValue, t Type) { C.g_value_init(v, C.GType(t)) }

// setText is setValue for what must be UTF-8. A property must not be changed
// so: it may be the name of a file.
func setText(v *C.GValue, x any) {
	if s, ok := x.(string); ok {
		C.g_value_take_string(v, (*C.gchar)(cText(s)))
		return
	}
	setValue(v, x)
}

// handOver stores x, whose reference (of Caps, Buffer and Object) v takes.
func handOver(v *C.GValue, x any) {
	setValue(v, x)
	unref(x)
}

func unref(x any) {
	switch x := x.(type) {
	case Caps:
		if x.p != nil {
			x.Unref()
		}
	case Buffer:
		if x.p != nil {
			x.Unref()
		}
	case Object:
		if x.p != nil {
			x.Unref()
		}
	}
}

// refd makes what getValue has borrowed the caller's own.
func refd(x any) any {
	switch x := x.(type) {
	case Caps:
		return x.Ref()
	case Buffer:
		return x.Ref()
	case Object:
		if x.p != nil {
			return x.Ref()
		}
	}
	return x
}

// setValue stores x in v, which is initialised already. Caps, Buffer and Object
// stay the caller's.
func setValue(v *C.GValue, x any) {
	switch x := x.(type) {
	case bool:
		C.g_value_set_boolean(v, gbool(x))
	case int32:
		C.g_value_set_int(v, C.gint(x))
	case int:
		if int(int32(x)) != x {
			panic(fmt.Sprintf("%d does not fit an int32: use int64", x))
		}
		C.g_value_set_int(v, C.gint(x))
	case uint32:
		C.g_value_set_uint(v, C.guint(x))
	case uint:
		if uint(uint32(x)) != x {
			panic(fmt.Sprintf("%d does not fit a uint32: use uint64", x))
		}
		C.g_value_set_uint(v, C.guint(x))
	case int64:
		C.g_value_set_int64(v, C.gint64(x))
	case uint64:
		C.g_value_set_uint64(v, C.guint64(x))
	case float32:
		C.g_value_set_float(v, C.gfloat(x))
	case float64:
		C.g_value_set_double(v, C.gdouble(x))
	case Enum:
		C.g_value_set_enum(v, C.gint(x))
	case Flags:
		C.g_value_set_flags(v, C.guint(x))
	case string:
		C.g_value_take_string(v, (*C.gchar)(C.CString(x)))
	case []byte:
		C.ew_value_take_bytes(v, (*C.guint8)(unsafe.SliceData(x)), C.gsize(len(x)))
	case []string:
		C.g_value_take_boxed(v, C.gconstpointer(newStrv(x)))
	case []any:
		for _, item := range x {
			var e C.GValue
			if typeOf(item) != typeOf(x[0]) {
				panic(fmt.Sprintf("a GstValueArray cannot hold a %T beside a %T", item, x[0]))
			}
			initValue(&e, typeOf(item))
			setText(&e, item)
			C.gst_value_array_append_and_take_value(v, &e)
		}
	case Structure:
		C.g_value_take_boxed(v, C.gconstpointer(x.toC()))
	case Caps:
		C.g_value_set_boxed(v, C.gconstpointer(x.p))
	case Buffer:
		C.g_value_set_boxed(v, C.gconstpointer(x.p))
	case Object:
		C.g_value_set_object(v, C.gpointer(x.p))
	case unsafe.Pointer: // C's own, for a gpointer
		C.g_value_set_pointer(v, C.gpointer(x))
	case nil: // a value that was never set: NULL
	default:
		panic(fmt.Sprintf("a GValue cannot hold a Go %T", x))
	}
}

// getValue reads v. Caps, Buffer and Object are borrowed: they live as long as v.
func getValue(v *C.GValue) any {
	t := Type(C.ew_value_type(v))
	switch t {
	case TypeBool:
		return C.g_value_get_boolean(v) != 0
	case TypeInt:
		return int32(C.g_value_get_int(v))
	case TypeUint:
		return uint32(C.g_value_get_uint(v))
	case TypeInt64:
		return int64(C.g_value_get_int64(v))
	case TypeUint64:
		return uint64(C.g_value_get_uint64(v))
	case TypeFloat:
		return float32(C.g_value_get_float(v))
	case TypeDouble:
		return float64(C.g_value_get_double(v))
	case TypeString:
		return goString(C.g_value_get_string(v))
	case typeLong:
		return int64(C.g_value_get_long(v))
	case typeUlong:
		return uint64(C.g_value_get_ulong(v))
	case typeUchar:
		return uint32(C.g_value_get_uchar(v))
	case TypePointer:
		return unsafe.Pointer(C.g_value_get_pointer(v))
	}
	switch Type(C.g_type_fundamental(C.GType(t))) {
	case typeEnum:
		return Enum(C.g_value_get_enum(v))
	case typeFlags:
		return Flags(C.g_value_get_flags(v))
	case typeObject:
		return Object{unsafe.Pointer(C.g_value_get_object(v))}
	case typeBoxed:
		return getBoxed(t, unsafe.Pointer(C.g_value_get_boxed(v)))
	}
	if t == Type(C.gst_value_array_get_type()) {
		var a []any
		for i := C.guint(0); i < C.gst_value_array_get_size(v); i++ {
			a = append(a, getValue(C.gst_value_array_get_value(v, i)))
		}
		return a
	}
	return nil
}

func getBoxed(t Type, p unsafe.Pointer) any {
	if p == nil {
		return nil
	}
	switch t {
	case TypeStructure():
		return structureFromC((*C.GstStructure)(p))
	case TypeCaps():
		return Caps{p}
	case TypeBuffer():
		return Buffer{p}
	case TypeBytes():
		var n C.gsize
		d := C.g_bytes_get_data((*C.GBytes)(p), &n)
		return bytes.Clone(unsafe.Slice((*byte)(d), int(n)))
	case TypeStrv():
		var s []string
		for _, c := range unsafe.Slice((**C.gchar)(p), C.g_strv_length((**C.gchar)(p))) {
			s = append(s, goString(c))
		}
		return s
	}
	return nil
}

func newStrv(s []string) unsafe.Pointer {
	p := C.g_malloc0(C.gsize(len(s)+1) * C.gsize(unsafe.Sizeof(uintptr(0))))
	out := unsafe.Slice((**C.char)(p), len(s))
	for i := range s {
		out[i] = C.CString(s[i])
	}
	return unsafe.Pointer(p)
}
