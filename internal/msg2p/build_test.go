// SPDX-License-Identifier: LGPL-2.1-or-later

package msg2p

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

func sample() *event.Frame {
	f := &event.Frame{Num: 30, Source: 2, Time: time.Date(2025, 2, 3, 4, 5, 6, 789e6, time.UTC), PTS: time.Second, HasPTS: true,
		SourceWidth: 1920, SourceHeight: 1080, PipelineWidth: 960, PipelineHeight: 540, SensorID: "cam-1"}
	o := f.AddObject()
	o.ID, o.ClassID, o.Label, o.Confidence, o.HasConfidence = 1<<63+5, 2, "car", 0.75, true
	o.Box = event.Box{Left: 1, Top: 2, Width: 3, Height: 4}
	c := o.AddClassification("color")
	c.AddLabel("red", 0.5)
	c.AddLabel(strings.Repeat("é", 100), 0.25)
	o.AddClassification("make")
	o = f.AddObject()
	o.Label = strings.Repeat("ü", 100)
	o = f.AddObject()
	o.Label = "person"
	o.AddClassification("age").AddLabel("33", 1)
	return f
}

// layout is the one that the Builder's structures have, as the reader of DeepStream's metadata knows it.
func layout(t *testing.T) *nvdsmeta.Layout {
	t.Helper()
	l, err := nvdsmeta.LayoutOf(nvdsmeta.Last)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFrameReadsBack: what is made is what nvdsmeta, written from the offsets of the headers, reads.
func TestFrameReadsBack(t *testing.T) {
	var b Builder
	defer b.Close()
	want := sample()
	for range 3 { // memory is used again
		b.Reset()
		addr, objects := b.Frame(want, nil)
		got := &event.Frame{}
		r := nvdsmeta.Reader{Layout: layout(t)}
		frame := nvdsmeta.Frame{Addr: addr}
		var found []uintptr
		if err := nvdsmeta.Guard(func() {
			r.Frames(0, nil)
		}); err == nil {
			t.Fatal("a batch at 0 was read")
		}
		if err := nvdsmeta.Guard(func() {
			batch := nvdsmeta.Word(addr) // base_meta.batch_meta
			r.Frames(batch, func(f nvdsmeta.Frame) bool {
				if f != frame {
					t.Errorf("the batch has the frame %x, not %x", f.Addr, addr)
				}
				r.Head(f, got)
				r.Objects(f, got)
				found = r.ObjectMetas(f, nil)
				return true
			})
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(found, objects) || r.Broken() {
			t.Errorf("%x, not %x", found, objects)
		}
		if got.Num != want.Num || got.Source != want.Source || !got.Time.Equal(want.Time) || got.PTS != want.PTS || !got.HasPTS ||
			got.SensorID != want.SensorID || got.SourceWidth != 1920 || got.PipelineHeight != 540 || len(got.Objects) != 3 {
			t.Errorf("%+v", got)
		}
		if o := got.Objects[0]; o.ID != want.Objects[0].ID || o.Box != want.Objects[0].Box || o.Label != "car" || o.Confidence != 0.75 ||
			!reflect.DeepEqual(o.Classifications[0], want.Objects[0].Classifications[0]) || o.Classifications[1].Type != "make" || len(o.Classifications[1].Labels) != 0 {
			t.Errorf("%+v", o)
		}
		if label := got.Objects[1].Label; label != strings.Repeat("ü", 63) { // 127 bytes, cut between characters
			t.Errorf("%q", label)
		}
	}
}

func TestEventsReadBack(t *testing.T) {
	var b Builder
	defer b.Close()
	f := sample()
	f.EventsFromObjects()
	for i := range f.Events {
		f.Events[i].ComponentID = 9
	}
	for i := range f.Events {
		want := &f.Events[i]
		m := b.Event(f, want, &f.Objects[i])
		var kind int32
		if err := nvdsmeta.Guard(func() { kind = nvdsmeta.EventType(uintptr(m.meta)) }); err != nil || kind != int32(event.Moving) || int32(m._type) != kind {
			t.Error(kind, err)
		}
		got := readEvent(t, uintptr(m.meta))
		if got.ObjectType != want.ObjectType || got.Box != want.Box || got.TrackingID != want.TrackingID || got.Confidence != want.Confidence ||
			got.ComponentID != 9 || got.FrameID != 30 || got.Sensor != 2 || got.ClassID != want.ClassID {
			t.Errorf("%+v\n%+v", got, want)
		}
		if got.Timestamp != event.Str("2025-02-03T04:05:06.789Z") || got.ObjectID != event.Str(f.Objects[i].Label) || got.SensorStr != event.Str("cam-1") || got.VideoPath.Set {
			t.Errorf("%+v", got)
		}
		if !reflect.DeepEqual(got.Ext, want.Ext) && got.Ext.Kind != want.Ext.Kind {
			t.Errorf("%+v\n%+v", got.Ext, want.Ext)
		}
		if want.Ext.Kind == event.ExtPerson && got.Ext.Age != 33 {
			t.Errorf("%+v", got.Ext)
		}
		if got.Has3D || len(got.Pose.Joints)+len(got.Embedding)+len(got.Signature) > 0 {
			t.Errorf("memory that nobody wrote: %+v", got)
		}
	}
	f.SensorID = ""
	dummy := readEvent(t, uintptr(b.Dummy(f).meta))
	if dummy.ObjectType != event.Dummy || dummy.SensorStr.Set || dummy.FrameID != 30 || !dummy.Timestamp.Set || dummy.ObjectID.Set {
		t.Errorf("%+v", dummy)
	}
}

// readEvent has the event read as DeepStream's would be: from a frame with a user meta.
func readEvent(t *testing.T, meta uintptr) *event.Event {
	t.Helper()
	var b Builder
	defer b.Close()
	frame, _ := b.Frame(&event.Frame{Time: time.Now()}, nil)
	userMeta(&b, frame, meta)
	out := &event.Frame{}
	r := nvdsmeta.Reader{Layout: layout(t)}
	if err := nvdsmeta.Guard(func() {
		r.Frames(nvdsmeta.Word(frame), func(f nvdsmeta.Frame) bool {
			r.Events(f, 0, out)
			if found := r.EventMetas(f, 0, nil); len(found) != 1 || found[0] != meta {
				t.Errorf("%x", found)
			}
			if found := r.EventMetas(f, 12345, nil); len(found) != 0 {
				t.Errorf("%x", found)
			}
			return true
		})
	}); err != nil || len(out.Events) != 1 {
		t.Fatal(err, out)
	}
	e := out.Events[0]
	// The texts are views into memory that ends here.
	for _, s := range []*event.String{&e.Timestamp, &e.ObjectID, &e.SensorStr} {
		s.Value = strings.Clone(s.Value)
	}
	return &e
}

// userMeta hangs an event on a frame, by the offsets of the headers.
func userMeta(b *Builder, frame, meta uintptr) {
	const metaType, userData, userMetas, eventMsg = 8, 40, 120, 9
	user, list := b.bytes(48), b.bytes(24)
	*(*int32)(unsafe.Add(user, metaType)) = eventMsg
	*(*uintptr)(unsafe.Add(user, userData)) = meta
	*(*uintptr)(list) = uintptr(user)
	for i := range b.chunks { // the frame's memory is C's, in one of them
		first := uintptr(unsafe.Pointer(unsafe.SliceData(b.chunks[i])))
		if frame >= first && frame < first+uintptr(len(b.chunks[i])) {
			*(*uintptr)(unsafe.Pointer(&b.chunks[i][frame-first+userMetas])) = uintptr(list)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var b Builder
	defer b.Close()
	f := sample()
	f.EventsFromObjects()
	var objects []uintptr
	b.Frame(f, nil)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset()
		_, objects = b.Frame(f, objects[:0])
		for i := range f.Events {
			b.Event(f, &f.Events[i], &f.Objects[i])
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestManyObjects: more than one piece of memory.
func TestManyObjects(t *testing.T) {
	var b Builder
	defer b.Close()
	f := &event.Frame{}
	for range 1000 {
		f.AddObject().Label = "car"
	}
	f.EventsFromObjects()
	for range 2 {
		b.Reset()
		seen := map[uintptr]bool{}
		for i := range f.Events {
			m := uintptr(b.Event(f, &f.Events[i], &f.Objects[i]).meta)
			if seen[m] {
				t.Fatal("the same memory twice")
			}
			seen[m] = true
		}
	}
	if len(b.chunks) < 50 || len(b.chunks) > 70 {
		t.Errorf("%d pieces", len(b.chunks))
	}
}

func TestOpenErrors(t *testing.T) {
	for path, want := range map[string]string{
		"/nowhere/x.so": "there is no such file; check the path",
		"none/x.so":     "a relative path is looked for",
		"build_test.go": "cannot be opened",
		"libm.so.6":     "does not export nvds_msg2p_ctx_create",
	} {
		c, err := Open(path, "", 257, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v %v", path, c, err)
		}
	}
}

// TestBrokenFiles: of a library that is not whole, or of another machine, dlopen says the wrong thing, or ends the process.
func TestBrokenFiles(t *testing.T) {
	var libc string // any shared object
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("no list of the process's libraries: ", err)
	}
	for line := range strings.Lines(string(maps)) {
		if at := strings.Index(line, "/"); at >= 0 && strings.Contains(line, "/libc.so") {
			libc = strings.TrimSpace(line[at:])
		}
	}
	whole, err := os.ReadFile(libc)
	if err != nil {
		t.Skip("no library to break: ", err)
	}
	folder := t.TempDir()
	open := func(data []byte) string {
		path := filepath.Join(folder, "x.so")
		if err := os.WriteFile(path, data, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, "", 257, Options{})
		if err == nil {
			t.Fatal("it was opened")
		}
		return err.Error()
	}
	for _, n := range []int{100, 1000, 4096, len(whole) / 2} {
		if got := open(whole[:n]); !strings.Contains(got, "a part of it is missing; copy") {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
	other := bytes.Clone(whole)
	other[18], other[19] = 243, 0 // RISC-V
	if got := open(other); !strings.Contains(got, "another processor (riscv; this is ") {
		t.Error(got)
	}
	huge := bytes.Clone(whole)
	copy(huge[32:], "\xff\xff\xff\xff\xff\xff\xff\xff") // where the program headers are
	if got := open(huge); !strings.Contains(got, "a part of it is missing") {
		t.Error(got)
	}
	if why, _ := inspect(libc); why != "" {
		t.Error(why)
	}
}
