// SPDX-License-Identifier: LGPL-2.1-or-later

// Package gsttest runs pipelines from Go tests, as an application would. (Go
// test files cannot use cgo themselves.) Its functions panic on misuse; what a
// test may want to look at is an error or a value.
package gsttest

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall
#include "gsttest.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"
)

// State is GstState.
type State int

// The states.
const (
	Null    State = C.GST_STATE_NULL
	Ready   State = C.GST_STATE_READY
	Paused  State = C.GST_STATE_PAUSED
	Playing State = C.GST_STATE_PLAYING
)

var initOnce sync.Once

// Init initialises GStreamer once, with a registry file of the process's own
// unless GST_REGISTRY names one: a plugin blacklisted elsewhere must not count here.
func Init() {
	initOnce.Do(func() {
		if os.Getenv("GST_REGISTRY") == "" {
			setenv("GST_REGISTRY", fmt.Sprintf("%s/gsttest-registry-%d.bin", os.TempDir(), os.Getuid()))
		}
		C.ewt_count_criticals()
		C.gst_init(nil, nil)
	})
}

func setenv(name, value string) {
	n, v := cs(name), cs(value)
	defer free(n, v)
	C.g_setenv(n, v, C.TRUE)
}

// Setenv sets a variable where C looks for it; os.Setenv of a cgo program does too,
// but is not seen if C has the environment cached.
func Setenv(name, value string) { setenv(name, value) }

// Criticals counts the warnings and criticals that GLib and GStreamer have
// written so far: misuse of their API shows so.
func Criticals() int { return int(C.ewt_criticals()) }

// Deinit ends GStreamer's use for the whole process: the leaks tracer reports then.
func Deinit() { C.gst_deinit() }

func cs(s string) *C.gchar { return (*C.gchar)(C.CString(s)) }

func csOrNil(s string) *C.gchar {
	if s == "" {
		return nil
	}
	return cs(s)
}

func free(s ...*C.gchar) {
	for _, p := range s {
		C.free(unsafe.Pointer(p))
	}
}

func gostr(s *C.gchar) string { return C.GoString((*C.char)(s)) }

// Element is an element that the test holds a reference to.
type Element struct{ p *C.GstElement }

// Make makes an element by factory name; name may be "".
func Make(factory, name string) (*Element, error) {
	Init()
	f, n := cs(factory), csOrNil(name)
	defer free(f, n)
	p := C.gst_element_factory_make(f, n)
	if p == nil {
		return nil, fmt.Errorf("no element %q", factory)
	}
	C.gst_object_ref_sink(C.gpointer(unsafe.Pointer(p)))
	return &Element{p}, nil
}

// MakeSubclass makes an instance of a new subclass of a factory's element, as a
// Python application may have one. name is its GType name, made when first used.
func MakeSubclass(factory, name string) (*Element, error) {
	e, err := Make(factory, "")
	if err != nil {
		return nil, err
	}
	defer e.Unref()
	n := cs(name)
	defer free(n)
	return &Element{(*C.GstElement)(C.ewt_new_subclass(e.p, (*C.char)(n)))}, nil
}

// Pointer is the GstElement.
func (e *Element) Pointer() unsafe.Pointer { return unsafe.Pointer(e.p) }

// Unref gives the reference back.
func (e *Element) Unref() { C.gst_object_unref(e.obj()) }

func (e *Element) obj() C.gpointer { return C.gpointer(unsafe.Pointer(e.p)) }

// Refs is the reference count.
func (e *Element) Refs() int { return int(C.ewt_refcount(e.obj())) }

// SetState asks for a state, and waits up to the timeout for it to be reached.
// timeout 0 does not wait.
func (e *Element) SetState(s State, timeout time.Duration) error {
	r := C.gst_element_set_state(e.p, C.GstState(s))
	if r == C.GST_STATE_CHANGE_FAILURE {
		return errors.New("the state change failed")
	}
	if timeout == 0 || r != C.GST_STATE_CHANGE_ASYNC {
		return nil
	}
	r = C.gst_element_get_state(e.p, nil, nil, C.GstClockTime(timeout))
	switch r {
	case C.GST_STATE_CHANGE_FAILURE:
		return errors.New("the state change failed")
	case C.GST_STATE_CHANGE_ASYNC:
		return fmt.Errorf("the state change took longer than %v", timeout)
	}
	return nil
}

// State is the state now.
func (e *Element) State() State {
	var s C.GstState
	C.gst_element_get_state(e.p, &s, nil, 0)
	return State(s)
}

// SendEOS sends an end-of-stream event to the element.
func (e *Element) SendEOS() bool { return C.gst_element_send_event(e.p, C.gst_event_new_eos()) != 0 }

// Link links by pad names, "" for any.
func (e *Element) Link(srcPad string, to *Element, sinkPad string) bool {
	a, b := csOrNil(srcPad), csOrNil(sinkPad)
	defer free(a, b)
	return C.gst_element_link_pads(e.p, a, to.p, b) != 0
}

// Pipeline is a pipeline with its bus.
type Pipeline struct{ Element }

