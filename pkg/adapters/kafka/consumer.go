// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

// #include <stdlib.h>
// #include "consumer.h"
import "C"

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	messagesAtOnce = 128 // per crossing
	// A closed consumer may need this long to leave its group; the next one waits for it.
	leaveSlice    = 20 * time.Millisecond
	leavePatience = 5 * time.Second // to do so, unless the connection is being closed
)

// A consumer is one subscription: a librdkafka consumer with one goroutine, which ends when another
// replaces it.
type consumer struct {
	c        *conn
	p        *C.ew_consumer
	cfg      adapters.SubscribeConfig
	topics   []string
	window   int
	atEnd    bool // librdkafka tells when it knows the place to begin at: see partition.placed
	stopping chan struct{}
	left     chan struct{} // closed when it has left its group, or given that up

	call    sync.Mutex // held around a call of the receiver
	r       adapters.Receiver
	stopped bool // the receiver is not to be called any more

	mu          sync.Mutex // guards what follows, and is held while an offset is stored
	partitions  map[partitionKey]*partition
	outstanding int // handed out and not acknowledged …
	bytes       int // … and how large their payloads are
	starved     bool
	dead        bool // p is, or is about to be, destroyed

	missing map[string]bool // topics that do not exist yet; the goroutine's own
	refused map[string]bool
	names   map[string]string // one string per topic
}

type partitionKey struct {
	topic  string
	number int32
}

// A partition is one that this consumer has been given, until it is taken away.
type partition struct {
	partitionKey
	revoked bool
	placed  bool    // where reading begins is known: what is sent from now on comes
	open    []int64 // offsets handed out and not acknowledged, in order: no more than the window
	last    int64   // the offset handed out last; what lies before it and is not open is dealt with
	bytes   int     // of the payloads that are open
}

// A token is what an acknowledgement confirms.
type kafkaToken struct {
	of        *consumer
	partition *partition
	offset    int64
	size      int
}

// maxOutBytes of payloads are handed out at most, and one message in any case: the window bounds their number
// alone. Tests shrink it.
var maxOutBytes = 64 << 20

// full reports that nothing more is to be handed out, with mu held.
func (k *consumer) full() bool { return k.outstanding >= k.window || k.bytes >= maxOutBytes }

// Match takes a pattern that begins with ^ for a regular expression, as librdkafka does.
func (adapter) Match(pattern, topic string) bool {
	if !strings.HasPrefix(pattern, "^") {
		return pattern == topic
	}
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(topic)
}

// checkSubscription words what is wrong with a topic to subscribe to.
func checkSubscription(topic string) error {
	if !strings.HasPrefix(topic, "^") {
		return checkTopic(topic)
	}
	if _, err := regexp.Compile(topic); err != nil {
		return fmt.Errorf("topic %q is no regular expression: %w; correct it", topic, err)
	}
	return nil
}

// Subscribe replaces the consumer by another.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	for _, topic := range cfg.Topics {
		if err := checkSubscription(topic); err != nil {
			return err
		}
	}
	if cfg.Window <= 0 {
		cfg.Window = adapters.DefaultWindow
	}
	c.subscribing.Lock()
	defer c.subscribing.Unlock()
	if c.closing.Load() {
		return errors.New("the connection is closed; open a new one")
	}
	before := c.consumer
	if len(cfg.Topics) == 0 {
		before.stop()
		c.consumer = nil
		return nil
	}
	cfg.Topics = slices.Clone(cfg.Topics)
	return c.consume(cfg, r, before)
}

// consume starts a consumer in the place of another, with subscribing held.
func (c *conn) consume(cfg adapters.SubscribeConfig, r adapters.Receiver, before *consumer) error {
	k, err := c.newConsumer(cfg, r)
	if err != nil {
		return err
	}
	before.stop()
	c.consumer = k
	safe.Go(&c.consumers, "kafka messages of "+c.info.Host, func(e *safe.PanicError) {
		c.fail("internal error: " + e.Error())
	}, func() { k.run(before) })
	return nil
}

