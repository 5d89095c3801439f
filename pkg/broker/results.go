// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"slices"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// PublishSeq is Publish, and tells the number under which Options.OnResults speaks of the message.
func (c *Connection) PublishSeq(m Message) (seq uint64, err error) {
	ts, topic := c.defaults(&m)
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if err = c.putLocked(&m, topic, ts); err != nil {
		c.dropLocked(err)
		return 0, err
	}
	return l.seq, nil
}

// watch makes c a user that is told every result. The list is never changed in place: sink.Done uses it
// without the lock.
func (l *link) watchLocked(c *Connection) {
	if c.opts.OnResults != nil {
		l.watchers = append(slices.Clone(l.watchers), c)
	}
}

func (l *link) unwatchLocked(c *Connection) {
	l.watchers = slices.DeleteFunc(slices.Clone(l.watchers), func(x *Connection) bool { return x == c })
}

// tellResults is called by a goroutine of the adapter, under no lock.
func tellResults(watchers []*Connection, results []adapters.Result) {
	defer safe.Recover("callback of the broker connection", nil)
	for _, c := range watchers {
		c.opts.OnResults(results)
	}
}
