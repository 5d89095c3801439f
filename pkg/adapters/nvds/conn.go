// SPDX-License-Identifier: LGPL-2.1-or-later

package nvds

// #include <stdlib.h>
// #include "nvds.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	defaultInFlight = 10_000                 // messages without an answer
	maxInFlight     = 1 << 20                // the same, whatever is asked for
	answersAtOnce   = 1024                   // per crossing
	workInterval    = 10 * time.Millisecond  // between two calls of do_work that brought nothing; nvmsgbroker's default
	refusedPause    = time.Millisecond       // before a message that send_async refused is tried again, doubling …
	refusedLongest  = 50 * time.Millisecond  // … up to this …
	refusedPatience = 10 * time.Second       // … and for how long, until the connection is taken for broken
	verdictPause    = time.Second            // a failed answer is final when the connection still stands after that
	closePatience   = 400 * time.Millisecond // how long Close waits for the library
	flushInterval   = 5 * time.Millisecond
)

// The two languages must agree on a record and on a result.
const (
	_ = uint(unsafe.Sizeof(adapters.Record{}) - C.sizeof_ewn_record)
	_ = uint(C.sizeof_ewn_record - unsafe.Sizeof(adapters.Record{}))
)

// A conn is one nvds_msgapi handle, from before it is there.
type conn struct {
	lib        *library
	c          *C.ewn_conn
	sink       *outbox.Gate
	info       adapters.Info
	connStr    string
	configPath string
	inFlight   int

	wg      sync.WaitGroup
	stop    chan struct{}
	closing sync.Once
	call    sync.Mutex // held while a receiver is called; above mu
	failed  atomic.Pointer[string]
	done    atomic.Uint64 // messages with a Result

	mu        sync.Mutex // guards what follows; no call of the library is made under it
	pending   adapters.Batch
	taken     uint64
	unsettled int // messages without a Result
	full      bool
	connected bool
	work      chan struct{} // one token: pending has messages, or something else is to be done
	verdicts  []verdict
	sub       subscription
	held      []adapters.Incoming // handed over and not acknowledged, in order
	number    uint64              // of the last receipt
}

// A verdict is a failed answer that waits for the connection to prove that it still stands: a library that
// loses its server answers for everything at once, and says what happened afterwards.
type verdict struct {
	result adapters.Result
	due    time.Time
}

// Open starts to connect, which takes as long as the library takes.
func (l *library) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	if strings.ContainsRune(cfg.ConnStr, 0) || strings.ContainsRune(cfg.ConfigPath, 0) {
		return nil, errors.New("conn-str or config holds a NUL character; remove it")
	}
	c := &conn{lib: l, sink: outbox.NewGate(sink), connStr: cfg.ConnStr, configPath: cfg.ConfigPath, inFlight: defaultInFlight,
		stop: make(chan struct{}), work: make(chan struct{}, 1)}
	if cfg.MaxMessages > 0 {
		c.inFlight = min(cfg.MaxMessages, maxInFlight)
	}
	_, topic, _ := l.SplitConnStr(cfg.ConnStr)
	c.info = adapters.Info{Host: l.host(cfg.ConnStr), Topic: topic}
	if c.c = C.ewn_new(l.l, C.size_t(c.inFlight)); c.c == nil {
		return nil, errors.New("no memory for the connection")
	}
	sink.State(adapters.StateEvent{State: adapters.Connecting, Host: c.info.Host, Time: time.Now()})
	safe.Go(&c.wg, "connection of "+l.protocol, c.panicked, c.run)
	return c, nil
}

// host is what is told of the connection string: its first two parts, since user and password may follow.
func (l *library) host(connStr string) string {
	parts := strings.SplitN(connStr, ";", 3)
	host := strings.Join(parts[:min(len(parts), 2)], ":")
	if host == "" || strings.ContainsAny(host, "=@") { // Azure's holds a key, a URI may hold a password
		return l.protocol
	}
	return host
}

func (c *conn) panicked(e *safe.PanicError) { c.fail("internal error: " + e.Error()) }

// Info is what can be known without the library.
func (c *conn) Info() adapters.Info { return c.info }

