// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// splitEntry takes an entry of a stream apart: its id, and its fields and values in turn. There are no fields
// when the entry was deleted.
func splitEntry(item any) (id string, fields []string) {
	pair, _ := item.([]any)
	if len(pair) != 2 {
		return "", nil
	}
	id, _ = pair[0].(string)
	list, _ := pair[1].([]any)
	for _, f := range list {
		s, _ := f.(string)
		fields = append(fields, s)
	}
	return id, fields[:len(fields)&^1]
}

// entrySize is about how many bytes an entry takes.
func entrySize(item any) (n int) {
	pair, _ := item.([]any)
	if len(pair) != 2 {
		return 0
	}
	list, _ := pair[1].([]any)
	for _, f := range list {
		s, _ := f.(string)
		n += len(s)
	}
	return n
}

// decode makes a message of an entry, however it is laid out: by this adapter, by DeepStream's, or by anyone.
func (o *options) decode(topic string, item any) (m adapters.Incoming, ok bool) {
	id, fields := splitEntry(item)
	if id == "" || len(fields) == 0 {
		return m, false
	}
	m.Topic, m.Position = topic, id
	// The id begins with the server's time in milliseconds.
	ms, _, _ := strings.Cut(id, "-")
	m.TimestampMS, _ = strconv.ParseInt(ms, 10, 64)
	payload := -1
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == o.payloadKey {
			payload = i
			break
		}
	}
	switch {
	case payload >= 0:
	case len(fields) == 2: // whatever it is called
		m.Payload = []byte(fields[1])
		return m, true
	case len(fields) == 6 && fields[0] == keyField && fields[2] == valueField && fields[4] == headersField:
		payload = 2
	default:
		m.Payload = jsonObject(fields)
		return m, true
	}
	m.Payload = []byte(fields[payload+1])
	for i := 0; i < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		switch {
		case i == payload:
		case name == keyField && m.Key == nil:
			m.Key = []byte(value)
		case name == headersField && fields[payload] == valueField && o.readHeaders(&m, value):
		default:
			o.header(&m, name, []byte(value))
		}
	}
	return m, true
}

// header adds a header, or sets the time.
func (o *options) header(m *adapters.Incoming, name string, value []byte) {
	if o.timestampKey != "" && name == o.timestampKey {
		if ms, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			m.TimestampMS = ms
			return
		}
	}
	if rest, found := strings.CutPrefix(name, renamed); found && o.reserved(rest) {
		name = rest
	}
	m.Headers = m.Headers.Append(name, value)
}

// readHeaders reads the object of layout key-value, in its order. It reports whether text is one.
func (o *options) readHeaders(m *adapters.Incoming, text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	type header struct {
		name  string
		value []byte
	}
	var all []header
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return false
		}
		var s string
		var binary struct {
			Base64 *[]byte `json:"base64"`
		}
		value := []byte(raw)
		if json.Unmarshal(raw, &s) == nil {
			value = []byte(s)
		} else if json.Unmarshal(raw, &binary) == nil && binary.Base64 != nil {
			value = *binary.Base64
		}
		all = append(all, header{name.(string), value})
	}
	for _, h := range all {
		o.header(m, h.name, h.value)
	}
	return true
}

// jsonObject is what an entry without a field for the payload becomes.
func jsonObject(fields []string) []byte {
	out := []byte{'{'}
	for pair := range slices.Chunk(fields, 2) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(pair[0]) // of strings: no error is possible
		value, _ := json.Marshal(pair[1])
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}')
}
