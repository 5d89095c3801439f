// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// trap is what the panicking elements share: the callback that property "at"
// names panics.
type trap struct{ at atomic.Pointer[string] }

func (x *trap) spring(where string) {
	if at := x.at.Load(); at != nil && *at == where {
		panic("boom at " + where)
	}
}

type trapped interface{ get() *trap }

func (x *trap) get() *trap { return x }

// trapProps are its properties; set-panics and get-panics are what they say.
func trapProps[T any]() []Property {
	of := func(i *T) *trap { return any(i).(trapped).get() }
	return []Property{
		StringProp("at", "Where to panic", "", 0, nil, func(i *T, s string) { of(i).at.Store(&s) }),
		StringProp("set-panics", "Panics", "", 0, nil, func(i *T, s string) { of(i).spring("set_property") }),
		StringProp("get-panics", "Panics", "", 0, func(i *T) string { of(i).spring("get_property"); return "" }, nil),
	}
}

type panicTransform struct {
	*Element
	trap
}

func (p *panicTransform) Start() bool            { p.spring("start"); return true }
func (p *panicTransform) Stop() bool             { p.spring("stop"); return true }
func (p *panicTransform) SetCaps(_, _ Caps) bool { p.spring("set_caps"); return true }
func (p *panicTransform) GenerateOutput() (Buffer, FlowReturn) {
	p.spring("generate_output")
	return Buffer{}, FlowOK
}
func (p *panicTransform) TransformIP(Buffer) FlowReturn {
	p.spring("transform_ip")
	return FlowOK
}
func (p *panicTransform) TransformCaps(_ PadDirection, c Caps) Caps {
	p.spring("transform_caps")
	return c.Ref()
}
func (p *panicTransform) SubmitInput(b Buffer) FlowReturn {
	defer b.Unref()
	p.spring("submit_input_buffer")
	return FlowOK
}
func (p *panicTransform) SinkEvent(ev Event) bool {
	if ev.Type() == EventCustomDown {
		defer ev.Unref()
		p.spring("an event")
		return true
	}
	return p.ParentEvent(SinkSide, ev)
}
func (p *panicTransform) SrcEvent(ev Event) bool {
	if ev.Type() == EventCustomUp {
		defer ev.Unref()
		p.spring("an event")
		return true
	}
	return p.ParentEvent(SrcSide, ev)
}
func (p *panicTransform) Query(s Side, q Query) bool {
	if q.TypeName() == "latency" {
		p.spring("a query")
	}
	return p.ParentQuery(s, q)
}

var _ = factory("ewtpanictransform", &Class{
	Parent: ParentBaseTransform, Proto: (*panicTransform)(nil), Pads: []PadTemplate{sinkAny, srcAny},
	New:        func(e *Element) any { return &panicTransform{Element: e} },
	Properties: trapProps[panicTransform](),
	Signals: []Signal{
		{Name: "act", Action: true, Handler: func(i any, _ []any) any { i.(*panicTransform).spring("a signal handler"); return nil }},
		{Name: "generate", Action: true, Handler: func(i any, _ []any) any { i.(*panicTransform).SetGenerate(true); return nil }},
	},
})

type panicSink struct {
	*Element
	trap
}

func (p *panicSink) Unlock(bool)                      { p.spring("unlock") }
func (p *panicSink) Render(Buffer) FlowReturn         { p.spring("render"); return FlowOK }
func (p *panicSink) RenderList(BufferList) FlowReturn { p.spring("render_list"); return FlowOK }

var _ = factory("ewtpanicsink", &Class{
	Parent: ParentBaseSink, Proto: (*panicSink)(nil), Pads: []PadTemplate{sinkAny},
	New:        func(e *Element) any { e.SetAsync(false); e.SetSync(false); return &panicSink{Element: e} },
	Properties: trapProps[panicSink](),
})

type panicSrc struct {
	*Element
	trap
}

func (p *panicSrc) Create() (Buffer, FlowReturn) {
	p.spring("create")
	if at := p.at.Load(); at != nil && *at == "nil buffer" {
		return Buffer{}, FlowOK
	}
	return NewBuffer([]byte("x")), FlowOK
}

var _ = factory("ewtpanicsrc", &Class{
	Parent: ParentPushSrc, Proto: (*panicSrc)(nil), Pads: []PadTemplate{srcAny},
	New:        func(e *Element) any { return &panicSrc{Element: e} },
	Properties: trapProps[panicSrc](),
})

type panicElement struct {
	*Element
	trap
}