func (c *conn) newConsumer(cfg adapters.SubscribeConfig, r adapters.Receiver) (*consumer, error) {
	conf, err := buildConsumer(&c.receiving, cfg, c.sink.Log)
	if err != nil {
		return nil, err
	}
	atEnd := conf.atEnd
	var errstr [1024]C.char
	p := C.ew_consumer_new(conf.take(), &errstr[0], C.size_t(len(errstr)))
	if p == nil {
		return nil, newError(maskSecrets(C.GoString(&errstr[0]), c.secrets))
	}
	return &consumer{c: c, p: p, cfg: cfg, topics: cfg.Topics, window: cfg.Window, atEnd: atEnd, r: r, stopping: make(chan struct{}),
		left: make(chan struct{}), partitions: map[partitionKey]*partition{}, missing: map[string]bool{}, refused: map[string]bool{},
		names: map[string]string{}}, nil
}

// stop ends the calls of the receiver; the rest happens in the background.
func (k *consumer) stop() {
	if k == nil {
		return
	}
	k.call.Lock()
	already := k.stopped
	k.stopped = true
	k.call.Unlock()
	if already {
		return
	}
	close(k.stopping)
	k.wake()
}

func (k *consumer) wake() {
	k.mu.Lock()
	if !k.dead {
		C.ew_consumer_wake(k.p)
	}
	k.mu.Unlock()
}

// Ack marks messages as dealt with. What lies before the first that is not, in its partition, is committed.
func (c *conn) Ack(messages []adapters.Incoming) {
	var k *consumer
	var changed []*partition
	done := func() {
		if k == nil {
			return
		}
		for _, p := range changed {
			k.store(p)
		}
		changed = changed[:0]
		if k.starved && !k.full() && !k.dead {
			k.starved = false
			C.ew_consumer_wake(k.p)
		}
		k.mu.Unlock()
	}
	for i := range messages {
		t, ok := messages[i].Token.(*kafkaToken)
		if !ok {
			continue
		}
		if t.of != k {
			done()
			k = t.of
			k.mu.Lock()
		}
		if k.dead || t.partition.revoked {
			continue
		}
		p := t.partition
		n, found := slices.BinarySearch(p.open, t.offset)
		if !found {
			continue
		}
		k.outstanding--
		k.bytes -= t.size
		p.bytes -= t.size
		if n > 0 {
			p.open = slices.Delete(p.open, n, n+1)
			continue
		}
		p.open = p.open[1:]
		if !slices.Contains(changed, p) {
			changed = append(changed, p)
		}
	}
	done()
}

// store notes how far a partition is dealt with, with mu held.
func (k *consumer) store(p *partition) {
	if len(p.open) > 0 {
		k.storeAt(p, p.open[0])
	} else {
		k.storeAt(p, p.last+1)
	}
}

func (k *consumer) storeAt(p *partition, offset int64) {
	topic := C.CString(p.topic)
	C.ew_consumer_store(k.p, topic, C.int32_t(p.number), C.int64_t(offset))
	C.free(unsafe.Pointer(topic))
}

