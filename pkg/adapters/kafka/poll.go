// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	// The first attempt to connect may make the poll goroutine wait this long.
	firstAttempt = 20 * time.Millisecond
	// A standing connection may be missing from so many statistics in a row: librdkafka replaces one that
	// the broker closed for idleness, and after a reconnect the one to the bootstrap server by those to
	// the brokers. When it says that all are down, fewer will do.
	missesAllowed     = 8
	missesAllowedDown = 3
	// So many events that still wait when the connection is closed are looked at for log lines.
	lastLines = 2000
)

// A poller is the state of the one goroutine that collects what librdkafka reports.
type poller struct {
	*conn
	state   adapters.State
	been    bool      // connected, in this session …
	since   time.Time // … for the first time
	reason  string    // why there is no connection
	code    int
	failed  int  // attempts to connect since the connection was there
	misses  int  // statistics without a connection since the last one with one
	allDown bool // librdkafka says that it has no connection at all
	ev      C.ew_event
	results []C.ew_result
	out     []adapters.Result

	answered  uint64    // how many messages had their answer …
	progress  time.Time // … when there last was nothing to complain about
	toldBatch bool      // the word about too large batches
}

func newPoller(c *conn) *poller {
	return &poller{conn: c, state: adapters.Connecting, results: make([]C.ew_result, resultsAtOnce),
		out: make([]adapters.Result, 0, resultsAtOnce)}
}

func (c *conn) poll() {
	p := newPoller(c)
	if C.ew_connect(c.p, C.int(firstAttempt/time.Millisecond)) != 0 {
		p.connected()
	}
	for !c.closing.Load() {
		if !p.next() {
			p.wait()
		}
		p.judge()
		p.checkTopics()
		p.checkProgress()
		p.checkFiles()
	}
	// What librdkafka logged until now is often why the connection is being closed.
	for range lastLines {
		C.ew_poll(c.p, &p.results[0], resultsAtOnce, &p.ev)
		switch p.ev.kind {
		case C.EW_LOG:
			p.log(int(p.ev.level), C.GoString(&p.ev.facility[0]), p.text())
		case C.EW_NOTHING:
			return
		}
	}
}

// next reports what is there; false: nothing is.
func (p *poller) next() bool {
	C.ew_poll(p.p, &p.results[0], resultsAtOnce, &p.ev)
	if !p.been && p.heard.Load() { // before what has just come: that may be the end of the connection
		p.connected()
	}
	switch p.ev.kind {
	case C.EW_NOTHING:
		return false
	case C.EW_RESULTS:
		p.report(p.results[:p.ev.results])
	case C.EW_ERROR:
		p.trouble(int(p.ev.err), p.ev.fatal != 0, p.text())
	case C.EW_LOG:
		p.log(int(p.ev.level), C.GoString(&p.ev.facility[0]), p.text())
	case C.EW_STATS:
		p.looked(p.ev.up != 0)
	case C.EW_TOPICS:
		p.unknownTopics(strings.Fields(p.text()))
	}
	return true
}

