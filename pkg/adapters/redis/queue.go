// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	chunkSize   = 256 << 10 // bytes of commands that are kept, and written, together
	maxBytes    = 32 << 20  // bytes of commands that a Conn keeps, but for one message that is larger alone
	maxMessages = 100_000   // messages that a Conn keeps, where its user does not say
	spareChunks = 8
)

// An entry is one message whose answer is awaited: its command lies in the buffer of its chunk.
type entry struct {
	seq        uint64
	start, end uint32
	topic      uint32 // its offset in the buffer
	topicLen   uint32
	payload    uint32 // its length, for people
	answered   bool
}

// A chunk is a run of messages in order.
type chunk struct {
	buf     []byte
	entries []entry
	left    int // not answered
	writing int // writers that read buf
}

func (ch *chunk) topic(i int) []byte {
	e := &ch.entries[i]
	return ch.buf[e.topic : e.topic+e.topicLen]
}

// A queue holds all messages that were taken and have no answer, in order. Those before the place reached
// have been sent in this session, or were answered.
type queue struct {
	chunks   []*chunk
	spare    []*chunk
	at, from int // chunk and entry of the first message to send
	messages int
	bytes    int
}

// tail gives the chunk that the next command goes to.
func (q *queue) tail(room int) *chunk {
	if n := len(q.chunks); n > 0 {
		if ch := q.chunks[n-1]; len(ch.buf)+room <= cap(ch.buf) {
			return ch
		}
	}
	var ch *chunk
	if n := len(q.spare); n > 0 && room <= chunkSize {
		ch, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		ch = &chunk{buf: make([]byte, 0, max(chunkSize, room))}
	}
	q.chunks = append(q.chunks, ch)
	return ch
}

// add encodes m. It does not look at bounds.
func (q *queue) add(e *encoder, m *adapters.Message) {
	ch := q.tail(e.room(m))
	start := len(ch.buf)
	var topic int
	ch.buf, topic = e.append(ch.buf, m)
	ch.entries = append(ch.entries, entry{seq: m.Seq, start: uint32(start), end: uint32(len(ch.buf)), topic: uint32(topic),
		topicLen: uint32(len(m.Topic)), payload: uint32(len(m.Payload))})
	ch.left++
	q.messages++
	q.bytes += len(ch.buf) - start
}

// peek finds the first message to send.
func (q *queue) peek() (ch *chunk, i int) {
	for ; q.at < len(q.chunks); q.at, q.from = q.at+1, 0 {
		ch := q.chunks[q.at]
		for ; q.from < len(ch.entries); q.from++ {
			if !ch.entries[q.from].answered {
				return ch, q.from
			}
		}
		if q.at == len(q.chunks)-1 {
			break // the next message comes here
		}
	}
	return nil, 0
}

// A segment is a run of messages that were sent, in one chunk.
type segment struct {
	ch       *chunk
	from, to int
}

// take gives the run of messages to send that begins with entry i of ch and ends, at the latest, after limit
// messages or before the first for which same answers false.
func (q *queue) take(ch *chunk, i, limit int, same func(ch *chunk, i int) bool) segment {
	s := segment{ch: ch, from: i, to: i + 1}
	for s.to < len(ch.entries) && s.to-i < limit && !ch.entries[s.to].answered && (same == nil || same(ch, s.to)) {
		s.to++
	}
	q.from = s.to
	return s
}

// answer settles one message.
func (q *queue) answer(ch *chunk, i int) {
	e := &ch.entries[i]
	e.answered = true
	ch.left--
	q.messages--
	q.bytes -= int(e.end - e.start)
}

// free forgets what is settled from the front on.
func (q *queue) free() {
	n := 0
	for n < len(q.chunks) && q.chunks[n].left == 0 && q.chunks[n].writing == 0 && (n < q.at || (n == q.at && q.from == len(q.chunks[n].entries))) {
		ch := q.chunks[n]
		n++
		if cap(ch.buf) == chunkSize && len(q.spare) < spareChunks {
			ch.buf, ch.entries = ch.buf[:0], ch.entries[:0]
			q.spare = append(q.spare, ch)
		}
	}
	if n == 0 {
		return
	}
	q.chunks = append(q.chunks[:0], q.chunks[n:]...)
	clear(q.chunks[len(q.chunks):cap(q.chunks)])
	if q.at -= n; q.at < 0 {
		q.at, q.from = 0, 0
	}
}

// rewind makes everything that has no answer be sent again.
func (q *queue) rewind() {
	q.at, q.from = 0, 0
	q.free()
}
