// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"

	"golang.org/x/sys/unix"
)

const (
	takeAtOnce    = 256                    // messages
	syncEvery     = 200 * time.Millisecond // with sync=interval
	maxTargets    = 64                     // files that are open at a time
	maxRotated    = 1024                   // old files that wait for being looked after
	closePatience = 400 * time.Millisecond // of Close with a medium that does not answer
)

// A conn is one file, or one for each topic. run alone uses what follows wg.
type conn struct {
	set    *set
	gate   *outbox.Gate
	box    *outbox.Box
	report *outbox.Reporter
	stop   chan struct{}
	once   sync.Once

	rotated chan string // old files, for tidy
	wg      sync.WaitGroup

	backoff *outbox.Backoff
	session int
	targets map[string]*target
	dirty   bool // written and not forced to the medium
	answers outbox.Answers
}

// Info is what the configuration says.
func (c *conn) Info() adapters.Info { return c.set.info() }

func (s *set) info() adapters.Info { return adapters.Info{Host: s.path, Topic: s.topic} }

// Publish takes messages for as long as there is room.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	if err := c.report.Err(); err != nil {
		return 0, err
	}
	return c.box.Put(b, from, b.Len()), nil
}

// Flush waits until everything is written.
func (c *conn) Flush(ctx context.Context) error { return c.box.Flush(ctx, c.report.Failed()) }

// Close ends the writing. A medium that hangs is left to itself.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.stop)
		outbox.Join(&c.wg, c.set.path, closePatience)
		c.gate.Shut()
	})
	return nil
}

func (c *conn) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// run writes what Publish takes.
func (c *conn) run() {
	defer c.closeAll()
	ready := false // the place can be written, as far as can be told
	var messages []outbox.Message
	for !c.stopped() {
		err := error(nil)
		if !ready {
			err = c.prepare()
		}
		if err == nil {
			ready = true
			messages = c.box.Take(c.session, takeAtOnce, messages[:0])
			err = c.write(messages)
		}
		if err != nil {
			ready = false
			attempt, pause := c.backoff.Next()
			c.report.Tell(adapters.Disconnected, reason(err), attempt, pause)
			if !outbox.Sleep(pause, c.stop) {
				return
			}
			c.session = c.box.Rewind(1)
			continue
		}
		c.backoff.Reset()
		c.report.Tell(adapters.Connected, "", 0, 0)
		if len(messages) == 0 && !c.wait() {
			return
		}
	}
}

// wait waits for messages, and reports whether the conn goes on.
func (c *conn) wait() bool {
	var tick <-chan time.Time
	if c.dirty && c.set.sync == syncInterval {
		timer := time.NewTimer(syncEvery)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-c.stop:
		return false
	case <-tick:
		c.syncAll()
	case <-c.box.Wake():
	}
	return true
}

// prepare opens the file, or looks whether its folder is there if its name depends on the topic.
func (c *conn) prepare() error {
	path, err := c.set.pathOf(c.set.topic)
	if err != nil || path != c.set.path {
		return checkFolder(c.set.base)
	}
	return c.target(path).ready()
}

// write writes messages, and answers those that are written. Of several files each gets what is its own; the
// first error is returned.
func (c *conn) write(messages []outbox.Message) error {
	defer c.box.Tell(&c.answers)
	var used []*target
	var failure error
	for i := range messages {
		m := &messages[i]
		path, err := c.set.pathOf(string(m.Topic))
		if err != nil {
			c.box.Answer(c.session, &c.answers, m.Tag, &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: string(m.Topic),
				Host: c.set.path, Cause: err.Error(), Remedy: "use shorter topics, or a path without {topic}"})
			continue
		}
		t := c.target(path)
		if len(t.numbers) == 0 {
			used = append(used, t)
		}
		t.add(c.set.format, m)
	}
	for _, t := range used {
		err := t.flush()
		if err == nil && c.set.sync == syncBatch {
			if err = t.sync(); err != nil {
				t.written = 0 // nobody knows
			}
		}
		for _, n := range t.numbers[:t.written] {
			c.box.Answer(c.session, &c.answers, n, nil)
		}
		c.dirty = c.dirty || t.written > 0
		t.forget()
		if err != nil {
			t.close()
			if failure == nil {
				failure = err
			}
		}
	}
	return failure
}

// target finds the open file of a path, or makes one. Of many the one is closed that was not used for
// longest.
func (c *conn) target(path string) *target {
	t := c.targets[path]
	if t == nil {
		if len(c.targets) >= maxTargets {
			oldest := ""
			for p, t := range c.targets {
				if len(t.numbers) == 0 && (oldest == "" || t.used.Before(c.targets[oldest].used)) {
					oldest = p
				}
			}
			if oldest != "" {
				if c.set.sync != syncNone {
					_ = c.targets[oldest].sync()
				}
				c.targets[oldest].close()
				delete(c.targets, oldest)
			}
		}
		t = &target{c: c, path: path, fd: -1}
		c.targets[path] = t
	}
	t.used = time.Now()
	return t
}

func (c *conn) syncAll() {
	c.dirty = false
	for _, t := range c.targets {
		if err := t.sync(); err != nil {
			c.gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "file", Text: reason(err)})
		}
	}
}

func (c *conn) closeAll() {
	if c.dirty && c.set.sync == syncInterval {
		c.syncAll()
	}
	for _, t := range c.targets {
		t.close()
	}
	clear(c.targets)
}

// pathError is an error of the system with the path that it is about.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

// remedies says what to do about an error of the system.
var remedies = []struct {
	errs   []error
	remedy string
}{
	{[]error{unix.ENOSPC, unix.EDQUOT}, "make room on the disk"},
	{[]error{unix.ENOENT}, "create the folder"},
	{[]error{unix.EACCES, unix.EPERM}, "give this user the right to write there"},
	{[]error{unix.EROFS}, "mount the file system for writing, or choose another path"},
	{[]error{unix.EISDIR, unix.ENOTDIR}, "correct the path"},
	{[]error{unix.ENXIO, unix.EPIPE}, "nobody reads the other end: start the reader"},
	{[]error{unix.EBADF}, "standard output is closed: start the program with one"},
}

// reason words why nothing can be written.
func reason(err error) string {
	for _, r := range remedies {
		if slices.ContainsFunc(r.errs, func(e error) bool { return errors.Is(err, e) }) {
			return err.Error() + "; " + r.remedy
		}
	}
	return err.Error() + "; check the path and the disk"
}
