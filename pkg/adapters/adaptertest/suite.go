// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Server is what an adapter's own test brings to the suite.
type Server interface {
	ConnStr() string                                                 // with host and port, without a topic
	ConfigPath(t *testing.T) string                                  // "" for none
	Start(t *testing.T)                                              // brings the server up; it is up at the beginning
	Stop(t *testing.T)                                               // takes it away; what it has taken stays
	Consume(t *testing.T, topic string, n int) (messages []Received) // at least n, within reason
	UnknownTopic() string                                            // a topic that the server refuses; "" skips that test
	TooLarge() int                                                   // bytes that are too many for one payload; 0 skips that test
	Malformed() []string                                             // connection strings that are refused, saying what to write
}

// A Bounded Server takes payloads of that many bytes at most, where that is little.
type Bounded interface{ Largest() int }

// patience bounds every wait of the suite.
const patience = 40 * time.Second

// A Recorder is a Sink that remembers.
type Recorder struct {
	mu      sync.Mutex
	results map[uint64]error
	twice   []uint64
	states  []adapters.StateEvent
	logs    []adapters.LogEntry
	calls   int
}

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{results: map[uint64]error{}} }

// Done remembers the results and notes those that come twice.
func (r *Recorder) Done(results []adapters.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	for _, x := range results {
		if _, known := r.results[x.Seq]; known {
			r.twice = append(r.twice, x.Seq)
		}
		r.results[x.Seq] = x.Err
	}
}

// State remembers e.
func (r *Recorder) State(e adapters.StateEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.states = append(r.states, e)
}

// Log remembers e.
func (r *Recorder) Log(e adapters.LogEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.logs = append(r.logs, e)
}

// Result returns the word on message seq, if there is one.
func (r *Recorder) Result(seq uint64) (error, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err, ok := r.results[seq]
	return err, ok
}

// Results is how many messages have one, and how many of them failed.
func (r *Recorder) Results() (all, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.results {
		if err != nil {
			failed++
		}
	}
	return len(r.results), failed
}

// Twice is how many messages have more than one result.
func (r *Recorder) Twice() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.twice)
}

// States returns the state events so far.
func (r *Recorder) States() []adapters.StateEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]adapters.StateEvent(nil), r.states...)
}

// Logs returns the log lines so far.
func (r *Recorder) Logs() []adapters.LogEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]adapters.LogEntry(nil), r.logs...)
}

// Calls is how often a method of the Sink was called so far.
func (r *Recorder) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func (r *Recorder) sawState(s adapters.State) bool {
	for _, e := range r.States() {
		if e.State == s {
			return true
		}
	}
	return false
}

// Wait waits until cond holds, or fails the test.
func Wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// Run tests an adapter against the contract in package adapters.
func Run(t *testing.T, a adapters.Adapter, s Server) {
	open := func(t *testing.T) (adapters.Conn, *Recorder) {
		t.Helper()
		r := NewRecorder()
		c, err := a.Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: s.ConfigPath(t), Strict: true}, r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c, r
	}
	t.Run("malformed", func(t *testing.T) {
		for _, cs := range s.Malformed() {
			if c, err := a.Open(adapters.Config{ConnStr: cs}, NewRecorder()); err == nil {
				_ = c.Close()
				t.Errorf("conn-str %q was accepted", cs)
			} else if !strings.Contains(err.Error(), "write ") {
				t.Errorf("conn-str %q: %v: no word on what to write", cs, err)
			}
		}
	})
	LeavesNothing(t, func() {
		t.Run("deliver", func(t *testing.T) { testDeliver(t, a, s, open) })
	}, func() {
		t.Run("refused", func(t *testing.T) { testRefused(t, s, open) })
		t.Run("absent", func(t *testing.T) { testAbsent(t, s, open) })
		t.Run("restart", func(t *testing.T) { testRestart(t, s, open) })
		t.Run("close", func(t *testing.T) { testClose(t, s, open) })
		t.Run("closed together", func(t *testing.T) { testClosedTogether(t, open) })
		t.Run("receive", func(t *testing.T) { runReceive(t, a, s) })
	})
}

type opener func(*testing.T) (adapters.Conn, *Recorder)

// Send publishes the whole batch and waits for room where needed.
func Send(t *testing.T, c adapters.Conn, b *adapters.Batch) {
	t.Helper()
	from := 0
	Wait(t, "room for the batch", func() bool {
		n, err := c.Publish(b, from)
		if err != nil {
			t.Fatal(err)
		}
		from += n
		return from == b.Len()
	})
}

