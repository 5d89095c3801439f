// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// maxPreview bounds how much of an unknown message a line shows, in characters.
const maxPreview = 400

// printer words messages for a person.
type printer struct{ colour bool }

func (p printer) paint(code, s string) string {
	if !p.colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p printer) dim(s string) string  { return p.paint("2", s) }
func (p printer) bold(s string) string { return p.paint("1", s) }

// label gives each class a colour of its own, the same at every place.
func (p printer) label(s string) string {
	sum := 0
	for _, b := range []byte(s) {
		sum = sum*31 + int(b)
	}
	return p.paint(strconv.Itoa(31+(sum&0x7fffffff)%6), s)
}

// line words one message. at is the time that the broker keeps for it.
func (p printer) line(value []byte, d described, at time.Time) string {
	when := at
	if t, err := time.Parse(time.RFC3339Nano, d.time); err == nil {
		when = t
	}
	words := []string{p.dim(when.Local().Format("15:04:05.000"))}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch d.schema {
	case schemaMinimal:
		add("frame %s", p.bold(clean(fmt.Sprintf("%-4s", d.frame))))
		if d.sensor != "" {
			add("sensor %s", clean(d.sensor))
		}
		add("%s", plural(len(d.objects), "object"))
		for _, o := range d.objects {
			add("%s", p.object(o))
		}
	case schemaFull:
		o := d.objects
		if d.event != "" {
			add("%s", clean(d.event))
		}
		if len(o) == 1 {
			add("object %s", p.bold(clean(o[0].id)))
			add("%s", p.object(o[0]))
		}
		if d.sensor != "" {
			add("sensor %s", clean(d.sensor))
		}
		if d.place != "" {
			add("at %s", clean(d.place))
		}
	default:
		add("%s", preview(value))
	}
	return strings.Join(words, "  ")
}

// headers words the headers that the sender has set; those of msgbroker's own are for the summary.
func (p printer) headers(headers []kgo.RecordHeader) string {
	var words []string
	for _, h := range headers {
		if h.Key != adapters.SessionHeader && h.Key != adapters.NumberHeader {
			words = append(words, clean(h.Key)+"="+preview(h.Value))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return p.dim("  [" + strings.Join(words, " ") + "]")
}

func (p printer) object(o detected) string {
	label := o.label
	if label == "" {
		label = "?"
	}
	s := fmt.Sprintf("%s (%s,%s)–(%s,%s)", p.label(clean(label)),
		pixel(o.box[0]), pixel(o.box[1]), pixel(o.box[2]), pixel(o.box[3]))
	if o.hasConfidence {
		s += fmt.Sprintf(" %.2f", o.confidence)
	}
	return s
}

func pixel(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// clean replaces what a terminal would act on: a message comes from outside.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// preview shows a message of unknown kind: JSON on one line, text, or else the
// first bytes in hexadecimal.
func preview(value []byte) string {
	if len(value) == 0 {
		return "(empty)"
	}
	text, ok := compactJSON(value)
	if !ok {
		text = string(value)
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
			head := value[:min(len(value), 32)]
			s := fmt.Sprintf("%d bytes: % x", len(value), head)
			if len(head) < len(value) {
				s += " …"
			}
			return s
		}
	}
	text = clean(strings.Join(strings.Fields(text), " "))
	if utf8.RuneCountInString(text) > maxPreview {
		text = string([]rune(text)[:maxPreview]) + "…"
	}
	return text
}
