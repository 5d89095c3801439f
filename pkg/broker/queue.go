// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"slices"
	"sort"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	chunkSize  = 256 << 10 // bytes of messages in a chunk; a larger message has a chunk of its own
	freeChunks = 256       // how many empty chunks are kept for reuse while there are messages …
	idleChunks = 32        // … and when there are none
)

// A queue holds the messages that have no answer yet, in order. Its owner locks.
type queue struct {
	chunks   []*chunk
	next     int    // the first chunk that is not wholly handed to the adapter
	hint     int    // where the last answer was found
	last     *chunk // the one with the last answer
	finished int    // finished chunks that still stand in the list
	free     []*chunk
	messages int   // without an answer
	unsent   int   // not handed to the adapter
	bytes    int64 // of the messages without an answer
}

// add appends a message of the given size. The topic of m is not looked at.
func (q *queue) add(topic string, m *adapters.Message, size int) {
	c := q.tail(size)
	c.batch.AddText(topic, *m)
	q.added(c, size)
}

// addMessage is add for a message with its topic.
func (q *queue) addMessage(m *adapters.Message) {
	size := len(m.Topic) + len(m.Key) + len(m.Payload) + len(m.Headers)
	c := q.tail(size)
	c.batch.Add(*m)
	q.added(c, size)
}

func (q *queue) added(c *chunk, size int) {
	c.count(size)
	q.messages++
	q.unsent++
	q.bytes += int64(size)
}

// tail returns the chunk that the next message goes into.
func (q *queue) tail(size int) *chunk {
	var c *chunk
	if n := len(q.chunks); n > 0 {
		c = q.chunks[n-1]
		if c.finished() && c.len() > 0 && !c.sealed {
			c.reset() // all answered: start over in place
		}
		if c.sealed || (c.len() > 0 && len(c.batch.Data)+size > chunkSize) {
			q.seal(n - 1)
			c = nil
		}
	}
	if c == nil {
		c = q.fresh(size)
		q.chunks = append(q.chunks, c)
	}
	return c
}

// adopt appends a batch as a chunk of its own.
func (q *queue) adopt(b adapters.Batch) {
	if n := len(q.chunks); n > 0 {
		q.seal(n - 1)
	}
	c := &chunk{batch: b, left: b.Len(), sealed: true, answered: make([]uint64, (b.Len()+63)/64)}
	for i := range b.Records {
		c.live += recordSize(&b.Records[i])
	}
	q.chunks = append(q.chunks, c)
	q.messages += c.left
	q.unsent += c.left
	q.bytes += int64(c.live)
}

// pop takes the first chunk off a queue that nothing was sent from.
func (q *queue) pop() *chunk {
	c := q.chunks[0]
	q.chunks = slices.Delete(q.chunks, 0, 1)
	c.sealed = true
	q.messages -= c.left
	q.unsent -= c.left
	q.bytes -= int64(c.live)
	return c
}

// unpop puts a chunk back whose first records, up to sent, were taken.
func (q *queue) unpop(c *chunk) {
	fresh := adapters.Batch{Data: make([]byte, 0, c.live), Records: make([]adapters.Record, 0, c.len()-c.sent)}
	live := 0
	for i := c.sent; i < c.len(); i++ {
		fresh.Add(c.batch.At(i))
		live += recordSize(&c.batch.Records[i])
	}
	q.chunks = slices.Insert(q.chunks, 0, &chunk{batch: fresh, left: fresh.Len(), live: live, sealed: true,
		answered: make([]uint64, (fresh.Len()+63)/64)})
	q.messages += fresh.Len()
	q.unsent += fresh.Len()
	q.bytes += int64(live)
}

// holds reports whether seq is in the queue without an answer.
func (q *queue) holds(seq uint64) bool {
	c := q.chunkOf(seq)
	if c == nil {
		return false
	}
	i := c.find(seq)
	return i >= 0 && c.answered[i>>6]&(1<<(i&63)) == 0
}

// dropOldest gives up the oldest message that was not handed to the adapter, and reports whether there was
// one.
func (q *queue) dropOldest() bool {
	for i := q.next; i < len(q.chunks); i++ {
		c := q.chunks[i]
		if c.busy || c.sent == c.len() {
			continue
		}
		size, _ := c.answer(c.sent)
		c.sent++
		q.unsent--
		q.messages--
		q.bytes -= int64(size)
		if c.sealed && c.sent == c.len() && i == q.next {
			q.next++
		}
		q.tidy(c)
		return true
	}
	return false
}

// pin returns the first chunk with messages behind seq, which keeps its memory until unpin. Nothing is
// appended to it any more.
func (q *queue) pin(seq uint64) *chunk {
	for i, c := range q.chunks {
		if r := c.batch.Records; c.left > 0 && r[len(r)-1].Seq > seq {
			q.seal(i)
			c.pinned = true
			return c
		}
	}
	return nil
}

func (q *queue) unpin(c *chunk) {
	c.pinned = false
	if slices.Contains(q.chunks, c) { // else rewind has put a copy in its place
		q.tidy(c)
	}
}

func (q *queue) fresh(size int) *chunk {
	if n := len(q.free); n > 0 && size <= chunkSize {
		c := q.free[n-1]
		q.free = q.free[:n-1]
		return c
	}
	return &chunk{batch: adapters.Batch{Data: make([]byte, 0, max(size, chunkSize))}}
}

