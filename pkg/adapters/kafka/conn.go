// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	pollTimeout    = time.Second            // how long the poll goroutine sleeps when nothing happens
	resultsAtOnce  = 2048                   // delivery reports per crossing
	closePatience  = 400 * time.Millisecond // how long Close waits for librdkafka's threads
	maxWatched     = 256                    // topics whose existence is looked after
	maxExplained   = 256                    // error texts kept for reuse
	flushInterval  = 5 * time.Millisecond
	topicGraceTime = time.Second // a new topic may be this young before its absence is told
)

// stuckAfter is how long a connection may stand with messages under way and no answer to any of them.
// librdkafka can wait for ever: for one, it takes the metadata of a server that has lost its data for old.
// What the user makes messages wait for (linger.ms, topic.metadata.propagation.max.ms) comes on top.
// Tests shorten it.
var stuckAfter = 90 * time.Second

// The two languages must agree on a record.
const (
	_ = uint(unsafe.Sizeof(adapters.Record{}) - C.sizeof_ew_record)
	_ = uint(C.sizeof_ew_record - unsafe.Sizeof(adapters.Record{}))
	_ = uint(unsafe.Offsetof(adapters.Record{}.Payload) - 48)
	_ = uint(48 - unsafe.Offsetof(adapters.Record{}.Payload))
)

// A conn is one librdkafka producer.
type conn struct {
	p           *C.ew_producer
	events      *os.File // readable when there is something to poll
	sink        adapters.Sink
	info        adapters.Info
	secrets     []string
	maxBytes    string        // message.max.bytes in force
	maxQueue    string        // queue.buffering.max.kbytes in force
	batchSize   string        // batch.size in force
	patience    time.Duration // without an answer, after which the producer is stuck
	propagation string        // topic.metadata.propagation.max.ms in force
	backoff     time.Duration // between two attempts to connect, growing …
	maxBackoff  time.Duration // … up to this

	wg             sync.WaitGroup
	closing        atomic.Bool
	closed         sync.Once
	renewing       atomic.Bool // nothing is taken until the producer is replaced: see checkFiles
	renewal        *renewal
	fatal          atomic.Pointer[string]
	accepted, done atomic.Uint64

	// Publish alone.
	failed     []C.ew_result
	refused    []adapters.Result
	topicCount C.size_t

	receiving   receivingConfig
	subscribing sync.Mutex // around Subscribe and the end
	consumer    *consumer  // of the subscription in force
	consumers   sync.WaitGroup
	away        atomic.Bool // the server is known to be away
	heard       atomic.Bool // the server has answered a consumer

	mu        sync.Mutex // guards what follows; no call is made under it
	topics    map[string]bool
	watch     []watchedTopic
	doubtful  []doubt
	explained map[failure]error
}

// A doubt is a message that librdkafka would not take since it believes that there is no such topic. Whether that is the last
// word is for the poller to say, which knows what became of the others.
type doubt struct {
	seq uint64
	failure
}

// A watchedTopic was used for the first time a short while ago.
type watchedTopic struct {
	name  string
	since time.Time
}

func (c *conn) start() {
	c.sink.State(adapters.StateEvent{State: adapters.Connecting, Host: c.info.Host, Time: time.Now()})
	safe.Go(&c.wg, "kafka reports of "+c.info.Host, func(e *safe.PanicError) {
		c.fail("internal error: " + e.Error())
	}, c.poll)
}

// Info is what the configuration says about the connection.
func (c *conn) Info() adapters.Info { return c.info }

// Publish hands messages to librdkafka in one crossing.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	if reason := c.fatal.Load(); reason != nil {
		return 0, fatalError(*reason)
	}
	count := b.Len()
	if from >= count || c.renewing.Load() {
		return 0, nil
	}
	if len(c.failed) < count-from {
		c.failed = make([]C.ew_result, count-from+64)
	}
	var nfailed, topics C.size_t
	var stop C.int
	n := int(C.ew_produce(c.p, (*C.char)(unsafe.Pointer(unsafe.SliceData(b.Data))),
		(*C.ew_record)(unsafe.Pointer(unsafe.SliceData(b.Records))), C.size_t(from), C.size_t(count),
		&c.failed[0], &nfailed, &stop, &topics))
	c.accepted.Add(uint64(n))
	if topics != c.topicCount {
		c.topicCount = topics
		c.watchTopics(b, from, n)
	}
	if nfailed > 0 {
		c.refuse(b, from, c.failed[:nfailed])
	}
	if stop == C.EW_ERR_FATAL {
		c.fail(c.fatalReason())
		return n, fatalError(c.fatalReason())
	}
	return n, nil
}

