// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// tagger changes a buffer's times in place: that needs a buffer of its own, but
// not a copy of the media.
type tagger struct {
	*Element
	seen, writable atomic.Int64
}

func (x *tagger) TransformIP(b Buffer) FlowReturn {
	x.seen.Add(1)
	if b.IsWritable() {
		x.writable.Add(1)
	}
	b.SetTimes(b.PTS(), 77)
	return FlowOK
}

var _ = factory("ewttag", &Class{
	Parent: ParentBaseTransform, Proto: (*tagger)(nil), Pads: []PadTemplate{sinkAny, srcAny},
	New: func(e *Element) any {
		e.SetInPlace()
		return &tagger{Element: e}
	},
})

// counter passes media on, or, if downstream wants text/x-raw, makes two
// buffers of each: its size and its caps' width.
type counter struct {
	*Element
	width   int
	pending []Buffer
	modes   []bool
}

const textCaps = "text/x-raw"

func (x *counter) SetCaps(in, out Caps) bool {
	x.width, _ = in.Int("width")
	on := out.Name(0) == textCaps
	x.SetGenerate(on)
	x.modes = append(x.modes, on)
	return true
}
func (x *counter) TransformCaps(from PadDirection, c Caps) Caps {
	if from == PadSink {
		return c.Ref().Merge(NewCaps(textCaps))
	}
	return NewCaps("ANY")
}
func (x *counter) TransformIP(Buffer) FlowReturn { return FlowOK }
func (x *counter) SubmitInput(b Buffer) FlowReturn {
	defer b.Unref()
	for _, n := range []int{b.Size(), x.width} {
		out := NewBuffer([]byte{byte(n)})
		out.CopyMetadata(b)
		x.pending = append(x.pending, out)
	}
	return FlowOK
}
func (x *counter) GenerateOutput() (Buffer, FlowReturn) {
	if len(x.pending) == 0 {
		return Buffer{}, FlowOK
	}
	b := x.pending[0]
	x.pending = x.pending[1:]
	return b, FlowOK
}

var _ = factory("ewtcount", &Class{
	Parent: ParentBaseTransform, Proto: (*counter)(nil), Pads: []PadTemplate{sinkAny, srcAny},
	New: func(e *Element) any { return &counter{Element: e} },
})

func TestInPlaceBehindTee(t *testing.T) {
	p := launch(t, "appsrc name=in caps=video/x-raw ! tee name=t "+
		"t. ! queue ! ewttag name=x ! appsink name=a sync=false t. ! queue ! appsink name=b sync=false")
	in, a, b := byName(t, p, "in"), byName(t, p, "a"), byName(t, p, "b")
	p.SetState(gsttest.Playing, 0)
	for i := range 20 {
		in.Push(bytes.Repeat([]byte{byte(i)}, 1000), uint64(i), 5)
		sa, sb := a.Pull(patience), b.Pull(patience)
		if sa == nil || sb == nil {
			t.Fatal("no sample")
		}
		if sa.Memory != sb.Memory {
			t.Fatal("the media was copied")
		}
		if sa.Duration != 77 || sb.Duration != 5 || sa.PTS != uint64(i) || !bytes.Equal(sa.Data, sb.Data) {
			t.Fatalf("%+v %+v", sa, sb)
		}
	}
	x := instOf[tagger](t, byName(t, p, "x"))
	if x.seen.Load() != 20 || x.writable.Load() != 20 {
		t.Errorf("%d buffers, %d writable", x.seen.Load(), x.writable.Load())
	}
}

func TestInPlaceWithoutTeePassesTheVeryBuffer(t *testing.T) {
	p := launch(t, "appsrc name=in caps=video/x-raw ! ewttag name=x ! appsink name=a sync=false")
	in, a, x := byName(t, p, "in"), byName(t, p, "a"), byName(t, p, "x")
	var before, after uintptr
	pad(t, x, "sink").Probe(func(s *gsttest.Sample, _ string) {
		if s != nil {
			before = s.Memory
		}
	})
	pad(t, x, "src").Probe(func(s *gsttest.Sample, _ string) {
		if s != nil {
			after = s.Memory
		}
	})
	p.SetState(gsttest.Playing, 0)
	in.Push([]byte("abc"), 0, gsttest.None)
	if a.Pull(patience) == nil || before == 0 || before != after {
		t.Errorf("memory %x became %x", before, after)
	}
}

func TestProposeAllocationPassesThrough(t *testing.T) {
	const caps = "video/x-raw,format=I420,width=32,height=32,framerate=30/1"
	ask := func(element string) (bool, int, int) {
		p := launch(t, "appsrc name=in caps="+caps+" ! identity name=i ! "+element+" ! videoscale ! video/x-raw,width=64 ! fakesink name=s sync=false")
		in := byName(t, p, "in")
		p.SetState(gsttest.Playing, 0)
		in.Push(make([]byte, 32*32*3/2), 0, gsttest.None)
		setState(t, &p.Element, gsttest.Playing)
		return pad(t, byName(t, p, "i"), "src").QueryAllocation(caps)
	}
	wantOK, wantPools, wantMetas := ask("identity")
	if !wantOK || wantPools+wantMetas == 0 {
		t.Fatalf("identity itself proposes nothing: %v %d %d", wantOK, wantPools, wantMetas)
	}
	if ok, pools, metas := ask("ewttag"); ok != wantOK || pools != wantPools || metas != wantMetas {
		t.Errorf("%v, %d pools and %d metas, want %d and %d", ok, pools, metas, wantPools, wantMetas)
	}
}

func TestGenerateAndCapsChange(t *testing.T) {
	p := launch(t, "appsrc name=in caps=video/x-raw,width=4 ! ewtcount name=x ! capsfilter name=f caps=text/x-raw ! appsink name=out sync=false")
	in, f, out := byName(t, p, "in"), byName(t, p, "f"), byName(t, p, "out")
	p.SetState(gsttest.Playing, 0)
	expect := func(caps string, want ...byte) {
		t.Helper()
		for _, w := range want {
			s := out.Pull(patience)
			if s == nil || len(s.Data) == 0 || s.Data[0] != w || s.Caps != caps {
				t.Fatalf("got %+v, want %d with %s", s, w, caps)
			}
		}
	}
	in.Push(make([]byte, 9), 0, gsttest.None)
	expect(textCaps, 9, 4)
	in.SetAny("caps", gsttest.Raw("video/x-raw,width=(int)6")) // from upstream
	in.Push(make([]byte, 8), 1, gsttest.None)
	expect(textCaps, 8, 6)
	f.Set("caps", "video/x-raw") // from downstream: back to the media
	in.Push([]byte{42, 0}, 2, gsttest.None)
	expect("video/x-raw, width=(int)6", 42)
	f.Set("caps", textCaps) // and to messages again
	in.Push([]byte{42, 0, 0}, 3, gsttest.None)
	expect(textCaps, 3, 6)
	in.EndOfStream()
	if m := p.Wait(gsttest.EOS|gsttest.Error, patience); m == nil || m.Type != gsttest.EOS {
		t.Fatal(m)
	}
	x := instOf[counter](t, byName(t, p, "x"))
	if len(x.modes) < 4 || !x.modes[0] || !x.modes[len(x.modes)-1] {
		t.Errorf("modes %v", x.modes)
	}
}
