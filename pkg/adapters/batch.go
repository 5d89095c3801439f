// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import "unsafe"

// A Record places one message inside a Batch. It holds offsets into Batch.Data and no pointers, so that
// an adapter written over a C library can pass all records of a batch in one call. Its layout is part of
// that: 72 bytes, in the order of the fields.
type Record struct {
	Seq         uint64 // names the message towards its connection; comes back in Result
	TimestampMS int64  // milliseconds since 1970 UTC; 0 means the time of sending
	Session     uint64 // the run of the connection that accepted the message; 0 means none to tell
	Number      uint64 // number of the message in that run, from 1
	Topic       uint32
	TopicLen    uint32
	Key         uint32
	KeyLen      uint32 // 0 means no key
	Payload     uint32
	PayloadLen  uint32
	Headers     uint32
	HeadersLen  uint32 // 0 means no headers
}

// A Batch is a run of messages in one contiguous buffer, in the order in which they are to be sent.
type Batch struct {
	Data    []byte
	Records []Record
}

// A Message is one message of a Batch. Its slices are views: they end with the batch.
type Message struct {
	Seq         uint64
	TimestampMS int64
	Session     uint64 // with Number a header, where the protocol has headers; 0 means none
	Number      uint64
	Topic       []byte
	Key         []byte // nil means no key
	Payload     []byte
	Headers     Headers // of the user; nil means none
}

// The names of the headers that carry Session (16 hexadecimal digits) and Number (decimal).
const (
	SessionHeader = "ew-session"
	NumberHeader  = "ew-sequence"
)

// MaxBatchData is the most that Batch.Data may hold, in bytes: what the offsets of a Record can address.
const MaxBatchData = 1<<32 - 1

// Append copies a message to the end of the batch. A topic equal to that of the message before it is
// stored once. The caller keeps the sum within MaxBatchData.
func (b *Batch) Append(seq uint64, timestampMS int64, topic string, key, payload []byte) {
	b.append(view(topic), &Message{Seq: seq, TimestampMS: timestampMS, Key: key, Payload: payload})
}

// Add is Append for a message with all of its fields.
func (b *Batch) Add(m Message) { b.append(m.Topic, &m) }

// AddText is Add with the topic as a string; that of m is not looked at.
func (b *Batch) AddText(topic string, m Message) { b.append(view(topic), &m) }

// view is s as bytes, which are only read. (A generic function would put each message on the heap.)
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func (b *Batch) append(topic []byte, m *Message) {
	r := Record{Seq: m.Seq, TimestampMS: m.TimestampMS, Session: m.Session, Number: m.Number, TopicLen: uint32(len(topic)),
		KeyLen: uint32(len(m.Key)), PayloadLen: uint32(len(m.Payload)), HeadersLen: uint32(len(m.Headers))}
	shared := false
	if n := len(b.Records); n > 0 {
		last := &b.Records[n-1]
		if string(b.Data[last.Topic:last.Topic+last.TopicLen]) == string(topic) {
			r.Topic, shared = last.Topic, true
		}
	}
	if !shared {
		r.Topic = uint32(len(b.Data))
		b.Data = append(b.Data, topic...)
	}
	r.Key = uint32(len(b.Data))
	b.Data = append(b.Data, m.Key...)
	r.Payload = uint32(len(b.Data))
	b.Data = append(b.Data, m.Payload...)
	if r.HeadersLen > 0 {
		r.Headers = uint32(len(b.Data))
		b.Data = append(b.Data, m.Headers...)
	}
	b.Records = append(b.Records, r)
}

// At returns message i, which must be in range.
func (b *Batch) At(i int) Message {
	r := &b.Records[i]
	m := Message{Seq: r.Seq, TimestampMS: r.TimestampMS, Session: r.Session, Number: r.Number,
		Topic:   b.Data[r.Topic : r.Topic+r.TopicLen],
		Payload: b.Data[r.Payload : r.Payload+r.PayloadLen]}
	if r.KeyLen > 0 {
		m.Key = b.Data[r.Key : r.Key+r.KeyLen]
	}
	if r.HeadersLen > 0 {
		m.Headers = Headers(b.Data[r.Headers : r.Headers+r.HeadersLen])
	}
	return m
}

// Len is the number of messages.
func (b *Batch) Len() int { return len(b.Records) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Data = b.Data[:0]
	b.Records = b.Records[:0]
}
