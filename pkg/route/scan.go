// SPDX-License-Identifier: LGPL-2.1-or-later

package route

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep a path leads: what is deeper than that in a payload is passed over, never followed.
const maxDepth = 16

// Scan looks for the member that path names in a JSON object and appends its text to dst: a string without its
// quotes and escapes, a number or a boolean as it is written. ok is false when there is no such member, when
// it is null, an object or an array, or when the members before it are no JSON. Those behind it, and what is inside
// of other values, are not looked at. It allocates nothing.
func Scan(dst, payload []byte, path Path) (text []byte, ok bool) {
	s := scanner{b: payload}
	for i, name := range path {
		if !s.enter(name) {
			return dst, false
		}
		if i < len(path)-1 {
			continue
		}
		switch c := s.peek(); {
		case c == '"':
			raw, ok := s.text()
			if !ok {
				return dst, false
			}
			return appendUnescaped(dst, raw)
		case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f':
			start := s.i
			if !s.word() {
				return dst, false
			}
			return append(dst, s.b[start:s.i]...), true
		}
	}
	return dst, false
}

// A scanner walks through JSON text.
type scanner struct {
	b []byte
	i int
}

// peek is the next byte that is no blank; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// enter goes to the value of the member of that name, in the object that begins here.
func (s *scanner) enter(name string) bool {
	if s.peek() != '{' {
		return false
	}
	s.i++
	for {
		if s.peek() != '"' {
			return false
		}
		raw, ok := s.text()
		if !ok || s.peek() != ':' {
			return false
		}
		s.i++
		if string(raw) == name || bytes.IndexByte(raw, '\\') >= 0 && sameText(raw, name) {
			return true
		}
		if !s.skip() || s.peek() != ',' {
			return false
		}
		s.i++
	}
}

// text passes over a string and returns what stands between its quotes.
func (s *scanner) text() ([]byte, bool) {
	b, start := s.b, s.i+1
	for i := start; i < len(b); i++ {
		switch b[i] {
		case '"':
			s.i = i + 1
			return b[start:i], true
		case '\\':
			i++
		}
	}
	return nil, false
}

// word passes over a number or a literal.
func (s *scanner) word() bool {
	start := s.i
	for ; s.i < len(s.b); s.i++ {
		c := s.b[s.i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E') {
			break
		}
	}
	return s.i > start
}

// What a byte means inside a value that is passed over.
const (
	plainByte = iota
	quoteByte
	openByte
	closeByte
)

var meaning = [256]byte{'"': quoteByte, '{': openByte, '[': openByte, '}': closeByte, ']': closeByte}

// skip passes over a value. What is inside an object or an array is not checked.
func (s *scanner) skip() bool {
	switch s.peek() {
	case '"':
		_, ok := s.text()
		return ok
	case '{', '[':
	default:
		return s.word()
	}
	depth, b := 0, s.b
	for i := s.i; i < len(b); i++ {
		switch meaning[b[i]] {
		case quoteByte:
			s.i = i
			if _, ok := s.text(); !ok {
				return false
			}
			i = s.i - 1
		case openByte:
			depth++
		case closeByte:
			if depth--; depth == 0 {
				s.i = i + 1
				return true
			}
		}
	}
	return false
}

func sameText(raw []byte, name string) bool {
	text, ok := appendUnescaped(nil, raw)
	return ok && string(text) == name
}

// appendUnescaped appends what stands between the quotes of a JSON string.
func appendUnescaped(dst, raw []byte) ([]byte, bool) {
	was := len(dst)
	for {
		n := bytes.IndexByte(raw, '\\')
		if n < 0 {
			return append(dst, raw...), true
		}
		dst = append(dst, raw[:n]...)
		raw = raw[n+1:]
		if len(raw) == 0 {
			return dst[:was], false
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(raw)
			if !ok {
				return dst[:was], false
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				low := rune(0)
				if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
					low, _ = hex4(raw[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					raw = raw[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return dst[:was], false
		}
	}
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}