func flush(t *testing.T, c adapters.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal("flush: ", err)
	}
}

func topicOf(t *testing.T) string {
	return fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()), time.Now().UnixNano())
}

// testDeliver: every message arrives once, whole, in order per key, and is reported once.
func testDeliver(t *testing.T, a adapters.Adapter, s Server, open opener) {
	c, r := open(t)
	topic := topicOf(t)
	const count = 1000
	largest := 300_000
	if b, ok := s.(Bounded); ok {
		largest = min(largest, b.Largest())
	}
	seq := uint64(0)
	want := map[string][]string{} // payloads per key
	for seq < count {
		var b adapters.Batch
		for range 100 {
			seq++
			key := fmt.Sprintf("key%d", seq%3)
			payload := []byte(fmt.Sprintf("message %d\x00\xff\n", seq))
			if seq%3 == 0 {
				key = ""
			}
			if seq == 5 {
				payload = bytes.Repeat([]byte{0, 1, 0xfe}, largest/3)
			}
			b.AddText(topic, adapters.Message{Seq: seq, TimestampMS: 1_600_000_000_000 + int64(seq), Session: 0xfedc_0000_0000_0001,
				Number: seq + 7, Key: []byte(key), Payload: payload, Headers: testHeaders(seq)})
			want[key] = append(want[key], string(payload))
		}
		Send(t, c, &b)
		for i := range b.Data { // the adapter must have its own copy
			b.Data[i] = 'x'
		}
	}
	flush(t, c)
	if all, failed := r.Results(); all != count || failed != 0 || len(r.twice) != 0 {
		t.Fatalf("%d results, %d failures, %d reported twice; want %d, 0, 0", all, failed, len(r.twice), count)
	}
	if !r.sawState(adapters.Connected) {
		t.Errorf("never connected: %v", r.States())
	}
	got := map[string][]string{}
	numbers := map[uint64]bool{}
	for _, m := range s.Consume(t, topic, count) {
		numbers[m.Number] = m.Session == 0xfedc_0000_0000_0001 && m.Number > 7 && m.Number <= 7+count
		if a.Capabilities().Headers && !numbers[m.Number] {
			t.Fatalf("session %x, number %d", m.Session, m.Number)
		}
		if a.Capabilities().Headers {
			checkHeaders(t, m.Headers, m.Number-7)
		}
		got[string(m.Key)] = append(got[string(m.Key)], string(m.Payload))
		if a.Capabilities().Timestamps && (m.TimestampMS <= 1_600_000_000_000 || m.TimestampMS > 1_600_000_000_000+count) {
			t.Fatalf("timestamp %d", m.TimestampMS)
		}
	}
	if a.Capabilities().Headers && len(numbers) != count {
		t.Errorf("%d different numbers, want %d", len(numbers), count)
	}
	if !a.Capabilities().Keys {
		return
	}
	for key, payloads := range want {
		if key == "" { // without a key there is no order
			if len(got[key]) != len(payloads) {
				t.Errorf("%d messages without a key, want %d", len(got[key]), len(payloads))
			}
			continue
		}
		if fmt.Sprint(got[key]) != fmt.Sprint(payloads) {
			t.Errorf("key %s: %d messages, want %d, or they are out of order", key, len(got[key]), len(payloads))
		}
	}
}

// testRefused: a message that is refused for good gets a helpful error and holds nothing up.
func testRefused(t *testing.T, s Server, open opener) {
	c, r := open(t)
	topic := topicOf(t)
	var b adapters.Batch
	seq := uint64(0)
	add := func(topic string, payload []byte) uint64 {
		seq++
		b.Append(seq, 0, topic, nil, payload)
		return seq
	}
	refused := map[uint64]error{}
	add(topic, []byte("before"))
	if u := s.UnknownTopic(); u != "" {
		refused[add(u, []byte("to nowhere"))] = adapters.ErrUnknownTopic
	}
	if n := s.TooLarge(); n > 0 {
		refused[add(topic, make([]byte, n))] = adapters.ErrTooLarge
	}
	add(topic, []byte("after"))
	Send(t, c, &b)
	flush(t, c)
	for i := uint64(1); i <= seq; i++ {
		err, ok := r.Result(i)
		if !ok || !errors.Is(err, refused[i]) {
			t.Errorf("message %d: %v, want %v", i, err, refused[i])
		}
		if refused[i] == nil {
			continue
		}
		var d *adapters.DeliveryError
		if !errors.As(err, &d) || d.Topic == "" || d.Host == "" || d.Cause == "" || d.Remedy == "" {
			t.Errorf("message %d: %v: topic, host, cause and remedy are expected", i, err)
		}
	}
	if got := len(s.Consume(t, topic, 2)); got != 2 {
		t.Errorf("%d messages arrived, want 2", got)
	}
}

