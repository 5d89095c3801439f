// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

// synced is an encoder with rtp-sync in a pipeline, which gives it a clock.
func synced(t *testing.T, s gsttest.State) (*gsttest.Pipeline, *encBin, *padtest.Src, *padtest.Sink, func()) {
	t.Helper()
	p, err := gsttest.Launch("ewsrtpenc name=e")
	if err != nil {
		t.Fatal(err)
	}
	el := p.ByName("e")
	inst, _ := instances.LoadAndDelete(el.Pointer())
	e := inst.(*encBin)
	e.enc.SetSync(true)
	setKeys(t, e.enc, cm80, 1, true)
	out := padtest.NewSink(el.Pointer(), "src", false)
	setState(t, &p.Element, s)
	release, _ := padtest.Request(el.Pointer(), "rtp_sink_0")
	src := padtest.NewSrc(el.Pointer(), "rtp_sink_0")
	src.Start(rtpCaps, 0)
	released := false
	end := func() {
		if !released {
			released = true
			release()
		}
	}
	t.Cleanup(func() {
		setState(t, &p.Element, gsttest.Null)
		src.Close()
		end()
		out.Close()
		el.Unref()
		p.Close()
	})
	return p, e, src, out, end
}

const anHour = time.Hour

func TestSyncWaitsForPlaying(t *testing.T) {
	p, _, src, out, _ := synced(t, gsttest.Paused)
	done := make(chan int)
	go func() { done <- src.Push(rtp(1, 1, "x"), 0, padtest.Plain) }()
	eventually(t, "the push", src.Inside)
	time.Sleep(5 * time.Millisecond)
	if out.Count() != 0 {
		t.Fatal("sent in PAUSED")
	}
	setState(t, &p.Element, gsttest.Playing)
	within(t, "the push", func() {
		if ret := <-done; ret != 0 {
			t.Errorf("%d", ret)
		}
	})
	if ret := src.PushList([][]byte{rtp(1, 2, "x"), rtp(1, 3, "y")}, padtest.Plain); ret != 0 || out.Count() != 3 {
		t.Errorf("%d, %d came", ret, out.Count())
	}
}

// A buffer waits for its time of an hour from now, until something else ends that.
func TestSyncIsInterrupted(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(p *gsttest.Pipeline, e *encBin, src *padtest.Src, release func())
		want int
	}{
		"stop":    {func(p *gsttest.Pipeline, _ *encBin, _ *padtest.Src, _ func()) { setState(t, &p.Element, gsttest.Null) }, flushing},
		"flush":   {func(_ *gsttest.Pipeline, _ *encBin, s *padtest.Src, _ func()) { s.FlushStart() }, flushing},
		"release": {func(_ *gsttest.Pipeline, _ *encBin, _ *padtest.Src, release func()) { release() }, flushing},
		"off":     {func(_ *gsttest.Pipeline, e *encBin, _ *padtest.Src, _ func()) { e.enc.SetSync(false) }, 0},
		"pause and stop": {func(p *gsttest.Pipeline, _ *encBin, _ *padtest.Src, _ func()) {
			setState(t, &p.Element, gsttest.Paused)
			setState(t, &p.Element, gsttest.Playing)
			setState(t, &p.Element, gsttest.Paused)
			setState(t, &p.Element, gsttest.Null)
		}, flushing},
	} {
		t.Run(name, func(t *testing.T) {
			p, e, src, out, release := synced(t, gsttest.Playing)
			done := make(chan int)
			go func() { done <- src.Push(rtp(1, 1, "x"), anHour, padtest.Plain) }()
			eventually(t, "the push", src.Inside)
			time.Sleep(5 * time.Millisecond)
			if out.Count() != 0 {
				t.Fatal("it did not wait")
			}
			// What other sources send is not held up.
			if ret := e.enc.PushData([]byte{22}); ret != 0 || out.Count() != 1 {
				t.Errorf("the DTLS side: %d", ret)
			}
			within(t, name, func() { x.end(p, e, src, release) })
			within(t, "the push", func() {
				if ret := <-done; ret != x.want {
					t.Errorf("%d, want %d", ret, x.want)
				}
			})
		})
	}
}

func TestLatencyOfLiveSources(t *testing.T) {
	p, err := gsttest.Launch("audiotestsrc is-live=true ! rtpL16pay ! e.rtp_sink_0 ewsrtpenc name=e e.src ! fakesink sync=false async=false")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	el := p.ByName("e")
	defer el.Unref()
	instances.Delete(el.Pointer())
	if err := p.SetState(gsttest.Playing, patience); err != nil {
		t.Fatal(err)
	}
	pad := el.StaticPad("src")
	defer pad.Unref()
	eventually(t, "an answer", pad.QueryLatency)
}
