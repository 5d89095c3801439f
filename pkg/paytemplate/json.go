// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"encoding/json"
	"slices"
)

// A position is what may stand next in the output.
type position uint8

const (
	atRoot    position = iota // the message's value
	atDone                    // nothing any more
	atMaybe                   // nothing any more; but perhaps nothing was written either
	atElement                 // an element, or the array's end
	atKey                     // a key, or the object's end
	atColon                   // the colon behind a key
	atValue                   // the value behind the colon
)

// A tri is what is known of whether an element stands before, so that the next one needs a comma.
type tri uint8

const (
	no tri = iota
	yes
	unknown // r.commas tells
)

// A structure follows the JSON that a template writes, on every way through it. Where ways meet, they must have
// come to the same place. Commas are not taken from the template: one is written between any two elements.
type structure struct {
	open     []byte // the { and [ around
	pos      position
	comma    tri
	inString bool
	key      bool // the string is a key
	escape   []byte
}

// misplaced reports the first mistake in the structure: others may follow from it.
func (c *compiler) misplaced(pos int, remedy, format string, args ...any) {
	if !c.lost {
		c.fail(pos, remedy, format, args...)
	}
	c.lost = true
}

func (s *structure) clone() *structure {
	if s == nil {
		return nil
	}
	c := *s
	c.open, c.escape = slices.Clone(s.open), slices.Clone(s.escape)
	return &c
}

func (s *structure) bit() uint64 { return 1 << uint(len(s.open)) }

// separate writes the comma before an element or a key.
func (s *structure) separate(c *compiler) {
	switch s.comma {
	case yes:
		c.lit = append(c.lit, ',')
	case unknown:
		bit := s.bit()
		c.emit(func(r *run) {
			if r.commas&bit != 0 {
				r.out = append(r.out, ',')
			}
		})
	}
	s.comma = yes
}

// value begins a value; false if there must not be one.
func (s *structure) value(c *compiler, pos int) bool {
	switch s.pos {
	case atElement:
		s.separate(c)
	case atValue:
		s.pos = atKey
	case atRoot:
		s.pos = atDone
	case atKey:
		c.misplaced(pos, `write it in quotes, as in "{{.type}}": …`, "a key of an object is a text")
		return false
	case atColon:
		c.misplaced(pos, "", "a colon is missing before this value")
		return false
	default:
		c.misplaced(pos, "put [ and ] around the values, or declare another content-type in the header", "a message is one JSON value, and this is a second")
		return false
	}
	return true
}

// beginsEscape refuses an action right behind a backslash.
func (s *structure) beginsEscape(c *compiler, pos int) bool {
	if len(s.escape) > 0 {
		c.misplaced(pos, "write the escape sequence as a whole", "a value cannot be part of an escape sequence")
		return true
	}
	return false
}

// text follows a piece of the template's text, and writes what of it is output.
func (s *structure) text(c *compiler, src []byte, pos int) {
	for i := 0; i < len(src); {
		if s.inString {
			n, ok := s.stringText(c, src[i:], pos+i)
			if !ok {
				return
			}
			i += n
			continue
		}
		b := src[i]
		switch b {
		case ' ', '\t', '\r', '\n':
		case ',':
			if s.pos != atElement && s.pos != atKey {
				c.misplaced(pos+i, "", "a comma cannot stand here")
				return
			}
		case ':':
			if s.pos != atColon {
				c.misplaced(pos+i, "", "a colon cannot stand here")
				return
			}
			c.lit = append(c.lit, ':')
			s.pos = atValue
		case '"':
			if s.key = s.pos == atKey; s.key {
				s.separate(c)
			} else if !s.value(c, pos+i) {
				return
			}
			c.lit = append(c.lit, '"')
			s.inString = true
		case '{', '[':
			if !s.value(c, pos+i) {
				return
			}
			if len(s.open) == maxDepth-1 {
				c.misplaced(pos+i, "", "JSON of more than %d levels is not written", maxDepth-1)
				return
			}
			c.lit = append(c.lit, b)
			s.open, s.comma, s.pos = append(s.open, b), no, atElement
			if b == '{' {
				s.pos = atKey
			}
		case '}', ']':
			if !s.close(c, b, pos+i) {
				return
			}
		default:
			n := 0
			for i+n < len(src) && (src[i+n] >= 'a' && src[i+n] <= 'z' || src[i+n] >= '0' && src[i+n] <= '9' || src[i+n] == '-' || src[i+n] == '+' || src[i+n] == '.' || src[i+n] == 'E') {
				n++
			}
			word := src[i : i+n]
			if n == 0 || !json.Valid(word) {
				c.misplaced(pos+i, "put text in quotes; for output that is no JSON, begin the file with {{/* msgconv: content-type=text/plain */}}",
					"%q is not JSON", firstRunes(src[i:]))
				return
			}
			if !s.value(c, pos+i) {
				return
			}
			c.lit = append(c.lit, word...)
			i += n
			continue
		}
		i++
	}
}

