// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// collector is a sink that notes what it sees; with wait it blocks in Render
// until it is unlocked.
type collector struct {
	*Element
	mu      sync.Mutex
	notes   []string
	wait    atomic.Bool
	inside  atomic.Bool
	unlock  chan struct{}
	running atomic.Bool
}

func (c *collector) note(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, s)
}
func (c *collector) Start() bool { c.note("start"); return true }
func (c *collector) Stop() bool  { c.note("stop"); return true }
func (c *collector) SetCaps(in, out Caps) bool {
	c.note("caps " + in.String() + " " + out.String())
	return true
}
func (c *collector) Render(b Buffer) FlowReturn {
	b.Map(func(d []byte) { c.note("buffer " + string(d)) })
	if _, ok := c.RunningTime(); ok {
		c.running.Store(true)
	}
	if c.wait.Load() {
		c.inside.Store(true)
		<-c.unlock
		return FlowFlushing
	}
	return FlowOK
}
func (c *collector) RenderList(l BufferList) FlowReturn {
	c.note("list of " + string(rune('0'+l.Len())))
	return FlowOK
}
func (c *collector) Unlock(on bool) {
	if on {
		c.note("unlock")
		close(c.unlock)
	} else {
		c.note("unlock-stop")
		c.unlock = make(chan struct{})
	}
}
func (c *collector) SinkEvent(ev Event) bool {
	switch ev.Type() {
	case EventStreamStart:
		c.note("stream " + map[bool]string{true: "with id", false: "without id"}[ev.StreamID() != ""])
	case EventCaps:
		c.note("caps event " + ev.Caps().String())
	case EventCustomDown:
		c.note("custom " + ev.Structure().Name)
	case EventEOS:
		c.note("eos")
	}
	return c.ParentEvent(SinkSide, ev)
}
func (c *collector) Query(s Side, q Query) bool {
	c.note("query " + q.TypeName())
	return c.ParentQuery(s, q)
}

var _ = factory("ewtcollect", &Class{
	Parent: ParentBaseSink, Proto: (*collector)(nil), Pads: []PadTemplate{sinkAny},
	New: func(e *Element) any {
		e.SetSync(false)
		e.SetAsync(false)
		e.SetLastSample(false)
		return &collector{Element: e, unlock: make(chan struct{})}
	},
})

func TestBaseSink(t *testing.T) {
	p := launch(t, "ewtcollect name=x")
	x := byName(t, p, "x")
	c := instOf[collector](t, x)
	setState(t, &p.Element, gsttest.Playing)
	if x.Get("sync") != false || x.Get("async") != false || x.Get("enable-last-sample") != false {
		t.Error("the sink's settings were not taken")
	}
	sink := pad(t, x, "sink")
	sink.Start("text/x-raw")
	if sink.Chain([]byte("one")) != 0 || sink.ChainList([]byte("two"), 3) != 0 || !sink.Event("hello") || !sink.QueryLatency() {
		t.Error("a call failed")
	}
	sink.EOS()
	if m := p.Wait(gsttest.EOS|gsttest.Error, patience); m == nil || m.Type != gsttest.EOS {
		t.Errorf("got %v", m)
	}
	setState(t, &p.Element, gsttest.Null)
	want := []string{"start", "stream with id", "caps event text/x-raw", "caps text/x-raw NULL", "buffer one", "list of 3",
		"custom hello", "query latency", "eos", "unlock", "unlock-stop", "stop"}
	var got []string
	c.mu.Lock()
	for _, n := range c.notes {
		if !strings.HasPrefix(n, "query ") || n == "query latency" {
			if len(got) == 0 || got[len(got)-1] != n {
				got = append(got, n)
			}
		}
	}
	c.mu.Unlock()
	missing := 0
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g == w
		}
		if !found {
			missing++
		}
	}
	if missing != 0 || got[0] != "start" || got[len(got)-1] != "stop" {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !c.running.Load() {
		t.Error("no running time while playing")
	}
}

