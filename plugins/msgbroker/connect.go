// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/kafka" // registers itself
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

var adapterLog = gst.NewCategory("msgbroker-adapter", "protocol libraries of msgbroker (librdkafka …)")

// ChangeState lets the stream pass until the first PLAYING: a tee whose other
// branches still preroll must not wait for us. Once PLAYING, PAUSED holds the
// stream as with any sink.
func (s *sink) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	ret := s.ParentChangeState(t)
	if t == gst.ReadyToPaused && ret != gst.StateChangeFailure {
		s.SkipPreroll()
	}
	return ret
}

// Start opens the connection, READY to PAUSED. Only a configuration that can
// never work fails; a broker that is not there is waited for while we play.
func (s *sink) Start() bool {
	s.mu.Lock()
	set := s.set
	s.mu.Unlock()
	fail := func(code gst.ErrorCode, text string) bool {
		s.Error(code, "msgbroker: "+text, "")
		return false
	}
	if strings.TrimSpace(set.protoLib) == "" {
		return fail(gst.ResourceNotFound, "proto-lib is not set: name the protocol, as in proto-lib=kafka (known: "+
			strings.Join(adapters.Names(), ", ")+").")
	}
	if strings.TrimSpace(set.connStr) == "" && strings.TrimSpace(set.config) == "" {
		return fail(gst.ResourceNotFound, "neither conn-str nor config is set: say where the broker is, as in conn-str=\"localhost;9092;my-topic\".")
	}
	if _, _, err := adapters.ResolveProtoLib(strings.TrimSpace(set.protoLib)); err != nil {
		return fail(gst.LibraryInit, err.Error())
	}
	conn, err := broker.Connect(broker.Options{
		ProtoLib: strings.TrimSpace(set.protoLib), ConnStr: strings.TrimSpace(set.connStr),
		ConfigPath: strings.TrimSpace(set.config), Topic: set.topic,
		MaxMessages: int(set.maxMessages), MaxBytes: int64(set.maxBytes), StrictConfig: true,
		Log: s.logEntry, OnState: s.stateChanged, OnDropped: s.dropped, OnClosed: s.Unref,
	})
	if err != nil {
		code := gst.LibrarySettings
		if errors.Is(err, os.ErrNotExist) {
			code = gst.ResourceNotFound
		}
		return fail(code, err.Error())
	}
	s.Ref() // the callbacks use the element, and one that hangs in the application outlives Stop
	if conn.DefaultTopic() == "" {
		conn.Close(context.Background())
		return fail(gst.ResourceSettings, "no topic is set: write topic=NAME, or name it as the third part of conn-str, as in conn-str=\"localhost;9092;my-topic\".")
	}
	stats := conn.Stats()
	if stats.Substituted {
		log.Log(gst.LevelInfo, s.Element, "%s: the built-in %s adapter takes its place", set.protoLib, stats.Adapter)
	}
	s.buffers, s.messages = 0, 0
	s.outages = throttle{}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	return true
}

// Stop closes the connection, PAUSED to READY. It waits for acknowledgements
// only while there is a broker to give them.
func (s *sink) Stop() bool {
	s.mu.Lock()
	conn, wait := s.conn, time.Duration(s.set.drainTimeout)*time.Millisecond
	s.conn = nil
	s.mu.Unlock()
	s.reader.Close()
	if conn == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	report := conn.Close(ctx)
	stats := conn.Stats()
	s.mu.Lock()
	s.last = stats
	s.mu.Unlock()
	log.Log(gst.LevelInfo, s.Element, "stopped: %d acknowledged, %d given up", stats.Acknowledged, report.Remaining)
	if report.Remaining > 0 {
		s.Warning(gst.ResourceFailed, fmt.Sprintf("msgbroker: stopped with %s undelivered to %s: %s.",
			plural(report.Remaining, "message"), stats.Host, undeliveredReason(stats)), "")
	}
	return true
}

func undeliveredReason(st broker.Stats) string {
	if st.LastError != "" {
		return st.LastError
	}
	return "the broker did not acknowledge them in time (drain-timeout)"
}

// SinkEvent drains the connection at EOS.
func (s *sink) SinkEvent(ev gst.Event) bool {
	if ev.Type() == gst.EventEOS {
		s.drain()
	}
	return s.ParentEvent(gst.SinkSide, ev)
}

