// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Parent is the GStreamer class that an element derives from.
type Parent int

// The parents.
const (
	ParentElement       Parent = C.EW_PARENT_ELEMENT
	ParentBin           Parent = C.EW_PARENT_BIN
	ParentBaseTransform Parent = C.EW_PARENT_BASE_TRANSFORM
	ParentBaseSink      Parent = C.EW_PARENT_BASE_SINK
	ParentPushSrc       Parent = C.EW_PARENT_PUSH_SRC
)

// PadTemplate describes a kind of pad.
type PadTemplate struct {
	Name      string // "sink", "src", "sink_%u" …
	Direction PadDirection
	Presence  PadPresence
	Caps      string // "ANY" or a caps string
}

// Accumulator decides what a signal with several handlers returns.
type Accumulator int

// The accumulators. RUN_LAST signals call the class's own handler last:
// without one of these it has the final word.
const (
	AccNone         Accumulator = C.EW_ACC_NONE           // the last handler wins
	AccFirstNonNull Accumulator = C.EW_ACC_FIRST_NON_NULL // stop at the first answer that is not NULL
	AccTrueHandled  Accumulator = C.EW_ACC_TRUE_HANDLED   // stop at the first TRUE
	AccAllTrue      Accumulator = C.EW_ACC_ALL_TRUE       // stop at the first FALSE
	AccFirstWins    Accumulator = C.EW_ACC_FIRST_WINS     // stop at the first handler
)

// Signal is a signal of an element, run last.
type Signal struct {
	Name        string
	Params      []Type
	Return      Type // 0 or TypeNone for nothing
	Accumulator Accumulator
	// Action marks a signal that the application emits to make the element act.
	Action bool
	// Handler is the class's own handler; it must be there for an action.
	// Caps, Buffer and Object among the arguments are borrowed; as the answer
	// they are handed over.
	Handler func(inst any, args []any) any
}

// Class describes an element. What the element does is told by the interfaces
// of this package that its instances implement.
type Class struct {
	Name        string // GType name
	Parent      Parent
	LongName    string
	Klass       string // "Sink/Network" …
	Description string
	Author      string
	Pads        []PadTemplate
	Properties  []Property
	Signals     []Signal
	// Proto is a nil pointer of the instance's type: it tells the interfaces.
	Proto any
	// New makes the instance for an element that is being created; pads are
	// added here. It must return the type of Proto; if it panics, the element
	// refuses to leave NULL and posts why.
	New func(*Element) any

	once sync.Once
	c    *C.EwClass
	err  error
}

