// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

func signals() []gst.Signal {
	return []gst.Signal{
		{
			// start-sr (guint *session, guint start, guint duration, gpointer user), in seconds, as nvurisrcbin has it.
			Name: "start-sr", Action: true, Params: []gst.Type{gst.TypePointer, gst.TypeUint, gst.TypeUint, gst.TypePointer},
			Handler: func(inst any, args []any) any {
				r := inst.(*recorder)
				out, _ := args[0].(unsafe.Pointer)
				back, _ := args[1].(uint32)
				length, _ := args[2].(uint32)
				user, _ := args[3].(unsafe.Pointer)
				id, _, err := r.start(time.Duration(back)*time.Second, time.Duration(length)*time.Second, "", user)
				if out != nil {
					*(*uint32)(out) = id
				}
				r.complain("start-sr", err)
				return nil
			},
		},
		{
			// stop-sr (guint session), as nvurisrcbin has it; 0 is the one that runs.
			Name: "stop-sr", Action: true, Params: []gst.Type{gst.TypeUint},
			Handler: func(inst any, args []any) any {
				r := inst.(*recorder)
				id, _ := args[0].(uint32)
				_, err := r.stop(id)
				r.complain("stop-sr", err)
				return nil
			},
		},
		{
			// start-recording (guint64 start, guint64 duration, gchar *name) → GstStructure, in milliseconds.
			Name: "start-recording", Action: true, Return: gst.TypeStructure(),
			Params: []gst.Type{gst.TypeUint64, gst.TypeUint64, gst.TypeString},
			Handler: func(inst any, args []any) any {
				back, _ := args[0].(uint64)
				length, _ := args[1].(uint64)
				name, _ := args[2].(string)
				id, missing, err := inst.(*recorder).start(milliseconds(back), milliseconds(length), name, nil)
				s := answer(id, err)
				s.Add("missing", uint64(missing/time.Millisecond))
				return s
			},
		},
		{
			// stop-recording (guint session) → GstStructure.
			Name: "stop-recording", Action: true, Return: gst.TypeStructure(), Params: []gst.Type{gst.TypeUint},
			Handler: func(inst any, args []any) any {
				id, _ := args[0].(uint32)
				return answer(inst.(*recorder).stop(id))
			},
		},
		// sr-done (GstStructure *info, gpointer user): a file is closed, or could not be written.
		{Name: "sr-done", Params: []gst.Type{gst.TypeStructure(), gst.TypePointer}},
	}
}

// maxAsk bounds what can be asked for: 100 days.
const maxAsk = 100 * 24 * time.Hour

func milliseconds(n uint64) time.Duration {
	return time.Duration(min(n, uint64(maxAsk/time.Millisecond))) * time.Millisecond
}

func answer(id uint32, err error) gst.Structure {
	s := gst.Structure{Name: "smart-record"}
	s.Add("session", id)
	if err != nil {
		s.Add("error", err.Error())
	}
	return s
}

func (r *recorder) complain(what string, err error) {
	if err != nil {
		r.Warning(gst.ResourceFailed, r.Name()+": "+what+": "+err.Error()+".", "")
	}
}

// start begins a recording. missing is how much of what was asked for the ring does not reach back to.
func (r *recorder) start(back, length time.Duration, name string, user unsafe.Pointer) (id uint32, missing time.Duration, err error) {
	back, length = min(back, maxAsk), min(length, maxAsk)
	r.mu.Lock()
	s, missing, err := r.begin(back, length, name)
	if err != nil {
		r.refused++
		r.mu.Unlock()
		return 0, 0, err
	}
	s.user = user
	r.started++
	r.mu.Unlock()
	r.Ref() // finished gives it back
	log.Log(gst.LevelInfo, r.Element, "session %d begins, %v back, %v missing", s.id, back, missing)
	r.Notify("recording")
	safe.Go(nil, "recording", func(e *safe.PanicError) {
		r.Panicked("writing a recording", e.Value)
		r.detach(s)
		s.finish(endError, e)
		r.finished(s, result{reason: endError, err: e, start: s.name.start})
	}, s.run)
	return s.id, missing, nil
}

