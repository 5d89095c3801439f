// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"sync"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Collector is a Receiver that remembers.
type Collector struct {
	mu       sync.Mutex
	got      []adapters.Incoming
	agreed   map[string]int
	refused  map[string]error
	calls    int
	inside   bool
	overlaps int
}

// NewCollector returns an empty Collector.
func NewCollector() *Collector {
	return &Collector{agreed: map[string]int{}, refused: map[string]error{}}
}

// enter notes a call, and one that comes while another is under way.
func (c *Collector) enter(f func()) {
	c.mu.Lock()
	c.calls++
	if c.inside {
		c.overlaps++
	}
	c.inside = true
	f()
	c.mu.Unlock()
	c.mu.Lock() // a moment in which a second goroutine would be seen
	c.inside = false
	c.mu.Unlock()
}

// Receive keeps the messages.
func (c *Collector) Receive(messages []adapters.Incoming) {
	c.enter(func() { c.got = append(c.got, messages...) })
}

// Subscribed notes the word on a topic.
func (c *Collector) Subscribed(topic string, err error) {
	c.enter(func() {
		if err != nil {
			c.refused[topic] = err
			return
		}
		c.agreed[topic]++
	})
}

// Messages returns what came so far.
func (c *Collector) Messages() []adapters.Incoming {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]adapters.Incoming(nil), c.got...)
}

// Count is how many came so far.
func (c *Collector) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

// Agreed is how often the server has agreed to a topic.
func (c *Collector) Agreed(topic string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed[topic]
}

// Refused is why the server refuses a topic; nil when it does not.
func (c *Collector) Refused(topic string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[topic]
}

// Different is how many different payloads came so far.
func (c *Collector) Different() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for i := range c.got {
		seen[string(c.got[i].Payload)] = true
	}
	return len(seen)
}

// Wait waits for at least n messages and returns all.
func (c *Collector) Wait(t testing.TB, n int) []adapters.Incoming {
	t.Helper()
	Wait(t, "messages", func() bool { return c.Count() >= n })
	return c.Messages()
}
