// SPDX-License-Identifier: LGPL-2.1-or-later

package safe

import (
	"strings"
	"sync"
	"testing"
)

func TestGoReportsThePanicBeforeTheJoin(t *testing.T) {
	var wg sync.WaitGroup
	var got *PanicError
	Go(&wg, "pump", func(e *PanicError) { got = e }, func() { panic("boom") })
	wg.Wait()
	if got == nil || got.Error() != "panic in pump: boom" {
		t.Fatalf("got %v", got)
	}
	if !strings.Contains(string(got.Stack), "TestGoReportsThePanicBeforeTheJoin") {
		t.Fatalf("the stack does not name the goroutine's function:\n%s", got.Stack)
	}
}

func TestGoSurvivesAPanicInTheHandler(t *testing.T) {
	var wg sync.WaitGroup
	Go(&wg, "pump", func(*PanicError) { panic("again") }, func() { panic("boom") })
	Go(&wg, "pump", nil, func() { panic("unheard") })
	wg.Wait()
}
