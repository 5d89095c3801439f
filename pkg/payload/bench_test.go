// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"fmt"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// busy makes a frame of n detections as detectors give them.
func busy(n int) *event.Frame {
	f := &event.Frame{Num: 123456, Time: testTime, SensorID: "cam-1"}
	labels := []string{"person", "car", "dog", "bicycle"}
	for i := range n {
		o := f.AddObject()
		o.ID, o.Label = uint64(1000+i), labels[i%len(labels)]
		o.Box = event.Box{Left: 101.5 + float32(i)*7.25, Top: 202.375 + float32(i), Width: 64.1, Height: 128.7}
		o.Confidence, o.HasConfidence = 0.5+float32(i)/101, true
		if i%2 == 0 {
			o.AddClassification("color").AddLabel("red", 0.8)
		}
	}
	f.EventsFromObjects()
	return f
}

func site(t testing.TB) *dsconfig.Static {
	s, _, err := dsconfig.Load("testdata/golden/config/site.txt")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// In the steady state an object costs no allocation, neither to describe nor to encode.
func TestNoAllocations(t *testing.T) {
	for _, typ := range []Type{Deepstream, Minimal, Protobuf} {
		for api := range 2 {
			e, err := New(Options{Type: typ, API: API(api), Static: site(t)})
			if err != nil {
				t.Fatal(err)
			}
			f := busy(20)
			objects := append([]event.Object(nil), f.Objects...)
			bytes := 0
			emit := func(p Payload) { bytes += len(p.Data) }
			n := testing.AllocsPerRun(100, func() {
				f.Reset()
				f.Num, f.Time, f.SensorID = 1, testTime, "cam"
				for i := range objects {
					src, o := &objects[i], f.AddObject()
					o.ID, o.Label, o.Box, o.Confidence, o.HasConfidence = src.ID, src.Label, src.Box, src.Confidence, true
					for _, c := range src.Classifications {
						o.AddClassification(c.Type).AddLabel(c.Labels[0].Label, c.Labels[0].Prob)
					}
				}
				f.EventsFromObjects()
				if err := e.Encode(f, emit); err != nil {
					t.Error(err)
				}
			})
			if n != 0 || bytes == 0 {
				t.Errorf("%v, API %d: %v allocations for a frame of 20 objects, %d bytes", typ, api, n, bytes)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, typ := range []Type{Deepstream, Minimal, Protobuf} {
		for api, name := range []string{"event", "frame"} {
			for _, n := range []int{1, 10, 50} {
				b.Run(fmt.Sprintf("%v/%s/%d", typ, name, n), func(b *testing.B) {
					e, err := New(Options{Type: typ, API: API(api), Static: site(b)})
					if err != nil {
						b.Fatal(err)
					}
					f := busy(n)
					emit := func(Payload) {}
					b.ReportAllocs()
					for b.Loop() {
						if err := e.Encode(f, emit); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/object")
				})
			}
		}
	}
}

func BenchmarkEventsFromObjects(b *testing.B) {
	f := busy(10)
	b.ReportAllocs()
	for b.Loop() {
		f.EventsFromObjects()
	}
}
