// SPDX-License-Identifier: LGPL-2.1-or-later

// Package outline finds the regions of a segmentation mask: the rectangle around
// each and the polygons around its pixels.
package outline

import "math"

// Mask is a picture in which pixels of the same value belong to the same region.
type Mask struct {
	Data          []byte // rows of Stride bytes; the last may be shorter
	Width, Height int    // pixels
	Stride        int    // bytes
	Bytes         int    // of a pixel: 1 or 2
	BigEndian     bool   // with 2 bytes
}

func (m *Mask) at(x, y int) uint32 {
	i := y*m.Stride + x*m.Bytes
	switch {
	case m.Bytes == 1:
		return uint32(m.Data[i])
	case m.BigEndian:
		return uint32(m.Data[i])<<8 | uint32(m.Data[i+1])
	}
	return uint32(m.Data[i+1])<<8 | uint32(m.Data[i])
}

// Rect holds the pixels from (X0, Y0) up to but without (X1, Y1). Pixels counts those of the region.
type Rect struct{ X0, Y0, X1, Y1, Pixels int }

// Empty reports whether the region has no pixel.
func (r Rect) Empty() bool { return r.Pixels == 0 }

func (r *Rect) add(x0, x1, y int) {
	if r.Pixels == 0 {
		*r = Rect{x0, y, x1, y + 1, x1 - x0}
		return
	}
	r.X0, r.X1, r.Y1 = min(r.X0, x0), max(r.X1, x1), y+1
	r.Pixels += x1 - x0
}

// Rects appends the rectangle around each of the regions to dst, in their order; values that ids does not
// name belong to none.
func (m *Mask) Rects(ids []uint32, dst []Rect) []Rect {
	base := len(dst)
	dst = append(dst, make([]Rect, len(ids))...)
	index := make(map[uint32]int, len(ids))
	for i, id := range ids {
		if _, twice := index[id]; !twice {
			index[id] = base + i
		}
	}
	m.runs(func(v uint32, x0, x1, y int) {
		if i, ok := index[v]; ok {
			dst[i].add(x0, x1, y)
		}
	})
	return dst
}

// Foreground gives the rectangle around all pixels but those of value 0.
func (m *Mask) Foreground() (r Rect) {
	m.runs(func(v uint32, x0, x1, y int) {
		if v != 0 {
			r.add(x0, x1, y)
		}
	})
	return r
}

// runs calls f for each row's stretches of one value.
func (m *Mask) runs(f func(v uint32, x0, x1, y int)) {
	for y := range m.Height {
		if m.Bytes == 1 {
			row := m.Data[y*m.Stride:][:m.Width]
			v, start := row[0], 0
			for x, w := range row {
				if w != v {
					f(uint32(v), start, x, y)
					v, start = w, x
				}
			}
			f(uint32(v), start, m.Width, y)
			continue
		}
		v, start := m.at(0, y), 0
		for x := 1; x < m.Width; x++ {
			if w := m.at(x, y); w != v {
				f(v, start, x, y)
				v, start = w, x
			}
		}
		f(v, start, m.Width, y)
	}
}

// Any stands for every value but 0 in Tracer.Polygons.
const Any = math.MaxUint32

// Limits of what Polygons gives: a message is no place for a ragged edge, and detectors leave crumbs.
const (
	MaxPolygons = 8   // for a region; the largest
	MaxPoints   = 128 // for a polygon
	minShare    = 50  // a polygon has at least 1/50 of the largest one's area
	tolerance   = 0.75
)

// Tracer keeps the memory that tracing takes.
type Tracer struct {
	mask    *Mask
	id      uint32
	rect    Rect
	seen    []uint64 // upper edges that a polygon has passed
	points  []float64
	keep    []bool
	stack   [][2]int
	found   []polygon
	results [][]float64
}

type polygon struct {
	from, to int // in points
	area     float64
}

func (t *Tracer) inside(x, y int) bool {
	if x < t.rect.X0 || x >= t.rect.X1 || y < t.rect.Y0 || y >= t.rect.Y1 {
		return false
	}
	v := t.mask.at(x, y)
	return v == t.id || t.id == Any && v != 0
}

// Polygons gives the outlines of a region's pixels within r, the largest first, each as x, y, x, y … in the
// mask's coordinates, clockwise, where a pixel is a square from (x, y) to (x+1, y+1). Holes are not cut out;
// corners that lie less than a pixel from the line are left out. The result is valid until the next call.
func (t *Tracer) Polygons(m *Mask, id uint32, r Rect) [][]float64 {
	t.mask, t.id, t.rect = m, id, r
	t.points, t.found, t.results = t.points[:0], t.found[:0], t.results[:0]
	if r.Empty() {
		return nil
	}
	w := r.X1 - r.X0
	words := (w*(r.Y1-r.Y0) + 63) / 64
	if cap(t.seen) < words {
		t.seen = make([]uint64, words)
	}
	t.seen = t.seen[:words]
	clear(t.seen)
	for y := r.Y0; y < r.Y1; y++ {
		left := false // a polygon begins at a left end of the region
		for x := r.X0; x < r.X1; x++ {
			here := t.inside(x, y)
			if here && (!left || t.inside(x-1, y-1)) && !t.inside(x, y-1) && !t.mark(x, y) {
				t.trace(x, y)
			}
			left = here
		}
	}
	t.choose()
	return t.results
}