func TestUnlockEndsRender(t *testing.T) {
	p := launch(t, "fakesrc sizetype=fixed sizemax=1 ! ewtcollect name=x")
	c := instOf[collector](t, byName(t, p, "x"))
	for range 5 {
		c.inside.Store(false)
		c.wait.Store(false)
		setState(t, &p.Element, gsttest.Playing)
		c.wait.Store(true)
		eventually(t, "render", c.inside.Load)
		within(t, patience, "the stop", func() { p.SetState(gsttest.Ready, 0) })
	}
	c.wait.Store(false)
}

// ticker is a source of five buffers, then EOS; with block it waits in Create.
type ticker struct {
	*Element
	n       int
	block   atomic.Bool
	inside  atomic.Bool
	unlock  chan struct{}
	events  atomic.Int32
	queries atomic.Int32
	caps    atomic.Value
}

func (s *ticker) Start() bool { s.n = 0; return true }
func (s *ticker) Stop() bool  { return true }
func (s *ticker) SetCaps(c, _ Caps) bool {
	s.caps.Store(c.String())
	return true
}
func (s *ticker) Create() (Buffer, FlowReturn) {
	if s.block.Load() {
		s.inside.Store(true)
		<-s.unlock
		return NewBuffer([]byte("lost")), FlowFlushing // the layer frees it
	}
	if s.n == 5 {
		return Buffer{}, FlowEOS
	}
	s.n++
	b := NewBuffer([]byte{byte(s.n)})
	b.SetTimes(uint64(s.n)*1e6, 1e6)
	return b, FlowOK
}
func (s *ticker) Unlock(on bool) {
	if on {
		close(s.unlock)
	} else {
		s.unlock = make(chan struct{})
	}
}
func (s *ticker) SrcEvent(ev Event) bool { s.events.Add(1); return s.ParentEvent(SrcSide, ev) }
func (s *ticker) Query(d Side, q Query) bool {
	s.queries.Add(1)
	return s.ParentQuery(d, q)
}

var _ = factory("ewttick", &Class{
	Parent: ParentPushSrc, Proto: (*ticker)(nil), Pads: []PadTemplate{{Name: "src", Direction: PadSrc, Presence: PadAlways, Caps: textCaps}},
	New: func(e *Element) any {
		e.SetTimeFormat(false)
		e.SetLive(true)
		return &ticker{Element: e, unlock: make(chan struct{})}
	},
})

func TestPushSrc(t *testing.T) {
	p := launch(t, "ewttick name=x ! appsink name=out sync=false")
	out, x := byName(t, p, "out"), instOf[ticker](t, byName(t, p, "x"))
	for range 2 { // a second start must do as well as the first
		p.SetState(gsttest.Playing, 0)
		var got []byte
		for s := out.Pull(patience); s != nil; s = out.Pull(patience) {
			if s.PTS != uint64(s.Data[0])*1e6 || s.Caps != textCaps {
				t.Errorf("%+v", s)
			}
			got = append(got, s.Data...)
		}
		if !reflect.DeepEqual(got, []byte{1, 2, 3, 4, 5}) {
			t.Errorf("got %v", got)
		}
		if m := p.Wait(gsttest.EOS|gsttest.Error, patience); m == nil || m.Type != gsttest.EOS {
			t.Errorf("got %v", m)
		}
		p.SetState(gsttest.Null, 0)
	}
	if x.caps.Load() != textCaps || x.queries.Load() == 0 || x.events.Load() == 0 {
		t.Errorf("caps %v, %d queries, %d events", x.caps.Load(), x.queries.Load(), x.events.Load())
	}
}