// stringText follows text inside of a string, up to its end.
func (s *structure) stringText(c *compiler, src []byte, pos int) (n int, ok bool) {
	for n < len(src) {
		b := src[n]
		n++
		c.lit = append(c.lit, b)
		switch {
		case len(s.escape) > 0:
			s.escape = append(s.escape, b)
			if s.escape[1] == 'u' && len(s.escape) < 6 {
				continue
			}
			if !json.Valid(slices.Concat([]byte{'"'}, s.escape, []byte{'"'})) {
				c.misplaced(pos+n-1, `escape sequences are \" \\ \/ \b \f \n \r \t and \uXXXX`, "%q is no escape sequence", s.escape)
				return n, false
			}
			s.escape = nil
		case b == '\\':
			s.escape = []byte{b}
		case b < 0x20:
			c.misplaced(pos+n-1, `write \n for a new line and \t for a tab, or close the string`, "a string has a control character in it")
			return n, false
		case b == '"':
			s.inString = false
			if s.key {
				s.pos, s.key = atColon, false
			}
			return n, true
		}
	}
	return n, true
}

func (s *structure) close(c *compiler, b byte, pos int) bool {
	want := byte('}')
	if len(s.open) > 0 && s.open[len(s.open)-1] == '[' {
		want = ']'
	}
	switch {
	case len(s.open) == 0:
		c.misplaced(pos, "", "%q closes nothing", string(b))
		return false
	case b != want:
		c.misplaced(pos, "", "%q stands where %q is to come", string(b), string(want))
		return false
	case s.pos == atColon || s.pos == atValue:
		c.misplaced(pos, "", "a value is missing before %q", string(b))
		return false
	}
	c.lit = append(c.lit, b)
	s.open = s.open[:len(s.open)-1]
	s.comma = yes
	switch {
	case len(s.open) == 0:
		s.pos = atDone
	case s.open[len(s.open)-1] == '[':
		s.pos = atElement
	default:
		s.pos = atKey
	}
	return true
}

// same reports whether two ways have come to the same place, but for a comma.
func (s *structure) same(t *structure) bool {
	return s.pos == t.pos && s.inString == t.inString && s.key == t.key && string(s.open) == string(t.open) && string(s.escape) == string(t.escape)
}

// set notes whether the next element needs a comma.
func (s *structure) set() op {
	bit, on := s.bit(), s.comma == yes
	return func(r *run) {
		if r.commas &^= bit; on {
			r.commas |= bit
		}
	}
}

// merge joins the ends of two ways that began at start.
func merge(c *compiler, pos int, start, a, b *structure, opsA, opsB *[]op) *structure {
	root := func(s *structure) bool { return len(s.open) == 0 && !s.inString && s.pos <= atMaybe }
	if root(a) && root(b) && a.pos != b.pos {
		m := a.clone()
		m.pos = atMaybe // a message that is perhaps not sent
		return m
	}
	if !a.same(b) {
		c.misplaced(pos, "let each branch write the same parts of the JSON, with {{else}} where it must", "the ways through this branch lead to different places: one %s, the other %s",
			a.where(), b.where())
		return a
	}
	if a.comma == b.comma {
		return a
	}
	for _, w := range []struct {
		s   *structure
		ops *[]op
	}{{a, opsA}, {b, opsB}} {
		if w.s.comma != unknown {
			*w.ops = append(*w.ops, w.s.set())
		}
	}
	m := a.clone()
	m.comma = unknown
	return m
}

// enterLoop is what the first turn must find.
func (s *structure) enterLoop() op {
	if s.comma == no && !s.inString && (s.pos == atElement || s.pos == atKey) {
		mark := s.set()
		s.comma = unknown
		return mark
	}
	return nil
}

// endLoop sees to it that a turn ends where the next one begins.
func endLoop(c *compiler, pos int, start, entry *structure, body *[]op) *structure {
	end := c.js
	if !end.same(entry) {
		if entry.pos == atRoot && !entry.inString {
			c.misplaced(pos, "put [ and ] around the loop, or write per=object in the header", "a message is one JSON value, and a loop makes many")
		} else {
			c.misplaced(pos, "let it write whole elements", "a turn of this loop ends elsewhere than it began: it begins %s, and ends %s", entry.where(), end.where())
		}
		return start
	}
	m := entry.clone()
	if entry.comma == unknown && end.comma != unknown {
		*body = append(*body, end.set())
	}
	return m
}

// end checks that the message is complete.
func (s *structure) end(c *compiler) {
	switch {
	case s.inString:
		c.misplaced(len(c.src), `close it with "`, "the template ends inside of a string")
	case len(s.open) > 0:
		c.misplaced(len(c.src), "", "the template ends before %q is closed", string(s.open[len(s.open)-1]))
	case s.pos == atRoot:
		c.misplaced(len(c.src), "write a JSON object, as in {\"id\": {{.frame.num}}}", "the template writes nothing")
	}
}

// where says in words what a structure has come to.
func (s *structure) where() string {
	if s.inString {
		return "inside of a string"
	}
	switch s.pos {
	case atRoot:
		return "before the message's value"
	case atDone, atMaybe:
		return "behind the message's value"
	case atElement:
		return "between the elements of an array"
	case atKey:
		return "between the members of an object"
	case atColon:
		return "behind a key"
	}
	return "before a member's value"
}

func firstRunes(b []byte) string {
	s := []rune(string(b[:min(len(b), 64)]))
	for i, r := range s {
		if i == 12 || r == '\n' || r == ' ' {
			return string(s[:i])
		}
	}
	return string(s)
}
