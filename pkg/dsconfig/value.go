// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text returns the value with the key file escapes \s \n \t \r \\ resolved. An unknown escape and
// invalid UTF-8 are errors.
func (e Entry) Text() (string, error) {
	return e.unescape(e.Raw, false)
}

// Strings returns the value as a list separated by ';'. A last ';' may be left out; \; stands for a
// semicolon inside an element. An empty value is an empty list.
func (e Entry) Strings() ([]string, error) {
	var list []string
	start := 0
	for i := 0; i < len(e.Raw); i++ {
		switch e.Raw[i] {
		case '\\':
			i++
		case ';':
			s, err := e.unescape(e.Raw[start:i], true)
			if err != nil {
				return nil, err
			}
			list = append(list, s)
			start = i + 1
		}
	}
	if start < len(e.Raw) {
		s, err := e.unescape(e.Raw[start:], true)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Bool returns the value as a key file boolean: true, false, 1 or 0.
func (e Entry) Bool() (bool, error) {
	switch strings.TrimRight(e.Raw, " \t") {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, e.Errorf("write true, false, 1 or 0", "is not a boolean")
}

// Int returns the value as a decimal integer.
func (e Entry) Int() (int64, error) {
	n, err := strconv.ParseInt(strings.TrimRight(e.Raw, " \t"), 10, 64)
	if err != nil {
		return 0, e.Errorf("write a whole number such as 1000", "is not an integer that fits 64 bits")
	}
	return n, nil
}

// IntRange returns the value as a decimal integer between lo and hi, both included.
func (e Entry) IntRange(lo, hi int64) (int64, error) {
	n, err := e.Int()
	if err != nil {
		return 0, err
	}
	if n < lo || n > hi {
		return 0, e.Errorf("choose a number from "+strconv.FormatInt(lo, 10)+" to "+strconv.FormatInt(hi, 10), "is out of range")
	}
	return n, nil
}

// Doubles returns the value as a list of numbers separated by ';', in the C locale. Blanks around a
// number are accepted, which GLib refuses before a ';'. Numbers must be finite: a value that overflows a
// double is refused rather than silently made infinite.
func (e Entry) Doubles() ([]float64, error) {
	list, err := e.Strings()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(list))
	for i, s := range list {
		if out[i], err = parseDouble(s); err != nil {
			return nil, e.Errorf("write numbers such as 1.5;2.5;3.5", "item %d is not a finite number", i+1)
		}
	}
	return out, nil
}

func parseDouble(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "_") {
		return 0, strconv.ErrSyntax // Go reads 1_000, C does not
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, strconv.ErrRange
	}
	return f, nil
}

func (e Entry) unescape(s string, inList bool) (string, error) {
	if !utf8.ValidString(s) {
		return "", e.Errorf("save the file as UTF-8", "the value is not valid UTF-8")
	}
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", e.Errorf(`write \\ for a backslash`, "the value ends in a lone backslash")
		}
		switch s[i] {
		case 's':
			b.WriteByte(' ')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '\\':
			b.WriteByte('\\')
		case ';':
			if !inList {
				return "", e.Errorf(`write ; without a backslash`, `unknown escape \;`)
			}
			b.WriteByte(';')
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			return "", e.Errorf(`write \\ for a backslash; the escapes are \s \n \t \r \\`, `unknown escape \%s`, printable(string(r)))
		}
	}
	return b.String(), nil
}
