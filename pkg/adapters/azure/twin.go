// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
)

// A conn is the engine's, and knows that twin alone needs the answers to questions about the whole twin, too: IoT Hub
// keeps no changes for a device that is away ("Understand and use device twins": ask after each reconnection).
type conn struct {
	*engine.Conn
	changes *changes
}

// Subscribe replaces what is received.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	alone := slices.Contains(cfg.Topics, topicTwin) && !slices.Contains(cfg.Topics, topicTwinFull)
	if alone {
		cfg.Topics = append(slices.Clone(cfg.Topics), topicTwinFull)
		r = discreet{r}
	}
	was := c.changes.watch(alone)
	err := c.Conn.Subscribe(cfg, r)
	if err != nil {
		c.changes.watch(was)
	}
	return err
}

// A discreet Receiver is not told of the topic that its user has not asked for.
type discreet struct{ adapters.Receiver }

// Subscribed passes the other topics on.
func (r discreet) Subscribed(topic string, err error) {
	if topic != topicTwinFull {
		r.Receiver.Subscribed(topic, err)
	}
}

// changes finds out which changes of the desired properties went by.
type changes struct {
	mu      sync.Mutex
	alone   bool   // the user wants changes, and not the whole twin
	asked   uint64 // questions for the whole
	known   bool
	version int64 // of the desired properties, the latest that came
}

func (c *changes) watch(alone bool) (was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, c.alone = c.alone, alone
	return was
}

// ask numbers a question.
func (c *changes) ask() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.asked
}

// came notes a change.
func (c *changes) came(version string) {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || n > c.version {
		c.known, c.version = true, n
	}
}

// answered looks at the whole twin. Where changes alone are wanted and some went by, it becomes one that says all; the
// answer to the first question only tells where we begin.
func (c *changes) answered(m *adapters.Incoming, status string) (wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var twin struct {
		Desired json.RawMessage `json:"desired"`
	}
	var desired struct {
		Version *int64 `json:"$version"`
	}
	if !strings.HasPrefix(status, "200") || json.Unmarshal(m.Payload, &twin) != nil || json.Unmarshal(twin.Desired, &desired) != nil || desired.Version == nil {
		return !c.alone
	}
	missed := *desired.Version > c.version
	if !c.known {
		missed = c.asked > 1
	}
	c.known, c.version = true, max(c.version, *desired.Version)
	if !c.alone {
		return true
	}
	m.Topic, m.Payload = topicTwin, twin.Desired
	m.Headers = adapters.Headers{}.AppendString("version", strconv.FormatInt(*desired.Version, 10)).AppendString("whole", "true")
	return missed
}