// Launch makes a pipeline of a gst-launch-1.0 line.
func Launch(line string) (*Pipeline, error) {
	Init()
	l := cs(line)
	defer free(l)
	var err *C.GError
	p := C.gst_parse_launch(l, &err)
	if err != nil {
		defer C.g_error_free(err)
		if p != nil {
			C.gst_object_unref(C.gpointer(unsafe.Pointer(C.gst_object_ref_sink(C.gpointer(unsafe.Pointer(p))))))
		}
		return nil, errors.New(gostr(err.message))
	}
	C.gst_object_ref_sink(C.gpointer(unsafe.Pointer(p)))
	if C.g_type_check_instance_is_a((*C.GTypeInstance)(unsafe.Pointer(p)), C.gst_pipeline_get_type()) == 0 {
		pipe := C.gst_pipeline_new(nil) // a line of one element makes no pipeline
		C.gst_object_ref_sink(C.gpointer(unsafe.Pointer(pipe)))
		C.gst_bin_add((*C.GstBin)(unsafe.Pointer(pipe)), p)
		C.gst_object_unref(C.gpointer(unsafe.Pointer(p)))
		p = pipe
	}
	return &Pipeline{Element{p}}, nil
}

// Close stops the pipeline and frees it.
func (p *Pipeline) Close() {
	C.gst_element_set_state(p.p, C.GST_STATE_NULL)
	p.Unref()
}

// Add puts an element into the pipeline and brings it to the pipeline's state.
func (p *Pipeline) Add(e *Element) bool {
	return C.gst_bin_add((*C.GstBin)(unsafe.Pointer(p.p)), e.p) != 0 && C.gst_element_sync_state_with_parent(e.p) != 0
}

// Remove stops an element and takes it out of the pipeline.
func (p *Pipeline) Remove(e *Element) bool {
	C.gst_element_set_state(e.p, C.GST_STATE_NULL)
	return C.gst_bin_remove((*C.GstBin)(unsafe.Pointer(p.p)), e.p) != 0
}

// ByName finds an element in the pipeline; Unref it. nil if there is none.
func (p *Pipeline) ByName(name string) *Element {
	n := cs(name)
	defer free(n)
	if c := C.gst_bin_get_by_name((*C.GstBin)(unsafe.Pointer(p.p)), n); c != nil {
		return &Element{c}
	}
	return nil
}

// MessageType is a set of GstMessageTypes.
type MessageType uint32

// The messages that tests wait for.
const (
	EOS        MessageType = C.GST_MESSAGE_EOS
	Error      MessageType = C.GST_MESSAGE_ERROR
	Warning    MessageType = C.GST_MESSAGE_WARNING
	Info       MessageType = C.GST_MESSAGE_INFO
	ElementMsg MessageType = C.GST_MESSAGE_ELEMENT
)

// Message is a message from the bus.
type Message struct {
	Type   MessageType
	Source string // the element's name
	// Of an error, warning or info.
	Domain string // "gst-resource-error-quark" …
	Code   int
	Text   string
	Debug  string
	// Of an element message: its structure.
	Name   string
	Fields map[string]any
}

func (m *Message) String() string {
	if m == nil {
		return "no message"
	}
	switch m.Type {
	case EOS:
		return "EOS"
	case ElementMsg:
		return fmt.Sprintf("%s: message %s %v", m.Source, m.Name, m.Fields)
	}
	return fmt.Sprintf("%s: %s %d: %s\n%s", m.Source, m.Domain, m.Code, m.Text, m.Debug)
}

// Wait waits for the next message of one of the types and drops the others; nil
// if none came in time.
func (p *Pipeline) Wait(types MessageType, timeout time.Duration) *Message {
	bus := C.gst_pipeline_get_bus((*C.GstPipeline)(unsafe.Pointer(p.p)))
	defer C.gst_object_unref(C.gpointer(unsafe.Pointer(bus)))
	c := C.gst_bus_timed_pop_filtered(bus, C.GstClockTime(timeout), C.GstMessageType(types))
	if c == nil {
		return nil
	}
	defer C.gst_message_unref(c)
	m := &Message{Type: MessageType(C.ewt_message_type(c))}
	if src := C.ewt_message_src(c); src != nil {
		name := C.gst_object_get_name((*C.GstObject)(unsafe.Pointer(src)))
		m.Source = gostr(name)
		C.g_free(C.gpointer(name))
	}
	var e *C.GError
	var debug *C.gchar
	switch m.Type {
	case Error:
		C.gst_message_parse_error(c, &e, &debug)
	case Warning:
		C.gst_message_parse_warning(c, &e, &debug)
	case Info:
		C.gst_message_parse_info(c, &e, &debug)
	case ElementMsg:
		m.Name, m.Fields = structure(C.gst_message_get_structure(c))
	}
	if e != nil {
		m.Domain, m.Code, m.Text = gostr(C.g_quark_to_string(e.domain)), int(e.code), gostr(e.message)
		m.Debug = gostr(debug)
		C.g_error_free(e)
		C.g_free(C.gpointer(debug))
	}
	return m
}

// Run plays the pipeline until EOS or an error, and stops it. The error of the
// bus, or of time running out, is returned.
func (p *Pipeline) Run(timeout time.Duration) error {
	err := p.SetState(Playing, 0)
	m := p.Wait(EOS|Error, timeout)
	p.SetState(Null, 0)
	switch {
	case m == nil && err != nil:
		return err
	case m == nil:
		return fmt.Errorf("neither EOS nor an error in %v", timeout)
	case m.Type == Error:
		return errors.New(m.String())
	}
	return nil
}