// drain waits for what is under way, up to drain-timeout, and tells how it ended.
func (s *sink) drain() {
	conn := s.connection()
	if conn == nil {
		return
	}
	s.mu.Lock()
	wait, flushing := time.Duration(s.set.drainTimeout)*time.Millisecond, s.flushing
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(flushContext{context.Background(), flushing}, wait)
	defer cancel()
	report := conn.Drain(ctx)
	if report.Remaining > 0 {
		stats := conn.Stats()
		s.Warning(gst.ResourceFailed, fmt.Sprintf("msgbroker: EOS with %s still undelivered to %s after %v: %s.",
			plural(report.Remaining, "message"), stats.Host, wait, undeliveredReason(stats)), "")
	}
	if s.messages == 0 && s.buffers > 0 {
		s.Warning(gst.StreamFormat, fmt.Sprintf("msgbroker: nothing was published: %s came, none with a message. "+
			"Put msgconv in front of msgbroker (and a detector in front of that), or feed it application/json, text/x-raw or application/x-protobuf; "+
			"if comp-id is set, msgconv's comp-id must be the same.", plural(s.buffers, "buffer")), "caps "+s.caps)
	}
	st := s.stats()
	st.Name = "msgbroker-stats"
	s.PostMessage(st)
}

// flushContext ends when flushing is closed.
type flushContext struct {
	context.Context
	flushing <-chan struct{}
}

func (c flushContext) Done() <-chan struct{} { return c.flushing }

func (c flushContext) Err() error {
	select {
	case <-c.flushing:
		return context.Canceled
	default:
		return nil
	}
}

// stats is the property stats.
func (s *sink) stats() gst.Structure {
	s.mu.Lock()
	conn, st, name := s.conn, s.last, s.set.protoLib
	s.mu.Unlock()
	if conn != nil {
		st = conn.Stats()
	} else {
		st.State = broker.StateClosed
	}
	out := gst.Structure{Name: "application/x-msgbroker-stats"}
	out.Add("queued", st.Queued)
	out.Add("in-flight", st.InFlight)
	out.Add("sent", st.Sent)
	out.Add("acknowledged", st.Acknowledged)
	out.Add("failed", st.Failed)
	out.Add("dropped", st.Dropped)
	out.Add("bytes", st.Bytes)
	out.Add("state", st.State.String())
	out.Add("host", st.Host)
	out.Add("adapter", st.Adapter)
	out.Add("proto-lib", name)
	out.Add("substituted", st.Substituted)
	out.Add("last-error", st.LastError)
	if !st.LastErrorTime.IsZero() {
		out.Add("last-error-time", st.LastErrorTime.UTC().Format(time.RFC3339Nano))
	}
	return out
}

// The callbacks of the connection: called outside its locks, on its goroutines.

func (s *sink) logEntry(e adapters.LogEntry) {
	level := gst.LevelDebug
	switch e.Level {
	case adapters.LogError:
		level = gst.LevelError
	case adapters.LogWarning:
		level = gst.LevelWarning
	case adapters.LogInfo:
		level = gst.LevelInfo
	}
	adapterLog.Log(level, s.Element, "%s: %s", e.Facility, e.Text)
}

// stateChanged posts an element message for every change, and a warning for an
// outage, at most once a second.
func (s *sink) stateChanged(c broker.StateChange) {
	log.Log(gst.LevelInfo, s.Element, "%s is %s %s", c.Host, c.New, c.Reason)
	name := "msgbroker-" + c.New.String()
	switch {
	case c.New == broker.StateClosed:
		return
	case c.New == broker.StateReconnecting:
		name = "msgbroker-disconnected"
	case c.New == broker.StateConnected && c.Old == broker.StateReconnecting:
		name = "msgbroker-reconnected"
	}
	m := gst.Structure{Name: name}
	m.Add("host", c.Host)
	m.Add("reason", c.Reason)
	s.PostMessage(m)
	s.Notify("stats")
	if c.Reason == "" || c.New == broker.StateConnected {
		return
	}
	if c.New == broker.StateFailed {
		s.Error(gst.ResourceFailed, "msgbroker: the connection to "+c.Host+" failed for good: "+c.Reason, "")
	} else if s.outages.hit() > 0 {
		s.Warning(gst.ResourceNotFound, "msgbroker: no connection to "+c.Host+": "+c.Reason+
			". Messages wait in the queue and are sent as soon as the broker answers.", "")
	}
}

// dropped posts what will not be delivered; the connection calls it at most once a second.
func (s *sink) dropped(d broker.DropReport) {
	s.Warning(gst.ResourceFailed, "msgbroker: "+plural(d.Dropped+d.Failed, "message")+" not delivered: "+d.Reason, "")
}

// throttle lets one of many events a second through.
type throttle struct {
	mu      sync.Mutex
	last    time.Time
	pending uint64
}

// hit counts an event. It gives how many there were since it last gave a
// number, or 0 if that was less than a second ago.
func (t *throttle) hit() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending++
	now := time.Now()
	if now.Sub(t.last) < time.Second {
		return 0
	}
	n := t.pending
	t.last, t.pending = now, 0
	return n
}

func plural[N uint64 | int](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
