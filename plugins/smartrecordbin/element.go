// SPDX-License-Identifier: LGPL-2.1-or-later

// Package smartrecordbin is the element smartrecordbin, which passes encoded video through and records parts
// of it, from before the moment that asks for them. Interface mirrored: smart record of DeepStream's
// nvurisrcbin. Documentation: docs/smartrecordbin.md.
//
// It is a bin by its class, as that one is, but holds no children: each file is written by a pipeline of its
// own, so that neither its state nor its EOS, its errors nor its disk touch the application's.
package smartrecordbin

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "rec.h"
*/
import "C"

import (
	"sync"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

var log = gst.NewCategory("smartrecordbin", "recordings around events")

type recorder struct {
	*gst.Element
	sink, src *gst.Pad

	// Of the streaming thread.
	segment *C.GstSegment
	params  []byte // the parameter sets that came last, of byte-stream

	// Lock order: mu, then the mu of a session. Neither is held while GStreamer is called, but to count references.
	mu       sync.Mutex
	set      settings
	ring     ring
	caps     gst.Caps // of the stream; ours
	format   format
	current  *session
	sessions map[uint32]*session // that are not finished
	nextID   uint32
	cut      chan struct{} // closed by a flush and by stop: ends the wait at EOS

	started, ended, failed, refused, copied uint64
}

// A format says how a stream is written.
type format struct {
	parser, muxer, ending string
	h265, byteStream      bool
}

const padCaps = "video/x-h264, stream-format=(string){ byte-stream, avc, avc3 }, alignment=(string)au; " +
	"video/x-h265, stream-format=(string){ byte-stream, hvc1, hev1 }, alignment=(string)au"

// Class describes the element.
var Class = &gst.Class{
	Name:        "GstSmartRecordBin",
	Parent:      gst.ParentBin,
	LongName:    "Smart Record Bin",
	Klass:       "Generic/Bin/Recorder",
	Description: "Passes encoded video through and records it around events, from before they happen. The stream never waits for the disk",
	Author:      "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: padCaps},
		{Name: "src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: padCaps},
	},
	Properties: properties(),
	Signals:    signals(),
	Proto:      (*recorder)(nil),
	New: func(e *gst.Element) any {
		r := &recorder{Element: e, set: defaults(), sessions: map[uint32]*session{}, cut: make(chan struct{})}
		r.ring.drop = func(f frame) { f.buf.Unref() }
		r.sink = e.NewPad("sink", "", gst.PadFuncs{Chain: r.chain, Event: r.event})
		r.src = e.NewPad("src", "", gst.PadFuncs{})
		for _, p := range []*gst.Pad{r.sink, r.src} {
			C.ew_sr_proxy((*C.GstPad)(p.Pointer()))
			e.AddPad(p)
		}
		return r
	},
}

// Register registers the element factory smartrecordbin.
func Register(p gst.Plugin) error { return p.Register("smartrecordbin", gst.RankNone, Class) }

// Finalize frees what the element holds; a session holds the element, so none is left.
func (r *recorder) Finalize() {
	r.forget()
	C.gst_segment_free(r.segment)
}

// ChangeState checks the folder on the way up, and closes the files on the way down.
func (r *recorder) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	switch t {
	case gst.ReadyToPaused:
		if !r.check() {
			return gst.StateChangeFailure
		}
		r.renew()
	case gst.PausedToReady:
		r.interrupt()
		r.endCurrent(endStopped)
	}
	ret := r.ParentChangeState(t)
	if t == gst.PausedToReady || t == gst.ReadyToPaused && ret == gst.StateChangeFailure {
		r.forget()
		if !r.wait(nil) {
			text := r.Name() + ": a recording is still being written, because its disk does not answer; it is closed as soon as it does."
			log.Log(gst.LevelWarning, r.Element, "%s", text)
			r.Warning(gst.ResourceWrite, text, "")
		}
	}
	return ret
}

// check refuses a configuration that can never record.
func (r *recorder) check() bool {
	r.mu.Lock()
	set := r.set
	r.mu.Unlock()
	if err := checkTemplate(set.template); err != nil {
		r.Error(gst.ResourceSettings, r.Name()+": file-template: "+err.Error()+".", "")
		return false
	}
	if err := checkFolder(set.folder()); err != nil {
		r.Error(gst.ResourceOpenWrite, r.Name()+": "+err.Error()+".", "")
		return false
	}
	return true
}