// mark notes that the upper edge of a pixel was passed, and reports whether it had been.
func (t *Tracer) mark(x, y int) bool {
	i := (y-t.rect.Y0)*(t.rect.X1-t.rect.X0) + x - t.rect.X0
	old := t.seen[i/64]&(1<<(i%64)) != 0
	t.seen[i/64] |= 1 << (i % 64)
	return old
}

// Directions along the edges between pixels: the region lies at the right hand.
var (
	stepX = [4]int{1, 0, -1, 0}
	stepY = [4]int{0, 1, 0, -1}
)

// ahead gives the pixels at the left and at the right of the next edge in a direction from a corner.
func (t *Tracer) ahead(x, y, dir int) (left, right bool) {
	switch dir {
	case 0: // to the right
		return t.inside(x, y-1), t.inside(x, y)
	case 1: // down
		return t.inside(x, y), t.inside(x-1, y)
	case 2: // to the left
		return t.inside(x-1, y), t.inside(x-1, y-1)
	default: // up
		return t.inside(x-1, y-1), t.inside(x, y-1)
	}
}

// trace follows the edge that begins as the upper edge of a pixel, and keeps it unless it is a hole's.
func (t *Tracer) trace(x0, y0 int) {
	from := len(t.points)
	x, y, dir := x0, y0, 0
	area := 0
	for {
		if dir == 0 {
			t.mark(x, y)
		}
		nx, ny := x+stepX[dir], y+stepY[dir]
		area += x*ny - nx*y
		x, y = nx, ny
		left, right := t.ahead(x, y, dir)
		turn := dir
		switch {
		case !right: // also where two pixels touch at a corner: they stay apart
			turn = (dir + 1) % 4
		case left:
			turn = (dir + 3) % 4
		}
		if turn != dir {
			t.points = append(t.points, float64(x), float64(y))
			dir = turn
		}
		if x == x0 && y == y0 && dir == 0 {
			break
		}
	}
	if area <= 0 { // a hole is passed the other way round
		t.points = t.points[:from]
		return
	}
	t.found = append(t.found, polygon{from, len(t.points), float64(area) / 2})
}

// choose simplifies the largest polygons.
func (t *Tracer) choose() {
	for len(t.results) < MaxPolygons {
		best := -1
		for i, p := range t.found {
			if p.area > 0 && (best < 0 || p.area > t.found[best].area) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		p := t.found[best]
		if len(t.results) > 0 && p.area*minShare < t.largest() {
			return
		}
		t.found[best].area = -p.area // taken
		t.results = append(t.results, t.simplify(t.points[p.from:p.to]))
	}
}

func (t *Tracer) largest() float64 {
	largest := 0.0
	for _, p := range t.found {
		largest = max(largest, -p.area)
	}
	return largest
}

// simplify drops corners from a closed polygon, in place (Douglas and Peucker's way), with growing tolerance
// until few enough are left.
func (t *Tracer) simplify(p []float64) []float64 {
	const most = 2048 // what is taken into account: the time grows faster than the number
	if n := len(p) / 2; n > most {
		for i := range most {
			j := i * n / most
			p[2*i], p[2*i+1] = p[2*j], p[2*j+1]
		}
		p = p[:2*most]
	}
	for limit := tolerance; ; limit *= 1.5 {
		p = t.reduce(p, limit)
		if len(p)/2 <= MaxPoints {
			return p
		}
	}
}

func (t *Tracer) reduce(p []float64, limit float64) []float64 {
	n := len(p) / 2
	if n <= 4 {
		return p
	}
	far, dist := 0, -1.0 // a closed line is cut at its first corner and at the one farthest from it
	for i := range n {
		if d := math.Hypot(p[2*i]-p[0], p[2*i+1]-p[1]); d > dist {
			far, dist = i, d
		}
	}
	if cap(t.keep) < n+1 {
		t.keep = make([]bool, n+1)
	}
	keep := t.keep[:n+1]
	clear(keep)
	keep[0], keep[far] = true, true
	t.stack = append(t.stack[:0], [2]int{0, far}, [2]int{far, n})
	for len(t.stack) > 0 {
		s := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		worst, at := limit, -1
		for i := s[0] + 1; i < s[1]; i++ {
			if d := distance(p, i, s[0], s[1]%n); d > worst {
				worst, at = d, i
			}
		}
		if at >= 0 {
			keep[at] = true
			t.stack = append(t.stack, [2]int{s[0], at}, [2]int{at, s[1]})
		}
	}
	out := p[:0]
	for i := range n {
		if keep[i] {
			out = append(out, p[2*i], p[2*i+1])
		}
	}
	return out
}

// distance of corner i from the line between a and b.
func distance(p []float64, i, a, b int) float64 {
	x, y := p[2*i]-p[2*a], p[2*i+1]-p[2*a+1]
	dx, dy := p[2*b]-p[2*a], p[2*b+1]-p[2*a+1]
	long := math.Hypot(dx, dy)
	if long == 0 {
		return math.Hypot(x, y)
	}
	return math.Abs(x*dy-y*dx) / long
}
