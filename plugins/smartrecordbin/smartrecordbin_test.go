// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRingBeginsWithAKeyFrameAndKeepsWhatWasAskedFor(t *testing.T) {
	dropped := 0
	r := ring{drop: func(frame) { dropped++ }}
	for n := range int64(100) {
		r.add(frame{at: n * 10, size: 5, key: n%10 == 3}, 200, 1<<20)
		if len(r.frames) > 0 && !r.frames[0].key {
			t.Fatalf("frame %d: the ring begins with no key frame", n)
		}
	}
	now, _ := r.newest()
	if first := r.frames[0].at; first > now-200 || first <= now-200-100 {
		t.Errorf("from %d to %d", first, now)
	}
	if r.bytes != int64(5*len(r.frames)) || dropped+len(r.frames) != 100 {
		t.Errorf("%d bytes, %d frames, %d dropped", r.bytes, len(r.frames), dropped)
	}
	if i := r.from(now - 65); r.frames[i].at != 930-100 && r.frames[i].at != 930 || !r.frames[i].key || r.frames[i].at > now-65 {
		t.Errorf("from gives %+v", r.frames[i])
	}
	if i := r.from(0); i != 0 {
		t.Errorf("before all: %d", i)
	}
	r.clear()
	if r.bytes != 0 || dropped != 100 || r.from(0) != -1 {
		t.Errorf("after clear: %d bytes, %d dropped", r.bytes, dropped)
	}
}

func TestRingIsBoundedInBytes(t *testing.T) {
	r := ring{drop: func(frame) {}}
	for n := range int64(1000) {
		r.add(frame{at: n, size: 100, key: n%7 == 0}, 1<<40, 2000)
		if r.bytes > 2000 {
			t.Fatalf("%d bytes", r.bytes)
		}
	}
	// One group that alone is too large is given up, and the next key frame begins anew.
	r.add(frame{at: 1001, size: 10, key: true}, 1<<40, 2000)
	r.add(frame{at: 1002, size: 5000}, 1<<40, 2000)
	r.add(frame{at: 1003, size: 10}, 1<<40, 2000)
	if len(r.frames) != 0 {
		t.Fatalf("%+v", r.frames)
	}
	r.add(frame{at: 1004, size: 10, key: true}, 1<<40, 2000)
	if len(r.frames) != 1 {
		t.Fatal("it does not begin anew")
	}
}

func TestParameterSets(t *testing.T) {
	sps, pps, idr := []byte{0, 0, 0, 1, 0x67, 1, 2, 3}, []byte{0, 0, 1, 0x68, 4}, []byte{0, 0, 1, 0x65, 9, 9, 0, 0, 1, 0x67}
	sets, complete := parameterSets(bytes.Join([][]byte{{0, 0, 0, 1, 9, 0xf0}, sps, pps, idr}, nil), false)
	if want := []byte{0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4}; !complete || !bytes.Equal(sets, want) {
		t.Errorf("% x %v", sets, complete)
	}
	if sets, complete := parameterSets(idr, false); complete || len(sets) != 0 {
		t.Errorf("of a slice: % x", sets)
	}
	hevc := []byte{0, 0, 0, 1, 0x40, 1, 7, 0, 0, 0, 1, 0x42, 1, 8, 0, 0, 0, 1, 0x44, 1, 9, 0, 0, 0, 1, 0x26, 1, 5}
	if sets, complete := parameterSets(hevc, true); !complete || !bytes.Equal(sets, hevc[:21]) {
		t.Errorf("% x %v", sets, complete)
	}
	for _, junk := range [][]byte{nil, {0, 0, 1}, {0, 0, 0, 1}, {1, 2, 3}, bytes.Repeat([]byte{0, 0, 1}, 50), bytes.Repeat([]byte{0}, 50)} {
		parameterSets(junk, false)
		parameterSets(junk, true)
	}
	if sets, _ := parameterSets(bytes.Repeat(append([]byte{0, 0, 1, 0x67}, make([]byte, 5000)...), 100), false); len(sets) > maxParams+200 {
		t.Errorf("%d bytes are kept", len(sets))
	}
}

func TestNames(t *testing.T) {
	v := nameValues{prefix: "p", sensor: "../cam 1", name: "", start: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("x", 3600)), session: 7}
	for template, want := range map[string]string{
		defaultTemplate:          "p_-cam-1_20260102T020405.006Z_7",
		"{sensor}_{name}":        "-cam-1",
		"...{name}":              "recording_7",
		"{name}":                 "recording_7",
		"x":                      "x",
		strings.Repeat("é", 300): strings.Repeat("é", maxName/2),
	} {
		if got, err := fileName(template, v); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", template, got, err, want)
		}
	}
	for _, evil := range []string{"../../etc/passwd", "a/b", "..", ".", "x\x00y", "\xff\xfe", strings.Repeat("x", 5000), "{pid}"} {
		dir := t.TempDir()
		name, err := fileName("{name}", nameValues{name: evil, session: 1})
		if err != nil {
			t.Fatal(err)
		}
		path, err := create(dir, name, ".mp4")
		if err != nil || filepath.Dir(path) != dir {
			t.Errorf("%q: %s %v", evil, path, err)
		}
	}
}

func TestNoFileIsWrittenOver(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"a.mp4", "a-2.mp4", "a-3.mp4"} {
		if got, err := create(dir, "a", ".mp4"); err != nil || filepath.Base(got) != want {
			t.Errorf("%s %v", got, err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(dir, "b.mp4")); err != nil {
		t.Fatal(err)
	}
	if got, err := create(dir, "b", ".mp4"); err != nil || filepath.Base(got) != "b-2.mp4" {
		t.Errorf("through a link: %s %v", got, err)
	}
}

func FuzzParameterSets(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x68, 4, 0, 0, 1, 0x65, 9}, false)
	f.Fuzz(func(t *testing.T, unit []byte, h265 bool) {
		if sets, _ := parameterSets(unit, h265); len(sets) > 2*len(unit) {
			t.Fatalf("%d bytes of %d", len(sets), len(unit))
		}
	})
}
