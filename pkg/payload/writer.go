// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"unicode/utf8"
	"unsafe"
)

// writer appends JSON. With indent 0 it writes no blanks; otherwise it writes the layout of json-glib's
// pretty printer: one element per line, a blank on both sides of the colon.
type writer struct {
	buf    []byte
	indent int
	depth  int
	comma  bool // the current container has an element already
}

func (w *writer) reset() {
	w.buf, w.depth, w.comma = w.buf[:0], 0, false
}

// element starts a new element of the current container.
func (w *writer) element() {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.comma = true
	if w.indent > 0 {
		w.newline()
	}
}

func (w *writer) newline() {
	w.buf = append(w.buf, '\n')
	w.blanks(w.depth * w.indent)
}

func (w *writer) blanks(n int) {
	for range n {
		w.buf = append(w.buf, ' ')
	}
}

// key starts a member whose name needs no escaping.
func (w *writer) key(name string) {
	w.element()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.colon()
}

// keyText starts a member with any name.
func (w *writer) keyText(name string) {
	w.element()
	w.buf = append(w.buf, '"')
	w.buf = appendEscaped(w.buf, name)
	w.colon()
}

func (w *writer) colon() {
	if w.indent > 0 {
		w.buf = append(w.buf, `" : `...)
	} else {
		w.buf = append(w.buf, `":`...)
	}
}

func (w *writer) openObject() { w.open('{') }
func (w *writer) openArray()  { w.open('[') }

func (w *writer) open(c byte) {
	w.buf = append(w.buf, c)
	w.depth++
	w.comma = false
}

func (w *writer) closeObject() {
	w.depth--
	if w.indent > 0 {
		if w.comma {
			w.newline()
		} else {
			w.blanks(w.depth * w.indent)
		}
	}
	w.buf = append(w.buf, '}')
	w.comma = true
}

func (w *writer) closeArray() {
	w.depth--
	if w.indent > 0 && w.comma {
		w.newline()
	}
	w.buf = append(w.buf, ']')
	w.comma = true
}

func (w *writer) text(s string) {
	if s == "" {
		w.buf = append(w.buf, `""`...)
		return
	}
	w.buf = append(appendEscaped(append(w.buf, '"'), s), '"')
}

// raw appends text that is JSON already.
func (w *writer) raw(s string) { w.buf = append(w.buf, s...) }

func (w *writer) double(f float64) { w.buf = appendDouble(w.buf, f) }

// plain marks the bytes that stand in a JSON string as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendEscaped appends s for use inside a JSON string. Each byte that is not part of valid UTF-8 becomes
// U+FFFD.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

// appendValid appends s with each byte that is not part of valid UTF-8 replaced by U+FFFD.
func appendValid(dst []byte, s string) []byte {
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			n += size
		}
		dst = append(dst, s[:n]...)
		if n == len(s) {
			break
		}
		dst = append(dst, "\uFFFD"...)
		s = s[n+1:]
	}
	return dst
}

// textBytes is text for bytes, without copying them.
func (w *writer) textBytes(b []byte) {
	w.text(unsafe.String(unsafe.SliceData(b), len(b)))
}
