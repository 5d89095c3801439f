// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"math/bits"
	"slices"
	"sort"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	chunkSize  = 256 << 10 // bytes of messages in a chunk; a larger message has a chunk of its own
	freeChunks = 32        // how many empty chunks are kept for reuse
)

// A chunk is a run of messages. It is kept until the server has answered for all of them, so that what is
// under way can be sent again when a producer fails for good.
type chunk struct {
	batch    adapters.Batch
	answered []uint64 // a bit per record
	left     int      // records without an answer
	sent     int      // records handed to the adapter
	live     int      // bytes of records without an answer
	busy     bool     // the adapter is reading it
	sealed   bool     // nothing is appended any more
}

func (c *chunk) len() int { return c.batch.Len() }

// finished reports that nothing in the chunk is needed any more.
func (c *chunk) finished() bool { return c.left == 0 && c.sent == c.len() && !c.busy }

func (c *chunk) append(seq uint64, ts int64, topic string, key, payload []byte, size int) {
	if n := c.len(); n&63 == 0 {
		c.answered = append(c.answered[:n>>6], 0)
	}
	c.batch.Append(seq, ts, topic, key, payload)
	c.left++
	c.live += size
}

func (c *chunk) reset() {
	c.batch.Reset()
	c.answered = c.answered[:0]
	c.left, c.sent, c.live, c.busy, c.sealed = 0, 0, 0, false, false
}

// find returns the index of the record seq, or -1.
func (c *chunk) find(seq uint64) int {
	r := c.batch.Records
	if len(r) == 0 || seq < r[0].Seq || seq > r[len(r)-1].Seq {
		return -1
	}
	if i := int(seq - r[0].Seq); i < len(r) && r[i].Seq == seq {
		return i
	}
	i := sort.Search(len(r), func(i int) bool { return r[i].Seq >= seq })
	if i < len(r) && r[i].Seq == seq {
		return i
	}
	return -1
}

// answer marks record i and returns its size in bytes, or false when it was marked before.
func (c *chunk) answer(i int) (int, bool) {
	if c.answered[i>>6]&(1<<(i&63)) != 0 {
		return 0, false
	}
	c.answered[i>>6] |= 1 << (i & 63)
	c.left--
	size := recordSize(&c.batch.Records[i])
	c.live -= size
	return size, true
}

func recordSize(r *adapters.Record) int {
	return int(r.TopicLen) + int(r.KeyLen) + int(r.PayloadLen)
}

// sparse reports that the chunk holds much more memory than its unanswered messages need: one message
// that waits for long must not keep a whole chunk.
func (c *chunk) sparse() bool {
	return c.sealed && !c.busy && c.sent == c.len() && c.left > 0 && c.live*4 < cap(c.batch.Data)
}

// compact keeps the unanswered records alone, in memory of their size. The chunk must not be busy.
func (c *chunk) compact() adapters.Batch {
	old := c.batch
	fresh := adapters.Batch{Data: make([]byte, 0, c.live), Records: make([]adapters.Record, 0, c.left)}
	sent := 0
	for i := range old.Records {
		if c.answered[i>>6]&(1<<(i&63)) != 0 {
			continue
		}
		m := old.At(i)
		fresh.Append(m.Seq, m.TimestampMS, string(m.Topic), m.Key, m.Payload)
		if i < c.sent {
			sent++
		}
	}
	c.batch = fresh
	c.sent = sent
	c.answered = make([]uint64, (fresh.Len()+63)/64)
	return old
}

// oldest returns the sequence number of the first unanswered record.
func (c *chunk) oldest() (uint64, bool) {
	for w, word := range c.answered {
		if i := w<<6 + bits.TrailingZeros64(^word); i < c.len() && ^word != 0 {
			return c.batch.Records[i].Seq, true
		}
	}
	return 0, false
}

// unansweredUpTo counts the unanswered records whose number is at most seq.
func (c *chunk) unansweredUpTo(seq uint64) int {
	n := 0
	for i := range c.batch.Records {
		if c.batch.Records[i].Seq > seq {
			break
		}
		if c.answered[i>>6]&(1<<(i&63)) == 0 {
			n++
		}
	}
	return n
}

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

// add appends a message of the given size.
func (q *queue) add(seq uint64, ts int64, topic string, key, payload []byte, size int) {
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
	c.append(seq, ts, topic, key, payload, size)
	q.messages++
	q.unsent++
	q.bytes += int64(size)
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
		return len(r) == 0 || r[len(r)-1].Seq >= seq // only the last chunk can be empty
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
	if len(q.free) < freeChunks && cap(c.batch.Data) >= chunkSize && cap(c.batch.Data) <= 2*chunkSize {
		c.reset()
		q.free = append(q.free, c)
	}
}

// rewind makes everything unanswered unsent again, for a new session of the adapter. No chunk may be busy.
func (q *queue) rewind() {
	for _, c := range q.chunks {
		if c.left < c.len() {
			c.compact()
		}
		c.sent = 0
	}
	q.chunks = slices.DeleteFunc(q.chunks, func(c *chunk) bool { return c.sealed && c.len() == 0 })
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

// unansweredUpTo counts the messages without an answer whose number is at most seq.
func (q *queue) unansweredUpTo(seq uint64) int {
	n := 0
	for _, c := range q.chunks {
		if c.len() > 0 && c.batch.Records[0].Seq <= seq {
			n += c.unansweredUpTo(seq)
		}
	}
	return n
}
