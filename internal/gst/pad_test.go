// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// spreader sends what comes in on sink to every src_%u.
type spreader struct {
	*Element
	sink *Pad
	mu   sync.Mutex
	srcs []*Pad
	in   atomic.Uint64
}

func (s *spreader) RequestPad(template, name string, _ Caps) *Pad {
	if name == "refused" {
		return nil
	}
	p := s.NewPad(template, name, PadFuncs{})
	p.SetActive(true)
	if !s.AddPad(p) {
		return nil
	}
	p.PushStart("spread/"+p.Name(), "text/x-raw")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srcs = append(s.srcs, p)
	return p
}

func (s *spreader) ReleasePad(p *Pad) {
	s.mu.Lock()
	for i, q := range s.srcs {
		if p == q {
			s.srcs = append(s.srcs[:i:i], s.srcs[i+1:]...)
		}
	}
	s.mu.Unlock()
	s.RemovePad(p)
}

func (s *spreader) each(f func(*Pad)) {
	s.mu.Lock()
	srcs := s.srcs
	s.mu.Unlock()
	for _, p := range srcs {
		f(p)
	}
}

func (s *spreader) chain(_ *Pad, b Buffer) FlowReturn {
	s.in.Add(1)
	s.each(func(p *Pad) { p.Push(b.Ref()) })
	b.Unref()
	return FlowOK
}

func (s *spreader) chainList(_ *Pad, l BufferList) FlowReturn {
	s.in.Add(uint64(l.Len()))
	s.each(func(p *Pad) {
		for i := range l.Len() {
			p.Push(l.At(i).Ref())
		}
	})
	l.Unref()
	return FlowOK
}

func (s *spreader) event(p *Pad, ev Event) bool {
	if ev.Type() == EventEOS {
		s.each(func(p *Pad) { p.PushEvent(NewEOS()) })
	}
	return p.EventDefault(ev)
}

var _ = factory("ewtspread", &Class{
	Parent: ParentElement,
	Proto:  (*spreader)(nil),
	Pads: []PadTemplate{sinkAny,
		{Name: "src_%u", Direction: PadSrc, Presence: PadRequest, Caps: "ANY"}},
	New: func(e *Element) any {
		s := &spreader{Element: e}
		s.sink = e.NewPad("sink", "", PadFuncs{Chain: s.chain, ChainList: s.chainList, Event: s.event,
			Query: func(p *Pad, q Query) bool { return p.QueryDefault(q) }})
		e.AddPad(s.sink)
		return s
	},
})

// binned is a bin whose sinks are ghosts of identities.
type binned struct {
	*Element
	n        atomic.Int32
	released atomic.Int32
}

func (b *binned) RequestPad(template, name string, _ Caps) *Pad {
	c, err := b.AddChild("fakesink", fmt.Sprint("child", b.n.Add(1)))
	if err != nil {
		panic(err)
	}
	p := b.GhostChildPad(template, name, c, "sink")
	if !b.AddPad(p) {
		return nil
	}
	return p
}

func (b *binned) ReleasePad(p *Pad) {
	b.released.Add(1)
	b.RemovePad(p)
}

var _ = factory("ewtbin", &Class{
	Parent: ParentBin,
	Proto:  (*binned)(nil),
	Pads: []PadTemplate{sinkAny, srcAny,
		{Name: "sink_%u", Direction: PadSink, Presence: PadRequest, Caps: "ANY"}},
	New: func(e *Element) any {
		a, err := e.AddChild("identity", "first")
		if err != nil {
			panic(err)
		}
		b, _ := e.AddChild("identity", "second")
		if !a.Link("", b, "") {
			panic("no link")
		}
		e.AddPad(e.GhostChildPad("sink", "", a, "sink"))
		e.AddPad(e.GhostChildPad("src", "", b, "src"))
		return &binned{Element: e}
	},
})

func TestRequestPads(t *testing.T) {
	e := makeElement(t, "ewtspread")
	defer e.Unref()
	before := handles.live()
	a, b, c := e.RequestPad("src_%u"), e.RequestPad("src_5"), e.RequestPad("src_%u")
	if a.Name() != "src_0" || b.Name() != "src_5" || c.Name() != "src_1" {
		t.Errorf("names %s %s %s", a.Name(), b.Name(), c.Name())
	}
	if e.StaticPad("sink") == nil {
		t.Error("the sink pad has not its template's name")
	}
	pad := instOf[spreader](t, e).srcs[0]
	e.Release(a)
	e.Release(b)
	e.Release(c)
	if n := handles.live(); n != before {
		t.Errorf("%d handles are left", n-before)
	}
	// A Go pad after its end does nothing, and does not crash.
	buf := NewBuffer([]byte("x"))
	if pad.Push(buf.Ref()) != FlowFlushing || pad.PushLocked(buf.Ref()) != FlowFlushing || pad.PushEvent(NewEOS()) ||
		pad.PushEventLocked(NewEOS()) || pad.Name() != "" || pad.SetActive(true) || pad.EventDefault(NewEOS()) {
		t.Error("a removed pad is alive")
	}
	if !buf.IsWritable() {
		t.Error("a push to a removed pad keeps the buffer")
	}
	buf.Unref()
	inst := instOf[spreader](t, e)
	if inst.AddPad(pad) || inst.RemovePad(pad) {
		t.Error("a removed pad was added or removed again")
	}
}

