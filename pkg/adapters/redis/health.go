// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// The parts of a Conn with connections of their own.
const (
	publishing = iota
	receiving
	parts
)

// health makes one state of those of the parts: connected when every part is.
type health struct {
	reporter *outbox.Reporter

	mu      sync.Mutex
	parts   [parts]condition
	telling bool // a goroutine tells; it looks again when it has
}

// A condition is what one part knows.
type condition struct {
	state   adapters.State // Connecting also while the part is not used
	reason  string
	attempt int
	next    time.Duration
	used    bool
}

func (h *health) up(part int) { h.set(part, condition{state: adapters.Connected, used: true}) }

func (h *health) down(part int, reason string, attempt int, next time.Duration) {
	h.set(part, condition{adapters.Disconnected, reason, attempt, next, true})
}

func (h *health) unused(part int) { h.set(part, condition{}) }

// set notes the condition and tells what follows. No lock is held while the Sink is told.
func (h *health) set(part int, c condition) {
	h.mu.Lock()
	h.parts[part] = c
	if h.telling {
		h.mu.Unlock()
		return
	}
	h.telling = true
	for {
		before := h.parts
		h.mu.Unlock()
		h.tell(before)
		h.mu.Lock()
		if h.parts == before {
			break
		}
	}
	h.telling = false
	h.mu.Unlock()
}

func (h *health) tell(all [parts]condition) {
	connected := 0
	for _, c := range all {
		switch {
		case c.state == adapters.Disconnected:
			h.reporter.Tell(adapters.Disconnected, c.reason, c.attempt, c.next)
			return
		case c.state == adapters.Connected:
			connected++
		case c.used:
			return
		}
	}
	if connected > 0 {
		h.reporter.Tell(adapters.Connected, "", 0, 0)
	}
}
