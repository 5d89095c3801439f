// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Conn is what the Conns of those adapters have in common that publish over one connection and receive over
// another.
type Conn struct {
	Cfg   adapters.Config
	Gate  *Gate
	Box   *Box
	Parts Parts
	Stop  chan struct{} // closed by End

	where string
	once  sync.Once
	wg    sync.WaitGroup
}

// Prepare makes c ready; where names the servers.
func (c *Conn) Prepare(cfg adapters.Config, where string, sink adapters.Sink) {
	c.Cfg, c.where, c.Gate, c.Stop = cfg, where, NewGate(sink), make(chan struct{})
	c.Box = New(c.Gate, cfg.MaxMessages)
	c.Parts.Reporter = NewReporter(c.Gate, where)
}

// Begin starts the half that is wanted from the start: publish, which runs until Stop is closed, or s.
func (c *Conn) Begin(publish func(), s *Subscriber) {
	if c.Cfg.ReceiveOnly {
		s.start()
		return
	}
	c.Parts.Set(Publishing, adapters.Connecting, "", 0, 0)
	c.Go("publishing to "+c.where, publish)
}

// Go starts a goroutine that End joins. Its panic makes the Conn Failed.
func (c *Conn) Go(what string, f func()) {
	safe.Go(&c.wg, what, func(e *safe.PanicError) { c.Parts.Tell(adapters.Failed, "internal error: "+e.Error(), 0, 0) }, f)
}

// PutChecked is Publish: it takes messages for as long as there is room, and refuses those that check has an error for.
func (c *Conn) PutChecked(b *adapters.Batch, from int, check func(*adapters.Message) error) (int, error) {
	if err := c.Parts.Err(); err != nil {
		return 0, err
	}
	return c.Box.PutChecked(b, from, check), nil
}

// Flush waits until every message has its Result.
func (c *Conn) Flush(ctx context.Context) error { return c.Box.Flush(ctx, c.Parts.Failed()) }

// End closes both halves, and gives up what has no Result. It waits no longer than patience for what has been started.
func (c *Conn) End(s *Subscriber, patience time.Duration) {
	c.once.Do(func() {
		s.close()
		close(c.Stop)
		Join(&c.wg, c.where, patience)
		c.Gate.Shut()
	})
}

// DeliveryError says why a message, or a subscription to a topic, is refused.
func (c *Conn) DeliveryError(kind error, topic, cause, remedy string) error {
	return &adapters.DeliveryError{Kind: kind, Topic: topic, Host: c.where, Cause: cause, Remedy: remedy}
}
