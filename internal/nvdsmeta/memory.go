// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// Foreign memory is named by its address: a broken pointer in a variable of a
// pointer type would be the garbage collector's business.

func at(addr uintptr) unsafe.Pointer {
	if addr-lowest > highest-lowest {
		nowhere(addr)
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// No process has memory beyond these. The processor would fault there without
// telling the address.
const lowest, highest = 1 << 12, 1 << 56

// A badAddress is what Guard turns into an error.
type badAddress uintptr

//go:noinline
func nowhere(addr uintptr) { panic(badAddress(addr)) }

func word(addr uintptr) uintptr { return *(*uintptr)(at(addr)) }
func u32(addr uintptr) uint32   { return *(*uint32)(at(addr)) }
func i32(addr uintptr) int32    { return *(*int32)(at(addr)) }
func u64(addr uintptr) uint64   { return *(*uint64)(at(addr)) }
func f32(addr uintptr) float32  { return *(*float32)(at(addr)) }
func f64(addr uintptr) float64  { return *(*float64)(at(addr)) }

// Limits on what one text or array may be. What is longer is cut.
const (
	maxText    = 1 << 16
	maxMessage = 16 << 20
	maxNumbers = 1 << 16
	maxJoints  = 1 << 10
)

// maxContent bounds what the texts, arrays and messages of a buffer may be together, in bytes: broken metadata can name
// the same ones over and over. What is beyond is left out.
const maxContent = 64 << 20

// text views a C string.
func (b *budget) text(addr uintptr) string {
	if addr == 0 {
		return ""
	}
	n := length(addr, maxText)
	if !b.take(n) {
		return ""
	}
	return unsafe.String((*byte)(at(addr)), n)
}

// optional is a C string that may be NULL.
func (b *budget) optional(addr uintptr) event.String {
	p := word(addr)
	return event.String{Value: b.text(p), Set: p != 0}
}

// numbers views an array; an absent one is empty, whatever its count says.
func numbers[T float32 | float64 | int32](b *budget, addr uintptr, n uint32) []T {
	if addr == 0 || int32(n) <= 0 {
		return nil
	}
	return views[T](b, addr, min(int(n), 2*maxNumbers))
}

// views gives n values that stand one after the other, all of which can be read: who looks at them may be outside of the
// Guard, or in the middle of something.
func views[T byte | float32 | float64 | int32](b *budget, addr uintptr, n int) []T {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	if addr == 0 || n <= 0 || !b.take(size) {
		return nil
	}
	probe(addr, size)
	return unsafe.Slice((*T)(at(addr)), n)
}

// pageSize is the least that is mapped or not as a whole, on all machines.
const pageSize = 4096

// probe touches each page of size bytes. What it gives is nothing, so that the compiler lets it read.
//
//go:noinline
func probe(addr uintptr, size int) (all byte) {
	last := addr + uintptr(size) - 1
	if last < addr {
		nowhere(last)
	}
	for page := addr; page <= last; page = page&^(pageSize-1) + pageSize {
		all |= *(*byte)(at(page))
	}
	return all
}

// length is strlen, up to limit. It reads whole words where they are aligned,
// and so never beyond the page of the last byte.
func length(addr uintptr, limit int) int {
	n := 0
	for ; n < limit && (addr+uintptr(n))%8 != 0; n++ {
		if *(*byte)(at(addr + uintptr(n))) == 0 {
			return n
		}
	}
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for n < limit {
		v := u64(addr + uintptr(n))
		if (v-ones)&^v&highs == 0 {
			n += 8
			continue
		}
		for v&0xff != 0 {
			v >>= 8
			n++
		}
		break
	}
	return min(n, limit)
}

// fixed views a C string in an array of size bytes.
func fixed(addr uintptr, size int) string {
	s := unsafe.Slice((*byte)(at(addr)), size)
	if n := bytes.IndexByte(s, 0); n >= 0 {
		s = s[:n]
	}
	return unsafe.String(unsafe.SliceData(s), len(s))
}

// A budget bounds what the lists of a buffer may hold together.
type budget struct {
	left   int
	bytes  int  // of texts, arrays and messages
	broken bool // something was cut
}

func newBudget() budget { return budget{left: maxMetas, bytes: maxContent} }

// take uses n bytes up, if they are left.
func (b *budget) take(n int) bool {
	if n > b.bytes {
		b.broken = true
		return false
	}
	b.bytes -= n
	return true
}

// A list walks a GList. One that is longer than the budget, or comes back to
// where it was, ends.
type list struct {
	node, mark  uintptr
	steps, turn uint
	budget      *budget
}

func newList(head uintptr, b *budget) list { return list{node: head, turn: 8, budget: b} }

// next gives the next element that is not NULL.
func (l *list) next() (data uintptr, ok bool) {
	for l.node != 0 {
		if l.budget.left--; l.budget.left < 0 || l.node == l.mark {
			l.budget.broken = true
			return 0, false
		}
		if l.steps++; l.steps == l.turn { // Brent's algorithm: the mark waits ever longer
			l.mark, l.turn = l.node, l.turn*2
		}
		data, l.node = word(l.node), word(l.node+listNext)
		if data != 0 {
			return data, true
		}
	}
	return 0, false
}

// Guard runs f, in which foreign memory is read; an address that leads nowhere
// becomes an error.
func Guard(f func()) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		switch v := recover().(type) {
		case nil:
		case badAddress:
			err = fmt.Errorf("a pointer in it leads nowhere (address %#x)", uintptr(v))
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = fmt.Errorf("a pointer in it leads nowhere (address %#x)", v.Addr())
		default: // a mistake of ours
			panic(v)
		}
	}()
	f()
	return nil
}