func (p *panicElement) ChangeState(t StateChange) StateChangeReturn {
	p.spring("change_state")
	return p.ParentChangeState(t)
}
func (p *panicElement) RequestPad(template, name string, _ Caps) *Pad {
	p.spring("request_new_pad")
	pad := p.NewPad(template, name, PadFuncs{})
	p.AddPad(pad)
	return pad
}
func (p *panicElement) ReleasePad(pad *Pad) { p.spring("release_pad"); p.RemovePad(pad) }
func (p *panicElement) Finalize()           { p.spring("finalize") }

var _ = factory("ewtpanic", &Class{
	Parent: ParentElement, Proto: (*panicElement)(nil),
	Pads: []PadTemplate{sinkAny, {Name: "src_%u", Direction: PadSrc, Presence: PadRequest, Caps: "ANY"}},
	New: func(e *Element) any {
		p := &panicElement{Element: e}
		e.AddPad(e.NewPad("sink", "", PadFuncs{
			Chain:     func(_ *Pad, b Buffer) FlowReturn { defer b.Unref(); p.spring("chain"); return FlowOK },
			ChainList: func(_ *Pad, l BufferList) FlowReturn { defer l.Unref(); p.spring("chain_list"); return FlowOK },
			Event: func(pad *Pad, ev Event) bool {
				if ev.Type() == EventCustomDown {
					defer ev.Unref()
					p.spring("a pad event")
					return true
				}
				return pad.EventDefault(ev)
			},
			Query:        func(pad *Pad, q Query) bool { p.spring("a pad query"); return pad.QueryDefault(q) },
			ActivateMode: func(*Pad, bool, bool) bool { p.spring("activate_mode"); return true },
		}))
		return p
	},
	Properties: trapProps[panicElement](),
})

type stillborn struct{ *Element }

func (*stillborn) Start() bool { return true }

var _ = factory("ewtstillborn", &Class{
	Parent: ParentBaseTransform, Proto: (*stillborn)(nil), Pads: []PadTemplate{sinkAny, srcAny},
	New:        func(e *Element) any { panic("boom in New") },
	Properties: []Property{StringProp("p", "p", "", 0, func(*stillborn) string { return "" }, func(*stillborn, string) {})},
})

var _ = factory("ewtwrongtype", &Class{
	Parent: ParentElement, Proto: (*stillborn)(nil), New: func(e *Element) any { return e },
})

func TestPanicsBecomeErrors(t *testing.T) {
	type env struct {
		p *gsttest.Pipeline
		x *gsttest.Element
	}
	play := func(e env) { e.p.SetState(gsttest.Playing, 0) }
	const transform, sink, src, element = "audiotestsrc num-buffers=3 ! ewtpanictransform name=x ! fakesink async=false",
		"fakesrc num-buffers=3 ! ewtpanicsink name=x", "ewtpanicsrc num-buffers=3 name=x ! fakesink async=false", "ewtpanic name=x"
	onPad := func(f func(*gsttest.Pad)) func(env) {
		return func(e env) {
			e.p.SetState(gsttest.Playing, 0)
			p := e.x.StaticPad("sink")
			defer p.Unref()
			p.Start("")
			f(p)
		}
	}
	chain := onPad(func(p *gsttest.Pad) {
		if p.Chain([]byte("x")) >= 0 {
			t.Error("a chain that panicked gives success")
		}
	})
	list := onPad(func(p *gsttest.Pad) { p.ChainList([]byte("x"), 3) })
	for _, c := range []struct {
		at, line string
		act      func(env)
	}{
		{"start", transform, play},
		{"set_caps", "audiotestsrc num-buffers=3 ! ewtpanictransform name=x ! fakesink async=false", play},
		{"transform_ip", "audiotestsrc num-buffers=3 ! ewtpanictransform name=x ! fakesink async=false", play},
		{"transform_caps", "audiotestsrc num-buffers=3 ! ewtpanictransform name=x ! fakesink async=false", play},
		{"submit_input_buffer", transform, func(e env) { e.x.Emit("generate"); play(e) }},
		{"generate_output", transform, func(e env) { e.x.Emit("generate"); play(e) }},
		{"an event", "ewtpanictransform name=x", onPad(func(p *gsttest.Pad) { p.Event("hello") })},
		{"an event", "ewtpanictransform name=x", func(e env) {
			play(e)
			p := e.x.StaticPad("src")
			defer p.Unref()
			p.Event("hello")
		}},
		{"a query", "ewtpanictransform name=x", onPad(func(p *gsttest.Pad) { p.QueryLatency() })},
		{"a signal handler", transform, func(e env) { e.x.Emit("act") }},
		{"set_property", transform, func(e env) { e.x.Set("set-panics", "x") }},
		{"get_property", transform, func(e env) { e.x.Get("get-panics") }},
		{"stop", transform, func(e env) { e.p.SetState(gsttest.Paused, 0); e.p.SetState(gsttest.Ready, 0) }},
		{"render", sink, play},
		{"render_list", "ewtpanicsink name=x", list},
		{"unlock", sink, func(e env) { play(e); e.p.Wait(gsttest.EOS, patience); e.p.SetState(gsttest.Ready, 0) }},
		{"create", src, play},
		{"nil buffer", src, play},
		{"change_state", element, play},
		{"request_new_pad", element, func(e env) {
			if e.x.RequestPad("src_%u") != nil {
				t.Error("a pad after a panic")
			}
		}},
		{"release_pad", element, func(e env) { e.x.Release(e.x.RequestPad("src_%u")) }},
		{"chain", element, chain},
		{"chain_list", element, list},
		{"a pad event", element, onPad(func(p *gsttest.Pad) { p.Event("hello") })},
		{"a pad query", element, onPad(func(p *gsttest.Pad) { p.QueryLatency() })},
		{"activate_mode", element, play},
	} {
		t.Run(strings.ReplaceAll(c.at, " ", "-"), func(t *testing.T) {
			p := launch(t, c.line)
			x := byName(t, p, "x")
			x.Set("at", c.at)
			c.act(env{p, x})
			m := p.Wait(gsttest.Error, patience)
			x.Set("at", "") // it may live on and be stopped in peace
			where, what, file := c.at, "boom at "+c.at, "panic_test.go("
			if c.at == "nil buffer" {
				where, what, file = "create", "FlowOK without a buffer", "exports.go("
			}
			if m == nil || m.Source != "x" || m.Domain != "gst-core-error-quark" || m.Code != 1 ||
				!strings.Contains(m.Text, "internal error in "+where+": ") || !strings.Contains(m.Text, what) {
				t.Fatalf("got %v", m)
			}
			if !strings.HasPrefix(m.Debug, file) || !strings.Contains(m.Debug, "goroutine ") || !strings.Contains(m.Debug, "/internal/gst/"+strings.TrimSuffix(file, "(")+":") {
				t.Errorf("the debug text does not lead to the place:\n%s", m.Debug)
			}
		})
	}
}