// run is the life of a consumer. It joins the group when the one before has left it.
func (k *consumer) run(before *consumer) {
	defer k.destroy()
	defer close(k.left)
	if before != nil {
		select {
		case <-before.left:
		case <-k.stopping:
			return
		}
	}
	names := make([]*C.char, len(k.topics))
	array := (**C.char)(C.calloc(C.size_t(len(names)), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	for i, topic := range k.topics {
		names[i] = C.CString(topic)
		defer C.free(unsafe.Pointer(names[i]))
	}
	copy(unsafe.Slice(array, len(names)), names)
	code := C.ew_consumer_subscribe(k.p, array, C.size_t(len(names)))
	C.free(unsafe.Pointer(array))
	if code != 0 {
		k.c.fail("librdkafka refuses the subscription: " + errText(int(code)))
	}
	records := (*[messagesAtOnce]C.ew_incoming)(C.calloc(messagesAtOnce, C.sizeof_ew_incoming))
	defer C.free(unsafe.Pointer(records))
	var ev C.ew_event
	for {
		select {
		case <-k.stopping:
			k.leave()
			return
		default:
		}
		k.step(pollTimeout, k.room(), records, &ev)
	}
}

// renew goes on with a new consumer after the server had forgotten this one: it may have lost its data, and
// librdkafka would take what a new server says of its topics for older than what it knows.
func (k *consumer) renew() {
	c := k.c
	c.subscribing.Lock()
	defer c.subscribing.Unlock()
	if c.consumer != k || c.closing.Load() {
		return
	}
	c.sink.Log(adapters.LogEntry{Level: adapters.LogInfo, Facility: "kafka", Text: c.info.Host +
		": the server no longer knew this member of the consumer group; it joins again"})
	if err := c.consume(k.cfg, k.r, k); err != nil {
		c.fail("the consumer is lost: " + err.Error())
	}
}

// leave commits what was acknowledged and tells the group, for as long as that may take. That the server is away is what
// the producer says: it may be the last to find it back.
func (k *consumer) leave() {
	patience, closing := leavePatience, false
	C.ew_consumer_close(k.p)
	for began := time.Now(); C.ew_consumer_closed(k.p) == 0 && time.Since(began) < patience; {
		if !closing && (k.c.closing.Load() || k.c.away.Load()) {
			patience, closing = time.Since(began)+adapters.AckTimeout, true
		}
		k.idle(leaveSlice)
	}
}

// idle is a step that takes no messages; true: nothing happened.
func (k *consumer) idle(timeout time.Duration) bool {
	var ev C.ew_event
	k.step(timeout, 0, nil, &ev)
	return ev.kind == C.EW_NOTHING
}

// destroy lets librdkafka end its threads, which may sit in a name look-up, in the background.
func (k *consumer) destroy() {
	k.mu.Lock()
	k.dead = true
	k.mu.Unlock()
	var wg sync.WaitGroup
	finished := make(chan struct{})
	safe.Go(&wg, "end of the kafka consumer", nil, func() {
		defer close(finished)
		C.ew_consumer_destroy(k.p)
	})
	timer := time.NewTimer(closePatience - adapters.AckTimeout)
	defer timer.Stop()
	select {
	case <-finished:
		wg.Wait()
	case <-timer.C:
	}
}

// room is how many messages may be handed out now.
func (k *consumer) room() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.starved = k.full(); k.starved {
		return 0
	}
	return min(k.window-k.outstanding, messagesAtOnce)
}

// step waits for one thing to happen and deals with it.
func (k *consumer) step(timeout time.Duration, room int, records *[messagesAtOnce]C.ew_incoming, ev *C.ew_event) {
	C.ew_consumer_poll(k.p, C.int(timeout/time.Millisecond), C.size_t(room), (*C.ew_incoming)(unsafe.Pointer(records)), ev)
	switch ev.kind {
	case C.EW_MESSAGES:
		k.receive(records[:ev.results])
	case C.EW_ASSIGN:
		k.c.hear()
		k.assigned(k.listed(ev))
		C.ew_consumer_rebalance(k.p)
		k.agreed()
	case C.EW_REVOKE:
		k.revoked(k.listed(ev))
		if C.ew_consumer_rebalance(k.p) != 0 {
			k.renew()
		}
	case C.EW_COMMITTED:
		if ev.err != 0 && ev.err != C.EW_ERR_NO_OFFSET {
			k.c.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: fmt.Sprintf(
				"%s: the place reached could not be committed: %s; messages may come again", k.c.info.Host, errText(int(ev.err)))})
		}
	case C.EW_ERROR:
		k.trouble(int(ev.err), ev.fatal != 0, k.text(ev))
	case C.EW_LOG:
		facility := C.GoString(&ev.facility[0])
		level := adapters.LogDebug // the producer's log tells the rest
		if ev.level <= 3 && facility != "FAIL" && facility != "ERROR" {
			level = adapters.LogWarning
		}
		k.c.sink.Log(adapters.LogEntry{Level: level, Facility: facility, Text: k.text(ev)})
	}
}

func (k *consumer) text(ev *C.ew_event) string {
	return maskSecrets(C.GoString(&ev.text[0]), k.c.secrets)
}

