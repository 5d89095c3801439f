// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// unknownSensor is the key of messages that have none, as in DeepStream's adaptors.
const unknownSensor = "unknown-sensor"

// wrapper puts payloads into the message that DeepStream's MQTT adaptor sends when it is to extract sensor ids, where MQTT
// has no place for a key: bytes payload = 1; string key = 2; string timestamp = 3 (RFC 3339, seconds, UTC).
func wrapper(sensor string) func(dst []byte, m *adapters.Message) []byte {
	if sensor == "" {
		sensor = unknownSensor
	}
	return func(dst []byte, m *adapters.Message) []byte {
		key := sensor
		if len(m.Key) > 0 {
			key = strings.ToValidUTF8(string(m.Key), "\ufffd")
		}
		at := time.Now()
		if m.TimestampMS > 0 {
			at = time.UnixMilli(m.TimestampMS)
		}
		dst = protowire.AppendTag(dst, 1, protowire.BytesType)
		dst = protowire.AppendBytes(dst, m.Payload)
		dst = protowire.AppendTag(dst, 2, protowire.BytesType)
		dst = protowire.AppendString(dst, key)
		dst = protowire.AppendTag(dst, 3, protowire.BytesType)
		return protowire.AppendString(dst, at.UTC().Format("2006-01-02T15:04:05Z"))
	}
}
