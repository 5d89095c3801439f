// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// An encoder writes messages as XADD commands in Redis's protocol (RESP): an array of bulk strings.
type encoder struct {
	o       *options
	args    int    // words of the command before the fields
	between []byte // the words between topic and fields: MAXLEN and the id
	payload []byte // the name of the payload's field, as a bulk string
	time    []byte // that of the time's field; nil means none
	scratch []byte
	topic   []byte // of the message before, and …
	head    []byte // … the words up to the first field, without the number of words
}

// The names of fields that are always the same, as bulk strings.
var (
	keyName     = bulk(nil, keyField)
	headersName = bulk(nil, headersField)
	sessionName = bulk(nil, adapters.SessionHeader)
	numberName  = bulk(nil, adapters.NumberHeader)
	asking      = []byte("*1\r\n$6\r\nASKING\r\n")
)

func newEncoder(o *options) *encoder {
	e := &encoder{o: o, args: 3, payload: bulk(nil, o.payloadKey), scratch: make([]byte, 0, 64)}
	if o.streamSize != "" {
		e.args += 3
		e.between = bulk(bulk(bulk(e.between, "MAXLEN"), "~"), o.streamSize)
	}
	e.between = bulk(e.between, "*")
	if o.timestampKey != "" && !o.keyValue {
		e.time = bulk(nil, o.timestampKey)
	}
	return e
}

// bulk appends a bulk string.
func bulk[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendUint(dst, uint64(len(s)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

const xadd = "$4\r\nXADD\r\n"

// room is more than the command of m takes.
func (e *encoder) room(m *adapters.Message) int {
	n := len(m.Topic) + len(m.Payload) + len(m.Key) + len(e.between) + len(e.payload) + len(e.time) + 320
	if e.o.keyValue {
		// In JSON a byte may become six, or four thirds of one in base64.
		return n + len(e.o.sensorID) + 6*len(m.Headers) + 24*m.Headers.Len()
	}
	return n + len(m.Headers) + 40*m.Headers.Len()
}

// append appends the command of m to dst, and tells where its topic begins in it.
func (e *encoder) append(dst []byte, m *adapters.Message) (out []byte, topic int) {
	if e.head == nil || string(e.topic) != string(m.Topic) {
		e.topic = append(e.topic[:0], m.Topic...)
		e.head = append(e.head[:0], xadd...)
		e.head = append(bulk(e.head, m.Topic), e.between...)
	}
	fields := 1
	if e.o.keyValue {
		fields = 3
	} else {
		if len(m.Key) > 0 {
			fields++
		}
		if e.time != nil && m.TimestampMS != 0 {
			fields++
		}
		if m.Session != 0 {
			fields += 2
		}
		if len(m.Headers) > 0 {
			fields += m.Headers.Len()
		}
	}
	dst = append(dst, '*')
	dst = strconv.AppendUint(dst, uint64(e.args+2*fields), 10)
	dst = append(dst, '\r', '\n')
	topic = len(dst) + len(xadd) + len(strconv.AppendUint(e.scratch[:0], uint64(len(m.Topic)), 10)) + 3
	dst = append(dst, e.head...)
	if e.o.keyValue {
		dst = append(dst, keyName...)
		if len(m.Key) > 0 {
			dst = bulk(dst, m.Key)
		} else {
			dst = bulk(dst, e.o.sensorID)
		}
		dst = bulk(append(dst, e.payload...), m.Payload)
		return bulk(append(dst, headersName...), e.jsonHeaders(m)), topic
	}
	dst = bulk(append(dst, e.payload...), m.Payload)
	if len(m.Key) > 0 {
		dst = bulk(append(dst, keyName...), m.Key)
	}
	if e.time != nil && m.TimestampMS != 0 {
		e.scratch = strconv.AppendInt(e.scratch[:0], m.TimestampMS, 10)
		dst = bulk(append(dst, e.time...), e.scratch)
	}
	if m.Session != 0 {
		dst = bulk(append(dst, sessionName...), e.session(m))
		e.scratch = strconv.AppendUint(e.scratch[:0], m.Number, 10)
		dst = bulk(append(dst, numberName...), e.scratch)
	}
	m.Headers.Each(func(name, value []byte) bool {
		if e.ours(name) {
			dst = bulk(dst, append(append(e.scratch[:0], renamed...), name...))
		} else {
			dst = bulk(dst, name)
		}
		dst = bulk(dst, value)
		return true
	})
	return dst, topic
}

// ours reports that a header has the name of a field of ours, or would look like one renamed for that.
func (e *encoder) ours(name []byte) bool { return e.o.reserved(string(name)) }

func (o *options) reserved(name string) bool {
	for len(name) > len(renamed) && name[:len(renamed)] == renamed {
		name = name[len(renamed):]
	}
	switch name {
	case o.payloadKey, keyField, adapters.SessionHeader, adapters.NumberHeader:
		return true
	}
	return o.timestampKey != "" && name == o.timestampKey
}

// session is 16 hexadecimal digits.
func (e *encoder) session(m *adapters.Message) []byte {
	e.scratch = hex.AppendEncode(e.scratch[:0], binary.BigEndian.AppendUint64(nil, m.Session))
	return e.scratch
}

// jsonHeaders is the object of layout key-value. A value that is no text is an object of its own, with its
// base64.
func (e *encoder) jsonHeaders(m *adapters.Message) []byte {
	out := []byte{'{'}
	add := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, _ := json.Marshal(name) // of a string: no error is possible
		out = append(append(out, quoted...), ':')
		if utf8.Valid(value) {
			quoted, _ = json.Marshal(string(value))
			out = append(out, quoted...)
			return
		}
		out = append(out, `{"base64":"`...)
		out = base64.StdEncoding.AppendEncode(out, value)
		out = append(out, `"}`...)
	}
	if m.Session != 0 {
		add(adapters.SessionHeader, e.session(m))
		add(adapters.NumberHeader, strconv.AppendUint(nil, m.Number, 10))
	}
	if m.TimestampMS != 0 && e.o.timestampKey != "" {
		add(e.o.timestampKey, strconv.AppendInt(nil, m.TimestampMS, 10))
	}
	m.Headers.Each(func(name, value []byte) bool {
		if e.ours(name) {
			add(renamed+string(name), value)
		} else {
			add(string(name), value)
		}
		return true
	})
	return append(out, '}')
}
