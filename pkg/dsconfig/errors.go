// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"errors"
	"strconv"
	"strings"
)

// Error says what is wrong in a configuration file, where, and what to do about it. It never holds the
// value of a key, which may be a secret.
type Error struct {
	File   string // path as the caller gave it
	Line   int    // counted from 1; 0 when the whole file is meant
	Group  string // "" outside a group
	Key    string // "" when no key is meant
	Cause  string // what is wrong
	Remedy string // what to do; may be ""
	Err    error  // the underlying error, if there is one
}

// Error renders `file:line: [group] key: cause; remedy`.
func (e *Error) Error() string {
	return render(e.File, e.Line, e.Group, e.Key, e.Cause, e.Remedy)
}

// Unwrap returns the underlying error, such as fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.Err }

// Warning is a finding that does not stop the configuration from being used: an unknown key, a group
// that is ignored.
type Warning struct {
	File   string
	Line   int
	Group  string
	Key    string
	Cause  string
	Remedy string
}

// String renders a Warning in the form of Error.
func (w Warning) String() string {
	return render(w.File, w.Line, w.Group, w.Key, w.Cause, w.Remedy)
}

// Error turns a Warning into an error, for callers that are strict.
func (w Warning) Error() error {
	return &Error{File: w.File, Line: w.Line, Group: w.Group, Key: w.Key, Cause: w.Cause, Remedy: w.Remedy}
}

func render(file string, line int, group, key, cause, remedy string) string {
	var b strings.Builder
	b.WriteString(file)
	if line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(line))
	}
	b.WriteString(": ")
	if group != "" {
		b.WriteString("[" + group + "] ")
	}
	if key != "" {
		b.WriteString(key)
		b.WriteString(": ")
	}
	b.WriteString(cause)
	if remedy != "" {
		b.WriteString("; ")
		b.WriteString(remedy)
	}
	return b.String()
}

// IsMissing reports whether err means that the file could not be opened or read at all.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Line == 0 && e.Err != nil
}