// What an instance may implement. BT, BS and PS name the parents that call it.
type (
	// StateChanger replaces change_state; it calls Element.ParentChangeState.
	StateChanger interface {
		ChangeState(StateChange) StateChangeReturn
	}
	// PadRequester has request pads. RequestPad returns a pad that it has
	// added by AddPad, or nil; name is "" when the caller leaves it open.
	PadRequester interface {
		RequestPad(template, name string, caps Caps) *Pad
		// ReleasePad ends in Element.RemovePad; the layer does it otherwise.
		ReleasePad(*Pad)
	}
	// StartStopper opens and closes what the element needs (BT, BS, PS):
	// READY→PAUSED and PAUSED→READY. A Start that fails posts an error first.
	// Stopping cannot be refused: Stop's answer is ignored.
	StartStopper interface {
		Start() bool
		Stop() bool
	}
	// CapsSetter learns the caps (BT: both sides; BS, PS: out is nil).
	CapsSetter interface {
		SetCaps(in, out Caps) bool
	}
	// InPlaceTransformer works on a writable buffer (BT).
	InPlaceTransformer interface {
		TransformIP(Buffer) FlowReturn
	}
	// CapsTransformer tells the other side's caps (BT). It returns new caps;
	// the filter is applied by the layer.
	CapsTransformer interface {
		TransformCaps(from PadDirection, caps Caps) Caps
	}
	// Generator makes output buffers of its own while Element.SetGenerate is
	// on (BT). SubmitInput owns its buffer; GenerateOutput gives a nil Buffer
	// when there is no more.
	Generator interface {
		SubmitInput(Buffer) FlowReturn
		GenerateOutput() (Buffer, FlowReturn)
	}
	// SinkEventer handles events that come from upstream (BT, BS); it owns
	// the event and passes it to Element.ParentEvent, or Unrefs it.
	SinkEventer interface {
		SinkEvent(Event) bool
	}
	// SrcEventer handles events that come from downstream (BT, PS).
	SrcEventer interface {
		SrcEvent(Event) bool
	}
	// Querier answers queries (BT, BS, PS) or passes on to Element.ParentQuery.
	Querier interface {
		Query(Side, Query) bool
	}
	// Renderer consumes a buffer (BS), which stays the caller's.
	Renderer interface {
		Render(Buffer) FlowReturn
	}
	// ListRenderer consumes a list (BS).
	ListRenderer interface {
		RenderList(BufferList) FlowReturn
	}
	// Unlocker ends a wait in Render or Create at once (true), and allows
	// waiting again (false) (BS, PS). A sink that waits in Render before it plays
	// holds up PAUSED→PLAYING: basesink unlocks on the way down only.
	Unlocker interface {
		Unlock(bool)
	}
	// Creator makes the next buffer (PS), which is handed over.
	Creator interface {
		Create() (Buffer, FlowReturn)
	}
	// Finalizer frees what the instance holds, when the element goes away.
	Finalizer interface {
		Finalize()
	}
)

var (
	classesMu sync.RWMutex
	classes   []*Class
)

func classAt(i C.guint) *Class {
	classesMu.RLock()
	defer classesMu.RUnlock()
	return classes[i]
}

func has[I any](v any, flag C.guint) C.guint {
	if _, ok := v.(I); ok {
		return flag
	}
	return 0
}

// register makes the GType, once.
func (c *Class) register() error {
	c.once.Do(func() {
		defer func() {
			if v := recover(); v != nil {
				c.err = fmt.Errorf("cannot register %s: %v", c.Name, v)
			}
		}()
		classesMu.Lock()
		index := len(classes)
		classes = append(classes, c)
		classesMu.Unlock()

		k := (*C.EwClass)(C.g_malloc0(C.sizeof_EwClass)) // GLib keeps it
		c.c = k
		k.index = C.guint(index)
		k.parent = C.int(c.Parent)
		k.long_name = cString(c.LongName)
		k.klass = cString(c.Klass)
		k.description = cString(c.Description)
		k.author = cString(c.Author)
		k.flags = has[StateChanger](c.Proto, C.EW_CHANGE_STATE) |
			has[PadRequester](c.Proto, C.EW_REQUEST_PAD) |
			has[StartStopper](c.Proto, C.EW_START_STOP) |
			has[CapsSetter](c.Proto, C.EW_SET_CAPS) |
			has[InPlaceTransformer](c.Proto, C.EW_TRANSFORM_IP) |
			has[CapsTransformer](c.Proto, C.EW_TRANSFORM_CAPS) |
			has[Generator](c.Proto, C.EW_GENERATE) |
			has[SinkEventer](c.Proto, C.EW_SINK_EVENT) |
			has[SrcEventer](c.Proto, C.EW_SRC_EVENT) |
			has[Querier](c.Proto, C.EW_QUERY) |
			has[Renderer](c.Proto, C.EW_RENDER) |
			has[ListRenderer](c.Proto, C.EW_RENDER_LIST) |
			has[Unlocker](c.Proto, C.EW_UNLOCK) |
			has[Creator](c.Proto, C.EW_CREATE) |
			has[SrcCapser](c.Proto, C.EW_SRC_CAPS)

		k.n_pads = C.guint(len(c.Pads))
		k.pads = (*C.EwPadTemplate)(C.g_malloc0(C.gsize(len(c.Pads)+1) * C.sizeof_EwPadTemplate))
		for i, p := range c.Pads {
			NewCaps(p.Caps).Unref() // panics if they are none
			*at(k.pads, i) = C.EwPadTemplate{
				name: cString(p.Name), caps: cString(p.Caps),
				direction: C.GstPadDirection(p.Direction), presence: C.GstPadPresence(p.Presence),
			}
		}
		k.n_props = C.guint(len(c.Properties))
		k.props = (**C.GParamSpec)(C.g_malloc0(C.gsize(len(c.Properties)+1) * C.gsize(unsafe.Sizeof(uintptr(0)))))
		for i := range c.Properties {
			*at(k.props, i) = c.Properties[i].paramSpec()
		}
		k.n_signals = C.guint(len(c.Signals))
		k.signals = (*C.EwSignal)(C.g_malloc0(C.gsize(len(c.Signals)+1) * C.sizeof_EwSignal))
		for i, s := range c.Signals {
			ret := s.Return
			if ret == 0 {
				ret = TypeNone
			}
			params := (*C.GType)(C.g_malloc0(C.gsize(len(s.Params)+1) * C.sizeof_GType))
			for j, t := range s.Params {
				*at(params, j) = C.GType(t)
			}
			*at(k.signals, i) = C.EwSignal{
				name: cString(s.Name), ret: C.GType(ret), n_params: C.guint(len(s.Params)), params: params,
				action: gbool(s.Action), handler: gbool(s.Handler != nil), accumulator: C.int(s.Accumulator),
			}
		}
		if C.ew_register_type(cString(c.Name), k) == 0 {
			c.err = fmt.Errorf("cannot register the GType %s: another plugin in this process has the same name", c.Name)
		}
	})
	return c.err
}