// listed are the partitions of a rebalance.
func (k *consumer) listed(*C.ew_event) []partitionKey {
	count := C.ew_consumer_partitions(k.p, nil, nil, 0)
	if count == 0 {
		return nil
	}
	topics := (**C.char)(C.calloc(count, C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	defer C.free(unsafe.Pointer(topics))
	numbers := make([]C.int32_t, count)
	C.ew_consumer_partitions(k.p, topics, &numbers[0], count)
	keys := make([]partitionKey, 0, count)
	for i, topic := range unsafe.Slice(topics, int(count)) {
		keys = append(keys, partitionKey{C.GoString(topic), int32(numbers[i])})
	}
	return keys
}

func (k *consumer) assigned(keys []partitionKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		if k.partitions[key] == nil {
			k.partitions[key] = &partition{partitionKey: key, placed: !k.atEnd}
		}
		for _, topic := range k.topics { // some are patterns
			if (k.missing[topic] || k.refused[topic]) && (adapter{}).Match(topic, key.topic) {
				delete(k.missing, topic)
				delete(k.refused, topic)
			}
		}
	}
}

// revoked forgets what was handed out of partitions that others get now: acknowledgements come too late.
func (k *consumer) revoked(keys []partitionKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		p := k.partitions[key]
		if p == nil {
			continue
		}
		k.forget(p)
		delete(k.partitions, key)
	}
}

// forget makes acknowledgements of what was handed out mean nothing, with mu held.
func (k *consumer) forget(p *partition) {
	p.revoked = true
	k.outstanding -= len(p.open)
	k.bytes -= p.bytes
	p.open, p.bytes = nil, 0
}

// again replaces a partition by itself, with mu held.
func (k *consumer) again(p *partition) *partition {
	k.forget(p)
	fresh := &partition{partitionKey: p.partitionKey, placed: p.placed}
	k.partitions[p.partitionKey] = fresh
	return fresh
}

// agreed tells which topics the group reads: those of which each partition that is ours has its place.
func (k *consumer) agreed() {
	for _, topic := range k.topics {
		if !k.missing[topic] && !k.refused[topic] && k.placed(topic) {
			k.tell(topic, nil)
		}
	}
}

func (k *consumer) placed(topic string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, p := range k.partitions {
		if !p.placed && (adapter{}).Match(topic, key.topic) {
			return false
		}
	}
	return true
}

func (k *consumer) tell(topic string, err error) {
	k.call.Lock()
	defer k.call.Unlock()
	if !k.stopped {
		k.r.Subscribed(topic, err)
	}
}

// receive hands messages on.
func (k *consumer) receive(records []C.ew_incoming) {
	messages := make([]adapters.Incoming, 0, len(records))
	placed := false
	k.mu.Lock()
	for i := range records {
		rec := &records[i]
		topic := k.name(rec.topic)
		if rec.err == C.EW_ERR_PARTITION_EOF {
			if p := k.partitions[partitionKey{topic, int32(rec.partition)}]; p != nil && !p.placed {
				p.placed, placed = true, true
				// Committed, the group is known from now on: what is sent while nobody of it is there comes, too.
				k.storeAt(p, int64(rec.offset))
			}
			continue
		}
		if rec.err != 0 {
			text := string(bytesOf(rec.payload, rec.payload_len))
			k.mu.Unlock()
			k.trouble(int(rec.err), false, topic+": "+maskSecrets(text, k.c.secrets))
			k.mu.Lock()
			continue
		}
		p := k.partitions[partitionKey{topic, int32(rec.partition)}]
		if p == nil {
			continue // taken away meanwhile
		}
		offset := int64(rec.offset)
		if len(p.open) > 0 && offset <= p.last {
			p = k.again(p) // the topic was made anew, and its numbers began again
		}
		if !p.placed {
			p.placed, placed = true, true
			k.storeAt(p, offset) // as above; or a group that ends before its first acknowledgement would not get this one again
		}
		p.open, p.last = append(p.open, offset), offset
		k.outstanding++
		k.bytes += int(rec.payload_len)
		p.bytes += int(rec.payload_len)
		messages = append(messages, k.message(rec, topic, p))
	}
	k.mu.Unlock()
	if placed {
		k.agreed()
	}
	if len(messages) == 0 {
		return
	}
	k.call.Lock()
	defer k.call.Unlock()
	if !k.stopped {
		k.r.Receive(messages)
	}
}