// begin makes the session and gives it what the ring has. mu is held.
func (r *recorder) begin(back, length time.Duration, name string) (*session, time.Duration, error) {
	switch {
	case r.current != nil:
		return nil, 0, fmt.Errorf("session %d is recording already: stop it first", r.current.id)
	case r.caps.IsNil():
		return nil, 0, fmt.Errorf("there is no stream yet: bring the pipeline to PLAYING first")
	case len(r.sessions) >= maxSessions:
		return nil, 0, fmt.Errorf("%d recordings still wait for the disk", len(r.sessions))
	}
	if length == 0 {
		length = time.Duration(r.set.duration) * time.Second
	}
	f := r.format
	f.muxer, f.ending = "mp4mux", ".mp4"
	if r.set.container == containerMKV {
		f.muxer, f.ending = "matroskamux", ".mkv"
	}
	asked, missing := int64(noTime), back
	var have []frame
	wall := time.Now()
	if now, ok := r.ring.newest(); ok {
		asked = now - int64(back)
		have = r.ring.frames[r.ring.from(asked):]
		missing = time.Duration(max(have[0].at-asked, 0))
		wall = have[0].wall
		if length > 0 && have[0].at >= asked+int64(length) {
			return nil, 0, fmt.Errorf("all of it lies before what is kept: %v back, and the cache (smart-rec-cache) has %v", back, r.ring.span())
		}
	}
	if r.nextID++; r.nextID == 0 {
		r.nextID = 1
	}
	s := &session{
		id: r.nextID, r: r, dir: r.set.folder(), template: r.set.template, format: f, caps: r.caps.Ref(),
		name:     nameValues{prefix: r.set.prefix, sensor: r.set.sensor, name: name, start: wall, session: r.nextID},
		maxBytes: int64(r.set.fileBytes), maxQueue: r.ring.bytes + int64(r.set.cacheBytes), stall: time.Duration(r.set.stall) * time.Second,
		length: int64(length), start: asked, shown: noTime, closed: noTime, last: time.Now(), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	r.sessions[s.id] = s
	r.current = s
	for _, f := range have {
		if !s.add(f.ref()) { // all that was asked for is there
			r.current = nil
			break
		}
	}
	return s, missing, nil
}

// maxSessions bounds the recordings whose files are not closed yet.
const maxSessions = 16

// begun reports whether the session has had its key frame.
func (s *session) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total > 0
}

func (r *recorder) stop(id uint32) (uint32, error) {
	r.mu.Lock()
	s := r.current
	if s == nil || id != 0 && id != s.id {
		r.refused++
		r.mu.Unlock()
		if id != 0 {
			return 0, fmt.Errorf("session %d is not recording", id)
		}
		return 0, fmt.Errorf("nothing is being recorded")
	}
	r.detachLocked(endStop)
	r.mu.Unlock()
	r.Notify("recording")
	return s.id, nil
}

// detachLocked ends the session that runs, for a reason. mu is held.
func (r *recorder) detachLocked(reason string) {
	if s := r.current; s != nil {
		s.finish(reason, nil)
		r.current = nil
	}
}

func (r *recorder) endCurrent(reason string) {
	r.mu.Lock()
	was := r.current
	r.detachLocked(reason)
	r.mu.Unlock()
	if was != nil {
		r.Notify("recording")
	}
}

// detach takes a session off that has ended by itself.
func (r *recorder) detach(s *session) {
	r.mu.Lock()
	was := r.current == s
	if was {
		r.current = nil
	}
	r.mu.Unlock()
	if was {
		r.Notify("recording")
	}
}

// wait waits until every file is closed, up to finalize-timeout or until cut is closed.
func (r *recorder) wait(cut <-chan struct{}) bool {
	r.mu.Lock()
	timeout := time.NewTimer(time.Duration(r.set.finalize) * time.Millisecond)
	var open []*session
	for _, s := range r.sessions {
		open = append(open, s)
	}
	r.mu.Unlock()
	defer timeout.Stop()
	for _, s := range open {
		select {
		case <-s.done:
		case <-cut:
			return false
		case <-timeout.C:
			return false
		}
	}
	return true
}

// finished tells of a recording that has ended. It runs on the session's goroutine, outside all locks.
func (r *recorder) finished(s *session, res result) {
	if s.told.Swap(true) { // it panicked while it told
		return
	}
	defer r.Unref()
	defer close(s.done)
	r.mu.Lock()
	delete(r.sessions, s.id)
	sensor := s.name.sensor
	if r.ended++; res.err != nil {
		r.failed++
	}
	r.mu.Unlock()
	m := gst.Structure{Name: "sr-done"}
	m.Add("session", s.id)
	m.Add("sensor", sensor)
	if res.path != "" {
		m.Add("file", res.path)
		m.Add("filename", filepath.Base(res.path))
		m.Add("dirpath", filepath.Dir(res.path))
	}
	m.Add("start", res.start.UTC().Format("2006-01-02T15:04:05.000Z"))
	m.Add("duration", uint64(res.duration/time.Millisecond))
	m.Add("frames", res.frames)
	m.Add("bytes", res.bytes)
	m.Add("reason", res.reason)
	width, _ := s.caps.Int("width")
	height, _ := s.caps.Int("height")
	m.Add("width", uint32(max(width, 0)))
	m.Add("height", uint32(max(height, 0)))
	m.Add("container", s.format.ending[1:])
	if res.err != nil {
		m.Add("error", res.err.Error())
		code := gst.ResourceWrite
		if res.noSpace {
			code = gst.ResourceNoSpace
		}
		kept := "nothing of it was kept"
		if res.path != "" {
			kept = "what was written until then is in " + res.path
		}
		r.Warning(code, fmt.Sprintf("%s: recording %d failed: %v; %s. The stream goes on.", r.Name(), s.id, res.err, kept), "")
	}
	log.Log(gst.LevelInfo, r.Element, "session %d: %s, %d frames, %v in %s", s.id, res.reason, res.frames, res.duration, res.path)
	r.PostMessage(m)
	r.Emit("sr-done", m, s.user)
}
