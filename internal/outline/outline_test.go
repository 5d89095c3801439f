// SPDX-License-Identifier: LGPL-2.1-or-later

package outline

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// draw makes a mask of lines of digits; a dot is 0.
func draw(lines ...string) *Mask {
	m := &Mask{Width: len(lines[0]), Height: len(lines), Stride: len(lines[0]) + 3, Bytes: 1}
	for i, l := range lines {
		row := []byte(strings.ReplaceAll(l, ".", "0"))
		for j := range row {
			row[j] -= '0'
		}
		if m.Data = append(m.Data, row...); i < len(lines)-1 { // the last row is as short as can be
			m.Data = append(m.Data, 9, 9, 9)
		}
	}
	return m
}

func outlines(m *Mask, id uint32) [][]float64 {
	var t Tracer
	r := m.Foreground()
	if id != Any {
		r = m.Rects([]uint32{id}, nil)[0]
	}
	return t.Polygons(m, id, r)
}

func TestRects(t *testing.T) {
	m := draw(
		"..1..",
		".11.2",
		"....2")
	got := m.Rects([]uint32{2, 7, 1, 2}, []Rect{{Pixels: 5}})
	want := []Rect{{Pixels: 5}, {4, 1, 5, 3, 2}, {}, {1, 0, 3, 2, 3}, {}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if r := m.Foreground(); r != (Rect{1, 0, 5, 3, 5}) {
		t.Errorf("%v", r)
	}
	if r := draw("...").Foreground(); !r.Empty() {
		t.Errorf("%v", r)
	}
}

func TestWideValues(t *testing.T) {
	m := &Mask{Data: []byte{1, 2, 0, 0}, Width: 2, Height: 1, Stride: 4, Bytes: 2}
	for big, id := range map[bool]uint32{false: 0x201, true: 0x102} {
		m.BigEndian = big
		if r := m.Rects([]uint32{id}, nil)[0]; r != (Rect{0, 0, 1, 1, 1}) {
			t.Errorf("%t: %v", big, r)
		}
	}
}

func TestPolygons(t *testing.T) {
	for name, c := range map[string]struct {
		mask *Mask
		id   uint32
		want [][]float64
	}{
		"a rectangle": {draw("....", ".11.", ".11."), 1, [][]float64{{3, 1, 3, 3, 1, 3, 1, 1}}},
		"a pixel":     {draw("2"), 2, [][]float64{{1, 0, 1, 1, 0, 1, 0, 0}}},
		"without its hole": {draw("11111111", "11111111", "11...111", "11...111", "11...111", "11111111"), 1,
			[][]float64{{8, 0, 8, 6, 0, 6, 0, 0}}},
		"the larger of two first": {draw("11.....", "11..222", "11..222", "....222"), Any,
			[][]float64{{7, 1, 7, 4, 4, 4, 4, 1}, {2, 0, 2, 3, 0, 3, 0, 0}}},
		"two that touch at a corner": {draw("11..", "11..", "..11", "..11"), 1,
			[][]float64{{2, 0, 2, 2, 0, 2, 0, 0}, {4, 2, 4, 4, 2, 4, 2, 2}}},
		"an L": {draw("11....", "11....", "11....", "111111", "111111"), 1,
			[][]float64{{2, 0, 2, 3, 6, 3, 6, 5, 0, 5, 0, 0}}},
		"another's": {draw("111"), 2, nil},
	} {
		got := outlines(c.mask, c.id)
		if len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCrumbsAreLeftOut(t *testing.T) {
	m := draw("1111111111", "1111111111", "1111111111", "1111111111", "1111111111", "1111111111", "..........", "1.......11", "........11")
	if got := outlines(m, 1); len(got) != 2 { // 60 pixels, 4, and 1, which is less than a fiftieth
		t.Errorf("%v", got)
	}
}

// A disc keeps its area with a few corners.
func TestRoundThings(t *testing.T) {
	const n, r = 200, 90.0
	m := &Mask{Data: make([]byte, n*n), Width: n, Height: n, Stride: n, Bytes: 1}
	for y := range n {
		for x := range n {
			if math.Hypot(float64(x)+.5-n/2, float64(y)+.5-n/2) < r {
				m.Data[y*n+x] = 1
			}
		}
	}
	got := outlines(m, 1)
	if len(got) != 1 || len(got[0])/2 > MaxPoints || len(got[0])/2 < 12 {
		t.Fatalf("%v", got)
	}
	if a := area(got[0]); math.Abs(a-math.Pi*r*r) > 0.02*math.Pi*r*r {
		t.Errorf("area %v of %v", a, math.Pi*r*r)
	}
}

func area(p []float64) (a float64) {
	for i := 0; i < len(p); i += 2 {
		j := (i + 2) % len(p)
		a += p[i]*p[j+1] - p[j]*p[i+1]
	}
	return a / 2
}

func check(t *testing.T, m *Mask, id uint32) {
	t.Helper()
	r := m.Rects([]uint32{id}, nil)[0]
	var tracer Tracer
	polygons := tracer.Polygons(m, id, r)
	if (len(polygons) == 0) != r.Empty() || len(polygons) > MaxPolygons {
		t.Fatalf("%d polygons of %d pixels", len(polygons), r.Pixels)
	}
	for _, p := range polygons {
		if len(p)%2 != 0 || len(p) < 6 || len(p)/2 > MaxPoints {
			t.Fatalf("%v", p)
		}
		for i := 0; i < len(p); i += 2 {
			if p[i] < float64(r.X0) || p[i] > float64(r.X1) || p[i+1] < float64(r.Y0) || p[i+1] > float64(r.Y1) {
				t.Fatalf("%v is not in %v", p, r)
			}
		}
	}
}

func TestNoise(t *testing.T) {
	const w, h = 640, 480
	m := &Mask{Data: make([]byte, w*h), Width: w, Height: h, Stride: w, Bytes: 1}
	random := rand.New(rand.NewPCG(1, 2))
	for _, share := range []float64{0.02, 0.5, 0.65, 0.98} {
		for i := range m.Data {
			m.Data[i] = 0
			if random.Float64() < share {
				m.Data[i] = 1
			}
		}
		check(t, m, 1)
	}
}

func TestReuseAllocatesNothing(t *testing.T) {
	m := draw("11..222", "11..222", "1...222")
	var tracer Tracer
	trace := func() { tracer.Polygons(m, Any, m.Foreground()) }
	trace()
	if n := testing.AllocsPerRun(50, trace); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPolygons(f *testing.F) {
	f.Add([]byte{1, 0, 1, 1, 1, 1, 0, 1, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		w := int(width)
		if w == 0 || len(data) < w {
			return
		}
		m := &Mask{Data: data, Width: w, Height: len(data) / w, Stride: w, Bytes: 1}
		for _, id := range []uint32{0, 1, uint32(data[0])} {
			check(t, m, id)
		}
	})
}

func BenchmarkPolygons(b *testing.B) {
	const n = 160
	m := &Mask{Data: make([]byte, n*n), Width: n, Height: n, Stride: n, Bytes: 1}
	for y := range n {
		for x := range n {
			if math.Hypot(float64(x-n/2), float64(y-n/2)) < 60 {
				m.Data[y*n+x] = 1
			}
		}
	}
	var tracer Tracer
	for b.Loop() {
		tracer.Polygons(m, 1, m.Foreground())
	}
}
