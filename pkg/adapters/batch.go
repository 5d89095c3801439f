// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

// A Record places one message inside a Batch. It holds offsets into Batch.Data and no pointers, so that
// an adapter written over a C library can pass all records of a batch in one call. Its layout is part of
// that: 48 bytes, in the order of the fields.
type Record struct {
	Seq         uint64 // number of the message in its connection, from 1; comes back in Result
	TimestampMS int64  // milliseconds since 1970 UTC; 0 means the time of sending
	Topic       uint32
	TopicLen    uint32
	Key         uint32
	KeyLen      uint32 // 0 means no key
	Payload     uint32
	PayloadLen  uint32
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
	Topic       []byte
	Key         []byte // nil means no key
	Payload     []byte
}

// MaxBatchData is the most that Batch.Data may hold, in bytes: what the offsets of a Record can address.
const MaxBatchData = 1<<32 - 1

// Append copies a message to the end of the batch. A topic equal to that of the message before it is
// stored once. The caller keeps the sum within MaxBatchData.
func (b *Batch) Append(seq uint64, timestampMS int64, topic string, key, payload []byte) {
	r := Record{Seq: seq, TimestampMS: timestampMS, TopicLen: uint32(len(topic)),
		KeyLen: uint32(len(key)), PayloadLen: uint32(len(payload))}
	shared := false
	if n := len(b.Records); n > 0 {
		last := &b.Records[n-1]
		if string(b.Data[last.Topic:last.Topic+last.TopicLen]) == topic {
			r.Topic, shared = last.Topic, true
		}
	}
	if !shared {
		r.Topic = uint32(len(b.Data))
		b.Data = append(b.Data, topic...)
	}
	r.Key = uint32(len(b.Data))
	b.Data = append(b.Data, key...)
	r.Payload = uint32(len(b.Data))
	b.Data = append(b.Data, payload...)
	b.Records = append(b.Records, r)
}

// At returns message i, which must be in range.
func (b *Batch) At(i int) Message {
	r := &b.Records[i]
	m := Message{Seq: r.Seq, TimestampMS: r.TimestampMS,
		Topic:   b.Data[r.Topic : r.Topic+r.TopicLen],
		Payload: b.Data[r.Payload : r.Payload+r.PayloadLen]}
	if r.KeyLen > 0 {
		m.Key = b.Data[r.Key : r.Key+r.KeyLen]
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