func (q *queue) seal(i int) {
	c := q.chunks[i]
	if c.sealed {
		return
	}
	c.sealed = true
	if i == q.next && c.sent == c.len() {
		q.next++
	}
	q.tidy(c)
}

// tidy gives memory back when c needs less of it or nothing at all.
func (q *queue) tidy(c *chunk) {
	switch {
	case c.sealed && c.finished():
		q.finished++
		if q.chunks[0] != c { // it keeps its place, but not its memory
			q.recycle(&chunk{batch: adapters.Batch{Data: c.batch.Data}})
			c.batch.Data = nil
		}
		q.sweep()
	case c != q.last:
		q.thin(c)
	}
}

// thin compacts a chunk that holds little for its size. The one whose answers are coming in is left
// alone: it is about to be finished.
func (q *queue) thin(c *chunk) {
	if c.sparse() {
		q.recycle(&chunk{batch: c.compact()})
	}
}

// take returns the next chunk with unsent messages and a view of it, or nil. The chunk is busy until
// given back.
func (q *queue) take() (*chunk, adapters.Batch) {
	for q.next < len(q.chunks) {
		c := q.chunks[q.next]
		if c.sent < c.len() {
			c.busy = true
			return c, adapters.Batch{Data: c.batch.Data, Records: c.batch.Records}
		}
		if !c.sealed {
			break
		}
		q.next++
	}
	return nil, adapters.Batch{}
}

// giveBack notes that the adapter took n more messages of c.
func (q *queue) giveBack(c *chunk, n int) {
	c.busy = false
	c.sent += n
	q.unsent -= n
	if c.sealed && c.sent == c.len() && q.next < len(q.chunks) && q.chunks[q.next] == c {
		q.next++
	}
	q.tidy(c)
}

// answer notes the final word on seq. It returns the payload's size, and false when seq is not known or
// was answered before.
func (q *queue) answer(seq uint64) (int, bool) {
	c := q.chunkOf(seq)
	if c == nil {
		return 0, false
	}
	i := c.find(seq)
	if i < 0 {
		return 0, false
	}
	payload := int(c.batch.Records[i].PayloadLen)
	size, ok := c.answer(i)
	if !ok {
		return 0, false
	}
	q.messages--
	q.bytes -= int64(size)
	if before := q.last; before != c {
		q.last = c
		if before != nil {
			q.thin(before)
		}
	}
	q.tidy(c)
	return payload, true
}

func (q *queue) chunkOf(seq uint64) *chunk {
	holds := func(i int) bool {
		if i >= len(q.chunks) || q.chunks[i].len() == 0 {
			return false
		}
		r := q.chunks[i].batch.Records
		return r[0].Seq <= seq && seq <= r[len(r)-1].Seq
	}
	for i := q.hint; i <= q.hint+1; i++ {
		if holds(i) {
			q.hint = i
			return q.chunks[i]
		}
	}
	i := sort.Search(len(q.chunks), func(i int) bool {
		r := q.chunks[i].batch.Records
		return r[len(r)-1].Seq >= seq // no chunk is empty
	})
	if holds(i) {
		q.hint = i
		return q.chunks[i]
	}
	return nil
}

// sweep removes finished chunks from the front, and from everywhere when they are many.
func (q *queue) sweep() {
	n := 0
	for n < len(q.chunks) && q.chunks[n].sealed && q.chunks[n].finished() {
		q.recycle(q.chunks[n])
		n++
	}
	if n > 0 {
		q.finished -= n
		q.next = max(q.next-n, 0)
		q.hint = max(q.hint-n, 0)
		q.chunks = slices.Delete(q.chunks, 0, n)
	}
	if q.finished < 32 || q.finished < len(q.chunks)/2 {
		return
	}
	kept := q.chunks[:0]
	next := q.next
	for i, c := range q.chunks {
		if c.sealed && c.finished() {
			if i < next {
				q.next--
			}
			q.recycle(c)
			continue
		}
		kept = append(kept, c)
	}
	clear(q.chunks[len(kept):])
	q.chunks, q.finished, q.hint = kept, 0, 0
}

func (q *queue) recycle(c *chunk) {
	most := freeChunks
	if q.messages == 0 {
		most = idleChunks
		if len(q.free) > most {
			clear(q.free[most:])
			q.free = q.free[:most]
		}
	}
	if len(q.free) < most && cap(c.batch.Data) >= chunkSize && cap(c.batch.Data) <= 2*chunkSize {
		c.reset()
		q.free = append(q.free, c)
	}
}

// rewind makes everything unanswered unsent again, for a new session of the adapter. No chunk may be busy.
// One that the spooler reads is sealed: it is copied, and the spooler's is no longer of the queue.
func (q *queue) rewind() {
	for i, c := range q.chunks {
		if c.left < c.len() {
			if c.pinned {
				copied := *c
				copied.pinned = false
				c = &copied
				q.chunks[i] = c
			}
			c.compact()
		}
		c.sent = 0
	}
	q.chunks = slices.DeleteFunc(q.chunks, func(c *chunk) bool { return c.len() == 0 }) // chunkOf looks for none
	q.next, q.hint, q.finished = 0, 0, 0
	q.unsent = q.messages
}

// oldest returns the number of the first message without an answer.
func (q *queue) oldest() (uint64, bool) {
	for _, c := range q.chunks {
		if c.left > 0 {
			return c.oldest()
		}
	}
	return 0, false
}
