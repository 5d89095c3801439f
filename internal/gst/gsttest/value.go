// SPDX-License-Identifier: LGPL-2.1-or-later

package gsttest

/*
#include "gsttest.h"
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// Structure is a GstStructure with its fields by name.
type Structure struct {
	Name   string
	Fields map[string]any
}

// Raw is a value in GStreamer's notation ("(fraction)1/2"): to set a property as
// gst-launch-1.0 does, and for what has no Go side.
type Raw string

func structure(s *C.GstStructure) (string, map[string]any) {
	if s == nil {
		return "", nil
	}
	fields := map[string]any{}
	for i := range C.gst_structure_n_fields(s) {
		n := C.gst_structure_nth_field_name(s, C.guint(i))
		fields[gostr(n)] = get(C.gst_structure_get_value(s, n))
	}
	return gostr(C.gst_structure_get_name(s)), fields
}

func get(v *C.GValue) any {
	t := C.ewt_type(v)
	switch C.g_type_fundamental(t) {
	case C.G_TYPE_BOOLEAN:
		return C.g_value_get_boolean(v) != 0
	case C.G_TYPE_INT:
		return int32(C.g_value_get_int(v))
	case C.G_TYPE_UINT:
		return uint32(C.g_value_get_uint(v))
	case C.G_TYPE_INT64:
		return int64(C.g_value_get_int64(v))
	case C.G_TYPE_UINT64:
		return uint64(C.g_value_get_uint64(v))
	case C.G_TYPE_FLOAT:
		return float32(C.g_value_get_float(v))
	case C.G_TYPE_DOUBLE:
		return float64(C.g_value_get_double(v))
	case C.G_TYPE_ENUM:
		return int(C.g_value_get_enum(v))
	case C.G_TYPE_FLAGS:
		return uint(C.g_value_get_flags(v))
	case C.G_TYPE_STRING:
		if s := C.g_value_get_string(v); s != nil {
			return gostr(s)
		}
		return nil
	case C.G_TYPE_BOXED:
		if C.g_value_get_boxed(v) == nil {
			return nil
		}
	}
	p := func(v *C.GValue) C.gpointer { return C.g_value_peek_pointer(v) }
	switch t {
	case C.gst_structure_get_type():
		name, fields := structure((*C.GstStructure)(p(v)))
		return Structure{name, fields}
	case C.g_bytes_get_type():
		var n C.gsize
		d := C.g_bytes_get_data((*C.GBytes)(p(v)), &n)
		return C.GoBytes(unsafe.Pointer(d), C.int(n))
	case C.ewt_type_strv():
		c := (**C.gchar)(unsafe.Pointer(p(v)))
		s := []string{}
		for _, x := range unsafe.Slice(c, C.g_strv_length(c)) {
			s = append(s, gostr(x))
		}
		return s
	case C.gst_value_array_get_type():
		a := []any{}
		for i := range C.gst_value_array_get_size(v) {
			a = append(a, get(C.gst_value_array_get_value(v, i)))
		}
		return a
	case C.gst_caps_get_type():
		s := C.gst_caps_to_string((*C.GstCaps)(p(v)))
		defer C.g_free(C.gpointer(s))
		return Raw(gostr(s))
	case C.gst_sample_get_type():
		return sample((*C.GstSample)(p(v)))
	}
	s := C.gst_value_serialize(v)
	if s == nil {
		return Raw("?")
	}
	defer C.g_free(C.gpointer(s))
	return Raw(gostr(s))
}

// set stores x in v, which is of the right type. Caps are given as a string.
func set(v *C.GValue, x any) {
	switch x := x.(type) {
	case nil:
	case bool:
		b := C.gboolean(0)
		if x {
			b = 1
		}
		C.g_value_set_boolean(v, b)
	case int32:
		C.g_value_set_int(v, C.gint(x))
	case uint32:
		C.g_value_set_uint(v, C.guint(x))
	case int64:
		C.g_value_set_int64(v, C.gint64(x))
	case uint64:
		C.g_value_set_uint64(v, C.guint64(x))
	case float32:
		C.g_value_set_float(v, C.gfloat(x))
	case float64:
		C.g_value_set_double(v, C.gdouble(x))
	case int:
		C.g_value_set_enum(v, C.gint(x))
	case uint:
		C.g_value_set_flags(v, C.guint(x))
	case string:
		C.g_value_take_string(v, cs(x))
	case []byte:
		C.ewt_set_bytes(v, (*C.guint8)(unsafe.SliceData(x)), C.gsize(len(x)))
	case []string:
		p := C.g_malloc0(C.gsize(len(x)+1) * C.sizeof_gpointer)
		for i, s := range x {
			unsafe.Slice((**C.gchar)(p), len(x))[i] = cs(s)
		}
		C.g_value_take_boxed(v, C.gconstpointer(p))
	case Raw:
		s := cs(string(x))
		defer free(s)
		if C.gst_value_deserialize(v, s) == 0 {
			panic(fmt.Sprintf("%s is no value of type %s", x, gostr(C.g_type_name(C.ewt_type(v)))))
		}
	case *Buffer:
		C.g_value_set_boxed(v, C.gconstpointer(unsafe.Pointer(x.p)))
	case *Element:
		C.g_value_set_object(v, x.obj())
	default:
		panic(fmt.Sprintf("cannot set a %T", x))
	}
}

// Set sets a property by its string, as gst-launch-1.0 does.
func (e *Element) Set(name, value string) {
	n, v := cs(name), cs(value)
	defer free(n, v)
	C.gst_util_set_object_arg((*C.GObject)(unsafe.Pointer(e.p)), n, v)
}

// SetAny sets a property by a Go value: bool, int32 … float64, string, int (an
// enum), uint (flags), []byte, []string, Raw (caps, structures), nil for NULL.
func (e *Element) SetAny(name string, value any) {
	n := cs(name)
	defer free(n)
	var v C.GValue
	C.g_value_init(&v, C.ewt_param(e.obj(), n).value_type)
	defer C.g_value_unset(&v)
	set(&v, value)
	C.g_object_set_property((*C.GObject)(unsafe.Pointer(e.p)), n, &v)
}

// Get reads a property, as SetAny takes it; a GstStructure is a Structure.
func (e *Element) Get(name string) any {
	n := cs(name)
	defer free(n)
	var v C.GValue
	C.g_value_init(&v, C.ewt_param(e.obj(), n).value_type)
	defer C.g_value_unset(&v)
	C.g_object_get_property((*C.GObject)(unsafe.Pointer(e.p)), n, &v)
	return get(&v)
}

// Default is a property's default, and its G_PARAM flags.
func (e *Element) Default(name string) (value any, flags uint32) {
	n := cs(name)
	defer free(n)
	p := C.ewt_param(e.obj(), n)
	return get(C.g_param_spec_get_default_value(p)), uint32(p.flags)
}

// Emit emits a signal (or calls an action) and gives its answer, nil if it has none.
func (e *Element) Emit(signal string, args ...any) any {
	n := cs(signal)
	defer free(n)
	t := (*C.GTypeInstance)(unsafe.Pointer(e.p)).g_class.g_type
	id := C.g_signal_lookup(n, t)
	if id == 0 {
		panic("no signal " + signal)
	}
	var q C.GSignalQuery
	C.g_signal_query(id, &q)
	if int(q.n_params) != len(args) {
		panic(fmt.Sprintf("%s takes %d arguments", signal, q.n_params))
	}
	values := make([]C.GValue, len(args)+1)
	for i, a := range args {
		C.g_value_init(&values[i+1], unsafe.Slice(q.param_types, q.n_params)[i]&^C.G_SIGNAL_TYPE_STATIC_SCOPE)
		set(&values[i+1], a)
	}
	defer func() {
		for i := range values {
			C.g_value_unset(&values[i])
		}
	}()
	if q.return_type == C.G_TYPE_NONE {
		C.ewt_emit(e.obj(), id, &values[0], nil)
		return nil
	}
	var ret C.GValue
	C.g_value_init(&ret, q.return_type&^C.G_SIGNAL_TYPE_STATIC_SCOPE)
	defer C.g_value_unset(&ret)
	C.ewt_emit(e.obj(), id, &values[0], &ret)
	return get(&ret)
}

// Connect calls f at every emission of a signal ("notify::name" too); its answer
// is the signal's. The returned function disconnects.
func (e *Element) Connect(signal string, f func(args []any) any) (disconnect func()) {
	n := cs(signal)
	defer free(n)
	id := C.ewt_connect(e.obj(), (*C.char)(n), C.uintptr_t(cgo.NewHandle(f)))
	if id == 0 {
		panic("no signal " + signal)
	}
	return func() { C.g_signal_handler_disconnect(e.obj(), id) }
}

//export ewtGoSignal
func ewtGoSignal(h C.uintptr_t, ret *C.GValue, n C.guint, params *C.GValue) {
	var args []any
	for i := range unsafe.Slice(params, n) {
		args = append(args, get(&unsafe.Slice(params, n)[i]))
	}
	r := cgo.Handle(h).Value().(func([]any) any)(args)
	if ret != nil && r != nil {
		set(ret, r)
	}
}

//export ewtGoForget
func ewtGoForget(h C.uintptr_t) { cgo.Handle(h).Delete() }
