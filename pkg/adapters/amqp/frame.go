// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// Numbers of AMQP 0-9-1 (specification of 2008, 4.2 and 1.8).
const (
	frameMethod   = 1
	frameHeader   = 2
	frameBody     = 3
	frameEnd      = 0xce
	frameOverhead = 8 // type, channel, length, end

	classChannel  = 20
	channelOpen   = 10
	channelClose  = 40
	classBasic    = 60
	basicPublish  = 40
	basicReturn   = 50
	basicAck      = 80
	basicNack     = 120
	maxShort      = 255 // bytes of a short string
	modeTransient = 1
	modeDurable   = 2

	hasContentType  = 1 << 15
	hasEncoding     = 1 << 14
	hasHeaders      = 1 << 13
	hasDeliveryMode = 1 << 12
	hasPriority     = 1 << 11
	hasCorrelation  = 1 << 10
	hasReplyTo      = 1 << 9
	hasExpiration   = 1 << 8
	hasMessageID    = 1 << 7
	hasTimestamp    = 1 << 6
	hasAppID        = 1 << 3
)

const (
	appID = "gst-edgewire"
	// The timestamp of AMQP counts seconds; RabbitMQ's own plugin puts milliseconds into this header.
	millisHeader = "timestamp_in_ms"
	keyHeader    = "ew-key"
	contentJSON  = "application/json"
	contentBytes = "application/octet-stream"
)

// An encoder writes messages as frames.
type encoder struct {
	channel    uint16
	frame      int // largest, without its overhead
	exchange   string
	mandatory  bool
	persistent bool
	content    string
	id         uint64 // of the conn, for messages without a session
}