// Publish copies messages for the goroutine that sends.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	if reason := c.failed.Load(); reason != nil {
		return 0, errors.New(*reason)
	}
	c.mu.Lock()
	n := max(min(b.Len()-from, c.inFlight-c.unsettled), 0)
	for i := from; i < from+n; i++ {
		c.pending.Add(b.At(i))
	}
	c.unsettled += n
	c.taken += uint64(n)
	c.full = from+n < b.Len()
	c.mu.Unlock()
	if n > 0 {
		c.poke()
	}
	return n, nil
}

// poke wakes the goroutine that sends.
func (c *conn) poke() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// Flush waits for the answers of all messages taken.
func (c *conn) Flush(ctx context.Context) error {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		c.mu.Lock()
		taken := c.taken
		c.mu.Unlock()
		if c.done.Load() >= taken {
			return nil
		}
		if reason := c.failed.Load(); reason != nil {
			return errors.New(*reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Close ends the connection. A library may flush for many seconds; it is left to end by itself then.
func (c *conn) Close() error {
	c.closing.Do(c.close)
	return nil
}

func (c *conn) close() {
	defer c.sink.Shut() // whatever the library hangs in
	c.call.Lock()       // a receiver that is being called returns first
	close(c.stop)
	c.call.Unlock()
	C.ewn_stop(c.c)
	ended := make(chan struct{})
	var end sync.WaitGroup
	safe.Go(&end, "end of "+c.lib.protocol, nil, func() {
		defer close(ended)
		c.wg.Wait() // run disconnects
		C.ewn_free(c.c)
	})
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-ended:
		end.Wait()
	case <-timer.C:
	}
}

// quiet reports that the sink is not to be called any more.
func (c *conn) quiet() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// fail marks the connection as lost, once.
func (c *conn) fail(reason string) {
	if c.failed.CompareAndSwap(nil, &reason) && !c.quiet() {
		c.sink.State(adapters.StateEvent{State: adapters.Failed, Host: c.info.Host, Reason: reason, Time: time.Now()})
	}
}

// run is the life of the handle: connect, work, disconnect.
func (c *conn) run() {
	connStr, config := C.CString(c.connStr), C.CString(c.configPath)
	ok := C.ewn_connect(c.c, connStr, config) != 0
	C.free(unsafe.Pointer(connStr))
	C.free(unsafe.Pointer(config))
	if !ok {
		c.fail("the library " + c.lib.path + " could not connect, and does not say why; check conn-str, the configuration, the server, and the library's own log")
		return
	}
	if !c.quiet() {
		version := c.lib.version()
		c.sink.Log(adapters.LogEntry{Level: adapters.LogInfo, Facility: c.lib.protocol,
			Text: strings.TrimSpace("connected through " + c.lib.path + " " + version)})
		c.sink.State(adapters.StateEvent{State: adapters.Connected, Host: c.info.Host, Time: time.Now()})
	}
	c.mu.Lock()
	c.connected = true
	c.mu.Unlock()
	c.poke()
	var wg sync.WaitGroup
	safe.Go(&wg, "sending through "+c.lib.protocol, c.panicked, c.send)
	if c.lib.Capabilities().Subscribe {
		safe.Go(&wg, "receiving through "+c.lib.protocol, c.panicked, c.receive)
	}
	c.collect()
	wg.Wait()
	C.ewn_disconnect(c.c)
}

// send hands messages to the library.
func (c *conn) send() {
	var batch adapters.Batch
	for {
		select {
		case <-c.stop:
			return
		case <-c.work:
		}
		c.subscribe()
		c.mu.Lock()
		batch, c.pending = c.pending, batch
		c.mu.Unlock()
		if !c.sendBatch(&batch) {
			return
		}
		batch.Reset()
	}
}

// sendBatch sends all of a batch; false when the connection is over.
func (c *conn) sendBatch(b *adapters.Batch) bool {
	var refused time.Time // since when the library takes nothing
	pause := refusedPause
	for from := 0; from < b.Len(); {
		if c.quiet() || c.failed.Load() != nil {
			return false
		}
		var code C.int
		n := int(C.ewn_send(c.c, (*C.char)(unsafe.Pointer(unsafe.SliceData(b.Data))),
			(*C.ewn_record)(unsafe.Pointer(unsafe.SliceData(b.Records))), C.size_t(from), C.size_t(b.Len()), &code))
		C.ewn_poke(c.c)
		from += n
		if n > 0 {
			refused, pause = time.Time{}, refusedPause
		}
		switch {
		case from == b.Len():
			return true
		case code == C.EWN_UNKNOWN_TOPIC:
			m := b.At(from)
			c.settle([]adapters.Result{{Seq: m.Seq, Err: c.deliveryError(int(code), string(m.Topic))}})
			from++
			continue
		case code != 0 && refused.IsZero():
			refused = time.Now()
		case code != 0 && time.Since(refused) > refusedPatience:
			c.fail(fmt.Sprintf("the library has refused messages for %v (nvds_msgapi_send_async gave %d); check the server and the library's own log",
				refusedPatience, int(code)))
			return false
		}
		select { // its queue, or the table of those without an answer, is full
		case <-c.stop:
			return false
		case <-time.After(pause):
			pause = min(2*pause, refusedLongest)
		}
	}
	return true
}

// collect lets the library work, and passes on what it reports.
func (c *conn) collect() {
	always := strings.Contains(strings.ToUpper(c.lib.protocol), "MQTT")
	var answers [answersAtOnce]C.ewn_result
	var event C.int
	var pending C.size_t
	for !c.quiet() && c.failed.Load() == nil {
		work := C.int(0)
		wait := time.Second
		if pending > 0 || always {
			work, wait = 1, workInterval
		}
		c.mu.Lock()
		if len(c.verdicts) > 0 {
			wait = workInterval
		}
		c.mu.Unlock()
		n := C.ewn_work(c.c, work, C.int(wait.Milliseconds()), &answers[0], answersAtOnce, &event, &pending)
		c.answered(answers[:n])
		switch event {
		case C.EWN_DISCONNECT, C.EWN_SERVICE_DOWN:
			c.fail("the library says that the server is gone; it is connected again")
			return
		}
		c.judge()
	}
}

// answered passes good answers on and keeps the bad ones for a while.
func (c *conn) answered(answers []C.ewn_result) {
	if len(answers) == 0 {
		return
	}
	results := make([]adapters.Result, 0, len(answers))
	now := time.Now()
	c.mu.Lock()
	for _, a := range answers {
		r := adapters.Result{Seq: uint64(a.seq)}
		switch a.err {
		case C.EWN_OK:
			results = append(results, r)
		case C.EWN_UNKNOWN_TOPIC:
			r.Err = c.deliveryError(int(a.err), "")
			results = append(results, r)
		default:
			r.Err = c.deliveryError(int(a.err), "")
			c.verdicts = append(c.verdicts, verdict{r, now.Add(verdictPause)})
		}
	}
	c.mu.Unlock()
	c.settle(results)
}

// judge makes failed answers final that are old enough. Those of a connection that was lost since are never
// told: their messages are sent again.
func (c *conn) judge() {
	now := time.Now()
	var results []adapters.Result
	c.mu.Lock()
	for len(c.verdicts) > 0 && now.After(c.verdicts[0].due) {
		results = append(results, c.verdicts[0].result)
		c.verdicts = c.verdicts[1:]
	}
	c.mu.Unlock()
	c.settle(results)
}

// settle tells final results.
func (c *conn) settle(results []adapters.Result) {
	if len(results) == 0 || c.quiet() {
		return
	}
	c.mu.Lock()
	c.unsettled -= len(results)
	c.full = false
	c.mu.Unlock()
	c.sink.Done(results)
	c.done.Add(uint64(len(results)))
}

func (c *conn) deliveryError(code int, topic string) error {
	e := &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: topic, Host: c.info.Host,
		Cause:  fmt.Sprintf("the library %s reports a failure (NvDsMsgApiErrorType %d)", c.lib.path, code),
		Remedy: "see the library's own log"}
	if code == C.EWN_UNKNOWN_TOPIC {
		e.Kind, e.Cause, e.Remedy = adapters.ErrUnknownTopic, "the server does not know the topic, says the library "+c.lib.path, "create the topic or correct its name"
	}
	return e
}
