// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"encoding/binary"
	"errors"
	"math"
)

// Headers are names and values that travel beside a payload, where the protocol has a place for them:
// Kafka's and NATS's headers, AMQP's headers table, MQTT 5's user properties, Azure's message properties.
// They are one run of bytes, so that a batch holds no pointers: for each header the length of its name
// (2 bytes, little-endian), the name, the length of its value (4 bytes, little-endian), the value.
// nil has none. Order and repeated names are kept.
type Headers []byte

// MaxHeaderName is the longest name of a header in bytes.
const MaxHeaderName = math.MaxUint16

// errHeaders is what Check gives.
var errHeaders = errors.New("damaged headers")

// Append adds a header. A name longer than MaxHeaderName is cut.
func (h Headers) Append(name string, value []byte) Headers {
	name = name[:min(len(name), MaxHeaderName)]
	h = binary.LittleEndian.AppendUint16(h, uint16(len(name)))
	h = append(h, name...)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(value)))
	return append(h, value...)
}

// AppendString is Append for a text.
func (h Headers) AppendString(name, value string) Headers { return h.Append(name, []byte(value)) }

// Each calls f with every header, until f answers false. name and value are views of h. What follows
// damage is left out.
func (h Headers) Each(f func(name, value []byte) bool) {
	for len(h) > 0 {
		name, value, rest, ok := h.first()
		if !ok || !f(name, value) {
			return
		}
		h = rest
	}
}

// Get returns the value of the first header of that name.
func (h Headers) Get(name string) (value []byte, ok bool) {
	h.Each(func(n, v []byte) bool {
		if string(n) == name {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

// Len is the number of headers.
func (h Headers) Len() (n int) {
	h.Each(func(_, _ []byte) bool { n++; return true })
	return n
}

// Check reports whether h is whole.
func (h Headers) Check() error {
	for len(h) > 0 {
		_, _, rest, ok := h.first()
		if !ok {
			return errHeaders
		}
		h = rest
	}
	return nil
}

func (h Headers) first() (name, value []byte, rest Headers, ok bool) {
	if len(h) < 2 {
		return nil, nil, nil, false
	}
	n := int(binary.LittleEndian.Uint16(h))
	if len(h) < 2+n+4 {
		return nil, nil, nil, false
	}
	v := uint64(binary.LittleEndian.Uint32(h[2+n:]))
	if v > uint64(len(h)-2-n-4) {
		return nil, nil, nil, false
	}
	return h[2 : 2+n], h[6+n : 6+n+int(v)], h[6+n+int(v):], true
}
