// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"fmt"
	"strings"
)

// An Error is a mistake in a template.
type Error struct {
	File         string
	Line, Column int // from 1, columns in characters; 0: not known
	Cause        string
	Remedy       string
	Err          error
}

// Error is `file:line:column: cause; remedy`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": " + e.Cause)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap gives the underlying error, such as fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all the mistakes of a template, in the order of the text.
type Errors []*Error

// Error is the first one, and how many there are besides.
func (e Errors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more: edgewire check lists them)", e[0], len(e)-1)
}

// Unwrap gives the first one.
func (e Errors) Unwrap() error { return e[0] }