// An element whose ChangeState panics on the way down can still be stopped and freed.
func TestPanicOnTheWayDown(t *testing.T) {
	before := handles.live()
	p, err := gsttest.Launch("ewtpanic name=x")
	if err != nil {
		t.Fatal(err)
	}
	x := p.ByName("x")
	setState(t, &p.Element, gsttest.Playing)
	x.Set("at", "change_state")
	setState(t, &p.Element, gsttest.Ready)
	if m := p.Wait(gsttest.Error, patience); m == nil || !strings.Contains(m.Text, "boom at change_state") {
		t.Errorf("got %v", m)
	}
	sink := x.StaticPad("sink")
	if sink.IsActive() || x.State() != gsttest.Ready {
		t.Errorf("the state is %d, the pad active: %v", x.State(), sink.IsActive())
	}
	sink.Unref()
	setState(t, &p.Element, gsttest.Null)
	x.Unref()
	p.Close()
	if handles.live() != before {
		t.Error("the handles are not free")
	}
}

func TestPanicInFinalizeIsLogged(t *testing.T) {
	before := handles.live()
	e := makeElement(t, "ewtpanic")
	e.Set("at", "finalize")
	e.Unref()
	if l := findLog(t, "boom at finalize"); l.Category != "edgewire" || l.Level != int(LevelError) {
		t.Errorf("%+v", l)
	}
	if handles.live() != before {
		t.Error("the handles are not free")
	}
}

func TestPanicInNew(t *testing.T) {
	before := handles.live()
	for factory, want := range map[string]string{
		"ewtstillborn": "boom in New", "ewtwrongtype": "New of Ewtwrongtype gives *gst.Element, Proto says *gst.stillborn",
	} {
		p, err := gsttest.Launch(factory + " name=x")
		if err != nil {
			t.Fatal(err)
		}
		x := p.ByName("x")
		if factory == "ewtstillborn" {
			x.Set("p", "kept away from the instance")
			x.Get("p")
		}
		if err := p.SetState(gsttest.Playing, 0); err == nil {
			t.Error("a stillborn element starts")
		}
		m := p.Wait(gsttest.Error, patience)
		if m == nil || m.Source != "x" || !strings.Contains(m.Text, want) {
			t.Errorf("got %v", m)
		}
		x.Unref()
		p.Close()
	}
	if handles.live() != before {
		t.Error("the handles are not free")
	}
}