// message copies what librdkafka holds, into one piece of memory.
func (k *consumer) message(rec *C.ew_incoming, topic string, p *partition) adapters.Incoming {
	payload, key, headers := bytesOf(rec.payload, rec.payload_len), bytesOf(rec.key, rec.key_len), bytesOf(rec.headers, rec.headers_len)
	all := make([]byte, 0, len(payload)+len(key)+len(headers))
	all = append(append(append(all, payload...), key...), headers...)
	m := adapters.Incoming{Topic: topic, Payload: all[:len(payload):len(payload)], TimestampMS: max(int64(rec.timestamp_ms), 0),
		Position: strconv.Itoa(int(rec.partition)) + "@" + strconv.FormatInt(int64(rec.offset), 10),
		Token:    &kafkaToken{k, p, int64(rec.offset), len(payload)}}
	all = all[len(payload):]
	if rec.key != nil {
		m.Key = all[:len(key):len(key)]
	}
	if len(headers) > 0 {
		m.Headers = adapters.Headers(all[len(key):])
	}
	return m
}

func bytesOf(p *C.char, n C.size_t) []byte {
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n))
}

// name makes one Go string of each topic.
func (k *consumer) name(p *C.char) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	view := unsafe.String((*byte)(unsafe.Pointer(p)), n)
	if s, ok := k.names[view]; ok {
		return s
	}
	s := strings.Clone(view)
	k.names[s] = s
	return s
}

// trouble weighs an error of the subscription. What concerns the connection is told by the producer.
func (k *consumer) trouble(code int, fatal bool, text string) {
	switch {
	case fatal || code == C.EW_ERR_FATAL:
		k.c.fail("the consumer is lost: " + text)
	case code == C.EW_ERR_UNKNOWN_TOPIC_OR_PART || code == C.EW_ERR_UNKNOWN_TOPIC || code == C.EW_ERR_UNKNOWN_PARTITION:
		if topic := k.topicIn(text); topic != "" && !k.missing[topic] {
			k.missing[topic] = true
			k.c.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: fmt.Sprintf(
				"topic %s on %s: the topic does not exist yet; its messages come when it does; create it, or correct its name",
				topic, k.c.info.Host)})
		}
	case code == C.EW_ERR_TOPIC_AUTHORIZATION_FAILED:
		if topic := k.topicIn(text); topic != "" && !k.refused[topic] {
			k.refused[topic] = true
			k.tell(topic, &adapters.DeliveryError{Kind: adapters.ErrUnauthorized, Topic: topic, Host: k.c.info.Host,
				Cause: "the broker does not allow this user to read", Remedy: "grant READ on the topic, or check sasl.username"})
		}
	case code == C.EW_ERR_GROUP_AUTHORIZATION_FAILED:
		for _, topic := range k.topics {
			if k.refused[topic] {
				continue
			}
			k.refused[topic] = true
			k.tell(topic, &adapters.DeliveryError{Kind: adapters.ErrUnauthorized, Topic: topic, Host: k.c.info.Host,
				Cause: "the broker does not allow this user to use the consumer group", Remedy: "grant READ on the group, or name another"})
		}
	case code == C.EW_ERR_TRANSPORT || code == C.EW_ERR_RESOLVE || code == C.EW_ERR_SSL || code == C.EW_ERR_ALL_BROKERS_DOWN ||
		code == C.EW_ERR_AUTHENTICATION || code == C.EW_ERR_SASL_AUTHENTICATION_FAILED || code == C.EW_ERR_TIMED_OUT:
		k.c.sink.Log(adapters.LogEntry{Level: adapters.LogDebug, Facility: "kafka", Text: k.c.info.Host + ": consumer: " + text})
	default:
		k.c.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: k.c.info.Host + ": consumer: " + text})
	}
}

// topicIn finds the topic that a text of librdkafka is about: the longest of those subscribed to.
func (k *consumer) topicIn(text string) (found string) {
	for _, topic := range k.topics {
		if len(topic) > len(found) && (strings.Contains(text, " "+topic+":") || strings.HasPrefix(text, topic+":")) {
			found = topic
		}
	}
	return found
}
