// SPDX-License-Identifier: LGPL-2.1-or-later

// Package file writes messages to a file, one JSON document a line, or to standard output: the protocol for
// trying things out, and for those who collect files. See README.md beside it.
package file

import (
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "file".
func (adapter) Name() string { return "file" }

// Capabilities of a file. Keys, timestamps and headers are written with format=envelope only.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true}
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return Keys }

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	set, err := load(cfg, log)
	if err != nil {
		return adapters.Info{}, err
	}
	return set.info(), nil
}

// Open checks path and configuration; the file itself is opened in the background, and tried again if that
// cannot be done.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	set, err := load(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	gate := outbox.NewGate(sink)
	c := &conn{set: set, gate: gate, box: outbox.New(gate, cfg.MaxMessages), backoff: outbox.NewBackoff(cfg),
		stop: make(chan struct{}), targets: map[string]*target{}, rotated: make(chan string, maxRotated)}
	c.report = outbox.NewReporter(gate, set.path)
	c.session = c.box.Rewind(1)
	failed := func(e *safe.PanicError) { c.report.Tell(adapters.Failed, "internal error: "+e.Error(), 0, 0) }
	if cfg.ReceiveOnly {
		c.report.Tell(adapters.Connected, "", 0, 0)
		return c, nil
	}
	safe.Go(&c.wg, "writing of "+set.path, failed, c.run)
	if set.rotates() {
		safe.Go(&c.wg, "old files of "+set.path, failed, c.tidy)
	}
	return c, nil
}
