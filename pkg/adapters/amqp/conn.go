// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// A conn publishes over one connection and receives over another: a server that has no memory left stops
// reading those that publish, and acknowledgements would be stuck behind messages.
type conn struct {
	outbox.Conn
	set   *set
	tries atomic.Uint32 // attempts to connect, for the next of several hosts

	frame   atomic.Int64 // what a frame carries, as far as is known
	maxBody atomic.Int64 // what the server takes, as far as is known; 0 means anything
	mu      sync.Mutex
	denied  map[string]time.Time // topics that the server has refused this user, until then

	publisher  publisher
	subscriber subscriber
}

const (
	// A topic that was denied is refused for so long without asking: each question costs the channel.
	deniedFor = 10 * time.Second
	maxDenied = 1000
)

func start(cfg adapters.Config, set *set, sink adapters.Sink) *conn {
	c := &conn{set: set, denied: map[string]time.Time{}}
	c.Prepare(cfg, set.where(), sink)
	c.frame.Store(int64(set.frame))
	c.publisher.prepare(c)
	c.subscriber.prepare(c)
	c.Begin(c.publisher.run, &c.subscriber.Subscriber)
	return c
}

// Info is what the configuration says.
func (c *conn) Info() adapters.Info { return c.set.info() }

func (s *set) info() adapters.Info { return adapters.Info{Host: s.where(), Topic: s.topic} }

// Publish takes messages for as long as there is room, and refuses those that the server cannot take.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	return c.PutChecked(b, from, c.check)
}

// check gives the error of a message that is refused without asking the server.
func (c *conn) check(m *adapters.Message) error {
	if cause, remedy := check(m, int(c.frame.Load())); cause != "" {
		return c.DeliveryError(adapters.ErrRejected, string(m.Topic), cause, remedy)
	}
	if limit := c.maxBody.Load(); limit > 0 && int64(len(m.Payload)) > limit {
		return c.tooLarge(string(m.Topic), len(m.Payload))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if until, ok := c.denied[string(m.Topic)]; ok {
		if time.Now().Before(until) {
			return c.unauthorized(string(m.Topic))
		}
		delete(c.denied, string(m.Topic))
	}
	return nil
}

func (c *conn) tooLarge(topic string, size int) error {
	return c.DeliveryError(adapters.ErrTooLarge, topic, fmt.Sprintf("the message of %d bytes is larger than the server's max_message_size, %d",
		size, c.maxBody.Load()), "raise max_message_size at the server, or send less")
}

func (c *conn) unauthorized(topic string) error {
	return c.DeliveryError(adapters.ErrUnauthorized, topic, "the server does not allow the user "+c.set.user+" to write to this topic",
		"grant it (rabbitmqctl set_topic_permissions)")
}

// Close says goodbye and gives up what has no Result.
func (c *conn) Close() error {
	c.End(&c.subscriber.Subscriber, unitPatience)
	return nil
}
