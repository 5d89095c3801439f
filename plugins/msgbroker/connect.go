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
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
	_ "github.com/gst-edgewire/gst-edgewire/plugins/internal/protocols"
)

// reconnectEnv names the file of reconnect-config where the property does not.
const reconnectEnv = "EDGEWIRE_RECONNECT_CONFIG"

var adapterLog = gst.NewCategory("msgbroker-adapter", "protocol libraries of msgbroker (librdkafka …)")

// ChangeState opens the connection on the way to PAUSED, before anything can
// flow, and closes it when the last buffer has left on the way back to READY.
// (GstBaseSink's start and stop are those of NULL and READY.)
//
// Until the first PLAYING the stream passes: a tee whose other branches still
// preroll must not wait for us. Once PLAYING, PAUSED holds the stream as with
// any sink.
func (s *sink) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	if t == gst.ReadyToPaused && !s.open() {
		return gst.StateChangeFailure
	}
	ret := s.ParentChangeState(t)
	switch {
	case t == gst.ReadyToPaused && ret == gst.StateChangeFailure, t == gst.PausedToReady:
		s.close()
	case t == gst.ReadyToPaused:
		s.SkipPreroll()
	}
	return ret
}

// open opens the connection. Only a configuration that can never work fails; a
// broker that is not there is waited for while we play.
func (s *sink) open() bool {
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
	s.buffers, s.messages = 0, 0
	s.outages.reset()
	s.disk.reset()
	reconnect, err := set.reconnect()
	if err != nil {
		return fail(settingsCode(err), err.Error())
	}
	conn, err := broker.Connect(broker.Options{
		ProtoLib: strings.TrimSpace(set.protoLib), ConnStr: strings.TrimSpace(set.connStr),
		ConfigPath:  strings.TrimSpace(set.config),
		MaxMessages: int(set.maxMessages), MaxBytes: int64(set.maxBytes), StrictConfig: true,
		FullPolicy: broker.FullPolicy(set.fullPolicy), NoHeaders: !set.headers, Reconnect: reconnect,
		Spool: broker.Spool{Dir: strings.TrimSpace(set.spoolDir), Mode: broker.SpoolMode(set.spoolMode), MaxBytes: int64(set.spoolBytes),
			MaxAge: time.Duration(set.spoolAge) * time.Second, Sync: spool.Sync(set.spoolSync)},
		Log: s.logEntry, OnState: s.stateChanged, OnDropped: s.dropped, OnClosed: s.Unref,
	})
	if err != nil {
		return fail(settingsCode(err), err.Error())
	}
	s.Ref() // the callbacks use the element, and one that hangs in the application outlives Stop
	rules := adapters.RulesOf(conn.Protocol())
	r, err := set.newRouter(conn.PartitionKey(), rules)
	if err != nil {
		conn.Close(context.Background())
		return fail(gst.ResourceSettings, err.Error())
	}
	if set.topic == "" && conn.DefaultTopic() == "" && set.topicTemplate == "" {
		conn.Close(context.Background())
		return fail(gst.ResourceSettings, "no topic is set: write topic=NAME, or name it as the third part of conn-str, as in conn-str=\"localhost;9092;my-topic\".")
	}
	stats := conn.Stats()
	if stats.Substituted {
		log.Log(gst.LevelInfo, s.Element, "%s: the built-in %s adapter takes its place", set.protoLib, stats.Adapter)
	}
	s.closed = make(chan struct{})
	if set.messageHeaders != "" && !conn.Protocol().Capabilities().Headers {
		s.Warning(gst.ResourceSettings, "msgbroker: "+conn.Protocol().Name()+" has no headers; message-headers has no effect.", "")
	}
	s.router.Store(r)
	s.mu.Lock()
	s.conn, s.rules = conn, rules
	s.mu.Unlock()
	return true
}

// reconnect reads the file that says how to reconnect, if one is named.
func (set *settings) reconnect() (broker.Reconnect, error) {
	path := strings.TrimSpace(set.reconnectConfig)
	if path == "" {
		path = strings.TrimSpace(gst.Getenv(reconnectEnv))
	}
	if path == "" {
		return broker.Reconnect{}, nil
	}
	return broker.LoadReconnect(path)
}

// settingsCode is the error code for a configuration that cannot work.
func settingsCode(err error) gst.ErrorCode {
	switch {
	case errors.Is(err, spool.ErrInUse):
		return gst.ResourceOpenWrite
	case errors.Is(err, os.ErrNotExist):
		return gst.ResourceNotFound
	}
	return gst.LibrarySettings
}

// close closes the connection. It waits for acknowledgements only while there
// is a broker to give them.
func (s *sink) close() {
	s.mu.Lock()
	conn, wait := s.conn, time.Duration(s.set.drainTimeout)*time.Millisecond
	s.conn = nil
	s.mu.Unlock()
	s.reader.Close()
	if conn == nil {
		return
	}
	close(s.closed)
	s.watchers.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	report := conn.Close(ctx)
	stats := conn.Stats()
	s.mu.Lock()
	s.last = stats
	s.mu.Unlock()
	log.Log(gst.LevelInfo, s.Element, "stopped: %d acknowledged, %d spooled, %d given up", stats.Acknowledged, report.Spooled, report.Remaining)
	s.Notify("state")
	s.postStats()
	if report.Remaining == 0 {
		return
	}
	// On the way to NULL the pipeline empties its bus: the log says it as well.
	text := fmt.Sprintf("msgbroker: stopped with %s undelivered to %s: %s.", plural(report.Remaining, "message"), stats.Host,
		undelivered(stats))
	log.Log(gst.LevelWarning, s.Element, "%s", text)
	s.Warning(gst.ResourceFailed, text, "")
}

// undelivered says why messages are left.
func undelivered(st broker.Stats) string {
	if st.LastError != "" && st.State != broker.StateConnected {
		return st.LastError
	}
	return "the broker did not acknowledge them in time (drain-timeout)"
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
	if e.Facility == "spool" && e.Level <= adapters.LogWarning && s.disk.due() {
		s.Warning(gst.ResourceWrite, "msgbroker: "+e.Text+".", "")
	}
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
	m.Add("attempt", uint32(c.Attempt))
	next := time.Duration(0)
	if !c.Next.IsZero() {
		next = max(c.Next.Sub(c.Time), 0)
	}
	m.Add("next-try", uint64(next.Milliseconds()))
	s.PostMessage(m)
	if c.Old != c.New {
		s.Notify("state")
	}
	s.Notify("stats")
	if c.Reason == "" || c.New == broker.StateConnected {
		return
	}
	if c.New == broker.StateFailed {
		s.Error(gst.ResourceFailed, "msgbroker: the connection to "+c.Host+" failed for good: "+c.Reason, "")
	} else if s.outages.due() {
		s.Warning(gst.ResourceNotFound, "msgbroker: no connection to "+c.Host+": "+c.Reason+
			". Messages wait and are sent as soon as the broker answers.", "")
	}
}

// dropped posts what will not be delivered; the connection calls it at most once a second.
func (s *sink) dropped(d broker.DropReport) {
	s.Warning(gst.ResourceFailed, "msgbroker: "+plural(d.Dropped+d.Failed, "message")+" not delivered: "+d.Reason, "")
}

// throttle lets one of many events a second through.
type throttle struct {
	mu   sync.Mutex
	last time.Time
}

// due reports whether a second has passed since it last said so.
func (t *throttle) due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Sub(t.last) < time.Second {
		return false
	}
	t.last = now
	return true
}

// reset lets the next event through.
func (t *throttle) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Time{}
}

func plural[N uint64 | int](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
