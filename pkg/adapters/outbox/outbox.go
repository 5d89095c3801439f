// SPDX-License-Identifier: LGPL-2.1-or-later

// Package outbox is what adapters share that speak their protocol themselves: the messages that Publish has
// taken and the server has not answered (Box), the word on the connection's state (Reporter), and the pauses
// between attempts to connect (Backoff).
package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Bounds of a Box.
const (
	DefaultMessages = 1 << 14
	DefaultBytes    = 32 << 20
)

// A Box keeps messages from Publish until their Result. Each message sent has a number; the numbers of one
// session of the protocol follow each other without a gap, in the order of the messages, so that a
// confirmation finds its message without a search. A new session starts with Rewind.
//
// Publish is called by one goroutine at a time; everything else by any.
type Box struct {
	sink        adapters.Sink
	maxMessages int
	maxBytes    int64
	wake        chan struct{}
	refused     []adapters.Result // PutChecked alone

	mu      sync.Mutex
	ring    []entry // a power of two; what is at position p lies at p modulo its length
	head    uint64  // position of the oldest message that waits for its Result
	next    uint64  // of the first that was not sent
	tail    uint64  // behind the last
	offset  uint64  // number of a message = position + offset
	session int
	bytes   int64
	taken   uint64 // messages ever
	told    uint64 // of them, those whose Result the Sink has
}

// An entry is one message.
type entry struct {
	batch *adapters.Batch
	index int32
	done  bool
	held  bool // AnswerTo passes it by
}

// A Message is a message to send. Its slices are valid for as long as they are held.
type Message struct {
	Tag uint64 // its number in the session of the protocol
	adapters.Message
}

// New makes a Box for at most maxMessages, or for DefaultMessages if that is 0 or more than that.
func New(sink adapters.Sink, maxMessages int) *Box {
	if maxMessages <= 0 || maxMessages > DefaultMessages {
		maxMessages = DefaultMessages
	}
	return &Box{sink: sink, maxMessages: maxMessages, maxBytes: DefaultBytes, wake: make(chan struct{}, 1), ring: make([]entry, 64), offset: 1}
}

// Wake has a token when there may be something new to Take.
func (b *Box) Wake() <-chan struct{} { return b.wake }

// Put copies the messages of batch with the indices from ≤ i < to for which there is room.
func (b *Box) Put(batch *adapters.Batch, from, to int) int {
	b.mu.Lock()
	room, bytes := b.maxMessages-int(b.tail-b.head), b.bytes
	b.mu.Unlock()
	// The copy is made outside the lock: nobody else adds.
	own := &adapters.Batch{}
	for i := from; i < to && own.Len() < room; i++ {
		m := batch.At(i)
		if bytes > 0 && bytes+size(&m) > b.maxBytes {
			break
		}
		bytes += size(&m)
		if own.Data == nil {
			own.Data = make([]byte, 0, min(len(batch.Data), int(b.maxBytes)))
			own.Records = make([]adapters.Record, 0, min(room, to-from))
		}
		own.Add(m)
	}
	n := own.Len()
	if n == 0 {
		return 0
	}
	b.mu.Lock()
	for i := range n {
		if int(b.tail-b.head) == len(b.ring) {
			b.grow()
		}
		b.ring[b.tail&b.mask()] = entry{batch: own, index: int32(i)}
		m := own.At(i)
		b.bytes += size(&m)
		b.tail++
	}
	b.taken += uint64(n)
	b.mu.Unlock()
	b.signal()
	return n
}

// PutChecked is Put for all that follows from, but for what check has an error for: that is refused with it at
// once. Publish calls it.
func (b *Box) PutChecked(batch *adapters.Batch, from int, check func(*adapters.Message) error) (n int) {
	at := from
	for at < batch.Len() {
		room := b.room() // no use in looking at more than that: a full box is asked often
		if room <= 0 {
			break
		}
		end := at
		var err error
		for ; end < min(batch.Len(), at+room); end++ {
			m := batch.At(end)
			if err = check(&m); err != nil {
				break
			}
		}
		at += b.Put(batch, at, end)
		if at < end {
			break
		}
		if err != nil {
			b.refused = append(b.refused[:0], adapters.Result{Seq: batch.Records[at].Seq, Err: err})
			b.sink.Done(b.refused)
			at++
		}
	}
	return at - from
}

// room is for how many messages there is room, as far as their number goes.
func (b *Box) room() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes >= b.maxBytes {
		return 0
	}
	return b.maxMessages - int(b.tail-b.head)
}

func size(m *adapters.Message) int64 {
	return int64(len(m.Topic) + len(m.Key) + len(m.Payload) + len(m.Headers))
}

func (b *Box) mask() uint64 { return uint64(len(b.ring) - 1) }

func (b *Box) grow() {
	ring := make([]entry, 2*len(b.ring))
	for p := b.head; p != b.tail; p++ {
		ring[p&uint64(len(ring)-1)] = b.ring[p&b.mask()]
	}
	b.ring = ring
}

