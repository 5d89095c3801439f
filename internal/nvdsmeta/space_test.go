// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

func (a *arena) f32(addr uintptr, f float32) { a.u32(addr, math.Float32bits(f)) }

// sceneBatch makes a batch with a list of n boxes.
func (a *arena) sceneBatch(l *Layout, n int) (batch, list uintptr) {
	batch, _, _, _, _ = a.batch(l)
	list = a.alloc(l.sceneCount + sceneViewCount + 8)
	for i := range uintptr(n) {
		o := list + i*l.solidSize
		for k := range uintptr(12) {
			a.f32(o+4*k, float32(i)+float32(k)/16)
		}
		a.f32(o+solidScore, 0.5)
		a.word(o+solidLabel, a.text("Person"))
		a.f32(o+solidClassScore, 0.25)
		a.u32(o+solidID, uint32(i))
		vector := a.alloc(8)
		a.f32(vector+4, 2)
		embedding := a.alloc(16)
		a.word(embedding, vector)
		a.u32(embedding+embeddingLength, 2)
		a.word(o+solidEmbedding, embedding)
	}
	tail := list + l.sceneCount
	a.u32(tail, uint32(n))
	a.word(tail+sceneTime, 1735689600123000000)
	a.u32(tail+sceneFrame, 7)
	a.u32(tail+sceneCamera, 3)
	a.word(tail+sceneSensorStr, a.text("hall"))
	a.u32(tail+sceneViewCount, 2)
	copy(a.at(tail+sceneViews+viewSize), "cam-1")
	a.word(tail+sceneViews+viewSize+viewStamp, 99)
	user := a.meta(userSize, uint32(l.sparse4DType))
	a.word(user+userData, list)
	a.word(batch+batchUserMetas, a.list(a.meta(userSize, typePayload), user))
	return batch, list
}

// readScenes reads all scenes of a batch and gives the last one.
func readScenes(r *Reader, batch uintptr) (n int, f event.Frame, s event.Scene, err error) {
	err = Guard(func() {
		if r.HasScenes(batch) {
			r.Scenes(batch, &f, &s, func() bool { n++; return true })
		}
	})
	return n, f, s, err
}

func TestScenes(t *testing.T) {
	for _, l := range layouts {
		a := newArena(t, 1<<18)
		if l.sparse4DType == 0 { // the number of something else
			batch, _, _, _, _ := a.batch(l)
			a.word(batch+batchUserMetas, a.list(a.meta(userSize, 31), a.meta(userSize, 0)))
			r := Reader{Layout: l}
			if n, _, _, err := readScenes(&r, batch); n != 0 || err != nil {
				t.Error(l.Releases, n, err)
			}
			continue
		}
		batch, _ := a.sceneBatch(l, 2)
		r := Reader{Layout: l}
		n, f, s, err := readScenes(&r, batch)
		if n != 1 || err != nil || r.Broken() {
			t.Fatal(l.Releases, n, err)
		}
		if f.Num != 7 || f.Source != 3 || !f.Time.Equal(time.Unix(0, 1735689600123000000)) || s.SensorStr != event.Str("hall") || len(s.Objects) != 2 {
			t.Errorf("%v: %+v %+v", l.Releases, f, s)
		}
		if fmt.Sprint(s.Views) != "[{ 0} {cam-1 99}]" {
			t.Errorf("%v: %v", l.Releases, s.Views)
		}
		o := s.Objects[1]
		if o.ID != 1 || o.Label != "Person" || o.Score != 0.5 || o.ClassScore != 0.25 || o.Box[0] != 1 || o.Box[11] != 1+11./16 ||
			!o.HasEmbedding || fmt.Sprint(o.Embedding) != "[0 2]" {
			t.Errorf("%v: %+v", l.Releases, o)
		}
	}
}

func TestScenesThatAreBroken(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 1<<18)
	batch, list := a.sceneBatch(l, 2)
	user := word(word(word(batch+batchUserMetas) + listNext))
	r := Reader{Layout: l}
	for _, c := range []struct {
		name     string
		at, to   uintptr
		n        int
		err, cut bool
	}{
		{"no list", user + userData, 0, 0, false, false},
		{"a wild list", user + userData, 0xdeadbeef0, 0, true, false},
		{"a wild label", list + solidLabel, 8, 0, true, false},
		{"a wild embedding", list + solidEmbedding, 1 << 63, 0, true, false},
		{"a wild sensor", list + l.sceneCount + sceneSensorStr, 0x4141414141414141, 0, true, false},
		{"more than there can be", list + l.sceneCount, 601, 1, false, true},
		{"a circle", word(batch+batchUserMetas) + listNext, word(batch + batchUserMetas), 0, false, true},
	} {
		old := word(c.at)
		a.word(c.at, c.to)
		n, _, s, err := readScenes(&r, batch)
		if (err != nil) != c.err || n != c.n || r.Broken() != c.cut || len(s.Objects) > 600 {
			t.Errorf("%s: %d scenes, %v, %v", c.name, n, err, r.Broken())
		}
		a.word(c.at, old)
	}
	for count, want := range map[uint32]int{math.MaxUint32: 0, 100: 100, 101: 100, math.MaxInt32: 100, 0: 0} {
		a.u32(list+l.sceneCount+sceneViewCount, count)
		if _, _, s, err := readScenes(&r, batch); err != nil || len(s.Views) != want {
			t.Error(count, len(s.Views), err)
		}
	}
	// What was cut stays told when the frames are read next.
	a.word(word(batch+batchUserMetas)+listNext, word(batch+batchUserMetas))
	if err := Guard(func() {
		r.HasScenes(batch)
		r.Frames(batch, func(Frame) bool { return true })
	}); err != nil || !r.Broken() {
		t.Error(err, r.Broken())
	}
}

