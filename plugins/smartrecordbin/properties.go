// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"math"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

// Defaults of the properties.
const (
	defaultPrefix   = "Smart_Record"
	defaultCache    = 20 // s
	defaultDuration = 20 // s
	defaultStall    = 10 // s
	defaultFinalize = 5000
	defaultBytes    = 64 << 20
)

// settings are the properties.
type settings struct {
	dir, prefix, template, sensor    string
	cache, duration, stall, finalize uint32
	cacheBytes, fileBytes            uint64
	container                        gst.Enum
}

func defaults() settings {
	return settings{prefix: defaultPrefix, template: defaultTemplate, cache: defaultCache, duration: defaultDuration,
		stall: defaultStall, finalize: defaultFinalize, cacheBytes: defaultBytes}
}

func (s settings) folder() string {
	if s.dir == "" {
		return "."
	}
	return s.dir
}

const (
	containerMP4 = iota
	containerMKV
)

var containers = &gst.EnumType{
	Name: "GstSmartRecordBinContainer",
	Values: []gst.EnumValue{
		{Value: containerMP4, Name: "MP4, written in fragments of a second: what a crash leaves can be played", Nick: "mp4"},
		{Value: containerMKV, Name: "Matroska", Nick: "mkv"},
	},
}

// field makes getter and setter of a settings field, under the lock.
func field[V any](f func(*settings) *V) (func(*recorder) V, func(*recorder, V)) {
	return func(r *recorder) V {
			r.mu.Lock()
			defer r.mu.Unlock()
			return *f(&r.set)
		}, func(r *recorder, v V) {
			r.mu.Lock()
			defer r.mu.Unlock()
			*f(&r.set) = v
		}
}

func stringProp(name, blurb, def string, f func(*settings) *string) gst.Property {
	get, set := field(f)
	return gst.StringProp(name, blurb, def, gst.MutablePlaying, get, set)
}

func uintProp(name, blurb string, def uint32, f func(*settings) *uint32) gst.Property {
	get, set := field(f)
	return gst.UintProp(name, blurb, 0, math.MaxInt32, def, gst.MutablePlaying, get, set)
}

func bytesProp(name, blurb string, low, def uint64, f func(*settings) *uint64) gst.Property {
	get, set := field(f)
	return gst.Uint64Prop(name, blurb, low, math.MaxInt64, def, gst.MutablePlaying, get, set)
}

func properties() []gst.Property {
	getContainer, setContainer := field(func(s *settings) *gst.Enum { return &s.container })
	return []gst.Property{
		stringProp("smart-rec-dir-path", "Folder of the recordings, which must exist; default: the current one", "", func(s *settings) *string { return &s.dir }),
		stringProp("smart-rec-file-prefix", "What {prefix} in file-template stands for", defaultPrefix, func(s *settings) *string { return &s.prefix }),
		uintProp("smart-rec-cache", "How far back a recording can begin, in seconds: so much encoded video is kept in memory", defaultCache,
			func(s *settings) *uint32 { return &s.cache }),
		gst.EnumProp("smart-rec-container", "Format of the files", containers, containerMP4, gst.MutablePlaying, getContainer, setContainer),
		uintProp("smart-rec-default-duration", "Length of a recording that is started without one, in seconds (0 = until it is stopped)", defaultDuration,
			func(s *settings) *uint32 { return &s.duration }),
		stringProp("sensor-id", "What {sensor} in file-template stands for; it is also told in sr-done", "", func(s *settings) *string { return &s.sensor }),
		stringProp("file-template", "Name of a file, without its ending, of {prefix}, {sensor}, {time} (of the first frame, UTC), {session}, {name} "+
			"(given with start-recording) and {pid}. A name that exists gets -2, -3 …", defaultTemplate, func(s *settings) *string { return &s.template }),
		bytesProp("max-cache-bytes", "How many bytes of encoded video may be in memory, and as many again that wait for the disk while a recording runs",
			1<<16, defaultBytes, func(s *settings) *uint64 { return &s.cacheBytes }),
		bytesProp("max-file-bytes", "How many bytes of video a file may have: then the recording ends (0 = any number)", 0, 0, func(s *settings) *uint64 { return &s.fileBytes }),
		uintProp("stall-timeout", "A recording ends when no frame has come for so many seconds (0 = never)", defaultStall, func(s *settings) *uint32 { return &s.stall }),
		uintProp("finalize-timeout", "How long EOS and stopping wait until the last file is closed, in milliseconds; it is closed in any case", defaultFinalize,
			func(s *settings) *uint32 { return &s.finalize }),
		gst.UintProp[recorder]("recording", "Session of the recording that runs, 0 when none does; changes are notified", 0, math.MaxUint32, 0, 0, (*recorder).recording, nil),
		gst.BoxedProp[recorder, gst.Structure]("stats", "Frames, bytes and milliseconds in the cache; recordings started, finished, failed and refused",
			gst.TypeStructure, 0, (*recorder).stats, nil),
	}
}

func (r *recorder) recording() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return 0
	}
	return r.current.id
}

func (r *recorder) stats() gst.Structure {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := gst.Structure{Name: "application/x-smartrecordbin-stats"}
	s.Add("cached-frames", uint64(len(r.ring.frames)))
	s.Add("cached-bytes", uint64(r.ring.bytes))
	s.Add("cached-time", uint64(r.ring.span()/time.Millisecond))
	s.Add("copied", r.copied)
	s.Add("started", r.started)
	s.Add("finished", r.ended)
	s.Add("failed", r.failed)
	s.Add("refused", r.refused)
	return s
}
