// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// palette are the colours of the classes: all of them light enough for black text.
var palette = []color.RGBA{
	{0x3d, 0xdc, 0x97, 0xff}, // green
	{0xff, 0xb7, 0x03, 0xff}, // amber
	{0x4c, 0xc9, 0xf0, 0xff}, // sky
	{0xff, 0x7b, 0x9c, 0xff}, // rose
	{0xc0, 0x9b, 0xff, 0xff}, // violet
	{0xf4, 0xf1, 0x7c, 0xff}, // lemon
}

var (
	stripColour = color.RGBA{0x16, 0x1b, 0x22, 0xff}
	stripText   = color.RGBA{0xf0, 0xf3, 0xf6, 0xff}
	stripDim    = color.RGBA{0x9a, 0xa4, 0xb0, 0xff}
	black       = color.RGBA{0x10, 0x10, 0x10, 0xff}
)

// annotate draws the boxes and labels of d onto a copy of the picture, with a
// strip below it.
func annotate(picture image.Image, d described) (*image.RGBA, error) {
	size := picture.Bounds().Size()
	if size.X < 1 || size.Y < 1 {
		return nil, errors.New("the picture is empty")
	}
	// All measures follow the picture: 1 is right for a height of 576.
	unit := max(1, float64(min(size.X, size.Y))/576)
	small, err := face(13 * unit)
	if err != nil {
		return nil, err
	}
	large, err := face(15 * unit)
	if err != nil {
		return nil, err
	}
	strip := int(30 * unit)
	out := image.NewRGBA(image.Rect(0, 0, size.X, size.Y+strip))
	frame := image.Rect(0, 0, size.X, size.Y)
	draw.Draw(out, frame, picture, picture.Bounds().Min, draw.Src)

	colours := map[string]color.RGBA{}
	for _, o := range d.objects {
		if _, ok := colours[o.label]; !ok {
			colours[o.label] = palette[len(colours)%len(palette)]
		}
	}
	thick := max(2, int(math.Round(2*unit)))
	for _, o := range d.objects {
		drawBox(out, boxOf(o, frame), frame, thick, colours[o.label])
	}
	// The labels last, so that no box crosses one.
	var taken []image.Rectangle
	for _, o := range d.objects {
		taken = append(taken, drawLabel(out, boxOf(o, frame), frame, taken, small, labelText(o), colours[o.label]))
	}
	drawStrip(out, image.Rect(0, size.Y, size.X, size.Y+strip), large, d)
	return out, nil
}

// boxOf is where the object is, in whole pixels. What a message holds may be
// anything: it is kept near the picture, so that drawing ends soon.
func boxOf(o detected, frame image.Rectangle) image.Rectangle {
	limit := func(v float64, size int) int {
		if math.IsNaN(v) {
			return 0
		}
		return int(math.Round(max(-float64(size), min(v, 2*float64(size)))))
	}
	w, h := frame.Dx(), frame.Dy()
	return image.Rect(limit(o.box[0], w), limit(o.box[1], h), limit(o.box[2], w), limit(o.box[3], h))
}

// drawBox outlines r, with a dark line around it that shows on light ground.
func drawBox(out *image.RGBA, r, frame image.Rectangle, thick int, c color.RGBA) {
	outline(out, r.Inset(-1), frame, 1, black)
	outline(out, r, frame, thick, c)
	outline(out, r.Inset(thick), frame, 1, black)
}

func outline(out *image.RGBA, r, frame image.Rectangle, thick int, c color.RGBA) {
	if r.Dx() <= 0 || r.Dy() <= 0 {
		return
	}
	for _, side := range []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+thick),
		image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y, r.Min.X+thick, r.Max.Y),
		image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y),
	} {
		draw.Draw(out, side.Intersect(frame), image.NewUniform(c), image.Point{}, draw.Src)
	}
}

func labelText(o detected) string {
	text := clean(o.label)
	if text == "" {
		text = "?"
	}
	if o.hasConfidence {
		text += fmt.Sprintf(" %.2f", o.confidence)
	}
	return text
}