// wait waits until there may be something to report, or wake was called since the last wait. It is Go that waits
// and not a call into C: the scheduler looks after a call every 20 µs or so until it has taken its processor away.
func (p *poller) wait() {
	var token [8]byte
	_ = p.events.SetReadDeadline(time.Now().Add(pollTimeout))
	if _, err := p.events.Read(token[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		time.Sleep(firstAttempt) // never seen; but not in a busy loop
	}
}

func (p *poller) text() string { return maskSecrets(C.GoString(&p.ev.text[0]), p.secrets) }

// report passes delivery reports on. After a fatal error what librdkafka throws away is not refused: it
// is for the next producer to send.
func (p *poller) report(results []C.ew_result) {
	p.out = p.out[:0]
	for i := range results {
		r := &results[i]
		if r.err == 0 {
			if r.second == C.EW_BATCH_TOO_LARGE {
				p.tellBatch(C.GoString(C.ew_topic_name(p.p, r.topic)))
			}
			p.out = append(p.out, adapters.Result{Seq: uint64(r.seq)})
			continue
		}
		if p.fatal.Load() == nil {
			if reason := p.fatalReason(); reason != "" {
				p.fail(reason)
			}
		}
		topic := C.GoString(C.ew_topic_name(p.p, r.topic))
		if !p.final(int(r.err), topic, r.vanished != 0) {
			continue
		}
		err := p.explain(failure{code: int(r.err), topic: topic, size: uint64(r.size)})
		p.out = append(p.out, adapters.Result{Seq: uint64(r.seq), Err: err})
	}
	if len(p.out) == 0 {
		return
	}
	for i := range p.out {
		if p.out[i].Err == nil { // an acknowledgement is the best proof of a connection
			if p.state != adapters.Connected {
				p.connected()
			}
			break
		}
	}
	p.sink.Done(p.out)
	p.done.Add(uint64(len(p.out))) // now: Flush says that they were told
}

// final reports that a refusal is the last word on a message. It is not while the producer is lost, or is given up here:
// then the message is for the next one.
func (p *poller) final(code int, topic string, vanished bool) bool {
	again := "; its messages are sent again, and refused if it does not appear within " + p.propagation + " ms"
	switch {
	case p.fatal.Load() != nil:
	case vanished:
		// librdkafka gives a new topic time to appear, but none that was there and is gone, such as
		// on a server that came back without its data. For the next producer it is new.
		p.fail("topic " + topic + " is gone" + again)
	case p.tooEarly(code):
		p.fail("topic " + topic + " is not there yet" + again)
	}
	return p.fatal.Load() == nil
}

// judge has the last word on messages that librdkafka would not take.
func (p *poller) judge() {
	p.mu.Lock()
	list := p.doubtful
	p.doubtful = nil
	p.mu.Unlock()
	var out []adapters.Result
	for _, d := range list {
		topic := C.CString(d.topic)
		taken := C.ew_has_taken(p.p, topic) != 0
		C.free(unsafe.Pointer(topic))
		if p.final(d.code, d.topic, taken) {
			out = append(out, adapters.Result{Seq: d.seq, Err: p.explain(d.failure)})
		}
	}
	if len(out) > 0 {
		p.sink.Done(out)
		p.done.Add(uint64(len(out)))
	}
}

// noTopic: the code says that there is no such topic.
func noTopic(code int) bool {
	return code == C.EW_ERR_UNKNOWN_TOPIC || code == C.EW_ERR_UNKNOWN_TOPIC_OR_PART || code == C.EW_ERR_UNKNOWN_PARTITION
}

// tooEarly reports that a topic was not given its time to appear: librdkafka counts from the first message for
// it, also while there is no server. The next producer begins to count when the server is there. (Half of the
// time is enough of it: what passes until a connection shows must not make this go round for ever.)
func (p *poller) tooEarly(err int) bool {
	if !noTopic(err) {
		return false
	}
	ms, _ := strconv.Atoi(p.propagation)
	return !p.been || time.Since(p.since) < time.Duration(ms)*time.Millisecond/2
}

// tellBatch says once that batches are larger than the broker likes, since nothing else shows it.
func (p *poller) tellBatch(topic string) {
	if p.toldBatch {
		return
	}
	p.toldBatch = true
	p.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: fmt.Sprintf(
		"topic %s on %s: the broker refused a batch as too large and took its messages one by one, which is slow and may "+
			"change their order; set batch.size=%s in proto-cfg to less than the broker's message.max.bytes (the topic's "+
			"max.message.bytes), or raise that", topic, p.info.Host, p.batchSize)})
}

// checkProgress gives the producer up when it stands there and nothing happens: see stuckAfter.
func (p *poller) checkProgress() {
	answered := p.done.Load()
	accepted := p.accepted.Load()
	if p.state != adapters.Connected || answered != p.answered || answered >= accepted || p.progress.IsZero() {
		p.answered, p.progress = answered, time.Now()
		return
	}
	if time.Since(p.progress) > p.patience && p.fatal.Load() == nil {
		p.fail(fmt.Sprintf("connected, but none of %d messages under way was answered for %v; the broker may have lost its "+
			"data, or not enough replicas may be in sync", accepted-answered, p.patience.Round(time.Second)))
	}
}

// trouble weighs an error that belongs to no message.
func (p *poller) trouble(code int, fatal bool, text string) {
	switch {
	case fatal || code == C.EW_ERR_FATAL:
		reason := p.fatalReason()
		if reason == "" {
			reason = text
		}
		p.fail(reason)
		return
	case code == C.EW_ERR_ALL_BROKERS_DOWN:
		p.allDown = true
	case code == C.EW_ERR_TRANSPORT || code == C.EW_ERR_RESOLVE || code == C.EW_ERR_SSL ||
		code == C.EW_ERR_AUTHENTICATION || code == C.EW_ERR_SASL_AUTHENTICATION_FAILED || code == C.EW_ERR_TIMED_OUT:
		reason := connectReason(code, text)
		fresh := code != p.code || p.state == adapters.Connected
		if fresh { // librdkafka says the same in many words: the address, how long it took, how often
			p.code, p.reason = code, reason
		}
		p.failed++
		// A new attempt that fails while nothing else is up settles it; a connection that breaks may be
		// one of several, or idle.
		refused := strings.Contains(text, "failed: ") || code != C.EW_ERR_TRANSPORT
		if p.state != adapters.Connected || (p.allDown && refused) {
			p.disconnected()
		}
	default:
		p.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: p.info.Host + ": " + text})
	}
}

