// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Base64Suffix is appended to the name of a header whose value is no text: user properties are UTF-8
// (MQTT 5.0, section 1.5.7), so the value travels in base64.
const Base64Suffix = ";base64"

// CheckTopic applies the rules for a topic that one publishes to: MQTT 5.0, section 4.7.
func CheckTopic(topic string) error {
	switch {
	case topic == "":
		return fmt.Errorf("the topic is empty")
	case len(topic) > maxString:
		return fmt.Errorf("the topic has %d bytes, at most %d are possible", len(topic), maxString)
	case strings.ContainsAny(topic, "+#"):
		return fmt.Errorf("the topic holds + or #, which are for subscribing alone")
	case !utf8.ValidString(topic) || strings.ContainsRune(topic, 0):
		return fmt.Errorf("the topic is not UTF-8 text without NUL")
	}
	return nil
}

// CheckFilter applies the rules for a topic that one subscribes to: MQTT 5.0, section 4.7.1.
func CheckFilter(f string) error {
	switch {
	case f == "":
		return fmt.Errorf("the topic is empty")
	case len(f) > maxString:
		return fmt.Errorf("the topic has %d bytes, at most %d are possible", len(f), maxString)
	case !utf8.ValidString(f) || strings.ContainsRune(f, 0):
		return fmt.Errorf("the topic is not UTF-8 text without NUL")
	}
	levels := strings.Split(f, "/")
	for i, l := range levels {
		if strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) {
			return fmt.Errorf("# must be the whole last level of the topic %q, as in a/b/#", f)
		}
		if strings.Contains(l, "+") && l != "+" {
			return fmt.Errorf("+ must be a whole level of the topic %q, as in a/+/c", f)
		}
	}
	return nil
}

// Match reports whether a topic belongs to a filter, $share/GROUP/ in front of it aside.
func Match(f, topic string) bool {
	if rest, ok := strings.CutPrefix(f, "$share/"); ok {
		if _, f, ok = strings.Cut(rest, "/"); !ok {
			return false
		}
	}
	if f == "" || topic == "" || (topic[0] == '$' && (f[0] == '+' || f[0] == '#')) {
		return false
	}
	for {
		level, frest, fmore := strings.Cut(f, "/")
		if level == "#" {
			return true
		}
		have, trest, tmore := strings.Cut(topic, "/")
		if level != "+" && level != have {
			return false
		}
		if !fmore || !tmore {
			return fmore == tmore || (fmore && frest == "#") // a/# has a too
		}
		f, topic = frest, trest
	}
}

// userProps appends headers as user properties.
func userProps(b []byte, h adapters.Headers) []byte {
	h.Each(func(name, value []byte) bool {
		if !utf8.Valid(name) || strings.ContainsRune(string(name), 0) {
			name = []byte(strings.ReplaceAll(strings.ToValidUTF8(string(name), "?"), "\x00", "?"))
		}
		if utf8.Valid(value) && !strings.ContainsRune(string(value), 0) && len(value) <= maxString {
			b = appendText(appendText(append(b, propUser), name), value)
			return true
		}
		name = append(append([]byte(nil), name[:min(len(name), maxString-len(Base64Suffix))]...), Base64Suffix...)
		text := base64.StdEncoding.AppendEncode(nil, value)
		b = appendText(appendText(append(b, propUser), name), text[:min(len(text), maxString&^3)])
		return true
	})
	return b
}

// appendProps appends the properties of an entry: those of every message, then its own.
func (c *Conn) appendProps(b []byte, e *entry) []byte {
	if e.own {
		if e.corrLen > 0 {
			b = appendText(append(b, propCorrelation), e.correlation())
		}
		return userProps(b, e.headers())
	}
	b = append(b, c.fixedProps...)
	if e.headersLen > 0 {
		b = userProps(b, e.headers())
	}
	if e.session != 0 {
		b = AppendSession(appendText(append(b, propUser), adapters.SessionHeader), e.session)
		b = appendText(append(b, propUser), adapters.NumberHeader)
		var digits [20]byte
		b = appendText(b, strconv.AppendUint(digits[:0], e.number, 10))
	}
	return b
}

// AppendSession appends the value of SessionHeader with its length in front.
func AppendSession(b []byte, session uint64) []byte {
	const hex = "0123456789abcdef"
	b = append(b, 0, 16)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hex[session>>shift&15])
	}
	return b
}

// appendPublish appends entry i as a PUBLISH, or nothing when it would be larger than limit (0: none);
// size is what it takes.
func (c *Conn) appendPublish(b []byte, i int, qos byte, v Version, limit int) (out []byte, size int) {
	e := c.q.at(i)
	retain := c.o.Retain && !c.noRetain && !e.own
	first := byte(typePublish<<4) | qos<<1
	if e.dup && qos > 0 {
		first |= 0x08
	}
	if retain {
		first |= 0x01
	}
	topic := e.topic()
	if c.o.PublishTopic != nil && !e.own {
		c.topicBuf = c.o.PublishTopic(c.topicBuf[:0], Outgoing{Topic: topic, Headers: e.headers(), Session: e.session, Number: e.number})
		topic = c.topicBuf
	}
	payload := e.payload()
	n := 2 + len(topic) + len(payload)
	if qos > 0 {
		n += 2
	}
	var props []byte
	if v == V5 {
		c.propBuf = c.appendProps(c.propBuf[:0], e)
		props = c.propBuf
		n += varintSize(len(props)) + len(props)
	}
	size = 1 + varintSize(n) + n
	if n > maxRemaining || (limit > 0 && size > limit) || len(topic) > maxString {
		return b, -size
	}
	b = append(b, first)
	b = appendVarint(b, n)
	b = appendText(b, topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, c.q.id(i))
	}
	if v == V5 {
		b = append(appendVarint(b, len(props)), props...)
	}
	return append(b, payload...), size
}
