// SPDX-License-Identifier: LGPL-2.1-or-later

// Package brokerside holds what the elements that use package broker share: how
// the state of a connection is told on the bus, and what of it stands in stats.
package brokerside

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
)

// reconnectEnv names the file of reconnect-config where the property does not.
const reconnectEnv = "EDGEWIRE_RECONNECT_CONFIG"

// Reconnect reads the file that says how to reconnect, if one is named.
func Reconnect(path string) (broker.Reconnect, error) {
	path = strings.TrimSpace(path)
	if path == "" {
		path = strings.TrimSpace(gst.Getenv(reconnectEnv))
	}
	if path == "" {
		return broker.Reconnect{}, nil
	}
	return broker.LoadReconnect(path)
}

// ProtoLibBlurb describes the property proto-lib. It names the protocols that are linked in.
func ProtoLibBlurb() string {
	return "Protocol: a built-in one (" + strings.Join(adapters.Names(), ", ") + "); the path of DeepStream's library for one (…/libnvds_kafka_proto.so), " +
		"which stands for the built-in one; or file:PATH, a protocol library of your own"
}

// ConnStrBlurb describes the property conn-str.
const ConnStrBlurb = "Where the broker is: HOST;PORT or HOST;PORT;TOPIC, or as the protocol's page says. Reading it hides passwords and keys"

// SettingsCode is the error code for a configuration that cannot work.
func SettingsCode(err error) gst.ErrorCode {
	switch {
	case errors.Is(err, spool.ErrInUse):
		return gst.ResourceOpenWrite
	case errors.Is(err, os.ErrNotExist):
		return gst.ResourceNotFound
	}
	return gst.LibrarySettings
}

// A Reporter turns what a connection tells into messages of an element. Its
// methods are callbacks of the connection.
type Reporter struct {
	Element  *gst.Element
	Name     string // of the element's factory: prefix of messages and texts
	Category *gst.Category
	Away     string // what becomes of the messages while the broker is away: a sentence
	outages  Throttle

	mu     sync.Mutex
	reason string // that was warned of last, in this outage
}

// Reset lets the next warning through.
func (r *Reporter) Reset() {
	r.outages.Reset()
	r.warn("")
}

// warn reports whether a reason is worth a warning; "" is the end of the outage.
func (r *Reporter) warn(reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason != "" && (reason == r.reason || !r.outages.Due()) {
		return false
	}
	r.reason = reason
	return true
}

// Log passes a line of an adapter to a debug category.
func (r *Reporter) Log(category *gst.Category, e adapters.LogEntry) {
	level := gst.LevelDebug
	switch e.Level {
	case adapters.LogError:
		level = gst.LevelError
	case adapters.LogWarning:
		level = gst.LevelWarning
	case adapters.LogInfo:
		level = gst.LevelInfo
	}
	category.Log(level, r.Element, "%s: %s", e.Facility, e.Text)
}

// State posts an element message for every change and every attempt that
// fails, and a warning for an outage and each new reason, at most once a second.
func (r *Reporter) State(c broker.StateChange) {
	r.Category.Log(gst.LevelInfo, r.Element, "%s is %s %s", c.Host, c.New, c.Reason)
	name := r.Name + "-" + c.New.String()
	switch {
	case c.New == broker.StateClosed:
		return
	case c.New == broker.StateReconnecting:
		name = r.Name + "-disconnected"
	case c.New == broker.StateConnected && c.Old == broker.StateReconnecting:
		name = r.Name + "-reconnected"
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
	r.Element.PostMessage(m)
	if c.Old != c.New {
		r.Element.Notify("state")
	}
	r.Element.Notify("stats")
	if c.Reason == "" || c.New == broker.StateConnected {
		r.warn("")
		return
	}
	if c.New == broker.StateFailed {
		r.Element.Error(gst.ResourceFailed, r.Name+": the connection to "+c.Host+" failed for good: "+c.Reason, "")
	} else if r.warn(c.Reason) {
		r.Element.Warning(gst.ResourceNotFound, r.Name+": no connection to "+c.Host+": "+c.Reason+". "+r.Away, "")
	}
}

// Subscribed tells the server's word on a topic: an element message, or a warning.
func (r *Reporter) Subscribed(topic string, err error) {
	if err != nil {
		r.Element.Warning(gst.ResourceFailed, r.Name+": no messages come from "+err.Error(), "")
		return
	}
	m := gst.Structure{Name: r.Name + "-subscribed"}
	m.Add("topic", topic)
	r.Element.PostMessage(m)
}

// AddConnection appends what stats tell of the connection itself.
func AddConnection(out *gst.Structure, st broker.Stats, protoLib string) {
	out.Add("state", st.State.String())
	out.Add("host", st.Host)
	out.Add("adapter", st.Adapter)
	out.Add("proto-lib", protoLib)
	out.Add("substituted", st.Substituted)
	out.Add("shared", st.Shared)
	if st.Session != 0 {
		out.Add("session", fmt.Sprintf("%016x", st.Session))
	}
	out.Add("last-error", st.LastError)
	if !st.LastErrorTime.IsZero() {
		out.Add("last-error-time", st.LastErrorTime.UTC().Format(time.RFC3339Nano))
	}
}

// AddReceiving appends what stats tell of subscriptions.
func AddReceiving(out *gst.Structure, st broker.Stats) {
	out.Add("received", st.Received)
	out.Add("received-bytes", st.ReceivedBytes)
	out.Add("redelivered", st.Redelivered)
	out.Add("unacknowledged", st.Unacknowledged)
}

// Topics parts a list of topics at its semicolons.
func Topics(list string) []string {
	var topics []string
	for topic := range strings.SplitSeq(list, ";") {
		if topic = strings.TrimSpace(topic); topic != "" {
			topics = append(topics, topic)
		}
	}
	return topics
}

// Throttle lets one of many events a second through.
type Throttle struct {
	mu   sync.Mutex
	last time.Time
}

// Due reports whether a second has passed since it last said so.
func (t *Throttle) Due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Sub(t.last) < time.Second {
		return false
	}
	t.last = now
	return true
}

// Reset lets the next event through.
func (t *Throttle) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Time{}
}

// Ended is a context that has ended: a connection that is closed with it delivers nothing first.
var Ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Flushing is a context that ends when Ended is closed.
type Flushing struct {
	context.Context
	Ended <-chan struct{}
}

// Done is closed when the context ends.
func (c Flushing) Done() <-chan struct{} { return c.Ended }

// Err is context.Canceled after the end.
func (c Flushing) Err() error {
	select {
	case <-c.Ended:
		return context.Canceled
	default:
		return nil
	}
}