// looked weighs what the statistics show.
func (p *poller) looked(up bool) {
	if up {
		p.connected()
		return
	}
	p.misses++
	if p.state == adapters.Connected && (p.misses >= missesAllowed || (p.allDown && p.misses >= missesAllowedDown)) {
		if p.reason == "" {
			p.reason = "the connection was lost; check the broker and the network"
		}
		p.disconnected()
	}
}

func (p *poller) connected() {
	p.reason, p.code, p.failed, p.misses, p.allDown = "", 0, 0, 0, false
	if p.state == adapters.Connected || p.fatal.Load() != nil {
		return
	}
	if !p.been {
		p.been, p.since = true, time.Now()
	}
	p.state = adapters.Connected
	p.away.Store(false)
	p.sink.State(adapters.StateEvent{State: adapters.Connected, Host: p.info.Host, Time: time.Now()})
}

// disconnected tells the state, and each attempt that fails.
func (p *poller) disconnected() {
	if p.fatal.Load() == nil {
		p.state = adapters.Disconnected
		p.away.Store(true)
		p.sink.State(adapters.StateEvent{State: adapters.Disconnected, Host: p.info.Host, Reason: p.reason, Time: time.Now(),
			Attempt: p.failed, Next: p.pause()})
	}
}

// pause is the longest that librdkafka may wait before its next attempt: it doubles the pause each time
// and adds up to half of it.
func (p *poller) pause() time.Duration {
	d := p.maxBackoff
	if p.failed < 20 {
		d = min(d, p.backoff<<p.failed)
	}
	return d + d/2
}

// log passes a line of librdkafka on. What a state change tells already is only debugging output.
func (p *poller) log(level int, facility, text string) {
	l := adapters.LogDebug
	switch {
	case facility == "FAIL" || facility == "ERROR":
	case level <= 3:
		l = adapters.LogError
	case level == 4:
		l = adapters.LogWarning
	case level <= 6:
		l = adapters.LogInfo
	}
	p.sink.Log(adapters.LogEntry{Level: l, Facility: facility, Text: text})
	// The one trouble that librdkafka only logs: a TLS port hangs up on a client that speaks plain text.
	if facility == "FAIL" && strings.Contains(text, "closed by peer") && strings.Contains(text, "APIVERSION_QUERY") && p.state != adapters.Connected {
		p.reason = hungUp
		p.failed++
		p.disconnected()
	}
}

const hungUp = "the broker closes the connection with our first words; if its port speaks TLS, set security.protocol=ssl (or sasl_ssl) in proto-cfg"

// checkTopics asks once for each new topic whether it exists, when the broker has had time to create it.
func (p *poller) checkTopics() {
	if p.state != adapters.Connected {
		return
	}
	var due []string
	p.mu.Lock()
	keep := p.watch[:0]
	for _, w := range p.watch {
		if time.Since(w.since) < topicGraceTime {
			keep = append(keep, w)
		} else {
			due = append(due, w.name)
		}
	}
	p.watch = keep
	p.mu.Unlock()
	if len(due) == 0 {
		return
	}
	array := C.calloc(C.size_t(len(due)), C.size_t(unsafe.Sizeof((*C.char)(nil))))
	if array == nil {
		return
	}
	defer C.free(array)
	names := unsafe.Slice((**C.char)(array), len(due))
	for i, n := range due {
		names[i] = C.CString(n)
		defer C.free(unsafe.Pointer(names[i]))
	}
	C.ew_describe_topics(p.p, &names[0], C.size_t(len(due)), C.int(1000))
}

func (p *poller) unknownTopics(names []string) {
	for _, n := range names {
		p.sink.Log(adapters.LogEntry{Level: adapters.LogError, Facility: "kafka", Text: fmt.Sprintf(
			"topic %s on %s: the topic does not exist and the broker did not create it; its messages wait for %s ms and are "+
				"refused then; create the topic, correct its name, or set auto.create.topics.enable=true on the broker",
			n, p.info.Host, p.propagation)})
	}
}
