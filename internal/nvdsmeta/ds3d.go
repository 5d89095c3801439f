// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// The sizes of the records in the arrays of a ds3d data map (ds3d_analysis_datatype.h: Object2DBbox,
// Lidar3DBbox, FusedDetection), the same from release 6.4 on. An array tells the size of its own.
const FlatSize, Box3DSize, FusedSize = 180, 180, 508

const (
	// Object2DBbox.
	flatX, flatY, flatDX, flatDY, flatScore, flatLabel = 0, 4, 8, 12, 20, 52
	// Lidar3DBbox.
	boxX, boxY, boxZ, boxDX, boxDY, boxDZ, boxScore, boxLabel = 0, 4, 8, 12, 16, 20, 32, 52
	// FusedDetection.
	fusedBox, fusedFlat, fusedScore = 0, 180, 360

	ds3dLabelSize = 128 // DS3D_MAX_LABEL_SIZE
)

// Flats appends n records of Object2DBbox to out. Like the other readers it runs inside Guard, and what it
// gives are views.
func Flats(base uintptr, n int, out []event.Flat) []event.Flat {
	for i := range uintptr(n) {
		out = append(out, flat(base+i*FlatSize))
	}
	return out
}

// Boxes3D appends n records of Lidar3DBbox to out.
func Boxes3D(base uintptr, n int, out []event.Box3D) []event.Box3D {
	for i := range uintptr(n) {
		out = append(out, box3D(base+i*Box3DSize))
	}
	return out
}

// Fused appends n records of FusedDetection to out.
func Fused(base uintptr, n int, out []event.Fused) []event.Fused {
	for i := range uintptr(n) {
		m := base + i*FusedSize
		out = append(out, event.Fused{Flat: flat(m + fusedFlat), Box3D: box3D(m + fusedBox), Score: f32(m + fusedScore)})
	}
	return out
}

func flat(m uintptr) event.Flat {
	return event.Flat{X: f32(m + flatX), Y: f32(m + flatY), DX: f32(m + flatDX), DY: f32(m + flatDY),
		Score: f32(m + flatScore), Label: fixed(m+flatLabel, ds3dLabelSize)}
}

func box3D(m uintptr) event.Box3D {
	return event.Box3D{X: f32(m + boxX), Y: f32(m + boxY), Z: f32(m + boxZ), DX: f32(m + boxDX), DY: f32(m + boxDY), DZ: f32(m + boxDZ),
		Score: f32(m + boxScore), Label: fixed(m+boxLabel, ds3dLabelSize)}
}

// Floats views n numbers, all of which can be read.
func Floats(base uintptr, n int) []float32 {
	if base == 0 || n <= 0 {
		return nil
	}
	probe(base, 4*n)
	return unsafe.Slice((*float32)(at(base)), n)
}

// Virtual checks that an object of C++ is where addr says, as far as its table of virtual functions with n of
// them can be read. Whether they are functions is left to who calls them.
func Virtual(addr uintptr, n int) error {
	return Guard(func() {
		table := word(addr)
		for i := range uintptr(n) {
			word(table + i*8)
		}
	})
}