func short(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// begin appends the head of a frame, whose length finish fills in.
func begin(b []byte, kind byte, channel uint16) []byte {
	return append(b, kind, byte(channel>>8), byte(channel), 0, 0, 0, 0)
}

func finish(b []byte, from int) []byte {
	binary.BigEndian.PutUint32(b[from+3:], uint32(len(b)-from-7))
	return append(b, frameEnd)
}

// append appends the frames that publish a message: method, header, body.
func (e *encoder) append(b []byte, m *outbox.Message) []byte {
	from := len(b)
	b = append(begin(b, frameMethod, e.channel), 0, classBasic, 0, basicPublish, 0, 0)
	b = short(b, e.exchange)
	b = append(append(b, byte(len(m.Topic))), m.Topic...)
	if e.mandatory {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = finish(b, from)

	from = len(b)
	b = append(begin(b, frameHeader, e.channel), 0, classBasic, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(len(m.Payload)))
	b = binary.BigEndian.AppendUint16(b, hasContentType|hasHeaders|hasDeliveryMode|hasMessageID|hasTimestamp|hasAppID)
	b = e.properties(b, m)
	b = finish(b, from)

	for body := m.Payload; len(body) > 0; {
		n := min(len(body), e.frame)
		from = len(b)
		b = append(begin(b, frameBody, e.channel), body[:n]...)
		b = finish(b, from)
		body = body[n:]
	}
	return b
}

func (e *encoder) properties(b []byte, m *outbox.Message) []byte {
	millis := m.TimestampMS
	if millis == 0 {
		millis = time.Now().UnixMilli()
	}
	switch {
	case e.content != "":
		b = short(b, e.content)
	case looksLikeJSON(m.Payload):
		b = short(b, contentJSON)
	default:
		b = short(b, contentBytes)
	}
	table := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(short(b, millisHeader), 'l')
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	if len(m.Key) > 0 {
		b = long(b, keyHeader, m.Key)
	}
	if m.Session != 0 {
		var text [20]byte
		b = long(b, adapters.SessionHeader, hex16(text[:0], m.Session))
		b = long(b, adapters.NumberHeader, strconv.AppendUint(text[:0], m.Number, 10))
	}
	m.Headers.Each(func(name, value []byte) bool {
		b = long(b, string(name), value)
		return true
	})
	binary.BigEndian.PutUint32(b[table:], uint32(len(b)-table-4))
	if e.persistent {
		b = append(b, modeDurable)
	} else {
		b = append(b, modeTransient)
	}
	at := len(b)
	b = e.messageID(append(b, 0), &m.Message)
	b[at] = byte(len(b) - at - 1)
	b = binary.BigEndian.AppendUint64(b, uint64(millis/1000))
	return short(b, appID)
}

// long appends a field of a table with a long string, which may hold any bytes.
func long(b []byte, name string, value []byte) []byte {
	b = append(short(b, name), 'S')
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// messageID names a message for ever: it is the same when the message is sent again.
func (e *encoder) messageID(b []byte, m *adapters.Message) []byte {
	run, number := m.Session, m.Number
	if run == 0 {
		run, number = e.id, m.Seq
	}
	b = append(hex16(b, run), '-')
	return strconv.AppendUint(b, number, 10)
}

func hex16(b []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}

func looksLikeJSON(p []byte) bool {
	for _, c := range p {
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return c == '{' || c == '['
	}
	return false
}

// propertiesRoom is what the properties need beside key and headers, at most.
const propertiesRoom = 1024

// check says why a message cannot be put into frames of which one carries limit bytes, if it cannot.
func check(m *adapters.Message, limit int) (cause, remedy string) {
	if len(m.Topic) > maxShort {
		return fmt.Sprintf("the routing key has %d bytes, and AMQP allows %d", len(m.Topic), maxShort), "use shorter topics"
	}
	if len(m.Key) == 0 && len(m.Headers) == 0 {
		return "", ""
	}
	size := len(m.Key)
	m.Headers.Each(func(name, value []byte) bool {
		size += len(name) + len(value) + 6
		if len(name) > maxShort {
			cause, remedy = fmt.Sprintf("a header's name has %d bytes, and AMQP allows %d", len(name), maxShort), "use shorter names"
		}
		return cause == ""
	})
	if cause == "" && size > limit-propertiesRoom {
		cause, remedy = fmt.Sprintf("its key and headers have %d bytes, and must fit one frame", size), "make them shorter, or raise amqp-framesize"
	}
	return cause, remedy
}

// parseMessageID takes the message-id out of the payload of a content header frame.
func parseMessageID(p []byte) (id string, ok bool) {
	if len(p) < 14 {
		return "", false
	}
	flags := binary.BigEndian.Uint16(p[12:])
	p = p[14:]
	skip := func(n int) {
		if n > len(p) {
			n = len(p)
		}
		p = p[n:]
	}
	for _, f := range []struct {
		flag uint16
		size int // -1 a short string, -2 a table
	}{{hasContentType, -1}, {hasEncoding, -1}, {hasHeaders, -2}, {hasDeliveryMode, 1}, {hasPriority, 1}, {hasCorrelation, -1},
		{hasReplyTo, -1}, {hasExpiration, -1}} {
		if flags&f.flag == 0 {
			continue
		}
		switch {
		case f.size > 0:
			skip(f.size)
		case len(p) < 4:
			return "", false
		case f.size == -1:
			skip(1 + int(p[0]))
		default:
			skip(int(min(uint64(binary.BigEndian.Uint32(p))+4, uint64(len(p)))))
		}
	}
	if flags&hasMessageID == 0 || len(p) < 1 || len(p) < 1+int(p[0]) {
		return "", false
	}
	return string(p[1 : 1+int(p[0])]), true
}

// splitMessageID is the reverse of messageID.
func splitMessageID(id string) (run, number uint64, ok bool) {
	a, b, found := strings.Cut(id, "-")
	run, err1 := strconv.ParseUint(a, 16, 64)
	number, err2 := strconv.ParseUint(b, 10, 64)
	return run, number, found && err1 == nil && err2 == nil
}