func (c *Class) signal(name string) (*Signal, *C.EwSignal) {
	for i := range c.Signals {
		if c.Signals[i].Name == name {
			return &c.Signals[i], at(c.c.signals, i)
		}
	}
	panic(c.Name + " has no signal " + name)
}

// at is element i of a C array.
func at[T any](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), uintptr(i)*unsafe.Sizeof(*p)))
}

// Plugin is a GstPlugin that is being loaded; nil registers without one.
type Plugin struct{ p unsafe.Pointer }

// PluginFrom makes a Plugin of the pointer that plugin_init got.
func PluginFrom(p unsafe.Pointer) Plugin { return Plugin{p} }

// Register registers the class as an element factory.
func (p Plugin) Register(factory string, rank Rank, c *Class) error {
	if err := c.register(); err != nil {
		return err
	}
	n := C.CString(factory)
	defer C.free(unsafe.Pointer(n))
	if C.ew_element_register(C.gpointer(p.p), n, C.guint(rank), c.c._type) == 0 {
		return fmt.Errorf("GStreamer refuses the element factory %s", factory)
	}
	return nil
}

// StaticPlugin describes a plugin that is linked into the program.
type StaticPlugin struct {
	Name, Description, Version, License, Source, Package, Origin string
	Init                                                         func(Plugin) error
}

var staticPlugins struct {
	sync.Mutex
	list []*staticPlugin
}

type staticPlugin struct {
	init func(Plugin) error
	err  error // of init
}

// RegisterStatic registers a plugin without a file, for programs that link the
// elements in. It initialises GStreamer if that was not done yet.
func RegisterStatic(s *StaticPlugin) error {
	staticPlugins.Lock()
	i := len(staticPlugins.list)
	p := &staticPlugin{init: s.Init}
	staticPlugins.list = append(staticPlugins.list, p)
	staticPlugins.Unlock()
	ok := C.ew_plugin_register_static(cString(s.Name), cString(s.Description), cString(s.Version), cString(s.License),
		cString(s.Source), cString(s.Package), cString(s.Origin), C.guint(i))
	// GStreamer has called init before it returned.
	if p.err != nil {
		return p.err
	}
	if ok == 0 {
		return fmt.Errorf("GStreamer refuses the static plugin %s", s.Name)
	}
	return nil
}
