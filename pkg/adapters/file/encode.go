// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// encode appends a message in a format.
func encode(dst []byte, format string, m *adapters.Message) []byte {
	switch format {
	case formatFramed:
		return append(binary.AppendUvarint(dst, uint64(len(m.Payload))), m.Payload...)
	case formatEnvelope:
		return append(appendEnvelope(dst, m), '\n')
	}
	switch {
	case json.Valid(m.Payload):
		dst = appendJSON(dst, m.Payload)
	case utf8.Valid(m.Payload):
		dst = appendString(dst, m.Payload)
	default:
		dst = append(dst, `{"base64":`...)
		dst = append(appendBase64(dst, m.Payload), '}')
	}
	return append(dst, '\n')
}

// appendEnvelope appends a message with all that belongs to it. Fields that a message does not have are left
// out; what is neither JSON nor text is in base64, under a name that says so.
func appendEnvelope(dst []byte, m *adapters.Message) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "topic", m.Topic)
	if len(m.Key) > 0 {
		dst = appendText(append(dst, ','), "key", m.Key)
	}
	if m.TimestampMS != 0 {
		dst = append(dst, `,"timestamp-ms":`...)
		dst = strconv.AppendInt(dst, m.TimestampMS, 10)
		dst = append(dst, `,"timestamp":"`...)
		dst = time.UnixMilli(m.TimestampMS).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
		dst = append(dst, '"')
	}
	if m.Session != 0 {
		dst = fmt.Appendf(dst, `,"%s":"%016x","%s":%d`, adapters.SessionHeader, m.Session, adapters.NumberHeader, m.Number)
	}
	if len(m.Headers) > 0 {
		dst = append(dst, `,"headers":[`...)
		first := true
		m.Headers.Each(func(name, value []byte) bool {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendText(append(dst, '{'), "name", name)
			dst = append(appendText(append(dst, ','), "value", value), '}')
			return true
		})
		dst = append(dst, ']')
	}
	switch {
	case json.Valid(m.Payload):
		dst = appendJSON(append(dst, `,"payload":`...), m.Payload)
	case utf8.Valid(m.Payload):
		dst = appendString(append(dst, `,"payload-text":`...), m.Payload)
	default:
		dst = appendBase64(append(dst, `,"payload-base64":`...), m.Payload)
	}
	return append(dst, '}')
}

// appendText appends "name":"text", or "name-base64":"…" if it is none.
func appendText(dst []byte, name string, text []byte) []byte {
	dst = append(append(dst, '"'), name...)
	if utf8.Valid(text) {
		return appendString(append(dst, `":`...), text)
	}
	return appendBase64(append(dst, `-base64":`...), text)
}

// appendJSON appends a valid document on one line.
func appendJSON(dst, doc []byte) []byte {
	if !bytes.ContainsAny(doc, "\n\r") {
		return append(dst, doc...)
	}
	b := bytes.NewBuffer(dst)
	_ = json.Compact(b, doc) // it is valid
	return b.Bytes()
}

func appendString(dst, text []byte) []byte {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // a string always can
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func appendBase64(dst, data []byte) []byte {
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), data)
	return append(dst, '"')
}
