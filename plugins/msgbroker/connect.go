// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
	_ "github.com/gst-edgewire/gst-edgewire/plugins/internal/protocols"
)

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
	s.reporter.Reset()
	s.disk.Reset()
	reconnect, err := brokerside.Reconnect(set.reconnectConfig)
	if err != nil {
		return fail(brokerside.SettingsCode(err), err.Error())
	}
	conn, err := broker.Connect(broker.Options{
		ProtoLib: strings.TrimSpace(set.protoLib), ConnStr: strings.TrimSpace(set.connStr),
		ConfigPath:  strings.TrimSpace(set.config),
		MaxMessages: int(set.maxMessages), MaxBytes: int64(set.maxBytes), StrictConfig: true,
		FullPolicy: broker.FullPolicy(set.fullPolicy), NoHeaders: !set.headers, Reconnect: reconnect,
		Spool: broker.Spool{Dir: strings.TrimSpace(set.spoolDir), Mode: broker.SpoolMode(set.spoolMode), MaxBytes: int64(set.spoolBytes),
			MaxAge: time.Duration(set.spoolAge) * time.Second, Sync: spool.Sync(set.spoolSync)},
		Log: s.logEntry, OnState: s.reporter.State, OnDropped: s.dropped, OnClosed: s.Unref,
	})
	if err != nil {
		return fail(brokerside.SettingsCode(err), err.Error())
	}
	s.Ref() // the callbacks use the element, and one that hangs in the application outlives Stop
	rules := adapters.RulesOf(conn.Protocol())
	r, err := set.newRouter(conn.PartitionKey(), rules)
	if err != nil {
		conn.Close(brokerside.Ended)
		return fail(gst.ResourceSettings, err.Error())
	}
	if set.topic == "" && conn.DefaultTopic() == "" && set.topicTemplate == "" &&
		strings.TrimSpace(set.subscribeTopics+set.commandTopics+set.consumers) == "" {
		conn.Close(brokerside.Ended)
		return fail(gst.ResourceSettings, "no topic is set: write topic=NAME, or name it as the third part of conn-str, as in conn-str=\"localhost;9092;my-topic\".")
	}
	stats := conn.Stats()
	if stats.Substituted {
		log.Log(gst.LevelInfo, s.Element, "%s: the built-in %s adapter takes its place", set.protoLib, stats.Adapter)
	}
	if set.messageHeaders != "" && !conn.Protocol().Capabilities().Headers {
		s.Warning(gst.ResourceSettings, "msgbroker: "+conn.Protocol().Name()+" has no headers; message-headers has no effect.", "")
	}
	s.closed = make(chan struct{})
	s.router.Store(r)
	s.mu.Lock()
	s.conn, s.rules, s.told = conn, rules, nil // before anything is received: its handlers may publish
	s.mu.Unlock()
	if err = s.openCommands(set, conn, reconnect); err != nil {
		s.abandon(conn)
		return fail(brokerside.SettingsCode(err), err.Error())
	}
	if err = s.receive(conn, &set); err != nil {
		s.abandon(conn)
		return fail(gst.LibrarySettings, err.Error())
	}
	return true
}

// abandon undoes open.
func (s *sink) abandon(conn *broker.Connection) {
	s.mu.Lock()
	commands := s.commands
	s.conn, s.commands = nil, nil
	s.mu.Unlock()
	if commands != nil {
		commands.close()
	}
	conn.Close(brokerside.Ended)
}

// close closes the connection. It waits for acknowledgements only while there
// is a broker to give them.
func (s *sink) close() {
	s.mu.Lock()
	conn, wait := s.conn, time.Duration(s.set.drainTimeout)*time.Millisecond
	commands := s.commands
	s.conn, s.commands = nil, nil
	s.mu.Unlock()
	s.reader.Close()
	if conn == nil {
		return
	}
	if commands != nil {
		commands.close() // its replies go out with the rest
	}
	close(s.closed)
	s.watchers.Wait()
	s.receiver.stop()
	s.receiver = nil
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
	s.reporter.Log(adapterLog, e)
	if e.Facility == "spool" && e.Level <= adapters.LogWarning && s.disk.Due() {
		s.Warning(gst.ResourceWrite, "msgbroker: "+e.Text+".", "")
	}
}

// dropped posts what will not be delivered; the connection calls it at most once a second.
func (s *sink) dropped(d broker.DropReport) {
	to := ""
	if st, _ := s.brokerStats(); !strings.Contains(d.Reason, st.Host) { // the server's own verdict names it
		to = " to " + st.Host
	}
	s.Warning(gst.ResourceFailed, "msgbroker: "+plural(d.Dropped+d.Failed, "message")+" not delivered"+to+": "+d.Reason+".", "")
}

func plural[N uint64 | int](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