func (b *Box) signal() { Token(b.wake) }

// Take appends up to max messages that were not sent to dst, and counts them as sent in this session.
func (b *Box) Take(session, max int, dst []Message) []Message {
	dst, _ = b.TakeAlone(session, max, 1<<62, dst)
	return dst
}

// TakeAlone is Take, but a message whose payload is larger than limit comes alone, and only when every
// other message sent has its answer. waits says that one waits for that.
func (b *Box) TakeAlone(session, max int, limit int64, dst []Message) (_ []Message, waits bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if session != b.session {
		return dst, false
	}
	for n := 0; b.next != b.tail && n < max; n++ {
		e := &b.ring[b.next&b.mask()]
		m := e.batch.At(int(e.index))
		large := int64(len(m.Payload)) > limit
		if large && b.next != b.head {
			return dst, true
		}
		dst = append(dst, Message{b.next + b.offset, m})
		b.next++
		if large {
			break
		}
	}
	return dst, false
}

// Sent is how many messages were sent and have no answer, at most.
func (b *Box) Sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.next - b.head)
}

// Waiting is how many messages have no Result.
func (b *Box) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.taken - b.told)
}

// Answers collects Results for one call of the Sink.
type Answers struct{ results []adapters.Result }

// Answer gives message number its Result, if it was sent in this session and has none. It reports whether
// it did. Tell passes the Results on.
func (b *Box) Answer(session int, a *Answers, number uint64, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := number - b.offset
	if session != b.session || p-b.head >= b.next-b.head {
		return false
	}
	return b.answer(a, p, err)
}

// Hold keeps a message that was sent from being answered by AnswerTo, until the next session.
func (b *Box) Hold(session int, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := number - b.offset; session == b.session && p-b.head < b.next-b.head {
		b.ring[p&b.mask()].held = true
	}
}

// HoldTo is Hold for number and all before it.
func (b *Box) HoldTo(session int, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := number - b.offset; session == b.session && p-b.head < b.next-b.head {
		for ; p+1 != b.head; p-- {
			b.ring[p&b.mask()].held = true
		}
	}
}

// AnswerTo is Answer with success for number and all before it that are not held.
func (b *Box) AnswerTo(session int, a *Answers, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := number - b.offset
	if session != b.session || p-b.head >= b.next-b.head {
		return
	}
	for q := b.head; q <= p; q++ {
		if !b.ring[q&b.mask()].held {
			b.answer(a, q, nil)
		}
	}
}

// answer is Answer for the message at position p.
func (b *Box) answer(a *Answers, p uint64, err error) bool {
	e := &b.ring[p&b.mask()]
	if e.done {
		return false
	}
	m := e.batch.At(int(e.index))
	b.bytes -= size(&m)
	*e = entry{done: true}
	a.results = append(a.results, adapters.Result{Seq: m.Seq, Err: err})
	for b.head != b.next && b.ring[b.head&b.mask()].done {
		b.head++
	}
	return true
}

// Tell passes collected Results to the Sink. It must not be called under a lock of the adapter.
func (b *Box) Tell(a *Answers) {
	n := uint64(len(a.results))
	if n == 0 {
		return
	}
	b.sink.Done(a.results)
	a.results = a.results[:0]
	b.mu.Lock()
	b.told += n
	b.mu.Unlock()
}

// Find gives the number of the first message sent in this session and not answered, from number from on,
// for which match answers true.
func (b *Box) Find(session int, from uint64, match func(*Message) bool) (number uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if session != b.session {
		return 0, false
	}
	p := max(b.head, from-b.offset)
	if from < b.offset {
		p = b.head
	}
	for ; p < b.next; p++ {
		if e := &b.ring[p&b.mask()]; !e.done {
			if m := (Message{p + b.offset, e.batch.At(int(e.index))}); match(&m) {
				return m.Tag, true
			}
		}
	}
	return 0, false
}

// Rewind begins a new session: every message without a Result is to be sent again, in order, with numbers
// from first on. Answers of earlier sessions count no more.
// It is called before the first Take, too.
func (b *Box) Rewind(first uint64) (session int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	to := b.head
	for p := b.head; p != b.tail; p++ {
		if e := b.ring[p&b.mask()]; !e.done {
			e.held = false
			b.ring[to&b.mask()] = e
			to++
		}
	}
	for p := to; p != b.tail; p++ {
		b.ring[p&b.mask()] = entry{}
	}
	b.tail, b.next = to, b.head
	b.offset = first - b.head
	b.session++
	if b.tail != b.head {
		b.signal()
	}
	return b.session
}

// Flush waits until the Sink has the Result of every message taken so far, or until ctx ends or failed is
// closed.
func (b *Box) Flush(ctx context.Context, failed <-chan struct{}) error {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for b.Waiting() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-failed:
			return ErrFailed
		case <-ticker.C:
		}
	}
	return nil
}