func TestScenesCostNoAllocation(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 1<<18)
	batch, _ := a.sceneBatch(l, 100)
	r := Reader{Layout: l}
	var f event.Frame
	var s event.Scene
	each := func() bool { return true }
	if n := testing.AllocsPerRun(50, func() { r.Scenes(batch, &f, &s, each) }); n != 0 {
		t.Error(n, "allocations")
	}
}

func TestDataMapRecords(t *testing.T) {
	a := newArena(t, 1<<14)
	// Each word is its own offset, so that a member read from the wrong place shows.
	base := a.alloc(3 * FusedSize)
	for i := uintptr(0); i < 3*FusedSize; i += 4 {
		a.f32(base+i, float32(i))
	}
	label := func(addr uintptr, s string) { copy(a.at(addr), s+"\x00") }
	label(base+flatLabel, "a")
	label(base+FlatSize+flatLabel, strings.Repeat("x", 128))
	flats := Flats(base, 2, nil)
	if fmt.Sprint(flats[0]) != "{0 4 8 12 20 a}" || flats[1].X != 180 || flats[1].Score != 200 || flats[1].Label != strings.Repeat("x", 128) {
		t.Error(flats)
	}
	boxes := Boxes3D(base, 1, nil)
	if fmt.Sprint(boxes[0]) != "{0 4 8 12 16 20 32 a}" {
		t.Error(boxes)
	}
	label(base+fusedBox+boxLabel, "b")
	label(base+fusedFlat+flatLabel, "f")
	fused := Fused(base, 1, nil)
	if fmt.Sprint(fused[0]) != "{{180 184 188 192 200 f} {0 4 8 12 16 20 32 b} 360}" {
		t.Error(fused)
	}
	if err := Guard(func() { Boxes3D(a.base+uintptr(len(a.bytes))-40, 1, nil) }); err == nil {
		t.Error("a record behind the end was read")
	}
	if f := Floats(base, 3); len(f) != 3 || f[2] != 8 || Floats(0, 3) != nil || Floats(base, 0) != nil {
		t.Error(f)
	}
}

func TestVirtual(t *testing.T) {
	a := newArena(t, 1<<12)
	object, table := a.alloc(8), a.alloc(40)
	a.word(object, table)
	if err := Virtual(object, 5); err != nil {
		t.Error(err)
	}
	binary.NativeEndian.PutUint64(a.bytes[len(a.bytes)-8:], uint64(table))
	if err := Virtual(a.base+uintptr(len(a.bytes))-8, 5); err != nil {
		t.Error(err)
	}
	a.word(object, a.base+uintptr(len(a.bytes))-32)
	if err := Virtual(object, 5); err == nil {
		t.Error("a table beyond the end")
	}
	for _, wild := range []uintptr{0, 8, 0xdeadbeef000, 1 << 63, ^uintptr(7)} {
		if err := Virtual(wild, 5); err == nil {
			t.Errorf("%#x", wild)
		}
	}
}

func TestEmbeddingsTogetherHaveALimit(t *testing.T) {
	l := layouts[len(layouts)-1]
	a := newArena(t, 1<<20)
	batch, list := a.sceneBatch(l, 600)
	vector := a.alloc(4 * 2 * maxNumbers)
	embedding := a.alloc(16)
	a.word(embedding, vector)
	a.u32(embedding+embeddingLength, math.MaxInt32)
	for i := range uintptr(600) {
		a.word(list+i*l.solidSize+solidEmbedding, embedding)
	}
	r := Reader{Layout: l}
	_, _, s, err := readScenes(&r, batch)
	size := 0
	for i := range s.Objects {
		size += 4 * len(s.Objects[i].Embedding)
	}
	if err != nil || !r.Broken() || size > maxContent || size < maxContent/2 || len(s.Objects) != 600 {
		t.Error(err, r.Broken(), size, len(s.Objects))
	}
}

func TestFloatsAreThereToTheLast(t *testing.T) {
	a := newArena(t, 1<<14)
	end := a.base + uintptr(len(a.bytes))
	if err := Guard(func() { Floats(end-8192, 2048) }); err != nil {
		t.Error(err)
	}
	for _, n := range []int{2049, 1 << 20, 1 << 29} {
		if err := Guard(func() { Floats(end-8192, n) }); err == nil {
			t.Error(n, "numbers")
		}
	}
}