// refuse reports the messages that librdkafka would not take. Both lists are in the order of the batch.
func (c *conn) refuse(b *adapters.Batch, from int, failed []C.ew_result) {
	c.refused = c.refused[:0]
	var doubtful []doubt
	i := from
	for _, f := range failed {
		for b.Records[i].Seq != uint64(f.seq) {
			i++
		}
		why := failure{code: int(f.err), topic: string(b.At(i).Topic), size: uint64(f.size), local: true}
		if noTopic(why.code) {
			doubtful = append(doubtful, doubt{uint64(f.seq), why})
			continue
		}
		c.refused = append(c.refused, adapters.Result{Seq: uint64(f.seq), Err: c.explain(why)})
	}
	if len(doubtful) > 0 {
		c.mu.Lock()
		c.doubtful = append(c.doubtful, doubtful...)
		c.mu.Unlock()
		c.wake()
	}
	if len(c.refused) == 0 {
		return
	}
	c.sink.Done(c.refused)
	c.done.Add(uint64(len(c.refused)))
}

// explain makes or reuses the error of a failure: a flood of equal failures shares one.
func (c *conn) explain(f failure) error {
	if f.code != C.EW_ERR_MSG_SIZE_TOO_LARGE && f.code != C.EW_ERR_RECORD_LIST_TOO_LARGE {
		f.size = 0 // told in no other text
	}
	c.mu.Lock()
	err, ok := c.explained[f]
	c.mu.Unlock()
	if ok {
		return err
	}
	err = c.deliveryError(f)
	c.mu.Lock()
	if len(c.explained) >= maxExplained {
		clear(c.explained)
	}
	c.explained[f] = err
	c.mu.Unlock()
	return err
}

// watchTopics notes the topics that this connection uses for the first time.
func (c *conn) watchTopics(b *adapters.Batch, from, n int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := from; i < from+n && len(c.topics) < maxWatched; i++ {
		topic := b.At(i).Topic
		if !c.topics[string(topic)] && checkTopic(string(topic)) == nil {
			c.topics[string(topic)] = true
			c.watch = append(c.watch, watchedTopic{string(topic), now})
		}
	}
}

// Flush waits for the reports of all messages taken.
func (c *conn) Flush(ctx context.Context) error {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for c.done.Load() < c.accepted.Load() {
		if reason := c.fatal.Load(); reason != nil {
			return fatalError(*reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Close gives up what is under way. librdkafka's threads may sit in a name look-up for seconds; Close
// leaves those to end by themselves.
func (c *conn) Close() error {
	c.closed.Do(c.close)
	return nil
}

func (c *conn) close() {
	c.closing.Store(true)
	c.wake()
	c.subscribing.Lock()
	c.consumer.stop()
	c.subscribing.Unlock()
	defer c.consumers.Wait()
	c.wg.Wait()
	var destroyed sync.WaitGroup
	finished := make(chan struct{})
	safe.Go(&destroyed, "end of the kafka producer", nil, func() {
		defer close(finished)
		c.purge()
		C.ew_producer_destroy(c.p)
		_ = c.events.Close()
	})
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-finished:
		destroyed.Wait()
	case <-timer.C:
	}
}

// hear is told when the server has answered a consumer. Its connections are others than the producer's, which
// the statistics show from time to time only: without this word, messages could come over a connection that is
// said not to be there yet, and its loss would pass for a first attempt that fails.
func (c *conn) hear() {
	if c.heard.Load() {
		return
	}
	if !c.heard.Swap(true) {
		c.wake()
	}
}

// wake ends the wait of the poll goroutine, or the next one if it does not wait. librdkafka's own way of waking a
// queue would not: it says nothing at the eventfd while messages are in the queue, and nothing between the read of
// the last word and the poll that follows.
func (c *conn) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = c.events.Write(one[:])
}

// fail marks the producer as lost, once.
func (c *conn) fail(reason string) {
	if c.fatal.CompareAndSwap(nil, &reason) {
		c.sink.State(adapters.StateEvent{State: adapters.Failed, Host: c.info.Host, Reason: reason, Time: time.Now()})
	}
}

func (c *conn) fatalReason() string {
	var errstr [512]C.char
	if C.ew_fatal(c.p, &errstr[0], C.size_t(len(errstr))) == 0 {
		return ""
	}
	return maskSecrets(C.GoString(&errstr[0]), c.secrets)
}

// purge empties librdkafka's queues.
func (c *conn) purge() { C.ew_purge(c.p) }

// testFatal makes librdkafka believe that the producer is lost; second means the one of second tries.
func (c *conn) testFatal(second bool, reason string) {
	s := C.CString(reason)
	defer C.free(unsafe.Pointer(s))
	which := C.int(0)
	if second {
		which = 1
	}
	C.ew_test_fatal(c.p, which, s)
}
