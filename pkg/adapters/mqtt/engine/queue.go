// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

// The queue of outgoing messages is a ring of entries that stay, in order, until each has its final word.
// The first `sent` of them were handed to the present connection; a new connection starts again at 0.
//
// The packet identifier of an entry follows from its number, so that an acknowledgement is found without a
// table, and is the same when the entry is sent again: MQTT-4.4.0-1.

type stage byte

const (
	staged   stage = iota // not sent on this connection, or sent without an answer
	received              // QoS 2: the server has said PUBREC
	settled               // has its final word; waits for those before it to leave the ring
)

const (
	publishIDs = 65_000 // identifiers from 1 to this are for PUBLISH; the rest for SUBSCRIBE and UNSUBSCRIBE
	maxSent    = 60_000 // entries under way at most, so that identifiers do not meet
)

// An entry is one message. data holds topic, correlation data, headers and payload.
type entry struct {
	seq, session, number uint64
	data                 []byte
	chunk                *chunk
	topicLen             uint16
	corrLen              uint16
	headersLen           uint32
	stage                stage
	dup                  bool // sent on an earlier connection
	own                  bool // an answer of ours (Reply): nobody waits for a Result
	written              bool // handed to this connection
}

func (e *entry) topic() []byte       { return e.data[:e.topicLen] }
func (e *entry) correlation() []byte { return e.data[e.topicLen:][:e.corrLen] }
func (e *entry) headers() []byte     { return e.data[int(e.topicLen)+int(e.corrLen):][:e.headersLen] }
func (e *entry) payload() []byte {
	return e.data[int(e.topicLen)+int(e.corrLen)+int(e.headersLen):]
}

// A chunk is the memory of the entries of one Publish.
type chunk struct {
	buf  []byte
	refs int
}

const (
	keepChunk  = 1 << 20 // larger ones are left to the garbage collector
	keepChunks = 8
)

type queue struct {
	ring  []entry // its length is a power of two
	head  int
	n     int
	first uint64 // number of the entry at head
	sent  int
	bytes int64
	free  []*chunk
}

func (q *queue) at(i int) *entry { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// id is the packet identifier of entry i.
func (q *queue) id(i int) uint16 { return uint16((q.first+uint64(i))%publishIDs) + 1 }

// find is the entry under way that has this packet identifier; -1 means none.
func (q *queue) find(id uint16) int {
	if id == 0 || id > publishIDs {
		return -1
	}
	i := int((uint64(id-1) + publishIDs - q.first%publishIDs) % publishIDs)
	if i >= q.sent {
		return -1
	}
	return i
}

func (q *queue) push(e entry) {
	if q.n == len(q.ring) {
		bigger := make([]entry, max(2*len(q.ring), 64))
		for i := range q.n {
			bigger[i] = *q.at(i)
		}
		q.ring, q.head = bigger, 0
	}
	*q.at(q.n) = e
	q.n++
	q.bytes += int64(len(e.data))
	e.chunk.refs++
}

// shift drops the entries at the head that have their final word.
func (q *queue) shift() {
	for q.n > 0 && q.ring[q.head].stage == settled {
		e := &q.ring[q.head]
		q.bytes -= int64(len(e.data))
		if e.chunk.refs--; e.chunk.refs == 0 && cap(e.chunk.buf) <= keepChunk && len(q.free) < keepChunks {
			e.chunk.buf = e.chunk.buf[:0]
			q.free = append(q.free, e.chunk)
		}
		*e = entry{}
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.first++
		q.n--
		if q.sent > 0 {
			q.sent--
		}
	}
}

// newChunk has room for size bytes without being moved.
func (q *queue) newChunk(size int) *chunk {
	if n := len(q.free); n > 0 {
		c := q.free[n-1]
		q.free = q.free[:n-1]
		if cap(c.buf) < size {
			c.buf = make([]byte, 0, size)
		}
		return c
	}
	return &chunk{buf: make([]byte, 0, size)}
}

// rewind makes everything to be sent again, over a new connection. kept says that the server still has the
// session: what it has received is only to be released then.
func (q *queue) rewind(kept bool) {
	for i := range q.sent {
		e := q.at(i)
		e.dup = e.dup || e.written
		e.written = false
		if e.stage == received && !kept {
			e.stage = staged
		}
	}
	q.sent = 0
}