func TestUnlockEndsCreate(t *testing.T) {
	p := launch(t, "ewttick name=x ! fakesink")
	x := instOf[ticker](t, byName(t, p, "x"))
	x.block.Store(true)
	for range 5 {
		x.inside.Store(false)
		p.SetState(gsttest.Playing, 0)
		eventually(t, "create", x.inside.Load)
		within(t, patience, "the stop", func() { p.SetState(gsttest.Ready, 0) })
	}
}

// pusher pushes from a goroutine of its own between PAUSED and READY.
type pusher struct {
	*Element
	src     *Pad
	stop    chan struct{}
	wg      sync.WaitGroup
	inside  atomic.Int32
	pushed  atomic.Int64
	flushes atomic.Int64
}

func (s *pusher) ChangeState(t StateChange) StateChangeReturn {
	switch t {
	case ReadyToPaused:
		s.stop = make(chan struct{})
		ret := s.ParentChangeState(t) // activates the pad
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			for started := false; ; {
				select {
				case <-s.stop:
					return
				default:
				}
				if !started {
					started = s.src.PushStart("pusher", textCaps)
				}
				s.inside.Add(1)
				f := FlowFlushing
				if started {
					f = s.src.PushLocked(NewBuffer([]byte("x")))
				}
				s.inside.Add(-1)
				if f != FlowOK {
					started = false
					s.flushes.Add(1)
					time.Sleep(100 * time.Microsecond)
				}
				s.pushed.Add(1)
			}
		}()
		return ret
	case PausedToReady:
		ret := s.ParentChangeState(t) // deactivates the pad first
		close(s.stop)
		s.wg.Wait()
		return ret
	}
	return s.ParentChangeState(t)
}

var _ = factory("ewtpush", &Class{
	Parent: ParentElement, Proto: (*pusher)(nil), Pads: []PadTemplate{srcAny},
	New: func(e *Element) any {
		s := &pusher{Element: e}
		s.src = e.NewPad("src", "", PadFuncs{})
		e.AddPad(s.src)
		return s
	},
})

func TestStopWhilePushIsBlockedDownstream(t *testing.T) {
	p := launch(t, "ewtpush name=x ! identity name=i ! fakesink sync=false async=false")
	x := instOf[pusher](t, byName(t, p, "x"))
	src := pad(t, byName(t, p, "i"), "src")
	for range 10 {
		p.SetState(gsttest.Playing, 0)
		n := x.pushed.Load()
		eventually(t, "pushes", func() bool { return x.pushed.Load() > n+10 })
		unblock := src.Block()
		eventually(t, "a push that hangs", func() bool {
			n := x.pushed.Load()
			time.Sleep(5 * time.Millisecond)
			return x.inside.Load() == 1 && x.pushed.Load() == n
		})
		within(t, patience, "the stop", func() { p.SetState(gsttest.Ready, 0) })
		unblock()
	}
}

// Deactivating the pad must wait for the push that is inside: what comes
// downstream after it would run into elements that are being taken down.
func TestDeactivationWaitsForThePush(t *testing.T) {
	p := launch(t, "ewtpush name=x ! identity name=i ! fakesink sync=false async=false")
	e := byName(t, p, "x")
	x := instOf[pusher](t, e)
	var active, late atomic.Int32
	pad(t, byName(t, p, "i"), "src").Probe(func(s *gsttest.Sample, _ string) {
		if s == nil {
			return
		}
		active.Add(1)
		time.Sleep(50 * time.Microsecond)
		active.Add(-1)
	})
	p.SetState(gsttest.Playing, 0)
	eventually(t, "pushes", func() bool { return x.pushed.Load() > 10 })
	for range 200 {
		x.src.SetActive(false)
		if active.Load() != 0 {
			late.Add(1)
		}
		n := x.flushes.Load()
		eventually(t, "flushing", func() bool { return x.flushes.Load() > n })
		x.src.SetActive(true)
		time.Sleep(100 * time.Microsecond)
	}
	if n := late.Load(); n != 0 {
		t.Errorf("%d of 200 deactivations returned with a push inside", n)
	}
}
