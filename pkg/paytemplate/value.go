// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"math"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// A kind is what a value is while a template runs.
type kind uint8

const (
	isNull kind = iota
	isBool
	isInt
	isUint
	isFloat32
	isFloat64
	isFixed // n decimals of f
	isText
)

// A value is null, a number, a truth or a text. Numbers of any kind stand in n or f.
type value struct {
	kind kind
	n    uint64
	f    float64
	s    string
}

func null() value { return value{} }

func boolean(b bool) value {
	if b {
		return value{kind: isBool, n: 1}
	}
	return value{kind: isBool}
}

func integer(n int64) value    { return value{kind: isInt, n: uint64(n)} }
func unsigned(n uint64) value  { return value{kind: isUint, n: n} }
func float32v(f float32) value { return float(isFloat32, float64(f)) }
func double(f float64) value   { return float(isFloat64, f) }
func text(s string) value      { return value{kind: isText, s: s} }

// float is null for NaN and infinity, which JSON has not: so if and default see what is written.
func float(k kind, f float64) value {
	if f-f != 0 {
		return null()
	}
	return value{kind: k, f: f}
}

// rounded is the number that a value with n decimals is written as: comparisons are with that.
func (v *value) rounded() float64 {
	var b [40]byte
	if f, err := strconv.ParseFloat(string(strconv.AppendFloat(b[:0], v.f, 'f', int(v.n), 64)), 64); err == nil {
		return f
	}
	return v.f
}

// number is the value as a float64; false if it is none.
func (v *value) number() (float64, bool) {
	switch v.kind {
	case isInt:
		return float64(int64(v.n)), true
	case isUint:
		return float64(v.n), true
	case isFloat32, isFloat64:
		return v.f, true
	case isFixed:
		return v.rounded(), true
	}
	return 0, false
}

// true is what if asks, as in text/template: not null, not 0, not "".
func (v *value) true() bool {
	switch v.kind {
	case isBool, isInt, isUint:
		return v.n != 0
	case isFloat32, isFloat64:
		return v.f != 0
	case isFixed:
		return v.rounded() != 0
	case isText:
		return v.s != ""
	}
	return false
}

// compare gives -1, 0 or 1; false if the two cannot be compared: null equals nothing.
func (v *value) compare(w *value) (int, bool) {
	order := func(less, more bool) int {
		switch {
		case less:
			return -1
		case more:
			return 1
		}
		return 0
	}
	switch {
	case v.kind == isText && w.kind == isText:
		return strings.Compare(v.s, w.s), true
	case v.kind == isBool && w.kind == isBool, v.kind == isUint && w.kind == isUint:
		return order(v.n < w.n, v.n > w.n), true
	case v.kind == isInt && w.kind == isInt:
		return order(int64(v.n) < int64(w.n), int64(v.n) > int64(w.n)), true
	case v.kind == isInt && w.kind == isUint:
		return order(int64(v.n) < 0 || v.n < w.n, v.n > w.n), true
	case v.kind == isUint && w.kind == isInt:
		return order(v.n < w.n && int64(w.n) >= 0, int64(w.n) < 0 || v.n > w.n), true
	}
	a, ok := v.number()
	b, also := w.number()
	if !ok || !also {
		return 0, false
	}
	if v.kind == isFloat32 && w.kind == isFloat64 {
		b = float64(float32(b)) // 0.9 in a template means the 0.9 that a detector gives
	} else if v.kind == isFloat64 && w.kind == isFloat32 {
		a = float64(float32(a))
	}
	if math.IsNaN(a) || math.IsNaN(b) {
		return 0, false
	}
	return order(a < b, a > b), true
}

// appendText appends the value as it stands in a text: null is nothing.
func (v *value) appendText(dst []byte) []byte {
	switch v.kind {
	case isBool:
		return strconv.AppendBool(dst, v.n != 0)
	case isInt:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case isUint:
		return strconv.AppendUint(dst, v.n, 10)
	case isFloat32:
		return appendFloat(dst, v.f, 32)
	case isFloat64:
		return appendFloat(dst, v.f, 64)
	case isFixed:
		return strconv.AppendFloat(dst, v.f, 'f', int(v.n), 64)
	case isText:
		return append(dst, v.s...)
	}
	return dst
}

// appendEscaped appends the value for use inside a JSON string.
func (v *value) appendEscaped(dst []byte) []byte {
	if v.kind == isText {
		return payload.AppendEscaped(dst, v.s)
	}
	return v.appendText(dst)
}

// appendJSON appends the value as JSON.
func (v *value) appendJSON(dst []byte) []byte {
	switch v.kind {
	case isNull:
		return append(dst, "null"...)
	case isText:
		dst = append(dst, '"')
		dst = payload.AppendEscaped(dst, v.s)
		return append(dst, '"')
	}
	from := len(dst)
	if dst = v.appendText(dst); len(dst) == from { // JSON has no NaN and no infinity
		dst = append(dst, "null"...)
	}
	return dst
}

// appendFloat appends the shortest text that reads back as the same number; nothing for NaN and infinity.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst
	}
	if n := int64(f); float64(n) == f && n > -1e15 && n < 1e15 {
		return strconv.AppendInt(dst, n, 10)
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