func TestGhostAndReleaseInABin(t *testing.T) {
	p := launch(t, "appsrc name=in caps=text/x-raw ! ewtbin name=b ! appsink name=out sync=false")
	in, out, bin := byName(t, p, "in"), byName(t, p, "out"), byName(t, p, "b")
	setState(t, bin, gsttest.Ready)
	if err := p.SetState(gsttest.Playing, 0); err != nil {
		t.Fatal(err)
	}
	in.Push([]byte("through"), 0, gsttest.None)
	if s := out.Pull(patience); s == nil || string(s.Data) != "through" {
		t.Fatalf("got %v", s)
	}
	x := bin.RequestPad("sink_%u")
	y := bin.RequestPad("sink_%u")
	if x.Name() != "sink_0" || y.Name() != "sink_1" || !x.IsActive() {
		t.Errorf("%s %s", x.Name(), y.Name())
	}
	bin.Release(x)
	if n := instOf[binned](t, bin).released.Load(); n != 1 {
		t.Errorf("released %d pads", n)
	}
	y.Unref() // the bin's end releases it
}

// Several threads request and release pads, each with a sink behind it, while
// data flows through all of them.
func TestRequestAndReleaseWhileDataFlows(t *testing.T) {
	before := handles.live()
	p, err := gsttest.Launch("fakesrc sizetype=fixed sizemax=8 is-live=false ! ewtspread name=s ! fakesink sync=false async=false")
	if err != nil {
		t.Fatal(err)
	}
	s := p.ByName("s")
	inst := instOf[spreader](t, s)
	if err := p.SetState(gsttest.Playing, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "data", func() bool { return inst.in.Load() > 100 })
	var wg sync.WaitGroup
	var received atomic.Uint64
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				sink, err := gsttest.Make("fakesink", "")
				if err != nil {
					t.Error(err)
					return
				}
				sink.Set("sync", "false")
				sink.Set("async", "false")
				p.Add(sink)
				src := s.RequestPad("src_%u")
				in := sink.StaticPad("sink")
				var here atomic.Uint64
				remove := in.Probe(func(b *gsttest.Sample, _ string) {
					if b != nil {
						here.Add(1)
					}
				})
				if !src.Link(in) {
					t.Error("no link")
				}
				for end := time.Now().Add(time.Second); here.Load() == 0 && time.Now().Before(end); {
					time.Sleep(200 * time.Microsecond)
				}
				received.Add(here.Load())
				remove()
				s.Release(src)
				in.Unref()
				p.Remove(sink)
				sink.Unref()
			}
		}()
	}
	wg.Wait()
	in := inst.in.Load()
	eventually(t, "more data", func() bool { return inst.in.Load() > in })
	if received.Load() < 150 {
		t.Errorf("only %d buffers reached the 200 branches", received.Load())
	}
	if m := p.Wait(gsttest.Error, 0); m != nil {
		t.Error(m)
	}
	s.Unref()
	within(t, patience, "Close", p.Close)
	for end := time.Now().Add(patience); handles.live() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d handles are left: %s", handles.live()-before, liveNames())
		}
	}
}

func TestReleaseThatPanicsStillReleases(t *testing.T) {
	before := handles.live()
	e := makeElement(t, "ewtpanic")
	pad := e.RequestPad("src_%u")
	e.Set("at", "release_pad")
	e.Release(pad)
	within(t, patience, "the last unref", e.Unref)
	if n := handles.live(); n != before {
		t.Errorf("%d handles are left", n-before)
	}
}

func TestARefusedRequestIsNil(t *testing.T) {
	e := makeElement(t, "ewtspread")
	defer e.Unref()
	first := e.RequestPad("src_3")
	if first == nil {
		t.Fatal("no pad")
	}
	expectedCriticals += 2 // GStreamer warns of it
	if again := e.RequestPad("src_3"); again != nil {
		t.Error("the same name twice")
	}
	e.Release(first)
}

func TestAddChildErrors(t *testing.T) {
	e := makeElement(t, "ewtbin")
	defer e.Unref()
	inst := instOf[binned](t, e)
	if _, err := inst.AddChild("no-such-element", ""); err == nil || err.Error() !=
		`no element "no-such-element": install the GStreamer plugin that has it (gst-inspect-1.0 no-such-element must know it)` {
		t.Errorf("%v", err)
	}
}
