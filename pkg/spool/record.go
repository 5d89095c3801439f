// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A record in a segment, little-endian:
//
//	 0  marker   4  the segment's, drawn at random: a payload cannot pretend to be a record
//	 4  length   4  of what follows the checksum
//	 8  checksum 4  CRC-32C over marker, length and what follows the checksum
//	12  id 8, session 8, number 8, timestamp 8, stored 8 (both in ms since 1970), topic length 4, key length 4
//	60  topic, key, payload
//
// With the top bit of the key's length set, which segments of version 2 may have, the length of the headers,
// 4, stands before the topic, and the headers (adapters.Headers) before the payload.
const (
	frontSize  = 12
	fixedSize  = 48
	headSize   = frontSize + fixedSize
	windowSize = 256 << 10 // how much of a file is read at once

	withHeaders = 1 << 31
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("damaged")
)

// A view is a record that was read. Its slices end with the next read.
type view struct {
	adapters.Message
	storedMS int64
}

func recordSize(m *adapters.Message) int {
	size := headSize + len(m.Topic) + len(m.Key) + len(m.Payload)
	if len(m.Headers) > 0 {
		size += 4 + len(m.Headers)
	}
	return size
}

func checksum(front, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(front[:8], castagnoli), castagnoli, body)
}

// encode appends m as a record.
func encode(dst []byte, marker uint32, m *adapters.Message, storedMS int64) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint32(dst, marker)
	dst = le.AppendUint32(dst, uint32(recordSize(m)-frontSize))
	dst = append(dst, 0, 0, 0, 0)
	dst = le.AppendUint64(dst, m.Seq)
	dst = le.AppendUint64(dst, m.Session)
	dst = le.AppendUint64(dst, m.Number)
	dst = le.AppendUint64(dst, uint64(m.TimestampMS))
	dst = le.AppendUint64(dst, uint64(storedMS))
	dst = le.AppendUint32(dst, uint32(len(m.Topic)))
	if len(m.Headers) == 0 {
		dst = le.AppendUint32(dst, uint32(len(m.Key)))
		dst = append(dst, m.Topic...)
		dst = append(dst, m.Key...)
	} else {
		dst = le.AppendUint32(dst, uint32(len(m.Key))|withHeaders)
		dst = le.AppendUint32(dst, uint32(len(m.Headers)))
		dst = append(dst, m.Topic...)
		dst = append(dst, m.Key...)
		dst = append(dst, m.Headers...)
	}
	dst = append(dst, m.Payload...)
	r := dst[at:]
	le.PutUint32(r[8:], checksum(r, r[frontSize:]))
	return dst
}

// A reader goes through the records of a segment.
type reader struct {
	f      io.ReaderAt
	size   int64 // of the file
	marker uint32
	buf    []byte
	base   int64 // where buf begins in the file
}

// bytes returns n bytes at off, fewer at the end of the file.
func (r *reader) bytes(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), r.size-off))
	if off >= r.base && off+int64(n) <= r.base+int64(len(r.buf)) {
		return r.buf[off-r.base:][:n], nil
	}
	want := int(min(int64(max(n, windowSize)), r.size-off))
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	r.buf, r.base = r.buf[:want], off
	got, err := r.f.ReadAt(r.buf, off)
	r.buf = r.buf[:got]
	if got >= n {
		return r.buf[:n], nil
	}
	if err == nil || err == io.EOF {
		err = errDamaged // the file has become shorter
	}
	return nil, err
}

// at reads the record at off and says where the next one is. io.EOF at the end, errDamaged when there is
// no whole record; other errors are the disk's.
func (r *reader) at(off int64) (view, int64, error) {
	if off >= r.size {
		return view{}, off, io.EOF
	}
	head, err := r.bytes(off, headSize)
	if err != nil {
		return view{}, off, err
	}
	le := binary.LittleEndian
	if len(head) < headSize || le.Uint32(head) != r.marker {
		return view{}, off, errDamaged
	}
	length := int64(le.Uint32(head[4:]))
	if length < fixedSize || off+frontSize+length > r.size {
		return view{}, off, errDamaged
	}
	rec, err := r.bytes(off, int(frontSize+length))
	if err != nil {
		return view{}, off, err
	}
	body := rec[frontSize:]
	topic, key, headers := int64(le.Uint32(body[40:])), int64(le.Uint32(body[44:])), int64(0)
	fixed := int64(fixedSize)
	if key&withHeaders != 0 && length >= fixedSize+4 {
		key, headers, fixed = key&^withHeaders, int64(le.Uint32(body[fixedSize:])), fixedSize+4
	}
	if le.Uint32(rec[8:]) != checksum(rec, body) || fixed+topic+key+headers > length {
		return view{}, off, errDamaged
	}
	v := view{storedMS: int64(le.Uint64(body[32:]))}
	v.Seq, v.Session, v.Number, v.TimestampMS = le.Uint64(body), le.Uint64(body[8:]), le.Uint64(body[16:]), int64(le.Uint64(body[24:]))
	rest := body[fixed:]
	v.Topic, v.Payload = rest[:topic], rest[topic+key+headers:]
	if key > 0 {
		v.Key = rest[topic : topic+key]
	}
	if headers > 0 {
		v.Headers = adapters.Headers(rest[topic+key : topic+key+headers])
	}
	return v, off + frontSize + length, nil
}

// resync looks for the next whole record behind damage at off; io.EOF when there is none.
func (r *reader) resync(off int64) (int64, error) {
	var marker [4]byte
	binary.LittleEndian.PutUint32(marker[:], r.marker)
	for off++; off+headSize <= r.size; {
		w, err := r.bytes(off, windowSize)
		if err != nil {
			return 0, err
		}
		i := bytes.Index(w, marker[:])
		if i < 0 {
			off += int64(max(len(w)-3, 1))
			continue
		}
		off += int64(i)
		switch _, _, err := r.at(off); err {
		case nil:
			return off, nil
		case errDamaged:
			off++
		default:
			return 0, err
		}
	}
	return 0, io.EOF
}
