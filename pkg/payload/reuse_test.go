// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// What an Encoder keeps from earlier messages must not show in later ones.
func TestReuseChangesNothing(t *testing.T) {
	labels := []string{"person", "car", "dog", "id", "speed", "bbox", "location", "caf\xe9", ""}
	r := rand.New(rand.NewPCG(5, 6))
	var frames []*event.Frame
	for i := range 27 {
		f := fuzzFrame(labels[i%len(labels)], labels[r.IntN(len(labels))], r.Float32(), r.Float64(), int64(r.IntN(1000)))
		for j := range f.Events {
			ev := &f.Events[j]
			ev.Timestamp = event.Str("2025-02-03T04:05:06.789Z")
			if r.IntN(2) == 0 { // one that has nothing but a box
				*ev = event.Event{ObjectType: ev.ObjectType, Type: ev.Type, Sensor: ev.Sensor, Place: ev.Place, Box: ev.Box,
					Confidence: ev.Confidence, HasConfidence: ev.HasConfidence, ObjectID: ev.ObjectID}
			}
		}
		frames = append(frames, f)
		if f := detections("person", "Car", labels[i%len(labels)]); i%2 == 0 {
			f.Source = i % 3
			f.EventsFromObjects()
			frames = append(frames, f)
		}
	}
	for _, typ := range []Type{Deepstream, Minimal, Protobuf} {
		for api := range 2 {
			for _, indent := range []int{0, 2} {
				o := Options{Type: typ, API: API(api), Indent: indent, Static: site(t), NewUUID: func() [16]byte { return [16]byte{1, 0xab} }}
				kept, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				for i, f := range frames {
					var got []string
					if err := kept.Encode(f, func(p Payload) { got = append(got, string(p.Data)) }); err != nil {
						t.Fatal(err)
					}
					var want []string
					for _, p := range encode(t, o, f) {
						want = append(want, string(p.Data))
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%v, API %d, indent %d, frame %d:\n%q, and from a new Encoder\n%q", typ, api, indent, i, got, want)
					}
				}
			}
		}
	}
}

func TestAppendUUID(t *testing.T) {
	for _, id := range []uuid{{}, {^uint64(0), ^uint64(0)}, {0x0123456789abcdef, 0xfedcba9876543210}, newUUIDs().next()} {
		b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.high), id.low)
		want := fmt.Sprintf("x%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		if got := string(appendUUID([]byte("x"), id)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The entries of an info map stand in the order of their names, whatever an event has.
func TestInfoIsSorted(t *testing.T) {
	for _, kind := range []event.ObjectType{event.Vehicle, event.Person, event.Face, event.Product, event.Bag} {
		for _, tracked := range []bool{false, true} {
			ev := event.Event{ObjectType: kind, Has3D: tracked, Visibility: 0.5}
			ev.Ext = event.Ext{Kind: classOf(&ev).kind, VehicleType: event.Str("truck"), Make: event.Str("\xff"), Gender: event.Str("f")}
			var keys []string
			for b := new(Encoder).appendInfo(nil, &ev); len(b) > 0; {
				_, _, n := protowire.ConsumeTag(b)
				entry, size := protowire.ConsumeBytes(b[n:])
				_, _, skip := protowire.ConsumeTag(entry)
				key, _ := protowire.ConsumeString(entry[skip:])
				keys = append(keys, key)
				b = b[n+size:]
			}
			if !slices.IsSorted(keys) || !slices.Contains(keys, "visibility") || tracked != slices.Contains(keys, "convexHull") {
				t.Errorf("type %d, tracked %v: %q", kind, tracked, keys)
			}
		}
	}
}
