// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Properties are what every message that is published says beside its payload (MQTT 5).
type Properties struct {
	MessageExpiry time.Duration // 0: never
	ContentType   string
	ResponseTopic string
	User          adapters.Headers
}

// Append encodes the properties for Options.Properties.
func (p *Properties) Append(b []byte) ([]byte, error) {
	if len(p.ContentType) > maxString || !utf8.ValidString(p.ContentType) || len(p.User) > maxString {
		return nil, errors.New("the content type or the user properties are longer than 65535 bytes, or no UTF-8")
	}
	if p.MessageExpiry > 0 {
		b = binary.BigEndian.AppendUint32(append(b, propMessageExpiry), expiry(p.MessageExpiry))
	}
	if p.ContentType != "" {
		b = appendText(append(b, propContentType), p.ContentType)
	}
	if p.ResponseTopic != "" {
		b = appendText(append(b, propResponseTopic), p.ResponseTopic)
	}
	return userProps(b, p.User), nil
}
