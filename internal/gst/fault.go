// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#cgo LDFLAGS: -ldl
#include "ew.h"
*/
import "C"

import (
	"os"
	"reflect"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// KeepFaults sees to it that faults in Go code stay panics in a process that
// loads us as a plugin; see fault.c. Call it while the core is being loaded.
func KeepFaults() {
	from, to := goText()
	C.ew_fault_remember(C.guintptr(from), C.guintptr(to))
}

// goText finds the bounds of Go's code in the mapping that holds it.
func goText() (from, to uintptr) {
	here := reflect.ValueOf(goText).Pointer()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(maps)) {
		bounds, _, _ := strings.Cut(line, " ")
		first, last, _ := strings.Cut(bounds, "-")
		low, err1 := strconv.ParseUint(first, 16, 64)
		high, err2 := strconv.ParseUint(last, 16, 64)
		if err1 != nil || err2 != nil || uintptr(low) > here || here >= uintptr(high) {
			continue
		}
		isGo := func(pc uintptr) bool { return runtime.FuncForPC(pc) != nil }
		from = uintptr(low) + uintptr(sort.Search(int(here-uintptr(low)), func(i int) bool { return isGo(uintptr(low) + uintptr(i)) }))
		to = here + uintptr(sort.Search(int(uintptr(high)-here), func(i int) bool { return !isGo(here + uintptr(i)) }))
		return from, to
	}
	return 0, 0
}
