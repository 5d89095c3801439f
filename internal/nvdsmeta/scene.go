// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"math"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// HasScenes reports whether a batch has lists of 3D boxes (NVDS_CUSTOM_MSG_SPARSE4D, from release 8.0 on). They
// are made of all its frames together, which count no more then. The caller runs inside Guard.
func (r *Reader) HasScenes(batch uintptr) bool {
	found := false
	r.cut = false
	r.scenes(batch, func(uintptr) bool {
		found = true
		return false
	})
	r.cut = r.budget.broken
	return found
}

// Scenes fills f and s with each list of 3D boxes of a batch, in order, and calls each until it answers false.
// The caller holds the batch's lock and runs inside Guard.
func (r *Reader) Scenes(batch uintptr, f *event.Frame, s *event.Scene, each func() bool) {
	r.scenes(batch, func(list uintptr) bool {
		r.scene(list, f, s)
		return each()
	})
}

func (r *Reader) scenes(batch uintptr, each func(list uintptr) bool) {
	r.budget = newBudget()
	if r.Layout.sparse4DType == 0 {
		return
	}
	for l := newList(word(batch+batchUserMetas), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return
		}
		if i32(addr+baseType) != r.Layout.sparse4DType {
			continue
		}
		if list := word(addr + userData); list != 0 && !each(list) {
			return
		}
	}
}

func (r *Reader) scene(list uintptr, f *event.Frame, s *event.Scene) {
	l := r.Layout
	tail := list + l.sceneCount
	f.Reset()
	s.Reset()
	f.Num = uint64(u32(tail + sceneFrame))
	f.Source = int(u32(tail + sceneCamera))
	if ns := u64(tail + sceneTime); ns > 0 && ns <= math.MaxInt64 {
		f.Time = time.Unix(0, int64(ns))
	}
	s.SensorStr = r.budget.optional(tail + sceneSensorStr)
	n := uintptr(u32(tail))
	if most := l.sceneCount / l.solidSize; n > most { // what follows is no object
		n, r.budget.broken = most, true
	}
	for i := range n {
		addr := list + i*l.solidSize
		o := s.AddObject()
		o.Box = *(*[12]float32)(at(addr))
		o.Score, o.ClassScore = f32(addr+solidScore), f32(addr+solidClassScore)
		o.Label, o.ID = r.budget.text(word(addr+solidLabel)), u32(addr+solidID)
		if e := word(addr + solidEmbedding); e != 0 {
			if vector := word(e); vector != 0 {
				o.HasEmbedding = true
				o.Embedding = numbers[float32](&r.budget, vector, u32(e+embeddingLength))
			}
		}
	}
	for i := range uintptr(min(max(i32(tail+sceneViewCount), 0), maxViews)) {
		addr := tail + sceneViews + i*viewSize
		s.Views = append(s.Views, event.View{Source: fixed(addr, viewStamp), Stamp: u64(addr + viewStamp)})
	}
}
