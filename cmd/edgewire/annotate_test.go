// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// grey is a picture of one colour.
func grey(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 0x80
		if i%4 == 3 {
			img.Pix[i] = 0xff
		}
	}
	return img
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func pngFile(t *testing.T, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "frame.png", b.Bytes())
}

func TestAnnotateDrawsTheBox(t *testing.T) {
	message := `{"version":"4.0","id":"3","@timestamp":"2026-01-02T03:04:05.678Z","sensorId":"s","objects":["1|50|60|90|120|person"]}`
	picture := pngFile(t, grey(320, 240))
	out := filepath.Join(t.TempDir(), "out.png")
	r := runLine(t.Context(), message, "annotate", "--image", picture, "--message", "-", "--out", out)
	if r.code != exitOK || !strings.Contains(r.out, "1 object drawn") {
		t.Fatalf("exit code %d, %q, %q", r.code, r.out, r.err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X != 320 || s.Y <= 240 {
		t.Errorf("size %v, want 320 x 240 and a strip", s)
	}
	for _, p := range []image.Point{{50, 90}, {89, 90}, {70, 60}, {70, 119}} {
		if c := at(img, p); c != palette[0] {
			t.Errorf("the outline at %v is %v, want %v", p, c, palette[0])
		}
	}
	for _, p := range []image.Point{{70, 90}, {10, 200}, {300, 10}} {
		if c := at(img, p); c != (color.RGBA{0x80, 0x80, 0x80, 0xff}) {
			t.Errorf("the picture at %v was changed to %v", p, c)
		}
	}
	if c := at(img, image.Pt(2, 242)); c != stripColour {
		t.Errorf("the strip is %v", c)
	}
}

func at(img image.Image, p image.Point) color.RGBA {
	r, g, b, a := img.At(p.X, p.Y).RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
}

func TestAnnotateTakesTheMessageOfTheFrame(t *testing.T) {
	var lines bytes.Buffer
	for frame := range 3 {
		message := fmt.Sprintf(`{"version":"4.0","id":"%d","objects":[%s"9|1|1|9|9|x"]}`, frame, strings.Repeat(`"1|2|3|4|5|y",`, frame))
		fmt.Fprintf(&lines, `{"topic":"t","timestamp":"2026-01-01T00:00:00Z","value":%q}`+"\n", message)
	}
	path := writeFile(t, "m.jsonl", lines.Bytes())
	for frame := range 3 {
		d, err := findMessage(path, fmt.Sprint(frame), nil)
		if err != nil || len(d.objects) != frame+1 {
			t.Errorf("frame %d: %d objects, %v", frame, len(d.objects), err)
		}
	}
	if d, err := findMessage(path, "", nil); err != nil || d.frame != "0" {
		t.Errorf("without --frame: frame %q, %v", d.frame, err)
	}
	if _, err := findMessage(path, "77", nil); err == nil || !strings.Contains(err.Error(), "none of its 3 messages is of frame 77") {
		t.Errorf("a frame that is absent: %v", err)
	}
}

func TestAnnotateErrors(t *testing.T) {
	picture := pngFile(t, grey(32, 32))
	message := writeFile(t, "m.json", []byte(minimalMessage))
	out := filepath.Join(t.TempDir(), "out.png")
	for _, c := range []struct{ name, image, message, frame, out, err string }{
		{"no picture", "/nonexistent.png", message, "", out, "/nonexistent.png"},
		{"no message", picture, "/nonexistent.json", "", out, "/nonexistent.json"},
		{"a picture that is none", message, message, "", out, "no PNG, JPEG or PPM"},
		{"a message that is none", picture, writeFile(t, "x", []byte("hello")), "", out, "line 1: not JSON"},
		{"another schema", picture, writeFile(t, "x", []byte(`{"a":1}`)), "", out, "not of DeepStream's minimal or full schema"},
		{"another frame", picture, message, "13", out, `holds frame "12"`},
		{"empty", picture, writeFile(t, "x", nil), "", out, "holds no message"},
		{"a PPM that is cut off", writeFile(t, "x.ppm", []byte("P6\n10 10\n255\nabc")), message, "", out, "cut off: 3 bytes of 300"},
		{"a PPM too large", writeFile(t, "x.ppm", []byte("P6\n99999 10\n255\nabc")), message, "", out, "not supported"},
		{"a place that cannot be written", picture, message, "", "/nonexistent/out.png", "--out"},
	} {
		r := runLine(t.Context(), "", "annotate", "--image", c.image, "--message", c.message, "--frame", c.frame, "--out", c.out)
		if r.code != exitError || !strings.Contains(r.err, c.err) {
			t.Errorf("%s: exit code %d, %q does not contain %q", c.name, r.code, r.err, c.err)
		}
	}
}

func TestAnnotateSurvivesAnyBox(t *testing.T) {
	for _, box := range []string{"1e30|-1e30|1e38|1e300", "NaN|NaN|NaN|NaN", "-Inf|0|Inf|5", "30|30|10|10", "0|0|0|0", "-5|-5|5|5"} {
		d := describe(fmt.Appendf(nil, `{"version":"4.0","id":"1","objects":["1|%s|x","1|%s|x"]}`, box, box))
		for _, size := range []int{1, 20, 200} {
			img, err := annotate(grey(size, size), d)
			if err != nil || img.Bounds().Dx() != size {
				t.Errorf("box %s on %d: %v", box, size, err)
			}
		}
	}
}

func TestAnnotateKeepsLabelsApart(t *testing.T) {
	f, err := face(13)
	if err != nil {
		t.Fatal(err)
	}
	img := grey(400, 300)
	box := image.Rect(150, 100, 200, 200)
	var taken []image.Rectangle
	for i := range 4 {
		r := drawLabel(img, box, img.Bounds(), taken, f, "person 0.93", palette[0])
		for _, other := range taken {
			if r.Overlaps(other) {
				t.Errorf("label %d at %v hides the one at %v", i, r, other)
			}
		}
		taken = append(taken, r)
	}
}

func TestReadPPM(t *testing.T) {
	img, err := readPicture(writeFile(t, "x.ppm", []byte("P6\n2 1\n255\n\x01\x02\x03\xfd\xfe\xff")))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := at(img, image.Pt(0, 0)), at(img, image.Pt(1, 0)); a != (color.RGBA{1, 2, 3, 255}) || b != (color.RGBA{253, 254, 255, 255}) {
		t.Errorf("pixels %v and %v", a, b)
	}
}