// forget empties the ring. Without caps no recording begins; one that did until now ends.
func (r *recorder) forget() {
	r.mu.Lock()
	r.detachLocked(endStopped)
	caps := r.caps
	r.caps = gst.Caps{}
	r.ring.clear()
	r.mu.Unlock()
	r.params = nil
	if !caps.IsNil() {
		caps.Unref()
	}
}

func (r *recorder) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.cut:
	default:
		close(r.cut)
	}
}

func (r *recorder) renew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = make(chan struct{})
}

// chain keeps the buffer in the ring and passes it on.
func (r *recorder) chain(_ *gst.Pad, b gst.Buffer) gst.FlowReturn {
	r.keep(b)
	return r.src.Push(b)
}

func (r *recorder) keep(b gst.Buffer) {
	info := C.ew_sr_info((*C.GstBuffer)(b.Pointer()), r.segment)
	f := frame{pts: int64(info.pts), dts: int64(info.dts), size: int64(info.size), key: info.key != 0, wall: time.Now()}
	if f.at = f.dts; f.at == noTime {
		f.at = f.pts
	}
	r.mu.Lock()
	format, caps := r.format, r.caps
	r.mu.Unlock()
	if caps.IsNil() {
		return
	}
	if format.byteStream && (f.key || info.header != 0) {
		b.Map(func(unit []byte) {
			sets, complete := parameterSets(unit, format.h265)
			if complete {
				r.params = sets
			} else if f.key {
				f.params = r.params
			}
		})
	}
	var copied C.gboolean
	f.buf = gst.BufferFrom(unsafe.Pointer(C.ew_sr_keep((*C.GstBuffer)(b.Pointer()), &copied)))
	if r.store(f, copied != 0) {
		r.Notify("recording")
	}
}

// store puts a frame into the ring and the session. It reports whether that ended the session.
func (r *recorder) store(f frame, copied bool) (ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if copied {
		r.copied++
	}
	if f.at == noTime { // as a frame without times: it stands where the last one did
		at, ok := r.ring.newest()
		if !ok {
			f.buf.Unref()
			return false
		}
		f.at = at
	}
	if newest, ok := r.ring.newest(); ok && f.at < newest-int64(time.Second) {
		// The stream began anew without a flush: times must not run backwards in a file.
		ended = r.current != nil
		r.ring.clear()
		r.detachLocked(endCaps)
	}
	if s := r.current; s != nil && (f.key || s.begun()) && !s.add(f.ref()) {
		r.current = nil
		ended = true
	}
	r.ring.add(f, int64(r.set.cache)*int64(time.Second), int64(r.set.cacheBytes))
	return ended
}

// event learns format and segment, and closes the file at the end of the stream.
func (r *recorder) event(p *gst.Pad, ev gst.Event) bool {
	switch ev.Type() {
	case gst.EventCaps:
		r.setCaps(ev.Caps())
	case gst.EventSegment:
		C.gst_segment_free(r.segment)
		r.segment = C.ew_sr_segment((*C.GstEvent)(ev.Pointer()))
	case gst.EventFlushStart:
		r.interrupt()
	case gst.EventFlushStop:
		r.renew()
		r.endCurrent(endCaps)
		r.mu.Lock()
		r.ring.clear()
		r.mu.Unlock()
	case gst.EventEOS:
		// Whoever ends at EOS hears of its recording before.
		r.endCurrent(endEOS)
		r.mu.Lock()
		cut := r.cut
		r.mu.Unlock()
		r.wait(cut)
	}
	return p.EventDefault(ev)
}

func (r *recorder) setCaps(caps gst.Caps) {
	f := format{parser: "h264parse"}
	if caps.Name(0) == "video/x-h265" {
		f.parser, f.h265 = "h265parse", true
	}
	byteStream := gst.NewCaps(caps.Name(0) + ", stream-format=(string)byte-stream")
	f.byteStream = caps.CanIntersect(byteStream)
	byteStream.Unref()
	r.mu.Lock()
	old := r.caps
	same := !old.IsNil() && old.IsSubset(caps) && caps.IsSubset(old)
	if !same {
		r.caps, r.format = caps.Ref(), f
		r.ring.clear()
		r.detachLocked(endCaps)
	}
	r.mu.Unlock()
	if same {
		return
	}
	r.params = nil
	if !old.IsNil() {
		old.Unref()
		r.Notify("recording")
	}
}