// drawLabel puts the label on the box, or where it hides none of those that
// are there already, and gives its place.
func drawLabel(out *image.RGBA, box, frame image.Rectangle, taken []image.Rectangle, f font.Face, text string, c color.RGBA) image.Rectangle {
	m := f.Metrics()
	pad := m.Height.Ceil() / 4
	w, h := font.MeasureString(f, text).Ceil()+2*pad, m.Ascent.Ceil()+m.Descent.Ceil()+pad
	place := func(x, y int) image.Rectangle {
		x = max(frame.Min.X, min(x, frame.Max.X-w))
		y = max(frame.Min.Y, min(y, frame.Max.Y-h))
		return image.Rect(x, y, x+w, y+h)
	}
	free := func(r image.Rectangle) bool {
		return !slices.ContainsFunc(taken, func(t image.Rectangle) bool { return t.Inset(-1).Overlaps(r) })
	}
	above, below := box.Min.Y-h-1, box.Max.Y+1
	if above < frame.Min.Y {
		above = box.Min.Y
	}
	r := place(box.Min.X-1, above)
	for _, other := range []image.Rectangle{
		place(box.Max.X+1-w, above), place(box.Min.X-1, below), place(box.Max.X+1-w, below),
		place(box.Min.X-1, above-h-1), place(box.Min.X-1, below+h+1),
	} {
		if free(r) {
			break
		}
		if free(other) {
			r = other
		}
	}
	draw.Draw(out, r.Intersect(frame), image.NewUniform(c), image.Point{}, draw.Src)
	write(out, f, r.Min.X+pad, r.Min.Y+pad/2+m.Ascent.Ceil(), text, black)
	return r
}

func drawStrip(out *image.RGBA, r image.Rectangle, f font.Face, d described) {
	draw.Draw(out, r, image.NewUniform(stripColour), image.Point{}, draw.Src)
	m := f.Metrics()
	pad := r.Dy() / 3
	baseline := r.Min.Y + (r.Dy()+m.Ascent.Ceil()-m.Descent.Ceil())/2
	left, right := stripTexts(d)
	end := write(out, f, r.Min.X+pad, baseline, left, stripText)
	x := r.Max.X - pad - font.MeasureString(f, right).Ceil()
	if x > end+pad {
		write(out, f, x, baseline, right, stripDim)
	}
}

func stripTexts(d described) (left, right string) {
	var words []string
	if d.frame != "" {
		words = append(words, "frame "+clean(d.frame))
	}
	if d.event != "" {
		words = append(words, clean(d.event))
	}
	words = append(words, plural(len(d.objects), "object"))
	if d.sensor != "" {
		words = append(words, "sensor "+clean(d.sensor))
	}
	return strings.Join(words, "   ·   "), clean(d.time)
}

// write draws text and gives the x where it ends.
func write(out *image.RGBA, f font.Face, x, baseline int, text string, c color.Color) int {
	d := font.Drawer{Dst: out, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, baseline)}
	d.DrawString(text)
	return d.Dot.X.Ceil()
}

func face(pixels float64) (font.Face, error) {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: pixels, DPI: 72, Hinting: font.HintingFull})
}

// maxPPM bounds a picture's sides, in pixels.
const maxPPM = 16384

// decodePPM reads a binary PPM (P6) with 8 bits a sample: the form in which
// raw frames of a pipeline become a picture by putting a header before them.
func decodePPM(b []byte) (image.Image, error) {
	var w, h, top int
	r := bytes.NewReader(b)
	if _, err := fmt.Fscanf(r, "P6\n%d %d\n%d\n", &w, &h, &top); err != nil {
		return nil, fmt.Errorf("the PPM header is not \"P6, width height, 255\" on three lines: %w", err)
	}
	if w < 1 || h < 1 || w > maxPPM || h > maxPPM || top != 255 {
		return nil, fmt.Errorf("a PPM of %d x %d with %d levels is not supported", w, h, top)
	}
	pixels := b[len(b)-r.Len():]
	if len(pixels) < 3*w*h {
		return nil, fmt.Errorf("the PPM is cut off: %d bytes of %d", len(pixels), 3*w*h)
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		copy(out.Pix[4*i:], pixels[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out, nil
}
