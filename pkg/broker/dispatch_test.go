// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A doomed is an adapter whose first session takes one message, loses the server and fails at once, before that call
// of Publish returns.
type doomed struct {
	adaptertest.Fake
	opened atomic.Int32
}

type doomedConn struct {
	adapters.Conn
	sink adapters.Sink
	dead bool
}

func (f *doomed) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	if f.opened.Add(1) > 1 {
		return f.Fake.Open(cfg, sink)
	}
	sink.State(adapters.StateEvent{State: adapters.Connected, Host: "fake", Time: time.Now()})
	return &doomedConn{sink: sink}, nil
}

func (c *doomedConn) Info() adapters.Info { return adapters.Info{Host: "fake", Topic: "t"} }
func (c *doomedConn) Close() error        { return nil }

func (c *doomedConn) Publish(b *adapters.Batch, from int) (int, error) {
	if c.dead {
		return 0, errors.New("the session has failed")
	}
	if b.Len()-from < 2 {
		return 0, nil
	}
	c.dead = true
	c.sink.State(adapters.StateEvent{State: adapters.Disconnected, Host: "fake", Reason: "away", Time: time.Now()})
	c.sink.State(adapters.StateEvent{State: adapters.Failed, Host: "fake", Reason: "gone", Time: time.Now()})
	return 1, nil
}

// TestFailureWhileFull: a session that is lost together with the server is replaced, also when both are told while the
// dispatcher waits for room.
func TestFailureWhileFull(t *testing.T) {
	f := &doomed{}
	c := dial(t, f, Options{})
	publish(t, c, 5)
	adaptertest.Wait(t, "another session and the messages", func() bool { return len(f.Received()) == 5 })
	if n := f.opened.Load(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}
