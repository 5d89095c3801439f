// SPDX-License-Identifier: LGPL-2.1-or-later

// Package safe starts the goroutines of this project.
//
// The plugins live inside other people's processes, where a panic that nobody
// recovers ends the host. Every goroutine that we start therefore goes through
// Go, which recovers, reports the panic to its owner and counts the goroutine
// in a WaitGroup, so that stopping the owner can join it.
package safe

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// PanicError is a recovered panic with the stack of the goroutine that raised it.
type PanicError struct {
	Where string // what the goroutine was doing
	Value any    // what was passed to panic
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic in %s: %v", e.Where, e.Value)
}

// Go runs fn in a goroutine that wg (may be nil) waits for. If fn panics,
// onPanic (may be nil) gets the panic, on that goroutine, before wg is
// released.
func Go(wg *sync.WaitGroup, where string, onPanic func(*PanicError), fn func()) {
	if wg != nil {
		wg.Add(1)
	}
	go func() {
		if wg != nil {
			defer wg.Done()
		}
		defer Recover(where, onPanic)
		fn()
	}()
}

// Recover is to be deferred directly: it turns a panic into a call of onPanic.
// A panic of onPanic itself is swallowed: there is nobody left to tell.
func Recover(where string, onPanic func(*PanicError)) {
	v := recover()
	if v == nil {
		return
	}
	if onPanic == nil {
		return
	}
	defer func() { _ = recover() }()
	onPanic(&PanicError{Where: where, Value: v, Stack: debug.Stack()})
}