// testAbsent: a server that is away at the beginning is normal.
func testAbsent(t *testing.T, s Server, open opener) {
	s.Stop(t)
	up := false
	defer func() {
		if !up {
			s.Start(t)
		}
	}()
	var c adapters.Conn
	var r *Recorder
	Within(t, "Open with the server away", 2*time.Second, func() { c, r = open(t) })
	topic := topicOf(t)
	var b adapters.Batch
	for i := range uint64(50) {
		b.Append(i+1, 0, topic, []byte("k"), []byte(fmt.Sprint(i)))
	}
	Within(t, "Publish with the server away", 200*time.Millisecond, func() {
		if n, err := c.Publish(&b, 0); err != nil || n != b.Len() {
			t.Errorf("Publish took %d of %d: %v", n, b.Len(), err)
		}
	})
	Wait(t, "a state that says that the server is away", func() bool { return r.sawState(adapters.Disconnected) })
	for _, e := range r.States() {
		if e.State == adapters.Disconnected && (e.Reason == "" || e.Host == "") {
			t.Errorf("disconnected without host or reason: %+v", e)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush with the server away: %v", err)
	}
	if all, _ := r.Results(); all != 0 {
		t.Errorf("%d results with the server away", all)
	}
	s.Start(t)
	up = true
	flush(t, c)
	if all, failed := r.Results(); all != b.Len() || failed != 0 {
		t.Errorf("%d results, %d failures, want %d, 0", all, failed, b.Len())
	}
	if got := s.Consume(t, topic, b.Len()); len(got) != b.Len() {
		t.Errorf("%d messages arrived, want %d", len(got), b.Len())
	}
	Wait(t, "the connected state", func() bool { return r.sawState(adapters.Connected) })
}

// testRestart: what is published around an outage arrives, in order per key.
func testRestart(t *testing.T, s Server, open opener) {
	c, r := open(t)
	topic := topicOf(t)
	seq := uint64(0)
	send := func(n int) {
		var b adapters.Batch
		for range n {
			seq++
			b.Append(seq, 0, topic, []byte("k"), []byte(fmt.Sprintf("%06d", seq)))
		}
		Send(t, c, &b)
	}
	send(200)
	Wait(t, "the first messages", func() bool { all, _ := r.Results(); return all == 200 })
	send(100)
	s.Stop(t)
	send(100)
	Wait(t, "a state that says that the server is away", func() bool { return r.sawState(adapters.Disconnected) })
	s.Start(t)
	send(100)
	flush(t, c)
	if all, failed := r.Results(); all != int(seq) || failed != 0 || len(r.twice) > 0 {
		t.Errorf("%d results, %d failures, %d reported twice, want %d, 0, 0", all, failed, len(r.twice), seq)
	}
	last, seen := "", map[string]bool{}
	for _, m := range ConsumeDifferent(t, s, topic, int(seq)) {
		p := string(m.Payload)
		if !seen[p] && p < last {
			t.Errorf("%s came after %s", p, last)
		}
		seen[p] = true
		last = max(last, p)
	}
	if len(seen) != int(seq) {
		t.Errorf("%d different messages arrived, want %d", len(seen), seq)
	}
	r.WaitState(t, adapters.Connected)
}

// testClose: Close is quick, may be repeated, silences the sink, and leaves no goroutine behind.
func testClose(t *testing.T, s Server, open opener) {
	before := runtime.NumGoroutine()
	for _, away := range []bool{false, true} {
		if away {
			s.Stop(t)
			defer s.Start(t)
		}
		c, r := open(t)
		var b adapters.Batch
		for i := range uint64(100) {
			b.Append(i+1, 0, "closing", nil, []byte("x"))
		}
		Send(t, c, &b)
		Within(t, fmt.Sprintf("Close (server away: %v)", away), time.Second, func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		_ = c.Close()
		r.mu.Lock()
		calls := r.calls
		r.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		r.mu.Lock()
		if r.calls != calls {
			t.Error("the sink was called after Close")
		}
		r.mu.Unlock()
	}
	Wait(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+4 })
}
